/*
 * main.c: provenance-verify: checks what a database with provenance hands out,
 * without that database.
 *
 * Arguments only; each subcommand has a file of its own. Keys are the caller's
 * to bring: nothing in a file says whom to believe. Exit codes: 0 it holds, 1
 * it does not, 2 wrong arguments, 3 it could not be read to the end.
 */
#include <errno.h>
#include <string.h>

#include "verifier/command.h"

#ifndef PROVENANCE_VERSION
#define PROVENANCE_VERSION "unknown"
#endif

#define OPT_WITNESS 0x01
#define OPT_SINCE 0x02
#define OPT_VALUES 0x04
#define OPT_LEAF 0x08
#define OPT_PROOF 0x10

typedef struct Subcommand
{
	const char *name;
	Verdict		(*run) (Command *c);
	unsigned	options;
	unsigned	min;			/* operands */
	unsigned	max;
} Subcommand;

static const Subcommand subcommands[] = {
	{"bundle", command_bundle, OPT_WITNESS | OPT_SINCE | OPT_VALUES, 1, MAX_OPERANDS},
	{"proof", command_proof, OPT_WITNESS | OPT_SINCE | OPT_VALUES | OPT_LEAF, 1, 1},
	{"disclosure", command_disclosure, OPT_WITNESS | OPT_SINCE | OPT_VALUES, 1, MAX_OPERANDS},
	{"tiles", command_tiles, OPT_WITNESS | OPT_SINCE, 1, 1},
	{"fork", command_fork, OPT_LEAF | OPT_PROOF, 0, 2},
};

static const char help[] =
"provenance-verify checks what a database with provenance hands out, without\n"
"that database.\n"
"\n"
"Usage:\n"
"  provenance-verify bundle --key VKEY [options] FILE...\n"
"      what COPY wrote of export_bundle(), as text, csv or binary; - is stdin\n"
"  provenance-verify disclosure --key VKEY [options] FILE...\n"
"      one entry for a person, with its values\n"
"  provenance-verify proof --key VKEY [options] --leaf FILE PROOF\n"
"  provenance-verify proof --key VKEY [options] DISCLOSURE\n"
"      that an entry is in the log\n"
"  provenance-verify tiles --key VKEY [options] DIR\n"
"      a whole log as files, as export_tiles() writes it\n"
"  provenance-verify fork --key VKEY NOTE NOTE\n"
"  provenance-verify fork --key VKEY --proof FILE --leaf FILE --proof FILE --leaf FILE\n"
"      that a log has signed two pasts: of one size, or of one index\n"
"\n"
"Options:\n"
"  --key VKEY        a log's verifier key, from whom you trust; may be repeated\n"
"  --witness VKEY    a witness's key; may be repeated\n"
"  --quorum N        so many of the witnesses must have cosigned; all, if not given\n"
"  --since FILE      a checkpoint kept from before, which must be extended\n"
"  --leaf FILE       a leaf: its 82 bytes, or those in hexadecimal\n"
"  --values          print the disclosed values, too\n"
"  --json            for machines: one JSON object a line\n"
"  --help, --version\n"
"\n"
"Exit codes: 0 it holds; 1 it does not; 2 wrong arguments; 3 it could not be\n"
"read to its end, or not be decided. For fork, 0 is: the fork is proven.\n";

static int
usage(const char *message, const char *what)
{
	char		text[SHOW_MAX];

	fprintf(stderr, "provenance-verify: %s%s%s\n", message, what != NULL ? ": " : "",
			what != NULL ? show(what, strlen(what), text) : "");
	fputs("Try \"provenance-verify --help\".\n", stderr);
	return VERDICT_USAGE;
}

/* Takes an option's value: behind "=", or the next argument. */
static bool
option(const char *name, char **argv, int argc, int *i, const char **value)
{
	size_t		n = strlen(name);

	if (strncmp(argv[*i], name, n) != 0 || (argv[*i][n] != '\0' && argv[*i][n] != '='))
		return false;
	if (argv[*i][n] == '=')
		*value = argv[*i] + n + 1;
	else
		*value = *i + 1 < argc ? argv[++*i] : NULL;
	return true;
}

