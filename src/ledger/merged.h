/*
 * merged.h: is what is stored of a merged entry still what its leaf commits to?
 *
 * Are the merges all there? For prove_merged() and for verify(). Nothing stored is trusted: what does not
 * decode is as wrong as what gives another hash.
 */
#ifndef PROV_MERGED_H
#define PROV_MERGED_H

#include "core/hash.h"
#include "ledger/catalog.h"

/* Remembers the shape, context and log met last: mostly the next entry has the same. */
typedef struct ProvMergedCheck ProvMergedCheck;

/* snapshot NULL: what is committed now. Allocates in the current memory context. */
extern ProvMergedCheck *prov_merged_check_begin(Snapshot snapshot);

/*
 * Checks one row of merged_leaf with its shape, context, log and merge. NULL,
 * or what is wrong with it: a constant. Leaves garbage in the current memory
 * context.
 */
extern const char *prov_merged_check(ProvMergedCheck *c, HeapTuple leaf);

/*
 * A merge as stored, in the order of its log: the hashes between its entries,
 * up to leaf `to`, and the leaf hash of each. False if something of it is gone
 * or does not decode. merge_walk.c
 */
typedef struct ProvMergeWalker
{
	void		(*gap) (void *arg, uint64 to, const pv_hash *hashes, unsigned n);
	void		(*leaf) (void *arg, const pv_hash *hash);
} ProvMergeWalker;

extern bool prov_merge_walk(int32 log_id, int64 merge_id, uint64 size, Snapshot snapshot,
							const ProvMergeWalker *walker, void *arg);

/* Partner and origin of a log, as "name/origin"; "log n" if that is not there. */
extern char *prov_merged_object(int32 log_id, Snapshot snapshot);

/*
 * Tokens as stored, in the server's encoding: fields without names, palloc'd.
 * NULL if they do not parse; *n is 0 and *erased for "!".
 */
extern struct pv_disclosed *prov_merged_tokens(text *tokens, size_t *n, bool *erased);

#endif							/* PROV_MERGED_H */
