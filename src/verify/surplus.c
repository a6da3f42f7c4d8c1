/*
 * surplus.c: what stands in the ledger and is not in the log: entries that are
 * in no leaf though the sealer has been past them, hashes of the tree beyond
 * the log's size.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/xid8.h"

#include "ledger/order.h"
#include "verify/log_scan.h"

/* ---- entries ---- */

void
verify_unsealable(Verify *v, FullTransactionId xid, int64 seq)
{
	verify_finding(v, "entry_unsealable", SEV_ERROR, psprintf("entry " INT64_FORMAT, seq), seq, -1,
				   "The entry is not in the log, and the sealer has been past transaction " UINT64_FORMAT
				   ": it was put in later, or its leaf was taken away.", U64FromFullTransactionId(xid));
}

void
verify_seal_past(Verify *v, SealPast *out)
{
	HeapTuple	state = prov_fetch1(PROV_SEAL_STATE, Int32GetDatum(1), v->snapshot);
	ProvSealState decoded;

	memset(out, 0, sizeof(*out));
	out->floor = -1;
	/* a restored or copied database: the state is another one's until the sealer has been here */
	prov_seal_state(v->snapshot, &decoded);
	out->foreign = decoded.exists && prov_fresh_start(&decoded);
	if (HeapTupleIsValid(state))
	{
		TupleDesc	desc = prov_tupdesc(PROV_SEAL_STATE);
		bool		null_floor,
					null_snapshot;
		Datum		floor = heap_getattr(state, A_SEAL_FLOOR, desc, &null_floor);

		out->snapshot = heap_getattr(state, A_SEAL_SNAPSHOT, desc, &null_snapshot);
		out->floor = null_floor ? -1 : DatumGetInt64(floor);
		out->known = !null_snapshot;
	}
}

bool
verify_still_to_come(const SealPast *past, FullTransactionId xid, int64 seq)
{
	return seq > past->floor &&
		!DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot, FullTransactionIdGetDatum(xid), past->snapshot));
}

typedef struct EntryTask
{
	LogScan    *s;
	Bitmap	   *met;			/* of those in the log */
	int64		seen;
} EntryTask;

static void
scan_entries(void *arg)
{
	EntryTask  *task = arg;
	LogScan    *s = task->s;
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	SealPast	past;
	ProvScan	scan;
	HeapTuple	tup;

	verify_seal_past(s->v, &past);
	if (past.foreign)
		return;
	prov_scan_begin(&scan, PROV_ENTRY, InvalidOid, s->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		null_xid,
					null_seq;
		Datum		xid = heap_getattr(tup, A_ENTRY_XID, desc, &null_xid);
		Datum		seq = heap_getattr(tup, A_ENTRY_SEQ, desc, &null_seq);

		if (++task->seen % 1024 == 0)
			verify_progress(s->v, task->seen);
		if (null_xid || null_seq)
			continue;
		if (bitmap_test(s->sealed, DatumGetInt64(seq)))
		{
			if (bitmap_test_and_set(task->met, DatumGetInt64(seq)))
				verify_finding(s->v, "entry_unsealable", SEV_ERROR, psprintf("entry " INT64_FORMAT, DatumGetInt64(seq)),
							   DatumGetInt64(seq), -1,
							   "Two entries have this number, and the log has one of them: the other was put in.");
			continue;
		}
		/* no state: all of it is still to come, unless there are leaves */
		if (past.known ? verify_still_to_come(&past, DatumGetFullTransactionId(xid), DatumGetInt64(seq)) :
			s->stored.size == 0)
			continue;
		verify_unsealable(s->v, DatumGetFullTransactionId(xid), DatumGetInt64(seq));
	}
	prov_scan_end(&scan);
}

void
surplus_entries(LogScan *s)
{
	EntryTask	task = {.s = s, .met = bitmap_create(s->v->cxt)};

	verify_progress_begin(s->v, "entries", 0);
	if (!verify_try(s->v, scan_entries, &task))
		verify_finding(s->v, "unreadable", SEV_ERROR, "entry", -1, -1, "The table cannot be read to its end: %s", s->v->fault);
	bitmap_destroy(task.met);
}

