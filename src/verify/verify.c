/*
 * verify.c: the verifying functions as SQL calls them.
 *
 * verify_log(), verify() and verify_checkpoint() are for everybody: they name
 * tables, numbers and hashes, and keys only to those who may SELECT from the
 * table; they show no other value. verify_table() and verify_row()
 * need SELECT on the table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/row_image.h"
#include "ledger/triggers.h"
#include "verify/verify.h"

PG_FUNCTION_INFO_V1(provenance_verify_row);
PG_FUNCTION_INFO_V1(provenance_verify_table);
PG_FUNCTION_INFO_V1(provenance_verify_log);
PG_FUNCTION_INFO_V1(provenance_verify_checkpoint);
PG_FUNCTION_INFO_V1(provenance_verify);

typedef struct TargetTask
{
	Verify	   *v;
	Oid			root;
	ProvTable  *table;
} TargetTask;

static void
read_target(void *arg)
{
	TargetTask *task = arg;

	task->table = prov_table_by_relid(task->root, task->v->snapshot);
	if (task->table == NULL)
		task->table = prov_table_ever(task->root, task->v->snapshot);
}

/*
 * The tagged table that a relation is, or is a partition of; now or formerly.
 * NULL, and a finding, if the registry cannot be read.
 */
static TableState *
find_target(Verify *v, Oid relid)
{
	TargetTask	task = {.v = v};
	Relation	rel = relation_open(relid, AccessShareLock);

	task.root = prov_root(rel);
	relation_close(rel, NoLock);
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	if (!v->usable)
		return NULL;
	if (!verify_try(v, read_target, &task))
	{
		verify_finding(v, "unreadable", SEV_ERROR, "registry", -1, -1, "The registry cannot be read: %s", v->fault);
		return NULL;
	}
	if (task.table == NULL && OidIsValid(get_trigger_oid(task.root, PROV_ROW_TRIGGER, true)))
	{
		verify_finding(v, "registry_missing", SEV_ERROR, get_rel_name(task.root), -1, -1,
					   "The table has the trigger of a tagged table, and the registry does not know it.");
		return NULL;
	}
	if (task.table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was never tagged", get_rel_name(relid))));
	return table_state(v, task.table->table_id);
}

static int64
get_since_size(FunctionCallInfo fcinfo, int n)
{
	int64		size = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT64(n);

	if (size < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a log's size is not negative")));
	return size;
}

/* *arg: the newest incarnation of which there is a row; 1: none. */
typedef struct NewestTask
{
	Verify	   *v;
	int32		n;
} NewestTask;

static void
newest_incarnation(void *arg)
{
	NewestTask *task = arg;
	TupleDesc	desc = prov_tupdesc(PROV_INCARNATION);
	ProvScan	scan;
	HeapTuple	tup;

	task->n = 1;
	prov_scan_begin(&scan, PROV_INCARNATION, InvalidOid, task->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		Datum		n = heap_getattr(tup, A_INC_N, desc, &isnull);

		if (!isnull)
			task->n = Max(task->n, DatumGetInt32(n));
	}
	prov_scan_end(&scan);
}

/* A ledger without an identity, and yet not empty; or with another incarnation than it has come to. */
void
verify_identity(Verify *v)
{
	NewestTask	task = {v, 1};

	if (v->identity == NULL && v->findings == 0 && v->log_size > 0)
		verify_finding(v, "identity_invalid", SEV_ERROR, "log_identity", -1, -1,
					   "The log has leaves, and its identity is gone.");
	if (v->identity == NULL)
		return;
	if (!verify_try(v, newest_incarnation, &task))
		verify_finding(v, "unreadable", SEV_ERROR, "incarnation", -1, -1,
					   "The log's incarnations cannot be read: %s", v->fault);
	else if (v->identity->incarnation != task.n)
		verify_finding(v, "identity_invalid", SEV_ERROR, "log_identity", -1, -1,
					   "The log is said to be of incarnation %d, the newest on record is %d.",
					   v->identity->incarnation, task.n);
}

/* Of nothing asked about, no rows would mean intact. */
static void
refuse_null(FunctionCallInfo fcinfo, const char *name)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

Datum
provenance_verify_row(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);
	TableState *state;

	refuse_null(fcinfo, "target");
	state = find_target(v, PG_GETARG_OID(0));
	if (state != NULL)
		verify_one_row(v, state, fcinfo, 1);
	verify_end(v);
	return (Datum) 0;
}

Datum
provenance_verify_table(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);
	TableState *state;

	refuse_null(fcinfo, "target");
	state = find_target(v, PG_GETARG_OID(0));
	if (state != NULL)
	{
		LogScanOptions options = {.images = true, .table_id = state->table_id};

		verify_parallel_begin(v);
		options.chains = chain_begin(v);
		verify_log_scan(v, &options);
		chain_add_unsealed(options.chains, false, state->table_id);
		chain_check(options.chains, false, state->table_id);
		verify_countersignatures(v, false, state->table_id);
	}
	verify_end(v);
	return (Datum) 0;
}

Datum
provenance_verify_log(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);
	LogScanOptions options = {.roots = true, .all_tables = true, .since_size = get_since_size(fcinfo, 0)};

	if (v->usable)
	{
		verify_identity(v);
		verify_parallel_begin(v);
		verify_log_scan(v, &options);
	}
	verify_end(v);
	return (Datum) 0;
}

Datum
provenance_verify_checkpoint(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);

	refuse_null(fcinfo, "kept");
	if (v->usable)
	{
		verify_identity(v);
		verify_kept_checkpoint(v, PG_GETARG_DATUM(0));
	}
	verify_end(v);
	return (Datum) 0;
}

static int64
get_budget(Interval *budget)
{
	double		ms = budget->time / 1000.0 + (budget->day + budget->month * 30.0) * 86400000.0;

	if (ms < 0 || ms > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the budget must be between 0 and 24 days")));
	return (int64) ms;
}

/* The log and every table, in one pass over the entries where that can be. */
static void
verify_everything(Verify *v, int64 since_size)
{
	LogScanOptions log = {.roots = true, .all_tables = true, .since_size = since_size};
	ChainSort  *chains;

	verify_parallel_begin(v);
	chains = chain_begin(v);
	if (since_size == 0)
	{
		log.images = true;
		log.chains = chains;
		verify_log_scan(v, &log);
	}
	else
	{
		LogScanOptions all = {.images = true, .all_tables = true, .chains = chains};

		verify_log_scan(v, &log);
		verify_log_scan(v, &all);
	}
	chain_add_unsealed(chains, true, 0);
	chain_check(chains, true, 0);
	verify_countersignatures(v, true, 0);
	verify_merged(v);
}

Datum
provenance_verify(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);
	int64		since_size = get_since_size(fcinfo, 0);
	int64		budget = PG_ARGISNULL(1) ? -1 : get_budget(PG_GETARG_INTERVAL_P(1));

	if (v->usable)
	{
		verify_identity(v);
		verify_guard(v);
		if (budget >= 0)
			verify_sample(v, since_size, budget);
		else
			verify_everything(v, since_size);
	}
	verify_end(v);
	return (Datum) 0;
}
