/*
 * hash.c: SHA-256 through libcrypto, and the two hashes of the tree.
 *
 * The algorithm is fetched once and the context reused: after the first
 * initialisation the context keeps its algorithm, and starting again costs
 * neither a look-up nor an allocation. Inputs known to be short are put
 * together on the stack and added in one call.
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
	h->direct = strcmp(OSSL_PROVIDER_get0_name(EVP_MD_get0_provider(h->md)), "default") == 0;
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
		h->failed = SHA256_Init((SHA256_CTX *) h->state) != 1;
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

pv_status
pv_leaf_hash(pv_hasher *h, const void *leaf, size_t len, pv_hash *out)
{
	uint8_t		input[256];

	input[0] = PV_DOMAIN_LEAF;
	if (len < sizeof input)
	{
		if (len > 0)
			memcpy(input + 1, leaf, len);
		return pv_sha256(h, input, 1 + len, out);
	}
	pv_hash_begin(h);
	pv_hash_add(h, input, 1);
	pv_hash_add(h, leaf, len);
	return pv_hash_end(h, out);
}

pv_status
pv_node_hash(pv_hasher *h, const pv_hash *left, const pv_hash *right, pv_hash *out)
{
	uint8_t		input[1 + 2 * PV_HASH_LEN];

	input[0] = PV_DOMAIN_NODE;
	memcpy(input + 1, left->b, PV_HASH_LEN);
	memcpy(input + 1 + PV_HASH_LEN, right->b, PV_HASH_LEN);
	return pv_sha256(h, input, sizeof input, out);
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
