/*
 * bitmap.c: a sparse set of numbers: which seqs are sealed, which leaves are a
 * predecessor.
 *
 * Blocks of 512 numbers in a hash table: numbers that a tampered ledger holds
 * cost at most a block each, whatever their size.
 */
#include "postgres.h"

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
	HTAB	   *blocks;
	Block	   *last;			/* found last */
};

Bitmap *
bitmap_create(MemoryContext cxt)
{
	HASHCTL		ctl = {0};
	Bitmap	   *b = MemoryContextAllocZero(cxt, sizeof(Bitmap));

	ctl.keysize = sizeof(int64);
	ctl.entrysize = sizeof(Block);
	ctl.hcxt = cxt;
	b->blocks = hash_create("provenance verification, bitmap", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
	Block	   *block = get_block(b, bit, true);
	uint64		i = (uint64) bit % BLOCK_BITS;
	uint64		mask = UINT64CONST(1) << (i % 64);
	bool		was = (block->words[i / 64] & mask) != 0;

	block->words[i / 64] |= mask;
	return was;
}

bool
bitmap_test(Bitmap *b, int64 bit)
{
	Block	   *block = get_block(b, bit, false);
	uint64		i = (uint64) bit % BLOCK_BITS;

	return block != NULL && (block->words[i / 64] & (UINT64CONST(1) << (i % 64))) != 0;
}

void
bitmap_destroy(Bitmap *b)
{
	hash_destroy(b->blocks);
	pfree(b);
}
