/*
 * scrub.c: the scrubber: verification in the background, all the time.
 *
 * A worker of its own, one for a database, started by the standing worker where
 * provenance.scrub_rate is set (ledger/worker.c), so that sealing never waits
 * for it. It goes through all pieces (pieces.h), kind by kind and table by table,
 * and then again, at most one round in ROUND_MS. Each chunk of pieces, a second's
 * worth at most and of one kind or table, is one transaction with one snapshot;
 * then it sleeps for as long as the rate demands. Where it is stands in scrub_state, so that it goes on
 * there after a restart.
 *
 * It leaves when the setting or the log is gone, workers are not wanted, or
 * somebody wants the database, for which it looks within a piece too. It never
 * waits for a lock (lock_timeout is next to nothing): a session that waits for
 * one of its own must not become the victim of a deadlock with it. What is locked
 * is tried again for a while, then left for this round, as are rows while too many
 * entries wait for the sealer.
 *
 * A finding goes to the server log once in a round, without the key of its row,
 * and is counted; so are those beyond MAX_LOGGED, which are not logged.
 *
 * What it does not detect: what no piece shows by itself (pieces.h); of a row
 * with a chain too long for MAX_CHAIN_MS, what is earlier in the chain and not in
 * its own leaf.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/worker.h"
#include "verify/scrub.h"

#define ROUND_MS (10 * 60 * 1000)	/* from the beginning of a round to that of the next */
#define CHUNK_MS 1000
#define WAKE_MS 1000
#define TICK_MS 100
#define SAVE_MS 10000
#define RETRY_MS 1000
#define MAX_RETRIES 20			/* of one piece */
#define MAX_LOGGED 100			/* findings of a round */
#define MAX_KNOWN 10000			/* to be told from new ones */

typedef struct Scrub
{
	ScrubState	state;
	bool		loaded;
	bool		dirty;			/* findings that are not saved */
	TimestampTz saved_at;
	TimestampTz ticked_at;
	double		began;			/* this round in this process, by uptime_ms() */
	int			retries;
	bool		hurry;			/* one piece was given up, and none has worked since */
	int32		opening;		/* the table that is to be next */
	HTAB	   *known;			/* findings of this round, by hash */
	int			logged;
} Scrub;

static Scrub scrub;

/* Of a clock that nobody sets. */
static double
uptime_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MILLISEC(now);
}

/* ---- findings ---- */

static void
begin_round(void)
{
	ScrubState	before = scrub.state;
	HASHCTL		ctl = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt = TopMemoryContext};

	memset(&scrub.state, 0, sizeof(scrub.state));
	scrub.state.exists = true;
	scrub.state.started_at = GetCurrentTimestamp();
	scrub.state.end = -1;		/* to be counted */
	if (before.last_ended_at < scrub.state.started_at)	/* else the clock was set back */
		scrub.state.last_ended_at = before.last_ended_at;
	scrub.state.last_entries = before.last_entries;
	scrub.state.last_findings = before.last_findings;
	scrub.began = uptime_ms();
	if (scrub.known != NULL)
		hash_destroy(scrub.known);
	scrub.known = hash_create("provenance findings", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	scrub.logged = 0;
	scrub.retries = 0;
	scrub.hurry = false;
}

static uint64
finding_hash(const char *code, const char *object, int64 seq, int64 leaf)
{
	uint64		h = hash_bytes_extended((const unsigned char *) code, (int) strlen(code), 0);

	/* an entry is met as a leaf and in its row's chain */
	if (seq < 0)
		h = hash_bytes_extended((const unsigned char *) object, (int) strlen(object), h);
	h = hash_bytes_extended((const unsigned char *) &seq, sizeof(seq), h);
	return hash_bytes_extended((const unsigned char *) &leaf, sizeof(leaf), h);
}

