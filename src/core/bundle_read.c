/*
 * bundle_read.c: a bundle read line by line, each checked as it comes.
 *
 * The order of the lines is checked before their contents, the form of a
 * content before anything is hashed, and commitments before what hangs on
 * them. What cannot be known before the end, the root and the row chains, is
 * kept in a frontier and in two sums (bundle_chain.c).
 */
#include "bundle_tokens.h"

#include <string.h>

/* The longest shape: names and types at their bounds. */
#define SHAPE_MAX (1 + 2 + PV_ORIGIN_MAX + 4 + 2 * (2 + PV_MAX_NAME) + 2 + \
				   PV_MAX_FIELDS * (2 + PV_MAX_NAME + 2 + PV_MAX_TYPE + 2))
/* A column takes at least this many bytes of a shape. */
#define COLUMN_MIN (2 + 1 + 2 + 1 + 2)

pv_status
pv_bundle_reader_init(pv_bundle_reader *r, pv_hasher *hasher, const uint8_t key[PV_BUNDLE_KEY_LEN],
					  pv_bundle_keep keep, void *keep_arg)
{
	memset(r, 0, sizeof(*r));
	r->hasher = hasher;
	r->keep = keep;
	r->keep_arg = keep_arg;
	memcpy(r->key, key, PV_BUNDLE_KEY_LEN);
	pv_frontier_init(&r->tree);
	return pv_bundle_digest_init(&r->written);
}

void
pv_bundle_reader_free(pv_bundle_reader *r)
{
	pv_bundle_digest_free(&r->written);
}

static bool
same_text(pv_value a, pv_name b)
{
	return a.data != NULL && a.len == b.len && memcmp(a.data, b.s, b.len) == 0;
}

/* Moves a text of the header into the reader. PV_E_NAME if it cannot be such a name. */
static pv_status
keep_name(pv_value *text, char *room, size_t cap)
{
	if (text->data == NULL)
		return PV_OK;
	if (text->len == 0 || text->len > cap)
		return PV_E_NAME;
	memcpy(room, text->data, text->len);
	text->data = (const uint8_t *) room;
	return PV_OK;
}

static pv_status
read_header(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	pv_bundle_header *h = &r->header;
	pv_status	status;
	uint64_t	table_id;

	*what = "the version";
	if (pv_token_word(t, PV_BUNDLE_VERSION) != PV_OK)
		return PV_E_VERSION;
	*what = "the origin";
	if ((status = pv_token_next(t)) != PV_OK)
		return status;
	h->origin.data = (const uint8_t *) t->s;
	h->origin.len = (uint32_t) t->len;
	if (!pv_origin_valid(t->s, t->len, true))
		return PV_E_NAME;
	if ((status = keep_name(&h->origin, r->origin, sizeof(r->origin))) != PV_OK)
		return status;
	*what = "the size";
	if ((status = pv_token_decimal(t, PV_MAX_TREE, &h->size)) != PV_OK)
		return status;
	if (h->size == 0)
		return PV_E_INDEX;
	*what = "the size that the recipient has";
	if ((status = pv_token_decimal(t, PV_MAX_TREE, &h->since_size)) != PV_OK)
		return status;
	if (h->since_size > h->size)
		return PV_E_INDEX;
	*what = "the table id";
	if ((status = pv_token_decimal(t, UINT32_MAX, &table_id)) != PV_OK)
		return status;
	h->table_id = (uint32_t) table_id;
	*what = "the table's schema";
	if ((status = pv_token_text(t, &h->schema)) != PV_OK ||
		(status = keep_name(&h->schema, r->schema, sizeof(r->schema))) != PV_OK)
		return status;
	*what = "the table's name";
	if ((status = pv_token_text(t, &h->table)) != PV_OK ||
		(status = keep_name(&h->table, r->table, sizeof(r->table))) != PV_OK)
		return status;
	if ((h->schema.data == NULL) != (h->table.data == NULL))
		return PV_E_SYNTAX;
	*what = "which rows";
	if ((status = pv_token_next(t)) != PV_OK)
		return status;
	h->all_rows = t->len == 3 && memcmp(t->s, "all", 3) == 0;
	if (!h->all_rows && !(t->len == 4 && memcmp(t->s, "keys", 4) == 0))
		return PV_E_SYNTAX;
	*what = "the recipient";
	if ((status = pv_token_text(t, &h->recipient)) != PV_OK)
		return status;
	*what = "the purpose";
	if ((status = pv_token_text(t, &h->purpose)) != PV_OK)
		return status;
	*what = "the end of the line";
	return pv_tokens_done(t);
}

