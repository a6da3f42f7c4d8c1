/*-------------------------------------------------------------------------
 *
 * baseline.c
 *	  The phase of a table tagged with baseline => 'later' (see baseline.h),
 *	  and the worker's chunks.
 *
 * A chunk is one transaction: AccessShareLock on the table and the partition
 * in hand, then a snapshot, then a candidate (candidate.h) for each row found
 * in the next blocks, then the place where the next chunk begins. The order of
 * the first three matters: a TRUNCATE is either over and seen or still to come,
 * and every change that the snapshot sees has a smaller seq than the chunk's
 * candidates, so that these are surplus where they are late.
 *
 * Blocks are those of one relfilenode. A partition that has got another one
 * (VACUUM FULL, CLUSTER, a rewrite) is begun again: candidates written twice
 * are surplus. So is the whole table in a restored or copied database, where
 * neither OIDs nor blocks mean anything. Rows behind the end that the relation
 * had at the beginning were written since, and recorded by whoever wrote them.
 *
 * Partitions are taken in the order of their OIDs. One that is attached later
 * has baselines of its own (the guard's), whether it is met or not.
 *
 * The chunk waits for nobody: it gives up if it does not get its locks at
 * once, those on the ledger's tables first, so that whoever drops the ledger
 * never stands against it. Output functions of users' types run as the table's
 * owner, as in capture; what one throws is logged, and the table tried again
 * later and later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/baseline.h"
#include "ledger/record.h"
#include "ledger/seal.h"
#include "ledger/stop_point.h"
#include "ledger/triggers.h"
#include "ledger/worker.h"

/* A chunk ends, at the end of a block, with whichever comes first. */
#define CHUNK_ROWS 10000
#define CHUNK_BLOCKS 8192
#define CHUNK_MS 500

#define MAX_RETRY_MS (60 * 1000)

/* A row of baseline_phase. */
typedef struct Phase
{
	HeapTuple	tup;
	int32		table_id;
	Oid			database_oid;
	uint64		system_identifier;
	Oid			relid;
	Oid			filenode;
	int64		next_block;
	int64		end_block;
	int64		rows;
} Phase;

/* ---- the row ---- */

static bool
fetch_phase(int32 table_id, Snapshot snapshot, Phase *out)
{
	Datum		values[N_PHASE];
	bool		nulls[N_PHASE];

	out->tup = prov_fetch1(PROV_BASELINE_PHASE, Int32GetDatum(table_id), snapshot);
	if (!HeapTupleIsValid(out->tup))
		return false;
	heap_deform_tuple(out->tup, prov_tupdesc(PROV_BASELINE_PHASE), values, nulls);
	out->table_id = table_id;
	out->database_oid = DatumGetObjectId(values[A_PHASE_DATABASE - 1]);
	out->system_identifier = (uint64) DatumGetInt64(values[A_PHASE_SYSTEM - 1]);
	out->relid = DatumGetObjectId(values[A_PHASE_RELID - 1]);
	out->filenode = DatumGetObjectId(values[A_PHASE_FILENODE - 1]);
	out->next_block = DatumGetInt64(values[A_PHASE_NEXT - 1]);
	out->end_block = DatumGetInt64(values[A_PHASE_END - 1]);
	out->rows = DatumGetInt64(values[A_PHASE_ROWS - 1]);
	return true;
}

static void
store_phase(const Phase *phase)
{
	Datum		values[N_PHASE];
	bool		nulls[N_PHASE] = {false};
	ProvWriter	w;

	values[A_PHASE_TABLE - 1] = Int32GetDatum(phase->table_id);
	values[A_PHASE_DATABASE - 1] = ObjectIdGetDatum(MyDatabaseId);
	values[A_PHASE_SYSTEM - 1] = Int64GetDatum((int64) GetSystemIdentifier());
	values[A_PHASE_RELID - 1] = ObjectIdGetDatum(phase->relid);
	values[A_PHASE_FILENODE - 1] = ObjectIdGetDatum(phase->filenode);
	values[A_PHASE_NEXT - 1] = Int64GetDatum(phase->next_block);
	values[A_PHASE_END - 1] = Int64GetDatum(phase->end_block);
	values[A_PHASE_ROWS - 1] = Int64GetDatum(phase->rows);
	prov_writer_open(&w, PROV_BASELINE_PHASE);
	if (phase->tup != NULL)
		prov_update(&w, phase->tup, values, nulls);
	else
		prov_insert(&w, values, nulls);
	prov_writer_close(&w);
}

