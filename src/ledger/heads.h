/*
 * heads.h: within the ledger folder: the newest leaf of each chain, as the
 * sealer holds it during a batch.
 */
#ifndef PROV_HEADS_H
#define PROV_HEADS_H

#include "ledger/head_block.h"
#include "ledger/store.h"

typedef struct ProvHeads ProvHeads;

/* In the current memory context; log identity's row key. */
extern ProvHeads *prov_heads_open(const uint8 row_key[PV_ROW_KEY_LEN]);

/* The chain that an entry continues or begins: its row's, or its table's own. */
typedef struct ProvChain
{
	struct TableHead *table;
	struct RowHead *row;		/* NULL: the table's own chain */
} ProvChain;

/*
 * Finds the chains of n entries, reading in the order of their key what is not
 * held. Writes out and forgets what was held before, if that has become much:
 * no chain found earlier stays valid.
 */
extern void prov_heads_load(ProvHeads *heads, const ProvEntry *entries, int n, ProvChain *chains);

/* The end of the chain, NULL if it has none yet; belongs to ProvHeads. */
extern const ProvHead *prov_chain_end(const ProvChain *chain);

/* Would a candidate that continues this chain now be surplus (candidate.h)? */
extern bool prov_chain_surplus(const ProvChain *chain);

/* The entry becomes the end of the chain, as that leaf. */
extern void prov_chain_extend(ProvChain *chain, const ProvEntry *entry, int64 leaf, const pv_hash *hash);

/* Writes everything out and closes. */
extern void prov_heads_close(ProvHeads *heads);

#endif							/* PROV_HEADS_H */
