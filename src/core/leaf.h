/*
 * leaf.h: the canonical bytes of an entry as they stand in the log
 * (doc/format.md, "Leaf"). 82 bytes:
 *
 *   0   1  version 0x01
 *   1   1  operation
 *   2   8  time, microseconds since 1970-01-01 UTC, two's complement
 *  10   8  transaction id
 *  18  32  leaf hash of the row's previous entry, zeros if none
 *  50  32  record commitment
 */
#ifndef PV_LEAF_H
#define PV_LEAF_H

#include "commitment.h"

#define PV_LEAF_VERSION 0x01
#define PV_LEAF_LEN 82

typedef enum pv_op
{
	PV_OP_INSERT = 1,
	PV_OP_UPDATE = 2,
	PV_OP_DELETE = 3,
	PV_OP_BASELINE = 4,
	PV_OP_TRUNCATE = 5,
	PV_OP_TAG = 6,
	PV_OP_UNTAG = 7,
	PV_OP_SCHEMA = 8,
	PV_OP_ATTACH = 9,
	PV_OP_DETACH = 10,
	PV_OP_ERASE = 11
} pv_op;

#define PV_OP_LAST PV_OP_ERASE

typedef struct pv_leaf
{
	uint8_t		op;
	int64_t		time_us;
	uint64_t	xid;
	pv_hash		prev;
	pv_hash		commitment;
} pv_leaf;

/* "insert", …; NULL for a number that is no operation. */
extern const char *pv_op_name(unsigned op);

/* Operations on a row carry the row's columns, the others a list of their own. */
extern bool pv_op_is_row(unsigned op);

/*
 * Field names of an event (truncate, tag, untag, schema, attach, detach,
 * erase) in order; *n gets their number. NULL for the operations of rows.
 */
extern const pv_name *pv_op_fields(unsigned op, size_t *n);

extern void pv_leaf_encode(const pv_leaf *leaf, uint8_t out[PV_LEAF_LEN]);

/* PV_E_TRUNCATED, PV_E_TRAILING, PV_E_VERSION, PV_E_VALUE (operation). */
extern pv_status pv_leaf_decode(const void *data, size_t len, pv_leaf *out);

#endif							/* PV_LEAF_H */
