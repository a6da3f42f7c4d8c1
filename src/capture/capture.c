/*
 * capture.c: the trigger function capture().
 *
 * Each change of a row of a tagged table becomes one entry (two where the key
 * changes), written at once: nothing is buffered that a rollback to a
 * savepoint, an error, logical apply or PREPARE could lose.
 *
 * The order number of an entry (command id, class) tells the sealer in which
 * order the versions of a row came about; doc/architecture.md, "Order in the
 * log", has the rules. It is read off the tuple headers, which the trigger's
 * slots point to in the page: versions of a running transaction are not pruned.
 *
 * Of a table whose rows get their baselines later, the row as it was is
 * recorded before its change: ledger/candidate.h.
 *
 * Memory: what a row needs lies in a context that is reset after each. Where
 * output functions of users run, and so might change a tagged table
 * themselves, each row has a context of its own.
 *
 * Locks: none beyond the statement's on the table; RowExclusiveLock on the
 * ledger's tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "capture/capture.h"
#include "ledger/record.h"
#include "ledger/triggers.h"

PG_FUNCTION_INFO_V1(provenance_capture);

/* Classes of order numbers. */
#define ORDER_ENDED_INSERT 0
#define ORDER_END 1
#define ORDER_INSERT 2

static int64
insert_order(HeapTuple tup)
{
	HeapTupleHeader header = tup->t_data;

	if (!(header->t_infomask & HEAP_XMAX_INVALID) &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header)))
		return PROV_ORDER(HeapTupleHeaderGetCmax(header), ORDER_ENDED_INSERT);
	return PROV_ORDER(GetCurrentCommandId(false), ORDER_INSERT);
}

static void
capture_insert(ProvTarget *target, TriggerData *td)
{
	ProvLayout *layout = target->layout;
	pv_value   *values = palloc(sizeof(pv_value) * layout->ncolumns);
	pv_value   *key = palloc(sizeof(pv_value) * layout->nkeys);

	prov_row_values(layout, td->tg_relation->rd_rel->relowner, td->tg_trigslot, values);
	prov_pick_key(layout, values, key);
	prov_record_row(target, PV_OP_INSERT, values, key, insert_order(td->tg_trigtuple));
}

static void
capture_delete(ProvTarget *target, TriggerData *td)
{
	pv_value   *key = palloc(sizeof(pv_value) * target->layout->nkeys);
	CommandId	cid = HeapTupleHeaderGetCmax(td->tg_trigtuple->t_data);

	if (prov_needs_candidate(target, td->tg_trigtuple))
		prov_record_candidate(target, td->tg_relation->rd_rel->relowner, td->tg_trigslot, cid);
	prov_key_values(target->layout, td->tg_relation->rd_rel->relowner, td->tg_trigslot, key);
	prov_record_row(target, PV_OP_DELETE, key, key,
					PROV_ORDER(cid, ORDER_END));
}

static void
capture_update(ProvTarget *target, TriggerData *td)
{
	ProvLayout *layout = target->layout;
	pv_value   *values = palloc(sizeof(pv_value) * layout->ncolumns);
	pv_value   *key = palloc(sizeof(pv_value) * layout->nkeys);
	pv_value   *old_key = palloc(sizeof(pv_value) * layout->nkeys);
	CommandId	cid = HeapTupleHeaderGetCmin(td->tg_newtuple->t_data);
	int64		order = PROV_ORDER(cid, ORDER_END);
	bool		key_changed;

	/* whatever has changed: the version that the worker would have found is gone */
	if (prov_needs_candidate(target, td->tg_trigtuple))
		prov_record_candidate(target, td->tg_relation->rd_rel->relowner, td->tg_trigslot, cid);

	if (!prov_row_changes(layout, td->tg_relation->rd_rel->relowner, td->tg_trigslot, td->tg_newslot,
						  values, &key_changed, old_key))
		return;
	prov_pick_key(layout, values, key);
	if (key_changed)
	{
		prov_record_row(target, PV_OP_DELETE, old_key, old_key, order);
		prov_record_row(target, PV_OP_INSERT, values, key, insert_order(td->tg_newtuple));
	}
	else
		prov_record_row(target, PV_OP_UPDATE, values, key, order);
}

static void
capture_row(TriggerData *td, int32 table_id)
{
	static MemoryContext shared = NULL;
	ProvTarget	target = *prov_target(td->tg_relation, table_id);
	bool		own_context = (target.layout->needs & PROV_NEEDS_OWNER) != 0;
	MemoryContext cxt;
	MemoryContext old;

	if (target.append_only && !TRIGGER_FIRED_BY_INSERT(td->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot %s table \"%s\": it is tagged as append-only",
						TRIGGER_FIRED_BY_UPDATE(td->tg_event) ? "update" : "delete from",
						RelationGetRelationName(td->tg_relation))));

	if (own_context)
		cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance row", ALLOCSET_DEFAULT_SIZES);
	else
	{
		if (shared == NULL)
			shared = AllocSetContextCreate(TopMemoryContext, "provenance row", ALLOCSET_DEFAULT_SIZES);
		cxt = shared;
		MemoryContextReset(cxt);	/* after an error */
	}

	old = MemoryContextSwitchTo(cxt);
	if (TRIGGER_FIRED_BY_INSERT(td->tg_event))
		capture_insert(&target, td);
	else if (TRIGGER_FIRED_BY_DELETE(td->tg_event))
		capture_delete(&target, td);
	else
		capture_update(&target, td);
	MemoryContextSwitchTo(old);

	if (own_context)
		MemoryContextDelete(cxt);
	else
		MemoryContextReset(cxt);
}

Datum
provenance_capture(PG_FUNCTION_ARGS)
{
	TriggerData *td = (TriggerData *) fcinfo->context;
	bool		truncate;
	const char *name;
	int32		table_id;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"capture\" was not called as a trigger")));
	truncate = TRIGGER_FIRED_BY_TRUNCATE(td->tg_event);
	if (truncate ? !TRIGGER_FIRED_FOR_STATEMENT(td->tg_event) :
		!(TRIGGER_FIRED_FOR_ROW(td->tg_event) && TRIGGER_FIRED_AFTER(td->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"capture\" must be fired after each row, or by TRUNCATE")));
	if (td->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"capture\" must be given the id of a tagged table")));

	/* a second trigger, which the table's owner can make, would record twice */
	name = td->tg_trigger->tgname;
	if (truncate ? strcmp(name, PROV_TRUNCATE_TRIGGER) != 0 && strcmp(name, PROV_BEFORE_TRUNCATE_TRIGGER) != 0 :
		strcmp(name, PROV_ROW_TRIGGER) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" of table \"%s\" is not one that provenance.tag() made",
						name, RelationGetRelationName(td->tg_relation)),
				 errhint("Drop the trigger.")));
	table_id = pg_strtoint32(td->tg_trigger->tgargs[0]);

	if (truncate)
		prov_capture_truncate(td, table_id);
	else
		capture_row(td, table_id);
	return PointerGetDatum(NULL);
}
