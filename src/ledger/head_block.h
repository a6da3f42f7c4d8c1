/*
 * head_block.h: rows of table head: a few heads each.
 */
#ifndef PROV_HEAD_BLOCK_H
#define PROV_HEAD_BLOCK_H

#include "postgres.h"

#include "access/skey.h"
#include "utils/rel.h"

#include "ledger/store.h"

/* A row's newest leaf; of a table's own chain, too. */
typedef struct ProvHead
{
	int64		last_leaf;		/* -1: none yet */
	pv_hash		hash;
} ProvHead;

/* A head as stored: row identity, last leaf, its hash. */
#define PROV_HEAD_LEN (PV_ROW_ID_LEN + 8 + PV_HASH_LEN)

/*
 * Heads of a block. A block that is changed is written anew as a whole, so the
 * least is best if heads change one by one, the most if they change together.
 */
#define PROV_BLOCK_HEADS_MAX 12
#define PROV_BLOCK_HEADS_NEW 8	/* of a block made when others are full */
#define PROV_BLOCK_HEADS_READ (2 * PROV_BLOCK_HEADS_MAX)	/* a block with more is malformed */

static inline const uint8 *
prov_head_at(const uint8 *heads, int i)
{
	return heads + (Size) i * PROV_HEAD_LEN;
}

extern void prov_head_encode(const uint8 row_id[PV_ROW_ID_LEN], const ProvHead *head, uint8 *out);

/* False if it says what no head can. */
extern bool prov_head_decode(const uint8 *at, ProvHead *out);

/*
 * The heads of a row of the table: how many (0 to PROV_BLOCK_HEADS_READ), -1 if it is malformed. *heads
 * points into the value, or into a palloc'd copy of one that somebody else
 * has had compressed.
 */
extern int	prov_head_block(Datum value, bool isnull, const uint8 **heads);

/* Which of n heads is that of a row identity; -1: none. */
static inline int
prov_head_find(const uint8 *heads, int n, const uint8 row_id[PV_ROW_ID_LEN])
{
	int			i;

	for (i = 0; i < n; i++)
		if (memcmp(prov_head_at(heads, i), row_id, PV_ROW_ID_LEN) == 0)
			return i;
	return -1;
}

/* A palloc'd copy of n heads in ascending order of their row identities. */
extern uint8 *prov_heads_sorted(const uint8 *heads, int n);

/* Whether a block that is not malformed has the head that it has to, and none that is less. */
extern bool prov_head_block_begins(const uint8 *from, const uint8 *heads, int n);

/*
 * The block after the one that a row identity belongs to: its from_row_id, and
 * whether it begins as it has to. False if there is none.
 */
extern bool prov_head_next(const uint8 row_id[PV_ROW_ID_LEN], Snapshot snapshot, uint8 from[PV_ROW_ID_LEN], bool *good);

/* The stored head of a row chain; false if there is none, or none that can be read. */
extern bool prov_head_fetch(const uint8 row_id[PV_ROW_ID_LEN], Snapshot snapshot, ProvHead *out);

/* A new version of a row of head or table_head, or where there is none its first. */
extern void prov_head_write(ProvWriter *w, const ItemPointerData *tid, Datum *values, bool *nulls);

/*
 * Writes a block with n heads that are new or changed, in order, into those
 * that it has; as several blocks if they are too many.
 */
extern void prov_head_block_write(ProvWriter *w, const ItemPointerData *tid, const uint8 *from,
								  const uint8 *stored, int nstored, const uint8 *changed, int n);

/*
 * Blocks in descending order: steps along the index as long as the next one
 * is near, descends again where it is not.
 */
typedef struct ProvBlockScan
{
	struct IndexScanDescData *scan;
	ScanKeyData key;
	struct TupleTableSlot *slot;	/* the block that it stands on, deformed */
	bool		positioned;		/* on an index entry */
	bool		adjacent;		/* the block after it is the one it stood on before */
	int			patience;
} ProvBlockScan;

extern void prov_block_scan_begin(ProvBlockScan *s, Relation rel);

/*
 * Goes to the block of a row identity that is less than the one of the block
 * it stands on; false if there is none, nor for any lesser one.
 */
extern bool prov_block_scan_find(ProvBlockScan *s, const uint8 *row_id);
extern void prov_block_scan_end(ProvBlockScan *s);

#endif							/* PROV_HEAD_BLOCK_H */
