/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  wait_sealed(), and what is waiting: the numbers behind view status.
 *
 * A session knows its newest committed transaction that captured something.
 * Everything it committed is sealed once the snapshot of a sealed batch sees
 * that one: a snapshot taken after it sees what the session committed before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "utils/xid8.h"

#include "ledger/publish.h"
#include "ledger/seal.h"
#include "ledger/worker.h"

PG_FUNCTION_INFO_V1(provenance_wait_sealed);
PG_FUNCTION_INFO_V1(provenance_unsealed);

#define POLL_MS 20
#define PROBE_MS 1000
#define PENDING_CAP 100000

static bool
transaction_sealed(FullTransactionId xid)
{
	HeapTuple	tup = prov_fetch1(PROV_SEAL_STATE, Int32GetDatum(1), NULL);
	bool		isnull;
	bool		result;
	Datum		snapshot;

	if (tup == NULL)
		return false;
	snapshot = heap_getattr(tup, A_SEAL_SNAPSHOT, prov_tupdesc(PROV_SEAL_STATE), &isnull);
	result = DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot,
											  FullTransactionIdGetDatum(xid), snapshot));
	heap_freetuple(tup);
	return result;
}

Datum
provenance_wait_sealed(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz deadline;
	TimestampTz last_probe = 0;
	FullTransactionId xid = prov_last_captured_xid();
	ProvIdentity *identity = prov_identity(false);
	HeapTuple	tup;
	bool		isnull;

	deadline = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													   TimestampTzGetDatum(now),
													   PG_GETARG_DATUM(0)));
	while (FullTransactionIdIsValid(xid) && !transaction_sealed(xid))
	{
		now = GetCurrentTimestamp();
		if (now >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("what this session committed is not sealed yet"),
					 prov_standing_worker_runs() ? 0 : errdetail("No worker is running in this database."),
					 prov_worker_wanted() ? 0 : errhint("Call start_worker(): stop_worker() was called before.")));
		if (last_probe == 0 || TimestampDifferenceExceeds(last_probe, now, PROBE_MS))
		{
			last_probe = now;
			if (IsUnderPostmaster && !prov_standing_worker_runs() && prov_worker_wanted())
				(void) prov_start_worker(MyDatabaseId, 0, NULL);
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}

	tup = prov_newest_checkpoint(identity->incarnation);
	if (tup == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(heap_getattr(tup, A_CP_NOTE, prov_tupdesc(PROV_CHECKPOINT_NOTE), &isnull));
}

/* unsealed() → (pending, oldest_pending): committed, not in the log; capped. */
Datum
provenance_unsealed(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, true};
	int64		n;
	TimestampTz oldest = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	/* in no order: this is for everybody, and may be asked often */
	n = prov_unsealed_count(GetLatestSnapshot(), PENDING_CAP, &oldest);
	values[0] = Int64GetDatum(n);
	values[1] = TimestampTzGetDatum(oldest);
	nulls[1] = n == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
