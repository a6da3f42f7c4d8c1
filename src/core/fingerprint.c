/*
 * fingerprint.c: a value as a polynomial over the integers modulo 2^61 - 1,
 * at two random points.
 *
 * Coefficients are the length, then words of 7 bytes, the last ones filled up
 * with zeros, so that different values are different polynomials. Two of them
 * agree in no more points than their degree: this is a fact, not an assumption
 * on what an adversary can compute, as long as he does not know the points.
 * That is why it may stand for SHA-256 where two values are compared and
 * nothing is kept.
 *
 * Four words at a time, so that multiplications overlap: 211 bytes take a
 * quarter of the time of their four blocks of SHA-256.
 */
#include <string.h>

#include "fingerprint.h"

#ifdef __SIZEOF_INT128__

__extension__ typedef unsigned __int128 wide;

#define PRIME		(((uint64_t) 1 << 61) - 1)
#define WORD		7
#define STEP		(4 * WORD)

/* Congruent, and below 2^62 + 8; x: below 2^125. */
static inline uint64_t
fold(wide x)
{
	uint64_t	high = (uint64_t) (x >> 61);

	return ((uint64_t) x & PRIME) + (high & PRIME) + (high >> 61);
}

static inline uint64_t
reduce(uint64_t x)
{
	x = (x & PRIME) + (x >> 61);
	return x >= PRIME ? x - PRIME : x;
}

/* Reads a byte more than the word has. */
static inline uint64_t
word(const uint8_t *p)
{
	uint64_t	w;

	memcpy(&w, p, sizeof w);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return w >> 8;
#else
	return w & (((uint64_t) 1 << 8 * WORD) - 1);
#endif
}

static inline uint64_t
step(uint64_t sum, const uint64_t *powers, const uint8_t *p)
{
	return fold((wide) (sum + word(p)) * powers[3] + (wide) word(p + WORD) * powers[2] +
				(wide) word(p + 2 * WORD) * powers[1] + (wide) word(p + 3 * WORD) * powers[0]);
}

void
pv_fingerprint_init(pv_fingerprint_key *k, const uint8_t seed[PV_FINGERPRINT_SEED])
{
	for (int i = 0; i < 2; i++)
	{
		wide		x;

		memcpy(&x, seed + i * sizeof x, sizeof x);
		/* of 2^125 numbers: as good as uniform */
		k->powers[i][0] = reduce(fold(x >> 3));
		for (int n = 1; n < 4; n++)
			k->powers[i][n] = reduce(fold((wide) k->powers[i][n - 1] * k->powers[i][0]));
	}
}

pv_status
pv_fingerprint(const pv_fingerprint_key *k, pv_hasher *h, const void *data, size_t len, uint8_t out[PV_FINGERPRINT_LEN])
{
	const uint8_t *p = data;
	size_t		left = len;
	uint8_t		rest[STEP + 1] = {0};
	uint64_t	a = fold((wide) len * k->powers[0][0]);
	uint64_t	b = fold((wide) len * k->powers[1][0]);

	(void) h;
	for (; left > STEP; left -= STEP, p += STEP)
	{
		a = step(a, k->powers[0], p);
		b = step(b, k->powers[1], p);
	}
	if (left > 0)
	{
		memcpy(rest, p, left);
		a = step(a, k->powers[0], rest);
		b = step(b, k->powers[1], rest);
	}
	a = reduce(a);
	b = reduce(b);
	memcpy(out, &a, sizeof a);
	memcpy(out + sizeof a, &b, sizeof b);
	return PV_OK;
}

#else							/* no product of two words: SHA-256 is not slower */

void
pv_fingerprint_init(pv_fingerprint_key *k, const uint8_t seed[PV_FINGERPRINT_SEED])
{
	memset(k, 0, sizeof *k);
	memcpy(k, seed, PV_FINGERPRINT_SEED);
}

pv_status
pv_fingerprint(const pv_fingerprint_key *k, pv_hasher *h, const void *data, size_t len, uint8_t out[PV_FINGERPRINT_LEN])
{
	pv_hash		hash;
	pv_status	status;

	pv_hash_begin(h);
	pv_hash_add(h, k, PV_FINGERPRINT_SEED);
	pv_hash_add(h, data, len);
	status = pv_hash_end(h, &hash);
	if (status == PV_OK)
		memcpy(out, hash.b, PV_FINGERPRINT_LEN);
	return status;
}

#endif
