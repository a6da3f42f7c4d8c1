/*
 * note.c: C2SP signed-note, read and written.
 *
 * Reading is strict: every accepted note is the only spelling of what was
 * found in it, so that its parts, written again, give the same bytes. Lines of
 * unknown signers are held to the syntax too. Whole notes are bounded, and so
 * is the number of signatures: the work that a stranger's note can cause ends
 * there.
 */
#include "note.h"

#include <string.h>

/* U+2014 and a space begin a signature line. */
static const char sig_prefix[] = "\xE2\x80\x94 ";

#define SIG_PREFIX_LEN (sizeof(sig_prefix) - 1)
#define KEY_ID_LEN 4

/* One line of the signatures, without its newline. */
static pv_status
parse_sig_line(const char *line, size_t len, pv_note_sig *out)
{
	const char *space;
	uint8_t		head[6];
	size_t		n;
	pv_status	status;

	if (len < SIG_PREFIX_LEN || memcmp(line, sig_prefix, SIG_PREFIX_LEN) != 0)
		return PV_E_SYNTAX;
	line += SIG_PREFIX_LEN;
	len -= SIG_PREFIX_LEN;
	space = len == 0 ? NULL : memchr(line, ' ', len);
	if (space == NULL)
		return PV_E_SYNTAX;
	out->name = line;
	out->namelen = (size_t) (space - line);
	if (!pv_key_name_valid(out->name, out->namelen))
		return PV_E_NAME;
	out->base64 = space + 1;
	out->base64len = len - out->namelen - 1;

	/* A key ID and at least one byte of signature. */
	if (out->base64len < 8)
		return PV_E_BASE64;
	status = pv_base64_decode(out->base64, out->base64len, NULL, 0, &n);
	if (status != PV_OK)
		return status;
	if (n <= KEY_ID_LEN)
		return PV_E_TRUNCATED;
	status = pv_base64_decode(out->base64, 8, head, sizeof(head), &n);
	if (status != PV_OK)
		return status;
	out->key_id = (uint32_t) head[0] << 24 | (uint32_t) head[1] << 16 |
		(uint32_t) head[2] << 8 | head[3];
	return PV_OK;
}

pv_status
pv_note_parse(const void *data, size_t len, pv_note *out)
{
	const char *s = data;
	size_t		pos;

	memset(out, 0, sizeof(*out));
	if (len > PV_NOTE_MAX_LEN)
		return PV_E_TOO_LONG;
	if (len == 0 || s[len - 1] != '\n')
		return PV_E_TRUNCATED;
	if (!pv_utf8_valid(s, len))
		return PV_E_UTF8;
	for (pos = 0; pos < len; pos++)
	{
		if ((uint8_t) s[pos] < 0x20 && s[pos] != '\n')
			return PV_E_UTF8;
	}

	/* The last empty line ends the text: pos is that of its newline. */
	for (pos = len - 1; pos > 0; pos--)
	{
		if (s[pos] == '\n' && s[pos - 1] == '\n')
			break;
	}
	if (pos == 0)
		return PV_E_SYNTAX;
	out->text = s;
	out->textlen = pos;
	pos++;
	if (pos == len)
		return PV_E_TRUNCATED;
	while (pos < len)
	{
		const char *end = memchr(s + pos, '\n', len - pos);
		size_t		linelen = (size_t) (end - (s + pos));
		pv_status	status;

		if (out->nsigs == PV_NOTE_MAX_SIGS)
			return PV_E_TOO_LONG;
		status = parse_sig_line(s + pos, linelen, &out->sigs[out->nsigs]);
		if (status != PV_OK)
			return status;
		out->nsigs++;
		pos += linelen + 1;
	}
	return PV_OK;
}

pv_status
pv_note_sig_blob(const pv_note_sig *sig, uint8_t *blob, size_t cap, size_t *n)
{
	uint8_t		head[6];
	size_t		headlen;
	pv_status	status;

	/* The first eight characters hold the key ID and up to two bytes more. */
	if (sig->base64len < 8)
		return PV_E_BASE64;
	status = pv_base64_decode(sig->base64, 8, head, sizeof(head), &headlen);
	if (status != PV_OK)
		return status;
	if (headlen <= KEY_ID_LEN)
		return PV_E_TRUNCATED;
	if (headlen < sizeof(head) && sig->base64len > 8)
		return PV_E_BASE64;
	headlen -= KEY_ID_LEN;
	if (headlen > cap)
		return PV_E_TOO_LONG;
	memcpy(blob, head + KEY_ID_LEN, headlen);
	status = pv_base64_decode(sig->base64 + 8, sig->base64len - 8, blob + headlen, cap - headlen, n);
	if (status == PV_OK)
		*n += headlen;
	return status;
}

/* Does the line name this key? */
static bool
names_key(const pv_note_sig *sig, const pv_vkey *key)
{
	return key->type == PV_SIG_ED25519 && sig->key_id == key->key_id &&
		strlen(key->name) == sig->namelen && memcmp(key->name, sig->name, sig->namelen) == 0;
}

pv_status
pv_note_verify(const pv_note *note, const pv_vkey *keys, unsigned nkeys, uint64_t *good)
{
	uint64_t	mask = 0;
	unsigned	i;
	unsigned	k;

	if (good != NULL)
		*good = 0;
	if (nkeys > 64)
		return PV_E_COUNT;
	for (i = 0; i < note->nsigs; i++)
	{
		for (k = 0; k < nkeys; k++)
		{
			uint8_t		blob[PV_ED25519_SIGNATURE_LEN];
			size_t		n;
			pv_status	status;

			if (!names_key(&note->sigs[i], &keys[k]))
				continue;
			if (pv_note_sig_blob(&note->sigs[i], blob, sizeof(blob), &n) != PV_OK ||
				n != sizeof(blob))
				return PV_E_SIGNATURE;
			status = pv_ed25519_verify(keys[k].public_key, note->text, note->textlen, blob);
			if (status != PV_OK)
				return status;
			mask |= (uint64_t) 1 << k;
		}
	}
	if (mask == 0)
		return PV_E_UNKNOWN_KEY;
	if (good != NULL)
		*good = mask;
	return PV_OK;
}

void
pv_put_note_sig(pv_buf *b, const pv_vkey *key, const uint8_t *blob, size_t n)
{
	uint8_t		group[3];
	unsigned	fill = 0;
	size_t		i;

	pv_put_bytes(b, sig_prefix, SIG_PREFIX_LEN);
	pv_put_str(b, key->name);
	pv_put_u8(b, ' ');

	/* Key ID and blob are encoded as one, without a copy of the blob. */
	for (i = 0; i < KEY_ID_LEN + n; i++)
	{
		group[fill++] = i < KEY_ID_LEN ? (uint8_t) (key->key_id >> (24 - 8 * i)) : blob[i - KEY_ID_LEN];
		if (fill == sizeof(group))
		{
			pv_put_base64(b, group, fill);
			fill = 0;
		}
	}
	if (fill > 0)
		pv_put_base64(b, group, fill);
	pv_put_u8(b, '\n');
}
