/*
 * cosignature.h: C2SP tlog-cosignature, Ed25519 (type 0x04).
 *
 * The message is "cosignature/v1\n", "time <seconds>\n" and the checkpoint's
 * whole note text. The blob after the key ID: u64 seconds since 1970, then the
 * signature: 72 bytes.
 */
#ifndef PV_COSIGNATURE_H
#define PV_COSIGNATURE_H

#include "checkpoint.h"

#define PV_COSIGNATURE_BLOB_LEN 72

/* Splits a blob. PV_E_TRUNCATED / PV_E_TRAILING, PV_E_VALUE (time above 2^63 - 1). */
extern pv_status pv_cosignature_parse(const uint8_t *blob, size_t len, uint64_t *seconds,
									  uint8_t sig[PV_ED25519_SIGNATURE_LEN]);

/*
 * Looks for a cosignature by key (type PV_SIG_COSIGNATURE) in the note and
 * verifies it; *seconds gets its time. PV_E_UNKNOWN_KEY if the note has none.
 */
extern pv_status pv_cosignature_verify(const pv_checkpoint *cp, const pv_vkey *key, uint64_t *seconds);

/*
 * The same for a note's text and a signature line (without its newline) that
 * stand apart. A line that is none: the status of a note that does not parse.
 */
extern pv_status pv_cosignature_verify_line(const char *text, size_t textlen, const char *line, size_t len,
											const pv_vkey *key, uint64_t *seconds);

/* Writes the message that is signed. */
extern void pv_put_cosignature_message(pv_buf *b, uint64_t seconds, const char *text, size_t textlen);

#endif							/* PV_COSIGNATURE_H */