/*
 * Participants look at the entries while others look at the leaves, so it is
 * known later only which are sealed. They note what there is; two of one number
 * are for the leader, who goes through the table by himself.
 */
typedef struct NoteTask
{
	Participant *p;
	BlockNumber first;
	BlockNumber last;
	bool		good;
} NoteTask;

static void
note_entries(void *arg)
{
	NoteTask   *task = arg;
	Verify	   *v = task->p->v;
	VerifyShared *shared = task->p->shared;
	Bitmap	   *entries = bitmap_attach(v->tmp, SHARED_AT(shared, shared->entries), shared->nseqs);
	Bitmap	   *coming = bitmap_attach(v->tmp, SHARED_AT(shared, shared->coming), shared->nseqs);
	Relation	rel = table_open(prov_relid(PROV_ENTRY), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	SealPast	past;
	TableScanDesc scan;
	ItemPointerData min;
	ItemPointerData max;

	ItemPointerSet(&min, task->first, 0);
	ItemPointerSet(&max, task->last, PG_UINT16_MAX);
	verify_seal_past(v, &past);
	task->good = past.known && !past.foreign;
	scan = table_beginscan_tidrange(rel, v->snapshot, &min, &max);
	while (task->good && table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		bool		null_xid,
					null_seq;
		FullTransactionId xid = DatumGetFullTransactionId(slot_getattr(slot, A_ENTRY_XID, &null_xid));
		int64		seq = DatumGetInt64(slot_getattr(slot, A_ENTRY_SEQ, &null_seq));
		Bitmap	   *own = entries;
		Bitmap	   *other = coming;

		CHECK_FOR_INTERRUPTS();
		if (null_xid || null_seq)
			continue;
		if (verify_still_to_come(&past, xid, seq))
		{
			own = coming;
			other = entries;
		}
		/* first one's own: then one of two who meet the same number sees the other's */
		task->good = seq >= 0 && seq < shared->nseqs && !bitmap_test_and_set(own, seq) && !bitmap_test(other, seq);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
}

bool
surplus_note(Participant *p, BlockNumber first, BlockNumber last)
{
	NoteTask	task = {.p = p, .first = first, .last = last};
	MemoryContext old = MemoryContextSwitchTo(p->v->tmp);
	bool		good = verify_try(p->v, note_entries, &task) && task.good;

	MemoryContextSwitchTo(old);
	MemoryContextReset(p->v->tmp);
	return good;
}

bool
surplus_none(const VerifyShared *shared)
{
	const uint64 *entries = SHARED_AT(shared, shared->entries);
	const uint64 *sealed = SHARED_AT(shared, shared->seqs);
	int64		i;

	for (i = 0; i < (shared->nseqs + 63) / 64; i++)
		if ((entries[i] & ~sealed[i]) != 0)
			return false;
	return true;
}

/* ---- hashes of the tree ---- */

typedef struct NodesTask
{
	Verify	   *v;
	int64		size;
} NodesTask;

void
verify_node_place(Verify *v, HeapTuple node, int64 size)
{
	TupleDesc	desc = prov_tupdesc(PROV_TREE_NODE);
	bool		null_level,
				null_index;
	int			level = DatumGetInt16(heap_getattr(node, A_NODE_LEVEL, desc, &null_level));
	int64		index = DatumGetInt64(heap_getattr(node, A_NODE_INDEX, desc, &null_index));

	if (null_level || null_index || level < 1 || level > 7 || index < 0 ||
		index >= size >> (level * PV_TILE_HEIGHT))
		verify_finding(v, "tile_differs", SEV_ERROR, psprintf("tree_node %d/" INT64_FORMAT, level, index), -1, -1,
					   "A hash of the tree stands where the log has none.");
}

static void
scan_nodes(void *arg)
{
	NodesTask  *task = arg;
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin(&scan, PROV_TREE_NODE, InvalidOid, task->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		verify_node_place(task->v, tup, task->size);
	}
	prov_scan_end(&scan);
}

void
surplus_nodes(Verify *v, int64 size)
{
	NodesTask	task = {v, size};

	if (!verify_try(v, scan_nodes, &task))
		verify_finding(v, "unreadable", SEV_ERROR, "tree_node", -1, -1, "The table cannot be read: %s", v->fault);
}
