/*
 * log_scan.h: what log_scan.c (leaves) and roots.c (tree, checkpoints, what is
 * in the log at all) share of one pass over the log.
 */
#ifndef PROV_LOG_SCAN_H
#define PROV_LOG_SCAN_H

#include "verify/verify.h"

/* A leaf whose entry does not give its stored hash. */
typedef struct Pending
{
	int64		leaf;
	int64		seq;
	pv_hash		computed;
	bool		tile;			/* decided: the stored hash was changed */
} Pending;

typedef struct LogScan
{
	Verify	   *v;
	const LogScanOptions *o;
	int64		log_size;		/* as seal_state says */

	/* recent leaf hashes as stored: [max(ring_begin, ring_end - ring_size), ring_end) */
	pv_hash    *ring;
	int64		ring_size;
	int64		ring_begin;
	int64		ring_end;
	HTAB	   *overrides;		/* leaf -> hash that its entry gives, where they differ */

	Bitmap	   *sealed;			/* seqs */
	Bitmap	   *predecessors;	/* leaves */

	Pending    *pending;
	int64		npending;
	int64		cap_pending;

	/* roots.c */
	bool		broken;			/* no frontier, after a gap */
	pv_frontier stored;			/* of the stored hashes */
	bool		split;			/* computed is another one; while not set, it is not kept */
	pv_frontier computed;		/* of those that the entries give */
	pv_frontier good;			/* where a signed root was met last */
	CheckpointRef *checkpoints;
	int64		ncheckpoints;
	int64		next_checkpoint;
} LogScan;

/* All that waits was changed in the entries, or in the stored hashes; or each as it says. */
extern void log_scan_settle(LogScan *s, bool tile);
extern void log_scan_report(LogScan *s);

extern bool roots_begin(LogScan *s);	/* false: nothing to scan */
extern void roots_add(LogScan *s, int64 leaf, const pv_hash *stored, const pv_hash *computed);
extern void roots_gap(LogScan *s, int64 from, int64 to);
extern void roots_end(LogScan *s, int64 size);

#endif							/* PROV_LOG_SCAN_H */
