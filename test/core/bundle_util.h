/*
 * bundle_util.h: bundles for the tests: a small log, made by the recursions of
 * RFC 6962 as they stand there and not by the code under test, its entries as
 * bundle lines, and ways to change those lines.
 */
#ifndef BUNDLE_UTIL_H
#define BUNDLE_UTIL_H

#include "bundle.h"
#include "disclosure_util.h"

#define BU_LINES 64
#define BU_LEAVES 64
#define BU_ENTRIES 16
#define BU_ROOM 65536

typedef struct bu_line
{
	uint64_t	number;
	char		kind[24];
	uint8_t    *content;
	size_t		len;
} bu_line;

typedef struct bu_lines
{
	unsigned	n;
	bu_line		line[BU_LINES];
} bu_lines;

/* A log, and what of it goes into a bundle. */
typedef struct bu_log
{
	pv_hasher  *hasher;
	pv_salter	salter;
	pv_hash		leaves[BU_LEAVES];
	uint8_t		shape[1024];
	size_t		shape_len;
	pv_hash		context;		/* commitment of the example's context */
	pv_disclosed context_fields[PV_CONTEXT_FIELDS];
	pv_bundle_header header;
	unsigned	nentries;
	pv_bundle_entry *entries[BU_ENTRIES];	/* rising; those below the since size are left out */
	uint64_t	consistency;	/* 0: none */
	uint64_t	countersigned;	/* leaf index + 1, 0: none */
	bool		signed_note;	/* by the example's keys, else by nobody known */
} bu_log;

static inline pv_hash
bu_mth(pv_hasher *h, const pv_hash *leaves, uint64_t lo, uint64_t hi)
{
	pv_hash		left,
				right;
	uint64_t	k = 1;

	if (hi - lo == 1)
		return leaves[lo];
	while (k * 2 < hi - lo)
		k *= 2;
	left = bu_mth(h, leaves, lo, lo + k);
	right = bu_mth(h, leaves, lo + k, hi);
	must(pv_node_hash(h, &left, &right, &left) == PV_OK, "node");
	return left;
}

/* The hashes of a gap, as doc/format.md has them; their number. */
static inline unsigned
bu_gap(pv_hasher *h, const pv_hash *leaves, uint64_t from, uint64_t to, pv_hash *out)
{
	unsigned	n = 0;

	while (from < to)
	{
		uint64_t	k = 1;

		while (from % (2 * k) == 0 && from + 2 * k <= to)
			k *= 2;
		out[n++] = bu_mth(h, leaves, from, from + k);
		from += k;
	}
	return n;
}

static inline void
bu_shape(bu_log *log, uint32_t table_id, const char *origin, const char *table)
{
	pv_shape	shape = {{origin, (uint16_t) strlen(origin)}, table_id, NAME("crm"), {table, (uint16_t) strlen(table)},
		EX_FIELDS, 1, (pv_column *) example_columns};
	pv_buf		b;

	pv_buf_init(&b, log->shape, sizeof(log->shape));
	must(pv_shape_encode(&shape, &b) == PV_OK, "shape");
	log->shape_len = b.len;
}

/* A log of so many leaves that belong to nobody here. */
static inline void
bu_log_init(bu_log *log, pv_hasher *h, uint64_t size, uint64_t since)
{
	static const uint8_t context_seed[PV_SEED_LEN] = {
		0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff
	};
	uint8_t		salts[PV_CONTEXT_FIELDS * PV_SALT_LEN];

	memset(log, 0, sizeof(*log));
	log->hasher = h;
	must(pv_salter_init(&log->salter) == PV_OK, "salter");
	for (unsigned i = 0; i < BU_LEAVES; i++)
	{
		uint8_t		byte = (uint8_t) i;

		must(pv_leaf_hash(h, &byte, 1, &log->leaves[i]) == PV_OK, "leaf");
	}
	bu_shape(log, 7, ORIGIN, "contact");
	must(pv_commit_context(h, &log->salter, context_seed, pv_context_names, example_context, PV_CONTEXT_FIELDS,
						   &log->context) == PV_OK, "context");
	must(pv_salts(&log->salter, context_seed, PV_CONTEXT_FIELDS, salts) == PV_OK, "salts");
	for (unsigned i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		pv_disclosed *f = &log->context_fields[i];

		f->name = pv_context_names[i];
		f->withheld = i != PV_CTX_PURPOSE;
		memcpy(f->salt, salts + i * PV_SALT_LEN, PV_SALT_LEN);
		f->value = example_context[i];
		must(pv_field_digest(h, PV_DOMAIN_CONTEXT_FIELD, f->salt, f->name, f->value, &f->digest) == PV_OK, "digest");
	}
	log->header = (pv_bundle_header) {
		VALUE(ORIGIN), size, since, 7, VALUE("crm"), VALUE("contact"), true, VALUE("globex"), VALUE("support")
	};
}

