/*
 * bundle_report.h: what is said of a bundle.
 */
#ifndef VERIFIER_BUNDLE_REPORT_H
#define VERIFIER_BUNDLE_REPORT_H

#include "verifier/command.h"
#include "verifier/tally.h"

#define CLAIM_MAX 4096			/* bytes of recipient and purpose that are kept */

typedef struct Claim
{
	bool		given;
	char		text[CLAIM_MAX];
	size_t		len;
} Claim;

/* A bundle that holds. */
typedef struct Bundle
{
	const Command *c;
	const char *file;
	const char *format;
	const pv_bundle_reader *reader;	/* header and checkpoint */
	Signed		by;
	Tally		tally;
	Claim		recipient;
	Claim		purpose;
	pv_hash		digest;
} Bundle;

extern void report_bundle(const Bundle *b);

/* The values in a line that has some. */
extern void report_line(const Bundle *b, const pv_bundle_reader *r);

#endif							/* VERIFIER_BUNDLE_REPORT_H */
