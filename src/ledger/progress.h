/*
 * progress.h: what long work of this server's backends has come to, for other
 * sessions to see (view progress).
 *
 * In shared memory, so only where the library is preloaded; elsewhere
 * prov_progress_begin() returns NULL, which the other functions accept.
 */
#ifndef PROV_PROGRESS_H
#define PROV_PROGRESS_H

#include "postgres.h"

typedef struct ProvProgress ProvProgress;

/*
 * Takes a slot, given back by prov_progress_end() or, after an error, when the
 * current memory context is reset. NULL also if all slots are taken.
 */
extern ProvProgress *prov_progress_begin(void);

/* what: a phase, short, without names or values; total 0: not known. */
extern void prov_progress_phase(ProvProgress *p, const char *what, int64 total);
extern void prov_progress_done(ProvProgress *p, int64 done);
extern void prov_progress_end(ProvProgress *p);

extern void prov_progress_init(void);	/* from prov_ledger_init() */

#endif							/* PROV_PROGRESS_H */
