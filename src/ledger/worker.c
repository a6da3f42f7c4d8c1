/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The standing worker of a database: seals and publishes on a timer.
 *
 * It holds the standing worker's lock while it runs, so there is one for a
 * database, and takes the sealer's lock for each cycle only, so that a
 * request gets its turn. It wakes up at least once a second, whatever the
 * intervals are, and leaves
 *	- where there is no log (any more), or stop_worker() was called,
 *	- when somebody is dropping, renaming or copying the database,
 *	- 60 s after the last entry, once everything is published, if no
 *	  transaction is running that might bring an entry. It gives its lock back
 *	  before it looks, and takes it again if it has to stay: see start.c.
 * After each cycle it writes a chunk of the baselines that tag(…, baseline =>
 * 'later') left to it (baseline.c), and stays as long as there are any.
 *
 * With provenance.scrub_rate set it starts the scrubber, a process of its own so
 * that sealing never waits for it, and stays, so that it can start it again.
 *
 * It leaves with status 0, so that the postmaster forgets it.
 *
 * An error is logged, kept in worker_state and tried again after the seal
 * interval, later and later while it lasts (up to a minute).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "ledger/baseline.h"
#include "ledger/publish.h"
#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/worker.h"

#define IDLE_MS (60 * 1000)
#define WAKE_MS 1000
#define MAX_RETRY_MS (60 * 1000)
#define CLOCK_LOG_MS 1000
#define SCRUBBER_MS 5000		/* between two looks whether it runs */
#define NO_SLOT_LOG_MS (5 * 60 * 1000)

bool		prov_in_worker = false;

/* Of one life of the worker. */
typedef struct Standing
{
	bool		checked;		/* has the signer's state been looked at? */
	TimestampTz last_entry;		/* when something was sealed last, or it started */
	TimestampTz next_seal;
	TimestampTz last_publish;	/* signed_at of the newest checkpoint; 0: none */
	TimestampTz last_look;		/* at the clock */
	TimestampTz next_scrubber;	/* look whether it runs */
	TimestampTz no_slot_logged;	/* 0: never */
	int64		published_size;
	int64		size;
	bool		stopped;		/* the signer is */
	int			failures;		/* in a row */
	ProvBaselineWork baselines;
	bool		holds_lock;		/* the standing worker's */
	bool		holds_sealer;	/* the sealer's, within a cycle */
} Standing;

void
prov_worker_settings(void)
{
	prov_in_worker = true;
	SetConfigOption("lock_timeout", "2s", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	prov_disable_transaction_timeout();
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
}

char *
prov_recover(MemoryContext context)
{
	char	   *message;

	HOLD_INTERRUPTS();
	EmitErrorReport();
	MemoryContextSwitchTo(context);
	message = CopyErrorData()->message;
	LWLockReleaseAll();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	FlushErrorState();
	RESUME_INTERRUPTS();
	return message;
}

bool
prov_database_wanted(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, RowExclusiveLock, true);
	return false;
}

bool
prov_work_here(void)
{
	bool		result;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	result = prov_installed() && prov_identity(true) != NULL && prov_worker_wanted();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return result;
}

/*
 * True if no transaction is running that may have written an entry. Running
 * are those in the snapshot (prepared ones among them), and those from its
 * xmax, the newest completed, on.
 */
static bool
nobody_writing(void)
{
	Snapshot	snapshot;
	bool		result;

	StartTransactionCommand();
	snapshot = GetLatestSnapshot();
	result = snapshot->xcnt == 0 && !snapshot->suboverflowed &&
		TransactionIdEquals(snapshot->xmax, XidFromFullTransactionId(ReadNextFullTransactionId()));
	CommitTransactionCommand();
	return result;
}

static bool
publish_due(const Standing *st, TimestampTz now)
{
	if (!st->checked || st->last_publish == 0)
		return true;
	if (st->published_size >= st->size && !st->stopped)
		return false;
	/* signed in the future: the clock has been set back since */
	return st->last_publish > now || TimestampDifferenceExceeds(st->last_publish, now, prov_publish_interval);
}

/*
 * A clock that was set back must not have the worker wait until it has caught
 * up: what is reckoned from the time of then begins anew.
 */
static void
mind_clock(Standing *st, TimestampTz now)
{
	if (now < st->last_look)
	{
		if (TimestampDifferenceExceeds(now, st->last_look, CLOCK_LOG_MS))
			ereport(LOG,
					(errmsg("the server's clock was set back by %ld s", TimestampDifferenceMilliseconds(now, st->last_look) / 1000),
					 errdetail("Entries have the time that the clock shows. Their order does not depend on it.")));
		st->next_seal = Min(st->next_seal, now);
		st->last_entry = Min(st->last_entry, now);
		st->next_scrubber = st->no_slot_logged = 0;
	}
	st->last_look = now;
}

static void
unlock_sealer(Standing *st)
{
	if (st->holds_sealer)
		prov_unlock_sealer();
	st->holds_sealer = false;
}

