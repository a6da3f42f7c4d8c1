/*
 * tables.c: tagged tables in the registry and in the catalog: is a table there,
 * under its name, and are its triggers what they have to be?
 *
 * A table is found like everywhere: by OID if its name agrees, else by name (a
 * restore gives new OIDs), else by OID alone, which is a rename that the
 * registry has not followed.
 *
 * What cannot be detected: triggers switched off and on again; what was changed
 * meanwhile shows in the rows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ledger/baseline.h"
#include "ledger/own_table.h"
#include "ledger/triggers.h"
#include "types/types.h"
#include "verify/verify.h"

#define GUARD_PREFIX "provenance_guard"

typedef struct RegistryTask
{
	Verify	   *v;
	int32		table_id;
	ProvTable  *table;
	bool		pending;
	int32	   *ids;
	int			n;
	int			cap;
} RegistryTask;

static void
read_registry_row(void *arg)
{
	RegistryTask *task = arg;
	MemoryContext old = MemoryContextSwitchTo(task->v->cxt);

	task->table = prov_table_by_id(task->table_id, task->v->snapshot);
	task->pending = prov_phase_running(task->table_id, task->v->snapshot);
	MemoryContextSwitchTo(old);
}

static void
read_registry_ids(void *arg)
{
	RegistryTask *task = arg;
	TupleDesc	desc = prov_tupdesc(PROV_REGISTRY);
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin_ordered(&scan, PROV_REGISTRY, task->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		Datum		id = heap_getattr(tup, A_REG_TABLE_ID, desc, &isnull);

		if (isnull)
			continue;
		if (task->n == task->cap)
		{
			task->cap = task->cap == 0 ? 64 : task->cap * 2;
			task->ids = task->ids == NULL ? MemoryContextAlloc(task->v->cxt, sizeof(int32) * task->cap) :
				repalloc(task->ids, sizeof(int32) * task->cap);
		}
		task->ids[task->n++] = DatumGetInt32(id);
	}
	prov_scan_end(&scan);
}

int32 *
verify_registry(Verify *v, int *n)
{
	RegistryTask task = {.v = v};

	if (!verify_try(v, read_registry_ids, &task))
		verify_finding(v, "unreadable", SEV_ERROR, "registry", -1, -1, "The registry cannot be read: %s", v->fault);
	*n = task.n;
	return task.ids;
}

static Oid
find_relation(const ProvTable *table)
{
	char	   *name = get_rel_name(table->relid);
	char	   *schema = name == NULL ? NULL : get_namespace_name(get_rel_namespace(table->relid));
	Oid			nsp;
	Oid			relid = InvalidOid;

	if (schema != NULL && strcmp(name, table->table) == 0 && strcmp(schema, table->schema) == 0)
		return table->relid;
	nsp = GetSysCacheOid1(NAMESPACENAME, Anum_pg_namespace_oid, CStringGetDatum(table->schema));
	if (OidIsValid(nsp))
		relid = get_relname_relid(table->table, nsp);
	if (OidIsValid(relid))
		return relid;
	return schema != NULL ? table->relid : InvalidOid;
}

TableState *
table_state(Verify *v, int32 table_id)
{
	TableState *state = MemoryContextAllocZero(v->cxt, sizeof(TableState));
	RegistryTask task = {.v = v, .table_id = table_id};
	MemoryContext old;

	state->table_id = table_id;
	if (!verify_try(v, read_registry_row, &task))
		verify_finding(v, "unreadable", SEV_ERROR, psprintf("table %d", table_id), -1, -1,
					   "The registry's row cannot be read: %s", v->fault);
	state->table = task.table;
	state->baselines_pending = task.pending;
	old = MemoryContextSwitchTo(v->cxt);
	if (state->table == NULL)
		state->name = psprintf("table %d", table_id);
	else
	{
		state->name = quote_qualified_identifier(state->table->schema, state->table->table);
		state->tagged = TIMESTAMP_IS_NOBEGIN(state->table->untagged_at);
		state->relid = find_relation(state->table);
		if (OidIsValid(state->relid))
		{
			LockRelationOid(state->relid, AccessShareLock);
			if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(state->relid)))
				state->relid = InvalidOid;
		}
		state->may_see_keys = OidIsValid(state->relid) && v->report == NULL &&
			pg_class_aclcheck(state->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
			check_enable_rls(state->relid, InvalidOid, true) != RLS_ENABLED;
	}
	MemoryContextSwitchTo(old);
	return state;
}

bool
verify_own_id(const Verify *v, int32 table_id, uint8 row_id[PV_ROW_ID_LEN])
{
	return v->identity != NULL &&
		pv_row_identity(prov_hasher(), v->identity->row_key, (uint32) table_id, NULL, 0, row_id) == PV_OK;
}

bool
verify_is_own_id(const Verify *v, int32 table_id, const uint8 *row_id)
{
	uint8		own[PV_ROW_ID_LEN];

	return verify_own_id(v, table_id, own) && memcmp(own, row_id, PV_ROW_ID_LEN) == 0;
}

/* "schema.table (key)", the key only for those who may read it. */
char *
verify_object(Verify *v, TableState *state, const ProvEntry *entry)
{
	StringInfoData s;
	ShapeState *shape;
	pv_name    *names;
	pv_value   *values;
	int			n;
	int			i;

	if (!state->may_see_keys || entry == NULL || entry->op < 1 || entry->op > PV_OP_LAST ||
		!pv_op_is_row(entry->op) || !verify_image_values(v, entry, &n, &names, &values))
		return state->name;
	shape = verify_shape(v, entry->shape_id, entry->seq);
	initStringInfo(&s);
	appendStringInfo(&s, "%s (", state->name);
	for (i = 0; i < shape->shape->nkeys; i++)
	{
		pv_value	value = values[entry->op == PV_OP_DELETE ? i : shape->shape->key_columns[i]];

		appendStringInfo(&s, "%s%s", i == 0 ? "" : ", ",
						 value.data == NULL ? "NULL" : verify_text(value.data, Min(value.len, 200)));
	}
	appendStringInfoChar(&s, ')');
	return s.data;
}

