/*
 * disclosure.c: disclosures, read, written and verified.
 *
 * The parser knows at each line which word must stand there, so that a text
 * that it accepts is the one that writing its parts again gives, byte for
 * byte; the fuzz target holds it to that. It derives the names of the fields
 * from leaf and shape and takes no name from the text.
 */
#include "disclosure.h"

#include <string.h>

static const char version_line[] = "provenance/disclosure@v1";

/* Reading: the lines, and where the bytes behind base64 go. */
typedef struct parser
{
	pv_reader	r;
	const char *line;
	size_t		len;
	uint8_t    *scratch;
	size_t		cap;
	pv_fault   *fault;
} parser;

static pv_status
next_line(parser *p, const char *part)
{
	p->fault->line++;
	p->fault->part = part;
	return pv_get_line(&p->r, &p->line, &p->len) ? PV_OK : PV_E_TRUNCATED;
}

/* Is the line this word alone? */
static bool
is_word(const parser *p, const char *word)
{
	return p->len == strlen(word) && memcmp(p->line, word, p->len) == 0;
}

/* If the line begins with the word and a space, moves behind them. */
static bool
skip_word(parser *p, const char *word)
{
	size_t		n = strlen(word);

	if (p->len <= n || memcmp(p->line, word, n) != 0 || p->line[n] != ' ')
		return false;
	p->line += n + 1;
	p->len -= n + 1;
	return true;
}

/* The rest of the line as base64 of exactly n bytes. */
static pv_status
get_fixed(const parser *p, uint8_t *out, size_t n)
{
	size_t		got;

	/* the length first: nothing longer is decoded */
	if (p->len != (n + 2) / 3 * 4 || n > p->cap)
		return PV_E_BASE64;
	if (pv_base64_decode(p->line, p->len, p->scratch, p->cap, &got) != PV_OK || got != n)
		return PV_E_BASE64;
	memcpy(out, p->scratch, n);
	return PV_OK;
}

/* The next line: a word, and base64 of exactly n bytes. */
static pv_status
get_line_fixed(parser *p, const char *part, const char *word, uint8_t *out, size_t n)
{
	pv_status	status = next_line(p, part);

	if (status != PV_OK)
		return status;
	return skip_word(p, word) ? get_fixed(p, out, n) : PV_E_SYNTAX;
}

/* The rest of the line as base64 of whatever is behind it, kept in the scratch. */
static pv_status
get_bytes(parser *p, const uint8_t **out, size_t *n)
{
	pv_status	status = pv_base64_decode(p->line, p->len, p->scratch, p->cap, n);

	if (status != PV_OK)
		return status;
	*out = p->scratch;
	p->scratch += *n;
	p->cap -= *n;
	return PV_OK;
}

/* A character that cannot stand in plain text. */
static bool
is_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
		(c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF;
}

/* Is one of eight bytes 0x80 or above, 0x7F, or below 0x20? */
static inline bool
other_ascii(const uint8_t *s)
{
	uint64_t	x;

	memcpy(&x, s, 8);
	return ((x | (x + 0x0101010101010101) | (x - 0x2020202020202020)) & 0x8080808080808080) != 0;
}

bool
pv_text_plain(const uint8_t *s, size_t len)
{
	size_t		ascii = 0;

	if (len == 0 || s[0] == ' ' || s[len - 1] == ' ')
		return false;
	/* most text is all ASCII, and done after one pass, eight bytes at a time */
	while (len - ascii >= 8 && !other_ascii(s + ascii))
		ascii += 8;
	if (len >= 8 && len - ascii < 8 && !other_ascii(s + len - 8))
		return true;
	while (ascii < len && s[ascii] >= 0x20 && s[ascii] < 0x7F)
		ascii++;
	if (ascii == len)
		return true;
	if (!pv_utf8_valid((const char *) s + ascii, len - ascii))
		return false;
	for (size_t i = ascii; i < len;)
	{
		uint32_t	c = s[i++];
		int			more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;

		if (more > 0)
			c &= 0x3Fu >> more;
		for (; more > 0; more--)
			c = c << 6 | (s[i++] & 0x3F);
		if (is_hidden(c))
			return false;
	}
	return true;
}

/* Text in base64: such as could not have been written plainly. */
static pv_status
get_encoded_text(parser *p, const uint8_t **out, size_t *n)
{
	pv_status	status = get_bytes(p, out, n);

	if (status != PV_OK)
		return status;
	if (*n == 0 || pv_text_plain(*out, *n))
		return PV_E_SYNTAX;
	if (!pv_utf8_valid((const char *) *out, *n) || memchr(*out, 0, *n) != NULL)
		return PV_E_UTF8;
	return PV_OK;
}

