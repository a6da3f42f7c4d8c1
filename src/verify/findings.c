/*
 * findings.c: what a verifying function returns, and what surrounds it: the
 * call's state, subtransactions around whatever reads, progress.
 *
 * Findings go into the call's tuplestore as they are made, which spills to
 * disk: a ledger whose every row was changed needs no memory for that.
 *
 * verify_try() is what turns an error of reading into a finding. The
 * subtransaction gives back pins, locks and scans of the failed function; it
 * never has a transaction id of its own, so it works in a read-only
 * transaction and on a standby. Sorts and snapshots that outlive it must
 * belong to v->owner. In parallel mode, which has no subtransactions, a resource
 * owner does what is needed of one: nothing is written there, and no user's code
 * runs.
 */
#include "postgres.h"

#include <stdarg.h>

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/result.h"
#include "types/types.h"
#include "verify/parallel.h"

#define FIRST_NOTICE_MS 5000
#define NEXT_NOTICE_MS 7000

static void
read_identity(void *arg)
{
	Verify	   *v = arg;
	MemoryContext old = MemoryContextSwitchTo(v->cxt);

	v->identity = prov_identity(true);
	MemoryContextSwitchTo(old);
}

static void
read_log_size(void *arg)
{
	Verify	   *v = arg;

	v->log_size = prov_log_size(v->log);
}

void
verify_open(Verify *v)
{
	v->cxt = CurrentMemoryContext;
	v->tmp = AllocSetContextCreate(v->cxt, "provenance verification, batch", VERIFY_TMP_SIZES);
	v->shape_cxt = AllocSetContextCreate(v->cxt, "provenance verification, shapes", ALLOCSET_DEFAULT_SIZES);
	v->owner = CurrentResourceOwner;
	v->snapshot = RegisterSnapshot(GetActiveSnapshot());
	v->log = prov_log_open(v->snapshot);
	v->prev_log = prov_log_open(v->snapshot);
}

static Verify *
begin(Verify *v)
{
	uint8		seed[PV_FINGERPRINT_SEED];

	if (!pg_strong_random(seed, sizeof(seed)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not obtain random bytes")));
	pv_fingerprint_init(&v->key, seed);
	verify_open(v);
	v->usable = verify_ledger_usable(v);
	if (!v->usable)
		return v;
	if (!verify_try(v, read_log_size, v))
		verify_finding(v, "unreadable", SEV_ERROR, "seal_state", -1, -1, "The state of sealing cannot be read: %s", v->fault);
	if (!verify_try(v, read_identity, v))
		verify_finding(v, "identity_invalid", SEV_ERROR, "log_identity", -1, -1, "%s", v->fault);
	return v;
}

Verify *
verify_begin(FunctionCallInfo fcinfo)
{
	Verify	   *v = palloc0(sizeof(Verify));

	v->rsinfo = prov_result_begin(fcinfo, "tttllt");
	v->progress = prov_progress_begin();
	v->next_notice = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FIRST_NOTICE_MS);
	return begin(v);
}

Verify *
verify_begin_worker(void (*report) (Verify *v, const char *code, const char *severity, const char *object,
									int64 seq, int64 leaf, const char *message))
{
	Verify	   *v = palloc0(sizeof(Verify));

	v->report = report;
	v->next_notice = DT_NOEND;
	return begin(v);
}

void
verify_end(Verify *v)
{
	verify_parallel_end(v);
	prov_log_close(v->prev_log);
	prov_log_close(v->log);
	UnregisterSnapshot(v->snapshot);
	prov_progress_end(v->progress);
	if (v->doing != NULL && v->report == NULL)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
}

void
verify_finding(Verify *v, const char *code, const char *severity, const char *object,
			   int64 seq, int64 leaf, const char *fmt,...)
{
	Datum		values[6];
	bool		nulls[6] = {false};
	StringInfoData message;
	va_list		args;
	int			needed;

	if (v->quiet)
	{
		v->findings++;
		return;
	}
	initStringInfo(&message);
	do
	{
		va_start(args, fmt);
		needed = appendStringInfoVA(&message, fmt, args);
		va_end(args);
		if (needed > 0)
			enlargeStringInfo(&message, needed);
	} while (needed > 0);

	v->findings++;
	if (v->report != NULL)
	{
		v->report(v, code, severity, object, seq, leaf, message.data);
		pfree(message.data);
		return;
	}
	values[0] = CStringGetTextDatum(code);
	values[1] = CStringGetTextDatum(severity);
	values[2] = CStringGetTextDatum(object);
	values[3] = Int64GetDatum(seq);
	nulls[3] = seq < 0;
	values[4] = Int64GetDatum(leaf);
	nulls[4] = leaf < 0;
	values[5] = CStringGetTextDatum(message.data);
	prov_result_put(v->rsinfo, lengthof(values), values, nulls);

	pfree(message.data);
	pfree(DatumGetPointer(values[0]));
	pfree(DatumGetPointer(values[1]));
	pfree(DatumGetPointer(values[2]));
	pfree(DatumGetPointer(values[5]));
}

/* Errors that say nothing of the data. */
static bool
is_interruption(const Verify *v, int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
			return !v->dispensable;
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
			return true;
	}
	return sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || sqlerrcode == ERRCODE_QUERY_CANCELED;
}