static pv_status
read_checkpoint(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	pv_checkpoint *cp = &r->checkpoint;
	const uint8_t *note;
	pv_status	status;

	*what = "the checkpoint";
	if ((status = pv_token_bytes(t, PV_CHECKPOINT_MAX_LEN, &note, &r->notelen)) != PV_OK ||
		(status = pv_tokens_done(t)) != PV_OK ||
		(status = pv_checkpoint_parse(note, r->notelen, cp)) != PV_OK)
		return status;
	r->note = (const char *) note;
	*what = "the checkpoint's origin, not the bundle's";
	if (cp->originlen != r->header.origin.len || memcmp(cp->origin, r->header.origin.data, cp->originlen) != 0)
		return PV_E_ORIGIN;
	*what = "the checkpoint's size, not the bundle's";
	return cp->size == r->header.size ? PV_OK : PV_E_INDEX;
}

static pv_status
read_consistency(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	uint64_t	before = r->old_size;
	pv_status	status;

	*what = "the number of consistency paths";
	if (++r->nconsistency > PV_BUNDLE_MAX_CONSISTENCY)
		return PV_E_COUNT;
	*what = "the old size";
	if ((status = pv_token_decimal(t, PV_MAX_TREE, &r->old_size)) != PV_OK)
		return status;
	if (r->old_size == 0 || r->old_size >= r->header.size)
		return PV_E_INDEX;
	if (r->old_size <= before)
		return PV_E_ORDER;
	*what = "the consistency path";
	if ((status = pv_token_hashes(t, PV_MAX_PATH, r->path, &r->npath)) != PV_OK)
		return status;
	return pv_tokens_done(t);
}

static pv_status
read_shape(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	uint64_t	slot;
	const uint8_t *bytes;
	size_t		len;
	size_t		columns;
	uint8_t    *kept;
	pv_bundle_shape *s;
	pv_status	status;

	*what = "the slot";
	if ((status = pv_token_decimal(t, PV_BUNDLE_SHAPES - 1, &slot)) != PV_OK)
		return status;
	*what = "the shape";
	if ((status = pv_token_bytes(t, SHAPE_MAX, &bytes, &len)) != PV_OK ||
		(status = pv_tokens_done(t)) != PV_OK)
		return status;

	if (len == 0)
		return PV_E_TRUNCATED;

	/* room for as many columns as there can be in so many bytes, and for the bytes */
	columns = len / COLUMN_MIN < PV_MAX_FIELDS ? len / COLUMN_MIN : PV_MAX_FIELDS;
	s = &r->shapes[slot];
	s->used = false;
	kept = r->keep(r->keep_arg, (unsigned) slot, columns * sizeof(pv_column) + len);
	if (kept == NULL)
		return PV_E_STORAGE;
	s->bytes = kept + columns * sizeof(pv_column);
	s->len = len;
	memcpy(kept + columns * sizeof(pv_column), bytes, len);
	if ((status = pv_shape_decode(s->bytes, len, &s->shape, (pv_column *) kept, columns)) != PV_OK)
		return status;
	*what = "the shape's origin, not the checkpoint's";
	if (!pv_same_log(s->shape.origin, (const char *) r->header.origin.data, r->header.origin.len))
		return PV_E_ORIGIN;
	*what = "the shape's table id, not the bundle's";
	if (s->shape.table_id != r->header.table_id)
		return PV_E_ORIGIN;
	*what = "the shape";
	if ((status = pv_shape_digest(r->hasher, s->bytes, len, &s->digest)) != PV_OK)
		return status;
	s->used = true;
	r->slot = (unsigned) slot;
	r->shapes_seen = true;
	if (same_text(r->header.schema, s->shape.schema) && same_text(r->header.table, s->shape.table))
		r->names_seen = true;
	return PV_OK;
}

