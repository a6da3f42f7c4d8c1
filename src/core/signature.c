/*
 * signature.c: Ed25519 over libcrypto, and the verifier keys of signed-note.
 *
 * Ed25519 is used as RFC 8032 has it in its pure form, the only one that the
 * C2SP formats know: EVP_DigestSign with a NULL digest and the whole message
 * in one call. What libcrypto puts on its error queue on the way is taken off
 * again: a server has other users of that queue, and a wrong signature is an
 * answer here, no error.
 */
#include "signature.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#define PV_MLDSA44_PUBLIC_LEN 1312

/* Room for type byte and the longest public key, and for whole base64 groups. */
#define VKEY_BLOB_MAX (1 + PV_MLDSA44_PUBLIC_LEN + 2)

/* One code point of valid UTF-8; moves *pos behind it. */
static uint32_t
next_code_point(const char *s, size_t *pos)
{
	const uint8_t *p = (const uint8_t *) s + *pos;

	if (p[0] < 0x80)
	{
		*pos += 1;
		return p[0];
	}
	if (p[0] < 0xE0)
	{
		*pos += 2;
		return (uint32_t) (p[0] & 0x1F) << 6 | (p[1] & 0x3F);
	}
	if (p[0] < 0xF0)
	{
		*pos += 3;
		return (uint32_t) (p[0] & 0x0F) << 12 | (uint32_t) (p[1] & 0x3F) << 6 | (p[2] & 0x3F);
	}
	*pos += 4;
	return (uint32_t) (p[0] & 0x07) << 18 | (uint32_t) (p[1] & 0x3F) << 12 |
		(uint32_t) (p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

/* The code points with the property White_Space (Unicode, PropList.txt). */
static bool
is_unicode_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 ||
		c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
		c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* General category Cc: C0, DEL and C1. */
static bool
is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F);
}

bool
pv_key_name_valid(const char *name, size_t len)
{
	size_t		pos = 0;

	if (len == 0 || len > PV_KEY_NAME_MAX || !pv_utf8_valid(name, len))
		return false;
	while (pos < len)
	{
		uint32_t	c = next_code_point(name, &pos);

		if (c == '+' || is_control(c) || is_unicode_space(c))
			return false;
	}
	return true;
}

pv_status
pv_key_id(pv_hasher *h, const char *name, size_t namelen, uint8_t type,
		  const uint8_t *public_key, size_t keylen, uint32_t *out)
{
	uint8_t		sep[2];
	pv_hash		hash;
	pv_status	status;

	sep[0] = 0x0A;
	sep[1] = type;
	pv_hash_begin(h);
	pv_hash_add(h, name, namelen);
	pv_hash_add(h, sep, sizeof(sep));
	pv_hash_add(h, public_key, keylen);
	status = pv_hash_end(h, &hash);
	if (status != PV_OK)
		return status;
	*out = (uint32_t) hash.b[0] << 24 | (uint32_t) hash.b[1] << 16 |
		(uint32_t) hash.b[2] << 8 | hash.b[3];
	return PV_OK;
}

pv_status
pv_vkey_make(pv_hasher *h, const char *name, size_t namelen, uint8_t type,
			 const uint8_t public_key[PV_ED25519_PUBLIC_LEN], pv_vkey *out)
{
	pv_vkey		key;
	pv_status	status;

	if (!pv_key_name_valid(name, namelen))
		return PV_E_NAME;
	if (type != PV_SIG_ED25519 && type != PV_SIG_COSIGNATURE)
		return PV_E_KEY_TYPE;
	memset(&key, 0, sizeof(key));
	memcpy(key.name, name, namelen);
	key.type = type;
	memcpy(key.public_key, public_key, PV_ED25519_PUBLIC_LEN);
	status = pv_key_id(h, name, namelen, type, public_key, PV_ED25519_PUBLIC_LEN, &key.key_id);
	if (status == PV_OK)
		*out = key;
	return status;
}

