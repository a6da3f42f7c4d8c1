/*
 * taggable.c: which tables can be tagged.
 *
 * The reasons against one: nothing is stored under that name (views, foreign
 * tables), what is stored does not last (temporary, unlogged), changes go
 * other ways than through the triggers or the heap (other access methods,
 * inheritance), or its rows have no identity that holds at every moment (no
 * key, a deferrable one).
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "capture/capture.h"
#include "ledger/row_image.h"

static const char *
kind_of(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
			return "a view";
		case RELKIND_MATVIEW:
			return "a materialized view";
		case RELKIND_FOREIGN_TABLE:
			return "a foreign table";
		case RELKIND_SEQUENCE:
			return "a sequence";
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return "an index";
		case RELKIND_COMPOSITE_TYPE:
			return "a composite type";
		default:
			return "not a table";
	}
}

/* What counts for the table itself and for each of its partitions. */
static void
check_storage(Relation rel)
{
	const char *name = RelationGetRelationName(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot tag \"%s\": it is %s", name, kind_of(rel->rd_rel->relkind))));
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot tag %s table \"%s\"",
						rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ? "temporary" : "unlogged", name),
				 errdetail("Its rows do not last, its history would.")));
	if (rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot tag table \"%s\": its access method is not heap", name),
				 errdetail("The order of a row's versions is read off heap tuples.")));
}

static bool
has_children(Relation rel)
{
	List	   *children = find_inheritance_children(RelationGetRelid(rel), NoLock);
	bool		any = children != NIL;

	list_free(children);
	return any;
}

static void
check_key(Relation rel)
{
	const char *name = RelationGetRelationName(rel);
	Oid			indexid = prov_key_index(rel);
	HeapTuple	tup;
	Form_pg_index index;
	int			i;

	if (!OidIsValid(indexid))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot tag table \"%s\": it has no primary key", name),
				 errhint("Create a primary key, or a unique index over NOT NULL columns and ALTER TABLE … REPLICA IDENTITY USING INDEX.")));

	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	index = (Form_pg_index) GETSTRUCT(tup);
	if (!index->indimmediate)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot tag table \"%s\": its key \"%s\" is deferrable", name, get_rel_name(indexid)),
				 errdetail("Two rows could bear one key for a while, and their changes could not be told apart."),
				 errhint("Make the key NOT DEFERRABLE.")));
	if (!index->indisunique || !index->indisvalid ||
		!heap_attisnull(tup, Anum_pg_index_indpred, NULL) || !heap_attisnull(tup, Anum_pg_index_indexprs, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot tag table \"%s\": index \"%s\" is no key of all its rows", name, get_rel_name(indexid)),
				 errdetail("The key must be unique, valid, over plain columns and not partial.")));
	for (i = 0; i < index->indnkeyatts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), index->indkey.values[i] - 1);

		if (!att->attnotnull)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot tag table \"%s\": key column \"%s\" can be null", name, NameStr(att->attname))));
	}
	ReleaseSysCache(tup);
}

void
prov_check_taggable(Relation rel)
{
	const char *name = RelationGetRelationName(rel);
	TupleDesc	desc = RelationGetDescr(rel);
	int			ncolumns = 0;
	int			i;

	if (IsSystemRelation(rel))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot tag \"%s\": it is a system catalog", name)));
	if (RelationGetNamespace(rel) == prov_namespace())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot tag \"%s\": it belongs to the extension", name)));
	check_storage(rel);

	if (rel->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot tag \"%s\": it is a partition", name),
				 errhint("Tag the partitioned table \"%s\".", get_rel_name(prov_root(rel)))));
	if (has_superclass(RelationGetRelid(rel)) ||
		(rel->rd_rel->relkind == RELKIND_RELATION && has_children(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot tag table \"%s\": it takes part in inheritance", name),
				 errdetail("A key does not hold over inheriting tables.")));

	for (i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			ncolumns++;
	if (ncolumns == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot tag table \"%s\": it has no columns", name)));
	check_key(rel);

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		ListCell   *lc;

		foreach(lc, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL))
		{
			Relation	part = table_open(lfirst_oid(lc), NoLock);

			check_storage(part);
			table_close(part, NoLock);
		}
	}
}

static bool
is_key_column(Relation rel, AttrNumber attnum)
{
	HeapTuple	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(prov_key_index(rel)));
	Form_pg_index index;
	bool		found = false;
	int			i;

	if (!HeapTupleIsValid(tup))
		return false;
	index = (Form_pg_index) GETSTRUCT(tup);
	for (i = 0; i < index->indnkeyatts; i++)
		found |= index->indkey.values[i] == attnum;
	ReleaseSysCache(tup);
	return found;
}

static AttrNumber
column_number(Relation rel, const char *name)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", name, RelationGetRelationName(rel))));
	return attnum;
}

void
prov_check_columns(Relation rel, const ProvTable *table)
{
	int			i;

	if (table->subject != NULL)
		(void) column_number(rel, table->subject);
	for (i = 0; i < table->nexclude; i++)
	{
		if (is_key_column(rel, column_number(rel, table->exclude[i])))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("cannot exclude key column \"%s\"", table->exclude[i])));
		if (table->subject != NULL && strcmp(table->subject, table->exclude[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("cannot exclude subject column \"%s\"", table->exclude[i])));
	}
}
