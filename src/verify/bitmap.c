/*
 * bitmap.c: a sparse set of numbers: which seqs are sealed, which leaves are a
 * predecessor.
 *
 * Blocks of 512 numbers in a hash table: numbers that a tampered ledger holds
 * cost at most a block each, whatever their size. Numbers below a limit may
 * stand in memory that processes share; there several may set bits at a time.
 */
#include "postgres.h"

#include "port/atomics.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "verify/verify.h"

#define BLOCK_BITS 512

typedef struct Block
{
	int64		number;			/* hash key */
	uint64		words[BLOCK_BITS / 64];
} Block;

struct Bitmap
{
	MemoryContext cxt;
	HTAB	   *blocks;			/* NULL: none yet */
	Block	   *last;			/* found last */
	pg_atomic_uint64 *shared;
	int64		nshared;		/* numbers below it are there */
};

Bitmap *
bitmap_create(MemoryContext cxt)
{
	Bitmap	   *b = MemoryContextAllocZero(cxt, sizeof(Bitmap));

	b->cxt = cxt;
	return b;
}

Bitmap *
bitmap_attach(MemoryContext cxt, void *words, int64 nbits)
{
	Bitmap	   *b = bitmap_create(cxt);

	b->shared = words;
	b->nshared = nbits;
	return b;
}

static Block *
get_block(Bitmap *b, int64 bit, bool create)
{
	int64		number = bit >= 0 ? bit / BLOCK_BITS : -1 - (-1 - bit) / BLOCK_BITS;
	Block	   *block;
	bool		found;

	if (b->last != NULL && b->last->number == number)
		return b->last;
	if (b->blocks == NULL)
	{
		HASHCTL		ctl = {0};

		if (!create)
			return NULL;
		ctl.keysize = sizeof(int64);
		ctl.entrysize = sizeof(Block);
		ctl.hcxt = b->cxt;
		b->blocks = hash_create("provenance verification, bitmap", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	block = hash_search(b->blocks, &number, create ? HASH_ENTER : HASH_FIND, &found);
	if (block == NULL)
		return NULL;
	if (!found)
		memset(block->words, 0, sizeof(block->words));
	b->last = block;
	return block;
}

bool
bitmap_test_and_set(Bitmap *b, int64 bit)
{
	uint64		i = (uint64) bit % BLOCK_BITS;
	uint64		mask = UINT64CONST(1) << (i % 64);
	Block	   *block;
	bool		was;

	if (bit >= 0 && bit < b->nshared)
		return (pg_atomic_fetch_or_u64(&b->shared[bit / 64], mask) & mask) != 0;
	block = get_block(b, bit, true);
	was = (block->words[i / 64] & mask) != 0;
	block->words[i / 64] |= mask;
	return was;
}

bool
bitmap_test(Bitmap *b, int64 bit)
{
	uint64		i = (uint64) bit % BLOCK_BITS;
	Block	   *block;

	if (bit >= 0 && bit < b->nshared)
		return (pg_atomic_read_u64(&b->shared[bit / 64]) & (UINT64CONST(1) << (i % 64))) != 0;
	block = get_block(b, bit, false);
	return block != NULL && (block->words[i / 64] & (UINT64CONST(1) << (i % 64))) != 0;
}

void
bitmap_destroy(Bitmap *b)
{
	if (b->blocks != NULL)
		hash_destroy(b->blocks);
	pfree(b);
}
