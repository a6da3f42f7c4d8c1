/*
 * commitment.h: field digests, record and context commitments, shape digests,
 * row identities (doc/format.md, sections of the same names).
 *
 * A record commitment is one salted hash over shape, context and the fields of
 * an image. Whoever holds it can later be shown any subset of the fields, each
 * with its salt, and the digests of the others. Salts come from the entry's
 * seed: salt i is block i of the AES-128-CTR key stream under the seed with a
 * zero initial counter block. A verifier gets salts, never the seed.
 */
#ifndef PV_COMMITMENT_H
#define PV_COMMITMENT_H

#include "fields.h"
#include "hash.h"

#define PV_SEED_LEN 16
#define PV_SALT_LEN 16
#define PV_ROW_ID_LEN 16
#define PV_ROW_KEY_LEN 32
#define PV_MAX_NAME 255			/* bytes of a field's name */
#define PV_MAX_CONTEXT_FIELDS 64

typedef struct pv_name
{
	const char *s;				/* UTF-8, not necessarily terminated */
	uint16_t	len;
} pv_name;

/* A reused AES-128-CTR context. Belongs to one thread. */
typedef struct pv_salter
{
	void	   *cipher;			/* EVP_CIPHER, fetched once */
	void	   *ctx;			/* EVP_CIPHER_CTX, reused */
} pv_salter;

extern pv_status pv_salter_init(pv_salter *s);
extern void pv_salter_free(pv_salter *s);

/* Salts 0 .. n-1 of a seed into out, n * PV_SALT_LEN bytes. */
extern pv_status pv_salts(pv_salter *s, const uint8_t seed[PV_SEED_LEN], size_t n, uint8_t *out);

/*
 * SHA-256(domain || salt || u16 name length || name || null byte || u32 value
 * length || value); null byte 0x01 and length 0 for NULL, else 0x00. domain is
 * PV_DOMAIN_FIELD or PV_DOMAIN_CONTEXT_FIELD.
 */
extern pv_status pv_field_digest(pv_hasher *h, uint8_t domain, const uint8_t salt[PV_SALT_LEN],
								 pv_name name, pv_value value, pv_hash *out);

/* SHA-256(0x03 || shape digest || u32 n || digests). */
extern pv_status pv_record_commitment(pv_hasher *h, const pv_hash *shape, const pv_hash *digests,
									  size_t n, pv_hash *out);

/*
 * The record commitment of an entry from its parts: digest 0 is the field
 * digest, under salt 0 and the empty name, of the context commitment; digest i
 * (1..n) that of field i-1 under salt i. digests, if not NULL, gets the n + 1
 * digests. salts is scratch of (n + 1) * PV_SALT_LEN bytes.
 */
extern pv_status pv_commit_record(pv_hasher *h, pv_salter *s, const pv_hash *shape, const pv_hash *context,
								  const uint8_t seed[PV_SEED_LEN], const pv_name *names, const pv_value *values,
								  size_t n, uint8_t *salts, pv_hash *digests, pv_hash *out);

/*
 * The context commitment: SHA-256(0x04 || u32 n || digests), digest i being
 * the field digest under PV_DOMAIN_CONTEXT_FIELD and salt i of the context's
 * own seed. At most PV_MAX_CONTEXT_FIELDS, else PV_E_COUNT.
 */
extern pv_status pv_commit_context(pv_hasher *h, pv_salter *s, const uint8_t seed[PV_SEED_LEN],
								   const pv_name *names, const pv_value *values, size_t n, pv_hash *out);

/* SHA-256(0x04 || u32 n || digests): the same from the digests. */
extern pv_status pv_context_commitment(pv_hasher *h, const pv_hash *digests, size_t n, pv_hash *out);

/* The fields of a context, version 1, in order. */
#define PV_CONTEXT_FIELDS 9
enum
{
	PV_CTX_ACTOR, PV_CTX_PURPOSE, PV_CTX_SOURCE, PV_CTX_DB_USER, PV_CTX_SESSION_USER,
	PV_CTX_CURRENT_USER, PV_CTX_APPLICATION, PV_CTX_CLIENT_ADDR, PV_CTX_SOURCE_LEAF
};
extern const pv_name pv_context_names[PV_CONTEXT_FIELDS];

/*
 * First 16 bytes of SHA-256(0x07 || key || u32 table id || u16 number of key
 * columns || each value as u32 length and bytes). The key is local to the
 * database; number 0 gives the identity of the table's own chain. A key value
 * is never NULL (PV_E_VALUE).
 */
extern pv_status pv_row_identity(pv_hasher *h, const uint8_t key[PV_ROW_KEY_LEN], uint32_t table_id,
								 const pv_value *key_values, size_t n, uint8_t out[PV_ROW_ID_LEN]);

#endif							/* PV_COMMITMENT_H */
