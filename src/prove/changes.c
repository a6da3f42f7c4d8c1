/*
 * changes.c: changes(): the entries of a table in a time.
 *
 * The log is read run by run from a leaf on to its last, then what is not sealed
 * yet, in the order in which it will be sealed. There is no index by table or
 * time, but checkpoints have one: what a checkpoint covers was captured before it
 * was signed. So the reading begins at the newest one signed CLOCK_MARGIN before
 * the time asked for. Nothing bounds it at the other end: a transaction may have
 * taken long. The cost is that of reading the log from there on, and of looking
 * up the table's entries; the memory that of one row (the result goes to a
 * tuplestore, which spills) and of a note for each row of the table with an
 * unsealed change.
 *
 * The order is the log's, not that of time: a transaction's entries stand
 * together, at the place of its last one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"
#include "prove/prove.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_changes);

/* A clock may have been set back, or a failover may have changed it, by so much. */
#define CLOCK_MARGIN USECS_PER_DAY

/* The newest unsealed entry of a row that holds an image. */
typedef struct UnsealedRow
{
	uint8		row_id[PV_ROW_ID_LEN];	/* hash key */
	FullTransactionId xid;
	int64		seq;
} UnsealedRow;

typedef struct ChangesScan
{
	HistoryOutput out;
	ProvLog    *log;			/* for look-ups beside the sequential scan */
	TimestampTz since;
	TimestampTz until;
} ChangesScan;

/* The entry with its image in the row's memory, if it is the table's and in the time. */
static bool
wanted_entry(ChangesScan *scan, FullTransactionId xid, int64 seq, ProvEntry *entry)
{
	HeapTuple	tup = prov_fetch2(PROV_ENTRY, FullTransactionIdGetDatum(xid), Int64GetDatum(seq),
								  scan->out.snapshot);
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);

	if (!HeapTupleIsValid(tup))
		return false;
	prov_entry_from_tuple(tup, desc, false, entry);
	if (entry->table_id != scan->out.target->table->table_id ||
		entry->changed_at < scan->since || entry->changed_at > scan->until)
		return false;
	prov_entry_from_tuple(tup, desc, true, entry);
	return true;
}

/* From that leaf back, the row's last entry that holds an image. */
static bool
image_before(ChangesScan *scan, int64 leaf, ProvEntry *out)
{
	while (leaf >= 0)
	{
		ProvLeafRef ref;

		if (!prov_log_leaf(scan->log, leaf, &ref) || ref.prev_leaf >= leaf)
			prove_log_damaged(leaf);
		if (!prov_entry_fetch(ref.xid, ref.seq, scan->out.snapshot, true, out))
			return false;
		if (history_has_row(out->op))
			return true;
		leaf = ref.prev_leaf;
	}
	return false;
}

/* A leaf before which no entry is of that time or later. */
static int64
first_leaf(Snapshot snapshot, TimestampTz since)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	int64		size = 0;
	ProvScan	notes;
	HeapTuple	tup;

	if (TIMESTAMP_NOT_FINITE(since))
		return 0;
	/* from the newest back */
	prov_scan_begin_ordered(&notes, PROV_CHECKPOINT_NOTE, snapshot, 0, NULL);
	while (size == 0 && HeapTupleIsValid(tup = prov_scan_next(&notes, BackwardScanDirection)))
	{
		bool		isnull;
		TimestampTz signed_at = DatumGetTimestampTz(heap_getattr(tup, A_CP_SIGNED_AT, desc, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (!isnull && signed_at < since && since - signed_at > CLOCK_MARGIN)
			size = Max(prov_int64(tup, PROV_CHECKPOINT_NOTE, A_CP_SIZE), 0);
	}
	prov_scan_end(&notes);
	return size;
}

static void
put_sealed(ChangesScan *scan)
{
	ProvLog    *runs_log = prov_log_open(scan->out.snapshot);
	ProvRunScan *runs = prov_run_scan_open(runs_log, first_leaf(scan->out.snapshot, scan->since));
	ProvLeafRef refs[PROV_RUN_MAX];
	int64		first;
	int			count;
	bool		ok;
	int			i;

	while (prov_run_scan_next(runs, &first, &count, refs, &ok))
	{
		if (!ok)
			prove_log_damaged(first);
		for (i = 0; i < count; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(scan->out.row);
			ProvEntry	entry;
			ProvEntry	before;
			ProvLeafRef prev;

			CHECK_FOR_INTERRUPTS();
			if (refs[i].table_id == scan->out.target->table->table_id &&
				wanted_entry(scan, refs[i].xid, refs[i].seq, &entry))
			{
				bool		chained = refs[i].prev_leaf >= 0;

				if (chained && !prov_log_leaf(scan->log, refs[i].prev_leaf, &prev))
					prove_log_damaged(refs[i].prev_leaf);
				history_put(&scan->out, &refs[i], chained ? &prev.hash : NULL, &entry,
							entry.op == PV_OP_UPDATE && image_before(scan, refs[i].prev_leaf, &before) ?
							&before : NULL);
			}
			MemoryContextSwitchTo(old);
			MemoryContextReset(scan->out.row);
		}
	}
	prov_run_scan_close(runs);
	prov_log_close(runs_log);
}

static void
put_unsealed(ChangesScan *scan)
{
	ProvUnsealedScan *unsealed = prov_unsealed_open(scan->out.snapshot);
	HASHCTL		ctl = {.keysize = PV_ROW_ID_LEN, .entrysize = sizeof(UnsealedRow), .hcxt = scan->out.cxt};
	HTAB	   *rows = hash_create("provenance unsealed rows", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ProvEntry	found;

	while (prov_unsealed_next(unsealed, &found))
	{
		MemoryContext old;
		ProvEntry	entry;

		CHECK_FOR_INTERRUPTS();
		if (found.table_id != scan->out.target->table->table_id)
			continue;

		old = MemoryContextSwitchTo(scan->out.row);
		if (wanted_entry(scan, found.xid, found.seq, &entry))
		{
			ProvEntry	before;
			bool		have_before = false;

			if (entry.op == PV_OP_UPDATE)
			{
				UnsealedRow *row = hash_search(rows, found.row_id, HASH_FIND, NULL);

				have_before = row != NULL ?
					prov_entry_fetch(row->xid, row->seq, scan->out.snapshot, true, &before) :
					image_before(scan, prov_log_head(scan->log, found.row_id, found.table_id, NULL), &before);
			}
			history_put(&scan->out, NULL, NULL, &entry, have_before ? &before : NULL);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(scan->out.row);

		if (history_has_row(found.op))
		{
			bool		existed;
			UnsealedRow *row = hash_search(rows, found.row_id, HASH_ENTER, &existed);

			row->xid = found.xid;
			row->seq = found.seq;
		}
	}
	hash_destroy(rows);
	prov_unsealed_close(unsealed);
}

/* changes(target regclass, since timestamptz, until timestamptz DEFAULT now()) */
Datum
provenance_changes(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot;
	ChangesScan scan = {0};
	ProveTarget *target;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table and the bounds of the time must not be null")));
	snapshot = RegisterSnapshot(GetActiveSnapshot());
	scan.since = PG_GETARG_TIMESTAMPTZ(1);
	scan.until = PG_GETARG_TIMESTAMPTZ(2);

	target = prove_target(PG_GETARG_OID(0), snapshot);
	history_begin(&scan.out, fcinfo, target, snapshot, true);
	scan.log = prov_log_open(snapshot);
	put_sealed(&scan);
	put_unsealed(&scan);
	prov_log_close(scan.log);
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}
