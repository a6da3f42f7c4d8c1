/*
 * checkpoint.h: C2SP tlog-checkpoint: the signed head of a log.
 *
 * Text: origin, tree size in decimal, base64 of the root, optional extension
 * lines; every line non-empty. We write no extension lines, and read them.
 */
#ifndef PV_CHECKPOINT_H
#define PV_CHECKPOINT_H

#include "note.h"

#define PV_CHECKPOINT_MAX_LEN 65536	/* bytes of a whole note that we read */

#define PV_ORIGIN_MAX 200		/* bytes of an origin of ours */

typedef struct pv_checkpoint
{
	const char *origin;			/* not terminated, points into the input */
	size_t		originlen;
	uint64_t	size;			/* at most PV_MAX_TREE */
	pv_hash		root;
	pv_note		note;
} pv_checkpoint;

/*
 * Parses note and text. A size 0 must have the empty root (tlog-witness);
 * base64 must be canonical. Signatures are not verified.
 */
extern pv_status pv_checkpoint_parse(const void *data, size_t len, pv_checkpoint *out);

/*
 * pv_note_verify() with those of the keys whose name equals the origin;
 * PV_E_ORIGIN if there is none.
 */
extern pv_status pv_checkpoint_verify(const pv_checkpoint *cp, const pv_vkey *keys, unsigned nkeys);

/* Writes the text (three lines). */
extern void pv_put_checkpoint_text(pv_buf *b, const char *origin, size_t originlen, uint64_t size,
								   const pv_hash *root);

/* True for a host-like origin: letters, digits, '.', '-', and "/<n>" (n >= 2,
 * no leading zero) of an incarnation if allowed; at most 200 bytes. */
extern bool pv_origin_valid(const char *s, size_t len, bool allow_incarnation);

#endif							/* PV_CHECKPOINT_H */
