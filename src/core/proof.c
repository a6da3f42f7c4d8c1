/*
 * proof.c: C2SP tlog-proof, read and written.
 *
 * The grammar is read strictly, without carriage returns and with one spelling
 * of each number and hash: parts of a proof written again give the same bytes.
 * Whether the path leads to the checkpoint's root is a question for
 * pv_verify_inclusion().
 */
#include "proof.h"

#include <string.h>

static const char version_line[] = "c2sp.org/tlog-proof@v1";

#define HASH_BASE64_LEN 44
#define INCLUSION_MAX 63		/* a tree has at most 2^63 - 1 leaves */

/* If the line begins with the word and a space, moves both behind them. */
static bool
skip_word(const char **line, size_t *len, const char *word)
{
	size_t		n = strlen(word);

	if (*len < n || memcmp(*line, word, n) != 0)
		return false;
	*line += n;
	*len -= n;
	return true;
}

pv_status
pv_proof_parse(const void *data, size_t len, pv_proof *out)
{
	pv_reader	r;
	const char *line;
	size_t		linelen;
	size_t		n;
	pv_status	status;

	memset(out, 0, sizeof(*out));
	if (len > PV_PROOF_MAX_LEN)
		return PV_E_TOO_LONG;
	pv_reader_init(&r, data, len);
	if (!pv_get_line(&r, &line, &linelen))
		return PV_E_TRUNCATED;
	if (linelen != strlen(version_line) || memcmp(line, version_line, linelen) != 0)
		return PV_E_VERSION;

	if (!pv_get_line(&r, &line, &linelen))
		return PV_E_TRUNCATED;
	if (skip_word(&line, &linelen, "extra "))
	{
		/* The line is absent where there is nothing to say. */
		if (linelen == 0)
			return PV_E_SYNTAX;
		status = pv_base64_decode(line, linelen, NULL, 0, &n);
		if (status != PV_OK)
			return status;
		out->extra = line;
		out->extralen = linelen;
		if (!pv_get_line(&r, &line, &linelen))
			return PV_E_TRUNCATED;
	}
	if (!skip_word(&line, &linelen, "index "))
		return PV_E_SYNTAX;
	status = pv_parse_decimal(line, linelen, PV_MAX_TREE - 1, &out->index);
	if (status != PV_OK)
		return status;

	for (;;)
	{
		uint8_t		hash[HASH_BASE64_LEN / 4 * 3];

		if (!pv_get_line(&r, &line, &linelen))
			return PV_E_TRUNCATED;
		if (linelen == 0)
			break;
		if (out->npath == INCLUSION_MAX)
			return PV_E_PATH;
		if (linelen != HASH_BASE64_LEN)
			return PV_E_BASE64;
		status = pv_base64_decode(line, linelen, hash, sizeof(hash), &n);
		if (status != PV_OK)
			return status;
		if (n != PV_HASH_LEN)
			return PV_E_BASE64;
		memcpy(out->path[out->npath++].b, hash, PV_HASH_LEN);
	}

	out->checkpoint = (const char *) data + r.pos;
	out->checkpointlen = len - r.pos;
	if (out->checkpointlen > PV_CHECKPOINT_MAX_LEN)
		return PV_E_TOO_LONG;
	if (out->checkpointlen == 0 || out->checkpoint[out->checkpointlen - 1] != '\n')
		return PV_E_TRUNCATED;
	if (memchr(out->checkpoint, '\r', out->checkpointlen) != NULL)
		return PV_E_SYNTAX;
	return PV_OK;
}

void
pv_put_proof(pv_buf *b, uint64_t index, const pv_hash *path, unsigned npath,
			 const void *checkpoint, size_t checkpointlen)
{
	unsigned	i;

	pv_put_str(b, version_line);
	pv_put_str(b, "\nindex ");
	pv_put_decimal(b, index);
	pv_put_u8(b, '\n');
	for (i = 0; i < npath; i++)
	{
		pv_put_base64(b, path[i].b, PV_HASH_LEN);
		pv_put_u8(b, '\n');
	}
	pv_put_u8(b, '\n');
	pv_put_bytes(b, checkpoint, checkpointlen);
}
