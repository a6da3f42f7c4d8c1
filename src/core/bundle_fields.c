/*
 * bundle_fields.c: the tokens of a bundle, texts and fields among them.
 *
 * A text or value that can be written as it is has no other spelling, so that
 * what is read here and written by bundle_write.c is the same, byte for byte.
 * Salts and digests are decoded where they belong; only what base64 stands for
 * in texts goes through the caller's scratch.
 */
#include "bundle_tokens.h"

#include <string.h>

#define SALT_CHARS 24
#define HASH_CHARS 44

void
pv_tokens_init(pv_tokens *t, const char *content, size_t len, uint8_t *scratch, size_t cap)
{
	t->next = content != NULL ? content : "";
	t->end = t->next + (content != NULL ? len : 0);
	t->s = t->next;
	t->len = 0;
	t->scratch = scratch;
	t->cap = cap;
}

pv_status
pv_token_next(pv_tokens *t)
{
	const char *bar;

	if (t->next == NULL)
		return PV_E_SYNTAX;
	t->s = t->next;
	bar = t->s < t->end ? memchr(t->s, '|', (size_t) (t->end - t->s)) : NULL;
	t->len = (size_t) ((bar != NULL ? bar : t->end) - t->s);
	t->next = bar != NULL ? bar + 1 : NULL;
	return PV_OK;
}

pv_status
pv_tokens_done(const pv_tokens *t)
{
	return t->next == NULL ? PV_OK : PV_E_SYNTAX;
}

pv_status
pv_token_word(pv_tokens *t, const char *word)
{
	if (pv_token_next(t) != PV_OK)
		return PV_E_SYNTAX;
	return t->len == strlen(word) && memcmp(t->s, word, t->len) == 0 ? PV_OK : PV_E_SYNTAX;
}

pv_status
pv_token_decimal(pv_tokens *t, uint64_t max, uint64_t *out)
{
	pv_status	status = pv_token_next(t);

	return status == PV_OK ? pv_parse_decimal(t->s, t->len, max, out) : status;
}

pv_status
pv_base64_fixed(const char *s, size_t len, uint8_t *out, size_t n)
{
	size_t		got;

	if (len != (n + 2) / 3 * 4 || pv_base64_decode(s, len, out, n, &got) != PV_OK || got != n)
		return PV_E_BASE64;
	return PV_OK;
}

pv_status
pv_token_fixed(pv_tokens *t, uint8_t *out, size_t n)
{
	pv_status	status = pv_token_next(t);

	return status == PV_OK ? pv_base64_fixed(t->s, t->len, out, n) : status;
}

/* Base64 of whatever is behind it, kept in the scratch. */
static pv_status
keep_bytes(pv_tokens *t, const char *s, size_t len, const uint8_t **out, size_t *n)
{
	pv_status	status = pv_base64_decode(s, len, t->scratch, t->cap, n);

	if (status != PV_OK)
		return status;
	*out = t->scratch;
	t->scratch += *n;
	t->cap -= *n;
	return PV_OK;
}

pv_status
pv_token_bytes(pv_tokens *t, size_t max, const uint8_t **out, size_t *n)
{
	pv_status	status = pv_token_next(t);

	if (status != PV_OK)
		return status;
	if (t->len / 4 > max / 3 + 1)
		return PV_E_TOO_LONG;
	status = keep_bytes(t, t->s, t->len, out, n);
	return status == PV_OK && *n > max ? PV_E_TOO_LONG : status;
}

pv_status
pv_token_hashes(pv_tokens *t, unsigned max, pv_hash *out, unsigned *n)
{
	size_t		got;
	pv_status	status = pv_token_next(t);

	if (status != PV_OK)
		return status;
	if (t->len / 4 > (size_t) max * PV_HASH_LEN / 3 + 1)
		return PV_E_PATH;
	status = pv_base64_decode(t->s, t->len, (uint8_t *) out, (size_t) max * PV_HASH_LEN, &got);
	if (status != PV_OK)
		return status == PV_E_TOO_LONG ? PV_E_PATH : status;
	*n = (unsigned) (got / PV_HASH_LEN);
	return got % PV_HASH_LEN == 0 ? PV_OK : PV_E_PATH;
}

/* Values are short: for them a call of memchr() costs more than this. */
static inline bool
has_bar(const uint8_t *s, size_t len)
{
	size_t		i = 0;

	if (len > 64)
		return memchr(s, '|', len) != NULL;
	for (; len - i >= 8; i += 8)
	{
		uint64_t	x;

		/* a byte of zero once the bar has been taken away */
		memcpy(&x, s + i, 8);
		x ^= 0x7C7C7C7C7C7C7C7C;
		if (((x - 0x0101010101010101) & ~x & 0x8080808080808080) != 0)
			return true;
	}
	for (; i < len; i++)
		if (s[i] == '|')
			return true;
	return false;
}

/* Can it be written as it is? */
static bool
bundle_plain(const uint8_t *s, size_t len)
{
	return pv_text_plain(s, len) && !has_bar(s, len);
}

