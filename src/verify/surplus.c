/*
 * surplus.c: what stands in the ledger and is not in the log: entries that are
 * in no leaf though the sealer has been past them, hashes of the tree beyond
 * the log's size.
 */
#include "postgres.h"

#include "access/htup_details.h"
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
