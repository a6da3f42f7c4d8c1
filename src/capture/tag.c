/*
 * tag.c: tag() and untag().
 *
 * tag() registers the table, writes its shape and a `tag` entry, makes the
 * triggers and records the rows that are there as baseline entries, all in the
 * caller's transaction. From its ShareRowExclusiveLock on (partitions
 * included) nobody else writes the table, so what the latest snapshot sees is
 * what the triggers will not see. With baseline => 'later' it only marks the
 * table as one whose baselines are still to come (ledger/baseline.h).
 *
 * A table tagged again keeps its ledger id, and with it the chains of its
 * rows, if its key has the same columns as before; else it gets a new one. The
 * `tag` entry marks the gap: rows deleted while the table was not tagged have
 * no entry that says so.
 *
 * Both are for the table's owner. The triggers and the registry are the
 * extension's; see ledger/triggers.h for whom the commands run as.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "capture/capture.h"
#include "compat.h"
#include "ledger/record.h"
#include "ledger/triggers.h"
#include "ledger/worker.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_tag);
PG_FUNCTION_INFO_V1(provenance_untag);

/* Opens the table and what it consists of, for its owner alone. */
static Relation
open_owned(Oid relid, LOCKMODE lockmode)
{
	Relation	rel;
	char		relkind = get_rel_relkind(relid);

	if (relkind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	/* before the lock, which would disturb others */
	if (!prov_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), get_rel_name(relid));
	rel = relation_open(relid, lockmode);
	if (!prov_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), RelationGetRelationName(rel));
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		(void) find_all_inheritors(relid, lockmode, NULL);
	return rel;
}

/* The registry row of a table, inserted or put in the place of its old one. */
static void
write_registry(const ProvTable *table, bool exists, ArrayType *exclude)
{
	Datum		values[N_REG];
	bool		nulls[N_REG] = {false};
	NameData	schema;
	NameData	name;
	ProvWriter	w;

	namestrcpy(&schema, table->schema);
	namestrcpy(&name, table->table);
	values[A_REG_TABLE_ID - 1] = Int32GetDatum(table->table_id);
	values[A_REG_RELID - 1] = ObjectIdGetDatum(table->relid);
	values[A_REG_TAGGED_AT - 1] = TimestampTzGetDatum(table->tagged_at);
	values[A_REG_UNTAGGED_AT - 1] = TimestampTzGetDatum(table->untagged_at);
	nulls[A_REG_UNTAGGED_AT - 1] = TIMESTAMP_IS_NOBEGIN(table->untagged_at);
	values[A_REG_SCHEMA - 1] = NameGetDatum(&schema);
	values[A_REG_TABLE - 1] = NameGetDatum(&name);
	values[A_REG_MODE - 1] = CStringGetTextDatum(table->append_only ? "append_only" : "track");
	nulls[A_REG_SUBJECT - 1] = table->subject == NULL;
	values[A_REG_SUBJECT - 1] = table->subject == NULL ? (Datum) 0 : CStringGetTextDatum(table->subject);
	values[A_REG_EXCLUDE - 1] = PointerGetDatum(exclude);
	values[A_REG_COUNTERSIGN - 1] = BoolGetDatum(table->require_countersignature);

	prov_writer_open(&w, PROV_REGISTRY);
	if (exists)
	{
		HeapTuple	old = prov_fetch1(PROV_REGISTRY, Int32GetDatum(table->table_id), NULL);

		prov_update(&w, old, values, nulls);
		heap_freetuple(old);
	}
	else
		prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

static ArrayType *
exclude_array(const ProvTable *table)
{
	Datum	   *elems = palloc(sizeof(Datum) * (table->nexclude + 1));
	int			i;

	for (i = 0; i < table->nexclude; i++)
		elems[i] = DirectFunctionCall1(namein, CStringGetDatum(table->exclude[i]));
	if (table->nexclude == 0)
		return construct_empty_array(NAMEOID);
	return construct_array(elems, table->nexclude, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR);
}

static void
read_exclude(ArrayType *array, ProvTable *table)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	int			i;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elems, &nulls, &n);
	table->exclude = palloc(sizeof(char *) * (n + 1));
	for (i = 0; i < n; i++)
	{
		int			k;
		char	   *name;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("names of excluded columns must not be null")));
		name = pstrdup(NameStr(*DatumGetName(elems[i])));
		for (k = 0; k < table->nexclude && strcmp(table->exclude[k], name) != 0; k++)
			;
		if (k == table->nexclude)
			table->exclude[table->nexclude++] = name;
	}
}

