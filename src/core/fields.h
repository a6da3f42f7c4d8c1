/*
 * fields.h: the stored form of an image, a context or an event: a list of
 * values without their names (doc/format.md, "Value list").
 *
 *   version byte 0x01, then each value: 0xFF for NULL; one length byte
 *   0x00..0xFD and as many bytes; or 0xFE, a u32 length of at least 254, and
 *   as many bytes.
 *
 * The names come from elsewhere: the shape for a row, the operation for an
 * event, the fixed list for a context.
 */
#ifndef PV_FIELDS_H
#define PV_FIELDS_H

#include "bytes.h"

#define PV_VALUES_VERSION 0x01

/* Columns of a table and fields of an event are at most this many. */
#define PV_MAX_FIELDS 1664

/* A value; data == NULL means NULL (a zero-length value has data != NULL). */
typedef struct pv_value
{
	const uint8_t *data;
	uint32_t	len;
} pv_value;

/* Bytes that n values take in the stored form, the version byte included. */
extern size_t pv_values_size(const pv_value *values, size_t n);

extern void pv_put_values(pv_buf *b, const pv_value *values, size_t n);

/*
 * Splits a stored list into at most cap values that point into data; *n gets
 * their number. PV_E_VERSION, PV_E_TRUNCATED, PV_E_NUMBER (a length that has a
 * shorter form), PV_E_COUNT (more than cap).
 */
extern pv_status pv_get_values(const void *data, size_t len, pv_value *values, size_t cap, size_t *n);

#endif							/* PV_FIELDS_H */
