/*
 * bundle_tokens.h: the tokens of a bundle's line (doc/format.md, "Bundle"),
 * read one after the other, and the sums over its row chains. For the files
 * of the bundle alone.
 *
 * Each function takes one spelling of a value and no other. Nothing is decoded
 * before its length is known to fit.
 */
#ifndef PV_BUNDLE_TOKENS_H
#define PV_BUNDLE_TOKENS_H

#include "bundle.h"

/* A content being read, and where the bytes behind base64 go. */
typedef struct pv_tokens
{
	const char *next;			/* the rest of the content; NULL after the last token */
	const char *end;
	const char *s;				/* the token last taken */
	size_t		len;
	uint8_t    *scratch;
	size_t		cap;
} pv_tokens;

extern void pv_tokens_init(pv_tokens *t, const char *content, size_t len, uint8_t *scratch, size_t cap);

/* Takes the next token; PV_E_SYNTAX if there is none. */
extern pv_status pv_token_next(pv_tokens *t);

/* PV_E_SYNTAX if tokens are left. */
extern pv_status pv_tokens_done(const pv_tokens *t);

/* Each takes the next token. */
extern pv_status pv_token_word(pv_tokens *t, const char *word);
extern pv_status pv_token_decimal(pv_tokens *t, uint64_t max, uint64_t *out);
extern pv_status pv_token_fixed(pv_tokens *t, uint8_t *out, size_t n);
extern pv_status pv_token_bytes(pv_tokens *t, size_t max, const uint8_t **out, size_t *n);
extern pv_status pv_token_hashes(pv_tokens *t, unsigned max, pv_hash *out, unsigned *n);	/* PV_E_PATH above max */
extern pv_status pv_token_text(pv_tokens *t, pv_value *out);
extern pv_status pv_token_field(pv_tokens *t, pv_disclosed *out);

/* Base64 of exactly n bytes. */
extern pv_status pv_base64_fixed(const char *s, size_t len, uint8_t *out, size_t n);

/* Adds a pair of hash and index to a sum modulo 2^256 (bundle_chain.c). */
extern pv_status pv_chain_add(pv_hasher *h, const uint8_t key[PV_BUNDLE_KEY_LEN], uint64_t sum[4],
							  const pv_hash *hash, uint64_t index);

/* All tokens that are left, as pv_bundle_fields_parse(). */
extern pv_status pv_tokens_fields(pv_tokens *t, pv_disclosed *fields, size_t max, size_t *n, bool *erased);

#endif							/* PV_BUNDLE_TOKENS_H */
