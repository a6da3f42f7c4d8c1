/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  The event triggers: what comes before and after a DDL command.
 *
 * After a command, the tagged tables that the transaction holds a
 * self-exclusive lock on, or whose names changed, are looked at (follow.c).
 * This is cheap where there is nothing to do: the registry's rows, a few
 * look-ups in the lock table, and no lock.
 *
 * The event triggers are members of the extension, so pg_dump does not carry
 * them, and nothing fires for a command on them. Single-user mode, and
 * event_triggers = off from PostgreSQL 17 on, switch them off; capture then
 * notices a stale shape itself, and verification the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "guard/guard.h"

PG_FUNCTION_INFO_V1(provenance_guard_start);
PG_FUNCTION_INFO_V1(provenance_guard_rewrite);
PG_FUNCTION_INFO_V1(provenance_guard_end);

/*
 * Tables rewritten by the running command, in TopTransactionContext. What a
 * failed subtransaction leaves behind costs a needless baseline at most.
 */
static List *rewritten = NIL;

static EventTriggerData *
event_data(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as an event trigger", name)));
	return (EventTriggerData *) fcinfo->context;
}

/* The relation that a command alters, by its name after the command. */
static Oid
altered_relation(Node *stmt)
{
	RangeVar   *name = NULL;

	if (stmt == NULL)
		return InvalidOid;
	if (IsA(stmt, AlterTableStmt))
		name = ((AlterTableStmt *) stmt)->relation;
	else if (IsA(stmt, RenameStmt) && (((RenameStmt *) stmt)->renameType == OBJECT_COLUMN ||
									   ((RenameStmt *) stmt)->renameType == OBJECT_ATTRIBUTE))
		name = ((RenameStmt *) stmt)->relation;
	return name == NULL ? InvalidOid : RangeVarGetRelid(name, NoLock, true);
}

static bool
name_changed(const GuardTable *g)
{
	char	   *schema = get_namespace_name(get_rel_namespace(g->relid));
	char	   *table = get_rel_name(g->relid);

	return schema != NULL && table != NULL &&
		(strcmp(schema, g->table->schema) != 0 || strcmp(table, g->table->table) != 0);
}

static void
at_end(EventTriggerData *event)
{
	GuardCommand command;
	List	   *tables;
	ListCell   *lc;

	command.stmt = event->parsetree;
	command.relid = altered_relation(event->parsetree);
	command.rewritten = rewritten;
	rewritten = NIL;

	/* of use in a restored database too: pg_restore --disable-triggers */
	guard_restore_ledger_triggers();
	tables = guard_tables();
	foreach(lc, tables)
	{
		GuardTable *g = lfirst(lc);

		if (g->locked)
			guard_restore_triggers(g, &command);
	}
	guard_restore_unregistered(tables, &command);
	if (!guard_active())
		return;
	foreach(lc, tables)
	{
		GuardTable *g = lfirst(lc);

		if (g->locked || name_changed(g))
		{
			guard_follow(g, &command);
			guard_partitions_after(g, &command);
		}
	}
	guard_follow_types(tables, &command);
}

/* Runs fn(event) with a memory context of its own. */
static void
run(void (*fn) (EventTriggerData *), EventTriggerData *event)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance guard", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	fn(event);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/*
 * An append locks table entry and not its index apart (src/ledger/entry.c).
 * What locks an index only, to move it to another tablespace, keeps the
 * writers away here.
 */
static void
lock_out_writers(Node *stmt)
{
	bool		moves = false;

	if (IsA(stmt, AlterTableMoveAllStmt))
		moves = ((AlterTableMoveAllStmt *) stmt)->objtype == OBJECT_INDEX;
	else if (IsA(stmt, AlterTableStmt))
		moves = RangeVarGetRelid(((AlterTableStmt *) stmt)->relation, NoLock, true) == prov_pkey(PROV_ENTRY);
	if (moves && prov_owns_relation(prov_relid(PROV_ENTRY), GetUserId()))
		LockRelationOid(prov_relid(PROV_ENTRY), ShareLock);
}

/*
 * Ledger tables may get further indexes, but none that their writers, below the
 * executor, cannot serve, and no further columns.
 */
static void
refuse_on_ledger(Node *stmt)
{
	RangeVar   *name = IsA(stmt, IndexStmt) ? ((IndexStmt *) stmt)->relation :
		IsA(stmt, AlterTableStmt) ? ((AlterTableStmt *) stmt)->relation : NULL;
	Oid			relid = name == NULL ? InvalidOid : RangeVarGetRelid(name, NoLock, true);
	bool		refused = false;
	ListCell   *lc;
	int			rel = 0;

	while (rel < PROV_NRELS && prov_relid(rel) != relid)
		rel++;
	if (rel == PROV_NRELS)
		return;
	if (IsA(stmt, IndexStmt))
	{
		refused = ((IndexStmt *) stmt)->whereClause != NULL;
		foreach(lc, ((IndexStmt *) stmt)->indexParams)
			refused |= ((IndexElem *) lfirst(lc))->expr != NULL;
	}
	else
		foreach(lc, ((AlterTableStmt *) stmt)->cmds)
			refused |= ((AlterTableCmd *) lfirst(lc))->subtype == AT_AddColumn;
	if (refused)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 IsA(stmt, IndexStmt) ?
				 errmsg("cannot create an index over an expression or a part of ledger table \"%s\"", name->relname) :
				 errmsg("cannot add a column to ledger table \"%s\"", name->relname)));
}

static void
at_start(EventTriggerData *event)
{
	refuse_on_ledger(event->parsetree);
	lock_out_writers(event->parsetree);
	guard_confirm_drop(event->parsetree);
	guard_partitions_before(event->parsetree);
}

Datum
provenance_guard_start(PG_FUNCTION_ARGS)
{
	EventTriggerData *event = event_data(fcinfo, "guard_start");

	if (!guard_is_own_ddl() && prov_installed())
		run(at_start, event);
	PG_RETURN_NULL();
}

Datum
provenance_guard_end(PG_FUNCTION_ARGS)
{
	EventTriggerData *event = event_data(fcinfo, "guard_end");

	if (!guard_is_own_ddl() && prov_installed())
		run(at_end, event);
	PG_RETURN_NULL();
}

static void
forget_rewritten(XactEvent event, void *arg)
{
	rewritten = NIL;
}

/*
 * Before a table is rewritten: noted, if values are computed anew. (A table
 * that becomes logged, or gets another access method, keeps its values.)
 */
Datum
provenance_guard_rewrite(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	MemoryContext old;
	int32		reason;

	(void) event_data(fcinfo, "guard_rewrite");
	if (!registered)
	{
		RegisterXactCallback(forget_rewritten, NULL);
		registered = true;
	}
	reason = DatumGetInt32(OidFunctionCall0(F_PG_EVENT_TRIGGER_TABLE_REWRITE_REASON));
	if ((reason & (AT_REWRITE_DEFAULT_VAL | AT_REWRITE_COLUMN_REWRITE)) == 0)
		PG_RETURN_NULL();
	old = MemoryContextSwitchTo(TopTransactionContext);
	rewritten = list_append_unique_oid(rewritten,
									   DatumGetObjectId(OidFunctionCall0(F_PG_EVENT_TRIGGER_TABLE_REWRITE_OID)));
	MemoryContextSwitchTo(old);
	PG_RETURN_NULL();
}