static pv_status
read_context(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	uint64_t	slot;
	bool		any = false;
	pv_status	status;

	*what = "the slot";
	if ((status = pv_token_decimal(t, PV_BUNDLE_CONTEXTS - 1, &slot)) != PV_OK)
		return status;
	*what = "the context commitment";
	if ((status = pv_token_fixed(t, r->context_commitment.b, PV_HASH_LEN)) != PV_OK)
		return status;
	*what = "a field of the context";
	if (t->next == NULL)
		return PV_E_COUNT;
	r->context_tokens = t->next;
	r->context_tokens_len = (size_t) (t->end - t->next);
	for (size_t i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		r->context[i].name = pv_context_names[i];
		if (t->next == NULL)
			return PV_E_COUNT;
		if ((status = pv_token_field(t, &r->context[i])) != PV_OK)
			return status;
		any = any || !r->context[i].withheld;
	}
	*what = "the fields of the context";
	if (!any || pv_tokens_done(t) != PV_OK)
		return PV_E_COUNT;
	*what = "the context commitment";
	if ((status = pv_disclosed_context_verify(r->hasher, r->context, &r->context_commitment)) != PV_OK)
		return status;
	r->slot = (unsigned) slot;
	r->contexts[slot] = r->context_commitment;
	r->context_used[slot] = true;
	return PV_OK;
}

/* Digest 0 as it is, in two parts, or "-" of an erased entry (*none). */
static pv_status
entry_context(pv_bundle_reader *r, pv_tokens *t, bool *none)
{
	pv_bundle_entry *e = &r->entry;
	const char *colon;
	uint64_t	slot;
	pv_status	status = pv_token_next(t);

	if (status != PV_OK)
		return status;
	*none = t->len == 1 && t->s[0] == '-';
	e->context_given = false;
	if (*none)
		return PV_OK;
	if (t->len > 0 && t->s[0] == '-')
		return pv_base64_fixed(t->s + 1, t->len - 1, e->context_digest.b, PV_HASH_LEN);
	colon = t->len > 0 ? memchr(t->s, ':', t->len) : NULL;
	if (colon == NULL)
		return PV_E_SYNTAX;
	if ((status = pv_parse_decimal(t->s, (size_t) (colon - t->s), PV_BUNDLE_CONTEXTS - 1, &slot)) != PV_OK)
		return status;
	if (!r->context_used[slot])
		return PV_E_ORDER;
	e->context_given = true;
	e->context_slot = (unsigned) slot;
	return pv_base64_fixed(colon + 1, t->len - 1 - (size_t) (colon - t->s), e->context_salt, PV_SALT_LEN);
}

