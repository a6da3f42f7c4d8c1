/*
 * chain_row.h: one row chain, entry by entry, and the row against its end.
 */
#ifndef PROV_CHAIN_ROW_H
#define PROV_CHAIN_ROW_H

#include "verify/chain_store.h"
#include "verify/table_events.h"

/* What is known of a table whose rows are read. */
typedef struct TableGroup
{
	TableState *state;
	uint8		own_id[PV_ROW_ID_LEN];	/* of the table's own chain */
	bool		has_own_id;
	bool		any;			/* there are entries */
	TableEvents events;			/* of this table, by position */
	int64		last_tag;		/* position; -1: none */
	int64		last_erase;		/* the same, of its own chain */

	TableRows  *rows;
	bool		complete;		/* rows are all rows of the table */
} TableGroup;

/* What is known of the row whose entries are being read. */
typedef struct Chain
{
	bool		any;
	ChainItem	last;
	bool		exists;			/* after `state` */
	ChainItem	state;			/* the last entry that says what the row is */
	int64		missing;		/* images that are gone, and no later entry says so */
	ChainItem	first_missing;
} Chain;

/* The leaf of an entry; -1 while it has none. */
extern int64 chain_leaf_of(const ChainItem *item);

/* The row of a table that an item is. */
extern TableRow chain_row_of(const ChainItem *item);

/* The next entry of the row, in the order of the log. */
extern void chain_row_entry(Verify *v, TableGroup *g, Chain *chain, const ChainItem *item);

/*
 * All there is of a row is read: its entries, of which last_sealed is the last
 * with a leaf, and the row itself. Either may be missing.
 */
extern void chain_row_end(Verify *v, TableGroup *g, ChainHeads *heads, Chain *chain, const ChainItem *last_sealed,
						  const TableRow *row);

#endif							/* PROV_CHAIN_ROW_H */
