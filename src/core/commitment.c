/*
 * commitment.c: salts, field digests, record and context commitments, row
 * identities.
 *
 * Capture runs through pv_commit_record() once per changed row, and so through
 * a dozen field digests: an input is put together on the stack and handed to
 * libcrypto in one call, which for short values costs less than the calls
 * saved; only a long value is added from where it lies.
 *
 * Seeds and salts are not wiped from the stack: they stand in the ledger next
 * to the values they protect, in memory that the same process can read.
 */
#include <string.h>

#include <openssl/evp.h>

#include "commitment.h"

/* A hash input that is put together on the stack. */
#define INPUT_MAX 1024			/* the record commitment of 29 columns */
typedef struct input
{
	pv_hasher  *h;
	bool		begun;			/* the hasher has some of it already */
	size_t		len;
	uint8_t		bytes[INPUT_MAX + PV_HASH_ROOM];
} input;

#define NAME(s) {s, sizeof(s) - 1}

const pv_name pv_context_names[PV_CONTEXT_FIELDS] = {
	[PV_CTX_ACTOR] = NAME("actor"),
	[PV_CTX_PURPOSE] = NAME("purpose"),
	[PV_CTX_SOURCE] = NAME("source"),
	[PV_CTX_DB_USER] = NAME("db_user"),
	[PV_CTX_SESSION_USER] = NAME("session_user"),
	[PV_CTX_CURRENT_USER] = NAME("current_user"),
	[PV_CTX_APPLICATION] = NAME("application"),
	[PV_CTX_CLIENT_ADDR] = NAME("client_addr"),
	[PV_CTX_SOURCE_LEAF] = NAME("source_leaf"),
};

static inline void
input_begin(input *in, pv_hasher *h, uint8_t domain)
{
	in->h = h;
	in->begun = false;
	in->bytes[0] = domain;
	in->len = 1;
}

static inline void
input_bytes(input *in, const void *data, size_t len)
{
	if (len > INPUT_MAX - in->len)
	{
		if (!in->begun)
			pv_hash_begin(in->h);
		in->begun = true;
		pv_hash_add(in->h, in->bytes, in->len);
		in->len = 0;
		if (len > INPUT_MAX)
		{
			pv_hash_add(in->h, data, len);
			return;
		}
	}
	if (len > 0)
		memcpy(in->bytes + in->len, data, len);
	in->len += len;
}

static inline void
input_u16(input *in, uint16_t v)
{
	uint8_t		x[2] = {(uint8_t) (v >> 8), (uint8_t) v};

	input_bytes(in, x, sizeof x);
}

static inline void
input_u32(input *in, uint32_t v)
{
	uint8_t		x[4] = {(uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8), (uint8_t) v};

	input_bytes(in, x, sizeof x);
}

static inline pv_status
input_end(input *in, pv_hash *out)
{
	if (!in->begun)
		return pv_sha256_in_place(in->h, in->bytes, in->len, out);
	pv_hash_add(in->h, in->bytes, in->len);
	return pv_hash_end(in->h, out);
}

pv_status
pv_salter_init(pv_salter *s)
{
	s->cipher = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
	s->ctx = EVP_CIPHER_CTX_new();
	if (s->cipher == NULL || s->ctx == NULL ||
		EVP_EncryptInit_ex2(s->ctx, s->cipher, NULL, NULL, NULL) != 1)
	{
		pv_salter_free(s);
		return PV_E_CRYPTO;
	}
	return PV_OK;
}

void
pv_salter_free(pv_salter *s)
{
	EVP_CIPHER_CTX_free(s->ctx);
	EVP_CIPHER_free(s->cipher);
	s->ctx = NULL;
	s->cipher = NULL;
}

pv_status
pv_salts(pv_salter *s, const uint8_t seed[PV_SEED_LEN], size_t n, uint8_t *out)
{
	static const uint8_t zero_counter[16];
	int			len;
	int			written;

	if (n == 0)
		return PV_OK;
	if (n > PV_MAX_FIELDS + 1)
		return PV_E_COUNT;
	len = (int) (n * PV_SALT_LEN);
	memset(out, 0, (size_t) len);
	/* Naming the cipher again would throw its context away. */
	if (EVP_EncryptInit_ex2(s->ctx, NULL, seed, zero_counter, NULL) != 1 ||
		EVP_EncryptUpdate(s->ctx, out, &written, out, len) != 1 || written != len)
		return PV_E_CRYPTO;
	return PV_OK;
}