bool
prov_phase_running(int32 table_id, Snapshot snapshot)
{
	HeapTuple	tup = prov_fetch1(PROV_BASELINE_PHASE, Int32GetDatum(table_id), snapshot);

	if (!HeapTupleIsValid(tup))
		return false;
	heap_freetuple(tup);
	return true;
}

void
prov_phase_mark(int32 table_id, ProvPhaseMark *out)
{
	HeapTuple	tup = prov_fetch1(PROV_BASELINE_PHASE, Int32GetDatum(table_id), NULL);

	memset(out, 0, sizeof(*out));
	if (!HeapTupleIsValid(tup))
		return;
	out->running = true;
	out->xid = HeapTupleHeaderGetXmin(tup->t_data);
	if (TransactionIdIsCurrentTransactionId(out->xid))
		out->cid = HeapTupleHeaderGetCmin(tup->t_data);
	heap_freetuple(tup);
}

void
prov_phase_begin(int32 table_id, Oid root)
{
	Phase		phase = {.table_id = table_id};

	store_phase(&phase);
	CacheInvalidateRelcacheByRelid(root);
	CommandCounterIncrement();
}

void
prov_phase_end(int32 table_id, Oid root)
{
	HeapTuple	tup = prov_fetch1(PROV_BASELINE_PHASE, Int32GetDatum(table_id), NULL);
	ProvWriter	w;

	if (!HeapTupleIsValid(tup))
		return;
	prov_writer_open(&w, PROV_BASELINE_PHASE);
	prov_delete(&w, tup);
	prov_writer_close(&w);
	heap_freetuple(tup);
	if (get_rel_relkind(root) != '\0')
		CacheInvalidateRelcacheByRelid(root);
	CommandCounterIncrement();
}

/* ---- a chunk ---- */

static bool
lock_ledger(void)
{
	static const ProvRel written[] = {PROV_ENTRY, PROV_CONTEXT, PROV_SHAPE, PROV_BASELINE_PHASE};
	static const ProvRel read[] = {PROV_LOG_IDENTITY, PROV_REGISTRY};
	int			i;

	for (i = 0; i < PROV_NSEQS; i++)
		if (!ConditionalLockRelationOid(prov_seqid(i), RowExclusiveLock))
			return false;
	for (i = 0; i < lengthof(written); i++)
		if (!ConditionalLockRelationOid(prov_relid(written[i]), RowExclusiveLock))
			return false;
	for (i = 0; i < lengthof(read); i++)
		if (!ConditionalLockRelationOid(prov_relid(read[i]), AccessShareLock))
			return false;
	return true;
}

/*
 * The tagged relation of a registry row: by name, as after a restore, else by
 * OID, as after a rename that the registry has not followed. Locked; *busy if
 * the lock is not to be had, or the table has no trigger yet (a restore).
 */
static Oid
lock_root(const ProvTable *table, bool *busy)
{
	Oid			nsp = get_namespace_oid(table->schema, true);
	Oid			relid = OidIsValid(nsp) ? get_relname_relid(table->table, nsp) : InvalidOid;

	*busy = false;
	if (!OidIsValid(relid))
		relid = table->relid;
	if (get_rel_relkind(relid) == '\0')
		return InvalidOid;
	*busy = !ConditionalLockRelationOid(relid, AccessShareLock) ||
		!OidIsValid(get_trigger_oid(relid, PROV_ROW_TRIGGER, true));
	/* the lock may have come after a drop */
	return *busy || get_rel_relkind(relid) != '\0' ? relid : InvalidOid;
}

