/*
 * note.h: C2SP signed-note: a text, an empty line, signature lines.
 *
 * pv_note_parse() checks the syntax only and finds the parts; the pointers
 * point into the input. pv_note_verify() applies the rule of the
 * specification: signatures by unknown keys are ignored, one wrong signature
 * by a known key refuses the note, and at least one good one is needed. Only
 * PV_SIG_ED25519 keys sign notes; cosignatures are in cosignature.h.
 */
#ifndef PV_NOTE_H
#define PV_NOTE_H

#include "signature.h"

#define PV_NOTE_MAX_LEN 1000000
#define PV_NOTE_MAX_SIGS 100

typedef struct pv_note_sig
{
	const char *name;			/* not terminated */
	size_t		namelen;
	uint32_t	key_id;
	const char *base64;			/* key ID and signature, base64 */
	size_t		base64len;
} pv_note_sig;

typedef struct pv_note
{
	const char *text;			/* with its final newline */
	size_t		textlen;
	unsigned	nsigs;
	pv_note_sig sigs[PV_NOTE_MAX_SIGS];
} pv_note;

extern pv_status pv_note_parse(const void *data, size_t len, pv_note *out);

/*
 * Decodes signature i after its key ID into blob (cap bytes); *n gets the
 * length.
 */
extern pv_status pv_note_sig_blob(const pv_note_sig *sig, uint8_t *blob, size_t cap, size_t *n);

/*
 * PV_OK if at least one of the keys signed and no known key's signature is
 * wrong. *good, if not NULL, gets a bit mask of keys (0..63) with a good
 * signature. PV_E_UNKNOWN_KEY, PV_E_SIGNATURE. nkeys <= 64.
 */
extern pv_status pv_note_verify(const pv_note *note, const pv_vkey *keys, unsigned nkeys, uint64_t *good);

/* Writes "— <name> <base64>\n" for a signature blob (without key ID). */
extern void pv_put_note_sig(pv_buf *b, const pv_vkey *key, const uint8_t *blob, size_t n);

#endif							/* PV_NOTE_H */
