/*
 * log_scan.h: what log_scan.c (leaves), roots.c (tree, checkpoints) and surplus.c
 * (what is not in the log) share of one pass over the log.
 */
#ifndef PROV_LOG_SCAN_H
#define PROV_LOG_SCAN_H

#include "verify/parallel.h"

/* A leaf whose entry does not give its stored hash. */
typedef struct Pending
{
	int64		leaf;
	int64		seq;
	pv_hash		computed;
	bool		tile;			/* decided: the stored hash was changed */
} Pending;

/* A piece of the log that a participant looks at: what it hands over. */
typedef struct LeafPiece
{
	int64		from;			/* first leaf */
	bool		bad;			/* there is something to say of it */
	int			nseqs;
	int			nprevs;
	int64		seqs[PIECE_LEAVES];	/* sealed */
	int64		prevs[PIECE_LEAVES];	/* predecessors */
	pv_hash		hashes[PIECE_LEAVES];	/* as stored */
} LeafPiece;

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
	int64		noted;			/* leaves before this one are in both already */

	VerifyShared *shared;		/* NULL: one process */
	LeafPiece  *piece;			/* of a participant; NULL: the leader reads alone */

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

/* Without a ring, for a participant; and one leaf of its piece. */
extern void log_scan_begin(LogScan *s, Verify *v, const LogScanOptions *o, VerifyShared *shared);
extern void log_scan_leaf(LogScan *s, LeafItem *item);

extern bool roots_begin(LogScan *s);	/* false: nothing to scan */
extern void roots_add(LogScan *s, int64 leaf, const pv_hash *stored, const pv_hash *computed);
extern void roots_add_good(LogScan *s, int64 from, int64 until);	/* leaves of good pieces */
extern void roots_gap(LogScan *s, int64 from, int64 to);
extern void roots_end(LogScan *s, int64 size);

/* surplus.c */
extern void surplus_nodes(Verify *v, int64 size);	/* hashes of the tree that a log of that size has not */
extern void surplus_entries(LogScan *s);	/* entries neither in the log nor still to come */

#endif							/* PROV_LOG_SCAN_H */