void
verify_unrecorded(Verify *v, TableState *state, TableRows *rows, const TableRow *row, bool since_tag)
{
	if (v->quiet)
		v->findings++;			/* the leader will say which: the key may take the type's own code */
	else if (since_tag || !state->baselines_pending)
		verify_finding(v, "row_unrecorded", SEV_ERROR, table_row_object(rows, state, row), -1, -1,
					   "The table has this row, its history says that there is none.");
	else if (!state->pending_found)
	{
		state->pending_found = true;
		verify_finding(v, "baseline_pending", SEV_NOTICE, state->name, -1, -1,
					   "The table was tagged with baseline \"later\", and the worker has not recorded all of its rows yet: "
					   "rows without an entry are not reported.");
	}
}

/* ---- triggers ---- */

typedef struct TriggerTask
{
	Verify	   *v;
	TableState *state;
	Oid			function;
} TriggerTask;

/*
 * The row of pg_trigger and not the relcache's copy of it: whoever edits the
 * catalog sends no invalidation.
 */
static void
check_trigger(TriggerTask *task, Relation rel, const char *name, int16 type)
{
	Verify	   *v = task->v;
	const char *table = rel->rd_id == task->state->relid ? task->state->name :
		quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tup;
	char		arg[16];

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(rel->rd_id));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 2, keys);
	tup = systable_getnext(scan);
	if (!HeapTupleIsValid(tup) || !rel->rd_rel->relhastriggers)
		verify_finding(v, "trigger_missing", SEV_ERROR, table, -1, -1,
					   "Trigger \"%s\" is not there: changes are not recorded.", name);
	else
	{
		Form_pg_trigger t = (Form_pg_trigger) GETSTRUCT(tup);
		bool		null_args,
					null_qual;
		Datum		args = heap_getattr(tup, Anum_pg_trigger_tgargs, RelationGetDescr(catalog), &null_args);
		bytea	   *bytes = null_args ? NULL : DatumGetByteaPP(args);

		(void) heap_getattr(tup, Anum_pg_trigger_tgqual, RelationGetDescr(catalog), &null_qual);
		snprintf(arg, sizeof(arg), "%d", task->state->table_id);
		if (t->tgtype != type || t->tgfoid != task->function || !null_qual || t->tgattr.dim1 > 0 ||
			t->tgdeferrable || t->tgnargs != 1 || bytes == NULL ||
			VARSIZE_ANY_EXHDR(bytes) != strlen(arg) + 1 || memcmp(VARDATA_ANY(bytes), arg, strlen(arg) + 1) != 0)
			verify_finding(v, "trigger_altered", SEV_ERROR, table, -1, -1,
						   "Trigger \"%s\" is another than tag() made: its function, events, condition or argument differ.", name);
		if (t->tgenabled == TRIGGER_DISABLED)
			verify_finding(v, "trigger_disabled", SEV_ERROR, table, -1, -1,
						   "Trigger \"%s\" is disabled: changes are not recorded.", name);
		else if (t->tgenabled != TRIGGER_FIRES_ALWAYS)
			verify_finding(v, "trigger_not_always", SEV_ERROR, table, -1, -1,
						   "Trigger \"%s\" is not ENABLE ALWAYS: with session_replication_role set, changes are not recorded.", name);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

static void
scan_event_triggers(void *arg)
{
	Verify	   *v = arg;
	Relation	catalog = table_open(EventTriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tup;
	int			n = 0;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_event_trigger form = (Form_pg_event_trigger) GETSTRUCT(tup);

		if (strncmp(NameStr(form->evtname), GUARD_PREFIX, strlen(GUARD_PREFIX)) != 0)
			continue;
		n++;
		if (form->evtenabled != TRIGGER_FIRES_ALWAYS)
			verify_finding(v, "guard_disabled", SEV_WARNING, NameStr(form->evtname), -1, -1,
						   "The event trigger is not ENABLE ALWAYS: changes of tables' definitions may not be followed.");
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (n == 0)
		verify_finding(v, "guard_disabled", SEV_WARNING, GUARD_PREFIX, -1, -1,
					   "The event triggers are not there: changes of tables' definitions are not followed.");
}

void
verify_guard(Verify *v)
{
	if (!verify_try(v, scan_event_triggers, v))
		verify_finding(v, "unreadable", SEV_ERROR, "pg_event_trigger", -1, -1,
					   "The event triggers cannot be read: %s", v->fault);
}

/* The function that the triggers call, and whether it is still ours. */
static void
check_function(TriggerTask *task)
{
	oidvector  *no_args = buildoidvector(NULL, 0);
	HeapTuple	tup = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum("capture"), PointerGetDatum(no_args),
									  ObjectIdGetDatum(prov_namespace()));
	bool		ours = false;

	if (HeapTupleIsValid(tup))
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tup);
		bool		isnull;
		Datum		src = SysCacheGetAttr(PROCNAMEARGSNSP, tup, Anum_pg_proc_prosrc, &isnull);

		task->function = proc->oid;
		ours = proc->prolang == ClanguageId && !isnull &&
			strcmp(TextDatumGetCString(src), "provenance_capture") == 0;
		ReleaseSysCache(tup);
	}
	if (!ours)
		verify_finding(task->v, "trigger_altered", SEV_ERROR, task->state->name, -1, -1,
					   "Function capture() is not the extension's.");
}

