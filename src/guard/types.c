/*-------------------------------------------------------------------------
 *
 * types.c
 *	  Types of columns of tagged tables that change under them.
 *
 * ALTER TYPE … RENAME VALUE, and attributes added to, dropped from or changed
 * in a composite type, change the text of every stored value without touching
 * a row or locking a table. An attribute also goes with its own type, by DROP
 * TYPE … CASCADE; and a table's row type changes with the table, or with one
 * that it inherits from. The tables with such a column are locked against
 * writers, which waits for those who still write the old text, and each row
 * gets a `baseline` entry. Where a key column has such a type the command is
 * refused: the rows' identities are made of the key's text.
 *
 * A type's name is part of the shape only; a new one is followed like a
 * renamed column. Types are renamed by themselves, with the table whose row
 * type they are, or with the schema or extension that they are in.
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
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "guard/guard.h"
#include "ledger/row_image.h"

/* Which types a command may have changed; the first that is set counts. */
typedef struct Wanted
{
	Oid			type;			/* this one */
	List	   *relids;			/* the row types of these relations */
	bool		locked;			/* row types of relations that this transaction has locked */
	bool		any;			/* all that are not built in */
} Wanted;

static bool
is_wanted(Oid type, const Wanted *wanted)
{
	Oid			relid;

	if (type < FirstNormalObjectId)
		return false;
	if (OidIsValid(wanted->type))
		return type == wanted->type;
	if (wanted->any)
		return true;
	relid = get_typ_typrelid(type);
	return OidIsValid(relid) &&
		(wanted->locked ? guard_holds_lock(relid) : list_member_oid(wanted->relids, relid));
}

/* Is the type, or does it contain, a wanted one? */
static bool
uses_type(Oid type, const Wanted *wanted)
{
	Oid			inner;

	check_stack_depth();
	if (!OidIsValid(type))
		return false;
	if (is_wanted(type, wanted))
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
table_uses_type(const GuardTable *g, const Wanted *wanted)
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
key_uses_type(const GuardTable *g, const Wanted *wanted)
{
	/* not locked: this DDL is about a type, and must not wait for the table */
	Relation	root = RelationIdGetRelation(g->relid);
	HeapTuple	tup;
	bool		found = false;

	if (root == NULL)
		return false;
	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(prov_key_index(root)));
	if (HeapTupleIsValid(tup))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tup);
		int			i;

		for (i = 0; i < index->indnkeyatts; i++)
			found |= uses_type(get_atttype(g->relid, index->indkey.values[i]), wanted);
		ReleaseSysCache(tup);
	}
	RelationClose(root);
	return found;
}

/* The types whose values may read differently after the command; false: none. */
static bool
changed_types(const GuardCommand *command, Wanted *wanted)
{
	ListCell   *lc;

	memset(wanted, 0, sizeof(Wanted));
	if (IsA(command->stmt, AlterEnumStmt))
	{
		AlterEnumStmt *stmt = (AlterEnumStmt *) command->stmt;

		if (stmt->oldVal == NULL)
			return false;
		wanted->type = typenameTypeId(NULL, makeTypeNameFromNameList(stmt->typeName));
		return true;
	}
	/* a composite type's attributes are columns, and a table is a type */
	if (IsA(command->stmt, AlterTableStmt) && OidIsValid(command->relid))
		foreach(lc, ((AlterTableStmt *) command->stmt)->cmds)
		{
			AlterTableType type = ((AlterTableCmd *) lfirst(lc))->subtype;

			if (type == AT_AddColumn || type == AT_DropColumn || type == AT_AlterColumnType)
			{
				wanted->relids = find_all_inheritors(command->relid, NoLock, NULL);
				return true;
			}
		}
	/*
	 * What goes by a cascade is not named; but its relation was locked for it. So
	 * was that of a type of this extension's, in whose scripts the guard sleeps.
	 */
	wanted->locked = IsA(command->stmt, DropOwnedStmt) ||
		(IsA(command->stmt, AlterExtensionStmt) &&
		 strcmp(((AlterExtensionStmt *) command->stmt)->extname, "provenance") == 0) ||
		(IsA(command->stmt, DropStmt) && ((DropStmt *) command->stmt)->behavior == DROP_CASCADE);
	return wanted->locked;
}

/* The types whose names may be others after the command; false: none. */
static bool
renamed_types(Node *stmt, Wanted *wanted)
{
	ObjectType	type;

	memset(wanted, 0, sizeof(Wanted));
	if (IsA(stmt, RenameStmt))
		type = ((RenameStmt *) stmt)->renameType;
	else if (IsA(stmt, AlterObjectSchemaStmt))
		type = ((AlterObjectSchemaStmt *) stmt)->objectType;
	else
		return false;
	switch (type)
	{
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
		case OBJECT_SCHEMA:
		case OBJECT_EXTENSION:
			wanted->any = true;
			return true;
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
			wanted->locked = true;
			return true;
		default:
			return false;
	}
}

void
guard_follow_types(List *tables, const GuardCommand *command)
{
	Wanted		wanted;
	ListCell   *lc;

	if (command->stmt == NULL)
		return;
	if (renamed_types(command->stmt, &wanted))
	{
		foreach(lc, tables)
			if (table_uses_type(lfirst(lc), &wanted))
				guard_follow(lfirst(lc), command);
		return;
	}

	if (!changed_types(command, &wanted))
		return;
	foreach(lc, tables)
	{
		GuardTable *g = lfirst(lc);

		if (!table_uses_type(g, &wanted))
			continue;
		LockRelationOid(g->relid, ShareRowExclusiveLock);
		if (key_uses_type(g, &wanted))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the key of tagged table \"%s\" must keep its values", get_rel_name(g->relid)),
					 errdetail("The rows' histories are told apart by them."),
					 errhint("Untag the table with provenance.untag() first.")));
		guard_record_baselines(g);
	}
}
