/*-------------------------------------------------------------------------
 *
 * ledger_triggers.c
 *	  Triggers on the ledger's own tables: what there is, is neither changed
 *	  nor removed by SQL.
 *
 * The extension's code writes through the heap access method, which fires no
 * triggers; whatever comes here comes from a statement. INSERT is kept out by
 * privileges alone, since pg_restore must load these tables.
 *
 * refuse_change() is an ordinary trigger: it can be disabled by the tables'
 * owner, and whoever does and then edits the ledger is found by verification.
 * It keeps accidents out, and everybody who is not a superuser.
 *
 * ignore_foreign() is ENABLE REPLICA, for a subscriber to a publication FOR
 * ALL TABLES of a database with a log of its own: what logical apply brings is
 * another ledger's and is passed over. A data load under
 * session_replication_role = replica fires it too and must arrive, hence the
 * look at who is running. TRUNCATE cannot be passed over by a trigger, so a
 * truncated ledger on the publisher's side stops the apply.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "replication/logicalworker.h"
#include "utils/rel.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(provenance_refuse_change);
PG_FUNCTION_INFO_V1(provenance_ignore_foreign);

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger", name)));
	return (TriggerData *) fcinfo->context;
}

Datum
provenance_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *td = trigger_data(fcinfo, "refuse_change");
	const char *name = RelationGetRelationName(td->tg_relation);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 TRIGGER_FIRED_BY_TRUNCATE(td->tg_event) ?
			 errmsg("cannot truncate ledger table \"%s\"", name) :
			 TRIGGER_FIRED_BY_UPDATE(td->tg_event) ?
			 errmsg("cannot update ledger table \"%s\"", name) :
			 errmsg("cannot delete from ledger table \"%s\"", name),
			 errdetail("The ledger is append-only, and written by the extension alone.")));
	PG_RETURN_NULL();
}

Datum
provenance_ignore_foreign(PG_FUNCTION_ARGS)
{
	TriggerData *td = trigger_data(fcinfo, "ignore_foreign");

	if (TRIGGER_FIRED_BY_TRUNCATE(td->tg_event))
	{
		if (IsLogicalWorker())
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot truncate ledger table \"%s\" by logical replication",
							RelationGetRelationName(td->tg_relation)),
					 errdetail("The publisher's ledger was truncated. This database's ledger is another one.")));
		PG_RETURN_NULL();
	}
	if (IsLogicalWorker())
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(td->tg_event) ? td->tg_newtuple : td->tg_trigtuple);
}
