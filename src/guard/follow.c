/*-------------------------------------------------------------------------
 *
 * follow.c
 *	  What a DDL command made of a tagged table: followed, or refused.
 *
 * Followed: columns added, dropped, renamed, of another type; the table or its
 * schema renamed or moved. The new shape and a `schema` entry are written in
 * the command's transaction, and names in the registry change with it.
 *
 * Where rows read differently now than their last images and no trigger fired
 * (a column added with a default or under the name of an earlier one, a type
 * changed, rows computed anew), and where a recorded column has another name
 * than in them, each row gets a `baseline` entry under the new shape, so that
 * what was recorded stays what verification compares with.
 *
 * Refused: what would leave rows without an identity that holds, or without a
 * record. The identity of a row is made of its key's values; so the key
 * columns stay the same (renaming them is no change), and their type changes
 * only where the values' text cannot.
 *
 * Locks: the command's own, self-exclusive on the table; for names that
 * changed without one (the schema was renamed), ShareUpdateExclusiveLock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "guard/guard.h"
#include "ledger/record.h"
#include "ledger/triggers.h"

#define UNTAG_HINT "Untag the table with provenance.untag() first."

/* A column renamed by the command, from and to; NULL: none. */
typedef struct Renamed
{
	const char *from;
	const char *to;
} Renamed;

/* The name of today of a column that had this name before the command. */
static const char *
renamed(const Renamed *r, const char *name)
{
	return r->from != NULL && strcmp(r->from, name) == 0 ? r->to : name;
}

/* ---- states in which a table cannot be recorded ---- */

static void
check_storage(Relation rel, const char *root)
{
	const char *name = RelationGetRelationName(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" cannot be a partition of tagged table \"%s\"", name, root),
				 errdetail("It is not an ordinary table.")));
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\", which is recorded, cannot be unlogged", name),
				 errdetail("Its rows would not last, its history would."),
				 errhint(UNTAG_HINT)));
	if (rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\", which is recorded, cannot have another access method than heap", name),
				 errdetail("The order of a row's versions is read off heap tuples."),
				 errhint(UNTAG_HINT)));
}

static void
check_inheritance(Relation root)
{
	const char *name = RelationGetRelationName(root);

	if (root->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("tagged table \"%s\" cannot become a partition", name),
				 errhint(UNTAG_HINT)));
	if (has_superclass(RelationGetRelid(root)) ||
		(root->rd_rel->relkind == RELKIND_RELATION &&
		 find_inheritance_children(RelationGetRelid(root), NoLock) != NIL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("tagged table \"%s\" cannot take part in inheritance", name),
				 errdetail("A key does not hold over inheriting tables."),
				 errhint(UNTAG_HINT)));
}

/* The key there is now must hold at every moment and for every row. */
static void
check_key_index(Relation root)
{
	Oid			indexid = prov_key_index(root);
	HeapTuple	tup;
	Form_pg_index index;

	if (!OidIsValid(indexid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tagged table \"%s\" must keep its key", RelationGetRelationName(root)),
				 errdetail("The rows' histories are told apart by it."),
				 errhint(UNTAG_HINT)));
	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	index = (Form_pg_index) GETSTRUCT(tup);
	if (!index->indimmediate || !index->indisunique || !index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the key of tagged table \"%s\" must be unique, valid and not deferrable",
						RelationGetRelationName(root)),
				 errhint(UNTAG_HINT)));
	ReleaseSysCache(tup);
}

static void
refuse_trigger(Oid relid, const char *trigger)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("tagged table \"%s\" must keep its trigger \"%s\"", get_rel_name(relid), trigger),
			 errdetail("It records the table's changes."),
			 errhint(UNTAG_HINT)));
}

/*
 * Our triggers, by their names and still ours. One that is missing was just
 * renamed, or was lost before (dropping is met in drop.c), and then is no
 * reason against this command. One that is there and another than tag() made
 * was just replaced (CREATE OR REPLACE TRIGGER); if it was before, it is a
 * reason only against a command on triggers.
 */
static void
check_triggers(const GuardTable *g, const GuardCommand *command)
{
	static const char *const names[] = {
		PROV_ROW_TRIGGER, PROV_TRUNCATE_TRIGGER, PROV_BEFORE_TRUNCATE_TRIGGER
	};
	bool		renames = command->stmt != NULL && IsA(command->stmt, RenameStmt) &&
	((RenameStmt *) command->stmt)->renameType == OBJECT_TRIGGER;
	bool		creates = command->stmt != NULL && IsA(command->stmt, CreateTrigStmt);
	GuardTrigger trigger;
	ListCell   *lc;
	int			i;

	for (i = 0; i < lengthof(names); i++)
		if (guard_trigger(g->relid, names[i], &trigger) ? trigger.table_id != g->table->table_id : renames)
			refuse_trigger(g->relid, names[i]);

	if (!creates)
		return;
	foreach(lc, g->rels)
		for (i = 0; i < lengthof(names); i++)
			if (guard_holds_lock(lfirst_oid(lc)) && guard_trigger(lfirst_oid(lc), names[i], &trigger) &&
				(trigger.table_id != g->table->table_id || !trigger.whole))
				refuse_trigger(lfirst_oid(lc), names[i]);
}

