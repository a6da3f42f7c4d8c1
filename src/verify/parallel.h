/*
 * parallel.h: verification by several processes (parallel.c).
 *
 * Work is divided into pieces: stretches of the log, blocks of a table, parts
 * of the row identities. Workers and leader take pieces and look at each
 * quietly: it is good, or not. A piece that is not good is looked at again by
 * the leader alone, who says what it finds. So the findings, and their order,
 * do not depend on who did what, and a worker has nothing to report.
 */
#ifndef PROV_PARALLEL_H
#define PROV_PARALLEL_H

#include "port/atomics.h"
#include "storage/dsm.h"
#include "storage/sharedfileset.h"
#include "storage/shm_toc.h"

#include "verify/verify.h"

#define PIECE_LEAVES 2048		/* a multiple of a tile's width */
#define MAX_LAUNCHES 1024

typedef enum WorkKind
{
	WORK_LEAVES, WORK_ROWS, WORK_CHAINS,
} WorkKind;

/* Of the whole call. */
typedef struct VerifyShared
{
	SharedFileSet files;		/* of chain_store.c: by launch, participant, part */
	bool		one_file;		/* one for all parts */
	int			nlaunches;		/* the first one is the leader by itself */
	int			participants[MAX_LAUNCHES];	/* 0: their files do not count */

	int64		log_size;
	bool		has_identity;
	uint8		row_key[PV_ROW_KEY_LEN];
	pv_fingerprint_key key;

	/* stored hashes of the leaves [ring_from, ring_to); zeros: not known */
	int64		ring_size;
	int64		ring_from;
	int64		ring_to;
	Size		ring;			/* offsets in the segment */
	Size		tiles;			/* roots of full tiles whose piece is good */
	Size		seqs;			/* bits: sealed */
	Size		predecessors;	/* bits */
	Size		entries;		/* bits: seqs of which there is an entry */
	Size		coming;			/* bits: those of entries that are still to come */
	int64		nseqs;			/* room for so many */
	BlockNumber nblocks;		/* of the table of entries; the snapshot sees none beyond */
	bool		entries_good;	/* all others are sealed, and there is one of each */
	Size		length;
} VerifyShared;

/* Of one launch of workers. */
typedef struct VerifyWork
{
	WorkKind	kind;
	dsm_handle	segment;
	int			launch;
	uint64		npieces;
	pg_atomic_uint64 next;
	pg_atomic_uint64 by_workers;	/* pieces that workers did */
	pg_atomic_uint32 failed;	/* nothing of it counts */
	pg_atomic_uint32 broken;	/* a worker ended with an error */

	int32		table_id;		/* of leaves and rows */
	LogScanOptions leaves;
	bool		chains;
	uint64		first_piece;	/* of leaves: the first of this launch */
	int64		fill_from;		/* of the ring, by pieces that come before those of leaves */
	int64		fill_until;
	uint64		nfill;
	pg_atomic_uint64 filled;	/* so many of them are done */
	uint64		nleaves;
	BlockNumber nblocks;		/* of entries, by the pieces that come last; 0: none */
	int			ngroups;		/* of chains */
} VerifyWork;

/* What a participant has of it. */
typedef struct Participant
{
	Verify	   *v;				/* quiet */
	VerifyWork *work;
	VerifyShared *shared;
	bool	   *good;			/* by piece */
	void	   *extra;
	int			number;			/* 0: the leader */
	uint64		done;
} Participant;

/* The next piece to do; false if there is none. */
extern bool verify_next_piece(Participant *p, uint64 *piece);

/*
 * After an error that was caught: is it a worker's, which came with the messages
 * that are read in between, and not the data's? Has the rest of them read again.
 */
extern bool verify_participant_failed(Participant *p);

/* The leader's. */
typedef struct VerifyParallel
{
	dsm_segment *segment;
	VerifyShared *shared;
	int			nworkers;
} VerifyParallel;

/*
 * Launches workers, does a share of the work, and waits for all. good has room
 * for work->npieces. False if nothing of it counts.
 */
extern bool verify_launch(Verify *v, VerifyWork *work, void *extra, Size extra_len, bool *good);

#define SHARED_AT(shared, offset) ((void *) ((char *) (shared) + (offset)))

/* What is done with the pieces: log_parallel.c, table_rows.c, chain.c. */
extern void verify_work_leaves(Participant *p);
extern void verify_work_rows(Participant *p);
extern void verify_work_chains(Participant *p);

/*
 * log_parallel.c: which pieces of the log are good, the first being that of the
 * leaf since_size; NULL if the log has to be read by one process.
 */
extern bool *verify_log_parallel(Verify *v, const LogScanOptions *o);

/* surplus.c: notes the entries of some blocks. False: there may be something to say of them. */
extern bool surplus_note(Participant *p, BlockNumber first, BlockNumber last);
extern bool surplus_none(const VerifyShared *shared);	/* after all of them were noted */

extern PGDLLEXPORT void provenance_verify_worker(dsm_segment *seg, shm_toc *toc);

#endif							/* PROV_PARALLEL_H */
