/*
 * key.c: from the key values that somebody gives to the identity of a row.
 *
 * The row is looked for in the table first, and what is stored there gives the
 * text of the key; if there is no such row (it was deleted), the given value's
 * own text must do (ledger/key_args.h says why).
 *
 * The look-up runs as the caller, as a query that the caller could have
 * written; what users wrote into their types (output functions, the checks of
 * domains) runs as the table's owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "ledger/key_args.h"
#include "prove/prove.h"
#include "types/types.h"

Oid
prove_owner_of(Oid relid)
{
	HeapTuple	tup = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tup))->relowner;
	ReleaseSysCache(tup);
	return owner;
}

static void
wrong_number(const ProveTarget *target, int n)
{
	StringInfoData names;
	int			i;

	initStringInfo(&names);
	for (i = 0; i < target->nkeys; i++)
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ", target->key_names[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("wrong number of key values for table \"%s\"", get_rel_name(target->relid)),
			 errdetail("%d given, %d expected.", n, target->nkeys),
			 errhint("The key is (%s).", names.data)));
}

static void
null_value(const ProveTarget *target, int i)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("value of key column \"%s\" must not be null", target->key_names[i])));
}

/* The arguments as values of the key columns. */
static void
take_arguments(const ProveTarget *target, const ProvArgument *args, int n, ProvKeyArgs *key)
{
	int			i;

	if (n != target->nkeys)
		wrong_number(target, n);
	prov_key_args_init(key, target->relid, prove_owner_of(target->relid));
	for (i = 0; i < n; i++)
	{
		if (args[i].isnull)
			null_value(target, i);
		prov_key_args_add(key, target->key_attnums[i], target->key_names[i], &args[i]);
	}
}

/* The identity that the canonical texts of the values make. */
static void
identity_of(ProvKeyArgs *key, const ProveTarget *target, const ProvIdentity *log, uint8 id[PV_ROW_ID_LEN])
{
	prov_key_args_texts(key);
	prov_check(pv_row_identity(prov_hasher(), log->row_key, target->table->table_id, key->texts, key->n, id));
}

/*
 * Replaces the values by those of the row in the table that equals them;
 * false if there is none, or if the key's columns cannot be compared.
 */
static bool
find_row(ProvKeyArgs *key)
{
	StringInfoData columns;
	Datum		stored[INDEX_MAX_KEYS];
	int			i;

	initStringInfo(&columns);
	for (i = 0; i < key->n; i++)
		appendStringInfo(&columns, "%st.%s", i == 0 ? "" : ", ", quote_identifier(key->names[i]));
	if (!prov_key_args_find(key, columns.data, key->n, stored))
		return false;
	memcpy(key->values, stored, sizeof(Datum) * key->n);
	return true;
}

int
prove_identities(const ProveTarget *target, const ProvArgument *args, int n, uint8 ids[2][PV_ROW_ID_LEN])
{
	ProvIdentity *log = prov_identity(false);
	ProvKeyArgs key;

	take_arguments(target, args, n, &key);
	identity_of(&key, target, log, ids[1]);
	if (!find_row(&key))
	{
		memcpy(ids[0], ids[1], PV_ROW_ID_LEN);
		return 1;
	}
	identity_of(&key, target, log, ids[0]);
	return memcmp(ids[0], ids[1], PV_ROW_ID_LEN) == 0 ? 1 : 2;
}

int
prove_key_identities(FunctionCallInfo fcinfo, int first, const ProveTarget *target, uint8 ids[2][PV_ROW_ID_LEN])
{
	ProvArgument *args;
	int			n = prov_arguments(fcinfo, first, &args);

	if (n < 0)
		null_value(target, 0);
	return prove_identities(target, args, n, ids);
}
