/*
 * chain_store.h: what is known of rows, gathered in any order and read back row
 * by row: of each entry what its chain and its image say, of each row of a
 * table what it is now.
 *
 * The items are divided by row identity into CHAIN_PARTS parts, each of which
 * holds all there is of its rows and is read, sorted, by itself.
 */
#ifndef PROV_CHAIN_STORE_H
#define PROV_CHAIN_STORE_H

#include "verify/verify.h"

typedef struct ChainItem
{
	uint8		row_id[PV_ROW_ID_LEN];
	int32		table_id;
	int16		op;
	bool		has_image;
	bool		hash_good;		/* the entry gives it */
	int64		position;		/* leaf, UNSEALED_POSITION + n, or ROW_POSITION */
	int64		seq;			/* of a row: where it is */
	uint64		xid;			/* of a row: its relation */
	int64		prev_leaf;		/* -1: none */
	int32		shape_id;
	uint8		image[PV_FINGERPRINT_LEN];
	pv_hash		hash;			/* leaf hash as stored; of sealed ones */
} ChainItem;

#define UNSEALED_POSITION (INT64CONST(1) << 62)
#define ROW_POSITION PG_INT64_MAX	/* a row of a table: after all its entries */

#define CHAIN_PARTS 64
#define CHAIN_EVENTS CHAIN_PARTS	/* one more, of the events of tables */

static inline int
chain_part(const uint8 *row_id)
{
	return row_id[0] / (256 / CHAIN_PARTS);
}

/* Is there one file for all parts? By the size of the log and maintenance_work_mem. */
extern bool chain_one_file(const Verify *v);

typedef struct ChainStore ChainStore;
extern ChainStore *chain_store_create(Verify *v);
extern void chain_store_put(ChainStore *s, const ChainItem *item);
extern void chain_store_put_event(ChainStore *s, const ChainItem *item);

/* Nothing more is put, and other processes can read it. */
extern void chain_store_export(ChainStore *s);
extern void chain_store_destroy(ChainStore *s);

/* The items of a part, by row identity, table, position. */
typedef struct ChainReader ChainReader;
extern ChainReader *chain_reader_open(ChainStore *s, int part);
extern ChainReader *chain_reader_open_others(ChainStore *s, int part);	/* what participants exported */
extern bool chain_reader_next(ChainReader *r, ChainItem *item);
extern void chain_reader_close(ChainReader *r);

/* ---- chain_heads.c: the table of heads, read in the order of row identities ---- */

typedef struct ChainHead
{
	uint8		row_id[PV_ROW_ID_LEN];
	int64		leaf;			/* -1: not known */
	pv_hash		hash;
} ChainHead;

typedef struct ChainHeads ChainHeads;
extern ChainHeads *chain_heads_open(Verify *v);

/*
 * The head of a row; identities must come in rising order. NULL: there is none.
 * *ok false: it cannot be read, v->fault says why.
 */
extern const ChainHead *chain_heads_find(ChainHeads *h, const uint8 *row_id, bool *ok);
extern void chain_heads_close(ChainHeads *h);

/* The head of a table's own chain. */
extern bool chain_own_head(Verify *v, int32 table_id, ChainHead *head, bool *ok);

#endif							/* PROV_CHAIN_STORE_H */