/* The form of an entry, and what can be said of it without hashing. */
static pv_status
parse_entry(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	pv_bundle_entry *e = &r->entry;
	uint64_t	slot;
	bool		no_context;
	pv_status	status;

	*what = "the leaf index";
	if ((status = pv_token_decimal(t, PV_MAX_TREE, &e->index)) != PV_OK)
		return status;
	if (e->index >= r->header.size || e->index < r->header.since_size)
		return PV_E_INDEX;
	if (e->index < r->tree.size)
		return PV_E_ORDER;
	*what = "the hashes between the entries";
	if ((status = pv_token_hashes(t, PV_BUNDLE_MAX_GAP, e->gap, &e->ngap)) != PV_OK)
		return status;
	if (e->ngap != pv_gap_count(r->tree.size, e->index))
		return PV_E_PATH;
	*what = "the leaf";
	if ((status = pv_token_fixed(t, e->leaf_bytes, PV_LEAF_LEN)) != PV_OK ||
		(status = pv_leaf_decode(e->leaf_bytes, PV_LEAF_LEN, &e->leaf)) != PV_OK)
		return status;
	*what = "the previous entry";
	if ((status = pv_token_next(t)) != PV_OK)
		return status;
	e->previous = 0;
	e->has_previous = !(t->len == 1 && t->s[0] == '-');
	if (e->has_previous && (status = pv_parse_decimal(t->s, t->len, PV_MAX_TREE, &e->previous)) != PV_OK)
		return status;
	if (e->has_previous && e->previous >= e->index)
		return PV_E_CHAIN;
	if (e->has_previous == pv_hash_is_zero(&e->leaf.prev))
		return PV_E_CHAIN;
	*what = "whether there is a next entry";
	if ((status = pv_token_next(t)) != PV_OK)
		return status;
	e->next = t->len == 1 && t->s[0] == '1';
	if (!e->next && !(t->len == 1 && t->s[0] == '0'))
		return PV_E_SYNTAX;
	*what = "the shape's slot";
	if ((status = pv_token_decimal(t, PV_BUNDLE_SHAPES - 1, &slot)) != PV_OK)
		return status;
	if (!r->shapes[slot].used)
		return PV_E_ORDER;
	e->shape_slot = (unsigned) slot;
	*what = "the entry's context";
	if ((status = entry_context(r, t, &no_context)) != PV_OK)
		return status;
	*what = "the pseudonym";
	if ((status = pv_token_next(t)) != PV_OK)
		return status;
	e->has_pseudonym = !(t->len == 1 && t->s[0] == '-');
	if (e->has_pseudonym &&
		(status = pv_base64_fixed(t->s, t->len, e->pseudonym, PV_PSEUDONYM_LEN)) != PV_OK)
		return status;
	*what = "a field of the entry";
	e->field_tokens = t->next != NULL ? t->next : t->end;
	e->field_tokens_len = (size_t) (t->end - e->field_tokens);
	if ((status = pv_tokens_fields(t, e->fields, PV_MAX_FIELDS, &e->nfields, &e->erased)) != PV_OK)
		return status;
	*what = "the entry's context";
	return e->erased == no_context ? PV_OK : PV_E_SYNTAX;
}

/* Do shape, context and fields give what is in the leaf? */
static pv_status
verify_record(pv_bundle_reader *r, const char **what)
{
	pv_bundle_entry *e = &r->entry;
	const pv_bundle_shape *s = &r->shapes[e->shape_slot];
	pv_hash		digest0 = e->context_digest;
	pv_status	status = PV_OK;

	*what = "the record commitment";
	if (e->context_given)
		status = pv_context_digest(r->hasher, e->context_salt, &r->contexts[e->context_slot], &digest0);
	if (status == PV_OK)
		status = pv_disclosed_record_verify(r->hasher, e->leaf.op, &s->shape, &s->digest, &digest0,
											e->fields, e->nfields, &e->leaf.commitment);
	if (status == PV_E_COUNT)
		*what = "the fields of the entry";
	return status;
}

static pv_status
read_entry(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	pv_bundle_entry *e = &r->entry;
	pv_status	status;

	if ((status = parse_entry(r, t, what)) != PV_OK ||
		(!e->erased && (status = verify_record(r, what)) != PV_OK))
		return status;
	*what = "the leaf";
	if ((status = pv_leaf_hash(r->hasher, e->leaf_bytes, PV_LEAF_LEN, &e->leaf_hash)) != PV_OK ||
		(status = pv_frontier_append_gap(&r->tree, r->hasher, e->index, e->gap, e->ngap)) != PV_OK ||
		(status = pv_frontier_append(&r->tree, r->hasher, &e->leaf_hash, NULL, NULL)) != PV_OK)
		return status;
	/* what the recipient has already is for him to look up */
	if (e->has_previous && e->previous >= r->header.since_size &&
		(status = pv_chain_add(r->hasher, r->key, r->previous_sum, &e->leaf.prev, e->previous)) != PV_OK)
		return status;
	if (e->next &&
		(status = pv_chain_add(r->hasher, r->key, r->next_sum, &e->leaf_hash, e->index)) != PV_OK)
		return status;
	r->nentries++;
	return PV_OK;
}

