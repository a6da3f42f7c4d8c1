/*-------------------------------------------------------------------------
 *
 * partitions.c
 *	  Partitions that come to a tagged table, and those that leave it.
 *
 * The server copies the row trigger to a new partition, but no trigger for
 * TRUNCATE, and it moves rows in and out by ATTACH, DETACH and DROP without
 * firing any. So a new partition gets the trigger; what ATTACH brings is
 * recorded as an `attach` event and a `baseline` entry for each row, what
 * DETACH or DROP takes as a `detach` event and a `delete` entry for each row,
 * in the command's transaction.
 *
 * What leaves is recorded before the command runs: afterwards the rows are
 * gone, or no longer the table's. The locks that the command is going to take
 * are taken here, in the server's order, parent first; only for whom the
 * command is going to succeed, or anybody could lock the table by trying.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "guard/guard.h"
#include "ledger/record.h"
#include "ledger/triggers.h"

/*
 * Qualified names of the relations that the running command takes away, in
 * TopTransactionContext. Emptied before each command.
 */
static List *departing = NIL;

static void
forget_departing(XactEvent event, void *arg)
{
	departing = NIL;
}

static void
announce(Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	departing = lappend(departing, guard_qualified_name(relid));
	MemoryContextSwitchTo(old);
}

bool
guard_partition_departs(const char *schema, const char *table)
{
	const char *name = quote_qualified_identifier(schema, table);
	ListCell   *lc;

	foreach(lc, departing)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/* An attach or detach event. */
static void
record_event(GuardTable *g, int op, Oid partition)
{
	Relation	root = table_open(g->relid, AccessShareLock);
	ProvTarget *target = prov_target(root, g->table->table_id);
	const char *values[3];

	values[0] = target->layout->schema;
	values[1] = target->layout->table;
	values[2] = guard_qualified_name(partition);
	prov_record_event(target->layout, target->shape_id, op, values);
	table_close(root, NoLock);
}

/* One entry for each row of a relation with storage. */
static void
record_rows(Oid relid, int32 table_id, int op)
{
	Relation	rel = table_open(relid, NoLock);

	if (rel->rd_rel->relkind == RELKIND_RELATION)
		(void) prov_record_rows(rel, table_id, op);
	table_close(rel, NoLock);
}

/* ---- before ---- */

static void
record_departure(Oid partition, bool detach)
{
	Oid			parent = get_partition_parent(partition, true);
	GuardTable *g;
	List	   *rels;
	ListCell   *lc;

	if (!OidIsValid(parent))
		return;
	g = guard_table_of(partition);
	if (g == NULL)
		return;
	if (g->table->append_only)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot %s partition \"%s\": table \"%s\" is tagged as append-only",
						detach ? "detach" : "drop", get_rel_name(partition), get_rel_name(g->relid))));

	/* find_all_inheritors() locks those below, not the one that it is given */
	LockRelationOid(parent, AccessExclusiveLock);
	LockRelationOid(partition, AccessExclusiveLock);
	rels = find_all_inheritors(partition, AccessExclusiveLock, NULL);
	if (get_partition_parent(partition, true) != parent)
		return;					/* gone meanwhile; the command will say so */

	record_event(g, PV_OP_DETACH, partition);
	foreach(lc, rels)
	{
		announce(lfirst_oid(lc));
		record_rows(lfirst_oid(lc), g->table->table_id, PV_OP_DELETE);
		if (detach)
			prov_partition_trigger_drop(lfirst_oid(lc));
	}
}

static void
before_detach(AlterTableStmt *stmt, PartitionCmd *cmd)
{
	Oid			parent = RangeVarGetRelid(stmt->relation, NoLock, true);
	Oid			partition = RangeVarGetRelid(cmd->name, NoLock, true);

	if (!OidIsValid(parent) || !OidIsValid(partition) || !get_rel_relispartition(partition) ||
		get_partition_parent(partition, true) != parent || !prov_owns_relation(parent, GetUserId()) ||
		guard_table_of(partition) == NULL)
		return;
	if (cmd->concurrent)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot detach partition \"%s\" of a tagged table concurrently", get_rel_name(partition)),
				 errdetail("Rows could change between being recorded as gone and being gone."),
				 errhint("Detach it without CONCURRENTLY.")));
	record_departure(partition, true);
}

static void
before_drop(DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(lfirst(lc)), NoLock, true);

		if (OidIsValid(relid) && get_rel_relispartition(relid) &&
			(prov_owns_relation(relid, GetUserId()) ||
			 prov_owns_schema(get_rel_namespace(relid), GetUserId())))
			record_departure(relid, false);
	}
}

void
guard_partitions_before(Node *stmt)
{
	static bool registered = false;
	ListCell   *lc;

	departing = NIL;
	if (!registered)
	{
		RegisterXactCallback(forget_departing, NULL);
		registered = true;
	}
	if (IsA(stmt, DropStmt) && ((DropStmt *) stmt)->removeType == OBJECT_TABLE && guard_active())
		before_drop((DropStmt *) stmt);
	else if (IsA(stmt, AlterTableStmt))
		foreach(lc, ((AlterTableStmt *) stmt)->cmds)
		{
			AlterTableCmd *cmd = lfirst(lc);

			if (cmd->subtype == AT_DetachPartition && guard_active())
				before_detach((AlterTableStmt *) stmt, (PartitionCmd *) cmd->def);
		}
}

/* ---- after ---- */

/* The partition that the command attached, or InvalidOid. */
static Oid
attached(const GuardCommand *command)
{
	ListCell   *lc;

	if (command->stmt != NULL && IsA(command->stmt, AlterTableStmt))
		foreach(lc, ((AlterTableStmt *) command->stmt)->cmds)
		{
			AlterTableCmd *cmd = lfirst(lc);

			if (cmd->subtype == AT_AttachPartition)
				return RangeVarGetRelid(((PartitionCmd *) cmd->def)->name, NoLock, true);
		}
	return InvalidOid;
}

void
guard_partitions_after(GuardTable *g, const GuardCommand *command)
{
	Oid			partition;
	ListCell   *lc;

	foreach(lc, g->rels)
	{
		Oid			relid = lfirst_oid(lc);
		GuardTrigger trigger;

		if (relid != g->relid && get_rel_relkind(relid) == RELKIND_RELATION && guard_holds_lock(relid) &&
			!guard_trigger(relid, PROV_BEFORE_TRUNCATE_TRIGGER, &trigger))
			prov_partition_trigger_create(relid, g->table->table_id);
	}

	partition = attached(command);
	if (!OidIsValid(partition) || !list_member_oid(g->rels, partition))
		return;
	record_event(g, PV_OP_ATTACH, partition);
	foreach(lc, find_all_inheritors(partition, AccessExclusiveLock, NULL))
		record_rows(lfirst_oid(lc), g->table->table_id, PV_OP_BASELINE);
}
