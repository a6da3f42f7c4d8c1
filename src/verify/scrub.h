/*
 * scrub.h: how far the scrubber has come: its row of scrub_state.
 */
#ifndef PROV_SCRUB_H
#define PROV_SCRUB_H

#include "verify/pieces.h"

typedef struct ScrubState
{
	bool		exists;			/* in this database; else it is all zero */
	PieceKind	kind;
	int32		table_id;		/* kind ROWS: the table; 0: none yet */
	int64		next;			/* piece */
	int64		end;
	int64		entries;
	int64		findings;
	TimestampTz started_at;
	TimestampTz last_ended_at;	/* 0: never */
	int64		last_entries;
	int64		last_findings;
} ScrubState;

/* Both in a transaction. */
extern void scrub_load(ScrubState *s);
extern void scrub_save(const ScrubState *s);

#endif							/* PROV_SCRUB_H */