/* The error under way, as a copy that outlives what is given back after it. */
static ErrorData *
take_error(Verify *v)
{
	ErrorData  *error;

	MemoryContextSwitchTo(v->cxt);
	error = CopyErrorData();
	FlushErrorState();
	return error;
}

/*
 * Keeps what the error says, or goes on with it if it is an interruption: after
 * the function's subtransaction has ended, which a handler further up would not
 * know of.
 */
static void
keep_fault(Verify *v, ErrorData *error)
{
	if (is_interruption(v, error->sqlerrcode) || (v->participant != NULL && verify_participant_failed(v->participant)))
		ReThrowError(error);
	v->fault = MemoryContextStrdup(v->cxt, error->message);
	FreeErrorData(error);
}

static void
release_owner(ResourceOwner owner, bool ok)
{
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, ok, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, ok, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, ok, false);
}

static bool
try_in_parallel_mode(Verify *v, void (*fn) (void *), void *arg)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ResourceOwner own = ResourceOwnerCreate(owner, "provenance verification");
	int			nest_level = NewGUCNestLevel();
	ErrorData  *volatile error = NULL;
	int			sec_context;
	Oid			user;

	GetUserIdAndSecContext(&user, &sec_context);
	CurrentResourceOwner = own;
	PG_TRY();
	{
		fn(arg);
	}
	PG_CATCH();
	{
		error = take_error(v);
		/* in the order of AbortSubTransaction() */
		LWLockReleaseAll();
		pgstat_report_wait_end();
		prov_abort_io();
		UnlockBuffers();
		ConditionVariableCancelSleep();
		SetUserIdAndSecContext(user, sec_context);
	}
	PG_END_TRY();
	CurrentResourceOwner = own;
	release_owner(own, error == NULL);
	AtEOXact_GUC(error == NULL, nest_level);
	CurrentResourceOwner = owner;
	ResourceOwnerDelete(own);
	MemoryContextSwitchTo(old);
	if (error == NULL)
		return true;
	keep_fault(v, error);
	return false;
}

bool
verify_try(Verify *v, void (*fn) (void *), void *arg)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	if (IsInParallelMode())
		return try_in_parallel_mode(v, fn, arg);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		fn(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		error = take_error(v);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	if (error == NULL)
		return true;
	keep_fault(v, error);
	return false;
}

void
verify_progress_begin(Verify *v, const char *doing, int64 total)
{
	v->doing = doing;
	v->total = total;
	v->done = 0;
	prov_progress_phase(v->progress, doing, total);
}

void
verify_progress_begin_of(Verify *v, const char *doing, const char *object, int64 total)
{
	verify_progress_begin(v, doing, total);
	v->doing = psprintf("%s of %s", doing, object);
}

void
verify_progress(Verify *v, int64 done)
{
	TimestampTz now;
	char	   *text;

	CHECK_FOR_INTERRUPTS();
	if (v->quiet)
		return;
	if (v->tick != NULL)
		v->tick(v);
	v->done = done;
	prov_progress_done(v->progress, done);
	now = GetCurrentTimestamp();
	if (now < v->next_notice)
		return;
	v->next_notice = TimestampTzPlusMilliseconds(now, NEXT_NOTICE_MS);
	if (v->total > 0)
		text = psprintf("verification: %s, " INT64_FORMAT " of " INT64_FORMAT ", " INT64_FORMAT " findings so far",
						v->doing, done, v->total, v->findings);
	else
		text = psprintf("verification: %s, " INT64_FORMAT ", " INT64_FORMAT " findings so far",
						v->doing, done, v->findings);
	ereport(NOTICE, (errmsg_internal("%s", text)));
	pgstat_report_activity(STATE_RUNNING, text);
	pfree(text);
}

char *
verify_text(const void *s, size_t len)
{
	char	   *copy = pnstrdup(s, len);
	char	   *p;
	size_t		n;
	char	   *server;

	if (!pv_utf8_valid(s, len))
	{
		for (p = copy; *p; p++)
			if ((unsigned char) *p >= 0x80 || (unsigned char) *p < 0x20)
				*p = '?';
		return copy;
	}
	server = prov_from_utf8(copy, strlen(copy), &n);
	if (server == NULL)
	{
		for (p = copy; *p; p++)
			if ((unsigned char) *p >= 0x80)
				*p = '?';
		return copy;
	}
	return pnstrdup(server, n);
}
