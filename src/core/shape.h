/*
 * shape.h: one version of a tagged table's column list (doc/format.md,
 * "Shape").
 *
 *   version 0x01, u16 + origin (without incarnation), u32 table id, u16 +
 *   schema, u16 + table, u16 number of columns, then each column: u16 + name,
 *   u16 + type, u16 key position (1.. for key columns, 0 otherwise).
 *
 * Shape digest = SHA-256(0x05 || these bytes). Names are unique; key positions
 * are 1..k, each once. Names and types are UTF-8 without U+0000; schema, table
 * and column names are 1..255 bytes, types 1..1023; at least one column.
 */
#ifndef PV_SHAPE_H
#define PV_SHAPE_H

#include "commitment.h"

#define PV_SHAPE_VERSION 0x01
#define PV_MAX_TYPE 1023		/* bytes of a type's name */

typedef struct pv_column
{
	pv_name		name;
	pv_name		type;			/* format_type under search_path pg_catalog */
	uint16_t	key_pos;		/* 0: not of the key */
} pv_column;

typedef struct pv_shape
{
	pv_name		origin;
	uint32_t	table_id;
	pv_name		schema;
	pv_name		table;
	uint16_t	ncolumns;
	uint16_t	nkeys;			/* columns with a key position */
	pv_column  *columns;		/* ncolumns, the caller's memory */
} pv_shape;

extern size_t pv_shape_size(const pv_shape *shape);

/* Checks the same rules as decoding, and writes nothing if one is broken. */
extern pv_status pv_shape_encode(const pv_shape *shape, pv_buf *b);

/*
 * Decodes into *shape; names point into data, columns go into the caller's
 * array of cap columns. Every rule of the format is checked: PV_E_VERSION,
 * PV_E_TRUNCATED, PV_E_TRAILING, PV_E_NAME (origin, empty, too long, U+0000),
 * PV_E_UTF8, PV_E_COUNT (columns), PV_E_DUPLICATE, PV_E_VALUE (key positions).
 */
extern pv_status pv_shape_decode(const void *data, size_t len, pv_shape *shape, pv_column *columns, size_t cap);

/* SHA-256(0x05 || encoded shape). */
extern pv_status pv_shape_digest(pv_hasher *h, const void *encoded, size_t len, pv_hash *out);

#endif							/* PV_SHAPE_H */
