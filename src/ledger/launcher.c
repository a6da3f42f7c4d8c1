/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  Where the library is preloaded: standing workers start with the server.
 *
 * The launcher visits each database that accepts connections once, one at a
 * time, by starting a standing worker in it: that one leaves at once where
 * there is no log. Then the launcher ends, with exit status 1 on purpose: a
 * worker that ends with 0 is forgotten by the postmaster, while this way the
 * launcher comes back at once when the server restarts after a crash, and
 * once a day.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "ledger/worker.h"

#define RETURN_SECONDS (24 * 60 * 60)
#define VISIT_MS 1000			/* a worker that is still there then has stayed */
#define SLOT_TRIES 50			/* of 100 ms */

void
prov_launcher_init(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress)
		return;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RETURN_SECONDS;
	strlcpy(worker.bgw_name, PROV_LAUNCHER_TYPE, BGW_MAXLEN);
	strlcpy(worker.bgw_type, PROV_LAUNCHER_TYPE, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, PROV_LIBRARY, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "provenance_launcher_main", sizeof(worker.bgw_function_name));
	RegisterBackgroundWorker(&worker);
}

static List *
connectable_databases(MemoryContext context)
{
	List	   *result = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tup;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tup = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database db = (Form_pg_database) GETSTRUCT(tup);

		if (db->datallowconn)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			result = lappend_oid(result, db->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return result;
}

static void
nap(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* One at a time, so that the databases do not fill the slots together. */
static bool
visit(Oid database)
{
	BackgroundWorkerHandle *handle;
	TimestampTz start;
	pid_t		pid;
	int			tries = 0;

	while (!prov_start_worker(database, MyProcPid, &handle))
	{
		if (++tries > SLOT_TRIES)
			return false;
		nap(100);
	}
	start = GetCurrentTimestamp();
	while (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED &&
		   !TimestampDifferenceExceeds(start, GetCurrentTimestamp(), VISIT_MS))
		nap(50);
	return true;
}

void
provenance_launcher_main(Datum unused)
{
	List	   *databases;
	ListCell   *lc;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	databases = connectable_databases(TopMemoryContext);
	foreach(lc, databases)
	{
		if (!visit(lfirst_oid(lc)))
		{
			ereport(LOG,
					(errmsg("no worker could be started to seal the logs of all databases"),
					 errhint("Increase max_worker_processes.")));
			break;
		}
	}
	proc_exit(1);
}
