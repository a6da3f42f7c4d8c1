/*
 * fork.c: `fork`: two statements of one log that cannot both be true.
 *
 * Either two signed checkpoints of one size with different roots, or two
 * proofs, under signed checkpoints of any size, of different leaves at one
 * index. Both must be signed by the log's key: the proof is then the log's
 * own, and anybody can check it. Exit code 0 says that the fork is proven.
 */
#include "verifier/command.h"

#include <stdlib.h>
#include <string.h>

#include "core/leaf.h"
#include "core/proof.h"

typedef struct Side
{
	uint8_t    *data;
	size_t		len;
	pv_checkpoint cp;
	pv_proof	proof;
	pv_hash		leaf;
	Signed		by;
} Side;

static Verdict
blame(Fault *f, const char *file)
{
	char		name[SHOW_MAX];
	Fault		why = *f;

	return fault_set(f, why.verdict, "%s: %s", show(file, strlen(file), name), why.text);
}

static Verdict
check_note(Command *c, const uint8_t *note, size_t len, Side *s, Fault *f)
{
	pv_status	status = pv_checkpoint_parse(note, len, &s->cp);

	if (status != PV_OK)
		return fault_set(f, VERDICT_FAILS, "not a checkpoint: %s", pv_status_text(status));
	return trust_evidence(&c->trust, &s->cp, &s->by, f);
}

static Verdict
check_proof(Command *c, const char *leaf_file, Side *s, Fault *f)
{
	uint8_t		leaf[PV_LEAF_LEN];
	pv_status	status = pv_proof_parse(s->data, s->len, &s->proof);

	if (status != PV_OK)
		return fault_set(f, VERDICT_FAILS, "not a proof: %s", pv_status_text(status));
	if (read_leaf(leaf_file, leaf, f) != VERDICT_HOLDS ||
		check_note(c, (const uint8_t *) s->proof.checkpoint, s->proof.checkpointlen, s, f) != VERDICT_HOLDS)
		return f->verdict;
	if ((status = pv_leaf_hash(&c->trust.hasher, leaf, PV_LEAF_LEN, &s->leaf)) == PV_OK)
		status = pv_verify_inclusion(&c->trust.hasher, &s->leaf, s->proof.index, s->cp.size, s->proof.path,
									 s->proof.npath, &s->cp.root);
	if (status != PV_OK)
		return fault_set(f, status == PV_E_CRYPTO ? VERDICT_UNREADABLE : VERDICT_FAILS, "the path from this leaf: %s",
						 pv_status_text(status));
	return VERDICT_HOLDS;
}

/* Do the two contradict each other? */
static Verdict
contradict(const Side *a, const Side *b, bool proofs, Fault *f)
{
	if (a->cp.originlen != b->cp.originlen || memcmp(a->cp.origin, b->cp.origin, a->cp.originlen) != 0)
		return fault_set(f, VERDICT_FAILS, "no fork is shown: they are of two logs");
	if (!proofs && a->cp.size != b->cp.size)
		return fault_set(f, VERDICT_FAILS,
						 "no fork is shown: the sizes are %llu and %llu, and a log grows; two roots of one size would contradict each other",
						 (unsigned long long) a->cp.size, (unsigned long long) b->cp.size);
	if (!proofs && pv_hash_equal(&a->cp.root, &b->cp.root))
		return fault_set(f, VERDICT_FAILS, "no fork is shown: both have the same size and root");
	if (proofs && a->proof.index != b->proof.index)
		return fault_set(f, VERDICT_FAILS, "no fork is shown: the indexes are %llu and %llu",
						 (unsigned long long) a->proof.index, (unsigned long long) b->proof.index);
	if (proofs && pv_hash_equal(&a->leaf, &b->leaf))
		return fault_set(f, VERDICT_FAILS, "no fork is shown: both are of the same leaf");
	return VERDICT_HOLDS;
}

static void
report_json(const Command *c, const Side *s, bool proofs)
{
	json_head("fork", NULL, true);
	json_text("origin", s[0].cp.origin, s[0].cp.originlen);
	if (proofs)
		json_number("leaf_index", s[0].proof.index);
	json_begin("statements", '[');
	for (int i = 0; i < 2; i++)
	{
		json_begin(NULL, '{');
		json_string("file", proofs ? c->proofs[i] : c->operands[i]);
		json_number("size", s[i].cp.size);
		json_hash("root", &s[i].cp.root);
		if (proofs)
			json_hash("leaf_hash", &s[i].leaf);
		json_signed(&c->trust, &s[i].by);
		json_end('}');
	}
	json_end(']');
	json_end('}');
	json_newline();
}

static void
report_text(const Command *c, const Side *s, bool proofs)
{
	char		text[SHOW_MAX];
	char		number[32];
	char		hex[2 * PV_HASH_LEN + 1];

	printf("The log %s is forked: it has signed two pasts.\n", show(s[0].cp.origin, s[0].cp.originlen, text));
	if (proofs)
		printf("These leaves have both been entry %s of it, counting from 0:\n", show_number(s[0].proof.index, number));
	else
		printf("These roots have both been those of its first %s entries:\n", show_number(s[0].cp.size, number));
	for (int i = 0; i < 2; i++)
	{
		const char *file = proofs ? c->proofs[i] : c->operands[i];

		printf("    %s in ", show_hash(proofs ? &s[i].leaf : &s[i].cp.root, hex));
		puts(show(file, strlen(file), text));
	}
	for (int i = 0; i < 2; i++)
	{
		printf("%s: ", i == 0 ? "First" : "Second");
		put_signed(&c->trust, &s[i].by);
	}
	puts("Whoever has these files and the log's key can check that.");
}

Verdict
command_fork(Command *c)
{
	static Side s[2];
	Fault		f = {VERDICT_HOLDS, 0, ""};
	bool		proofs = c->nproofs == 2;

	for (int i = 0; i < 2 && f.verdict == VERDICT_HOLDS; i++)
	{
		const char *file = proofs ? c->proofs[i] : c->operands[i];

		s[i].data = read_text(file, "", 0, proofs ? PV_PROOF_MAX_LEN : PV_CHECKPOINT_MAX_LEN, &s[i].len, &f);
		if (f.verdict == VERDICT_HOLDS)
		{
			if (proofs)
				check_proof(c, c->leaves[i], &s[i], &f);
			else
				check_note(c, s[i].data, s[i].len, &s[i], &f);
		}
		if (f.verdict != VERDICT_HOLDS)
			blame(&f, file);
	}
	if (f.verdict == VERDICT_HOLDS)
		contradict(&s[0], &s[1], proofs, &f);
	if (f.verdict != VERDICT_HOLDS)
		report_fault(c, "fork", NULL, &f);
	else if (c->json)
		report_json(c, s, proofs);
	else
		report_text(c, s, proofs);
	free(s[0].data);
	free(s[1].data);
	return f.verdict;
}
