/*
 * disclosure.h: one entry as a text for a person (doc/format.md, "Disclosure"):
 * leaf, shape, the fields disclosed with salt and value, the digests of those
 * withheld, and the proof that the leaf is in the log.
 *
 * A disclosure holds pointers into memory of the caller: what it is written
 * from, or the text that was parsed and the caller's scratch beside it. The
 * structure is large (some 220 kB): not for the stack.
 */
#ifndef PV_DISCLOSURE_H
#define PV_DISCLOSURE_H

#include "leaf.h"
#include "proof.h"
#include "shape.h"

#define PV_DISCLOSURE_MAX_LEN 0x7FFFFFFF

typedef struct pv_disclosed
{
	pv_name		name;			/* a parsed one points into shape or constants */
	bool		withheld;
	pv_hash		digest;			/* if withheld */
	uint8_t		salt[PV_SALT_LEN];	/* the rest if disclosed */
	pv_value	value;
} pv_disclosed;

typedef struct pv_disclosure
{
	uint8_t		leaf_bytes[PV_LEAF_LEN];
	pv_leaf		leaf;			/* filled by parsing; not read by writing */
	const uint8_t *shape_bytes;
	size_t		shape_len;
	pv_shape	shape;			/* filled by parsing; not read by writing */
	pv_column	columns[PV_MAX_FIELDS];

	bool		context_given;
	pv_hash		context_digest; /* digest 0, if the context is not given */
	pv_hash		context_commitment; /* the rest if it is given */
	uint8_t		context_salt[PV_SALT_LEN];	/* salt 0 of the entry */
	pv_disclosed context[PV_CONTEXT_FIELDS];

	size_t		nfields;
	pv_disclosed fields[PV_MAX_FIELDS];

	const char *proof;			/* tlog-proof, verbatim */
	size_t		prooflen;
} pv_disclosure;

/* Where parsing stopped, for a message. */
typedef struct pv_fault
{
	size_t		line;			/* 1: the first */
	const char *part;			/* a constant */
} pv_fault;

/*
 * Parses everything but the proof, which begins at *proof and goes to the end
 * (pv_proof_parse() and pv_checkpoint_parse() are for the rest). scratch gets
 * what base64 stands for: len bytes are always enough. On failure *fault says
 * where.
 */
extern pv_status pv_disclosure_parse(const void *data, size_t len, uint8_t *scratch, size_t cap,
									 pv_disclosure *out, pv_fault *fault);

extern void pv_put_disclosure(pv_buf *b, const pv_disclosure *d);

/*
 * The names of the fields that an operation has under a shape, in order, into
 * names (room for PV_MAX_FIELDS); their number.
 */
extern size_t pv_field_names(unsigned op, const pv_shape *shape, pv_name *names);

/*
 * Does a parsed disclosure hold? keys are those that its reader trusts. proof
 * and checkpoint are scratch, and hold the parsed ones afterwards. If it does
 * not, *what is a phrase for what does not hold first.
 */
extern pv_status pv_disclosure_verify(pv_hasher *h, const pv_disclosure *d, const pv_vkey *keys, unsigned nkeys,
									  pv_proof *proof, pv_checkpoint *checkpoint, const char **what);

/* The digest of a field: computed if it is disclosed, else the one given. */
extern pv_status pv_disclosed_digest(pv_hasher *h, uint8_t domain, const pv_disclosed *f, pv_hash *out);

/* Do the PV_CONTEXT_FIELDS fields give the context commitment? PV_E_COMMITMENT. */
extern pv_status pv_disclosed_context_verify(pv_hasher *h, const pv_disclosed *fields, const pv_hash *commitment);

/* Digest 0 of an entry, from its salt 0 and the context commitment. */
extern pv_status pv_context_digest(pv_hasher *h, const uint8_t salt[PV_SALT_LEN], const pv_hash *commitment,
								   pv_hash *out);

/*
 * Do n fields of an operation, under a shape and with digest 0, give the record
 * commitment? Sets their names. PV_E_COUNT, PV_E_COMMITMENT.
 */
extern pv_status pv_disclosed_record_verify(pv_hasher *h, unsigned op, const pv_shape *shape, const pv_hash *shape_digest,
											const pv_hash *digest0, pv_disclosed *fields, size_t n,
											const pv_hash *commitment);

/* Is it the origin of the log, or of an incarnation of it? */
extern bool pv_same_log(pv_name log, const char *origin, size_t len);

/*
 * Is the text written as it is? UTF-8, not empty, nothing in it that a reader
 * would not see.
 */
extern bool pv_text_plain(const uint8_t *s, size_t len);

#endif							/* PV_DISCLOSURE_H */