static void
check_triggers(void *arg)
{
	TriggerTask *task = arg;
	Oid			root = task->state->relid;
	bool		partitioned = get_rel_relkind(root) == RELKIND_PARTITIONED_TABLE;
	List	   *relids = partitioned ? find_all_inheritors(root, AccessShareLock, NULL) : list_make1_oid(root);
	ListCell   *lc;

	check_function(task);
	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);

		check_trigger(task, rel, PROV_ROW_TRIGGER,
					  TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE);
		if (rel->rd_id == root)
			check_trigger(task, rel, PROV_TRUNCATE_TRIGGER, TRIGGER_TYPE_TRUNCATE);
		if (rel->rd_id == root || rel->rd_rel->relkind == RELKIND_RELATION)
			check_trigger(task, rel, PROV_BEFORE_TRUNCATE_TRIGGER, TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_TRUNCATE);
		table_close(rel, NoLock);
	}
}

void
verify_table_definition(Verify *v, TableState *state)
{
	TriggerTask task = {v, state, InvalidOid};

	if (!OidIsValid(state->relid))
	{
		verify_finding(v, "table_missing", SEV_ERROR, state->name, -1, -1,
					   "The table is tagged, and does not exist.");
		return;
	}
	if (strcmp(get_rel_name(state->relid), state->table->table) != 0 ||
		strcmp(get_namespace_name(get_rel_namespace(state->relid)), state->table->schema) != 0)
		verify_finding(v, "table_renamed", SEV_ERROR, state->name, -1, -1,
					   "The table is now %s, and its history does not say so.",
					   quote_qualified_identifier(get_namespace_name(get_rel_namespace(state->relid)),
												  get_rel_name(state->relid)));
	/* the extension's own tables have none */
	if (state->table_id < PROV_OWN_TABLES && !verify_try(v, check_triggers, &task))
		verify_finding(v, "unreadable", SEV_ERROR, state->name, -1, -1, "The triggers cannot be read: %s", v->fault);
}
