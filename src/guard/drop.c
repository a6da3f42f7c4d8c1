/*-------------------------------------------------------------------------
 *
 * drop.c
 *	  What is not to be dropped: tagged tables, their triggers, the ledger.
 *
 * A tagged table cannot go without its triggers, nor can a partition; so the
 * dropped triggers tell, however the command came to them: DROP TABLE, DROP
 * SCHEMA … CASCADE, DROP OWNED, DROP TRIGGER. A partition whose rows were
 * recorded before the command (partitions.c) may go.
 *
 * DROP EXTENSION takes the event triggers with it, so it is met before it
 * runs, under each name that it has. It is not refused to whoever says twice
 * that the history is to be destroyed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "guard/guard.h"
#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/triggers.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_guard_drop);

/* ---- tagged tables and their triggers ---- */

typedef struct Dropped
{
	char	   *type;
	char	   *name[3];		/* of a trigger: schema, table, trigger */
	int			n;
} Dropped;

/* What the running command has dropped, in the current memory context. */
static List *
dropped_objects(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	List	   *list = NIL;
	uint64		i;

	SPI_connect();
	if (SPI_execute("SELECT object_type, address_names FROM pg_catalog.pg_event_trigger_dropped_objects()",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "the list of dropped objects cannot be read");
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tup = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *type = SPI_getvalue(tup, desc, 1);
		MemoryContext old;
		Dropped    *d;
		Datum		names;
		bool		isnull;
		Datum	   *elems;
		bool	   *nulls;
		int			n;
		int			k;

		if (type == NULL || (strcmp(type, "trigger") != 0 && strcmp(type, "table") != 0))
			continue;
		names = SPI_getbinval(tup, desc, 2, &isnull);
		if (isnull)
			continue;
		old = MemoryContextSwitchTo(cxt);
		d = palloc0(sizeof(Dropped));
		d->type = pstrdup(type);
		deconstruct_array(DatumGetArrayTypeP(names), TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
		for (k = 0; k < n && k < lengthof(d->name) && !nulls[k]; k++)
			d->name[d->n++] = TextDatumGetCString(elems[k]);
		list = lappend(list, d);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return list;
}

static bool
table_dropped(List *dropped, const Dropped *trigger)
{
	ListCell   *lc;

	foreach(lc, dropped)
	{
		Dropped    *d = lfirst(lc);

		if (strcmp(d->type, "table") == 0 && d->n >= 2 &&
			strcmp(d->name[0], trigger->name[0]) == 0 && strcmp(d->name[1], trigger->name[1]) == 0)
			return true;
	}
	return false;
}

/* Is, or was until this command, a table of that name tagged? */
static bool
is_tagged_name(const char *schema, const char *table)
{
	TupleDesc	desc = prov_tupdesc(PROV_REGISTRY);
	bool		found = false;
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin(&scan, PROV_REGISTRY, InvalidOid, NULL, 0, NULL);
	while (!found && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;

		found = heap_attisnull(tup, A_REG_UNTAGGED_AT, desc) &&
			strcmp(NameStr(*DatumGetName(heap_getattr(tup, A_REG_SCHEMA, desc, &isnull))), schema) == 0 &&
			strcmp(NameStr(*DatumGetName(heap_getattr(tup, A_REG_TABLE, desc, &isnull))), table) == 0;
	}
	prov_scan_end(&scan);
	return found;
}

static void
refuse(List *dropped, const Dropped *trigger)
{
	const char *table = trigger->name[1];

	if (!table_dropped(dropped, trigger))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot drop trigger \"%s\" of tagged table \"%s\"", trigger->name[2], table),
				 errdetail("It records the table's changes."),
				 errhint("Untag the table with provenance.untag().")));
	if (is_tagged_name(trigger->name[0], table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot drop tagged table \"%s\"", quote_qualified_identifier(trigger->name[0], table)),
				 errhint("Untag the table with provenance.untag() first; its history stays.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot drop \"%s\" in this way: it is a partition of a tagged table",
					quote_qualified_identifier(trigger->name[0], table)),
			 errdetail("Its rows are to be recorded as deleted first."),
			 errhint("Drop or detach the partition by a command of its own.")));
}

static void
check_dropped(void)
{
	List	   *dropped = dropped_objects();
	ListCell   *lc;

	foreach(lc, dropped)
	{
		Dropped    *d = lfirst(lc);

		if (strcmp(d->type, "trigger") != 0 || d->n != 3)
			continue;
		if (strcmp(d->name[0], PROV_SCHEMA) == 0 && strncmp(d->name[2], "provenance_", strlen("provenance_")) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot drop trigger \"%s\" of ledger table \"%s\"", d->name[2], d->name[1])));
		if (guard_is_trigger_name(d->name[2]) && !guard_partition_departs(d->name[0], d->name[1]))
			refuse(dropped, d);
	}
}

Datum
provenance_guard_drop(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as an event trigger", "guard_drop")));
	if (!guard_is_own_ddl() && guard_active())
		check_dropped();
	PG_RETURN_NULL();
}

/* ---- the ledger ---- */

static bool
names_include(List *objects, const char *name)
{
	ListCell   *lc;

	foreach(lc, objects)
		if (IsA(lfirst(lc), String) && strcmp(strVal(lfirst(lc)), name) == 0)
			return true;
	return false;
}

static bool
drops_ledger(Node *stmt)
{
	ListCell   *lc;

	if (IsA(stmt, DropStmt))
	{
		DropStmt   *drop = (DropStmt *) stmt;

		if (drop->removeType == OBJECT_EXTENSION)
			return names_include(drop->objects, "provenance");
		return drop->removeType == OBJECT_SCHEMA && drop->behavior == DROP_CASCADE &&
			names_include(drop->objects, PROV_SCHEMA);
	}
	if (IsA(stmt, DropOwnedStmt))
		foreach(lc, ((DropOwnedStmt *) stmt)->roles)
			if (get_rolespec_oid(lfirst(lc), true) == prov_owner())
				return true;
	return false;
}

void
guard_confirm_drop(Node *stmt)
{
	ProvScan	scan;
	HeapTuple	identity;
	bool		isnull;
	bool		any;
	char	   *origin;

	if (!drops_ledger(stmt))
		return;

	/*
	 * A sealer in the middle of a batch would wait for a table that is
	 * dropped, and we for another that it has locked.
	 */
	prov_lock_sealer_xact();

	prov_scan_begin(&scan, PROV_ENTRY, InvalidOid, NULL, 0, NULL);
	any = HeapTupleIsValid(prov_scan_next(&scan, ForwardScanDirection));
	prov_scan_end(&scan);
	identity = prov_fetch1(PROV_LOG_IDENTITY, Int32GetDatum(1), NULL);
	if (!any || !HeapTupleIsValid(identity))
		return;

	origin = TextDatumGetCString(heap_getattr(identity, A_IDENT_ORIGIN, prov_tupdesc(PROV_LOG_IDENTITY), &isnull));
	if (prov_confirm_drop == NULL || strcmp(prov_confirm_drop, origin) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("dropping extension \"provenance\" would destroy the history of log \"%s\"", origin),
				 errdetail("The entries cannot be had back, and what was proven of them cannot be proven again."),
				 errhint("To do it all the same: SET provenance.confirm_drop = %s;", quote_literal_cstr(origin))));
}
