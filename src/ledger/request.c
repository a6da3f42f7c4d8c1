/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Requests: a session's question to a short-lived worker, and seal().
 *
 * The segment belongs to the caller's transaction; the worker keeps a mapping
 * of its own, so a caller that gives up leaves nothing dangling. `state` says
 * whose turn it is: the caller writes the question before the worker starts,
 * the worker writes the answer before it sets ANSWERED or FAILED, and nobody
 * writes after that; barriers order the two sides.
 *
 * A worker that waits for a lock cannot be seen by the deadlock detector as
 * waiting for the caller. So the caller looks, while it waits, who blocks the
 * worker; if it is the caller itself, it would wait in vain and fails at once.
 * The worker gives up after its lock_timeout of 2 s.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "ledger/publish.h"
#include "ledger/request.h"
#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/worker.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_seal);

#define SLOT_WAIT_MS 5000
#define POLL_MS 100

enum
{
	ASKED, ANSWERED, FAILED
};

/* The segment. */
typedef struct Request
{
	/* written by the caller, before the worker starts */
	int			kind;
	Oid			database;
	int			caller_pid;
	int			timeout_ms;
	Size		question_len;
	Size		answer_max;

	/* written by the worker */
	pg_atomic_uint32 state;
	Size		answer_len;
	int			sqlerrcode;
	char		message[512];
	char		detail[1024];
	char		hint[512];

	char		data[FLEXIBLE_ARRAY_MEMBER];	/* question, then answer */
} Request;

/* of a request worker */
static bool holds_sealer = false;

static struct
{
	const char *what;			/* "seal the log" */
	ProvRequestHandler handler;
}			kinds[PROV_REQUEST_KINDS];

void
prov_request_register(int kind, const char *what, ProvRequestHandler handler)
{
	Assert(kind > 0 && kind < PROV_REQUEST_KINDS && kinds[kind].handler == NULL);
	kinds[kind].what = what;
	kinds[kind].handler = handler;
}

/* Reckoned by a clock that nobody can set. */
static bool
elapsed(const instr_time *start, int ms)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, *start);
	return INSTR_TIME_GET_MILLISEC(now) >= ms;
}

/* --- the caller -------------------------------------------------------- */

static void
check_possible(const char *what)
{
	ProvIdentity *identity;

	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot %s in single-user mode", what),
				 errdetail("A background worker does it.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s on a standby", what)));
	identity = prov_identity(false);
	if (prov_sealer_locked_here())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this very transaction decides about the log's key or owner"),
				 errdetail("The worker that is to %s waits for its end.", what),
				 errhint("Commit first.")));
	if (TransactionIdIsCurrentTransactionId(identity->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the log was set up by this very transaction"),
				 errdetail("The worker that is to %s cannot see it yet.", what),
				 errhint("Commit first.")));
}