static pv_status
get_value(parser *p, pv_value *value)
{
	const uint8_t *bytes;
	size_t		n;
	pv_status	status = next_line(p, "value");

	if (status != PV_OK)
		return status;
	value->data = NULL;
	value->len = 0;
	if (is_word(p, "null"))
		return PV_OK;
	if (is_word(p, "empty"))
	{
		value->data = (const uint8_t *) p->line;
		return PV_OK;
	}
	if (skip_word(p, "text"))
	{
		bytes = (const uint8_t *) p->line;
		n = p->len;
		if (!pv_text_plain(bytes, n))
			return PV_E_UTF8;
	}
	else if (skip_word(p, "base64"))
	{
		if ((status = get_encoded_text(p, &bytes, &n)) != PV_OK)
			return status;
	}
	else
		return PV_E_SYNTAX;
	value->data = bytes;
	value->len = (uint32_t) n;
	return PV_OK;
}

/* A field: the line with its name, which must be this one, and what follows. */
static pv_status
get_field(parser *p, pv_name name, pv_disclosed *out)
{
	pv_status	status = next_line(p, "field name");

	if (status != PV_OK)
		return status;
	if (skip_word(p, "field"))
	{
		if (!pv_text_plain((const uint8_t *) p->line, p->len))
			return PV_E_UTF8;
		p->fault->part = "field name, not the one that leaf and shape give here";
		if (p->len != name.len || memcmp(p->line, name.s, name.len) != 0)
			return PV_E_NAME;
	}
	else if (skip_word(p, "field-base64"))
	{
		const uint8_t *bytes;
		size_t		n;

		if ((status = get_encoded_text(p, &bytes, &n)) != PV_OK)
			return status;
		if (n != name.len || memcmp(bytes, name.s, name.len) != 0)
			return PV_E_NAME;
	}
	else
		return PV_E_SYNTAX;

	memset(out, 0, sizeof(*out));
	out->name = name;
	if ((status = next_line(p, "salt or digest")) != PV_OK)
		return status;
	if (skip_word(p, "digest"))
	{
		out->withheld = true;
		return get_fixed(p, out->digest.b, PV_HASH_LEN);
	}
	if (!skip_word(p, "salt"))
		return PV_E_SYNTAX;
	if ((status = get_fixed(p, out->salt, PV_SALT_LEN)) != PV_OK)
		return status;
	return get_value(p, &out->value);
}

static pv_status
get_context(parser *p, pv_disclosure *out)
{
	pv_status	status = next_line(p, "context");
	bool		any = false;

	if (status != PV_OK)
		return status;
	if (skip_word(p, "context-digest"))
		return get_fixed(p, out->context_digest.b, PV_HASH_LEN);
	if (!skip_word(p, "context"))
		return PV_E_SYNTAX;
	out->context_given = true;
	if ((status = get_fixed(p, out->context_commitment.b, PV_HASH_LEN)) != PV_OK ||
		(status = get_line_fixed(p, "salt of the context", "salt", out->context_salt, PV_SALT_LEN)) != PV_OK)
		return status;
	for (size_t i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		if ((status = get_field(p, pv_context_names[i], &out->context[i])) != PV_OK)
			return status;
		any = any || !out->context[i].withheld;
	}
	/* a context with nothing disclosed has its own, shorter form */
	return any ? PV_OK : PV_E_COUNT;
}

size_t
pv_field_names(unsigned op, const pv_shape *shape, pv_name *names)
{
	size_t		n = 0;
	const pv_name *own = pv_op_fields(op, &n);

	if (own != NULL)
	{
		memcpy(names, own, n * sizeof(*names));
		return n;
	}
	for (size_t i = 0; i < shape->ncolumns; i++)
	{
		const pv_column *c = &shape->columns[i];

		if (op != PV_OP_DELETE)
			names[i] = c->name;
		else if (c->key_pos > 0)
			names[c->key_pos - 1] = c->name;
	}
	return op == PV_OP_DELETE ? shape->nkeys : shape->ncolumns;
}

