/*
 * baseline.h: tables tagged with baseline => 'later', whose rows get their
 * baselines after tag() has returned: the phase of such a table, and the
 * standing worker's part in it. doc/architecture.md, "Baselines later".
 *
 * A phase is a row of baseline_phase. It is written by whoever holds a lock on
 * the tagged table: tag(), untag() and TRUNCATE one that keeps the worker out,
 * the worker AccessShareLock. So two never write it at the same time.
 */
#ifndef PROV_BASELINE_H
#define PROV_BASELINE_H

#include "postgres.h"

#include "utils/snapshot.h"

/* What capture has to know of a phase. */
typedef struct ProvPhaseMark
{
	bool		running;
	TransactionId xid;			/* that wrote the row of baseline_phase, at that command */
	CommandId	cid;			/* valid if it is the current transaction */
} ProvPhaseMark;

extern void prov_phase_mark(int32 table_id, ProvPhaseMark *out);

/* Is the table in the phase, as the snapshot sees it? */
extern bool prov_phase_running(int32 table_id, Snapshot snapshot);

/*
 * Begins and ends the phase of a table, in the caller's transaction; ending
 * what is not running is nothing. root: whose cached targets are made stale.
 */
extern void prov_phase_begin(int32 table_id, Oid root);
extern void prov_phase_end(int32 table_id, Oid root);

/* What the worker has left to do. */
typedef enum ProvBaselineWork
{
	PROV_BASELINES_DONE,		/* no table is in the phase */
	PROV_BASELINES_WAIT,		/* somebody holds a lock, or something failed */
	PROV_BASELINES_MORE
} ProvBaselineWork;

/*
 * Writes a chunk of baselines for each table in the phase, each in a
 * transaction of its own. Waits for no lock; what goes wrong is logged.
 */
extern ProvBaselineWork prov_write_baselines(void);

#endif							/* PROV_BASELINE_H */
