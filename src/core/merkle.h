/*
 * merkle.h: the Merkle tree of RFC 6962, section 2.1, kept in tiles.
 *
 * The tree is built by a frontier (the roots of the perfect subtrees that make
 * up the tree so far, at most 64 hashes) and read through one callback that
 * knows only hashes at tile levels: level l holds the roots of the full
 * subtrees of 256^l leaves (C2SP tlog-tiles). Everything between is computed.
 * The verifying functions follow RFC 9162, sections 2.1.3.2 and 2.1.4.2, and
 * need no storage.
 *
 * Sizes and indexes are at most PV_MAX_TREE; a path has at most PV_MAX_PATH
 * hashes.
 */
#ifndef PV_MERKLE_H
#define PV_MERKLE_H

#include "hash.h"

#define PV_TILE_HEIGHT 8
#define PV_TILE_WIDTH 256
#define PV_MAX_TREE ((uint64_t) INT64_MAX)
#define PV_MAX_PATH 64			/* inclusion: at most 63; consistency: 64 */

/*
 * Reads count (1..256) hashes of tile level `level` from index first on, all
 * within one tile and all stored. Returns PV_OK or PV_E_STORAGE.
 */
typedef pv_status (*pv_read_hashes) (void *arg, unsigned level, uint64_t first, unsigned count, pv_hash *out);

/*
 * A tile with the nodes of all heights in it: rows of 256, 128, ... 1. Whoever
 * asks for many paths may keep them from one path to the next, in memory of
 * their own: PV_FOLDED_TILES of these (1 MB), n = 0 in each at first, for as
 * long as what read() gives does not change but by growing.
 */
#define PV_FOLDED_TILES 64

typedef struct pv_folded
{
	unsigned	n;				/* hashes in the lowest row; 0: nothing kept here */
	unsigned	level;
	uint64_t	tile;
	uint64_t	size;			/* of the tree that it is the right edge of; 0: full tile */
	pv_hash		nodes[2 * PV_TILE_WIDTH - 1];
} pv_folded;

typedef struct pv_tree
{
	pv_hasher  *hasher;
	pv_read_hashes read;
	void	   *arg;
	pv_folded  *folded;			/* NULL: nothing is kept */
} pv_tree;

/* Root of the first `size` leaves. Size 0 gives the empty root. */
extern pv_status pv_tree_root(const pv_tree *t, uint64_t size, pv_hash *out);

/*
 * Inclusion path of leaf `index` in the tree of `size` leaves, the leaf's
 * sibling first. path has room for PV_MAX_PATH; *n gets the length.
 * PV_E_INDEX if index >= size.
 */
extern pv_status pv_tree_inclusion(const pv_tree *t, uint64_t index, uint64_t size, pv_hash *path, unsigned *n);

/*
 * Consistency path from size first to size second, RFC 9162, section 2.1.4.1.
 * Empty if first is 0 or equals second. PV_E_INDEX if first > second.
 */
extern pv_status pv_tree_consistency(const pv_tree *t, uint64_t first, uint64_t second, pv_hash *path, unsigned *n);

/* PV_OK, PV_E_INDEX, PV_E_PATH (length), PV_E_ROOT. */
extern pv_status pv_verify_inclusion(pv_hasher *h, const pv_hash *leaf_hash, uint64_t index, uint64_t size,
									 const pv_hash *path, unsigned n, const pv_hash *root);

/*
 * first == 0 needs an empty path and the empty root as first_root; equal sizes
 * an empty path and equal roots. PV_OK, PV_E_INDEX, PV_E_PATH, PV_E_ROOT.
 */
extern pv_status pv_verify_consistency(pv_hasher *h, uint64_t first, const pv_hash *first_root,
									   uint64_t second, const pv_hash *second_root,
									   const pv_hash *path, unsigned n);

/* The growing right edge of a tree. */
typedef struct pv_frontier
{
	uint64_t	size;
	pv_hash		peaks[64];		/* peaks[i] is valid if bit i of size is set:
								 * the root of 2^i leaves */
} pv_frontier;

/* Called for each hash of tile level >= 1 as it becomes complete. */
typedef pv_status (*pv_emit_hash) (void *arg, unsigned level, uint64_t index, const pv_hash *hash);

extern void pv_frontier_init(pv_frontier *f);

/* Reads the frontier of a stored tree. */
extern pv_status pv_frontier_load(pv_frontier *f, const pv_tree *t, uint64_t size);

/* Adds one leaf; emit may be NULL. */
extern pv_status pv_frontier_append(pv_frontier *f, pv_hasher *h, const pv_hash *leaf_hash,
									pv_emit_hash emit, void *arg);

/* Adds the root of 2^height leaves to a frontier whose size 2^height divides; else PV_E_INDEX. */
extern pv_status pv_frontier_append_subtree(pv_frontier *f, pv_hasher *h, unsigned height, const pv_hash *hash);

/* Adds the root of a full tile's leaves, which is a hash of tile level 1 and emitted like those above it. */
extern pv_status pv_frontier_append_tile(pv_frontier *f, pv_hasher *h, const pv_hash *hash,
										 pv_emit_hash emit, void *arg);

extern pv_status pv_frontier_root(const pv_frontier *f, pv_hasher *h, pv_hash *out);

/*
 * A gap is what lies between two leaves: the leaves from..to-1 as perfect
 * subtrees, each as large as its place allows. Appended one after the other
 * they bring a frontier of size from to size to.
 */
#define PV_MAX_GAP 126			/* subtrees: at most 63 rising, 63 falling */

/* Height of the subtree that a gap begins with. from < to <= PV_MAX_TREE. */
extern unsigned pv_gap_height(uint64_t from, uint64_t to);

/* Number of subtrees; 0 if from >= to. */
extern unsigned pv_gap_count(uint64_t from, uint64_t to);

/*
 * The roots of a gap's subtrees, which must be stored. out has room for
 * PV_MAX_GAP. PV_E_INDEX if from > to or to > PV_MAX_TREE.
 */
extern pv_status pv_tree_gap(const pv_tree *t, uint64_t from, uint64_t to, pv_hash *out, unsigned *n);

/* Appends n roots up to size to. PV_E_PATH if the gap has another number of subtrees, PV_E_INDEX as above. */
extern pv_status pv_frontier_append_gap(pv_frontier *f, pv_hasher *h, uint64_t to, const pv_hash *gap, unsigned n);

#endif							/* PV_MERKLE_H */
