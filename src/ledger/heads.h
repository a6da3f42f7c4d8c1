/*
 * heads.h: within the ledger folder: the newest leaf of each chain, as the
 * sealer holds it during a batch.
 */
#ifndef PROV_HEADS_H
#define PROV_HEADS_H

#include "ledger/store.h"

typedef struct ProvHeads ProvHeads;

/* A chain's end; belongs to ProvHeads. */
typedef struct ProvHead
{
	int64		last_leaf;		/* -1: none yet */
	pv_hash		hash;
} ProvHead;

/* In the current memory context; log identity's row key. */
extern ProvHeads *prov_heads_open(const uint8 row_key[PV_ROW_KEY_LEN]);

/*
 * Reads the heads that these entries need, in the order of their key. Writes
 * out and forgets what it held before, if that has become much: no head got
 * earlier stays valid.
 */
extern void prov_heads_load(ProvHeads *heads, const ProvEntry *entries, int n);

/* The end of the chain that the entry continues, NULL if it begins one. */
extern const ProvHead *prov_heads_get(ProvHeads *heads, const ProvEntry *entry);

/* The entry is the leaf. */
extern void prov_heads_put(ProvHeads *heads, const ProvEntry *entry, int64 leaf, const pv_hash *hash);

/* Writes everything out and closes. */
extern void prov_heads_close(ProvHeads *heads);

#endif							/* PROV_HEADS_H */
