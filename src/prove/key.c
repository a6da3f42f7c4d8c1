/*
 * key.c: from the key values that somebody gives to the identity of a row.
 *
 * Identities are made of the canonical text of the key. A user gives values,
 * and equality of values is not equality of texts: numeric 1.0 equals 1.00,
 * citext 'A' equals 'a'. So the row is looked for in the table first, by the
 * key's own operators, and what is stored there gives the text; if there is no
 * such row (it was deleted), the given value's own text must do.
 *
 * The look-up runs as the caller, as a query that the caller could have
 * written; what users wrote into their types (output functions, the checks of
 * domains) runs as the table's owner.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "ledger/canonical.h"
#include "prove/prove.h"
#include "types/types.h"

/* One key: values of the key columns' types. */
typedef struct KeyValues
{
	int			n;
	Oid			types[INDEX_MAX_KEYS];	/* TEXTOID where the column is gone */
	int32		typmods[INDEX_MAX_KEYS];
	Datum		values[INDEX_MAX_KEYS];
	ProvOutput	outputs[INDEX_MAX_KEYS];
	pv_value	texts[INDEX_MAX_KEYS];
} KeyValues;

static Oid
owner_of(Oid relid)
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

/* The arguments as values of the key columns, from a list or a VARIADIC array. */
static void
get_arguments(FunctionCallInfo fcinfo, int first, const ProveTarget *target, KeyValues *key)
{
	Datum	   *args = palloc(sizeof(Datum) * (PG_NARGS() + 1));
	bool	   *nulls = palloc(sizeof(bool) * (PG_NARGS() + 1));
	Oid		   *types = palloc(sizeof(Oid) * (PG_NARGS() + 1));
	Oid			owner = owner_of(target->relid);
	int			n = PG_NARGS() - first;
	int			i;

	if (get_fn_expr_variadic(fcinfo->flinfo))
	{
		Oid			array_type = get_base_element_type(get_fn_expr_argtype(fcinfo->flinfo, first));
		int16		len;
		bool		byval;
		char		align;

		if (PG_ARGISNULL(first))
			null_value(target, 0);
		get_typlenbyvalalign(array_type, &len, &byval, &align);
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(first), array_type, len, byval, align, &args, &nulls, &n);
		types = palloc(sizeof(Oid) * (n + 1));
		for (i = 0; i < n; i++)
			types[i] = array_type;
	}
	else
		for (i = 0; i < n; i++)
		{
			args[i] = PG_GETARG_DATUM(first + i);
			nulls[i] = PG_ARGISNULL(first + i);
			types[i] = get_fn_expr_argtype(fcinfo->flinfo, first + i);
		}

	if (n != target->nkeys)
		wrong_number(target, n);
	key->n = n;
	for (i = 0; i < n; i++)
	{
		Oid			collation;

		if (nulls[i])
			null_value(target, i);
		key->types[i] = TEXTOID;
		key->typmods[i] = -1;
		if (target->key_attnums[i] != InvalidAttrNumber)
			get_atttypetypmodcoll(target->relid, target->key_attnums[i],
								  &key->types[i], &key->typmods[i], &collation);
		key->values[i] = prov_value_as(args[i], types[i], key->types[i], key->typmods[i], owner);
	}
}

static void
output_key(void *arg)
{
	KeyValues  *key = arg;
	int			i;

	for (i = 0; i < key->n; i++)
		key->texts[i] = prov_output(&key->outputs[i], key->values[i]);
}

/* Canonical texts, and the identity that they make. */
static void
identity_of(KeyValues *key, const ProveTarget *target, const ProvIdentity *log, uint8 id[PV_ROW_ID_LEN])
{
	int			needs = 0;
	int			i;

	for (i = 0; i < key->n; i++)
	{
		prov_output_init(&key->outputs[i], key->types[i], CurrentMemoryContext);
		needs |= key->outputs[i].needs;
	}
	prov_canonical_run(needs, owner_of(target->relid), output_key, key);
	prov_check(pv_row_identity(prov_hasher(), log->row_key, target->table->table_id, key->texts, key->n, id));
}

/*
 * Replaces the values by those of the row in the table that equals them;
 * false if there is none, or if the key's columns cannot be compared.
 */
static bool
find_row(KeyValues *key, const ProveTarget *target)
{
	StringInfoData query;
	MemoryContext caller = CurrentMemoryContext;
	bool		found = false;
	int			i;

	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT ");
	for (i = 0; i < key->n; i++)
	{
		if (target->key_attnums[i] == InvalidAttrNumber)
			return false;
		appendStringInfo(&query, "%st.%s", i == 0 ? "" : ", ", quote_identifier(target->key_names[i]));
	}
	appendStringInfo(&query, " FROM %s%s t WHERE ",
					 get_rel_relkind(target->relid) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(target->relid)),
												get_rel_name(target->relid)));
	for (i = 0; i < key->n; i++)
	{
		Oid			op = lookup_type_cache(key->types[i], TYPECACHE_EQ_OPR)->eq_opr;
		HeapTuple	tup;
		Form_pg_operator form;

		if (!OidIsValid(op))
			return false;
		tup = SearchSysCache1(OPEROID, ObjectIdGetDatum(op));
		if (!HeapTupleIsValid(tup))
			elog(ERROR, "cache lookup failed for operator %u", op);
		form = (Form_pg_operator) GETSTRUCT(tup);
		appendStringInfo(&query, "%st.%s OPERATOR(%s.%s) $%d", i == 0 ? "" : " AND ",
						 quote_identifier(target->key_names[i]),
						 quote_identifier(get_namespace_name(form->oprnamespace)),
						 NameStr(form->oprname), i + 1);
		ReleaseSysCache(tup);
	}

	SPI_connect();
	if (SPI_execute_with_args(query.data, key->n, key->types, key->values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "looking up a key failed: %s", query.data);
	if (SPI_processed > 0)
	{
		HeapTuple	tup = SPI_tuptable->vals[0];
		MemoryContext spi = MemoryContextSwitchTo(caller);

		found = true;
		for (i = 0; i < key->n; i++)
		{
			bool		isnull;
			Datum		d = SPI_getbinval(tup, SPI_tuptable->tupdesc, i + 1, &isnull);
			Form_pg_attribute att = TupleDescAttr(SPI_tuptable->tupdesc, i);

			if (isnull)
			{
				found = false;	/* an operator that lets NULL equal something */
				break;
			}
			key->values[i] = datumCopy(d, att->attbyval, att->attlen);
		}
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return found;
}

int
prove_key_identities(FunctionCallInfo fcinfo, int first, const ProveTarget *target, uint8 ids[2][PV_ROW_ID_LEN])
{
	ProvIdentity *log = prov_identity(false);
	KeyValues	key;

	get_arguments(fcinfo, first, target, &key);
	identity_of(&key, target, log, ids[1]);
	if (!find_row(&key, target))
	{
		memcpy(ids[0], ids[1], PV_ROW_ID_LEN);
		return 1;
	}
	identity_of(&key, target, log, ids[0]);
	return memcmp(ids[0], ids[1], PV_ROW_ID_LEN) == 0 ? 1 : 2;
}
