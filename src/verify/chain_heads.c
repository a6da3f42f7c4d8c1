/*
 * chain_heads.c: the table of heads, for a reader who asks for one row after
 * the other in the order of their identities.
 *
 * Read in pieces of HEADS, each in a scan of the index from the identity that
 * is asked for on. After a piece that cannot be read, each head is looked up
 * by itself, so that only those are missed that cannot be read. A head that is
 * not where the sealer looks for it (head_block.c) is none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/memutils.h"

#include "ledger/head_block.h"
#include "types/types.h"
#include "verify/chain_store.h"

#define HEADS 1024

struct ChainHeads
{
	Verify	   *v;
	bool		singly;			/* a piece could not be read */
	bool		to_the_end;		/* there is none after the last */
	int			n;
	int			next;
	uint8		from[PV_ROW_ID_LEN];
	ChainHead	heads[HEADS];
};

static void
add_head(ChainHeads *h, const uint8 *row_id, const ProvHead *head)
{
	ChainHead  *to = &h->heads[h->n++];

	memcpy(to->row_id, row_id, PV_ROW_ID_LEN);
	to->leaf = head->last_leaf;
	to->hash = head->hash;
}

/*
 * Takes the heads of a block from the identity asked for on, and gives up those
 * of blocks before that lie beyond its begin. Of a block that does not begin as
 * it has to the least head that may be in it is left out, for it to be missed;
 * one that is there twice is none. False: enough.
 */
static bool
add_block(ChainHeads *h, HeapTuple tup)
{
	TupleDesc	desc = prov_tupdesc(PROV_HEAD);
	bool		isnull;
	/* by the scan's key: not NULL */
	const uint8 *from = (const uint8 *) DatumGetPointer(heap_getattr(tup, A_HEAD_FROM, desc, &isnull));
	Datum		value = heap_getattr(tup, A_HEAD_HEADS, desc, &isnull);
	const uint8 *heads = NULL;
	int			n = prov_head_block(value, isnull, &heads);
	uint8	   *sorted;
	bool		good;
	ProvHead	head;
	int			i;

	while (h->n > 0 && memcmp(h->heads[h->n - 1].row_id, from, PV_ROW_ID_LEN) >= 0)
		h->n--;
	if (h->n == HEADS)
		return false;
	if (n <= 0)
		return true;
	sorted = prov_heads_sorted(heads, n);
	good = prov_head_block_begins(from, heads, n);
	for (i = 0; i < n && h->n < HEADS; i++)
	{
		const uint8 *at = prov_head_at(sorted, i);

		if (memcmp(at, from, PV_ROW_ID_LEN) < 0 ||
			(i > 0 && memcmp(at, prov_head_at(sorted, i - 1), PV_ROW_ID_LEN) == 0) ||
			(i + 1 < n && memcmp(at, prov_head_at(sorted, i + 1), PV_ROW_ID_LEN) == 0))
			continue;
		if (!good)
			good = true;
		else if (memcmp(at, h->from, PV_ROW_ID_LEN) >= 0 && prov_head_decode(at, &head))
			add_head(h, at, &head);
	}
	pfree(sorted);
	return true;
}

static void
read_piece(void *arg)
{
	ChainHeads *h = arg;
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup = NULL;
	ItemPointerData first;

	h->n = h->next = 0;
	ItemPointerSetInvalid(&first);

	/* the block that the identity belongs to, then those behind it */
	prov_key_init(&key, PROV_HEAD, A_HEAD_FROM, BTLessEqualStrategyNumber, PointerGetDatum(h->from));
	prov_scan_begin_ordered(&scan, PROV_HEAD, h->v->snapshot, 1, &key);
	if (HeapTupleIsValid(tup = prov_scan_next(&scan, BackwardScanDirection)))
	{
		first = tup->t_self;
		add_block(h, tup);
	}
	prov_scan_end(&scan);
	prov_key_init(&key, PROV_HEAD, A_HEAD_FROM, BTGreaterEqualStrategyNumber, PointerGetDatum(h->from));
	prov_scan_begin_ordered(&scan, PROV_HEAD, h->v->snapshot, 1, &key);
	do
		tup = prov_scan_next(&scan, ForwardScanDirection);
	while (HeapTupleIsValid(tup) && (ItemPointerCompare(&tup->t_self, &first) == 0 || add_block(h, tup)));
	h->to_the_end = !HeapTupleIsValid(tup) && h->n < HEADS;
	prov_scan_end(&scan);
}

static void
read_one(void *arg)
{
	ChainHeads *h = arg;
	ProvHead	head;

	h->n = 0;
	if (prov_head_fetch(h->from, h->v->snapshot, &head))
		add_head(h, h->from, &head);
}

ChainHeads *
chain_heads_open(Verify *v)
{
	ChainHeads *h = MemoryContextAllocZero(v->cxt, sizeof(ChainHeads));

	h->v = v;
	return h;
}

const ChainHead *
chain_heads_find(ChainHeads *h, const uint8 *row_id, bool *ok)
{
	bool		read = false;

	*ok = true;
	for (;;)
	{
		while (!h->singly && h->next < h->n && memcmp(h->heads[h->next].row_id, row_id, PV_ROW_ID_LEN) < 0)
			h->next++;
		/* read: then the index is not in order, and leads nowhere */
		if (!h->singly && (h->next < h->n || h->to_the_end || read))
			break;
		read = true;
		memcpy(h->from, row_id, PV_ROW_ID_LEN);
		if (!h->singly && verify_try(h->v, read_piece, h))
			continue;
		h->singly = true;
		h->n = h->next = 0;
		*ok = verify_try(h->v, read_one, h);
		break;
	}
	if (!*ok || h->next >= h->n || memcmp(h->heads[h->next].row_id, row_id, PV_ROW_ID_LEN) != 0)
		return NULL;
	return &h->heads[h->next];
}

void
chain_heads_close(ChainHeads *h)
{
	pfree(h);
}

typedef struct OwnTask
{
	Verify	   *v;
	int32		table_id;
	bool		found;
	ChainHead  *head;
} OwnTask;

static void
read_own(void *arg)
{
	OwnTask    *task = arg;
	TupleDesc	desc = prov_tupdesc(PROV_TABLE_HEAD);
	HeapTuple	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(task->table_id), task->v->snapshot);
	bool		null_leaf,
				null_hash;
	Datum		leaf;
	Datum		hash;

	task->found = false;
	if (!HeapTupleIsValid(tup))
		return;
	leaf = heap_getattr(tup, A_THEAD_LAST_LEAF, desc, &null_leaf);
	hash = heap_getattr(tup, A_THEAD_HASH, desc, &null_hash);
	if (null_leaf || null_hash)
		return;
	task->found = true;
	task->head->leaf = DatumGetInt64(leaf);
	task->head->hash = *DatumGetHashP(hash);
}

bool
chain_own_head(Verify *v, int32 table_id, ChainHead *head, bool *ok)
{
	OwnTask		task = {v, table_id, false, head};

	*ok = verify_try(v, read_own, &task);
	return *ok && task.found;
}