/* ---- shapes before and after ---- */

static bool
same_name(pv_name a, pv_name b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static pv_name
name_of(const char *s)
{
	pv_value	v = prov_utf8_value(s);
	pv_name		name;

	name.s = (const char *) v.data;
	name.len = v.len;
	return name;
}

/* A column of the shape before, under its name of today. */
static pv_name
old_name(const ProvShape *shape, int i, const Renamed *r)
{
	pv_name		name = shape->columns[i].name;

	if (r->from != NULL && same_name(name, name_of(r->from)))
		return name_of(r->to);
	return name;
}

static void
check_same_key(Relation root, const ProvShape *before, const ProvLayout *layout, const Renamed *r)
{
	bool		same = before->nkeys == layout->nkeys;
	int			i;

	for (i = 0; same && i < layout->nkeys; i++)
		same = same_name(old_name(before, before->key_columns[i], r), layout->key_names[i]);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tagged table \"%s\" must keep its key", RelationGetRelationName(root)),
				 errdetail("The rows' histories are told apart by it."),
				 errhint(UNTAG_HINT)));
}

/* Types of one family give equal values equal texts. 0: of no family. */
static int
type_family(pv_name type)
{
	static const char *const integers[] = {"smallint", "integer", "bigint"};
	static const char varchar_name[] = "character varying";
	int			i;

	for (i = 0; i < lengthof(integers); i++)
		if (type.len == strlen(integers[i]) && memcmp(type.s, integers[i], type.len) == 0)
			return 1;
	if (type.len == 4 && memcmp(type.s, "text", 4) == 0)
		return 2;
	if (type.len >= strlen(varchar_name) && memcmp(type.s, varchar_name, strlen(varchar_name)) == 0 &&
		type.s[type.len - 1] != ']')
		return 2;
	return 0;
}

static bool
same_text(const pv_column *a, const pv_column *b)
{
	return same_name(a->type, b->type) ||
		(type_family(a->type) != 0 && type_family(a->type) == type_family(b->type));
}

/* Does the command alter the table's columns, itself or by the type it is OF? */
static bool
alters(const GuardCommand *command, Oid relid)
{
	HeapTuple	tup;
	Oid			type;

	if (!OidIsValid(command->relid) || command->relid == relid)
		return command->relid == relid;
	tup = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tup))
		return false;
	type = ((Form_pg_class) GETSTRUCT(tup))->reloftype;
	ReleaseSysCache(tup);
	return OidIsValid(type) && get_typ_typrelid(type) == command->relid;
}

/* Does the command compute a column's values by an expression of its own? */
static bool
has_using(const GuardCommand *command, pv_name column)
{
	ListCell   *lc;

	if (command->stmt == NULL || !IsA(command->stmt, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) command->stmt)->cmds)
	{
		AlterTableCmd *cmd = lfirst(lc);

		if (cmd->subtype == AT_AlterColumnType && same_name(name_of(cmd->name), column) &&
			cmd->def != NULL && ((ColumnDef *) cmd->def)->raw_default != NULL)
			return true;
	}
	return false;
}

static void
check_key_values(Relation root, const ProvShape *before, const ProvShape *after, const GuardCommand *command)
{
	int			i;

	for (i = 0; i < after->nkeys; i++)
	{
		const pv_column *old = &before->columns[before->key_columns[i]];
		const pv_column *new = &after->columns[after->key_columns[i]];

		if (!same_text(old, new) ||
			(command->relid == RelationGetRelid(root) && has_using(command, new->name)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the key of tagged table \"%s\" must keep its values", RelationGetRelationName(root)),
					 errdetail("The rows' histories are told apart by them."),
					 errhint(UNTAG_HINT)));
	}
}

/* A column that the rows have got a value of without being touched. */
static bool
has_missing_value(const GuardTable *g, pv_name column)
{
	ListCell   *lc;

	foreach(lc, g->rels)
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);
		TupleDesc	desc = RelationGetDescr(rel);
		bool		found = false;
		int			i;

		for (i = 0; i < desc->natts && !found; i++)
			found = TupleDescAttr(desc, i)->atthasmissing && !TupleDescAttr(desc, i)->attisdropped &&
				same_name(name_of(NameStr(TupleDescAttr(desc, i)->attname)), column);
		table_close(rel, NoLock);
		if (found)
			return true;
	}
	return false;
}

