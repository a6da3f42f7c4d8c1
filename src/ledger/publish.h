/*
 * publish.h: from a sealed log to a signed checkpoint.
 */
#ifndef PROV_PUBLISH_H
#define PROV_PUBLISH_H

#include "ledger/seal.h"

/* One signed head on its way out. */
typedef struct ProvSigned
{
	int64		size;
	pv_hash		root;
	char	   *note;
	Size		notelen;
} ProvSigned;

/*
 * The newest checkpoint of the log, as a copied tuple of checkpoint_note, or
 * NULL. Needs a transaction.
 */
extern HeapTuple prov_newest_checkpoint(int incarnation);

/* Its size and time; -1 and 0 if there is none. Own transaction. */
extern int64 prov_last_published(TimestampTz *signed_at);

/* prov_publish(), and the signer's state of mind in worker_state. */
extern bool prov_publish_and_report(char **reason);

/* --- announce.c: what follows a checkpoint, each in a step of its own --- */
extern void prov_announce(const char *origin, const ProvSigned *head);

#endif							/* PROV_PUBLISH_H */