pv_status
pv_disclosure_parse(const void *data, size_t len, uint8_t *scratch, size_t cap, pv_disclosure *out,
					pv_fault *fault)
{
	pv_name		names[PV_MAX_FIELDS];
	parser		p = {.scratch = scratch, .cap = cap, .fault = fault};
	pv_status	status;

	memset(out, 0, sizeof(*out));
	fault->line = 0;
	fault->part = "version";
	if (len > PV_DISCLOSURE_MAX_LEN)
		return PV_E_TOO_LONG;
	pv_reader_init(&p.r, data, len);
	if ((status = next_line(&p, "version")) != PV_OK)
		return status;
	if (!is_word(&p, version_line))
		return PV_E_VERSION;

	if ((status = get_line_fixed(&p, "leaf", "leaf", out->leaf_bytes, PV_LEAF_LEN)) != PV_OK ||
		(status = pv_leaf_decode(out->leaf_bytes, PV_LEAF_LEN, &out->leaf)) != PV_OK)
		return status;

	if ((status = next_line(&p, "shape")) != PV_OK)
		return status;
	if (!skip_word(&p, "shape"))
		return PV_E_SYNTAX;
	if ((status = get_bytes(&p, &out->shape_bytes, &out->shape_len)) != PV_OK ||
		(status = pv_shape_decode(out->shape_bytes, out->shape_len, &out->shape, out->columns,
								  PV_MAX_FIELDS)) != PV_OK)
		return status;

	if ((status = get_context(&p, out)) != PV_OK)
		return status;
	out->nfields = pv_field_names(out->leaf.op, &out->shape, names);
	for (size_t i = 0; i < out->nfields; i++)
		if ((status = get_field(&p, names[i], &out->fields[i])) != PV_OK)
			return status;

	if ((status = next_line(&p, "end of the fields")) != PV_OK)
		return status;
	if (p.len != 0)
		return PV_E_SYNTAX;
	fault->line++;
	fault->part = "proof";
	out->proof = (const char *) data + p.r.pos;
	out->prooflen = len - p.r.pos;
	return out->prooflen > 0 ? PV_OK : PV_E_TRUNCATED;
}

/* ---- writing ---- */

static void
put_line(pv_buf *b, const char *word, const void *bytes, size_t n)
{
	pv_put_str(b, word);
	pv_put_u8(b, ' ');
	pv_put_base64(b, bytes, n);
	pv_put_u8(b, '\n');
}

/* Text under one of two words, by whether it is plain. */
static void
put_text(pv_buf *b, const char *plain, const char *encoded, const void *s, size_t n)
{
	if (!pv_text_plain(s, n))
	{
		put_line(b, encoded, s, n);
		return;
	}
	pv_put_str(b, plain);
	pv_put_u8(b, ' ');
	pv_put_bytes(b, s, n);
	pv_put_u8(b, '\n');
}

static void
put_field(pv_buf *b, const pv_disclosed *f)
{
	put_text(b, "field", "field-base64", f->name.s, f->name.len);
	if (f->withheld)
	{
		put_line(b, "digest", f->digest.b, PV_HASH_LEN);
		return;
	}
	put_line(b, "salt", f->salt, PV_SALT_LEN);
	if (f->value.data == NULL)
		pv_put_str(b, "null\n");
	else if (f->value.len == 0)
		pv_put_str(b, "empty\n");
	else
		put_text(b, "text", "base64", f->value.data, f->value.len);
}

void
pv_put_disclosure(pv_buf *b, const pv_disclosure *d)
{
	pv_put_str(b, version_line);
	pv_put_u8(b, '\n');
	put_line(b, "leaf", d->leaf_bytes, PV_LEAF_LEN);
	put_line(b, "shape", d->shape_bytes, d->shape_len);
	if (!d->context_given)
		put_line(b, "context-digest", d->context_digest.b, PV_HASH_LEN);
	else
	{
		put_line(b, "context", d->context_commitment.b, PV_HASH_LEN);
		put_line(b, "salt", d->context_salt, PV_SALT_LEN);
		for (size_t i = 0; i < PV_CONTEXT_FIELDS; i++)
			put_field(b, &d->context[i]);
	}
	for (size_t i = 0; i < d->nfields; i++)
		put_field(b, &d->fields[i]);
	pv_put_u8(b, '\n');
	pv_put_bytes(b, d->proof, d->prooflen);
}

/* ---- verifying ---- */

pv_status
pv_disclosed_digest(pv_hasher *h, uint8_t domain, const pv_disclosed *f, pv_hash *out)
{
	if (!f->withheld)
		return pv_field_digest(h, domain, f->salt, f->name, f->value, out);
	*out = f->digest;
	return PV_OK;
}

bool
pv_same_log(pv_name log, const char *origin, size_t len)
{
	if (len < log.len || memcmp(origin, log.s, log.len) != 0)
		return false;
	return len == log.len || (origin[log.len] == '/' && pv_origin_valid(origin, len, true));
}

