/*
 * tally.h: what a bundle holds, counted while it is read: operations, times,
 * and how often each field is disclosed or withheld.
 *
 * Memory does not grow with the bundle: TALLY_NAMES names of fields are told
 * apart, what comes beyond that is counted together.
 */
#ifndef VERIFIER_TALLY_H
#define VERIFIER_TALLY_H

#include "core/bundle.h"

#define TALLY_NAMES 4096
#define TALLY_SLOTS 16384		/* a power of two, of a table at most a quarter full */

typedef struct TallyName
{
	char		name[PV_MAX_NAME];
	uint16_t	len;
	uint64_t	disclosed;
	uint64_t	withheld;
} TallyName;

typedef struct Tally
{
	uint64_t	entries;
	uint64_t	ops[PV_OP_LAST + 1];
	int64_t		first_time;
	int64_t		last_time;
	uint64_t	erased;
	uint64_t	countersignatures;
	uint64_t	pseudonyms;
	uint64_t	contexts_given; /* entries with something of their context */
	uint64_t	context[PV_CONTEXT_FIELDS]; /* of these, by field disclosed */
	TallyName	names[TALLY_NAMES + 1]; /* the last for all others */
	unsigned	nnames;
	/* how to find them */
	uint16_t	slots[TALLY_SLOTS]; /* 1 + name; 0: free */
	bool		known[PV_BUNDLE_SHAPES];
	uint16_t	columns[PV_BUNDLE_SHAPES][PV_MAX_FIELDS];	/* name of each column of a shape */
	bool		context_fields[PV_BUNDLE_CONTEXTS][PV_CONTEXT_FIELDS];
} Tally;

extern void tally_reset(Tally *t);

/* After each line that was read. */
extern void tally_line(Tally *t, const pv_bundle_reader *r);

#endif							/* VERIFIER_TALLY_H */