/* One batch, and a checkpoint if one is due. */
static void
cycle(Standing *st)
{
	int64		sealed;
	TimestampTz now;

	st->holds_sealer = prov_lock_sealer(true);
	if (!st->holds_sealer)
		return;					/* a request is at it */

	pgstat_report_activity(STATE_RUNNING, "sealing");
	sealed = prov_seal_batch(&st->size);
	now = GetCurrentTimestamp();
	if (sealed > 0)
		st->last_entry = now;

	if (!st->checked)
		st->published_size = prov_last_published(&st->last_publish);
	if (publish_due(st, now))
	{
		char	   *reason = NULL;

		pgstat_report_activity(STATE_RUNNING, "publishing");
		st->stopped = !prov_publish_and_report(&reason);
		st->published_size = prov_last_published(&st->last_publish);
		if (st->stopped)
			st->last_publish = now; /* not again before the interval is over */
		st->checked = true;
	}
	unlock_sealer(st);
}

/* Leaving: true if there is nothing to stay for. The lock is then given back. */
static bool
may_leave(Standing *st)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		size_before = st->size;

	if (prov_scrub_rate > 0 || st->baselines != PROV_BASELINES_DONE ||
		!TimestampDifferenceExceeds(st->last_entry, now, IDLE_MS) ||
		(st->published_size < st->size && !st->stopped))
		return false;

	prov_unlock_standing();
	st->holds_lock = false;
	if (nobody_writing() && (st->holds_sealer = prov_lock_sealer(true)))
	{
		(void) prov_seal_batch(&st->size);
		unlock_sealer(st);
		if (st->size == size_before)
			return true;
		st->last_entry = now;
	}
	st->holds_lock = prov_lock_standing();
	return !st->holds_lock;		/* else another one has taken over */
}

static void
mind_scrubber(Standing *st)
{
	TimestampTz now = GetCurrentTimestamp();

	if (prov_scrub_rate == 0 || now < st->next_scrubber)
		return;
	st->next_scrubber = TimestampTzPlusMilliseconds(now, SCRUBBER_MS);
	if (prov_scrubber_runs() || prov_start_scrubber())
		return;
	if (st->no_slot_logged == 0 || TimestampDifferenceExceeds(st->no_slot_logged, now, NO_SLOT_LOG_MS))
	{
		st->no_slot_logged = now;
		ereport(LOG,
				(errmsg("no worker could be started to scrub the log"),
				 errhint("Increase max_worker_processes.")));
	}
}

/*
 * One turn, with errors logged and remembered; the worker lives on. True if
 * it has to leave.
 */
static bool
turn(Standing *st, MemoryContext context, bool seal)
{
	volatile bool leave = false;
	char	   *volatile message = NULL;

	PG_TRY();
	{
		leave = !prov_work_here();
		/* the end of a transaction leaves us in TopMemoryContext */
		MemoryContextSwitchTo(context);
		if (!leave && seal)
		{
			cycle(st);
			st->failures = 0;
			MemoryContextSwitchTo(context);
			st->baselines = prov_write_baselines();
			leave = may_leave(st);
			if (!leave)
				mind_scrubber(st);
		}
	}
	PG_CATCH();
	{
		message = prov_recover(context);
		unlock_sealer(st);
		if (st->failures < 16)
			st->failures++;
	}
	PG_END_TRY();

	if (message)
		prov_report_error(message);
	if (!leave && !st->holds_lock)
		leave = !(st->holds_lock = prov_lock_standing());
	return leave;
}

static long
pause_ms(const Standing *st)
{
	long		ms = prov_seal_interval;

	if (st->failures == 0 && st->baselines == PROV_BASELINES_MORE)
		return 0;
	for (int i = 0; i < st->failures && ms < MAX_RETRY_MS; i++)
		ms *= 2;
	return st->failures > 0 ? Min(ms, Max(MAX_RETRY_MS, prov_seal_interval)) : ms;
}

void
provenance_worker_main(Datum database)
{
	Standing	st;
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	prov_worker_settings();

	context = AllocSetContextCreate(TopMemoryContext, "provenance worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	if (!prov_work_here() || !prov_lock_standing())
		proc_exit(0);

	memset(&st, 0, sizeof(st));
	st.holds_lock = true;
	st.last_entry = GetCurrentTimestamp();

	for (;;)
	{
		TimestampTz now;
		long		ms;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (prov_database_wanted())
			break;

		now = GetCurrentTimestamp();
		mind_clock(&st, now);
		if (st.next_seal <= now)
		{
			if (turn(&st, context, true))
				break;
			now = GetCurrentTimestamp();
			st.next_seal = TimestampTzPlusMilliseconds(now, pause_ms(&st));
		}
		else if (turn(&st, context, false))
			break;
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);

		pgstat_report_stat(false);
		pgstat_report_activity(STATE_IDLE, NULL);
		ms = Min(WAKE_MS, TimestampDifferenceMilliseconds(now, st.next_seal));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Max(ms, 1), PG_WAIT_EXTENSION);
	}
	proc_exit(0);
}
