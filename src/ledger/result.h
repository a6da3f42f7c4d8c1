/*
 * result.h: rows of the SQL functions whose result is a composite type of the
 * extension, and rows read from its views.
 */
#ifndef PROV_RESULT_H
#define PROV_RESULT_H

#include "fmgr.h"
#include "funcapi.h"

/*
 * InitMaterializedSRF() for a result of these types, a letter each (columns.c).
 * The type in the catalogs may have more or fewer at its end, which another
 * version made; ERROR (55000) if it differs otherwise.
 */
extern ReturnSetInfo *prov_result_begin(FunctionCallInfo fcinfo, const char *types);

/* ERROR (55000) unless the rows of a query over that view have columns of these types. */
extern void prov_check_view(TupleDesc desc, const char *types, const char *view);

/* Adds a row of n values. What the type has beyond them is NULL, what it lacks is left out. */
extern void prov_result_put(ReturnSetInfo *rsinfo, int n, Datum *values, bool *nulls);

#endif							/* PROV_RESULT_H */
