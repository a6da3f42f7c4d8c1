/*-------------------------------------------------------------------------
 *
 * triggers.c
 *	  Keeping the triggers enabled in their mode.
 *
 * ALTER TABLE … DISABLE TRIGGER ALL, ENABLE TRIGGER ALL (data loads, pg_restore
 * --disable-triggers) leaves a trigger that was ALWAYS in the ordinary mode,
 * in which it does not fire under session_replication_role = replica; nobody
 * notices. So after each such command the mode is put right; also while a dump's
 * data is loaded and the registry is still empty.
 *
 * Disabling a trigger of a tagged table stops the recording of its changes. A
 * superuser may, is warned, and the server log has it; verification finds the
 * disabled trigger, and the rows. The owner of the table may not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "guard/guard.h"
#include "ledger/triggers.h"

static const char *const our_triggers[] = {
	PROV_ROW_TRIGGER, PROV_TRUNCATE_TRIGGER, PROV_BEFORE_TRUNCATE_TRIGGER
};

static bool
disables_trigger(Node *stmt)
{
	ListCell   *lc;

	if (stmt == NULL || !IsA(stmt, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) stmt)->cmds)
	{
		AlterTableType type = ((AlterTableCmd *) lfirst(lc))->subtype;

		if (type == AT_DisableTrig || type == AT_DisableTrigAll || type == AT_DisableTrigUser)
			return true;
	}
	return false;
}

/*
 * The relation of such a command, and its partitions, where the registry does
 * not know it (yet) and its triggers are ours all the same.
 */
void
guard_restore_unregistered(const List *tables, const GuardCommand *command)
{
	const ListCell *lc;
	GuardTrigger trigger;
	GuardTable	g = {0};

	if (command->stmt == NULL || !IsA(command->stmt, AlterTableStmt) || !OidIsValid(command->relid) ||
		!guard_trigger(command->relid, PROV_ROW_TRIGGER, &trigger) || trigger.table_id == 0)
		return;
	foreach(lc, tables)
		if (list_member_oid(((GuardTable *) lfirst(lc))->rels, command->relid))
			return;
	g.relid = command->relid;
	g.rels = find_all_inheritors(command->relid, NoLock, NULL);
	guard_restore_triggers(&g, command);
}

static void
set_mode(Oid relid, const char *trigger, const char *mode)
{
	prov_run_ddl(psprintf("ALTER TABLE %s ENABLE %s TRIGGER %s",
						  guard_qualified_name(relid), mode, quote_identifier(trigger)));
}

void
guard_restore_triggers(GuardTable *g, const GuardCommand *command)
{
	ListCell   *lc;
	bool		warned = false;
	int			i;

	foreach(lc, g->rels)
	{
		Oid			relid = lfirst_oid(lc);

		for (i = 0; i < lengthof(our_triggers); i++)
		{
			GuardTrigger trigger;

			/* looked up each time: the root's command sets the partitions' too */
			if (!guard_trigger(relid, our_triggers[i], &trigger))
				continue;
			if (trigger.enabled == TRIGGER_FIRES_ON_ORIGIN || trigger.enabled == TRIGGER_FIRES_ON_REPLICA)
				set_mode(relid, our_triggers[i], "ALWAYS");
			else if (trigger.enabled == TRIGGER_DISABLED && guard_holds_lock(relid) &&
					 disables_trigger(command->stmt))
			{
				if (!superuser())
					ereport(ERROR,
							(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							 errmsg("cannot disable trigger \"%s\" of tagged table \"%s\"",
									our_triggers[i], get_rel_name(relid)),
							 errhint("Name the other triggers to disable them, or untag the table with provenance.untag().")));
				if (!warned)
					ereport(WARNING,
							(errmsg("trigger \"%s\" of tagged table \"%s\" is disabled",
									our_triggers[i], get_rel_name(relid)),
							 errdetail("Changes of the table are not recorded until the trigger is enabled again; verification will find them.")));
				warned = true;
			}
		}
	}
}

void
guard_restore_ledger_triggers(void)
{
	static const char *const names[] = {"provenance_foreign", "provenance_foreign_truncate"};
	int			rel;
	int			i;

	for (rel = 0; rel < PROV_NRELS; rel++)
	{
		Oid			relid = prov_relid(rel);
		GuardTrigger trigger;

		if (!guard_holds_lock(relid))
			continue;
		for (i = 0; i < lengthof(names); i++)
			if (guard_trigger(relid, names[i], &trigger) &&
				(trigger.enabled == TRIGGER_FIRES_ON_ORIGIN || trigger.enabled == TRIGGER_FIRES_ALWAYS))
				set_mode(relid, names[i], "REPLICA");
	}
}
