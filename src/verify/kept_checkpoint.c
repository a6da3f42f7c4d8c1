/*
 * kept_checkpoint.c: question 4, a checkpoint that somebody else has kept: does
 * the log contain it, and extend it?
 *
 * A kept checkpoint of an earlier incarnation may be one of the branch that was
 * given up when a successor began. The log says so in the successor's entry,
 * and the finding is another one: not a contradiction, but not covered either.
 *
 * A kept checkpoint is compared with the root that the stored leaf hashes
 * give, computed from all of them and not read off the upper levels of the
 * tree. What it does not do: look whether the entries give those hashes. That
 * is verify_log()'s question. That the ledger has no row of a checkpoint that
 * it signed is a warning: the log holds, and a failover may have lost the row.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "types/types.h"
#include "verify/verify.h"

typedef struct RootTask
{
	Verify	   *v;
	int64		from;
	int64		size;
	pv_frontier frontier;
	bool		gap;
	bool		end;
} RootTask;

/* Some thousand leaf hashes more. */
static void
add_hashes(void *arg)
{
	RootTask   *task = arg;
	pv_frontier f = task->frontier;
	ProvLeafRef refs[PROV_RUN_MAX];
	ProvRunScan *scan = prov_run_scan_open(task->v->log, (int64) f.size);
	int64		first;
	int64		until = Min(task->size, (int64) f.size + 16384);
	int			count;
	bool		ok;

	while ((int64) f.size < until && prov_run_scan_next(scan, &first, &count, refs, &ok))
	{
		int			i;

		if (!ok || first > (int64) f.size)
			break;
		for (i = (int) ((int64) f.size - first); i >= 0 && i < count && (int64) f.size < until; i++)
			prov_check(pv_frontier_append(&f, prov_hasher(), &refs[i].hash, NULL, NULL));
	}
	prov_run_scan_close(scan);
	task->gap = (int64) f.size < until;
	task->frontier = f;
}

/* Which successor gave up a head that may extend the checkpoint? */
typedef struct AbandonedTask
{
	Verify	   *v;
	const pv_checkpoint *cp;
	int32		by;				/* its number; 0: none */
	int64		size;			/* of the head given up */
} AbandonedTask;

static void
find_abandoned(void *arg)
{
	AbandonedTask *task = arg;
	TupleDesc	desc = prov_tupdesc(PROV_INCARNATION);
	ProvScan	scan;
	HeapTuple	tup;

	task->by = 0;
	prov_scan_begin_ordered(&scan, PROV_INCARNATION, task->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		nulls[4];
		Datum		n = heap_getattr(tup, A_INC_N, desc, &nulls[0]);
		Datum		origin = heap_getattr(tup, A_INC_ORIGIN, desc, &nulls[1]);
		Datum		size = heap_getattr(tup, A_INC_SIZE, desc, &nulls[2]);
		Datum		root = heap_getattr(tup, A_INC_ROOT, desc, &nulls[3]);

		if (nulls[0] || nulls[1] || nulls[2] || nulls[3] || !verify_is_origin(task->cp, TextDatumGetCString(origin)))
			continue;
		/* of its own size it must be that very head */
		if (task->cp->size > (uint64) DatumGetInt64(size) ||
			(task->cp->size == (uint64) DatumGetInt64(size) &&
			 !pv_hash_equal(&task->cp->root, DatumGetHashP(root))))
			continue;
		task->by = DatumGetInt32(n);
		task->size = DatumGetInt64(size);
	}
	prov_scan_end(&scan);
}

static void
report_abandoned(Verify *v, const AbandonedTask *task, const char *object)
{
	verify_finding(v, "abandoned_branch", SEV_WARNING, object, -1, -1,
				   "The checkpoint is of a branch that was given up, at size " INT64_FORMAT ", when incarnation %d began: this log does not contain what it covers.",
				   task->size, task->by);
}

typedef struct RowTask
{
	Verify	   *v;
	int32		incarnation;
	int64		size;
	bool		found;
} RowTask;

static void
find_row(void *arg)
{
	RowTask    *task = arg;

	task->found = HeapTupleIsValid(prov_fetch2(PROV_CHECKPOINT_NOTE, Int32GetDatum(task->incarnation),
											   Int64GetDatum(task->size), task->v->snapshot));
}

