/*
 * trust.h: what the caller believes: keys of logs, keys of witnesses, how many
 * of these are needed, and a checkpoint kept from before.
 */
#ifndef VERIFIER_TRUST_H
#define VERIFIER_TRUST_H

#include "core/cosignature.h"
#include "core/merkle.h"
#include "verifier/report.h"

#define TRUST_MAX 64

typedef struct Trust
{
	pv_hasher	hasher;
	pv_vkey		keys[TRUST_MAX];
	unsigned	nkeys;
	pv_vkey		witnesses[TRUST_MAX];
	unsigned	nwitnesses;
	unsigned	quorum;			/* that many of them */
	bool		since_given;
	uint8_t    *since_note;		/* as kept */
	pv_checkpoint since;		/* verified */
} Trust;

/* Whose signatures a checkpoint has. */
typedef struct Signed
{
	bool		by[TRUST_MAX];	/* of the keys */
	bool		cosigned[TRUST_MAX];	/* of the witnesses */
	uint64_t	seconds[TRUST_MAX];
	unsigned	ncosigned;
} Signed;

/* Adds a key, to the keys or to the witnesses. */
extern Verdict trust_add(Trust *t, bool witness, const char *vkey, Fault *f);

/* Reads the kept checkpoint, after all keys. */
extern Verdict trust_since(Trust *t, const char *path, Fault *f);
extern void trust_free(Trust *t);

/* Signed by a key of its origin, and by as many witnesses as asked for? */
extern Verdict trust_checkpoint(const Trust *t, const pv_checkpoint *cp, Signed *s, Fault *f);

/*
 * The same of what is held against the log: one good signature will do. A
 * wrong line for another key may be there so that this should not hold.
 */
extern Verdict trust_evidence(const Trust *t, const pv_checkpoint *cp, Signed *s, Fault *f);

/* "signed by …, cosigned by …", as sentences or as members of a JSON object. */
extern void put_signed(const Trust *t, const Signed *s);
extern void json_signed(const Trust *t, const Signed *s);

#endif							/* VERIFIER_TRUST_H */
