/*
 * hash.c: SHA-256 through libcrypto, and the two hashes of the tree.
 *
 * The algorithm is fetched once and the context reused: after the first
 * initialisation the context keeps its algorithm, and starting again costs
 * neither a look-up nor an allocation. Inputs known to be short are put
 * together on the stack, padded there (FIPS 180-4, section 5.1.1) and hashed
 * in one call: libcrypto's own padding copies, fills and wipes a buffer of its
 * own, which takes a third of the time of a block.
 *
 * Measured with OpenSSL 3.0 on inputs of 40 bytes: 131 ns through EVP, 58 ns
 * through the functions below it, and an entry takes 17 of them. Those
 * functions are deprecated, not because of what they compute, but because they
 * pass by the choice of a provider. So that choice is asked for first.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <assert.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/sha.h>

#include "hash.h"

#ifndef OPENSSL_NO_DEPRECATED_3_0
#define PV_DIRECT_SHA256
static_assert(sizeof(SHA256_CTX) <= sizeof(((pv_hasher *) 0)->state), "a SHA256_CTX needs more room");
#endif

const pv_hash pv_empty_root = {{
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55
}};

pv_status
pv_hasher_init(pv_hasher *h)
{
	h->failed = false;
	h->direct = false;
	h->md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	h->ctx = EVP_MD_CTX_new();
	if (h->md == NULL || h->ctx == NULL || EVP_MD_get_size(h->md) != PV_HASH_LEN)
	{
		pv_hasher_free(h);
		return PV_E_CRYPTO;
	}
#ifdef PV_DIRECT_SHA256
	h->direct = strcmp(OSSL_PROVIDER_get0_name(EVP_MD_get0_provider(h->md)), "default") == 0 &&
		SHA256_Init((SHA256_CTX *) h->start) == 1;
#endif
	return PV_OK;
}

void
pv_hasher_free(pv_hasher *h)
{
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	h->ctx = NULL;
	h->md = NULL;
}

void
pv_hash_begin(pv_hasher *h)
{
#ifdef PV_DIRECT_SHA256
	if (h->direct)
	{
		memcpy(h->state, h->start, sizeof(h->state));
		h->failed = false;
		return;
	}
#endif
	h->failed = EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1;
}

void
pv_hash_add(pv_hasher *h, const void *data, size_t len)
{
	if (h->failed || len == 0)
		return;
#ifdef PV_DIRECT_SHA256
	if (h->direct)
	{
		h->failed = SHA256_Update((SHA256_CTX *) h->state, data, len) != 1;
		return;
	}
#endif
	h->failed = EVP_DigestUpdate(h->ctx, data, len) != 1;
}

pv_status
pv_hash_end(pv_hasher *h, pv_hash *out)
{
	if (h->failed)
		return PV_E_CRYPTO;
#ifdef PV_DIRECT_SHA256
	if (h->direct)
		return SHA256_Final(out->b, (SHA256_CTX *) h->state) == 1 ? PV_OK : PV_E_CRYPTO;
#endif
	return EVP_DigestFinal_ex(h->ctx, out->b, NULL) == 1 ? PV_OK : PV_E_CRYPTO;
}

pv_status
pv_sha256(pv_hasher *h, const void *data, size_t len, pv_hash *out)
{
	pv_hash_begin(h);
	pv_hash_add(h, data, len);
	return pv_hash_end(h, out);
}

#ifdef PV_DIRECT_SHA256
/* Compilers make one instruction of each of these. */
static inline void
put_length(uint8_t *out, uint64_t bits)
{
	out[0] = (uint8_t) (bits >> 56);
	out[1] = (uint8_t) (bits >> 48);
	out[2] = (uint8_t) (bits >> 40);
	out[3] = (uint8_t) (bits >> 32);
	out[4] = (uint8_t) (bits >> 24);
	out[5] = (uint8_t) (bits >> 16);
	out[6] = (uint8_t) (bits >> 8);
	out[7] = (uint8_t) bits;
}

static inline void
put_word(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t) (v >> 24);
	out[1] = (uint8_t) (v >> 16);
	out[2] = (uint8_t) (v >> 8);
	out[3] = (uint8_t) v;
}
#endif

pv_status
pv_sha256_in_place(pv_hasher *h, uint8_t *data, size_t len, pv_hash *out)
{
#ifdef PV_DIRECT_SHA256
	if (h->direct)
	{
		SHA256_CTX *c = (SHA256_CTX *) h->state;
		size_t		padded = (len + 8) / SHA256_CBLOCK * SHA256_CBLOCK + SHA256_CBLOCK;

		memset(data + len, 0, PV_HASH_ROOM);
		data[len] = 0x80;
		put_length(data + padded - 8, (uint64_t) len * 8);
		memcpy(h->state, h->start, sizeof(h->state));
		if (SHA256_Update(c, data, padded) != 1)
			return PV_E_CRYPTO;
		for (size_t i = 0; i < 8; i++)
			put_word(out->b + 4 * i, c->h[i]);
		return PV_OK;
	}
#endif
	return pv_sha256(h, data, len, out);
}

pv_status
pv_leaf_hash(pv_hasher *h, const void *leaf, size_t len, pv_hash *out)
{
	uint8_t		input[256 + PV_HASH_ROOM];

	input[0] = PV_DOMAIN_LEAF;
	if (len < sizeof input - PV_HASH_ROOM)
	{
		if (len > 0)
			memcpy(input + 1, leaf, len);
		return pv_sha256_in_place(h, input, 1 + len, out);
	}
	pv_hash_begin(h);
	pv_hash_add(h, input, 1);
	pv_hash_add(h, leaf, len);
	return pv_hash_end(h, out);
}

pv_status
pv_node_hash(pv_hasher *h, const pv_hash *left, const pv_hash *right, pv_hash *out)
{
	uint8_t		input[1 + 2 * PV_HASH_LEN + PV_HASH_ROOM];

	input[0] = PV_DOMAIN_NODE;
	memcpy(input + 1, left->b, PV_HASH_LEN);
	memcpy(input + 1 + PV_HASH_LEN, right->b, PV_HASH_LEN);
	return pv_sha256_in_place(h, input, 1 + 2 * PV_HASH_LEN, out);
}

bool
pv_hash_equal(const pv_hash *a, const pv_hash *b)
{
	return memcmp(a->b, b->b, PV_HASH_LEN) == 0;
}

bool
pv_hash_is_zero(const pv_hash *a)
{
	static const pv_hash zero;

	return pv_hash_equal(a, &zero);
}
