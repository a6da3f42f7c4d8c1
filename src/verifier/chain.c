/*
 * chain.c: predecessors of leaves, in bounded memory.
 *
 * Memory: 16 bytes a slot, a table at most three quarters full that doubles as
 * it fills: 128 MB for the leaves of a pass, 192 MB while it doubles.
 */
#include "verifier/chain.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#define PRIME (((uint64_t) 1 << 61) - 1)
#define USED ((uint64_t) 1 << 63)
#define FIRST_SLOTS 4096

bool
chain_init(Chain *c, uint64_t nleaves)
{
	memset(c, 0, sizeof(*c));
	c->passes = nleaves / CHAIN_PER_PASS + 1;
	if (RAND_bytes((unsigned char *) c->keys, sizeof(c->keys)) != 1)
		return false;
	for (size_t i = 0; i < 2; i++)
	{
		for (size_t k = 0; k < sizeof(c->keys[i]) / sizeof(c->keys[i][0]); k++)
			c->keys[i][k] %= PRIME;
	}
	return true;
}

void
chain_free(Chain *c)
{
	free(c->slots);
	c->slots = NULL;
}

void
chain_start(Chain *c, uint64_t pass)
{
	if (c->slots != NULL)
		memset(c->slots, 0, c->nslots * sizeof(ChainSlot));
	c->nused = 0;
	c->pass = pass;
}

/* a * b modulo 2^61 - 1, both below it and b below 2^32 */
static uint64_t
multiply(uint64_t a, uint32_t b)
{
	uint64_t	low = (a & 0xFFFFFFFF) * b; /* below 2^64 */
	uint64_t	high = (a >> 32) * b;	/* below 2^61; counts 2^32 each */
	uint64_t	sum;

	/* high * 2^32 = (high >> 29) * 2^61 + (high & (2^29 - 1)) * 2^32 */
	sum = (high >> 29) + ((high & 0x1FFFFFFF) << 32);
	sum += (low >> 61) + (low & PRIME);
	return sum % PRIME;
}

static uint64_t
reduce(const uint64_t *keys, const pv_hash *hash)
{
	uint64_t	sum = keys[PV_HASH_LEN / 4];

	for (size_t i = 0; i < PV_HASH_LEN / 4; i++)
	{
		const uint8_t *p = hash->b + 4 * i;
		uint32_t	word = (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];

		sum = (sum + multiply(keys[i], word)) % PRIME;
	}
	return sum;
}

/* Its slot, or the free one where it would be. */
static ChainSlot *
find(const Chain *c, uint64_t a, uint64_t b)
{
	for (uint64_t i = b & (c->nslots - 1);; i = (i + 1) & (c->nslots - 1))
	{
		ChainSlot  *s = &c->slots[i];

		if (s->a == 0 || ((s->a & ~USED) == a && s->b == b))
			return s;
	}
}

static bool
grow(Chain *c)
{
	Chain		old = *c;

	c->nslots = old.nslots == 0 ? FIRST_SLOTS : old.nslots * 2;
	c->slots = calloc(c->nslots, sizeof(ChainSlot));
	if (c->slots == NULL)
	{
		c->slots = old.slots;
		c->nslots = old.nslots;
		return false;
	}
	for (uint64_t i = 0; i < old.nslots; i++)
	{
		if (old.slots[i].a != 0)
			*find(c, old.slots[i].a & ~USED, old.slots[i].b) = old.slots[i];
	}
	free(old.slots);
	return true;
}

ChainResult
chain_leaf(Chain *c, const pv_hash *leaf, const pv_hash *previous)
{
	uint64_t	a;
	ChainSlot  *s;

	if (previous != NULL)
	{
		a = reduce(c->keys[0], previous) + 1;	/* 0 marks a free slot */
		if (a % c->passes == c->pass)
		{
			if (c->nslots == 0)
				return CHAIN_UNKNOWN;
			s = find(c, a, reduce(c->keys[1], previous));
			if (s->a == 0)
				return CHAIN_UNKNOWN;
			if ((s->a & USED) != 0)
				return CHAIN_USED;
			s->a |= USED;
		}
	}
	a = reduce(c->keys[0], leaf) + 1;
	if (a % c->passes != c->pass)
		return CHAIN_OK;
	if (c->nused >= c->nslots / 4 * 3 && !grow(c))
		return CHAIN_MEMORY;
	s = find(c, a, reduce(c->keys[1], leaf));
	if (s->a != 0)
		return CHAIN_TWICE;
	s->a = a;
	s->b = reduce(c->keys[1], leaf);
	c->nused++;
	return CHAIN_OK;
}