pv_status
pv_vkey_parse(pv_hasher *h, const char *s, size_t len, pv_vkey *out)
{
	const char *plus;
	size_t		namelen;
	size_t		bloblen;
	uint8_t		id[4];
	uint8_t		blob[VKEY_BLOB_MAX];
	pv_vkey		key;
	pv_status	status;

	/* A name has no '+', base64 may: the first one ends the name. */
	plus = len == 0 ? NULL : memchr(s, '+', len);
	if (plus == NULL)
		return PV_E_KEY;
	namelen = (size_t) (plus - s);
	if (!pv_key_name_valid(s, namelen))
		return PV_E_NAME;
	s += namelen + 1;
	len -= namelen + 1;
	if (len < 9 || s[8] != '+')
		return PV_E_KEY;
	status = pv_hex_decode(s, 8, id, sizeof(id));
	if (status != PV_OK)
		return status;
	s += 9;
	len -= 9;
	if (len == 0 || len / 4 * 3 > sizeof(blob))
		return PV_E_KEY;
	status = pv_base64_decode(s, len, blob, sizeof(blob), &bloblen);
	if (status != PV_OK)
		return status;
	if (bloblen < 2)
		return PV_E_KEY;

	/*
	 * The ID of an ML-DSA key is not looked at: nothing is done with the key,
	 * and some that are in use carry another ID than the formula's.
	 */
	if (blob[0] == PV_SIG_MLDSA44 && bloblen != 1 + PV_MLDSA44_PUBLIC_LEN)
		return PV_E_KEY;
	if (blob[0] != PV_SIG_ED25519 && blob[0] != PV_SIG_COSIGNATURE)
		return PV_E_KEY_TYPE;
	if (bloblen != 1 + PV_ED25519_PUBLIC_LEN)
		return PV_E_KEY;
	status = pv_vkey_make(h, plus - namelen, namelen, blob[0], blob + 1, &key);
	if (status != PV_OK)
		return status;
	if (key.key_id != ((uint32_t) id[0] << 24 | (uint32_t) id[1] << 16 |
					   (uint32_t) id[2] << 8 | id[3]))
		return PV_E_KEY;
	*out = key;
	return PV_OK;
}

pv_status
pv_vkey_format(const pv_vkey *key, char out[PV_VKEY_MAX])
{
	uint8_t		blob[1 + PV_ED25519_PUBLIC_LEN];
	pv_buf		b;

	pv_buf_init(&b, out, PV_VKEY_MAX - 1);
	pv_put_str(&b, key->name);
	pv_put_u8(&b, '+');
	blob[0] = (uint8_t) (key->key_id >> 24);
	blob[1] = (uint8_t) (key->key_id >> 16);
	blob[2] = (uint8_t) (key->key_id >> 8);
	blob[3] = (uint8_t) key->key_id;
	pv_put_hex(&b, blob, 4);
	pv_put_u8(&b, '+');
	blob[0] = key->type;
	memcpy(blob + 1, key->public_key, PV_ED25519_PUBLIC_LEN);
	pv_put_base64(&b, blob, sizeof(blob));
	if (pv_buf_status(&b) != PV_OK)
		return pv_buf_status(&b);
	out[b.len] = '\0';
	return PV_OK;
}

pv_status
pv_ed25519_verify(const uint8_t public_key[PV_ED25519_PUBLIC_LEN],
				  const void *msg, size_t len,
				  const uint8_t sig[PV_ED25519_SIGNATURE_LEN])
{
	static const uint8_t nothing[1] = {0};
	EVP_PKEY   *pkey;
	EVP_MD_CTX *ctx;
	pv_status	status = PV_E_CRYPTO;

	ERR_set_mark();
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, PV_ED25519_PUBLIC_LEN);
	ctx = EVP_MD_CTX_new();
	if (pkey != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1)
		status = EVP_DigestVerify(ctx, sig, PV_ED25519_SIGNATURE_LEN,
								  len == 0 ? nothing : msg, len) == 1 ? PV_OK : PV_E_SIGNATURE;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	ERR_pop_to_mark();
	return status;
}

pv_status
pv_ed25519_sign(void *evp_pkey, const void *msg, size_t len,
				uint8_t sig[PV_ED25519_SIGNATURE_LEN])
{
	static const uint8_t nothing[1] = {0};
	uint8_t		made[PV_ED25519_SIGNATURE_LEN];
	size_t		madelen = sizeof(made);
	EVP_MD_CTX *ctx;
	pv_status	status = PV_E_CRYPTO;

	if (!EVP_PKEY_is_a(evp_pkey, "ED25519"))
		return PV_E_KEY_TYPE;
	ERR_set_mark();
	ctx = EVP_MD_CTX_new();
	if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, evp_pkey) == 1 &&
		EVP_DigestSign(ctx, made, &madelen, len == 0 ? nothing : msg, len) == 1 &&
		madelen == sizeof(made))
	{
		memcpy(sig, made, sizeof(made));
		status = PV_OK;
	}
	EVP_MD_CTX_free(ctx);
	ERR_pop_to_mark();
	return status;
}

pv_status
pv_ed25519_public(void *evp_pkey, uint8_t out[PV_ED25519_PUBLIC_LEN])
{
	uint8_t		raw[PV_ED25519_PUBLIC_LEN];
	size_t		rawlen = sizeof(raw);
	pv_status	status = PV_E_CRYPTO;

	if (!EVP_PKEY_is_a(evp_pkey, "ED25519"))
		return PV_E_KEY_TYPE;
	ERR_set_mark();
	if (EVP_PKEY_get_raw_public_key(evp_pkey, raw, &rawlen) == 1 && rawlen == sizeof(raw))
	{
		memcpy(out, raw, sizeof(raw));
		status = PV_OK;
	}
	ERR_pop_to_mark();
	return status;
}
