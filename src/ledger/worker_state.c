/*-------------------------------------------------------------------------
 *
 * worker_state.c
 *	  What the worker last had to say, and whether it is wanted at all.
 *
 * One row. Writers take ShareRowExclusiveLock on the table to keep out each
 * other; a worker does so only if it gets it at once, since a session may
 * hold it for long between stop_worker() and its commit. What a worker could
 * not write down it says again at its next cycle.
 *
 * The row comes along when the database is restored from a dump or copied, and
 * would call the copy's signer ready; so it says whose it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/worker.h"

PG_FUNCTION_INFO_V1(provenance_start_worker);
PG_FUNCTION_INFO_V1(provenance_stop_worker);
PG_FUNCTION_INFO_V1(provenance_signer);

#define NAP_MS 50

typedef struct Change
{
	const char *signer;			/* NULL: leave it */
	const char *error;			/* NULL: leave it */
	const bool *wanted;			/* NULL: leave it */
} Change;

bool
prov_worker_wanted(void)
{
	HeapTuple	tup;
	bool		isnull;
	Datum		wanted;

	/* who altered the table stops neither commits nor sealing; verification has the finding */
	if (!prov_usable(PROV_WORKER_STATE) ||
		(tup = prov_fetch1(PROV_WORKER_STATE, Int32GetDatum(1), NULL)) == NULL)
		return true;
	wanted = heap_getattr(tup, A_WS_WANTED, prov_tupdesc(PROV_WORKER_STATE), &isnull);
	return isnull || DatumGetBool(wanted);
}

static bool
is_self(const Datum *values)
{
	return DatumGetObjectId(values[A_WS_DATABASE - 1]) == MyDatabaseId &&
		(uint64) DatumGetInt64(values[A_WS_SYSTEM - 1]) == GetSystemIdentifier();
}

static void
put_self(Datum *values)
{
	values[A_WS_DATABASE - 1] = ObjectIdGetDatum(MyDatabaseId);
	values[A_WS_SYSTEM - 1] = Int64GetDatum((int64) GetSystemIdentifier());
}