pv_status
pv_disclosed_context_verify(pv_hasher *h, const pv_disclosed *fields, const pv_hash *commitment)
{
	pv_hash		digests[PV_CONTEXT_FIELDS];
	pv_hash		computed;
	pv_status	status = PV_OK;

	for (size_t i = 0; i < PV_CONTEXT_FIELDS && status == PV_OK; i++)
		status = pv_disclosed_digest(h, PV_DOMAIN_CONTEXT_FIELD, &fields[i], &digests[i]);
	if (status == PV_OK)
		status = pv_context_commitment(h, digests, PV_CONTEXT_FIELDS, &computed);
	if (status == PV_OK && !pv_hash_equal(&computed, commitment))
		status = PV_E_COMMITMENT;
	return status;
}

pv_status
pv_context_digest(pv_hasher *h, const uint8_t salt[PV_SALT_LEN], const pv_hash *commitment, pv_hash *out)
{
	static const pv_name no_name = {"", 0};
	pv_value	value = {commitment->b, PV_HASH_LEN};

	return pv_field_digest(h, PV_DOMAIN_FIELD, salt, no_name, value, out);
}

pv_status
pv_disclosed_record_verify(pv_hasher *h, unsigned op, const pv_shape *shape, const pv_hash *shape_digest,
						   const pv_hash *digest0, pv_disclosed *fields, size_t n, const pv_hash *commitment)
{
	pv_name		names[PV_MAX_FIELDS];
	pv_hash		digests[PV_MAX_FIELDS + 1];
	pv_hash		computed;
	pv_status	status = PV_OK;

	if (pv_field_names(op, shape, names) != n)
		return PV_E_COUNT;
	digests[0] = *digest0;
	for (size_t i = 0; i < n && status == PV_OK; i++)
	{
		fields[i].name = names[i];
		status = pv_disclosed_digest(h, PV_DOMAIN_FIELD, &fields[i], &digests[i + 1]);
	}
	if (status == PV_OK)
		status = pv_record_commitment(h, shape_digest, digests, n + 1, &computed);
	if (status == PV_OK && !pv_hash_equal(&computed, commitment))
		status = PV_E_COMMITMENT;
	return status;
}

static pv_status
verify_context(pv_hasher *h, const pv_disclosure *d, pv_hash *digest0)
{
	pv_status	status;

	if (!d->context_given)
	{
		*digest0 = d->context_digest;
		return PV_OK;
	}
	status = pv_disclosed_context_verify(h, d->context, &d->context_commitment);
	if (status == PV_OK)
		status = pv_context_digest(h, d->context_salt, &d->context_commitment, digest0);
	return status;
}

pv_status
pv_disclosure_verify(pv_hasher *h, const pv_disclosure *d, const pv_vkey *keys, unsigned nkeys,
					 pv_proof *proof, pv_checkpoint *checkpoint, const char **what)
{
	pv_hash		digests[PV_MAX_FIELDS + 1];
	pv_hash		hash;
	pv_status	status;

	*what = "the proof";
	if ((status = pv_proof_parse(d->proof, d->prooflen, proof)) != PV_OK)
		return status;
	*what = "the checkpoint";
	if ((status = pv_checkpoint_parse(proof->checkpoint, proof->checkpointlen, checkpoint)) != PV_OK)
		return status;
	*what = "the checkpoint's signature";
	if ((status = pv_checkpoint_verify(checkpoint, keys, nkeys)) != PV_OK)
		return status;
	*what = "the path from the leaf to the checkpoint";
	if ((status = pv_leaf_hash(h, d->leaf_bytes, PV_LEAF_LEN, &hash)) != PV_OK ||
		(status = pv_verify_inclusion(h, &hash, proof->index, checkpoint->size, proof->path, proof->npath,
									  &checkpoint->root)) != PV_OK)
		return status;
	*what = "the origin in the shape";
	if (!pv_same_log(d->shape.origin, checkpoint->origin, checkpoint->originlen))
		return PV_E_ORIGIN;
	*what = "the context commitment";
	if ((status = verify_context(h, d, &digests[0])) != PV_OK)
		return status;
	*what = "the record commitment";
	for (size_t i = 0; i < d->nfields && status == PV_OK; i++)
		status = pv_disclosed_digest(h, PV_DOMAIN_FIELD, &d->fields[i], &digests[i + 1]);
	if (status != PV_OK ||
		(status = pv_shape_digest(h, d->shape_bytes, d->shape_len, &hash)) != PV_OK ||
		(status = pv_record_commitment(h, &hash, digests, d->nfields + 1, &hash)) != PV_OK)
		return status;
	return pv_hash_equal(&hash, &d->leaf.commitment) ? PV_OK : PV_E_COMMITMENT;
}