/* Did the table have, in any of its shapes, a column of that name? */
static bool
had_column(int32 table_id, pv_name column)
{
	TupleDesc	desc = prov_tupdesc(PROV_SHAPE);
	List	   *ids = NIL;
	ListCell   *lc;
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;

	prov_key_init(&key, PROV_SHAPE, A_SHAPE_TABLE_ID, BTEqualStrategyNumber, Int32GetDatum(table_id));
	prov_scan_begin(&scan, PROV_SHAPE, prov_shape_table_index(), NULL, 1, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;

		ids = lappend_int(ids, DatumGetInt32(heap_getattr(tup, A_SHAPE_ID, desc, &isnull)));
	}
	prov_scan_end(&scan);

	foreach(lc, ids)
	{
		ProvShape  *shape = prov_shape_fetch(lfirst_int(lc), NULL);
		int			i;

		for (i = 0; shape != NULL && shape->status == PV_OK && i < shape->shape.ncolumns; i++)
			if (same_name(shape->columns[i].name, column))
				return true;
	}
	return false;
}

static bool
drops_column(const AlterTableStmt *stmt, const char *name)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst(lc);

		if (cmd->subtype == AT_DropColumn && strcmp(cmd->name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Does the command add a column under a name that another one had? Images go
 * by names: the last ones of that name are not of this column. before: the
 * shape before the command.
 */
static bool
name_reused(const GuardTable *g, const GuardCommand *command, const ProvShape *before)
{
	ListCell   *lc;

	if (command->stmt == NULL || !IsA(command->stmt, AlterTableStmt) || !alters(command, g->relid))
		return false;
	foreach(lc, ((AlterTableStmt *) command->stmt)->cmds)
	{
		AlterTableCmd *cmd = lfirst(lc);
		const char *name;
		pv_name		column;
		int			i;

		if (cmd->subtype != AT_AddColumn)
			continue;
		name = ((ColumnDef *) cmd->def)->colname;
		column = name_of(name);
		for (i = 0; i < before->shape.ncolumns && !same_name(before->columns[i].name, column); i++)
			;
		/* IF NOT EXISTS does nothing to a column that stays */
		if (i < before->shape.ncolumns ? drops_column((AlterTableStmt *) command->stmt, name) :
			had_column(g->table->table_id, column))
			return true;
	}
	return false;
}

/* May rows read differently than their images? */
static bool
values_changed(const GuardTable *g, const ProvShape *before, const ProvShape *after, const Renamed *r)
{
	int			i;
	int			k;

	for (i = 0; i < after->shape.ncolumns; i++)
	{
		const pv_column *column = &after->columns[i];

		for (k = 0; k < before->shape.ncolumns && !same_name(old_name(before, k, r), column->name); k++)
			;
		if (k == before->shape.ncolumns ? has_missing_value(g, column->name) :
			!same_text(&before->columns[k], column))
			return true;
	}
	return false;
}

/* ---- the registry ---- */

/* Follows names; true if anything was to be changed. */
static bool
update_registry(GuardTable *g, Relation root, const Renamed *r)
{
	const ProvTable *t = g->table;
	char	   *schema = get_namespace_name(RelationGetNamespace(root));
	const char *subject = t->subject == NULL ? NULL : renamed(r, t->subject);
	Datum	   *exclude = palloc(sizeof(Datum) * (t->nexclude + 1));
	int			nexclude = 0;
	bool		changed = t->relid != g->relid || strcmp(t->schema, schema) != 0 ||
		strcmp(t->table, RelationGetRelationName(root)) != 0;
	Datum		values[N_REG];
	bool		nulls[N_REG];
	NameData	schema_name;
	NameData	table_name;
	ProvWriter	w;
	HeapTuple	old;
	int			i;

	if (subject != NULL)
	{
		changed |= strcmp(subject, t->subject) != 0;
		if (get_attnum(g->relid, subject) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("tagged table \"%s\" must keep its subject column \"%s\"",
							RelationGetRelationName(root), subject),
					 errdetail("It says whose data a row is."),
					 errhint(UNTAG_HINT)));
	}
	for (i = 0; i < t->nexclude; i++)
	{
		const char *name = renamed(r, t->exclude[i]);

		changed |= strcmp(name, t->exclude[i]) != 0;
		if (get_attnum(g->relid, name) > 0)
			exclude[nexclude++] = DirectFunctionCall1(namein, CStringGetDatum(name));
	}
	if (!changed && nexclude == t->nexclude)
		return false;

	namestrcpy(&schema_name, schema);
	namestrcpy(&table_name, RelationGetRelationName(root));
	prov_writer_open(&w, PROV_REGISTRY);
	old = prov_fetch1(PROV_REGISTRY, Int32GetDatum(t->table_id), NULL);
	heap_deform_tuple(old, RelationGetDescr(w.rel), values, nulls);
	values[A_REG_RELID - 1] = ObjectIdGetDatum(g->relid);
	values[A_REG_SCHEMA - 1] = NameGetDatum(&schema_name);
	values[A_REG_TABLE - 1] = NameGetDatum(&table_name);
	if (subject != NULL)
		values[A_REG_SUBJECT - 1] = CStringGetTextDatum(subject);
	values[A_REG_EXCLUDE - 1] = PointerGetDatum(nexclude == 0 ? construct_empty_array(NAMEOID) :
												construct_array(exclude, nexclude, NAMEOID, NAMEDATALEN,
																false, TYPALIGN_CHAR));
	prov_update(&w, old, values, nulls);
	prov_writer_close(&w);

	/* whoever has the table's layout in memory builds it anew */
	CacheInvalidateRelcache(root);
	CommandCounterIncrement();
	g->table = prov_table_by_id(t->table_id, NULL);
	return true;
}

/* ---- all together ---- */

static void
read_rename(GuardTable *g, const GuardCommand *command, Renamed *r)
{
	r->from = r->to = NULL;
	if (command->stmt != NULL && IsA(command->stmt, RenameStmt) &&
		(((RenameStmt *) command->stmt)->renameType == OBJECT_COLUMN ||
		 ((RenameStmt *) command->stmt)->renameType == OBJECT_ATTRIBUTE) && alters(command, g->relid))
	{
		r->from = ((RenameStmt *) command->stmt)->subname;
		r->to = ((RenameStmt *) command->stmt)->newname;
	}
}

void
guard_record_baselines(GuardTable *g)
{
	ListCell   *lc;

	foreach(lc, g->rels)
	{
		Relation	rel = table_open(lfirst_oid(lc), ShareRowExclusiveLock);

		if (rel->rd_rel->relkind == RELKIND_RELATION)
			(void) prov_record_rows(rel, g->table->table_id, PV_OP_BASELINE);
		table_close(rel, NoLock);
	}
}

void
guard_follow(GuardTable *g, const GuardCommand *command)
{
	Renamed		r;
	Relation	root;
	ProvShape  *before;
	ProvShape  *after;
	ProvTarget *target;
	bool		baseline = false;
	ListCell   *lc;

	read_rename(g, command, &r);
	root = table_open(g->relid, g->locked ? AccessShareLock : ShareUpdateExclusiveLock);

	check_inheritance(root);
	check_triggers(g, command);
	foreach(lc, g->rels)
	{
		Relation	rel;

		/* the others are as they were, and maybe in other hands */
		if (!guard_holds_lock(lfirst_oid(lc)))
			continue;
		rel = table_open(lfirst_oid(lc), NoLock);
		check_storage(rel, RelationGetRelationName(root));
		table_close(rel, NoLock);
		baseline |= list_member_oid(command->rewritten, lfirst_oid(lc));
	}
	check_key_index(root);

	before = prov_shape_newest(g->table->table_id, NULL);
	if (before != NULL && before->status == PV_OK)
		baseline |= name_reused(g, command, before);
	(void) update_registry(g, root, &r);
	target = prov_target(root, g->table->table_id); /* writes the shape and its entry */
	if (before != NULL && before->status == PV_OK)
	{
		check_same_key(root, before, target->layout, &r);
		CommandCounterIncrement();
		after = prov_shape_fetch(target->shape_id, NULL);
		if (after == NULL || after->status != PV_OK)
			elog(ERROR, "shape %d of table %d is malformed", target->shape_id, g->table->table_id);
		/* where names change, of types too, values do not */
		if (command->stmt == NULL ||
			!(IsA(command->stmt, RenameStmt) || IsA(command->stmt, AlterObjectSchemaStmt)))
		{
			check_key_values(root, before, after, command);
			baseline |= values_changed(g, before, after, &r);
		}

		/*
		 * Images have their columns' names from the shape. Only with an image
		 * under the new name can a row be compared, and shown as of then, in
		 * this column without taking anybody's word for which name it had.
		 */
		if (r.from != NULL && target->shape_id != before->shape_id)
			baseline = true;
	}
	table_close(root, NoLock);

	if (baseline)
		guard_record_baselines(g);
}