static pv_status
read_countersignature(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	uint8_t		message[PV_COUNTERSIGNATURE_MESSAGE_LEN];
	uint64_t	index;
	size_t		n;
	pv_buf		b;
	pv_status	status;

	*what = "the leaf index";
	if ((status = pv_token_decimal(t, PV_MAX_TREE, &index)) != PV_OK)
		return status;
	if (index != r->entry.index)
		return PV_E_ORDER;
	*what = "the public key";
	if ((status = pv_token_bytes(t, PV_ED25519_PUBLIC_LEN, &r->public_key, &n)) != PV_OK)
		return status;
	if (n != PV_ED25519_PUBLIC_LEN)
		return PV_E_BASE64;
	if (r->kind == PV_BUNDLE_COUNTERSIGNATURE && memcmp(r->last_public_key, r->public_key, n) >= 0)
		return PV_E_ORDER;
	memcpy(r->last_public_key, r->public_key, n);
	*what = "the countersignature";
	if ((status = pv_token_bytes(t, PV_ED25519_SIGNATURE_LEN, &r->signature, &n)) != PV_OK ||
		(status = pv_tokens_done(t)) != PV_OK)
		return status;
	if (n != PV_ED25519_SIGNATURE_LEN)
		return PV_E_BASE64;
	pv_buf_init(&b, message, sizeof(message));
	pv_put_countersignature_message(&b, r->entry.leaf_bytes);
	if (pv_buf_status(&b) != PV_OK)
		return PV_E_CRYPTO;		/* cannot be */
	return pv_ed25519_verify(r->public_key, message, b.len, r->signature);
}

static pv_status
read_end(pv_bundle_reader *r, pv_tokens *t, const char **what)
{
	uint64_t	n;
	pv_hash		hash;
	pv_status	status;

	*what = "the number of entries";
	if ((status = pv_token_decimal(t, PV_MAX_TREE, &n)) != PV_OK)
		return status;
	if (n != r->nentries)
		return PV_E_COUNT;
	*what = "the hashes after the last entry";
	if ((status = pv_token_hashes(t, PV_BUNDLE_MAX_GAP, r->last, &r->nlast)) != PV_OK)
		return status;
	if (r->nlast != pv_gap_count(r->tree.size, r->header.size))
		return PV_E_PATH;
	*what = "the bundle's digest";
	if ((status = pv_token_fixed(t, r->digest.b, PV_HASH_LEN)) != PV_OK ||
		(status = pv_tokens_done(t)) != PV_OK)
		return status;

	/* an accident would explain everything that follows */
	if ((status = pv_bundle_digest_end(&r->written, &hash)) != PV_OK)
		return status;
	if (!pv_hash_equal(&hash, &r->digest))
		return PV_E_DIGEST;
	*what = "the table's name, which no shape has";
	if (r->shapes_seen && !r->names_seen)
		return PV_E_ORIGIN;
	*what = "the previous entries, which are not those with a next one";
	if (memcmp(r->previous_sum, r->next_sum, sizeof(r->next_sum)) != 0)
		return PV_E_CHAIN;
	*what = "the way from the entries to the checkpoint";
	if ((status = pv_frontier_append_gap(&r->tree, r->hasher, r->header.size, r->last, r->nlast)) != PV_OK ||
		(status = pv_frontier_root(&r->tree, r->hasher, &hash)) != PV_OK)
		return status;
	if (!pv_hash_equal(&hash, &r->checkpoint.root))
		return PV_E_ROOT;
	r->finished = true;
	return PV_OK;
}

