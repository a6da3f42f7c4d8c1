/*
 * export_shapes.c: the shapes of the table that is exported: which of their
 * columns are disclosed, and which says whose data a row is.
 *
 * Columns are asked for by any name that the table has had for them. Today's
 * catalog says who may SELECT what; a column of a name that the table has no
 * more is the owner's to disclose, and withheld from bundles of others who
 * did not ask for it. So what may not be given is never left out silently
 * where it was asked for, or where it could have been.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "partner/export.h"

static bool
name_in(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/* The names of a name[]; 22004 for a NULL, 42701 for one named twice. */
static List *
column_names(ArrayType *array)
{
	List	   *names = NIL;
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	int			i;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elems, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		char	   *name;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("names of columns must not be null")));
		name = pstrdup(NameStr(*DatumGetName(elems[i])));
		if (name_in(names, name))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is named twice", name)));
		names = lappend(names, name);
	}
	return names;
}

/* May this caller disclose a column that is asked for, or that nobody left out? */
static bool
may_disclose(const ProveTarget *target, pv_name column, const char *name, bool asked)
{
	if (prove_column_visible(target, column))
		return true;
	if (get_attnum(target->relid, name) != InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for column \"%s\" of table \"%s\"", name, get_rel_name(target->relid)),
				 asked ? 0 : errhint("Name the columns to disclose.")));
	if (asked)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table \"%s\" to disclose column \"%s\", which it no longer has",
						get_rel_name(target->relid), name)));
	return false;
}

static int
column_of(const ProvShape *shape, pv_name name)
{
	int			i;

	for (i = 0; i < shape->shape.ncolumns; i++)
		if (shape->columns[i].name.len == name.len && memcmp(shape->columns[i].name.s, name.s, name.len) == 0)
			return i;
	return -1;
}

/*
 * The column that says whose data a row is; newer: the shape after this one.
 * The registry has its name of today. It cannot be dropped, but renamed, which
 * makes a shape of its own: then it is in its place, under a name that the
 * newer shape does not have.
 */
static int
subject_column(const ProvShape *shape, const ExportShape *newer, const char *today)
{
	pv_value	utf8;
	pv_name		name;
	int			i;

	if (newer == NULL)
	{
		utf8 = prov_utf8_value(today);
		name.s = (const char *) utf8.data;
		name.len = (uint16_t) utf8.len;
		return column_of(shape, name);
	}
	if (newer->subject < 0)
		return -1;
	i = column_of(shape, newer->shape->columns[newer->subject].name);
	if (i >= 0)
		return i;
	if (newer->subject < shape->shape.ncolumns &&
		column_of(newer->shape, shape->columns[newer->subject].name) < 0)
		return newer->subject;
	return -1;
}

static int
compare_newest_first(const ListCell *a, const ListCell *b)
{
	return lfirst_int(a) > lfirst_int(b) ? -1 : lfirst_int(a) < lfirst_int(b);
}

void
export_load_shapes(Export *x, ArrayType *asked)
{
	List	   *names = asked == NULL ? NIL : column_names(asked);
	HASHCTL		ctl = {.keysize = sizeof(int32), .entrysize = sizeof(ExportShape), .hcxt = x->cxt};
	TupleDesc	desc = prov_tupdesc(PROV_SHAPE);
	ExportShape *newer = NULL;
	List	   *ids = NIL;
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	ListCell   *lc;

	x->shapes = hash_create("provenance export, shapes", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	prov_key_init(&key, PROV_SHAPE, A_SHAPE_TABLE_ID, BTEqualStrategyNumber, Int32GetDatum(x->target->table->table_id));
	prov_scan_begin(&scan, PROV_SHAPE, prov_shape_table_index(), x->snapshot, 1, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;

		ids = lappend_int(ids, DatumGetInt32(heap_getattr(tup, A_SHAPE_ID, desc, &isnull)));
	}
	prov_scan_end(&scan);

	list_sort(ids, compare_newest_first);
	foreach(lc, ids)
	{
		int32		id = lfirst_int(lc);
		ProvShape  *shape = prov_shape_fetch(id, x->snapshot);
		ExportShape *s;
		int			i;

		if (shape == NULL || shape->status != PV_OK)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("shape %d cannot be read", id),
					 errhint("SELECT * FROM provenance.verify_log() says more.")));
		s = hash_search(x->shapes, &id, HASH_ENTER, NULL);
		s->shape = shape;
		s->chosen = palloc(sizeof(bool) * shape->shape.ncolumns);
		s->slot = -1;
		s->subject = x->target->table->subject == NULL ? -1 :
			subject_column(shape, newer, x->target->table->subject);
		newer = s;
		for (i = 0; i < shape->shape.ncolumns; i++)
		{
			pv_name		column = shape->columns[i].name;
			char	   *name = prove_text(column.s, column.len);

			s->chosen[i] = (asked == NULL || name_in(names, name)) &&
				may_disclose(x->target, column, name, asked != NULL);
			if (s->chosen[i] && !name_in(x->columns, name))
				x->columns = lappend(x->columns, name);
		}
	}
	foreach(lc, names)
		if (!name_in(x->columns, lfirst(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("table \"%s\" has no recorded column \"%s\"", get_rel_name(x->target->relid),
							(char *) lfirst(lc))));
}

ExportShape *
export_shape(Export *x, int32 shape_id, int64 leaf)
{
	ExportShape *shape = hash_search(x->shapes, &shape_id, HASH_FIND, NULL);

	if (shape == NULL)
		prove_log_damaged(leaf);
	return shape;
}
