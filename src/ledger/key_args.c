/*
 * key_args.c: key values from a function's arguments, their canonical texts,
 * and the look-up of the row that has them.
 *
 * The look-up compares with the default equality of each column's type, which
 * is named with its schema, so that no search path chooses another one. It runs
 * as the current user and opens no security context: who looks below privileges
 * and row security has to set that up first.
 *
 * What users wrote into their types to read and show values (the checks of
 * domains, output functions) runs as the table's owner in any case.
 */
#include "postgres.h"

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

#include "ledger/key_args.h"

int
prov_arguments(FunctionCallInfo fcinfo, int first, ProvArgument **args)
{
	int			n = PG_NARGS() - first;
	ProvArgument *out;
	int			i;

	if (get_fn_expr_variadic(fcinfo->flinfo))
	{
		Oid			type = get_base_element_type(get_fn_expr_argtype(fcinfo->flinfo, first));
		Datum	   *values;
		bool	   *nulls;
		int16		len;
		bool		byval;
		char		align;

		if (PG_ARGISNULL(first))
			return -1;
		get_typlenbyvalalign(type, &len, &byval, &align);
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(first), type, len, byval, align, &values, &nulls, &n);
		out = palloc(sizeof(ProvArgument) * (n + 1));
		for (i = 0; i < n; i++)
		{
			out[i].value = values[i];
			out[i].isnull = nulls[i];
			out[i].type = type;
		}
	}
	else
	{
		out = palloc(sizeof(ProvArgument) * (n + 1));
		for (i = 0; i < n; i++)
		{
			out[i].value = PG_GETARG_DATUM(first + i);
			out[i].isnull = PG_ARGISNULL(first + i);
			out[i].type = get_fn_expr_argtype(fcinfo->flinfo, first + i);
		}
	}
	*args = out;
	return n;
}

void
prov_key_args_init(ProvKeyArgs *key, Oid relid, Oid owner)
{
	memset(key, 0, sizeof(*key));
	key->relid = relid;
	key->owner = owner;
}

void
prov_key_args_add(ProvKeyArgs *key, AttrNumber attnum, const char *name, const ProvArgument *arg)
{
	Oid			type = TEXTOID;
	int32		typmod = -1;
	Oid			collation;

	if (key->n >= INDEX_MAX_KEYS)
		elog(ERROR, "too many key columns");
	if (attnum == InvalidAttrNumber)
		key->gone = true;
	else
		get_atttypetypmodcoll(key->relid, attnum, &type, &typmod, &collation);
	key->names[key->n] = name;
	key->types[key->n] = type;
	key->values[key->n] = prov_value_as(arg->value, arg->type, type, typmod, key->owner);
	key->n++;
}

static void
output_key(void *arg)
{
	ProvKeyArgs *key = arg;
	int			i;

	for (i = 0; i < key->n; i++)
		key->texts[i] = prov_output(&key->outputs[i], key->values[i]);
}

void
prov_key_args_texts(ProvKeyArgs *key)
{
	int			needs = 0;
	int			i;

	for (i = 0; i < key->n; i++)
	{
		prov_output_init(&key->outputs[i], key->types[i], CurrentMemoryContext);
		needs |= key->outputs[i].needs;
	}
	prov_canonical_run(needs, key->owner, output_key, key);
}

/* False if a column is gone or its type has no equality. */
static bool
lookup_query(const ProvKeyArgs *key, const char *columns, StringInfo query)
{
	int			i;

	if (key->gone)
		return false;
	initStringInfo(query);
	appendStringInfo(query, "SELECT %s FROM %s%s t WHERE ", columns,
					 get_rel_relkind(key->relid) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(key->relid)),
												get_rel_name(key->relid)));
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
		appendStringInfo(query, "%st.%s OPERATOR(%s.%s) $%d", i == 0 ? "" : " AND ",
						 quote_identifier(key->names[i]),
						 quote_identifier(get_namespace_name(form->oprnamespace)),
						 NameStr(form->oprname), i + 1);
		ReleaseSysCache(tup);
	}
	return true;
}

bool
prov_key_args_find(ProvKeyArgs *key, const char *columns, int ncolumns, Datum *out)
{
	StringInfoData query;
	MemoryContext caller = CurrentMemoryContext;
	bool		found = false;
	int			i;

	if (!lookup_query(key, columns, &query))
		return false;

	SPI_connect();
	if (SPI_execute_with_args(query.data, key->n, key->types, key->values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "looking up a key failed: %s", query.data);
	if (SPI_processed > 0)
	{
		HeapTuple	tup = SPI_tuptable->vals[0];
		MemoryContext spi = MemoryContextSwitchTo(caller);

		found = true;
		for (i = 0; i < ncolumns; i++)
		{
			bool		isnull;
			Datum		d = SPI_getbinval(tup, SPI_tuptable->tupdesc, i + 1, &isnull);
			Form_pg_attribute att = TupleDescAttr(SPI_tuptable->tupdesc, i);

			if (isnull)
			{
				found = false;	/* an operator that lets NULL equal something */
				break;
			}
			out[i] = datumCopy(d, att->attbyval, att->attlen);
		}
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return found;
}