/* False if nothing was to be changed. The caller holds the table's lock. */
static bool
change_row(const Change *change)
{
	HeapTuple	tup = prov_fetch1(PROV_WORKER_STATE, Int32GetDatum(1), NULL);
	Datum		values[N_WS];
	bool		nulls[N_WS];
	ProvWriter	w;
	bool		changed = tup == NULL;

	if (tup != NULL)
		heap_deform_tuple(tup, prov_tupdesc(PROV_WORKER_STATE), values, nulls);
	else
	{
		memset(nulls, true, sizeof(nulls));
		values[A_WS_ID - 1] = Int32GetDatum(1);
		values[A_WS_SIGNER - 1] = CStringGetTextDatum("ready");
		values[A_WS_WANTED - 1] = BoolGetDatum(true);
		put_self(values);
		nulls[A_WS_ID - 1] = nulls[A_WS_SIGNER - 1] = nulls[A_WS_WANTED - 1] = false;
		nulls[A_WS_DATABASE - 1] = nulls[A_WS_SYSTEM - 1] = false;
	}
	if (change->signer && !is_self(values))
	{
		put_self(values);
		changed = true;
	}
	if (change->signer && (nulls[A_WS_SIGNER - 1] ||
						   strcmp(TextDatumGetCString(values[A_WS_SIGNER - 1]), change->signer) != 0))
	{
		values[A_WS_SIGNER - 1] = CStringGetTextDatum(change->signer);
		nulls[A_WS_SIGNER - 1] = false;
		changed = true;
	}
	if (change->error)
	{
		values[A_WS_ERROR_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[A_WS_ERROR - 1] = CStringGetTextDatum(change->error);
		nulls[A_WS_ERROR_AT - 1] = nulls[A_WS_ERROR - 1] = false;
		changed = true;
	}
	if (change->wanted && DatumGetBool(values[A_WS_WANTED - 1]) != *change->wanted)
	{
		values[A_WS_WANTED - 1] = BoolGetDatum(*change->wanted);
		changed = true;
	}
	if (!changed)
		return false;
	prov_writer_open(&w, PROV_WORKER_STATE);
	if (tup != NULL)
		prov_update(&w, tup, values, nulls);
	else
		prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
	return true;
}

/* A worker's change, in its own transaction. True if something was changed. */
static bool
report(const Change *change)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool changed = false;

	PG_TRY();
	{
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (prov_installed() &&
			ConditionalLockRelationOid(prov_relid(PROV_WORKER_STATE), ShareRowExclusiveLock))
			changed = change_row(change);
		PopActiveSnapshot();
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		changed = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return changed;
}

void
prov_report_error(const char *message)
{
	Change		change = {.error = message};

	(void) report(&change);
}

void
prov_report_signer(const char *reason)
{
	Change		change = {.signer = reason ? psprintf("stopped: %s", reason) : "ready"};

	if (!report(&change))
		return;
	if (reason)
		ereport(LOG,
				(errmsg("the signer is stopped: %s", reason),
				 errdetail("Sealing goes on, publishing does not.")));
	else
		ereport(LOG, (errmsg("the signer is ready")));
}

void
prov_signer_settled(void)
{
	Change		change = {.signer = "ready"};

	LockRelationOid(prov_relid(PROV_WORKER_STATE), ShareRowExclusiveLock);
	(void) change_row(&change);
}

/*
 * After a stop_worker() that is committed, the workers leave within a second or
 * so. One that is still there keeps its settings and its library, and may not
 * have seen yet that it was to go; one that is started beside it would leave for
 * it. So the start waits.
 */
static void
await_leaving(void)
{
	HeapTuple	tup = prov_fetch1(PROV_WORKER_STATE, Int32GetDatum(1), NULL);
	int64		until = prov_wait_timeout;
	bool		isnull;

	/* what this very transaction has changed, they cannot see */
	if (tup == NULL || TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tup->t_data)) ||
		DatumGetBool(heap_getattr(tup, A_WS_WANTED, prov_tupdesc(PROV_WORKER_STATE), &isnull)) || isnull)
		return;
	for (; prov_standing_worker_runs() || prov_scrubber_runs(); until -= NAP_MS)
	{
		if (until <= 0)
		{
			ereport(WARNING,
					(errmsg("the worker that was to stop is still running"),
					 errhint("Call stop_worker(), wait until the processes of provenance are gone from pg_stat_activity for this database, and call start_worker().")));
			return;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
set_wanted(bool wanted, const char *what)
{
	Change		change = {.wanted = &wanted};

	if (!superuser() && GetUserId() != prov_owner())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to start or stop the worker")));
	PreventCommandDuringRecovery(what);
	if (wanted)
		await_leaving();
	LockRelationOid(prov_relid(PROV_WORKER_STATE), ShareRowExclusiveLock);
	if (prov_identity(false) != NULL)
		(void) change_row(&change);
}

Datum
provenance_start_worker(PG_FUNCTION_ARGS)
{
	set_wanted(true, "start_worker()");
	prov_start_worker_at_commit();
	PG_RETURN_VOID();
}

Datum
provenance_stop_worker(PG_FUNCTION_ARGS)
{
	set_wanted(false, "stop_worker()");
	PG_RETURN_VOID();
}

/*
 * signer() → what the signer last said, if it was this database's. The reason has
 * paths in it: it is for those whom the server tells such things.
 */
Datum
provenance_signer(PG_FUNCTION_ARGS)
{
	HeapTuple	tup = prov_fetch1(PROV_WORKER_STATE, Int32GetDatum(1), NULL);
	Datum		values[N_WS];
	bool		nulls[N_WS];
	char	   *signer;

	if (tup == NULL)
		PG_RETURN_NULL();
	heap_deform_tuple(tup, prov_tupdesc(PROV_WORKER_STATE), values, nulls);
	if (!is_self(values))
		PG_RETURN_TEXT_P(cstring_to_text("stopped: this database was restored or copied, "
										 "and the signer has not looked at its state since; "
										 "seal() says how to go on"));
	if (nulls[A_WS_SIGNER - 1])
		PG_RETURN_NULL();		/* the constraint was dropped */
	signer = TextDatumGetCString(values[A_WS_SIGNER - 1]);
	if (strcmp(signer, "ready") != 0 && !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		signer = "stopped: the reason is in the server log, and shown here to members of pg_read_all_stats";
	PG_RETURN_TEXT_P(cstring_to_text(signer));
}
