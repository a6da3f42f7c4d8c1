/*
 * verify.c: the verifying functions as SQL calls them.
 *
 * verify_log(), verify() and verify_checkpoint() are for everybody: they name
 * tables, numbers and hashes, and keys only to those who may SELECT from the
 * table; they show no other value. verify_table() needs SELECT on the table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/row_image.h"
#include "verify/verify.h"

PG_FUNCTION_INFO_V1(provenance_verify_table);
PG_FUNCTION_INFO_V1(provenance_verify_log);
PG_FUNCTION_INFO_V1(provenance_verify_checkpoint);
PG_FUNCTION_INFO_V1(provenance_verify);

/* The tagged table that a relation is, or is a partition of; now or formerly. */
static ProvTable *
find_target(Verify *v, Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	Oid			root = prov_root(rel);
	ProvTable  *table;

	relation_close(rel, NoLock);
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	table = prov_table_by_relid(root, v->snapshot);
	if (table == NULL)
		table = prov_table_ever(root, v->snapshot);
	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was never tagged", get_rel_name(relid))));
	return table;
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

/* A ledger without an identity, and yet not empty. */
static void
check_identity(Verify *v)
{
	if (v->identity == NULL && v->findings == 0 && prov_log_size(v->log) > 0)
		verify_finding(v, "identity_invalid", SEV_ERROR, "log_identity", -1, -1,
					   "The log has leaves, and its identity is gone.");
}

Datum
provenance_verify_table(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);
	ProvTable  *table = find_target(v, PG_GETARG_OID(0));
	LogScanOptions options = {.images = true, .table_id = table->table_id};

	options.chains = chain_begin(v);
	verify_log_scan(v, &options);
	chain_add_unsealed(options.chains, false, table->table_id);
	chain_check(options.chains, false, table->table_id);
	verify_end(v);
	return (Datum) 0;
}

Datum
provenance_verify_log(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);
	LogScanOptions options = {.roots = true, .all_tables = true, .since_size = get_since_size(fcinfo, 0)};

	check_identity(v);
	verify_log_scan(v, &options);
	verify_end(v);
	return (Datum) 0;
}

Datum
provenance_verify_checkpoint(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);

	check_identity(v);
	verify_kept_checkpoint(v, PG_GETARG_DATUM(0));
	verify_end(v);
	return (Datum) 0;
}

Datum
provenance_verify(PG_FUNCTION_ARGS)
{
	Verify	   *v = verify_begin(fcinfo);
	LogScanOptions options = {.roots = true, .all_tables = true, .since_size = get_since_size(fcinfo, 0)};
	ChainSort  *chains;

	check_identity(v);
	chains = chain_begin(v);
	if (options.since_size == 0)
	{
		options.images = true;
		options.chains = chains;
		verify_log_scan(v, &options);
	}
	else
	{
		LogScanOptions all = {.images = true, .all_tables = true, .chains = chains};

		verify_log_scan(v, &options);
		verify_log_scan(v, &all);
	}
	chain_add_unsealed(chains, true, 0);
	chain_check(chains, true, 0);
	verify_end(v);
	return (Datum) 0;
}
