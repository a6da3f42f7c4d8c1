/*-------------------------------------------------------------------------
 *
 * fresh.c
 *	  The entries that no seq_block maps: how sealing starts in a database
 *	  that is not the one that sealed last (a restore, a clone), or where
 *	  nothing has been sealed yet. src/ledger/order.c says when and why.
 *
 * An anti-join in bounded memory: (seq, xid, xmin) of all entries, sorted by
 * seq, against seq_block in the order of its key, both read once. What is left
 * is sorted by transaction and each entry fetched again by its key.
 *
 * A block whose map cannot be decoded counts as mapped, with a WARNING:
 * nothing may ever get a second place in the log, and verification reports the
 * block.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "compat.h"
#include "ledger/order.h"

/* Three int8 columns, sorted by the first one or two. */
typedef struct Triples
{
	TupleDesc	desc;
	TupleTableSlot *put;
	TupleTableSlot *get;
	Tuplesortstate *sort;
} Triples;

static void
triples_begin(Triples *t, int nkeys)
{
	t->desc = CreateTemplateTupleDesc(3);
	TupleDescInitEntry(t->desc, 1, "a", INT8OID, -1, 0);
	TupleDescInitEntry(t->desc, 2, "b", INT8OID, -1, 0);
	TupleDescInitEntry(t->desc, 3, "c", INT8OID, -1, 0);
	t->put = MakeSingleTupleTableSlot(t->desc, &TTSOpsVirtual);
	t->get = MakeSingleTupleTableSlot(t->desc, &TTSOpsMinimalTuple);
	t->sort = prov_sort_begin(t->desc, nkeys);
}

static void
triples_put(Triples *t, int64 a, int64 b, int64 c)
{
	ExecClearTuple(t->put);
	memset(t->put->tts_isnull, false, 3 * sizeof(bool));
	t->put->tts_values[0] = Int64GetDatum(a);
	t->put->tts_values[1] = Int64GetDatum(b);
	t->put->tts_values[2] = Int64GetDatum(c);
	ExecStoreVirtualTuple(t->put);
	tuplesort_puttupleslot(t->sort, t->put);
}

static bool
triples_get(Triples *t, int64 *a, int64 *b, int64 *c)
{
	if (!tuplesort_gettupleslot(t->sort, true, false, t->get, NULL))
		return false;
	slot_getallattrs(t->get);
	*a = DatumGetInt64(t->get->tts_values[0]);
	*b = DatumGetInt64(t->get->tts_values[1]);
	*c = DatumGetInt64(t->get->tts_values[2]);
	return true;
}

static void
triples_end(Triples *t)
{
	tuplesort_end(t->sort);
	ExecDropSingleTupleTableSlot(t->put);
	ExecDropSingleTupleTableSlot(t->get);
}

/* seq_block read in step with rising seqs */
typedef struct BlockReader
{
	ProvScan	scan;
	HeapTuple	next;			/* not consumed yet; NULL at the end */
	int64		next_block;
	int64		block;			/* whose leaves are below; -1: none yet */
	int64		leaves[PROV_BLOCK_SEQS];
} BlockReader;

static void
block_advance(BlockReader *r)
{
	bool		isnull;

	r->next = prov_scan_next(&r->scan, ForwardScanDirection);
	if (HeapTupleIsValid(r->next))
		r->next_block = DatumGetInt64(heap_getattr(r->next, A_BLOCK_BLOCK, prov_tupdesc(PROV_SEQ_BLOCK), &isnull));
}

static void
block_add(BlockReader *r)
{
	TupleDesc	desc = prov_tupdesc(PROV_SEQ_BLOCK);
	bool		null_first,
				null_map;
	int64		first = DatumGetInt64(heap_getattr(r->next, A_BLOCK_FIRST, desc, &null_first));
	Datum		d = heap_getattr(r->next, A_BLOCK_MAP, desc, &null_map);
	bool		ok = false;

	if (!null_first && !null_map)
	{
		struct varlena *map = PG_DETOAST_DATUM_PACKED(d);

		ok = prov_block_decode(first, (const uint8 *) VARDATA_ANY(map), VARSIZE_ANY_EXHDR(map), r->leaves);
		if ((Pointer) map != DatumGetPointer(d))
			pfree(map);
	}
	if (!ok)
	{
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the map of sealed entries is malformed"),
				 errdetail("Block " INT64_FORMAT " of table \"seq_block\" cannot be decoded.", r->next_block)));
		memset(r->leaves, 0, sizeof(r->leaves));
	}
}

