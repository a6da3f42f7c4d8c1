/*
 * cosignature.c: C2SP tlog-cosignature, Ed25519.
 *
 * The signed message is longer than the checkpoint's text by a header only, so
 * its longest form has a bound, and it is put together in memory of the
 * caller's stack: Ed25519 wants the message in one piece.
 */
#include "cosignature.h"

#include <string.h>

/* "cosignature/v1\n", "time ", 20 digits, newline. */
#define HEADER_MAX 48

pv_status
pv_cosignature_parse(const uint8_t *blob, size_t len, uint64_t *seconds,
					 uint8_t sig[PV_ED25519_SIGNATURE_LEN])
{
	uint64_t	t = 0;
	unsigned	i;

	if (len < PV_COSIGNATURE_BLOB_LEN)
		return PV_E_TRUNCATED;
	if (len > PV_COSIGNATURE_BLOB_LEN)
		return PV_E_TRAILING;
	for (i = 0; i < 8; i++)
		t = t << 8 | blob[i];
	if (t > (uint64_t) INT64_MAX)
		return PV_E_VALUE;
	*seconds = t;
	memcpy(sig, blob + 8, PV_ED25519_SIGNATURE_LEN);
	return PV_OK;
}

void
pv_put_cosignature_message(pv_buf *b, uint64_t seconds, const char *text, size_t textlen)
{
	pv_put_str(b, "cosignature/v1\ntime ");
	pv_put_decimal(b, seconds);
	pv_put_u8(b, '\n');
	pv_put_bytes(b, text, textlen);
}

/*
 * As in a note, every line that names the key has to be right. A witness may
 * have cosigned a head more than once: the latest time counts.
 */
pv_status
pv_cosignature_verify(const pv_checkpoint *cp, const pv_vkey *key, uint64_t *seconds)
{
	uint8_t		message[PV_CHECKPOINT_MAX_LEN + HEADER_MAX];
	bool		found = false;
	uint64_t	latest = 0;
	unsigned	i;

	if (key->type != PV_SIG_COSIGNATURE)
		return PV_E_KEY_TYPE;
	for (i = 0; i < cp->note.nsigs; i++)
	{
		const pv_note_sig *line = &cp->note.sigs[i];
		uint8_t		blob[PV_COSIGNATURE_BLOB_LEN];
		uint8_t		sig[PV_ED25519_SIGNATURE_LEN];
		size_t		n;
		uint64_t	t;
		pv_buf		b;
		pv_status	status;

		if (line->key_id != key->key_id || strlen(key->name) != line->namelen ||
			memcmp(key->name, line->name, line->namelen) != 0)
			continue;
		if (pv_note_sig_blob(line, blob, sizeof(blob), &n) != PV_OK ||
			pv_cosignature_parse(blob, n, &t, sig) != PV_OK)
			return PV_E_SIGNATURE;
		pv_buf_init(&b, message, sizeof(message));
		pv_put_cosignature_message(&b, t, cp->note.text, cp->note.textlen);
		status = pv_buf_status(&b);
		if (status == PV_OK)
			status = pv_ed25519_verify(key->public_key, message, b.len, sig);
		if (status != PV_OK)
			return status;
		if (!found || t > latest)
			latest = t;
		found = true;
	}
	if (!found)
		return PV_E_UNKNOWN_KEY;
	*seconds = latest;
	return PV_OK;
}

pv_status
pv_cosignature_verify_line(const char *text, size_t textlen, const char *line, size_t len,
						   const pv_vkey *key, uint64_t *seconds)
{
	uint8_t		note[PV_CHECKPOINT_MAX_LEN];
	pv_checkpoint cp;
	pv_buf		b;
	pv_status	status;

	pv_buf_init(&b, note, sizeof(note));
	pv_put_bytes(&b, text, textlen);
	pv_put_u8(&b, '\n');
	pv_put_bytes(&b, line, len);
	pv_put_u8(&b, '\n');
	status = pv_buf_status(&b);
	if (status == PV_OK)
		status = pv_checkpoint_parse(note, b.len, &cp);
	if (status != PV_OK)
		return status;
	/* what is called a line may hold an empty one, and be text then */
	if (cp.note.textlen != textlen || cp.note.nsigs != 1)
		return PV_E_SYNTAX;
	return pv_cosignature_verify(&cp, key, seconds);
}
