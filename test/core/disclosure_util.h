/*
 * disclosure_util.h: the worked example of doc/format.md as a disclosure, with
 * any of its fields disclosed, and entries of other operations beside it.
 */
#ifndef DISCLOSURE_UTIL_H
#define DISCLOSURE_UTIL_H

#include "disclosure.h"
#include "note_util.h"

#define ORIGIN "crm.acme.example"
#define NAME(s) {s, sizeof(s) - 1}
#define VALUE(s) {(const uint8_t *) (s), sizeof(s) - 1}

#define EX_FIELDS 4
#define EX_MAX 16384

static const pv_column example_columns[EX_FIELDS] = {
	{NAME("id"), NAME("bigint"), 1},
	{NAME("name"), NAME("text"), 0},
	{NAME("phone"), NAME("text"), 0},
	{NAME("balance"), NAME("numeric(12,2)"), 0},
};
static const pv_value example_values[EX_FIELDS] = {
	VALUE("42"), VALUE("Zo\xC3\xAB N\xC3\xBA\xC3\xB1" "ez"), {NULL, 0}, VALUE("-17.50")
};
static const pv_value example_context[PV_CONTEXT_FIELDS] = {
	VALUE("zoe@acme.example"), VALUE("support"), {NULL, 0}, VALUE("crm_app"), VALUE("crm_app"),
	VALUE("crm_app"), VALUE("crm-web"), VALUE("192.0.2.7"), {NULL, 0}
};

typedef struct example
{
	pv_disclosure d;
	pv_vkey		vkey;
	pv_hash		leaf_hash;
	uint8_t		shape[1024];
	uint8_t		note[1024];
	uint8_t		proof[2048];
	uint8_t		text[EX_MAX];
	size_t		len;
} example;

/*
 * Discloses the fields, and the fields of the context, whose bits are set.
 * values and columns may be others than those of the example; n of them.
 */
static inline void
example_make(example *e, pv_hasher *h, unsigned op, const pv_column *columns, const pv_value *values, size_t n,
			 const char *origin, unsigned fields, unsigned context)
{
	static const uint8_t seed[PV_SEED_LEN] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	static const uint8_t context_seed[PV_SEED_LEN] = {
		0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff
	};
	static uint8_t salts[(PV_MAX_FIELDS + 1) * PV_SALT_LEN];
	uint8_t		context_salts[PV_CONTEXT_FIELDS * PV_SALT_LEN];
	pv_name		names[PV_MAX_FIELDS];
	pv_hash		digests[PV_MAX_FIELDS + 1];
	pv_hash		context_commitment,
				digest;
	pv_shape	shape = {NAME(ORIGIN), 7, NAME("crm"), NAME("contact"), EX_FIELDS, 1,
		(pv_column *) columns};
	pv_leaf		leaf = {(uint8_t) op, 1767225600123456, 731, {{0}}, {{0}}};
	EVP_PKEY   *key = key_from_seed(SEED_1);
	EVP_PKEY   *witness_key = key_from_seed(SEED_2);
	pv_vkey		witness;
	pv_salter	s;
	pv_buf		b;
	size_t		textlen;

	memset(e, 0, sizeof(*e));
	must(pv_salter_init(&s) == PV_OK, "salter");
	vkey_of(h, key, origin, PV_SIG_ED25519, &e->vkey);
	vkey_of(h, witness_key, "witness.example", PV_SIG_COSIGNATURE, &witness);

	pv_buf_init(&b, e->shape, sizeof(e->shape));
	must(pv_shape_encode(&shape, &b) == PV_OK, "shape");
	e->d.shape_bytes = e->shape;
	e->d.shape_len = b.len;
	must(pv_field_names(op, &shape, names) == n, "number of fields");
	must(pv_commit_context(h, &s, context_seed, pv_context_names, example_context, PV_CONTEXT_FIELDS,
						   &context_commitment) == PV_OK, "context");
	must(pv_shape_digest(h, e->shape, b.len, &digest) == PV_OK, "shape digest");
	must(pv_commit_record(h, &s, &digest, &context_commitment, seed, names, values, n, salts, digests,
						  &leaf.commitment) == PV_OK, "record");
	pv_leaf_encode(&leaf, e->d.leaf_bytes);
	must(pv_leaf_hash(h, e->d.leaf_bytes, PV_LEAF_LEN, &e->leaf_hash) == PV_OK, "leaf hash");

	e->d.context_given = context != 0;
	e->d.context_digest = digests[0];
	e->d.context_commitment = context_commitment;
	memcpy(e->d.context_salt, salts, PV_SALT_LEN);
	must(pv_salts(&s, context_seed, PV_CONTEXT_FIELDS, context_salts) == PV_OK, "salts");
	for (size_t i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		pv_disclosed *f = &e->d.context[i];

		f->name = pv_context_names[i];
		f->withheld = (context >> i & 1) == 0;
		memcpy(f->salt, context_salts + i * PV_SALT_LEN, PV_SALT_LEN);
		f->value = example_context[i];
		must(pv_field_digest(h, PV_DOMAIN_CONTEXT_FIELD, f->salt, f->name, f->value, &f->digest) == PV_OK, "digest");
	}
	e->d.nfields = n;
	for (size_t i = 0; i < n; i++)
	{
		pv_disclosed *f = &e->d.fields[i];

		f->name = names[i];
		f->withheld = (fields >> i & 1) == 0;
		memcpy(f->salt, salts + (i + 1) * PV_SALT_LEN, PV_SALT_LEN);
		f->value = values[i];
		f->digest = digests[i + 1];
	}

	pv_buf_init(&b, e->note, sizeof(e->note));
	pv_put_checkpoint_text(&b, origin, strlen(origin), 1, &e->leaf_hash);
	textlen = b.len;
	pv_put_u8(&b, '\n');
	sign_note(&b, textlen, key, &e->vkey);
	cosign_note(&b, textlen, witness_key, &witness, 1767225660);
	textlen = b.len;
	pv_buf_init(&b, e->proof, sizeof(e->proof));
	pv_put_proof(&b, 0, NULL, 0, e->note, textlen);
	e->d.proof = (const char *) e->proof;
	e->d.prooflen = b.len;

	pv_buf_init(&b, e->text, sizeof(e->text));
	pv_put_disclosure(&b, &e->d);
	must(pv_buf_status(&b) == PV_OK, "room for the text");
	e->len = b.len;
	pv_salter_free(&s);
	EVP_PKEY_free(key);
	EVP_PKEY_free(witness_key);
}

#endif							/* DISCLOSURE_UTIL_H */
