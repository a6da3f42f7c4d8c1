/*
 * checkpoint.c: C2SP tlog-checkpoint, read and written.
 *
 * The origin is read as any non-empty line, as the format has it: the rule
 * that a log's key bears the log's name is applied where a signature is
 * verified, and the narrower rule for our own origins where one is chosen.
 */
#include "checkpoint.h"

#include <string.h>

#include "merkle.h"

#define ROOT_BASE64_LEN 44

/* The next line of the text at *pos, which must not be empty. */
static pv_status
next_line(const pv_note *note, size_t *pos, const char **line, size_t *len)
{
	const char *start = note->text + *pos;
	const char *end;

	if (*pos == note->textlen)
		return PV_E_TRUNCATED;
	end = memchr(start, '\n', note->textlen - *pos);
	if (end == NULL || end == start)
		return PV_E_SYNTAX;
	*line = start;
	*len = (size_t) (end - start);
	*pos += *len + 1;
	return PV_OK;
}

pv_status
pv_checkpoint_parse(const void *data, size_t len, pv_checkpoint *out)
{
	const char *line;
	size_t		linelen;
	size_t		pos = 0;
	size_t		n;
	uint8_t		root[ROOT_BASE64_LEN / 4 * 3];
	pv_status	status;

	memset(out, 0, sizeof(*out));
	if (len > PV_CHECKPOINT_MAX_LEN)
		return PV_E_TOO_LONG;
	status = pv_note_parse(data, len, &out->note);
	if (status != PV_OK)
		return status;

	status = next_line(&out->note, &pos, &out->origin, &out->originlen);
	if (status != PV_OK)
		return status;

	status = next_line(&out->note, &pos, &line, &linelen);
	if (status == PV_OK)
		status = pv_parse_decimal(line, linelen, PV_MAX_TREE, &out->size);
	if (status != PV_OK)
		return status;

	status = next_line(&out->note, &pos, &line, &linelen);
	if (status != PV_OK)
		return status;
	if (linelen != ROOT_BASE64_LEN)
		return PV_E_BASE64;
	status = pv_base64_decode(line, linelen, root, sizeof(root), &n);
	if (status != PV_OK)
		return status;
	if (n != PV_HASH_LEN)
		return PV_E_BASE64;
	memcpy(out->root.b, root, PV_HASH_LEN);

	while (pos < out->note.textlen)
	{
		status = next_line(&out->note, &pos, &line, &linelen);
		if (status != PV_OK)
			return status;
	}
	if (out->size == 0 && !pv_hash_equal(&out->root, &pv_empty_root))
		return PV_E_VALUE;
	return PV_OK;
}

pv_status
pv_checkpoint_verify(const pv_checkpoint *cp, const pv_vkey *keys, unsigned nkeys)
{
	bool		named = false;
	bool		good = false;
	unsigned	k;

	for (k = 0; k < nkeys; k++)
	{
		pv_status	status;

		if (keys[k].type != PV_SIG_ED25519 || strlen(keys[k].name) != cp->originlen ||
			memcmp(keys[k].name, cp->origin, cp->originlen) != 0)
			continue;
		named = true;
		status = pv_note_verify(&cp->note, &keys[k], 1, NULL);
		if (status == PV_OK)
			good = true;
		else if (status != PV_E_UNKNOWN_KEY)
			return status;
	}
	if (!named)
		return PV_E_ORIGIN;
	return good ? PV_OK : PV_E_UNKNOWN_KEY;
}

void
pv_put_checkpoint_text(pv_buf *b, const char *origin, size_t originlen, uint64_t size,
					   const pv_hash *root)
{
	pv_put_bytes(b, origin, originlen);
	pv_put_u8(b, '\n');
	pv_put_decimal(b, size);
	pv_put_u8(b, '\n');
	pv_put_base64(b, root->b, PV_HASH_LEN);
	pv_put_u8(b, '\n');
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool
pv_origin_valid(const char *s, size_t len, bool allow_incarnation)
{
	const char *slash;
	size_t		i;

	if (len == 0 || len > PV_ORIGIN_MAX)
		return false;
	slash = memchr(s, '/', len);
	if (slash != NULL)
	{
		size_t		hostlen = (size_t) (slash - s);
		uint64_t	n;

		if (!allow_incarnation ||
			pv_parse_decimal(slash + 1, len - hostlen - 1, UINT32_MAX, &n) != PV_OK || n < 2)
			return false;
		len = hostlen;
	}

	/* Labels as in a host name: separated by single dots, none empty. */
	if (len == 0 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return false;
	for (i = 0; i < len; i++)
	{
		if (s[i] == '.' ? s[i - 1] == '.' : !is_alnum(s[i]) && s[i] != '-')
			return false;
	}
	return true;
}