static bool
register_worker(dsm_handle segment, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(segment);
	worker.bgw_notify_pid = MyProcPid;
	snprintf(worker.bgw_name, BGW_MAXLEN, PROV_REQUEST_TYPE " of process %d", MyProcPid);
	strlcpy(worker.bgw_type, PROV_REQUEST_TYPE, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, PROV_LIBRARY, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "provenance_request_main", sizeof(worker.bgw_function_name));
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

static void
nap(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Who blocks that process; blockers gets their pids as text. True if we do. */
static bool
blocked_by_me(pid_t pid, char **blockers)
{
	ArrayType  *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int32	   *pids = (int32 *) ARR_DATA_PTR(array);
	StringInfoData buf;
	bool		me = false;

	if (n == 0)
		return false;
	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		me |= pids[i] == MyProcPid;
		appendStringInfo(&buf, i ? ", %d" : "%d", pids[i]);
	}
	*blockers = buf.data;
	return me;
}

static void
raise_failure(const Request *req, const char *blockers)
{
	const char *detail = req->detail;

	if (req->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && blockers)
		detail = psprintf("The worker was blocked by process %s.", blockers);
	ereport(ERROR,
			(errcode(req->sqlerrcode),
			 errmsg_internal("%s", req->message),
			 detail[0] ? errdetail_internal("%s", detail) : 0,
			 req->hint[0] ? errhint("%s", req->hint) : 0));
}

static void
await_answer(Request *req, BackgroundWorkerHandle *handle, instr_time start)
{
	const char *what = kinds[req->kind].what;
	char	   *blockers = NULL;

	for (;;)
	{
		pid_t		pid;
		BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);
		uint32		state = pg_atomic_read_u32(&req->state);

		pg_read_barrier();
		if (state == ANSWERED)
			return;
		if (state == FAILED)
			raise_failure(req, blockers);
		if (status == BGWH_STOPPED)
		{
			/* it may have answered between the two looks */
			if (pg_atomic_read_u32(&req->state) != ASKED)
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the worker ended without an answer"),
					 errhint("The server log says why.")));
		}
		if (status == BGWH_POSTMASTER_DIED)
			ereport(FATAL,
					(errcode(ERRCODE_ADMIN_SHUTDOWN),
					 errmsg("postmaster exited while a worker was to %s", what)));
		if (status == BGWH_STARTED && blocked_by_me(pid, &blockers))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot %s while this transaction holds a lock that the worker needs", what),
					 errhint("Commit or roll back first.")));
		if (elapsed(&start, prov_wait_timeout))
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("the worker did not answer within provenance.wait_timeout"),
					 blockers ? errdetail("It was blocked by process %s.", blockers) : 0));
		nap(POLL_MS);
	}
}

StringInfo
prov_request(int kind, const char *question, Size len, Size answer_max)
{
	instr_time	start;
	dsm_segment *segment;
	Request    *req;
	BackgroundWorkerHandle *handle;
	StringInfo	answer = makeStringInfo();

	check_possible(kinds[kind].what);
	INSTR_TIME_SET_CURRENT(start);

	segment = dsm_create(offsetof(Request, data) + len + answer_max, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many dynamic shared memory segments")));
	req = dsm_segment_address(segment);
	memset(req, 0, offsetof(Request, data));
	req->kind = kind;
	req->database = MyDatabaseId;
	req->caller_pid = MyProcPid;
	req->timeout_ms = prov_wait_timeout;
	req->question_len = len;
	req->answer_max = answer_max;
	pg_atomic_init_u32(&req->state, ASKED);
	if (len > 0)
		memcpy(req->data, question, len);

	while (!register_worker(dsm_segment_handle(segment), &handle))
	{
		if (elapsed(&start, Min(SLOT_WAIT_MS, prov_wait_timeout)))
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("no worker could be started to %s", kinds[kind].what),
					 errdetail("All slots for background workers were in use."),
					 errhint("Increase max_worker_processes.")));
		nap(POLL_MS);
	}

	PG_TRY();
	{
		await_answer(req, handle, start);
	}
	PG_CATCH();
	{
		TerminateBackgroundWorker(handle);
		PG_RE_THROW();
	}
	PG_END_TRY();

	appendBinaryStringInfo(answer, req->data + req->question_len, req->answer_len);
	dsm_detach(segment);
	return answer;
}

/* --- the worker -------------------------------------------------------- */

static void
copy_text(char *dst, Size cap, const char *src)
{
	int			len;

	if (src == NULL)
		src = "";
	len = pg_mbcliplen(src, strlen(src), cap - 1);
	memcpy(dst, src, len);
	dst[len] = '\0';
}

static void
finish(Request *req, uint32 state)
{
	PGPROC	   *caller;

	pg_write_barrier();
	pg_atomic_write_u32(&req->state, state);
	caller = BackendPidGetProc(req->caller_pid);
	if (caller)
		SetLatch(&caller->procLatch);
}

static void
database_in_use(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("the database is being dropped, renamed or copied")));
}

