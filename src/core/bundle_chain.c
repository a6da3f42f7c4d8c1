/*
 * bundle_chain.c: are the previous entries named exactly those marked as
 * having a next one? In constant memory, over any number of entries.
 *
 * Every entry names its previous entry by leaf index, and its leaf holds that
 * entry's hash. If the multiset of these pairs (hash, index) is the set of
 * the pairs of the entries marked as having a next one, then each entry named
 * is in the bundle, is the one named, and is named once. Two multisets are
 * compared by the sums of F(pair), F being SHA-256 over a secret key and the
 * pair, an input of fixed length. Whoever makes a bundle does not know the
 * key, which is drawn for one reading: to him F is a random function.
 * Different multisets have equal sums only if the sum of c * F(x) over the
 * pairs x is 0 with some c other than 0, |c| at most the number of entries, N.
 * Modulo 2^256, c * F(x) takes a given value with probability at most
 * |c| / 2^256, below 2^-193 for any N. Four sums modulo 2^64 would be as good
 * for odd c; but with c = 2^k each of the four loses k bits, which at N = 2^40
 * leaves 96 bits of 256, while the carry makes it 216, for three additions.
 * XOR would not do: an entry named three times is like one named once. To
 * combine many F to a sum of 0 (Wagner's generalised birthday) takes their
 * values, and all that a maker learns is whether the bundle was taken.
 */
#include "bundle_tokens.h"

#include <string.h>

pv_status
pv_chain_add(pv_hasher *h, const uint8_t key[PV_BUNDLE_KEY_LEN], uint64_t sum[4], const pv_hash *hash, uint64_t index)
{
	uint8_t		input[PV_BUNDLE_KEY_LEN + PV_HASH_LEN + 8 + PV_HASH_ROOM];
	pv_hash		keyed;
	pv_buf		b;
	pv_reader	words;
	pv_status	status;
	uint64_t	carry = 0;

	pv_buf_init(&b, input, sizeof(input));
	pv_put_bytes(&b, key, PV_BUNDLE_KEY_LEN);
	pv_put_bytes(&b, hash->b, PV_HASH_LEN);
	pv_put_u64(&b, index);
	if ((status = pv_sha256_in_place(h, input, b.len, &keyed)) != PV_OK)
		return status;
	/* least significant word first */
	pv_reader_init(&words, keyed.b, PV_HASH_LEN);
	for (unsigned i = 0; i < 4; i++)
	{
		uint64_t	word = pv_get_u64(&words);
		uint64_t	with_carry = sum[i] + carry;

		carry = with_carry < carry;
		sum[i] = with_carry + word;
		carry += sum[i] < word; /* never both: after the first, with_carry is 0 */
	}
	return PV_OK;
}
