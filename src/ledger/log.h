/*
 * log.h: the sealed log: which leaf is which entry, leaf hashes, the tree.
 *
 * Written once, by the sealer; read by everybody. Leaf hashes stand in runs of
 * as many leaves as an inline row holds, four rows to a page (a leaf tile of
 * 256 is put together from the runs it spans), hashes of tile level 1 and above one row each. Nothing of it
 * is ever updated, so no reader needs a lock: what a snapshot sees of leaf_run
 * up to seal_state.log_size is complete.
 */
#ifndef PROV_LOG_H
#define PROV_LOG_H

#include "ledger/store.h"

#include "access/heaptoast.h"

#include "core/merkle.h"

#define PROV_RUN_MAX 64			/* leaves of a run */

/*
 * Hashes and map of a run in bytes: what a row has without being TOASTed, less
 * its header and other columns.
 */
#define PROV_RUN_BYTES (TOAST_TUPLE_THRESHOLD - 48)

/* What the map says of one leaf. */
typedef struct ProvLeafRef
{
	int64		leaf;
	int64		seq;
	FullTransactionId xid;
	int64		prev_leaf;		/* -1: none */
	int32		table_id;		/* as the entry's; nothing that is hashed depends on it */
	pv_hash		hash;
} ProvLeafRef;

/*
 * Packed maps (map.c). Varints are base 128, least significant group first,
 * in their shortest form; differences zigzag, modulo 2^64.
 *
 * Map of a run, per leaf: the difference of xid from the leaf before (0 before
 * the first), in a varint whose three lowest bits are flags: 1, a varint follows
 * with the difference of seq from the leaf before, which is not 1; 2, a varint
 * follows with the distance leaf - prev_leaf (0: none), which is not that of
 * the leaf before (0 before the first); 4, a varint follows with the difference
 * of table_id from the leaf before (0 before the first), which is not 0.
 *
 * Map of a seq_block, per longest stretch of consecutive seqs with consecutive
 * leaves, seqs rising: one byte seq % 256; the difference of the leaf from the
 * one after the stretch before (first_leaf before the first), in a varint whose
 * lowest bit is a flag: the stretch has several seqs, and a byte follows with
 * how many after the first.
 *
 * Decoding returns false for anything malformed, and for anything that encoding
 * would not have made.
 */
extern Size prov_run_encode(const ProvLeafRef *refs, int n, uint8 *map, Size cap);
extern bool prov_run_decode(int64 first_leaf, int n, const uint8 *map, Size len, ProvLeafRef *refs);

/* The bytes that a leaf adds to the map of a run; before: the leaf before, NULL for the first. */
extern Size prov_run_leaf_size(const ProvLeafRef *ref, const ProvLeafRef *before);

#define PROV_RUN_LEAF_MAX 35
#define PROV_RUN_MAP_MAX (PROV_RUN_MAX * PROV_RUN_LEAF_MAX)

#define PROV_BLOCK_SEQS 256		/* seqs of a seq_block */
#define PROV_BLOCK_MAP_MAX (PROV_BLOCK_SEQS * 12)

/* seqs and leaves of one block, seqs rising; returns the map's length. */
extern Size prov_block_encode(int64 first_leaf, const int64 *seqs, const int64 *leaves, int n,
							  uint8 *map, Size cap);

/* leaves[seq % 256] gets the leaf of each seq in the map; others stay as they are. */
extern bool prov_block_decode(int64 first_leaf, const uint8 *map, Size len, int64 leaves[PROV_BLOCK_SEQS]);

/* The row of seal_state. */
typedef struct ProvSealState
{
	bool		exists;			/* false: nothing has been sealed; the rest is zero */
	ItemPointerData tid;
	Oid			database_oid;
	uint64		system_identifier;
	int64		log_size;
	int64		floor;			/* -1: none */
	FullTransactionId xmax;		/* of the snapshot of the last batch */
	int			nxip;
	FullTransactionId *xip;
} ProvSealState;

extern void prov_seal_state(Snapshot snapshot, ProvSealState *out);

/* A reader of the sealed log under one snapshot; caches the run read last. */
typedef struct ProvLog ProvLog;

