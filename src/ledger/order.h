/*
 * order.h: within the ledger folder: finding the entries that wait for the
 * sealer. What others need is in log.h.
 */
#ifndef PROV_ORDER_H
#define PROV_ORDER_H

#include "ledger/log.h"

#include "utils/tuplesort.h"

/* One waiting entry; greatest is the greatest seq of its transaction. False to stop. */
typedef bool (*ProvVisit) (void *arg, HeapTuple tup, TupleDesc desc, int64 greatest);

/* The state is not this database's, or there is none. */
extern bool prov_fresh_start(const ProvSealState *state);

/* True if the snapshot holds the transaction to be over, or it is our own. */
extern bool prov_xid_over(FullTransactionId xid, Snapshot snapshot);

/*
 * Visits the visible entries that no seq_block maps (fresh.c). Returns the
 * floor: the greatest seq of an entry with an xid that this cluster has still
 * before it or running; -1 if none.
 */
extern int64 prov_visit_unmapped(const ProvSealState *state, Snapshot snapshot, ProvVisit visit, void *arg);

/* A sort by the first nkeys (at most 3) columns, all int8. */
extern Tuplesortstate *prov_sort_begin(TupleDesc desc, int nkeys);
extern int	prov_sort_memory(void);

#endif							/* PROV_ORDER_H */