/* Not by waiting in the lock queue: a long batch is no reason to give up. */
static void
lock_sealer(int timeout_ms)
{
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	while (!(holds_sealer = prov_lock_sealer(true)))
	{
		if (elapsed(&start, timeout_ms))
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("another worker is sealing the log")));
		if (prov_database_wanted())
			database_in_use();
		nap(10);
	}
}

static void
answer_request(Request *req, MemoryContext context)
{
	StringInfoData answer;

	if (req->kind <= 0 || req->kind >= PROV_REQUEST_KINDS || kinds[req->kind].handler == NULL)
		elog(ERROR, "unknown request %d", req->kind);
	pgstat_report_activity(STATE_RUNNING, psprintf("asked to %s", kinds[req->kind].what));
	lock_sealer(req->timeout_ms);
	MemoryContextSwitchTo(context);
	initStringInfo(&answer);
	kinds[req->kind].handler(req->data, req->question_len, &answer);
	if ((Size) answer.len > req->answer_max)
		elog(ERROR, "answer of %d bytes is too long", answer.len);
	memcpy(req->data + req->question_len, answer.data, answer.len);
	req->answer_len = answer.len;
}

void
provenance_request_main(Datum arg)
{
	dsm_segment *segment;
	Request    *req;
	MemoryContext context;
	ErrorData  *volatile edata = NULL;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		proc_exit(0);			/* the caller has given up */
	dsm_pin_mapping(segment);
	req = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnectionByOid(req->database, InvalidOid, 0);
	prov_worker_settings();
	context = AllocSetContextCreate(TopMemoryContext, "provenance request", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	PG_TRY();
	{
		answer_request(req, context);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		EmitErrorReport();
		LWLockReleaseAll();
		AbortOutOfAnyTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();

	if (holds_sealer)
		prov_unlock_sealer();
	if (edata)
	{
		req->sqlerrcode = edata->sqlerrcode;
		copy_text(req->message, sizeof(req->message), edata->message);
		copy_text(req->detail, sizeof(req->detail), edata->detail);
		copy_text(req->hint, sizeof(req->hint), edata->hint);
	}
	finish(req, edata ? FAILED : ANSWERED);
	proc_exit(0);
}

/* --- seal() ------------------------------------------------------------ */

static void
seal_handler(const char *question, Size len, StringInfo answer)
{
	int64		size;
	char	   *reason;
	HeapTuple	tup;
	Datum		note;
	const char *bytes;
	size_t		notelen;
	bool		isnull;
	MemoryContext context = CurrentMemoryContext;

	(void) prov_seal_batch(&size);
	if (!prov_publish_and_report(&reason))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the log is sealed up to size %lld, but the signer is stopped", (long long) size),
				 errdetail("The reason is: %s.", reason),
				 errhint("If this database was restored, copied, moved or promoted: provenance.adopt() goes on with the log, provenance.new_incarnation(reason) gives a copy an origin of its own.")));

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tup = prov_newest_checkpoint(prov_identity(false)->incarnation);
	if (tup == NULL || DatumGetInt64(heap_getattr(tup, A_CP_SIZE, prov_tupdesc(PROV_CHECKPOINT_NOTE), &isnull)) != size)
		database_in_use();		/* the batch gave way */
	note = heap_getattr(tup, A_CP_NOTE, prov_tupdesc(PROV_CHECKPOINT_NOTE), &isnull);
	bytes = checkpoint_bytes(note, &notelen);
	MemoryContextSwitchTo(context);
	appendBinaryStringInfo(answer, bytes, notelen);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

void
prov_request_init(void)
{
	prov_request_register(PROV_REQUEST_SEAL, "seal the log", seal_handler);
}

Datum
provenance_seal(PG_FUNCTION_ARGS)
{
	StringInfo	answer = prov_request(PROV_REQUEST_SEAL, NULL, 0, PV_CHECKPOINT_MAX_LEN);

	PG_RETURN_DATUM(checkpoint_to_datum(answer->data, answer->len));
}
