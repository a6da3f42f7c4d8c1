/*
 * bundle_digest.c: the digest of a bundle's lines, and the two other things
 * that partners compute alike: the message of a countersignature, and
 * pseudonyms.
 *
 * The digest has a hasher of its own, as it runs along all other hashing. HMAC
 * (RFC 2104) is written down here in two hashes: an exporter makes one for
 * each entry, and fetching a MAC of libcrypto each time costs more than that.
 */
#include "bundle.h"

#include <string.h>

#include <openssl/crypto.h>

#define HMAC_BLOCK 64			/* of SHA-256 */

pv_status
pv_bundle_digest_init(pv_bundle_digest *d)
{
	static const uint8_t domain = PV_DOMAIN_BUNDLE;
	pv_status	status;

	memset(d, 0, sizeof(*d));
	status = pv_hasher_init(&d->hasher);
	if (status != PV_OK)
		return status;
	pv_hash_begin(&d->hasher);
	pv_hash_add(&d->hasher, &domain, 1);
	return PV_OK;
}

void
pv_bundle_digest_free(pv_bundle_digest *d)
{
	pv_hasher_free(&d->hasher);
}

pv_status
pv_bundle_digest_line(pv_bundle_digest *d, uint64_t line, const char *kind, const char *content, size_t len)
{
	uint8_t		head[64];
	pv_buf		b;

	pv_buf_init(&b, head, sizeof(head));
	pv_put_decimal(&b, line);
	pv_put_u8(&b, '\t');
	pv_put_str(&b, kind);
	pv_put_u8(&b, '\t');
	if (pv_buf_status(&b) != PV_OK)
		return PV_E_SYNTAX;		/* no kind is that long */
	pv_hash_add(&d->hasher, head, b.len);
	pv_hash_add(&d->hasher, content, len);
	pv_hash_add(&d->hasher, "\n", 1);
	return d->hasher.failed ? PV_E_CRYPTO : PV_OK;
}

pv_status
pv_bundle_digest_end(pv_bundle_digest *d, pv_hash *out)
{
	return pv_hash_end(&d->hasher, out);
}

void
pv_put_countersignature_message(pv_buf *b, const uint8_t leaf[PV_LEAF_LEN])
{
	pv_put_str(b, "provenance countersignature v1\n");
	pv_put_bytes(b, leaf, PV_LEAF_LEN);
}

pv_status
pv_pseudonym(pv_hasher *h, const uint8_t key[PV_PSEUDONYM_KEY_LEN], const void *subject, size_t len,
			 uint8_t out[PV_PSEUDONYM_LEN])
{
	static const char prefix[] = "provenance pseudonym v1\n";
	uint8_t		inner[HMAC_BLOCK];
	uint8_t		outer[HMAC_BLOCK];
	pv_hash		hash;
	pv_status	status;

	for (size_t i = 0; i < HMAC_BLOCK; i++)
	{
		uint8_t		k = i < PV_PSEUDONYM_KEY_LEN ? key[i] : 0;

		inner[i] = k ^ 0x36;
		outer[i] = k ^ 0x5C;
	}
	pv_hash_begin(h);
	pv_hash_add(h, inner, sizeof(inner));
	pv_hash_add(h, prefix, sizeof(prefix) - 1);
	pv_hash_add(h, subject, len);
	status = pv_hash_end(h, &hash);
	if (status == PV_OK)
	{
		pv_hash_begin(h);
		pv_hash_add(h, outer, sizeof(outer));
		pv_hash_add(h, hash.b, PV_HASH_LEN);
		status = pv_hash_end(h, &hash);
	}
	if (status == PV_OK)
		memcpy(out, hash.b, PV_PSEUDONYM_LEN);
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
	return status;
}