/* The partition with storage, or the table itself, with the least OID that is at least from. */
static Oid
next_relation(Oid root, Oid from)
{
	List	   *relids = find_all_inheritors(root, NoLock, NULL);
	Oid			least = InvalidOid;
	ListCell   *lc;

	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);

		if (relid >= from && get_rel_relkind(relid) == RELKIND_RELATION && (!OidIsValid(least) || relid < least))
			least = relid;
	}
	list_free(relids);
	return least;
}

/* A candidate for each row of the blocks from next_block on; moves that. */
static void
record_blocks(Relation rel, const ProvTarget *target, Phase *phase)
{
	TimestampTz start = GetCurrentTimestamp();
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "provenance baseline", ALLOCSET_DEFAULT_SIZES);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	int64		until = Min(Min(phase->end_block, RelationGetNumberOfBlocks(rel)), phase->next_block + CHUNK_BLOCKS);
	int64		block = phase->next_block;
	int64		n = 0;
	ItemPointerData min;
	ItemPointerData max;
	TableScanDesc scan;

	if (until <= block)
		until = phase->end_block;	/* the relation was truncated at its end */
	else
	{
		ItemPointerSet(&min, (BlockNumber) block, 0);
		ItemPointerSet(&max, (BlockNumber) (until - 1), PG_UINT16_MAX);
		scan = table_beginscan_tidrange(rel, GetActiveSnapshot(), &min, &max);
		while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
		{
			MemoryContext old;

			CHECK_FOR_INTERRUPTS();
			if (ItemPointerGetBlockNumber(&slot->tts_tid) != block)
			{
				block = ItemPointerGetBlockNumber(&slot->tts_tid);
				if (n >= CHUNK_ROWS || TimestampDifferenceExceeds(start, GetCurrentTimestamp(), CHUNK_MS) ||
					prov_database_wanted())
				{
					until = block;
					break;
				}
			}
			old = MemoryContextSwitchTo(row);
			prov_record_candidate(target, rel->rd_rel->relowner, slot, GetCurrentCommandId(false));
			MemoryContextSwitchTo(old);
			MemoryContextReset(row);
			n++;
		}
		table_endscan(scan);
	}
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(row);
	phase->next_block = until;
	phase->rows += n;
}

/* One chunk of the relation in hand; then the place of the next, or the end of the phase. */
static ProvBaselineWork
advance(Oid root, Phase *phase)
{
	Oid			relid;
	Relation	rel;
	ProvTarget	target;

	if (phase->database_oid != MyDatabaseId || phase->system_identifier != GetSystemIdentifier())
		phase->relid = phase->filenode = InvalidOid;
	relid = next_relation(root, phase->relid);
	if (!OidIsValid(relid))
	{
		prov_phase_end(phase->table_id, root);
		return PROV_BASELINES_DONE;
	}
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return PROV_BASELINES_WAIT;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		return PROV_BASELINES_WAIT; /* dropped just now */
	if (prov_root(rel) != root)
	{
		/* detached just now */
		relation_close(rel, NoLock);
		return PROV_BASELINES_WAIT;
	}

	target = *prov_target(rel, phase->table_id);
	CommandCounterIncrement();	/* it may have written a shape */
	if (relid != phase->relid || rel->rd_rel->relfilenode != phase->filenode)
	{
		phase->relid = relid;
		phase->filenode = rel->rd_rel->relfilenode;
		phase->next_block = 0;
		phase->end_block = RelationGetNumberOfBlocks(rel);
	}
	PushActiveSnapshot(GetLatestSnapshot());
	record_blocks(rel, &target, phase);
	PopActiveSnapshot();
	if (phase->next_block >= phase->end_block)
	{
		phase->relid++;			/* wraps to InvalidOid after the last there can be */
		phase->filenode = InvalidOid;
		if (!OidIsValid(phase->relid) || !OidIsValid(next_relation(root, phase->relid)))
		{
			table_close(rel, NoLock);
			prov_phase_end(phase->table_id, root);
			return PROV_BASELINES_DONE;
		}
	}
	table_close(rel, NoLock);
	store_phase(phase);
	return PROV_BASELINES_MORE;
}