/* True if the last shape that the table had has the key columns of the layout. */
static bool
same_key(int32 table_id, const ProvLayout *layout)
{
	ProvShape  *shape = prov_shape_newest(table_id, NULL);
	int			i;

	if (shape == NULL || shape->status != PV_OK || shape->nkeys != layout->nkeys)
		return false;
	for (i = 0; i < layout->nkeys; i++)
	{
		pv_name		name = shape->columns[shape->key_columns[i]].name;

		if (name.len != layout->key_names[i].len || memcmp(name.s, layout->key_names[i].s, name.len) != 0)
			return false;
	}
	return true;
}

/*
 * The owner of a tagged table may seal, and let others. Not granted if there
 * is no such function.
 */
static void
grant_seal(Oid owner)
{
	List	   *name = list_make2(makeString(PROV_SCHEMA), makeString("seal"));

	if (OidIsValid(LookupFuncName(name, 0, NULL, true)))
		prov_run_ddl(psprintf("GRANT EXECUTE ON FUNCTION %s.seal() TO %s WITH GRANT OPTION",
							  PROV_SCHEMA, quote_identifier(GetUserNameFromId(owner, false))));
}

static int64
record_baselines(Oid relid, int32 table_id)
{
	ListCell   *lc;
	int64		n = 0;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Relation	part = table_open(lfirst_oid(lc), NoLock);

		if (part->rd_rel->relkind == RELKIND_RELATION)
			n += prov_record_rows(part, table_id, PV_OP_BASELINE);
		table_close(part, NoLock);
	}
	return n;
}

/*
 * What untag() would have said of a table that lost its triggers unseen: its
 * entries end here, under the shape that they had last.
 */
static void
record_lost(const ProvTable *table)
{
	ProvShape  *shape = prov_shape_newest(table->table_id, NULL);
	ProvLayout	layout = {.table_id = table->table_id};
	const char *values[2] = {table->schema, table->table};

	if (shape == NULL)
		return;					/* it has no entries that could end */
	layout.digest = shape->digest;
	memcpy(layout.row_key, prov_identity(false)->row_key, PV_ROW_KEY_LEN);
	prov_record_event(&layout, shape->shape_id, PV_OP_UNTAG, values);
}

