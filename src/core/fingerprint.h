/*
 * fingerprint.h: are two long values the same? A keyed hash for comparisons
 * within one run of a program, never stored: a quarter of what SHA-256 costs.
 */
#ifndef PV_FINGERPRINT_H
#define PV_FINGERPRINT_H

#include "hash.h"

#define PV_FINGERPRINT_LEN 16
#define PV_FINGERPRINT_SEED 32	/* random bytes that a key is made of */

/* Powers 1 to 4 of two numbers below 2^61 - 1. */
typedef struct pv_fingerprint_key
{
	uint64_t	powers[2][4];
} pv_fingerprint_key;

/*
 * The seed must be drawn after the values are fixed, and shown to nobody. Two
 * different values of up to n bytes then have the same fingerprint with a
 * probability of at most ((n / 7 + 6) / 2^61)^2, whatever they are.
 */
extern void pv_fingerprint_init(pv_fingerprint_key *k, const uint8_t seed[PV_FINGERPRINT_SEED]);
extern pv_status pv_fingerprint(const pv_fingerprint_key *k, pv_hasher *h, const void *data, size_t len,
								uint8_t out[PV_FINGERPRINT_LEN]);

#endif