pv_status
pv_field_digest(pv_hasher *h, uint8_t domain, const uint8_t salt[PV_SALT_LEN],
				pv_name name, pv_value value, pv_hash *out)
{
	input		in;
	uint8_t		null_byte = value.data == NULL ? 0x01 : 0x00;
	uint32_t	len = value.data == NULL ? 0 : value.len;

	if (name.len > PV_MAX_NAME)
		return PV_E_TOO_LONG;
	input_begin(&in, h, domain);
	input_bytes(&in, salt, PV_SALT_LEN);
	input_u16(&in, name.len);
	input_bytes(&in, name.s, name.len);
	input_bytes(&in, &null_byte, 1);
	input_u32(&in, len);
	input_bytes(&in, value.data, len);
	return input_end(&in, out);
}

pv_status
pv_record_commitment(pv_hasher *h, const pv_hash *shape, const pv_hash *digests, size_t n, pv_hash *out)
{
	input		in;

	if (n > PV_MAX_FIELDS + 1)
		return PV_E_COUNT;
	input_begin(&in, h, PV_DOMAIN_RECORD);
	input_bytes(&in, shape->b, PV_HASH_LEN);
	input_u32(&in, (uint32_t) n);
	input_bytes(&in, digests, n * sizeof *digests);
	return input_end(&in, out);
}

pv_status
pv_commit_record(pv_hasher *h, pv_salter *s, const pv_hash *shape, const pv_hash *context,
				 const uint8_t seed[PV_SEED_LEN], const pv_name *names, const pv_value *values,
				 size_t n, uint8_t *salts, pv_hash *digests, pv_hash *out)
{
	static const pv_name no_name = NAME("");
	pv_value	context_value = {context->b, PV_HASH_LEN};
	pv_hash		own[PV_MAX_FIELDS + 1];
	pv_status	status;

	if (n > PV_MAX_FIELDS)
		return PV_E_COUNT;
	if (digests == NULL)
		digests = own;
	status = pv_salts(s, seed, n + 1, salts);
	if (status == PV_OK)
		status = pv_field_digest(h, PV_DOMAIN_FIELD, salts, no_name, context_value, &digests[0]);
	for (size_t i = 1; i <= n && status == PV_OK; i++)
		status = pv_field_digest(h, PV_DOMAIN_FIELD, salts + i * PV_SALT_LEN, names[i - 1], values[i - 1],
								 &digests[i]);
	if (status == PV_OK)
		status = pv_record_commitment(h, shape, digests, n + 1, out);
	return status;
}

pv_status
pv_context_commitment(pv_hasher *h, const pv_hash *digests, size_t n, pv_hash *out)
{
	input		in;

	if (n > PV_MAX_CONTEXT_FIELDS)
		return PV_E_COUNT;
	input_begin(&in, h, PV_DOMAIN_CONTEXT);
	input_u32(&in, (uint32_t) n);
	input_bytes(&in, digests, n * sizeof *digests);
	return input_end(&in, out);
}

pv_status
pv_commit_context(pv_hasher *h, pv_salter *s, const uint8_t seed[PV_SEED_LEN],
				  const pv_name *names, const pv_value *values, size_t n, pv_hash *out)
{
	uint8_t		salts[PV_MAX_CONTEXT_FIELDS * PV_SALT_LEN];
	pv_hash		digests[PV_MAX_CONTEXT_FIELDS];
	pv_status	status;

	if (n > PV_MAX_CONTEXT_FIELDS)
		return PV_E_COUNT;
	status = pv_salts(s, seed, n, salts);
	for (size_t i = 0; i < n && status == PV_OK; i++)
		status = pv_field_digest(h, PV_DOMAIN_CONTEXT_FIELD, salts + i * PV_SALT_LEN, names[i], values[i],
								 &digests[i]);
	return status == PV_OK ? pv_context_commitment(h, digests, n, out) : status;
}

pv_status
pv_row_identity(pv_hasher *h, const uint8_t key[PV_ROW_KEY_LEN], uint32_t table_id,
				const pv_value *key_values, size_t n, uint8_t out[PV_ROW_ID_LEN])
{
	input		in;
	pv_hash		hash;
	pv_status	status;

	if (n > PV_MAX_FIELDS)
		return PV_E_COUNT;
	for (size_t i = 0; i < n; i++)
		if (key_values[i].data == NULL)
			return PV_E_VALUE;
	input_begin(&in, h, PV_DOMAIN_ROW);
	input_bytes(&in, key, PV_ROW_KEY_LEN);
	input_u32(&in, table_id);
	input_u16(&in, (uint16_t) n);
	for (size_t i = 0; i < n; i++)
	{
		input_u32(&in, key_values[i].len);
		input_bytes(&in, key_values[i].data, key_values[i].len);
	}
	status = input_end(&in, &hash);
	if (status == PV_OK)
		memcpy(out, hash.b, PV_ROW_ID_LEN);
	return status;
}
