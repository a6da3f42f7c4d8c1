/*
 * signature.h: Ed25519 (RFC 8032, pure) over libcrypto, and the verifier keys
 * of C2SP signed-note.
 *
 * A vkey is <name>+<8 hex digits of key ID>+<base64 of type byte and public
 * key>; key ID = first 4 bytes of SHA-256(name || 0x0A || type || public key).
 * Type 0x01: Ed25519 note signature. Type 0x04: Ed25519 cosignature/v1. Type
 * 0x06 (ML-DSA-44) is recognised in a vkey and reported as PV_E_KEY_TYPE.
 */
#ifndef PV_SIGNATURE_H
#define PV_SIGNATURE_H

#include "hash.h"

#define PV_ED25519_PUBLIC_LEN 32
#define PV_ED25519_SIGNATURE_LEN 64

#define PV_SIG_ED25519 0x01
#define PV_SIG_COSIGNATURE 0x04
#define PV_SIG_MLDSA44 0x06

#define PV_KEY_NAME_MAX 255		/* bytes */
#define PV_VKEY_MAX 320			/* bytes of the longest vkey we write, NUL included */

typedef struct pv_vkey
{
	char		name[PV_KEY_NAME_MAX + 1];	/* terminated */
	uint8_t		type;			/* PV_SIG_ED25519 or PV_SIG_COSIGNATURE */
	uint32_t	key_id;
	uint8_t		public_key[PV_ED25519_PUBLIC_LEN];
} pv_vkey;

/*
 * True for a key name as signed-note has it: not empty, valid UTF-8, no
 * Unicode space, no "+", no control character, at most PV_KEY_NAME_MAX bytes.
 */
extern bool pv_key_name_valid(const char *name, size_t len);

extern pv_status pv_key_id(pv_hasher *h, const char *name, size_t namelen, uint8_t type,
						   const uint8_t *public_key, size_t keylen, uint32_t *out);

/* Parses one vkey; PV_E_KEY, PV_E_NAME, PV_E_KEY_TYPE, PV_E_BASE64, PV_E_HEX. */
extern pv_status pv_vkey_parse(pv_hasher *h, const char *s, size_t len, pv_vkey *out);

/* Fills in name, type, public key and the ID computed from them. */
extern pv_status pv_vkey_make(pv_hasher *h, const char *name, size_t namelen, uint8_t type,
							  const uint8_t public_key[PV_ED25519_PUBLIC_LEN], pv_vkey *out);

/* Writes the vkey's text, terminated. */
extern pv_status pv_vkey_format(const pv_vkey *key, char out[PV_VKEY_MAX]);

/* PV_OK, PV_E_SIGNATURE, PV_E_CRYPTO. */
extern pv_status pv_ed25519_verify(const uint8_t public_key[PV_ED25519_PUBLIC_LEN],
								   const void *msg, size_t len,
								   const uint8_t sig[PV_ED25519_SIGNATURE_LEN]);

/*
 * Signs with a libcrypto key (an EVP_PKEY of type Ed25519, which may live in a
 * token). PV_E_KEY_TYPE for a key of another type.
 */
extern pv_status pv_ed25519_sign(void *evp_pkey, const void *msg, size_t len,
								 uint8_t sig[PV_ED25519_SIGNATURE_LEN]);

/* The public half of an EVP_PKEY. PV_E_KEY_TYPE if it is not Ed25519. */
extern pv_status pv_ed25519_public(void *evp_pkey, uint8_t out[PV_ED25519_PUBLIC_LEN]);

#endif							/* PV_SIGNATURE_H */