static pv_status
find_kind(const char *kind, size_t len, pv_bundle_kind *out)
{
	for (unsigned k = PV_BUNDLE_HEADER; k <= PV_BUNDLE_END; k++)
	{
		const char *name = pv_bundle_kind_name(k);

		if (strlen(name) == len && memcmp(kind, name, len) == 0)
		{
			*out = (pv_bundle_kind) k;
			return PV_OK;
		}
	}
	return PV_E_SYNTAX;
}

/* May a line of this kind follow the one before? */
static bool
may_follow(const pv_bundle_reader *r, pv_bundle_kind kind)
{
	if (r->line < 2)
		return kind == (r->line == 0 ? PV_BUNDLE_HEADER : PV_BUNDLE_CHECKPOINT);
	switch (kind)
	{
		case PV_BUNDLE_HEADER:
		case PV_BUNDLE_CHECKPOINT:
			return false;
		case PV_BUNDLE_CONSISTENCY:
			return r->kind == PV_BUNDLE_CHECKPOINT || r->kind == PV_BUNDLE_CONSISTENCY;
		case PV_BUNDLE_COUNTERSIGNATURE:
			return r->kind == PV_BUNDLE_ENTRY || r->kind == PV_BUNDLE_COUNTERSIGNATURE;
		default:
			return true;
	}
}

static pv_status
read_content(pv_bundle_reader *r, pv_bundle_kind kind, pv_tokens *t, const char **what)
{
	switch (kind)
	{
		case PV_BUNDLE_HEADER:
			return read_header(r, t, what);
		case PV_BUNDLE_CHECKPOINT:
			return read_checkpoint(r, t, what);
		case PV_BUNDLE_CONSISTENCY:
			return read_consistency(r, t, what);
		case PV_BUNDLE_SHAPE:
			return read_shape(r, t, what);
		case PV_BUNDLE_CONTEXT:
			return read_context(r, t, what);
		case PV_BUNDLE_ENTRY:
			return read_entry(r, t, what);
		case PV_BUNDLE_COUNTERSIGNATURE:
			return read_countersignature(r, t, what);
		case PV_BUNDLE_END:
			return read_end(r, t, what);
	}
	return PV_E_SYNTAX;
}

pv_status
pv_bundle_read(pv_bundle_reader *r, uint64_t line, const char *kind, size_t kindlen,
			   const char *content, size_t len, uint8_t *scratch, size_t cap, const char **what)
{
	pv_bundle_kind k;
	pv_tokens	t;
	pv_status	status;

	*what = r->failed ? "a line after one that was refused" : "a line after the last one";
	if (r->failed || r->finished)
		return PV_E_ORDER;
	r->failed = true;
	*what = "the number of the line";
	if (line != r->line + 1)
		return PV_E_ORDER;
	*what = "the kind of the line";
	if ((status = find_kind(kind, kindlen, &k)) != PV_OK)
		return status;
	if (!may_follow(r, k))
		return PV_E_ORDER;
	*what = "the content of the line";
	if (len > PV_BUNDLE_MAX_CONTENT)
		return PV_E_TOO_LONG;
	pv_tokens_init(&t, content, len, scratch, cap);
	if ((status = read_content(r, k, &t, what)) != PV_OK)
		return status;
	*what = "the bundle's digest";
	if (k != PV_BUNDLE_END &&
		(status = pv_bundle_digest_line(&r->written, line, pv_bundle_kind_name(k), content, len)) != PV_OK)
		return status;
	r->kind = k;
	r->line = line;
	r->failed = false;
	return PV_OK;
}

pv_status
pv_bundle_reader_done(const pv_bundle_reader *r, const char **what)
{
	*what = "the last line, which is missing";
	return r->finished && !r->failed ? PV_OK : PV_E_TRUNCATED;
}
