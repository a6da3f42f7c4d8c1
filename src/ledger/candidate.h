/*
 * candidate.h: within the ledger folder: candidate baselines.
 *
 * A table tagged with baseline => 'later' gets its baselines while it is being
 * written: one from the worker for each row that it finds, and one from capture
 * before each change, of the row as it was. Neither knows of the other, so
 * both write candidates. In the order of the log the first one of a row that
 * has no entry since the table was tagged becomes its baseline; every other is
 * surplus, gets no place, and is deleted by the sealer. doc/architecture.md,
 * "Baselines later".
 */
#ifndef PROV_CANDIDATE_H
#define PROV_CANDIDATE_H

#include "ledger/store.h"

/*
 * The rule, for the sealer and for readers of what is not sealed yet. Places
 * in the log, -1 for none: of the row's last entry, of the table's last `tag`
 * and `truncate`.
 */
static inline bool
prov_candidate_surplus(int64 last, int64 tagged, int64 truncated)
{
	return last > tagged || truncated > tagged;
}

/*
 * What a reader of unsealed entries needs to apply it: begin, add() each
 * candidate in whatever order, load(), then pass() every entry in the order of
 * the log: false for a surplus candidate. Allocates in the memory context of
 * begin; memory: about 50 bytes for each row with a candidate.
 */
typedef struct ProvCandidates ProvCandidates;

extern ProvCandidates *prov_candidates_begin(void);
extern void prov_candidates_add(ProvCandidates *c, const ProvEntry *entry);
extern void prov_candidates_load(ProvCandidates *c, Snapshot snapshot);
extern bool prov_candidates_pass(ProvCandidates *c, const ProvEntry *entry);

#endif							/* PROV_CANDIDATE_H */
