/*
 * command.h: the subcommands. Each prints its own report to stdout, or the
 * reason why there is none, and returns the exit code.
 */
#ifndef VERIFIER_COMMAND_H
#define VERIFIER_COMMAND_H

#include "verifier/trust.h"

#define MAX_OPERANDS 1024

typedef struct Command
{
	Trust		trust;
	bool		json;
	bool		values;
	const char *since;			/* NULL: not given */
	const char *proofs[2];
	unsigned	nproofs;
	const char *leaves[2];
	unsigned	nleaves;
	const char *operands[MAX_OPERANDS];
	unsigned	noperands;
} Command;

extern Verdict command_bundle(Command *c);
extern Verdict command_proof(Command *c);
extern Verdict command_disclosure(Command *c);
extern Verdict command_tiles(Command *c);
extern Verdict command_fork(Command *c);

/* "… does not hold", for people or machines. kind: a word for JSON's type. */
extern Verdict report_fault(const Command *c, const char *kind, const char *file, const Fault *f);

/* The first members of each JSON report. */
extern void json_head(const char *kind, const char *file, bool holds);

/* A file as a whole, for the small formats; NULL: f is set. */
extern uint8_t *read_small(const char *path, size_t max, size_t *len, Fault *f);

/*
 * The same of a text, without the line end that psql adds to a value that ends
 * in one: such a text never ends in an empty line. At most max bytes are read, or
 * head_max of one that begins with head.
 */
extern uint8_t *read_text(const char *path, const char *head, size_t head_max, size_t max, size_t *len, Fault *f);

/* A leaf in a file: its 82 bytes, or those in hexadecimal, as psql prints a bytea. */
extern Verdict read_leaf(const char *path, uint8_t leaf[82], Fault *f);

#endif							/* VERIFIER_COMMAND_H */