static inline void
bu_log_free(bu_log *log)
{
	pv_salter_free(&log->salter);
	for (unsigned i = 0; i < log->nentries; i++)
		free(log->entries[i]);
}

/*
 * Puts an entry at a leaf index, after its previous one; number tells seeds,
 * times and transactions apart (0: those of the worked example). The fields
 * whose bits are set are disclosed.
 */
static inline pv_bundle_entry *
bu_entry(bu_log *log, unsigned op, uint64_t index, int number, const pv_value *values, unsigned disclosed,
		 pv_bundle_entry *previous)
{
	static pv_column columns[PV_MAX_FIELDS];
	static pv_name names[PV_MAX_FIELDS];
	static uint8_t salts[(PV_MAX_FIELDS + 1) * PV_SALT_LEN];
	static pv_hash digests[PV_MAX_FIELDS + 1];
	pv_bundle_entry *e = calloc(1, sizeof(*e));
	pv_shape	shape;
	pv_hash		digest;
	uint8_t		seed[PV_SEED_LEN];

	must(e != NULL && log->nentries < BU_ENTRIES && index < BU_LEAVES, "room for an entry");
	for (unsigned i = 0; i < PV_SEED_LEN; i++)
		seed[i] = (uint8_t) i;
	seed[15] = (uint8_t) (seed[15] + 16 * number);
	must(pv_shape_decode(log->shape, log->shape_len, &shape, columns, PV_MAX_FIELDS) == PV_OK, "shape");
	must(pv_shape_digest(log->hasher, log->shape, log->shape_len, &digest) == PV_OK, "shape digest");
	e->nfields = pv_field_names(op, &shape, names);
	e->leaf.op = (uint8_t) op;
	e->leaf.time_us = 1767225600123456 + (int64_t) number * 60000000;
	e->leaf.xid = (uint64_t) (731 + number);
	if (previous != NULL)
	{
		e->leaf.prev = previous->leaf_hash;
		e->has_previous = true;
		e->previous = previous->index;
		previous->next = true;
	}
	must(pv_commit_record(log->hasher, &log->salter, &digest, &log->context, seed, names, values, e->nfields, salts,
						  digests, &e->leaf.commitment) == PV_OK, "record");
	pv_leaf_encode(&e->leaf, e->leaf_bytes);
	must(pv_leaf_hash(log->hasher, e->leaf_bytes, PV_LEAF_LEN, &e->leaf_hash) == PV_OK, "leaf hash");
	e->index = index;
	e->context_digest = digests[0];
	memcpy(e->context_salt, salts, PV_SALT_LEN);
	for (size_t i = 0; i < e->nfields; i++)
	{
		pv_disclosed *f = &e->fields[i];

		f->name = names[i];
		f->withheld = (disclosed >> i & 1) == 0;
		memcpy(f->salt, salts + (i + 1) * PV_SALT_LEN, PV_SALT_LEN);
		f->value = values[i];
		f->digest = digests[i + 1];
	}
	log->leaves[index] = e->leaf_hash;
	log->entries[log->nentries++] = e;
	return e;
}

static inline void
bu_free(bu_lines *b)
{
	for (unsigned i = 0; i < b->n; i++)
		free(b->line[i].content);
	b->n = 0;
}

/* Puts a line before line i (from 0 on); the numbers of those behind it change. */
static inline void
bu_insert(bu_lines *b, unsigned i, const char *kind, const void *content, size_t len)
{
	must(b->n < BU_LINES && i <= b->n, "room for a line");
	memmove(&b->line[i + 1], &b->line[i], (b->n - i) * sizeof(b->line[0]));
	b->n++;
	snprintf(b->line[i].kind, sizeof(b->line[i].kind), "%s", kind);
	b->line[i].content = malloc(len + (len == 0));
	must(b->line[i].content != NULL, "memory");
	if (len > 0)
		memcpy(b->line[i].content, content, len);
	b->line[i].len = len;
	for (; i < b->n; i++)
		b->line[i].number = i + 1;
}

static inline void
bu_remove(bu_lines *b, unsigned i)
{
	must(i < b->n, "such a line");
	free(b->line[i].content);
	b->n--;
	memmove(&b->line[i], &b->line[i + 1], (b->n - i) * sizeof(b->line[0]));
	for (; i < b->n; i++)
		b->line[i].number = i + 1;
}

