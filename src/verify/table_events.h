/*
 * table_events.h: the events of tables that bear on their rows (table_events.c).
 */
#ifndef PROV_TABLE_EVENTS_H
#define PROV_TABLE_EVENTS_H

#include "verify/chain_store.h"

typedef struct TableEvent
{
	int32		table_id;
	int			op;				/* truncate, tag, untag, schema; erase in the table's own chain */
	int64		position;
	uint64		xid;
	int64		seq;
} TableEvent;

typedef struct TableEvents
{
	TableEvent *items;			/* after sorting by table and position */
	int64		n;
	int64		cap;
} TableEvents;

extern bool table_events_is(const Verify *v, const ChainItem *item);	/* is it such an event? */

/* Notes the entry if it is such an event. */
extern void table_events_add(Verify *v, TableEvents *e, const ChainItem *item);
extern void table_events_sort(TableEvents *e);

/* Those of one table, as a part of the list. */
extern TableEvents table_events_of(const TableEvents *e, int32 table_id);

/* The last one of that kind, or NULL; and: is there a truncate in (after, before)? */
extern const TableEvent *table_events_last(const TableEvents *of, int op);
extern bool table_events_truncated(const TableEvents *of, int64 after, int64 before);

/* Compares the registry with the table's entries; corrects state->tagged. */
extern void verify_registry_row(Verify *v, TableState *state, const TableEvents *of);

#endif							/* PROV_TABLE_EVENTS_H */
