/*
 * t_fingerprint.c: every byte, the length and the key count.
 */
#include "fingerprint.h"
#include "harness.h"

#define MOST 200

static pv_hasher hasher;
static pv_fingerprint_key key;

static bool
same(const pv_fingerprint_key *k, const void *a, size_t alen, const void *b, size_t blen)
{
	uint8_t		x[PV_FINGERPRINT_LEN];
	uint8_t		y[PV_FINGERPRINT_LEN];

	CHECK(pv_fingerprint(&key, &hasher, a, alen, x) == PV_OK);
	CHECK(pv_fingerprint(k, &hasher, b, blen, y) == PV_OK);
	/* both halves: either alone would be too short */
	CHECK((memcmp(x, y, 8) == 0) == (memcmp(x + 8, y + 8, 8) == 0));
	return memcmp(x, y, sizeof x) == 0;
}

#ifdef __SIZEOF_INT128__
/* By the definition, a word at a time, with nothing but additions: the first half. */
static uint64_t
times(uint64_t a, uint64_t b)
{
	const uint64_t prime = ((uint64_t) 1 << 61) - 1;
	uint64_t	sum = 0;

	for (; b > 0; b >>= 1)
	{
		if (b & 1)
			sum = (sum + a) % prime;
		a = (a + a) % prime;
	}
	return sum;
}

static uint64_t
slowly(uint64_t point, const uint8_t *data, size_t len)
{
	const uint64_t prime = ((uint64_t) 1 << 61) - 1;
	uint64_t	sum = times(len, point);

	for (size_t at = 0; at < (len + 27) / 28 * 28; at += 7)
	{
		uint64_t	word = 0;

		for (size_t i = 0; i < 7; i++)
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
			word |= (uint64_t) (at + i < len ? data[at + i] : 0) << 8 * (6 - i);
#else
			word |= (uint64_t) (at + i < len ? data[at + i] : 0) << 8 * i;
#endif
		sum = times((sum + word) % prime, point);
	}
	return sum;
}
#endif

int
main(void)
{
	uint8_t		seed[PV_FINGERPRINT_SEED];
	uint8_t		a[MOST + 1];
	uint8_t		b[MOST + 1];
	pv_fingerprint_key other;

	for (size_t i = 0; i < sizeof seed; i++)
		seed[i] = (uint8_t) (0xA5 ^ i * 37);
	for (size_t i = 0; i < sizeof a; i++)
		a[i] = (uint8_t) (i % 3 == 0 ? 0xFF : i * 101);
	pv_fingerprint_init(&key, seed);
	if (pv_hasher_init(&hasher) != PV_OK)
		return 1;

	CASE("each bit of each byte counts, at each length");
	for (size_t len = 0; len <= MOST; len++)
	{
		memcpy(b, a, sizeof a);
		CHECK(same(&key, a, len, b, len));
		b[len] ^= 0xFF;			/* what lies behind does not */
		CHECK(same(&key, a, len, b, len));
		for (size_t i = 0; i < len; i++)
		{
			b[i] ^= (uint8_t) (1 << (i + len) % 8);
			CHECK(!same(&key, a, len, b, len));
			b[i] = a[i];
		}
	}

	CASE("zeros more or fewer at the end are another value");
	memset(b, 0, sizeof b);
	for (size_t len = 0; len < 100; len++)
		for (size_t more = 1; more < 60; more++)
			CHECK(!same(&key, b, len, b, len + more));

	CASE("a length does not stand for a first byte");
	for (size_t len = 1; len < 28; len++)
	{
		memset(a, 0, sizeof a);
		memset(b, 0, sizeof b);
		a[0] = 1;
		CHECK(!same(&key, a, len, b, len + 1));
	}

	CASE("extreme words and points");
	memset(a, 0xFF, sizeof a);
	for (int s = 0; s < 4; s++)
	{
		memset(seed, s == 0 ? 0xFF : s == 1 ? 0xFE : s == 2 ? 0x7F : 0x55, sizeof seed);
		pv_fingerprint_init(&key, seed);
		memcpy(b, a, sizeof a);
		CHECK(same(&key, a, MOST, b, MOST));
		b[MOST - 1] = 0xFE;
		CHECK(same(&key, a, MOST, b, MOST) == (key.powers[0][0] == 0));
	}

#ifdef __SIZEOF_INT128__
	CASE("the polynomial, by its definition");
	for (int s = 0; s < 8; s++)
	{
		for (size_t i = 0; i < sizeof seed; i++)
			seed[i] = (uint8_t) (s == 0 ? 0xFD : (i + 1) * (s * 59 + 3));
		pv_fingerprint_init(&key, seed);
		CHECK(key.powers[0][0] < ((uint64_t) 1 << 61) - 1);
		for (int n = 1; n < 4; n++)
			CHECK(key.powers[1][n] == times(key.powers[1][n - 1], key.powers[1][0]));
		for (size_t len = 0; len <= MOST; len++)
		{
			uint8_t		out[PV_FINGERPRINT_LEN];
			uint64_t	halves[2];

			CHECK(pv_fingerprint(&key, &hasher, a, len, out) == PV_OK);
			memcpy(halves, out, sizeof halves);
			CHECK(halves[0] == slowly(key.powers[0][0], a, len));
			CHECK(halves[1] == slowly(key.powers[1][0], a, len));
		}
	}
#endif

	CASE("another key, another fingerprint");
	other = key;
	seed[5] ^= 1;
	seed[21] ^= 1;
	pv_fingerprint_init(&other, seed);
	CHECK(!same(&other, a, 40, a, 40));

	pv_hasher_free(&hasher);
	return harness_end();
}