static inline void
bu_set(bu_lines *b, unsigned i, const void *content, size_t len)
{
	uint8_t    *copy = malloc(len + (len == 0));

	must(copy != NULL && i < b->n, "memory");
	if (len > 0)
		memcpy(copy, content, len);
	free(b->line[i].content);
	b->line[i].content = copy;
	b->line[i].len = len;
}

static inline void
bu_copy(bu_lines *to, const bu_lines *from)
{
	bu_free(to);
	for (unsigned i = 0; i < from->n; i++)
		bu_insert(to, i, from->line[i].kind, from->line[i].content, from->line[i].len);
}

/* The n-th line of a kind (from 0 on). */
static inline unsigned
bu_find(const bu_lines *b, const char *kind, unsigned n)
{
	for (unsigned i = 0; i < b->n; i++)
		if (strcmp(b->line[i].kind, kind) == 0 && n-- == 0)
			return i;
	must(false, "a line of that kind");
	return 0;
}

/* Where the token is; its length. */
static inline size_t
bu_token(const bu_lines *b, unsigned i, unsigned token, size_t *len)
{
	const bu_line *l = &b->line[i];
	size_t		at = 0;
	size_t		end;

	for (;; at++)
	{
		if (token == 0)
			break;
		must(at < l->len, "such a token");
		token -= l->content[at] == '|';
	}
	for (end = at; end < l->len && l->content[end] != '|';)
		end++;
	*len = end - at;
	return at;
}

static inline void
bu_edit(bu_lines *b, unsigned i, unsigned token, const char *text)
{
	static uint8_t room[BU_ROOM];
	size_t		len;
	size_t		at = bu_token(b, i, token, &len);
	pv_buf		out;

	pv_buf_init(&out, room, sizeof(room));
	pv_put_bytes(&out, b->line[i].content, at);
	pv_put_str(&out, text);
	pv_put_bytes(&out, b->line[i].content + at + len, b->line[i].len - at - len);
	must(pv_buf_status(&out) == PV_OK, "room for a line");
	bu_set(b, i, room, out.len);
}

/* Makes the digest fit what the lines are now. */
static inline void
bu_digest(bu_lines *b)
{
	pv_bundle_digest d;
	pv_hash		hash;
	char		text[64];
	pv_buf		out;

	must(pv_bundle_digest_init(&d) == PV_OK, "digest");
	for (unsigned i = 0; i + 1 < b->n; i++)
		must(pv_bundle_digest_line(&d, b->line[i].number, b->line[i].kind, (const char *) b->line[i].content,
								   b->line[i].len) == PV_OK, "digest of a line");
	must(pv_bundle_digest_end(&d, &hash) == PV_OK, "digest");
	pv_bundle_digest_free(&d);
	pv_buf_init(&out, text, sizeof(text));
	pv_put_base64(&out, hash.b, PV_HASH_LEN);
	pv_put_u8(&out, 0);
	bu_edit(b, b->n - 1, 2, text);
}

static inline void
bu_note(const bu_log *log, pv_buf *b)
{
	pv_hash		root = bu_mth(log->hasher, log->leaves, 0, log->header.size);
	pv_vkey		vkey = {"nobody.example", PV_SIG_ED25519, 1, {0}};
	uint8_t		nothing[PV_ED25519_SIGNATURE_LEN] = {0};
	EVP_PKEY   *keys[2];
	size_t		textlen;

	pv_put_checkpoint_text(b, ORIGIN, strlen(ORIGIN), log->header.size, &root);
	textlen = b->len;
	pv_put_u8(b, '\n');
	if (!log->signed_note)
	{
		pv_put_note_sig(b, &vkey, nothing, sizeof(nothing));
		return;
	}
	keys[0] = key_from_seed(SEED_1);
	keys[1] = key_from_seed(SEED_2);
	vkey_of(log->hasher, keys[0], ORIGIN, PV_SIG_ED25519, &vkey);
	sign_note(b, textlen, keys[0], &vkey);
	vkey_of(log->hasher, keys[1], "witness.example", PV_SIG_COSIGNATURE, &vkey);
	cosign_note(b, textlen, keys[1], &vkey, 1767225660);
	EVP_PKEY_free(keys[0]);
	EVP_PKEY_free(keys[1]);
}

static inline void
bu_add(bu_lines *b, const char *kind, pv_buf *content)
{
	must(pv_buf_status(content) == PV_OK, "room for a line");
	bu_insert(b, b->n, kind, content->data, content->len);
	content->len = 0;
}

