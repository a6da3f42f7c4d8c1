/*
 * key_args.h: key values that somebody gives, and the row that has them.
 *
 * Identities are made of the canonical text of the key. A user gives values,
 * and equality of values is not equality of texts: numeric 1.0 equals 1.00,
 * citext 'A' equals 'a'. So who wants a row's identity looks for the row in the
 * table too, by the key's own operators, and takes the text of what is stored
 * there besides the text of what was given.
 *
 * What is wrong with the arguments is the caller's to say: the functions that
 * take keys differ in what they know of the table.
 */
#ifndef PROV_KEY_ARGS_H
#define PROV_KEY_ARGS_H

#include "postgres.h"

#include "access/attnum.h"
#include "fmgr.h"
#include "pg_config_manual.h"

#include "core/fields.h"
#include "ledger/canonical.h"

/* An argument of whatever type. */
typedef struct ProvArgument
{
	Datum		value;
	bool		isnull;
	Oid			type;
} ProvArgument;

/* A key: values of the key columns' types, in key order. */
typedef struct ProvKeyArgs
{
	Oid			relid;
	Oid			owner;			/* runs what users wrote into their types */
	int			n;
	bool		gone;			/* a column is not in the table any more */
	const char *names[INDEX_MAX_KEYS];
	Oid			types[INDEX_MAX_KEYS];	/* TEXTOID where the column is gone */
	Datum		values[INDEX_MAX_KEYS];
	ProvOutput	outputs[INDEX_MAX_KEYS];
	pv_value	texts[INDEX_MAX_KEYS];
} ProvKeyArgs;

/*
 * The arguments from `first` on, from a list or a VARIADIC array, palloc'd.
 * Returns their number, -1 for a VARIADIC array that is NULL.
 */
extern int	prov_arguments(FunctionCallInfo fcinfo, int first, ProvArgument **args);

extern void prov_key_args_init(ProvKeyArgs *key, Oid relid, Oid owner);

/*
 * Adds the value of the next key column, from an argument that is not NULL.
 * attnum is InvalidAttrNumber for a column that is gone; name (of the server's
 * encoding) is kept, not copied.
 */
extern void prov_key_args_add(ProvKeyArgs *key, AttrNumber attnum, const char *name, const ProvArgument *arg);

/* Sets texts: the canonical texts of the values. */
extern void prov_key_args_texts(ProvKeyArgs *key);

/*
 * Looks for the row whose key equals the values, as the current user, who must
 * be allowed to: as a query that this user could have written. `columns` is the
 * query's select list, of the table as t, with ncolumns columns; their values,
 * copied into the current memory context, are put into `out`. False, and `out`
 * undefined, if there is no such row, if the key's columns cannot be compared,
 * or if one of the values is NULL.
 */
extern bool prov_key_args_find(ProvKeyArgs *key, const char *columns, int ncolumns, Datum *out);

#endif							/* PROV_KEY_ARGS_H */
