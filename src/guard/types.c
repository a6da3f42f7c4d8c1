/*-------------------------------------------------------------------------
 *
 * types.c
 *	  Types of columns of tagged tables that change under them.
 *
 * ALTER TYPE … RENAME VALUE, and attributes added to, dropped from or changed
 * in a composite type, change the text of every stored value without touching
 * a row or locking a table. The tables with such a column are locked against
 * writers, which waits for those who still write the old text, and each row
 * gets a `baseline` entry. Where a key column has such a type the command is
 * refused: the rows' identities are made of the key's text.
 *
 * A type's name is part of the shape only; a new one is followed like a
 * renamed column.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "guard/guard.h"
#include "ledger/row_image.h"

/*
 * Is the type, or does it contain, the wanted one? InvalidOid wants any type
 * that is not built in.
 */
static bool
uses_type(Oid type, Oid wanted)
{
	Oid			inner;

	check_stack_depth();
	if (!OidIsValid(type))
		return false;
	if (OidIsValid(wanted) ? type == wanted : type >= FirstNormalObjectId)
		return true;
	if (type < FirstNormalObjectId)
		return false;			/* built-in types contain built-in types */

	inner = get_element_type(type);
	if (OidIsValid(inner))
		return uses_type(inner, wanted);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return uses_type(getBaseType(type), wanted);
		case TYPTYPE_RANGE:
			return uses_type(get_range_subtype(type), wanted);
		case TYPTYPE_MULTIRANGE:
			return uses_type(get_multirange_range(type), wanted);
		case TYPTYPE_COMPOSITE:
			{
				TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
				bool		found = false;
				int			i;

				for (i = 0; i < desc->natts && !found; i++)
					found = !TupleDescAttr(desc, i)->attisdropped &&
						uses_type(TupleDescAttr(desc, i)->atttypid, wanted);
				ReleaseTupleDesc(desc);
				return found;
			}
		default:
			return false;
	}
}

static bool
table_uses_type(const GuardTable *g, Oid wanted)
{
	HeapTuple	tup = SearchSysCache1(RELOID, ObjectIdGetDatum(g->relid));
	int			natts;
	int			i;

	if (!HeapTupleIsValid(tup))
		return false;
	natts = ((Form_pg_class) GETSTRUCT(tup))->relnatts;
	ReleaseSysCache(tup);
	for (i = 1; i <= natts; i++)
		if (uses_type(get_atttype(g->relid, i), wanted))
			return true;
	return false;
}

static bool
key_uses_type(const GuardTable *g, Oid wanted)
{
	Relation	root = table_open(g->relid, NoLock);
	HeapTuple	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(prov_key_index(root)));
	bool		found = false;

	if (HeapTupleIsValid(tup))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tup);
		int			i;

		for (i = 0; i < index->indnkeyatts; i++)
			found |= uses_type(get_atttype(g->relid, index->indkey.values[i]), wanted);
		ReleaseSysCache(tup);
	}
	table_close(root, NoLock);
	return found;
}

/* The type whose values read differently after the command, or InvalidOid. */
static Oid
changed_type(const GuardCommand *command)
{
	ListCell   *lc;

	if (IsA(command->stmt, AlterEnumStmt))
	{
		AlterEnumStmt *stmt = (AlterEnumStmt *) command->stmt;

		if (stmt->oldVal == NULL)
			return InvalidOid;
		return typenameTypeId(NULL, makeTypeNameFromNameList(stmt->typeName));
	}
	/* a composite type's attributes are columns, and a table is a type */
	if (IsA(command->stmt, AlterTableStmt) && OidIsValid(command->relid))
		foreach(lc, ((AlterTableStmt *) command->stmt)->cmds)
		{
			AlterTableType type = ((AlterTableCmd *) lfirst(lc))->subtype;

			if (type == AT_AddColumn || type == AT_DropColumn || type == AT_AlterColumnType)
				return get_rel_type_id(command->relid);
		}
	return InvalidOid;
}

static bool
renames_type(Node *stmt)
{
	ObjectType	type;

	if (IsA(stmt, RenameStmt))
		type = ((RenameStmt *) stmt)->renameType;
	else if (IsA(stmt, AlterObjectSchemaStmt))
		type = ((AlterObjectSchemaStmt *) stmt)->objectType;
	else
		return false;
	return type == OBJECT_TYPE || type == OBJECT_DOMAIN || type == OBJECT_SCHEMA;
}

void
guard_follow_types(List *tables, const GuardCommand *command)
{
	Oid			type;
	ListCell   *lc;

	if (command->stmt == NULL)
		return;
	if (renames_type(command->stmt))
	{
		foreach(lc, tables)
			if (table_uses_type(lfirst(lc), InvalidOid))
				guard_follow(lfirst(lc), command);
		return;
	}

	type = changed_type(command);
	if (!OidIsValid(type))
		return;
	foreach(lc, tables)
	{
		GuardTable *g = lfirst(lc);

		if (!table_uses_type(g, type))
			continue;
		LockRelationOid(g->relid, ShareRowExclusiveLock);
		if (key_uses_type(g, type))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the key of tagged table \"%s\" must keep its values", get_rel_name(g->relid)),
					 errdetail("The rows' histories are told apart by them."),
					 errhint("Untag the table with provenance.untag() first.")));
		guard_record_baselines(g);
	}
}
