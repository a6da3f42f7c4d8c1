/*
 * proof.h: C2SP tlog-proof: an inclusion proof and its checkpoint as one text.
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>          (unauthenticated, optional)
 *   index <decimal>
 *   <base64 of a hash>      (leaf's sibling first)
 *                           (an empty line)
 *   <checkpoint>
 */
#ifndef PV_PROOF_H
#define PV_PROOF_H

#include "checkpoint.h"
#include "merkle.h"

#define PV_PROOF_MAX_LEN (PV_CHECKPOINT_MAX_LEN + 131072)

typedef struct pv_proof
{
	const char *extra;			/* base64 as it stands, or NULL */
	size_t		extralen;
	uint64_t	index;
	unsigned	npath;
	pv_hash		path[PV_MAX_PATH];
	const char *checkpoint;		/* verbatim, to the end of the input */
	size_t		checkpointlen;
} pv_proof;

/*
 * Parses the grammar of tlog-proof, strictly: no CR, canonical numbers and
 * base64. The checkpoint is not parsed (pv_checkpoint_parse() does).
 */
extern pv_status pv_proof_parse(const void *data, size_t len, pv_proof *out);

extern void pv_put_proof(pv_buf *b, uint64_t index, const pv_hash *path, unsigned npath,
						 const void *checkpoint, size_t checkpointlen);

#endif							/* PV_PROOF_H */
