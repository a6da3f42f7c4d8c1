/*
 * truncate.c: capture of TRUNCATE.
 *
 * Of the tagged table itself: one event. Of a partition alone: a `delete`
 * entry for each of its rows, written before they are gone. The server
 * truncates a table's partitions with it, and runs the BEFORE triggers in the
 * order in which the tables are named, partitions after their root; a
 * partition that the command names before its root gets its entries too, which
 * is more than needed and not wrong.
 *
 * The event must come after every row that a BEFORE trigger of any table of
 * the command wrote (the command removed it), and before every row that an
 * AFTER trigger of any of them writes, whatever their names. AFTER triggers
 * fire in the order in which their events are queued, which the server does
 * once all BEFORE triggers have run. So our BEFORE trigger queues the event of
 * our AFTER trigger ahead: it fires before all others, at the one moment that
 * is right. The event that the server queues itself finds the work done.
 *
 * What is under way is kept in a list by table and subtransaction. It holds a
 * table once: the server refuses to truncate a table that it is truncating.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "capture/capture.h"
#include "ledger/record.h"
#include "ledger/triggers.h"

typedef struct Underway
{
	Oid			root;
	SubTransactionId subid;
	bool		recorded;		/* false: BEFORE triggers are still running */
} Underway;

static List *underway = NIL;	/* of Underway, in TopTransactionContext */

static void
at_xact(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		underway = NIL;
}

static void
at_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	/* only an error leaves any; a command ends in the subtransaction it began in */
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(lc, underway)
		if (((Underway *) lfirst(lc))->subid == mine)
			underway = foreach_delete_current(underway, lc);
}

static Underway *
find(Oid root)
{
	ListCell   *lc;

	foreach(lc, underway)
		if (((Underway *) lfirst(lc))->root == root)
			return lfirst(lc);
	return NULL;
}

static void
forget(Underway *u)
{
	if (u == NULL)
		return;
	underway = list_delete_ptr(underway, u);
	pfree(u);
}

static void
remember(Oid root)
{
	static bool registered = false;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Underway   *u = palloc(sizeof(Underway));

	if (!registered)
	{
		RegisterXactCallback(at_xact, NULL);
		RegisterSubXactCallback(at_subxact, NULL);
		registered = true;
	}
	u->root = root;
	u->subid = GetCurrentSubTransactionId();
	u->recorded = false;
	underway = lappend(underway, u);
	MemoryContextSwitchTo(old);
}

/* Our AFTER trigger, if it is going to fire. */
static Trigger *
after_trigger(Relation rel)
{
	TriggerDesc *all = rel->trigdesc;
	int			i;

	for (i = 0; all != NULL && i < all->numtriggers; i++)
		if (strcmp(all->triggers[i].tgname, PROV_TRUNCATE_TRIGGER) == 0)
			return all->triggers[i].tgenabled == TRIGGER_FIRES_ALWAYS ? &all->triggers[i] : NULL;
	return NULL;
}

/* Queues the trigger's event now, for after the command. */
static void
queue_ahead(Relation rel, Trigger *trigger)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *info = makeNode(ResultRelInfo);
	TriggerDesc one = {0};

	InitResultRelInfo(info, rel, 0, NULL, 0);
	one.triggers = trigger;
	one.numtriggers = 1;
	one.trig_truncate_after_statement = true;
	info->ri_TrigDesc = &one;
	ExecASTruncateTriggers(estate, info);
	FreeExecutorState(estate);
}

static void
before(Relation rel, ProvTarget *target, int32 table_id)
{
	Underway   *u = find(target->layout->root);
	Trigger    *trigger;

	if (target->layout->root != RelationGetRelid(rel))
	{
		/* as part of the whole it has nothing to say */
		if (u == NULL || u->recorded)
			prov_record_rows(rel, table_id, PV_OP_DELETE);
		return;
	}
	forget(u);
	trigger = after_trigger(rel);
	if (trigger != NULL)
	{
		remember(RelationGetRelid(rel));
		queue_ahead(rel, trigger);
	}
}

static void
after(Relation rel, ProvTarget *target)
{
	Underway   *u = find(RelationGetRelid(rel));
	const char *values[2];

	if (u != NULL && u->recorded)
	{
		forget(u);
		return;
	}
	values[0] = target->layout->schema;
	values[1] = target->layout->table;
	prov_record_event(target->layout, target->shape_id, PV_OP_TRUNCATE, values);
	/* the rows whose baselines were still to come are gone */
	prov_phase_end(target->layout->table_id, RelationGetRelid(rel));
	if (u != NULL)
		u->recorded = true;
}

void
prov_capture_truncate(TriggerData *td, int32 table_id)
{
	Relation	rel = td->tg_relation;
	ProvTarget *target = prov_target(rel, table_id);

	if (target->append_only)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot truncate table \"%s\": it is tagged as append-only",
						RelationGetRelationName(rel))));
	if (TRIGGER_FIRED_BEFORE(td->tg_event))
		before(rel, target, table_id);
	else if (target->layout->root == RelationGetRelid(rel))
		after(rel, target);
}