/* The content of a countersignature of a leaf by one of the seeds. */
static inline void
bu_put_countersignature(pv_buf *b, const pv_bundle_entry *e, const char *seed)
{
	EVP_PKEY   *key = key_from_seed(seed);
	uint8_t		message[PV_COUNTERSIGNATURE_MESSAGE_LEN];
	uint8_t		public_key[PV_ED25519_PUBLIC_LEN];
	uint8_t		signature[PV_ED25519_SIGNATURE_LEN];
	pv_buf		m;

	pv_buf_init(&m, message, sizeof(message));
	pv_put_countersignature_message(&m, e->leaf_bytes);
	must(m.len == sizeof(message) && pv_ed25519_sign(key, message, m.len, signature) == PV_OK, "signing");
	must(pv_ed25519_public(key, public_key) == PV_OK, "public key");
	pv_put_bundle_countersignature(b, e->index, public_key, signature);
	EVP_PKEY_free(key);
}

/* The consistency path as far as the example needs it: from the first 3 leaves. */
static inline unsigned
bu_consistency(const bu_log *log, pv_hash *path)
{
	const pv_hash *l = log->leaves;

	must(log->consistency == 3 && log->header.size == 6, "sizes of the path");
	path[0] = l[2];
	path[1] = l[3];
	path[2] = bu_mth(log->hasher, l, 0, 2);
	path[3] = bu_mth(log->hasher, l, 4, 6);
	return 4;
}

static inline void
bu_build(const bu_log *log, bu_lines *out)
{
	static uint8_t room[BU_ROOM];
	static uint8_t note[4096];
	pv_hash		gap[PV_BUNDLE_MAX_GAP];
	pv_hash		zero = {{0}};
	uint64_t	pos = 0;
	uint64_t	n = 0;
	pv_buf		b,
				notebuf;

	bu_free(out);
	pv_buf_init(&b, room, sizeof(room));
	pv_put_bundle_header(&b, &log->header);
	bu_add(out, "bundle", &b);
	pv_buf_init(&notebuf, note, sizeof(note));
	bu_note(log, &notebuf);
	pv_put_base64(&b, note, notebuf.len);
	bu_add(out, "checkpoint", &b);
	if (log->consistency > 0)
	{
		pv_put_bundle_consistency(&b, log->consistency, gap, bu_consistency(log, gap));
		bu_add(out, "consistency", &b);
	}
	pv_put_bundle_shape(&b, 0, log->shape, log->shape_len);
	bu_add(out, "shape", &b);
	pv_put_bundle_context(&b, 0, &log->context, log->context_fields);
	bu_add(out, "context", &b);
	for (unsigned i = 0; i < log->nentries; i++)
	{
		pv_bundle_entry *e = log->entries[i];

		if (e->index < log->header.since_size)
			continue;
		e->ngap = bu_gap(log->hasher, log->leaves, pos, e->index, e->gap);
		pos = e->index + 1;
		n++;
		pv_put_bundle_entry(&b, e);
		bu_add(out, "entry", &b);
		if (log->countersigned == e->index + 1)
		{
			bu_put_countersignature(&b, e, SEED_3);
			bu_add(out, "countersignature", &b);
		}
	}
	pv_put_bundle_end(&b, n, gap, bu_gap(log->hasher, log->leaves, pos, log->header.size, gap), &zero);
	bu_add(out, "end", &b);
	bu_digest(out);
}

/*
 * The log of the worked example: another table's entries at 1, 3 and 5, the
 * table's `tag` at 0, the first example's insert at 2, an update of it at 4,
 * countersigned.
 */
static inline void
bu_example(bu_log *log, pv_hasher *h)
{
	static const pv_value tagged[] = {VALUE("crm"), VALUE("contact"), {NULL, 0}, VALUE("track"), VALUE("{}")};
	static const pv_value updated[EX_FIELDS] = {
		VALUE("42"), VALUE("Zo\xC3\xAB N\xC3\xBA\xC3\xB1" "ez"), VALUE("+44 20 7946 0000|12"), VALUE("-17.50")
	};
	pv_bundle_entry *insert,
			   *update;

	bu_log_init(log, h, 6, 0);
	bu_entry(log, PV_OP_TAG, 0, -1, tagged, 31, NULL);
	insert = bu_entry(log, PV_OP_INSERT, 2, 0, example_values, 7, NULL);
	update = bu_entry(log, PV_OP_UPDATE, 4, 1, updated, 7, insert);
	insert->context_given = update->context_given = true;
	insert->has_pseudonym = update->has_pseudonym = true;
	must(pv_pseudonym(h, (const uint8_t *) "0123456789abcdef0123456789abcdef", "42", 2, insert->pseudonym) == PV_OK,
		 "pseudonym");
	memcpy(update->pseudonym, insert->pseudonym, PV_PSEUDONYM_LEN);
	log->consistency = 3;
	log->countersigned = 5;
	log->signed_note = true;
}

#endif							/* BUNDLE_UTIL_H */
