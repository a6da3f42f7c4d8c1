/*
 * seal.h: sealing, signing, publishing: the sealer's part, and asking for it.
 *
 * All of it runs in background workers (doc/architecture.md, "Who seals").
 * prov_seal_batch() is one transaction: order, link, extend the tree.
 * prov_publish() checks and moves the signer's state, signs, and writes the
 * checkpoint row. Both need the sealer's lock.
 */
#ifndef PROV_SEAL_H
#define PROV_SEAL_H

#include "ledger/log.h"

/* Advisory lock tags that SQL cannot take (field 4 is neither 1 nor 2). */
extern bool prov_lock_sealer(bool dont_wait);	/* session lock; false if not had */
extern void prov_unlock_sealer(void);

/*
 * To the end of the transaction: the ledger is being dropped, or its identity
 * or keys change, and nothing is to be sealed or signed before the commit.
 */
extern void prov_lock_sealer_xact(void);
extern bool prov_sealer_locked_here(void);
extern void prov_lock_countersign(uint32 hash);	/* to the end of the transaction */
extern void prov_lock_handover(uint32 hash);
extern bool prov_lock_standing(void);	/* held by the standing worker; conditional */
extern void prov_unlock_standing(void);
extern bool prov_standing_worker_runs(void);	/* one conditional lock attempt */
extern bool prov_lock_scrubber(void);	/* the same two of the scrubber; its lock goes with the process */
extern bool prov_scrubber_runs(void);

/*
 * To the end of the transaction: changes of the registry of partners; merges of
 * one partner. Who takes both takes the merge's first: it is held while a
 * worker that records a fork takes the other.
 */
extern void prov_lock_partners_xact(void);
extern bool prov_partners_locked_here(void);
extern void prov_lock_merge_xact(int32 partner_id);

/*
 * Seals what is committed and not yet in the log: runs its own transaction.
 * Returns the number of entries sealed; *size gets the log's size after. On
 * an ERROR the transaction is gone and nothing of it remains. If somebody
 * wants the database (prov_database_wanted()) it gives way: rolls back and
 * returns 0.
 */
extern int64 prov_seal_batch(int64 *size);

/*
 * True if someone is dropping, renaming or copying this database: a worker
 * leaves then. One conditional lock attempt (worker.c).
 */
extern bool prov_database_wanted(void);

/*
 * Signs and publishes the head of the log if it has grown since the last
 * checkpoint, or if there is none. Own transactions. False and *reason if the
 * signer is stopped.
 */
extern bool prov_publish(char **reason);

/* Called by capture: starts the standing worker if none runs (rate-limited). */
extern void prov_poke_worker(void);

extern void prov_ledger_init(void);	/* GUCs, launcher; from _PG_init */

#endif							/* PROV_SEAL_H */
