/*
 * worker.h: the background workers, and starting them.
 *
 * The standing worker of a database seals on a timer while there is something
 * to seal; it starts the scrubber, which verifies, where that is wanted; a
 * request worker does one thing for one session (request.h); the
 * launcher starts standing workers with the server where the library is
 * preloaded. doc/architecture.md, "Workers".
 */
#ifndef PROV_WORKER_H
#define PROV_WORKER_H

#include "postgres.h"

#include "access/transam.h"
#include "postmaster/bgworker.h"

#define PROV_LIBRARY "provenance"
#define PROV_WORKER_TYPE "provenance worker"
#define PROV_SCRUBBER_TYPE "provenance scrubber"
#define PROV_REQUEST_TYPE "provenance request"
#define PROV_LAUNCHER_TYPE "provenance launcher"

/* Entry points, looked up by name. */
extern PGDLLEXPORT void provenance_worker_main(Datum database);
extern PGDLLEXPORT void provenance_scrub_main(Datum database);
extern PGDLLEXPORT void provenance_request_main(Datum segment);
extern PGDLLEXPORT void provenance_launcher_main(Datum unused);

/* True in the standing worker, a request worker, the scrubber. */
extern bool prov_in_worker;

/* --- worker.c ---------------------------------------------------------- */

/*
 * Settings that a worker's transactions must not inherit from the database:
 * isolation, read only, timeouts; lock_timeout is 2 s. After connecting.
 */
extern void prov_worker_settings(void);

/* Is there a log, and are workers wanted? In a transaction of its own. */
extern bool prov_work_here(void);

/*
 * In a worker's PG_CATCH: logs the error, ends the transaction, and returns
 * the message. In context, which is then the current one.
 */
extern char *prov_recover(MemoryContext context);

/* --- worker_state.c ---------------------------------------------------- */

/* False after stop_worker(). Needs a transaction and an installed extension. */
extern bool prov_worker_wanted(void);

/*
 * Keep what the worker has to say, each in a transaction of its own; what
 * goes wrong is logged. prov_report_signer: reason NULL is "ready"; a change
 * is logged.
 */
extern void prov_report_error(const char *message);
extern void prov_report_signer(const char *reason);

/* In a session's transaction: whatever stopped the signer was dealt with. */
extern void prov_signer_settled(void);

/* --- start.c ----------------------------------------------------------- */

/*
 * Starts the standing worker of a database now; false without a free slot.
 * notify_pid: who gets SIGUSR1 as it starts and stops, or 0. handle may be
 * NULL. Takes no lock and, without a handle, no memory: fit for commit time.
 */
extern bool prov_start_worker(Oid database, pid_t notify_pid, BackgroundWorkerHandle **handle);

/* The same for the scrubber (verify/scrub.c) of this database. */
extern bool prov_start_scrubber(void);

/* Starts it when (and if) the current transaction commits. */
extern void prov_start_worker_at_commit(void);

/* The newest transaction of this session that committed captures; invalid: none. */
extern FullTransactionId prov_last_captured_xid(void);

/* --- launcher.c -------------------------------------------------------- */

extern void prov_launcher_init(void);

#endif							/* PROV_WORKER_H */
