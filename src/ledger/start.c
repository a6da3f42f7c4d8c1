/*-------------------------------------------------------------------------
 *
 * start.c
 *	  When a standing worker is started: by captures, by setup(), by hand.
 *
 * A session that has captured something looks, just before it commits and at
 * most every five seconds, whether the standing worker's lock is held, and if
 * not starts a worker as it commits. Before the commit there is nothing to
 * seal; a worker started earlier would also not see a log whose setup() is of
 * the same transaction. This misses no entry: the worker gives its lock back
 * first and then looks once more for entries and for transactions that may
 * still bring some (worker.c), and a transaction that began later finds the
 * lock free when it looks. PREPARE counts as a commit here.
 *
 * At commit time nothing may fail any more: starting takes no lock of the
 * lock manager and allocates nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/timestamp.h"

#include "ledger/seal.h"
#include "ledger/worker.h"

#define PROBE_MS 5000
#define NO_SLOT_LOG_MS (5 * 60 * 1000)

/* of the current transaction */
static bool captured = false;
static bool start_at_commit = false;
static FullTransactionId captured_xid;

/* of the session */
static bool callback_registered = false;
static TimestampTz last_probe = 0;
static TimestampTz last_no_slot = 0;
static FullTransactionId last_captured_xid;

static bool
start(const char *type, const char *function, Oid database, pid_t notify_pid, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = notify_pid;
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s for database %u", type, database);
	strlcpy(worker.bgw_type, type, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, PROV_LIBRARY, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

bool
prov_start_worker(Oid database, pid_t notify_pid, BackgroundWorkerHandle **handle)
{
	return start(PROV_WORKER_TYPE, "provenance_worker_main", database, notify_pid, handle);
}

bool
prov_start_scrubber(void)
{
	return start(PROV_SCRUBBER_TYPE, "provenance_scrub_main", MyDatabaseId, 0, NULL);
}

static void
start_or_log(void)
{
	TimestampTz now;

	if (prov_start_worker(MyDatabaseId, 0, NULL))
		return;
	now = GetCurrentTimestamp();
	last_probe = 0;				/* try again at the next change */
	if (last_no_slot == 0 || last_no_slot > now || TimestampDifferenceExceeds(last_no_slot, now, NO_SLOT_LOG_MS))
	{
		last_no_slot = now;
		ereport(LOG,
				(errmsg("no worker could be started to seal the log"),
				 errhint("Increase max_worker_processes.")));
	}
}

/*
 * Is a worker missing, and wanted? Runs inside the committing transaction,
 * which may have dropped the extension.
 */
static bool
worker_missing(void)
{
	return prov_installed() && !prov_standing_worker_runs() && prov_worker_wanted();
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (captured && !start_at_commit)
			{
				TimestampTz now = GetCurrentTimestamp();

				/* later than now: the clock was set back */
				if (last_probe == 0 || last_probe > now || TimestampDifferenceExceeds(last_probe, now, PROBE_MS))
				{
					last_probe = now;
					start_at_commit = worker_missing();
				}
			}
			return;
		case XACT_EVENT_COMMIT:
			if (captured)
				last_captured_xid = captured_xid;
			if (start_at_commit)
				start_or_log();
			break;
		case XACT_EVENT_ABORT:
			if (captured || start_at_commit)
				last_probe = 0;
			break;
		case XACT_EVENT_PREPARE:
			/* COMMIT PREPARED fires nothing; the worker stays until then */
			if (start_at_commit)
				start_or_log();
			break;
		default:
			return;
	}
	captured = false;
	start_at_commit = false;
}

static bool
may_start(void)
{
	/* a parallel worker writes nothing; a background worker of ours is awake */
	return IsUnderPostmaster && !IsParallelWorker() && !prov_in_worker;
}

static void
ensure_callback(void)
{
	if (!callback_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		callback_registered = true;
	}
}

void
prov_poke_worker(void)
{
	if (captured || !may_start())
		return;
	ensure_callback();
	captured_xid = GetTopFullTransactionId();
	captured = true;
}

void
prov_start_worker_at_commit(void)
{
	if (!may_start())
		return;
	ensure_callback();
	start_at_commit = true;
}

FullTransactionId
prov_last_captured_xid(void)
{
	return last_captured_xid;
}
