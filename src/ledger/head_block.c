/*-------------------------------------------------------------------------
 *
 * head_block.c
 *	  Rows of table head: the newest leaves of the row chains, several to a row.
 *
 * A row holds the heads of all row identities from its own (from_row_id) up to
 * that of the next row, 56 bytes each:
 *
 *	row identity (16) | last leaf (u64, big-endian) | leaf hash (32)
 *
 * A head keeps its place while the row has it, a new one is put before all
 * others. The server's WAL has of a row that is written anew what lies between
 * the first and the last byte that differ, and the length of the heads, which
 * lies before them, is among those where one is new: in ascending order half of
 * the heads would follow.
 *
 * The first row begins at the least row identity there is, so that each
 * identity belongs to exactly one row, whether it has a head yet or not. Rows
 * that become too large are parted; none is ever joined with another. No head
 * is ever taken out, so that each row but the first has one of its own
 * from_row_id: where it has not, heads are not where they are looked for. A
 * head that stands there twice stops the sealer when the row that it is of
 * changes; verification finds it before.
 *
 * One row for each head cost a tuple header, a line pointer and an index entry
 * each, and one update, with its lock, its visibility check and its WAL record,
 * for each head of a batch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "port/pg_bswap.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/catalog.h"
#include "ledger/head_block.h"
#include "types/types.h"

void
prov_head_encode(const uint8 row_id[PV_ROW_ID_LEN], const ProvHead *head, uint8 *out)
{
	uint64		leaf = pg_hton64((uint64) head->last_leaf);

	memcpy(out, row_id, PV_ROW_ID_LEN);
	memcpy(out + PV_ROW_ID_LEN, &leaf, sizeof(leaf));
	memcpy(out + PV_ROW_ID_LEN + sizeof(leaf), head->hash.b, PV_HASH_LEN);
}

bool
prov_head_decode(const uint8 *at, ProvHead *out)
{
	uint64		leaf;

	memcpy(&leaf, at + PV_ROW_ID_LEN, sizeof(leaf));
	out->last_leaf = (int64) pg_ntoh64(leaf);
	memcpy(out->hash.b, at + PV_ROW_ID_LEN + sizeof(leaf), PV_HASH_LEN);
	return out->last_leaf >= 0;
}

int
prov_head_block(Datum value, bool isnull, const uint8 **heads)
{
	struct varlena *v;
	Size		len;

	if (isnull)
		return -1;
	v = PG_DETOAST_DATUM_PACKED(value);
	len = VARSIZE_ANY_EXHDR(v);
	*heads = (const uint8 *) VARDATA_ANY(v);
	/* many more than are ever written are not worth looking at */
	return len % PROV_HEAD_LEN == 0 && len / PROV_HEAD_LEN <= PROV_BLOCK_HEADS_READ ? (int) (len / PROV_HEAD_LEN) : -1;
}

static int
heads_of(HeapTuple tup, const uint8 **heads)
{
	bool		isnull;
	Datum		value = heap_getattr(tup, A_HEAD_HEADS, prov_tupdesc(PROV_HEAD), &isnull);

	return prov_head_block(value, isnull, heads);
}

bool
prov_head_block_begins(const uint8 *from, const uint8 *heads, int n)
{
	static const uint8 least[PV_ROW_ID_LEN];

	bool		own = false;
	int			i;

	for (i = 0; i < n; i++)
	{
		int			order = memcmp(prov_head_at(heads, i), from, PV_ROW_ID_LEN);

		if (order < 0)
			return false;
		own |= order == 0;
	}
	return own || (n > 0 && memcmp(from, least, PV_ROW_ID_LEN) == 0);
}

static int
compare_heads(const void *a, const void *b)
{
	return memcmp(a, b, PV_ROW_ID_LEN);
}

uint8 *
prov_heads_sorted(const uint8 *heads, int n)
{
	uint8	   *sorted = palloc((Size) n * PROV_HEAD_LEN + 1);

	if (n > 0)
		memcpy(sorted, heads, (Size) n * PROV_HEAD_LEN);
	qsort(sorted, n, PROV_HEAD_LEN, compare_heads);
	return sorted;
}