static void
report(Verify *v, const char *code, const char *severity, const char *object, int64 seq, int64 leaf, const char *message)
{
	uint64		key = finding_hash(code, object, seq, leaf);
	bool		found = false;
	StringInfoData place;

	if (hash_get_num_entries(scrub.known) < MAX_KNOWN)
		(void) hash_search(scrub.known, &key, HASH_ENTER, &found);
	if (found)
		return;
	scrub.state.findings++;
	scrub.dirty = true;
	if (scrub.logged > MAX_LOGGED)
		return;
	if (scrub.logged++ == MAX_LOGGED)
	{
		ereport(WARNING,
				(errmsg("scrubbing: further findings of this round are not logged"),
				 errhint("provenance.verify() names them.")));
		return;
	}
	initStringInfo(&place);
	if (seq >= 0)
		appendStringInfo(&place, " Entry " INT64_FORMAT ".", seq);
	if (leaf >= 0)
		appendStringInfo(&place, " Leaf " INT64_FORMAT ".", leaf);
	ereport(strcmp(severity, SEV_NOTICE) == 0 ? LOG : WARNING,
			(errmsg("scrubbing: finding %s (%s): %s", code, severity, object),
			 errdetail("%s%s", message, place.data)));
}

/* Called within pieces. */
static void
tick(Verify *v)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now >= scrub.ticked_at && !TimestampDifferenceExceeds(scrub.ticked_at, now, TICK_MS))
		return;
	scrub.ticked_at = now;
	if (prov_database_wanted())
		proc_exit(0);
}

/* ---- the way through the pieces ---- */

/* The next table after the one that is through; false: there is none. */
static bool
next_table(Pieces *p)
{
	int			n;
	int32	   *ids = verify_registry(p->v, &n);
	int			i;

	for (i = 0; i < n; i++)
		if (ids[i] > scrub.state.table_id)
		{
			int64		blocks;

			scrub.opening = ids[i];
			blocks = pieces_table(p, ids[i], true)->blocks;
			scrub.state.table_id = ids[i];
			scrub.state.next = 0;
			scrub.state.end = blocks;
			return true;
		}
	return false;
}

/* Makes next < end; false: the round is complete. */
static bool
find_piece(Pieces *p)
{
	ScrubState *s = &scrub.state;

	if (s->end < 0)
	{
		verify_identity(p->v);
		verify_guard(p->v);
		s->end = p->count[s->kind];
	}
	/* fewer than when it was counted, or the row was tampered with */
	if (s->kind != PIECE_ROWS)
		s->end = Min(s->end, p->count[s->kind]);
	else if (s->next < s->end)
		s->end = Min(s->end, pieces_table(p, s->table_id, false)->blocks);
	while (s->next >= s->end)
	{
		if (s->kind == PIECE_ROWS)
		{
			if (!next_table(p))
				return false;
		}
		else
		{
			s->kind++;
			s->next = 0;
			s->end = s->kind == PIECE_ROWS ? 0 : p->count[s->kind];
			s->table_id = PG_INT32_MIN;
		}
	}
	return true;
}

static void
check_piece(Pieces *p)
{
	ScrubState *s = &scrub.state;
	int64		looked = p->v->looked;

	if (s->kind == PIECE_ROWS)
	{
		PieceTable *table = pieces_table(p, s->table_id, false);

		if (s->next < table->blocks)
			piece_check_rows(p, table, s->next);
	}
	else if (s->next < p->count[s->kind])
		piece_check(p, s->kind, s->next);
	s->next++;
	s->entries += p->v->looked - looked;
	scrub.retries = 0;
	scrub.hurry = false;
}

/* Rows cannot be judged just now. */
static bool
must_wait(const Pieces *p)
{
	return (scrub.state.kind == PIECE_ROWS || scrub.state.kind == PIECE_HEADS) &&
		(!p->rows || p->skip_waiting) && scrub.retries < MAX_RETRIES;
}

static void
save(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!scrub.dirty && scrub.saved_at <= now && !TimestampDifferenceExceeds(scrub.saved_at, now, SAVE_MS))
		return;
	scrub_save(&scrub.state);
	scrub.dirty = false;
	scrub.saved_at = now;
}

static void
end_round(void)
{
	ScrubState *s = &scrub.state;

	s->last_ended_at = Max(GetCurrentTimestamp(), s->started_at);	/* not earlier, whatever the clock */
	s->last_entries = s->entries;
	s->last_findings = s->findings;
	scrub.dirty = true;
	ereport(s->findings > 0 ? LOG : DEBUG1,
			(errmsg("scrubbing: a round is complete, with " INT64_FORMAT " findings", s->findings),
			 errdetail(INT64_FORMAT " entries and rows were looked at.", s->entries)));
}

/*
 * One chunk: a transaction. Returns how long the rate demands to wait from its
 * beginning on.
 */