static ProvBaselineWork
write_chunk(int32 table_id)
{
	ProvBaselineWork work = PROV_BASELINES_WAIT;
	ProvTable  *table;
	Phase		phase;
	Oid			root;
	bool		busy;

	StartTransactionCommand();
	if (prov_installed() && lock_ledger())
	{
		table = prov_table_by_id(table_id, NULL);
		root = table == NULL ? InvalidOid : lock_root(table, &busy);
		if (!OidIsValid(root) || busy)
		{
			if (!OidIsValid(root))
			{
				prov_phase_end(table_id, InvalidOid);
				work = PROV_BASELINES_DONE;
			}
		}
		else if (!fetch_phase(table_id, NULL, &phase))
			work = PROV_BASELINES_DONE;
		else
			work = advance(root, &phase);
		PROV_STOP_POINT("baseline-chunk");
	}
	CommitTransactionCommand();
	return work;
}

/* ---- all tables ---- */

static List *
phases(MemoryContext context)
{
	List	   *ids = NIL;

	StartTransactionCommand();
	if (prov_installed())
	{
		TupleDesc	desc = prov_tupdesc(PROV_BASELINE_PHASE);
		ProvScan	scan;
		HeapTuple	tup;

		prov_scan_begin(&scan, PROV_BASELINE_PHASE, InvalidOid, NULL, 0, NULL);
		while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
		{
			bool		isnull;
			MemoryContext old = MemoryContextSwitchTo(context);

			ids = lappend_int(ids, DatumGetInt32(heap_getattr(tup, A_PHASE_TABLE, desc, &isnull)));
			MemoryContextSwitchTo(old);
		}
		prov_scan_end(&scan);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return ids;
}

/* A table whose last chunk failed. */
typedef struct Retry
{
	int32		table_id;		/* hash key */
	int			failures;		/* in a row */
	TimestampTz not_before;
} Retry;

static HTAB *retries = NULL;	/* of this worker's life; NULL: never one */

static void
put_off(int32 table_id)
{
	Retry	   *retry;
	bool		found;

	if (retries == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(int32), .entrysize = sizeof(Retry)};

		retries = hash_create("provenance baselines", 8, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	retry = hash_search(retries, &table_id, HASH_ENTER, &found);
	retry->failures = found ? Min(retry->failures + 1, 16) : 1;
	retry->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													Min(500L << retry->failures, MAX_RETRY_MS));
}

static bool
is_put_off(int32 table_id)
{
	Retry	   *retry = retries == NULL ? NULL : hash_search(retries, &table_id, HASH_FIND, NULL);

	return retry != NULL && GetCurrentTimestamp() < retry->not_before;
}

/* What fails is logged, kept in worker_state, and put off: it holds up no other table. */
static ProvBaselineWork
try_chunk(int32 table_id, MemoryContext context)
{
	volatile ProvBaselineWork work = PROV_BASELINES_WAIT;
	char	   *volatile message = NULL;

	if (is_put_off(table_id))
		return PROV_BASELINES_WAIT;

	PG_TRY();
	{
		work = write_chunk(table_id);
		MemoryContextSwitchTo(context);
	}
	PG_CATCH();
	{
		message = prov_recover(context);
	}
	PG_END_TRY();
	if (message != NULL)
	{
		prov_report_error(message);
		put_off(table_id);
	}
	else if (retries != NULL)
		(void) hash_search(retries, &table_id, HASH_REMOVE, NULL);
	return work;
}

ProvBaselineWork
prov_write_baselines(void)
{
	MemoryContext context = CurrentMemoryContext;
	ProvBaselineWork result = PROV_BASELINES_DONE;
	List	   *ids = phases(context);
	ListCell   *lc;

	if (ids == NIL)
		return PROV_BASELINES_DONE;
	pgstat_report_activity(STATE_RUNNING, "recording rows of tables tagged with baseline \"later\"");
	foreach(lc, ids)
	{
		ProvBaselineWork work = try_chunk(lfirst_int(lc), context);

		result = Max(result, work);
		if (prov_database_wanted())
			break;
	}
	return result;
}
