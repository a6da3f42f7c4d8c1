/*
 * note_util.h: what the tests of notes share: keys from the seeds of RFC 8032
 * (section 7.1), and a small signed and cosigned checkpoint built with them.
 */
#ifndef NOTE_UTIL_H
#define NOTE_UTIL_H

#include <openssl/evp.h>

#include "cosignature.h"

#define SEED_1 "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define SEED_2 "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
#define SEED_3 "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"

static inline void
must(int ok, const char *what)
{
	if (!ok)
	{
		printf("Bail out! %s\n", what);
		exit(2);
	}
}

static inline EVP_PKEY *
key_from_seed(const char *hex)
{
	uint8_t		seed[32];
	EVP_PKEY   *key;

	must(pv_hex_decode(hex, strlen(hex), seed, sizeof(seed)) == PV_OK, "hex of a seed");
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	must(key != NULL, "key from a seed");
	return key;
}

static inline void
vkey_of(pv_hasher *h, EVP_PKEY *key, const char *name, uint8_t type, pv_vkey *out)
{
	uint8_t		pub[PV_ED25519_PUBLIC_LEN];

	must(pv_ed25519_public(key, pub) == PV_OK, "public key");
	must(pv_vkey_make(h, name, strlen(name), type, pub, out) == PV_OK, "verifier key");
}

/* Appends a signature over the first textlen bytes of b. */
static inline void
sign_note(pv_buf *b, size_t textlen, EVP_PKEY *key, const pv_vkey *vkey)
{
	uint8_t		sig[PV_ED25519_SIGNATURE_LEN];

	must(pv_ed25519_sign(key, b->data, textlen, sig) == PV_OK, "signing");
	pv_put_note_sig(b, vkey, sig, sizeof(sig));
}

static inline void
cosign_note(pv_buf *b, size_t textlen, EVP_PKEY *key, const pv_vkey *vkey, uint64_t seconds)
{
	uint8_t		message[4096];
	uint8_t		blob[PV_COSIGNATURE_BLOB_LEN];
	pv_buf		m;
	pv_buf		t;

	pv_buf_init(&m, message, sizeof(message));
	pv_put_cosignature_message(&m, seconds, (const char *) b->data, textlen);
	must(pv_buf_status(&m) == PV_OK, "cosignature message");
	pv_buf_init(&t, blob, sizeof(blob));
	pv_put_u64(&t, seconds);
	must(pv_ed25519_sign(key, message, m.len, blob + 8) == PV_OK, "signing");
	pv_put_note_sig(b, vkey, blob, sizeof(blob));
}

#endif							/* NOTE_UTIL_H */
