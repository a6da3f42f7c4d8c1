/*
 * fuzz_note.h: a parsed note written again from its parts must be the note.
 */
#ifndef FUZZ_NOTE_H
#define FUZZ_NOTE_H

#include "fuzz_main.h"
#include "note.h"

static inline void
fuzz_note_again(const void *data, size_t len, const pv_note *note)
{
	uint8_t    *out = malloc(len + 1);
	uint8_t    *blob = malloc(len + 1);
	pv_buf		b;

	if (out == NULL || blob == NULL)
		exit(2);
	FUZZ_ASSERT(note->nsigs >= 1 && note->nsigs <= PV_NOTE_MAX_SIGS);
	FUZZ_ASSERT(note->text == (const char *) data && note->text[note->textlen - 1] == '\n');
	pv_buf_init(&b, out, len);
	pv_put_bytes(&b, note->text, note->textlen);
	pv_put_u8(&b, '\n');
	for (unsigned i = 0; i < note->nsigs; i++)
	{
		const pv_note_sig *sig = &note->sigs[i];
		pv_vkey		key;
		size_t		n;

		memset(&key, 0, sizeof(key));
		FUZZ_ASSERT(sig->namelen <= PV_KEY_NAME_MAX);
		memcpy(key.name, sig->name, sig->namelen);
		key.key_id = sig->key_id;
		FUZZ_ASSERT(pv_note_sig_blob(sig, blob, len, &n) == PV_OK && n >= 1);
		pv_put_note_sig(&b, &key, blob, n);
	}
	FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == len && memcmp(out, data, len) == 0);
	free(out);
	free(blob);
}

/* A verifier key that is part of a target. */
static inline void
fuzz_key(const char *text, pv_vkey *key)
{
	pv_hasher	h;

	if (pv_hasher_init(&h) != PV_OK || pv_vkey_parse(&h, text, strlen(text), key) != PV_OK)
		exit(2);
	pv_hasher_free(&h);
}

#endif							/* FUZZ_NOTE_H */