Datum
provenance_tag(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *mode;
	char	   *baseline;
	ProvTable	table = {0};
	ProvTable  *before;
	ProvLayout *layout;
	Relation	rel;
	Oid			owner;
	ArrayType  *exclude;
	const char *values[5];
	int32		shape_id;
	bool		is_new;
	bool		later;
	int64		n = 0;

	PreventCommandIfReadOnly("tag()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4) || PG_ARGISNULL(5))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target, mode, exclude, baseline and require_countersignature must not be null")));
	relid = PG_GETARG_OID(0);
	mode = text_to_cstring(PG_GETARG_TEXT_PP(2));
	baseline = text_to_cstring(PG_GETARG_TEXT_PP(4));

	(void) prov_identity(false);
	rel = open_owned(relid, ShareRowExclusiveLock);
	prov_check_taggable(rel);
	before = prov_table_ever(relid, NULL);
	if (before != NULL && TIMESTAMP_IS_NOBEGIN(before->untagged_at))
	{
		if (OidIsValid(get_trigger_oid(relid, PROV_ROW_TRIGGER, true)))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("table \"%s\" is tagged already", RelationGetRelationName(rel))));
		/* dropped, and created again under its name, or its trigger is lost */
		record_lost(before);
		before->untagged_at = GetCurrentTimestamp();
		prov_phase_end(before->table_id, before->relid);
		write_registry(before, true, exclude_array(before));
	}
	/* only the very table goes on where it stopped */
	if (before != NULL && before->relid != relid)
		before = NULL;

	table.relid = relid;
	table.schema = get_namespace_name(RelationGetNamespace(rel));
	table.table = pstrdup(RelationGetRelationName(rel));
	table.tagged_at = GetCurrentTimestamp();
	TIMESTAMP_NOBEGIN(table.untagged_at);
	table.subject = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(mode, "append_only") == 0)
		table.append_only = true;
	else if (strcmp(mode, "track") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown mode \"%s\"", mode),
				 errhint("Modes are \"track\" and \"append_only\".")));
	later = strcmp(baseline, "later") == 0;
	if (!later && strcmp(baseline, "now") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown baseline \"%s\"", baseline),
				 errhint("Baselines are \"now\" and \"later\".")));
	table.require_countersignature = PG_GETARG_BOOL(5);
	read_exclude(PG_GETARG_ARRAYTYPE_P(3), &table);
	prov_check_columns(rel, &table);

	/* the layout names the key, which decides about the id, which it holds */
	table.table_id = before != NULL ? before->table_id : (int32) prov_nextval(PROV_REGISTRY_SEQ);
	layout = prov_layout_build(rel, &table, CurrentMemoryContext);
	if (before != NULL && !same_key(before->table_id, layout))
	{
		before = NULL;
		prov_layout_free(layout);
		table.table_id = (int32) prov_nextval(PROV_REGISTRY_SEQ);
		layout = prov_layout_build(rel, &table, CurrentMemoryContext);
	}

	exclude = exclude_array(&table);
	write_registry(&table, before != NULL, exclude);
	shape_id = prov_layout_shape(layout, &is_new);
	values[0] = table.schema;
	values[1] = table.table;
	values[2] = table.subject;
	values[3] = mode;
	values[4] = OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(exclude));
	prov_record_event(layout, shape_id, PV_OP_TAG, values);
	prov_layout_free(layout);
	if (later)
		prov_phase_begin(table.table_id, relid);

	/* DDL refuses a table that is open in the session; the locks stay */
	owner = rel->rd_rel->relowner;
	relation_close(rel, NoLock);
	prov_triggers_create(relid, table.table_id);
	CommandCounterIncrement();
	if (later)
		prov_start_worker_at_commit();
	else
		n = record_baselines(relid, table.table_id);
	grant_seal(owner);
	PG_RETURN_INT64(n);
}

Datum
provenance_untag(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	ProvTable  *table;
	ProvTarget *target;
	const char *values[2];

	PreventCommandIfReadOnly("untag()");
	rel = open_owned(relid, AccessExclusiveLock);
	table = prov_table_by_relid(relid, NULL);
	if (RelationGetNamespace(rel) == prov_namespace())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot untag \"%s\": it belongs to the extension", RelationGetRelationName(rel))));
	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged", RelationGetRelationName(rel))));

	target = prov_target(rel, table->table_id);
	values[0] = target->layout->schema;
	values[1] = target->layout->table;
	prov_record_event(target->layout, target->shape_id, PV_OP_UNTAG, values);

	table->relid = relid;
	table->schema = get_namespace_name(RelationGetNamespace(rel));
	table->table = pstrdup(RelationGetRelationName(rel));
	table->untagged_at = GetCurrentTimestamp();
	prov_phase_end(table->table_id, relid);
	write_registry(table, true, exclude_array(table));
	relation_close(rel, NoLock);
	prov_triggers_drop(relid);
	PG_RETURN_VOID();
}
