/*
 * request.h: having a background worker do what a session must not do in its
 * own transaction, because it would leave the server and could be rolled back.
 *
 * A request starts a short dynamic worker with a DSM segment that holds the
 * question and, later, the answer or the error. The caller waits, can be
 * cancelled, and waits at most provenance.wait_timeout.
 */
#ifndef PROV_REQUEST_H
#define PROV_REQUEST_H

#include "postgres.h"

#include "lib/stringinfo.h"

typedef enum ProvRequestKind
{
	PROV_REQUEST_SEAL = 1,
	PROV_REQUEST_DISCLOSURE,	/* partner/: records what an export gives away */
	PROV_REQUEST_FORK,			/* partner/: records evidence of a fork */
	PROV_REQUEST_COSIGN,		/* partner/: a cosignature on a partner's checkpoint */
	PROV_REQUEST_KINDS = 16		/* room for other folders' */
} ProvRequestKind;

/*
 * Runs in the worker, connected to the database, outside of any transaction,
 * with the sealer's lock held. Appends its answer. An ERROR becomes the
 * caller's, with SQLSTATE, message, detail and hint.
 */
typedef void (*ProvRequestHandler) (const char *question, Size len, StringInfo answer);

/*
 * From an Init function, so that workers know it too. what completes "cannot …"
 * in messages, as "seal the log" does.
 */
extern void prov_request_register(int kind, const char *what, ProvRequestHandler handler);

/*
 * Asks, waits, and returns the answer, in the current memory context. Checks
 * first that there is a log whose setup() is committed, that this is no
 * standby and no single-user session.
 */
extern StringInfo prov_request(int kind, const char *question, Size len, Size answer_max);

extern void prov_request_init(void);

#endif							/* PROV_REQUEST_H */