static int64
chunk(void)
{
	TimestampTz began = GetCurrentTimestamp();
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext piece = piece_context(cxt);
	int64		looked = 0;
	int64		wait = 0;
	Verify	   *v;
	Pieces		p;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(cxt);
	if (!scrub.loaded)
	{
		scrub_load(&scrub.state);
		/* of times to come: the clock was set back, or the row was tampered with */
		if (scrub.state.started_at > began || scrub.state.last_ended_at > began)
			memset(&scrub.state, 0, sizeof(scrub.state));
		scrub.loaded = true;
	}
	if (scrub.known == NULL || scrub.state.last_ended_at >= scrub.state.started_at)
	{
		ScrubState	before = scrub.state;

		begin_round();
		if (before.exists && before.last_ended_at < before.started_at)
			scrub.state = before;	/* goes on with the round of the process before */
	}
	v = verify_begin_worker(report);
	v->tick = tick;
	if (v->usable)
	{
		pieces_begin(&p, v, 0);
		MemoryContextSwitchTo(piece);
		for (;;)
		{
			if (!find_piece(&p))
			{
				end_round();
				break;
			}
			if (must_wait(&p))
			{
				scrub.retries++;
				wait = RETRY_MS;
				break;
			}
			check_piece(&p);
			MemoryContextReset(piece);
			looked = Max(looked + 1, v->looked);	/* so a piece with nothing in it counts too */
			if (looked >= prov_scrub_rate || scrub.state.next >= scrub.state.end ||
				TimestampDifferenceExceeds(began, GetCurrentTimestamp(), CHUNK_MS) || GetCurrentTimestamp() < began)
				break;
		}
		MemoryContextSwitchTo(cxt);
		pieces_end(&p);
	}
	else
		wait = ROUND_MS;
	verify_end(v);
	save();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return Max(wait, looked * 1000 / Max(prov_scrub_rate, 1));
}

/* After an error, in PG_CATCH: only what is not a lock that somebody has is said. */
static void
recover(MemoryContext context)
{
	MemoryContextSwitchTo(context);
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		HOLD_INTERRUPTS();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	else
		prov_report_error(prov_recover(context));
	MemoryContextSwitchTo(context);
}

/* After an error the piece, or table, is tried again, and in the end left. */
static int64
try_chunk(MemoryContext context)
{
	int64		volatile wait = RETRY_MS;

	PG_TRY();
	{
		wait = chunk();
	}
	PG_CATCH();
	{
		recover(context);
		if (scrub.hurry || scrub.retries++ >= MAX_RETRIES)
		{
			scrub.retries = 0;
			scrub.hurry = true;
			if (scrub.state.kind == PIECE_ROWS && scrub.state.next >= scrub.state.end)
				scrub.state.table_id = scrub.opening;
			else
				scrub.state.next++;
		}
	}
	PG_END_TRY();
	return wait;
}

/* False if there is nothing to do here any more. */
static bool
wanted(MemoryContext context)
{
	bool		volatile result = true;

	PG_TRY();
	{
		result = prov_work_here();
	}
	PG_CATCH();
	{
		recover(context);
	}
	PG_END_TRY();
	return result;
}

/* When the next chunk is due, wait ms after `from`. */
static double
due_after(double from, int64 wait)
{
	const ScrubState *s = &scrub.state;

	if (s->last_ended_at != 0 && s->last_ended_at >= s->started_at)
		return Max(scrub.began + ROUND_MS, from + wait);
	return from + wait;
}

void
provenance_scrub_main(Datum database)
{
	MemoryContext context;
	double		due = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	prov_worker_settings();
	SetConfigOption("lock_timeout", "10ms", PGC_SUSET, PGC_S_OVERRIDE);

	context = AllocSetContextCreate(TopMemoryContext, "provenance scrubber", ALLOCSET_DEFAULT_SIZES);
	if (!prov_lock_scrubber())
		proc_exit(0);
	for (;;)
	{
		double		now;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (prov_scrub_rate == 0 || prov_database_wanted() || !wanted(context))
			break;

		now = uptime_ms();
		if (due <= now)
		{
			MemoryContextSwitchTo(context);
			pgstat_report_activity(STATE_RUNNING, "scrubbing");
			due = due_after(now, try_chunk(context));
			MemoryContextSwitchTo(context);
			MemoryContextReset(context);
			pgstat_report_stat(false);
			pgstat_report_activity(STATE_IDLE, NULL);
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) Max(1, Min(WAKE_MS, due - uptime_ms())),
						 PG_WAIT_EXTENSION);
	}
	proc_exit(0);
}
