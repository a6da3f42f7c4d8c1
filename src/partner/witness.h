/*
 * witness.h: cosignatures on our checkpoints, and the key for those on
 * partners'.
 *
 * What is stored of witnesses is a cache of what they signed: whoever asks
 * whether a checkpoint is witnessed has each signature verified again.
 */
#ifndef PROV_WITNESS_H
#define PROV_WITNESS_H

#include "partner/partner.h"

#include "ledger/signer.h"
#include "ledger/store.h"

/* The row of witness_policy; quorum 0 and no keys without one. */
typedef struct ProvWitnessPolicy
{
	int			quorum;
	unsigned	n;
	pv_vkey    *keys;			/* type PV_SIG_COSIGNATURE */
	char	  **vkeys;			/* their texts, as in checkpoint_cosignature */
} ProvWitnessPolicy;

/* What of the row is no key is left out. witness_policy.c */
extern void prov_witness_policy(ProvWitnessPolicy *out);

/* A stored cosignature of ours; line is UTF-8, without newline. cosignature.c */
typedef struct ProvCosignature
{
	char	   *witness;		/* vkey */
	char	   *line;
	size_t		len;
} ProvCosignature;

/*
 * A checkpoint of ours: bare note and root, copied; false if there is none of
 * that size (size < 0: the newest of the incarnation).
 */
extern bool prov_own_checkpoint(int incarnation, int64 size, int64 *found_size, Datum *note);

/* The lines stored for one, oldest first. */
extern ProvCosignature *prov_cosignatures(int incarnation, int64 size, int *n);

/*
 * The note of a checkpoint of ours with every good cosignature stored, for
 * bundles and files; NULL (0) if there is no such checkpoint. size as above.
 */
extern Datum prov_cosigned_checkpoint(int incarnation, int64 size);

/* The verifier key this database cosigns with; NULL: none yet. witness_key.c */
extern char *prov_witness_vkey(int incarnation);

/* The private half; NULL and *reason if it cannot be used. The directory is locked. */
extern ProvKey *prov_witness_key_load(const ProvStateDir *dir, const ProvIdentity *identity,
									  pv_vkey *vkey, char **reason);

/*
 * cosign.c: asks a worker to cosign, and returns the line in its text form.
 * What: a partner's name (old_size -1), or a checkpoint's note that somebody
 * showed. npath -1: no path was given.
 */
extern char *prov_cosign(int64 old_size, const pv_hash *path, int npath, const char *what, Size len);
extern void prov_cosign_handler(const char *question, Size len, StringInfo answer);

#endif							/* PROV_WITNESS_H */