static bool
is_mapped(BlockReader *r, int64 seq)
{
	int64		block = seq / PROV_BLOCK_SEQS;

	if (seq < 0)
		return false;
	if (r->block != block)
	{
		r->block = block;
		memset(r->leaves, 0xFF, sizeof(r->leaves));
		while (HeapTupleIsValid(r->next) && r->next_block < block)
			block_advance(r);
		while (HeapTupleIsValid(r->next) && r->next_block == block)
		{
			block_add(r);
			block_advance(r);
		}
	}
	return r->leaves[seq % PROV_BLOCK_SEQS] >= 0;
}

/* All visible entries into t, by seq; returns the floor. */
static int64
collect_entries(Triples *t, Snapshot snapshot)
{
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	int64		floor = -1;
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin(&scan, PROV_ENTRY, InvalidOid, snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		FullTransactionId xid = DatumGetFullTransactionId(heap_getattr(tup, A_ENTRY_XID, desc, &isnull));
		int64		seq = DatumGetInt64(heap_getattr(tup, A_ENTRY_SEQ, desc, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (seq > floor && !prov_xid_over(xid, snapshot))
			floor = seq;
		triples_put(t, seq, (int64) U64FromFullTransactionId(xid),
					HeapTupleHeaderGetRawXmin(tup->t_data));
	}
	prov_scan_end(&scan);
	tuplesort_performsort(t->sort);
	return floor;
}

int64
prov_visit_unmapped(const ProvSealState *state, Snapshot snapshot, ProvVisit visit, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "provenance fresh start",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Triples		by_seq;
	Triples		by_xid;
	BlockReader blocks;
	int64		floor;
	int64		restored_xmin = -1;
	int64		seq,
				xid,
				xmin;
	int64		current = -1;
	int64		greatest[2] = {-1, -1};
	bool		go_on = true;

	triples_begin(&by_seq, 1);
	floor = collect_entries(&by_seq, snapshot);

	triples_begin(&by_xid, 2);
	memset(&blocks, 0, sizeof(blocks));
	blocks.block = -1;
	prov_scan_begin_ordered(&blocks.scan, PROV_SEQ_BLOCK, snapshot, 0, NULL);
	block_advance(&blocks);
	while (triples_get(&by_seq, &seq, &xid, &xmin))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_mapped(&blocks, seq))
			restored_xmin = xmin;
		else
			triples_put(&by_xid, xid, -seq, xmin);	/* greatest seq first */
	}
	prov_scan_end(&blocks.scan);
	triples_end(&by_seq);
	tuplesort_performsort(by_xid.sort);

	/* in the cluster that sealed last, an xid is one transaction's */
	if (!state->exists || state->system_identifier == GetSystemIdentifier())
		restored_xmin = -1;

	while (go_on && triples_get(&by_xid, &xid, &seq, &xmin))
	{
		FullTransactionId full = FullTransactionIdFromU64((uint64) xid);
		int			side = xmin == restored_xmin ? 1 : 0;
		HeapTuple	tup;

		CHECK_FOR_INTERRUPTS();
		seq = -seq;
		if (xid != current)
		{
			current = xid;
			greatest[0] = greatest[1] = -1;
		}
		if (greatest[side] < 0)
			greatest[side] = seq;
		tup = prov_fetch2(PROV_ENTRY, FullTransactionIdGetDatum(full), Int64GetDatum(seq), snapshot);
		if (HeapTupleIsValid(tup))
		{
			/* the visitor's own memory is the caller's business */
			MemoryContextSwitchTo(old);
			go_on = visit(arg, tup, prov_tupdesc(PROV_ENTRY), greatest[side]);
			MemoryContextSwitchTo(context);
			heap_freetuple(tup);
		}
	}
	triples_end(&by_xid);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return floor;
}