extern ProvLog *prov_log_open(Snapshot snapshot);	/* NULL: GetLatestSnapshot(), kept registered */
extern void prov_log_close(ProvLog *log);

/*
 * A reader can be kept over calls for as long as the log stays as it is seen:
 * paused it holds no snapshot, and resumed it wants one that sees the same.
 * Its memory goes with its context; after an error it needs no closing.
 */
extern void prov_log_pause(ProvLog *log);
extern void prov_log_resume(ProvLog *log, Snapshot snapshot);

/* The snapshot that it reads under. */
extern Snapshot prov_log_snapshot(ProvLog *log);

/* Keep folded tiles from one path to the next (1 MB). */
extern void prov_log_keep_tiles(ProvLog *log);

/* Leaves sealed, as seal_state says; 0 without a row. */
extern int64 prov_log_size(ProvLog *log);

/* One leaf; false if it is not there or its run cannot be decoded. */
extern bool prov_log_leaf(ProvLog *log, int64 leaf, ProvLeafRef *out);

/* The leaf of an entry, -1 if not sealed. */
extern int64 prov_log_leaf_of_seq(ProvLog *log, int64 seq);

/* What the stored map says of a block of seqs: their leaves, -1 for those not sealed. */
extern void prov_seq_block_read(int64 block, Snapshot snapshot, int64 out[PROV_BLOCK_SEQS]);

/* The core's view of the stored tree (pv_read_hashes inside). */
extern pv_tree *prov_log_tree(ProvLog *log);

/* Entry by seq, sealed or not; *leaf gets -1 if not sealed. */
extern bool prov_log_entry_by_seq(ProvLog *log, int64 seq, bool want_image, ProvEntry *out, int64 *leaf);

/* The newest leaf of a row chain from the table of heads; -1 if none (or ended by a truncate). */
extern int64 prov_log_head(ProvLog *log, const uint8 row_id[PV_ROW_ID_LEN], int32 table_id, pv_hash *hash);

/* Sequential reading of all runs from a leaf on (for verification). */
typedef struct ProvRunScan ProvRunScan;
extern ProvRunScan *prov_run_scan_open(ProvLog *log, int64 from_leaf);

/*
 * The next run: its first leaf, count and refs (up to PROV_RUN_MAX); *ok is
 * false if it could not be decoded. Returns false at the end.
 */
extern bool prov_run_scan_next(ProvRunScan *scan, int64 *first_leaf, int *count, ProvLeafRef *refs, bool *ok);
extern void prov_run_scan_close(ProvRunScan *scan);

/*
 * The entries not yet in the log that the snapshot sees, in the order in which
 * the sealer would take them (transactions by their greatest seq, within a
 * transaction by order number, then seq). Bounded memory (tuplesort). Entries
 * come without image; fetch it by (xid, seq). Candidate baselines that the
 * sealer would drop are passed over, unless all entries are asked for. Of one
 * row: its entries, and the events of all tables.
 */
typedef struct ProvUnsealedScan ProvUnsealedScan;
extern ProvUnsealedScan *prov_unsealed_open(Snapshot snapshot);
extern ProvUnsealedScan *prov_unsealed_open_all(Snapshot snapshot);
extern ProvUnsealedScan *prov_unsealed_open_row(Snapshot snapshot, const uint8 row_id[PV_ROW_ID_LEN]);
extern bool prov_unsealed_next(ProvUnsealedScan *scan, ProvEntry *out);
extern void prov_unsealed_close(ProvUnsealedScan *scan);

/* The state it started from, and the floor that its batch has to store. */
extern const ProvSealState *prov_unsealed_state(ProvUnsealedScan *scan);
extern int64 prov_unsealed_floor(ProvUnsealedScan *scan);

/* Whether at least cap entries wait, how many if fewer, and the time of the oldest. */
extern int64 prov_unsealed_count(Snapshot snapshot, int64 cap, TimestampTz *oldest);

/* One unsealed entry by its seq. */
extern bool prov_unsealed_find(Snapshot snapshot, int64 seq, bool want_image, ProvEntry *out);

#endif							/* PROV_LOG_H */
