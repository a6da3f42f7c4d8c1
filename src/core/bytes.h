/*
 * bytes.h: reading and writing bytes with bounds.
 *
 * A pv_buf writes into memory of the caller and remembers an overflow instead
 * of writing past the end; a pv_reader reads from memory of the caller and
 * remembers a shortage. Both are checked once, at the end, so that encoders
 * and decoders read like their format. Integers are big-endian (doc/format.md,
 * "Notation"). Base64 is RFC 4648 section 4 with padding, canonical only.
 */
#ifndef PV_BYTES_H
#define PV_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct pv_buf
{
	uint8_t    *data;			/* the caller's memory */
	size_t		cap;			/* its size */
	size_t		len;			/* bytes written, or needed once overflowed */
	bool		overflow;		/* len is then what would have been needed */
} pv_buf;

typedef struct pv_reader
{
	const uint8_t *data;
	size_t		len;
	size_t		pos;
	bool		short_read;		/* something was read past the end */
} pv_reader;

extern void pv_buf_init(pv_buf *b, void *data, size_t cap);
extern void pv_put_bytes(pv_buf *b, const void *data, size_t len);
extern void pv_put_str(pv_buf *b, const char *s);	/* without the NUL */
extern void pv_put_u8(pv_buf *b, uint8_t v);
extern void pv_put_u16(pv_buf *b, uint16_t v);
extern void pv_put_u32(pv_buf *b, uint32_t v);
extern void pv_put_u64(pv_buf *b, uint64_t v);
extern void pv_put_decimal(pv_buf *b, uint64_t v);	/* ASCII, no leading zero */
extern void pv_put_base64(pv_buf *b, const void *data, size_t len);
extern void pv_put_hex(pv_buf *b, const void *data, size_t len);	/* lower case */

/* PV_OK, or PV_E_TOO_LONG after an overflow. */
extern pv_status pv_buf_status(const pv_buf *b);

extern void pv_reader_init(pv_reader *r, const void *data, size_t len);

/* Each returns zero, or NULL, past the end and sets short_read. */
extern uint8_t pv_get_u8(pv_reader *r);
extern uint16_t pv_get_u16(pv_reader *r);
extern uint32_t pv_get_u32(pv_reader *r);
extern uint64_t pv_get_u64(pv_reader *r);
extern const uint8_t *pv_get_bytes(pv_reader *r, size_t len);

/*
 * The next line without its 0x0A. False at the end of the input, or where the
 * rest holds no 0x0A (short_read is then set).
 */
extern bool pv_get_line(pv_reader *r, const char **line, size_t *len);

/* PV_OK, PV_E_TRUNCATED after a short read, PV_E_TRAILING if bytes are left. */
extern pv_status pv_reader_done(const pv_reader *r);

/*
 * ASCII decimal without sign or leading zero, "0" for zero, at most max.
 * PV_E_NUMBER otherwise.
 */
extern pv_status pv_parse_decimal(const char *s, size_t len, uint64_t max, uint64_t *out);

/*
 * Canonical base64 of s into out (cap bytes, at least 3 * (len / 4)); *outlen
 * gets the length. PV_E_BASE64 for anything that encoding the result again
 * does not give back byte for byte; PV_E_TOO_LONG if cap is too small. With
 * out == NULL only the form is checked.
 */
extern pv_status pv_base64_decode(const char *s, size_t len, uint8_t *out, size_t cap, size_t *outlen);

/* Exactly 2 * outlen lower-case hex digits. PV_E_HEX otherwise. */
extern pv_status pv_hex_decode(const char *s, size_t len, uint8_t *out, size_t outlen);

/* True if s is valid UTF-8 (RFC 3629: shortest form, no surrogates). */
extern bool pv_utf8_valid(const char *s, size_t len);

#endif							/* PV_BYTES_H */