bool
prov_head_next(const uint8 row_id[PV_ROW_ID_LEN], Snapshot snapshot, uint8 from[PV_ROW_ID_LEN], bool *good)
{
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	bool		found = false;

	prov_key_init(&key, PROV_HEAD, A_HEAD_FROM, BTGreaterEqualStrategyNumber, PointerGetDatum(row_id));
	prov_scan_begin_ordered(&scan, PROV_HEAD, snapshot, 1, &key);
	while (!found && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		const uint8 *heads = NULL;
		int			n = heads_of(tup, &heads);

		memcpy(from, DatumGetPointer(prov_value(PROV_HEAD, tup, A_HEAD_FROM)), PV_ROW_ID_LEN);
		*good = prov_head_block_begins(from, heads, n);
		found = memcmp(from, row_id, PV_ROW_ID_LEN) != 0;
	}
	prov_scan_end(&scan);
	return found;
}

bool
prov_head_fetch(const uint8 row_id[PV_ROW_ID_LEN], Snapshot snapshot, ProvHead *out)
{
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	bool		found = false;

	prov_key_init(&key, PROV_HEAD, A_HEAD_FROM, BTLessEqualStrategyNumber, PointerGetDatum(row_id));
	prov_scan_begin_ordered(&scan, PROV_HEAD, snapshot, 1, &key);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tup))
	{
		const uint8 *heads = NULL;
		int			n = heads_of(tup, &heads);
		int			i = prov_head_find(heads, n, row_id);

		found = i >= 0 && prov_head_decode(prov_head_at(heads, i), out);
	}
	prov_scan_end(&scan);
	return found;
}

/* ---- writing ---- */

void
prov_head_write(ProvWriter *w, const ItemPointerData *tid, Datum *values, bool *nulls)
{
	if (ItemPointerIsValid(tid))
	{
		HeapTupleData old;

		memset(&old, 0, sizeof(old));
		old.t_self = *tid;
		prov_update(w, &old, values, nulls);
	}
	else
		prov_insert(w, values, nulls);
}

static void
write_one(ProvWriter *w, const ItemPointerData *tid, const uint8 *from, const uint8 *heads, int n)
{
	union
	{
		char		bytes[VARHDRSZ + PROV_BLOCK_HEADS_MAX * PROV_HEAD_LEN];
		int32		align;
	}			value;
	Datum		values[N_HEAD];
	bool		nulls[N_HEAD] = {false};

	memcpy(value.bytes + VARHDRSZ, heads, (Size) n * PROV_HEAD_LEN);
	SET_VARSIZE(value.bytes, VARHDRSZ + n * PROV_HEAD_LEN);
	values[A_HEAD_FROM - 1] = PointerGetDatum(from);
	values[A_HEAD_HEADS - 1] = PointerGetDatum(value.bytes);
	prov_head_write(w, tid, values, nulls);
}

/*
 * The stored heads, changed ones in their place, new ones before them: how
 * many. *out, which is where the first is then, has room for all.
 */
static int
replace_heads(const uint8 *stored, int nstored, const uint8 *changed, int n, uint8 **out)
{
	uint8	   *old = *out + (Size) n * PROV_HEAD_LEN;
	uint8	   *first = old;
	int			i;

	if (nstored > 0)
		memcpy(old, stored, (Size) nstored * PROV_HEAD_LEN);
	for (i = n - 1; i >= 0; i--)
	{
		const uint8 *head = prov_head_at(changed, i);
		int			at = prov_head_find(old, nstored, head);

		/* what is stored twice is not ours */
		if (at >= 0 && prov_head_find(prov_head_at(old, at + 1), nstored - at - 1, head) >= 0)
			prov_check(PV_E_STORAGE);
		if (at < 0)
			first -= PROV_HEAD_LEN;
		memcpy(at < 0 ? first : old + (Size) at * PROV_HEAD_LEN, head, PROV_HEAD_LEN);
	}
	*out = first;
	return nstored + (int) ((old - first) / PROV_HEAD_LEN);
}

/* All in order: how many. out has room for them. */
static int
merge_heads(const uint8 *stored, int nstored, const uint8 *changed, int n, uint8 *out)
{
	uint8	   *sorted = prov_heads_sorted(stored, nstored);
	uint8	   *at = out;
	int			i = 0;
	int			k = 0;

	while (i < nstored || k < n)
	{
		int			cmp = i == nstored ? 1 : k == n ? -1 : compare_heads(prov_head_at(sorted, i), prov_head_at(changed, k));

		memcpy(at, cmp < 0 ? prov_head_at(sorted, i) : prov_head_at(changed, k), PROV_HEAD_LEN);
		if (cmp <= 0)
			i++;
		if (cmp >= 0)
			k++;
		if (at > out && compare_heads(at - PROV_HEAD_LEN, at) >= 0)
			prov_check(PV_E_STORAGE);
		at += PROV_HEAD_LEN;
	}
	pfree(sorted);
	return (int) ((at - out) / PROV_HEAD_LEN);
}

