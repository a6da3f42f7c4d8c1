/*
 * context.h: who makes a change, with what, why and from where.
 *
 * A context is written once and shared by the entries of a session that were
 * made under the same nine values.
 */
#ifndef PROV_LEDGER_CONTEXT_H
#define PROV_LEDGER_CONTEXT_H

#include "postgres.h"

#include "core/commitment.h"

typedef struct ProvContextRef
{
	int64		id;
	pv_hash		commitment;
} ProvContextRef;

/*
 * The context of a change made now: one that the session knows, or a new row.
 * Valid until the next call.
 */
extern const ProvContextRef *prov_current_context(void);

/* 16 random bytes; drawn in blocks, a seed is forgotten once given out. */
extern void prov_random_seed(uint8 seed[PV_SEED_LEN]);

#endif							/* PROV_LEDGER_CONTEXT_H */