/* Fills *c; false after having said what is wrong, in *status then. */
static bool
parse(const Subcommand *sub, int argc, char **argv, Command *c, int *status)
{
	bool		only_operands = false;
	bool		quorum_given = false;
	uint64_t	quorum = 0;
	Fault		f = {VERDICT_HOLDS, 0, ""};

	*status = VERDICT_USAGE;
	for (int i = 2; i < argc; i++)
	{
		const char *arg = argv[i];
		const char *value = "";

		if (only_operands || arg[0] != '-' || arg[1] == '\0')
		{
			if (c->noperands == sub->max)
				return usage("too many arguments", arg), false;
			c->operands[c->noperands++] = arg;
		}
		else if (strcmp(arg, "--") == 0)
			only_operands = true;
		else if (strcmp(arg, "--json") == 0)
			c->json = true;
		else if (strcmp(arg, "--values") == 0 && (sub->options & OPT_VALUES) != 0)
			c->values = true;
		else if (option("--key", argv, argc, &i, &value))
		{
			if (value != NULL && trust_add(&c->trust, false, value, &f) != VERDICT_HOLDS)
				return *status = (int) f.verdict, usage(f.text, NULL), false;
		}
		else if ((sub->options & OPT_WITNESS) != 0 && option("--witness", argv, argc, &i, &value))
		{
			if (value != NULL && trust_add(&c->trust, true, value, &f) != VERDICT_HOLDS)
				return *status = (int) f.verdict, usage(f.text, NULL), false;
		}
		else if ((sub->options & OPT_WITNESS) != 0 && option("--quorum", argv, argc, &i, &value))
		{
			if (value != NULL && (pv_parse_decimal(value, strlen(value), TRUST_MAX, &quorum) != PV_OK || quorum == 0))
				return usage("--quorum is a number from 1 on", value), false;
			quorum_given = true;
		}
		else if ((sub->options & OPT_SINCE) != 0 && option("--since", argv, argc, &i, &value))
		{
			if (c->since != NULL)
				return usage("--since is given twice", NULL), false;
			c->since = value;
		}
		else if ((sub->options & OPT_PROOF) != 0 && option("--proof", argv, argc, &i, &value))
		{
			if (c->nproofs == 2)
				return usage("more than two proofs", NULL), false;
			c->proofs[c->nproofs++] = value;
		}
		else if ((sub->options & OPT_LEAF) != 0 && option("--leaf", argv, argc, &i, &value))
		{
			if (c->nleaves == ((sub->options & OPT_PROOF) != 0 ? 2 : 1))
				return usage("too many leaves", NULL), false;
			c->leaves[c->nleaves++] = value;
		}
		else
			return usage("there is no such option here", arg), false;
		if (value == NULL)
			return usage("a value is missing", arg), false;
	}

	if (c->trust.nkeys == 0)
		return usage("--key is missing: the verifier key of a log", NULL), false;
	if (quorum_given && quorum > c->trust.nwitnesses)
		return usage("the quorum is greater than the number of witnesses", NULL), false;
	c->trust.quorum = quorum_given ? (unsigned) quorum : c->trust.nwitnesses;
	if ((sub->options & OPT_PROOF) != 0)
	{
		/* two notes, or two proofs with a leaf each */
		if (!(c->noperands == 2 && c->nproofs == 0 && c->nleaves == 0) &&
			!(c->noperands == 0 && c->nproofs == 2 && c->nleaves == 2))
			return usage("two notes are needed, or two proofs with a leaf each", NULL), false;
	}
	else if (c->noperands < sub->min)
		return usage("a file is missing", NULL), false;
	return true;
}

int
main(int argc, char **argv)
{
	static Command c;
	const Subcommand *sub = NULL;
	Fault		f = {VERDICT_HOLDS, 0, ""};
	int			status;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
	{
		bool		wants_help = strcmp(argv[i], "--help") == 0 || (i == 1 && strcmp(argv[i], "help") == 0);

		if (wants_help || strcmp(argv[i], "--version") == 0)
		{
			fputs(wants_help ? help : "provenance-verify " PROVENANCE_VERSION "\n", stdout);
			return fflush(stdout) == 0 ? VERDICT_HOLDS : VERDICT_UNREADABLE;
		}
	}
	if (argc < 2)
		return usage("a subcommand is missing", NULL);
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
	{
		if (strcmp(argv[1], subcommands[i].name) == 0)
			sub = &subcommands[i];
	}
	if (sub == NULL)
		return usage("there is no such subcommand", argv[1]);
	if (pv_hasher_init(&c.trust.hasher) != PV_OK)
	{
		fputs("provenance-verify: libcrypto has no SHA-256\n", stderr);
		return VERDICT_UNREADABLE;
	}
	if (parse(sub, argc, argv, &c, &status))
	{
		if (c.since != NULL && trust_since(&c.trust, c.since, &f) != VERDICT_HOLDS)
			status = (int) report_fault(&c, sub->name, NULL, &f);
		else
			status = (int) sub->run(&c);
	}
	trust_free(&c.trust);
	if (fflush(stdout) != 0 || ferror(stdout))
	{
		fprintf(stderr, "provenance-verify: the report could not be written: %s\n", strerror(errno));
		status = VERDICT_UNREADABLE;
	}
	return status;
}