static void
check_row_kept(Verify *v, int32 incarnation, int64 size, const char *object)
{
	RowTask		task = {v, incarnation, size};

	if (!verify_try(v, find_row, &task))
		verify_finding(v, "unreadable", SEV_ERROR, object, -1, -1, "The ledger's row of the checkpoint cannot be read: %s", v->fault);
	else if (!task.found)
		verify_finding(v, "checkpoint_missing", SEV_WARNING, object, -1, -1,
					   "The log contains what the checkpoint covers and has signed it, but the ledger has no row of it any more.");
}

void
verify_kept_checkpoint(Verify *v, Datum kept)
{
	pv_checkpoint cp;
	LogKeys    *keys;
	AbandonedTask abandoned = {.v = v};
	RootTask	task = {.v = v};
	pv_hash		root;
	pv_status	status;
	char	   *object;
	int32		incarnation = 1;

	checkpoint_get(kept, &cp);
	object = psprintf("kept checkpoint " UINT64_FORMAT, cp.size);
	if (v->identity == NULL)
	{
		verify_finding(v, "checkpoint_foreign", SEV_ERROR, object, -1, -1, "This database has no log.");
		return;
	}
	if (!verify_is_origin(&cp, v->identity->origin))
	{
		size_t		base = strlen(v->identity->origin);
		uint64		number = 0;

		if (cp.originlen <= base + 1 || memcmp(cp.origin, v->identity->origin, base) != 0 ||
			cp.origin[base] != '/' ||
			pv_parse_decimal(cp.origin + base + 1, cp.originlen - base - 1, PG_INT32_MAX, &number) != PV_OK ||
			number < 2 || number > v->identity->incarnation)
		{
			verify_finding(v, "checkpoint_foreign", SEV_ERROR, object, -1, -1,
						   "The checkpoint is one of %s, this log is %s.",
						   verify_text(cp.origin, cp.originlen), v->identity->full_origin);
			return;
		}
		incarnation = (int32) number;
	}

	keys = verify_read_keys(v);
	status = verify_signature(v, keys, incarnation, &cp, object);
	abandoned.cp = &cp;
	if (status == PV_OK && incarnation < v->identity->incarnation &&
		!verify_try(v, find_abandoned, &abandoned))
		verify_finding(v, "unreadable", SEV_ERROR, "incarnation", -1, -1,
					   "The log's incarnations cannot be read: %s", v->fault);

	task.size = (int64) cp.size;
	pv_frontier_init(&task.frontier);
	verify_progress_begin(v, "leaf hashes", task.size);
	while ((int64) task.frontier.size < task.size)
	{
		if (!verify_try(v, add_hashes, &task))
		{
			verify_finding(v, "unreadable", SEV_ERROR, object, -1, (int64) task.frontier.size,
						   "The leaf hashes cannot be read: %s", v->fault);
			return;
		}
		if (task.gap)
		{
			int64		size = v->log_size;

			if ((int64) task.frontier.size >= size && abandoned.by > 0)
				report_abandoned(v, &abandoned, object);
			else if ((int64) task.frontier.size >= size)
				verify_finding(v, "checkpoint_beyond_log", SEV_ERROR, object, -1, -1,
							   "The checkpoint has " UINT64_FORMAT " leaves, the log only " UINT64_FORMAT ": its tail is gone.",
							   cp.size, task.frontier.size);
			else
				verify_finding(v, "leaf_missing", SEV_ERROR, object, -1, (int64) task.frontier.size,
							   "A run of leaves is missing or does not decode, so that the root of the checkpoint cannot be computed.");
			return;
		}
		verify_progress(v, (int64) task.frontier.size);
	}
	prov_check(pv_frontier_root(&task.frontier, prov_hasher(), &root));
	if (pv_hash_equal(&root, &cp.root))
	{
		if (status == PV_OK)
			check_row_kept(v, incarnation, task.size, object);
	}
	else if (abandoned.by > 0)
		report_abandoned(v, &abandoned, object);
	else
		verify_finding(v, "checkpoint_contradicted", SEV_ERROR, object, -1, -1,
					   "At this size the log has another root than the checkpoint: what the checkpoint covers was rewritten.");
}