/* As it is; a token holds no '|'. */
static pv_status
plain_text(const char *s, size_t len, pv_value *out)
{
	if (!pv_text_plain((const uint8_t *) s, len))
		return PV_E_UTF8;
	out->data = (const uint8_t *) s;
	out->len = (uint32_t) len;
	return PV_OK;
}

/* In base64: such as could not have been written as it is. */
static pv_status
encoded_text(pv_tokens *t, const char *s, size_t len, pv_value *out)
{
	static const uint8_t nothing[1] = {0};
	const uint8_t *bytes;
	size_t		n;
	pv_status	status;

	out->data = nothing;
	out->len = 0;
	if (len == 0)
		return PV_OK;
	if ((status = keep_bytes(t, s, len, &bytes, &n)) != PV_OK)
		return status;
	if (bundle_plain(bytes, n))
		return PV_E_SYNTAX;
	if (!pv_utf8_valid((const char *) bytes, n) || memchr(bytes, 0, n) != NULL)
		return PV_E_UTF8;
	out->data = bytes;
	out->len = (uint32_t) n;
	return PV_OK;
}

pv_status
pv_token_text(pv_tokens *t, pv_value *out)
{
	if (pv_token_next(t) != PV_OK || t->len == 0)
		return PV_E_SYNTAX;
	switch (t->s[0])
	{
		case '-':
			out->data = NULL;
			out->len = 0;
			return t->len == 1 ? PV_OK : PV_E_SYNTAX;
		case '=':
			return plain_text(t->s + 1, t->len - 1, out);
		case ':':
			return encoded_text(t, t->s + 1, t->len - 1, out);
		default:
			return PV_E_SYNTAX;
	}
}

pv_status
pv_token_field(pv_tokens *t, pv_disclosed *out)
{
	const char *s;
	pv_status	status;

	if (pv_token_next(t) != PV_OK || t->len == 0)
		return PV_E_SYNTAX;
	s = t->s;
	out->withheld = s[0] == '-';
	out->value.data = NULL;
	out->value.len = 0;
	if (out->withheld)
		return pv_base64_fixed(s + 1, t->len - 1, out->digest.b, PV_HASH_LEN);
	if (s[0] != '0' && s[0] != '=' && s[0] != ':')
		return PV_E_SYNTAX;
	if (t->len < 1 + SALT_CHARS)
		return PV_E_BASE64;
	if ((status = pv_base64_fixed(s + 1, SALT_CHARS, out->salt, PV_SALT_LEN)) != PV_OK)
		return status;
	if (s[0] == '=')
		return plain_text(s + 1 + SALT_CHARS, t->len - 1 - SALT_CHARS, &out->value);
	if (s[0] == ':')
		return encoded_text(t, s + 1 + SALT_CHARS, t->len - 1 - SALT_CHARS, &out->value);
	return t->len == 1 + SALT_CHARS ? PV_OK : PV_E_SYNTAX;
}

pv_status
pv_tokens_fields(pv_tokens *t, pv_disclosed *fields, size_t max, size_t *n, bool *erased)
{
	*n = 0;
	*erased = t->next != NULL && t->end - t->next == 1 && t->next[0] == '!';
	if (*erased)
	{
		t->next = NULL;
		return PV_OK;
	}
	while (t->next != NULL)
	{
		pv_status	status;

		if (*n == max)
			return PV_E_COUNT;
		if ((status = pv_token_field(t, &fields[*n])) != PV_OK)
			return status;
		++*n;
	}
	return PV_OK;
}

pv_status
pv_bundle_fields_parse(const char *tokens, size_t len, uint8_t *scratch, size_t cap,
					   pv_disclosed *fields, size_t max, size_t *n, bool *erased)
{
	static const pv_name no_name = {"", 0};
	pv_tokens	t;
	pv_status	status;

	pv_tokens_init(&t, tokens, len, scratch, cap);
	if (len == 0)
		t.next = NULL;			/* an operation without fields, not an empty token */
	status = pv_tokens_fields(&t, fields, max, n, erased);
	for (size_t i = 0; i < *n; i++)
		fields[i].name = no_name;
	return status;
}

void
pv_put_bundle_text(pv_buf *b, pv_value text)
{
	if (text.data == NULL)
		pv_put_u8(b, '-');
	else if (bundle_plain(text.data, text.len))
	{
		pv_put_u8(b, '=');
		pv_put_bytes(b, text.data, text.len);
	}
	else
	{
		pv_put_u8(b, ':');
		pv_put_base64(b, text.data, text.len);
	}
}

void
pv_put_bundle_field(pv_buf *b, const pv_disclosed *f)
{
	bool		plain = !f->withheld && f->value.data != NULL && bundle_plain(f->value.data, f->value.len);

	if (f->withheld)
	{
		pv_put_u8(b, '-');
		pv_put_base64(b, f->digest.b, PV_HASH_LEN);
		return;
	}
	pv_put_u8(b, f->value.data == NULL ? '0' : plain ? '=' : ':');
	pv_put_base64(b, f->salt, PV_SALT_LEN);
	if (plain)
		pv_put_bytes(b, f->value.data, f->value.len);
	else if (f->value.data != NULL)
		pv_put_base64(b, f->value.data, f->value.len);
}
