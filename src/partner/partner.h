/*
 * partner.h: what the files of this folder share: partners, their logs, and
 * the SQLSTATEs of a refused bundle.
 *
 * Nothing of a partner is believed before it is verified, and nothing is
 * written about it in a transaction that could roll back what has been handed
 * out or found (doc/architecture.md, "Partners").
 */
#ifndef PROV_PARTNER_H
#define PROV_PARTNER_H

#include "postgres.h"

#include "core/bundle.h"
#include "core/cosignature.h"
#include "ledger/catalog.h"
#include "ledger/request.h"
#include "types/types.h"

/* Why a bundle is refused: class PB, each with its own SQLSTATE (doc/reference.md). */
#define ERRCODE_BUNDLE_MALFORMED		MAKE_SQLSTATE('P','B','0','0','1')	/* a line is not as the format has it */
#define ERRCODE_BUNDLE_INCOMPLETE		MAKE_SQLSTATE('P','B','0','0','2')	/* it ends before its last line */
#define ERRCODE_BUNDLE_ORDER			MAKE_SQLSTATE('P','B','0','0','3')	/* lines out of order, doubled, of two bundles */
#define ERRCODE_BUNDLE_UNKNOWN_PARTNER	MAKE_SQLSTATE('P','B','0','0','4')	/* no partner has this origin */
#define ERRCODE_BUNDLE_NOT_TRUSTED		MAKE_SQLSTATE('P','B','0','0','5')	/* partner removed, or forked */
#define ERRCODE_BUNDLE_OWN				MAKE_SQLSTATE('P','B','0','0','6')	/* a bundle of this very log */
#define ERRCODE_BUNDLE_SIGNATURE		MAKE_SQLSTATE('P','B','0','0','7')	/* checkpoint not signed by a key of the partner */
#define ERRCODE_BUNDLE_WITNESSES		MAKE_SQLSTATE('P','B','0','0','8')	/* too few cosignatures */
#define ERRCODE_BUNDLE_STALE			MAKE_SQLSTATE('P','B','0','0','9')	/* smaller than what is known, on the same log */
#define ERRCODE_BUNDLE_UNPROVEN			MAKE_SQLSTATE('P','B','0','1','0')	/* no path between it and what is known */
#define ERRCODE_BUNDLE_INCONSISTENT		MAKE_SQLSTATE('P','B','0','1','1')	/* the consistency path does not hold */
#define ERRCODE_BUNDLE_FORKED			MAKE_SQLSTATE('P','B','0','1','2')	/* evidence of a fork, recorded */
#define ERRCODE_BUNDLE_FOREIGN			MAKE_SQLSTATE('P','B','0','1','3')	/* an entry of another origin or table */
#define ERRCODE_BUNDLE_COMMITMENT		MAKE_SQLSTATE('P','B','0','1','4')	/* fields do not give the commitment */
#define ERRCODE_BUNDLE_CHAIN			MAKE_SQLSTATE('P','B','0','1','5')	/* a row chain has a gap or a branch */
#define ERRCODE_BUNDLE_PATH				MAKE_SQLSTATE('P','B','0','1','6')	/* leaves and gaps give another root */
#define ERRCODE_BUNDLE_CONFLICT			MAKE_SQLSTATE('P','B','0','1','7')	/* another entry was merged at that place */
#define ERRCODE_BUNDLE_COUNTERSIGNATURE	MAKE_SQLSTATE('P','B','0','1','8')	/* a countersignature is wrong */
#define ERRCODE_INBOX_DISABLED			MAKE_SQLSTATE('P','B','0','1','9')	/* session_replication_role = replica */
#define ERRCODE_BUNDLE_FORK_UNRECORDED	MAKE_SQLSTATE('P','B','0','2','0')	/* evidence of a fork, not recorded */

typedef enum ProvPartnerState
{
	PROV_PARTNER_TRUSTED, PROV_PARTNER_FORKED, PROV_PARTNER_REMOVED
} ProvPartnerState;

typedef struct ProvPartner
{
	int32		partner_id;
	char	   *name;
	char	   *origin;			/* without incarnation */
	ProvPartnerState state;
	unsigned	nkeys;
	pv_vkey    *keys;			/* type PV_SIG_ED25519 */
	unsigned	nwitnesses;
	pv_vkey    *witnesses;		/* type PV_SIG_COSIGNATURE */
	int			quorum;
	bool		has_pseudonym_key;
	uint8		pseudonym_key[32];
} ProvPartner;

/* By name, or by origin (with or without incarnation); NULL if there is none. registry.c */
extern ProvPartner *prov_partner_by_name(const char *name);
extern ProvPartner *prov_partner_by_origin(const char *origin, size_t len);
extern ProvPartner *prov_partner_by_id(int32 partner_id);

/* The log of a partner by its full origin: its id, 0 if none was seen yet; made if so asked. */
extern int32 prov_partner_log(int32 partner_id, const char *origin, bool create);

/* The newest checkpoint seen of a log (size < 0), or that of a size; false if none. note may be NULL. */
extern bool prov_partner_checkpoint(int32 log_id, int64 size, int64 *found_size, pv_hash *root, Datum *note);

/* In the worker that records evidence. Nothing of a partner that was removed. */
extern void prov_partner_set_forked(int32 partner_id);

/*
 * In a worker's transaction: are these two checkpoints evidence of a fork of a
 * partner's log? Then it is recorded, and the partner's state set; the caller
 * commits. Evidence that was decided about changes nothing. fork.c
 */
typedef enum ProvForkOutcome
{
	PROV_FORK_NONE,				/* no evidence */
	PROV_FORK_RECORDED,			/* now or before; undecided */
	PROV_FORK_DECIDED
} ProvForkOutcome;

extern ProvForkOutcome prov_fork_heads(Datum a, Datum b);

extern void prov_partner_init(void);	/* request handlers; from _PG_init */

#endif							/* PROV_PARTNER_H */