void
prov_head_block_write(ProvWriter *w, const ItemPointerData *tid, const uint8 *from,
					  const uint8 *stored, int nstored, const uint8 *changed, int n)
{
	uint8		few[PROV_BLOCK_HEADS_MAX * 2 * PROV_HEAD_LEN];
	uint8	   *all = few;
	int			count = PROV_BLOCK_HEADS_MAX * 2;
	int			parts;
	int			i;

	if (nstored + n <= count)
		count = replace_heads(stored, nstored, changed, n, &all);
	if (count <= PROV_BLOCK_HEADS_MAX)
	{
		write_one(w, tid, from, all, count);
		return;
	}

	all = palloc_extended((Size) (nstored + n) * PROV_HEAD_LEN, MCXT_ALLOC_HUGE);
	count = merge_heads(stored, nstored, changed, n, all);
	parts = count <= PROV_BLOCK_HEADS_MAX ? 1 : (count + PROV_BLOCK_HEADS_NEW - 1) / PROV_BLOCK_HEADS_NEW;
	for (i = 0; i < parts; i++)
	{
		int			first = (int) ((int64) count * i / parts);
		int			end = (int) ((int64) count * (i + 1) / parts);
		ItemPointerData none;

		ItemPointerSetInvalid(&none);
		write_one(w, i == 0 ? tid : &none, i == 0 ? from : prov_head_at(all, first), prov_head_at(all, first), end - first);
	}
	pfree(all);
}

/* ---- the sealer's look-ups ---- */

/* Steps along the index before a descent is thought to be cheaper; fewer after vain ones. */
#define MAX_STEPS 16

/* The least row identity of the block whose index entry the scan stands on. */
static inline const uint8 *
block_from(const ProvBlockScan *s)
{
	return (const uint8 *) s->scan->xs_itup + sizeof(IndexTupleData);
}

void
prov_block_scan_begin(ProvBlockScan *s, Relation rel)
{
	Relation	index = index_open(prov_pkey(PROV_HEAD), AccessShareLock);

	s->slot = table_slot_create(rel, NULL);
	s->scan = prov_index_beginscan(rel, index, SnapshotSelf, 1, 0);
	s->scan->xs_want_itup = true;
	s->positioned = false;
	s->patience = MAX_STEPS;
	/* attribute numbers of an index scan are the index's */
	prov_key_init(&s->key, PROV_HEAD, A_HEAD_FROM, BTLessEqualStrategyNumber, (Datum) 0);
	s->key.sk_attno = 1;
}

void
prov_block_scan_end(ProvBlockScan *s)
{
	Relation	index = s->scan->indexRelation;

	index_endscan(s->scan);
	ExecDropSingleTupleTableSlot(s->slot);
	index_close(index, AccessShareLock);
}

bool
prov_block_scan_find(ProvBlockScan *s, const uint8 *row_id)
{
	int			steps = 0;

	s->adjacent = false;
	/* the entry that it stands on leads to another block, or to none */
	if (s->positioned)
		do
		{
			s->positioned = index_getnext_tid(s->scan, BackwardScanDirection) != NULL;
			steps++;
		} while (s->positioned && steps < s->patience && memcmp(block_from(s), row_id, PV_ROW_ID_LEN) > 0);
	if (!s->positioned && steps > 0)
		return false;			/* before the first block of all */
	if (s->positioned && memcmp(block_from(s), row_id, PV_ROW_ID_LEN) <= 0)
	{
		s->patience = MAX_STEPS;
		s->adjacent = steps == 1;
	}
	else
	{
		s->patience = Max(s->patience / 2, 1);
		s->key.sk_argument = PointerGetDatum(row_id);
		index_rescan(s->scan, &s->key, 1, NULL, 0);
		s->positioned = index_getnext_tid(s->scan, BackwardScanDirection) != NULL;
	}
	/* a block that was moved has an index entry for each place, one that was rolled back too */
	for (; s->positioned; s->positioned = index_getnext_tid(s->scan, BackwardScanDirection) != NULL)
		if (index_fetch_heap(s->scan, s->slot))
		{
			slot_getallattrs(s->slot);
			return true;
		}
	return false;
}
