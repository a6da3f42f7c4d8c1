/*-------------------------------------------------------------------------
 *
 * tables.c
 *	  Which relations the guard has to do with.
 *
 * Everything here reads catalogs without locking the tables: a DDL command
 * must not wait for one that another session alters just now. The registry's
 * OID is a cache; that a relation is the tagged one is said by its trigger,
 * which bears the ledger's table id.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "guard/guard.h"
#include "ledger/log.h"
#include "ledger/triggers.h"

bool
guard_active(void)
{
	ProvSealState state;
	HeapTuple	identity;

	if (!prov_installed())
		return false;
	identity = prov_fetch1(PROV_LOG_IDENTITY, Int32GetDatum(1), NULL);
	if (!HeapTupleIsValid(identity))
		return false;
	heap_freetuple(identity);

	/* before the first sealing, the OIDs in the registry have to do */
	prov_seal_state(NULL, &state);
	return !state.exists ||
		(state.database_oid == MyDatabaseId && state.system_identifier == GetSystemIdentifier());
}

/* A script of the extension itself may do what others may not. */
bool
guard_is_own_ddl(void)
{
	return prov_own_ddl ||
		(creating_extension && CurrentExtensionObject == get_extension_oid("provenance", true));
}

bool
guard_is_trigger_name(const char *name)
{
	return strcmp(name, PROV_ROW_TRIGGER) == 0 || strcmp(name, PROV_TRUNCATE_TRIGGER) == 0 ||
		strcmp(name, PROV_BEFORE_TRUNCATE_TRIGGER) == 0;
}

char *
guard_qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

/* pg_trigger.tgtype of our trigger of that name; ledger tables' have others. */
static int16
type_of(const char *name)
{
	if (strcmp(name, PROV_ROW_TRIGGER) == 0)
		return TRIGGER_TYPE_ROW | TRIGGER_TYPE_AFTER | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
			TRIGGER_TYPE_DELETE;
	if (strcmp(name, PROV_TRUNCATE_TRIGGER) == 0)
		return TRIGGER_TYPE_AFTER | TRIGGER_TYPE_TRUNCATE;
	return TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_TRUNCATE;
}

bool
guard_trigger(Oid relid, const char *name, GuardTrigger *out)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tup;
	bool		found;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 2, keys);
	tup = systable_getnext(scan);
	found = HeapTupleIsValid(tup);
	if (found)
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tup);

		out->enabled = form->tgenabled;
		out->table_id = 0;
		out->whole = form->tgtype == type_of(name) && form->tgattr.dim1 == 0 && !form->tgdeferrable &&
			heap_attisnull(tup, Anum_pg_trigger_tgqual, RelationGetDescr(rel));
		if (form->tgnargs == 1 && get_func_namespace(form->tgfoid) == prov_namespace() &&
			strcmp(get_func_name(form->tgfoid), "capture") == 0)
		{
			bool		isnull;
			Datum		args = fastgetattr(tup, Anum_pg_trigger_tgargs, RelationGetDescr(rel), &isnull);

			/* the arguments are strings, each with its terminator */
			if (!isnull)
				out->table_id = atoi(text_to_cstring(DatumGetTextPP(args)));
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
is_tagged_as(Oid relid, int32 table_id)
{
	GuardTrigger trigger;

	return guard_trigger(relid, PROV_ROW_TRIGGER, &trigger) && trigger.table_id == table_id;
}

/* The relation of a registry row, InvalidOid if there is none now. */
static Oid
resolve(const ProvTable *table)
{
	char	   *name = get_rel_name(table->relid);
	Oid			nsp = get_namespace_oid(table->schema, true);
	Oid			by_name = OidIsValid(nsp) ? get_relname_relid(table->table, nsp) : InvalidOid;

	if (name != NULL && is_tagged_as(table->relid, table->table_id))
		return table->relid;
	if (OidIsValid(by_name) && (by_name == table->relid || is_tagged_as(by_name, table->table_id)))
		return by_name;
	return InvalidOid;
}

bool
guard_holds_lock(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return prov_lock_held(&tag, AccessExclusiveLock) || prov_lock_held(&tag, ShareRowExclusiveLock) ||
		prov_lock_held(&tag, ShareUpdateExclusiveLock) || prov_lock_held(&tag, ExclusiveLock);
}

static GuardTable *
make_table(ProvTable *table, Oid relid)
{
	GuardTable *g = palloc0(sizeof(GuardTable));
	ListCell   *lc;

	g->table = table;
	g->relid = relid;
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		g->rels = find_all_inheritors(relid, NoLock, NULL);
	else
		g->rels = list_make1_oid(relid);
	foreach(lc, g->rels)
		g->locked |= guard_holds_lock(lfirst_oid(lc));
	return g;
}

List *
guard_tables(void)
{
	List	   *tables = NIL;
	List	   *ids = NIL;
	ProvScan	scan;
	HeapTuple	tup;
	ListCell   *lc;

	prov_scan_begin(&scan, PROV_REGISTRY, InvalidOid, NULL, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		TupleDesc	desc = prov_tupdesc(PROV_REGISTRY);

		if (heap_attisnull(tup, A_REG_UNTAGGED_AT, desc))
			ids = lappend_int(ids, DatumGetInt32(heap_getattr(tup, A_REG_TABLE_ID, desc, &isnull)));
	}
	prov_scan_end(&scan);

	foreach(lc, ids)
	{
		ProvTable  *table = prov_table_by_id(lfirst_int(lc), NULL);
		Oid			relid = table == NULL ? InvalidOid : resolve(table);

		if (OidIsValid(relid))
			tables = lappend(tables, make_table(table, relid));
	}
	return tables;
}

GuardTable *
guard_table_of(Oid relid)
{
	ListCell   *lc;

	if (!OidIsValid(relid))
		return NULL;
	foreach(lc, guard_tables())
	{
		GuardTable *g = lfirst(lc);

		if (list_member_oid(g->rels, relid))
			return g;
	}
	return NULL;
}
