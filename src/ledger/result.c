/*
 * result.c: rows of the SQL functions whose result is a composite type of the
 * extension.
 *
 * A version may add attributes to the end of such a type, so the type and the
 * library of a process need not be of one version: the arrays here have as many
 * elements as the library knows, the tuple descriptor has as many attributes as
 * the catalogs say. A library of before gives NULL for what it does not know; a
 * library of now leaves out what the catalogs do not have yet.
 *
 * A superuser can also drop attributes, or change their types, or put another
 * view in place of one that C reads. That is an error here: a text read as a
 * number would be a crash.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "ledger/catalog.h"
#include "ledger/result.h"

ReturnSetInfo *
prov_result_begin(FunctionCallInfo fcinfo, const char *types)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n = strlen(types);
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	for (i = 0; i < Min(n, rsinfo->setDesc->natts); i++)
	{
		Form_pg_attribute att = TupleDescAttr(rsinfo->setDesc, i);

		if (att->attisdropped || att->atttypid != prov_type_of(types[i]))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot return rows of type %s", format_type_be(rsinfo->setDesc->tdtypeid)),
					 errdetail("Its attributes are not those that the extension made.%s", prov_other_version())));
	}
	return rsinfo;
}

void
prov_check_view(TupleDesc desc, const char *types, const char *view)
{
	int			n = strlen(types);
	bool		ok = desc->natts == n;
	int			i;

	for (i = 0; i < n && ok; i++)
		ok = TupleDescAttr(desc, i)->atttypid == prov_type_of(types[i]);
	if (!ok)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot read view %s", view),
				 errdetail("The types of its columns are not those that the extension made.%s", prov_other_version())));
}

void
prov_result_put(ReturnSetInfo *rsinfo, int n, Datum *values, bool *nulls)
{
	int			natts = rsinfo->setDesc->natts;
	Datum	   *all_values;
	bool	   *all_nulls;

	if (natts <= n)
	{
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		return;
	}
	all_values = palloc0(natts * sizeof(Datum));
	all_nulls = palloc(natts * sizeof(bool));
	memset(all_nulls, true, natts * sizeof(bool));
	memcpy(all_values, values, n * sizeof(Datum));
	memcpy(all_nulls, nulls, n * sizeof(bool));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, all_values, all_nulls);
	pfree(all_values);
	pfree(all_nulls);
}
