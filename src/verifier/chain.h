/*
 * chain.h: is every predecessor that leaves name an earlier leaf, and none
 * that of two? For logs of any size in bounded memory.
 *
 * A table of the leaves' hashes, reduced to 122 bits by a random function that
 * whoever made the log cannot know: two universal hashes modulo 2^61 - 1, so
 * that two different hashes fall together with a probability of 2^-120. Each
 * pass over the log takes the part of them that falls to it.
 */
#ifndef VERIFIER_CHAIN_H
#define VERIFIER_CHAIN_H

#include "core/hash.h"

#define CHAIN_PER_PASS 4000000	/* leaves a pass is meant for */

typedef enum ChainResult
{
	CHAIN_OK,
	CHAIN_UNKNOWN,				/* no leaf so far */
	CHAIN_USED,					/* the predecessor of another leaf */
	CHAIN_TWICE,				/* the leaf itself was there before */
	CHAIN_MEMORY
} ChainResult;

typedef struct ChainSlot
{
	uint64_t	a;				/* 0: free; the highest bit: used as a predecessor */
	uint64_t	b;
} ChainSlot;

typedef struct Chain
{
	uint64_t	keys[2][PV_HASH_LEN / 4 + 1];	/* random */
	ChainSlot  *slots;
	uint64_t	nslots;			/* a power of two */
	uint64_t	nused;
	uint64_t	pass;
	uint64_t	passes;
} Chain;

/* False: no random numbers. passes follow from the number of leaves. */
extern bool chain_init(Chain *c, uint64_t nleaves);
extern void chain_free(Chain *c);

/* Forgets all leaves, for pass number pass. */
extern void chain_start(Chain *c, uint64_t pass);

/* The next leaf, and the predecessor it names, NULL for none. */
extern ChainResult chain_leaf(Chain *c, const pv_hash *leaf, const pv_hash *previous);

#endif							/* VERIFIER_CHAIN_H */
