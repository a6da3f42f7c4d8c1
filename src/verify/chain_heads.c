/*
 * chain_heads.c: the table of heads, for a reader who asks for one row after
 * the other in the order of their identities.
 *
 * Read in pieces of HEADS, each in a scan of the index from the identity that
 * is asked for on. After a piece that cannot be read, each head is looked up
 * by itself, so that only those are missed that cannot be read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/memutils.h"

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

static bool
decode_head(HeapTuple tup, ChainHead *head)
{
	TupleDesc	desc = prov_tupdesc(PROV_HEAD);
	bool		null_id,
				null_leaf,
				null_hash;
	Datum		id = heap_getattr(tup, A_HEAD_ROW_ID, desc, &null_id);
	Datum		leaf = heap_getattr(tup, A_HEAD_LAST_LEAF, desc, &null_leaf);
	Datum		hash = heap_getattr(tup, A_HEAD_HASH, desc, &null_hash);

	if (null_id || null_leaf || null_hash)
		return false;
	memcpy(head->row_id, DatumGetPointer(id), PV_ROW_ID_LEN);
	head->leaf = DatumGetInt64(leaf);
	head->hash = *DatumGetHashP(hash);
	return true;
}

static void
read_piece(void *arg)
{
	ChainHeads *h = arg;
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup = NULL;

	h->n = h->next = 0;
	prov_key_init(&key, PROV_HEAD, A_HEAD_ROW_ID, BTGreaterEqualStrategyNumber, PointerGetDatum(h->from));
	prov_scan_begin_ordered(&scan, PROV_HEAD, h->v->snapshot, 1, &key);
	while (h->n < HEADS && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
		if (decode_head(tup, &h->heads[h->n]))
			h->n++;
	h->to_the_end = !HeapTupleIsValid(tup);
	prov_scan_end(&scan);
}

static void
read_one(void *arg)
{
	ChainHeads *h = arg;
	HeapTuple	tup = prov_fetch1(PROV_HEAD, PointerGetDatum(h->from), h->v->snapshot);

	h->n = HeapTupleIsValid(tup) && decode_head(tup, &h->heads[0]) ? 1 : 0;
	if (HeapTupleIsValid(tup))
		heap_freetuple(tup);
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
