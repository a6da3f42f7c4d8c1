/*
 * proof.c: `proof` and `disclosure`: one entry.
 *
 * A tlog-proof knows no leaf; it is given with one (--leaf). A disclosure has
 * both, and says what is in the entry besides. `proof` takes either, and of a
 * disclosure verifies all, but shows values only if asked to. Memory: twice
 * the file.
 */
#include "verifier/command.h"

#include <stdlib.h>
#include <string.h>

#include "core/disclosure.h"
#include "verifier/fields.h"

typedef struct Proven
{
	pv_disclosure d;
	pv_proof	proof;
	pv_checkpoint cp;
	Signed		by;
} Proven;

static void
put_entry_head(const Proven *p, const pv_leaf *leaf, const Command *c)
{
	char		text[SHOW_MAX];
	char		number[32];
	char		count[COUNT_MAX];
	char		time[TIME_MAX];

	printf("The log %s had %s when it signed this checkpoint.\n", show(p->cp.origin, p->cp.originlen, text),
		   show_count(p->cp.size, "entry", "entries", count));
	put_signed(&c->trust, &p->by);
	if (c->trust.since_given)
		puts("It is the head of the log that was kept before.");
	printf("Entry %s of it, counting from 0, is of operation %s, made %s in transaction %llu.\n",
		   show_number(p->proof.index, number), pv_op_name(leaf->op), show_time(leaf->time_us, false, time),
		   (unsigned long long) leaf->xid);
}

static void
json_entry_head(const Proven *p, const pv_leaf *leaf, const uint8_t *leaf_bytes, const Command *c)
{
	pv_hash		hash;

	json_text("origin", p->cp.origin, p->cp.originlen);
	json_number("size", p->cp.size);
	json_hash("root", &p->cp.root);
	json_signed(&c->trust, &p->by);
	json_number("leaf_index", p->proof.index);
	if (pv_leaf_hash((pv_hasher *) &c->trust.hasher, leaf_bytes, PV_LEAF_LEN, &hash) == PV_OK)
		json_hash("leaf_hash", &hash);
	json_string("op", pv_op_name(leaf->op));
	json_time("time", leaf->time_us);
	json_number("xid", leaf->xid);
	if (pv_hash_is_zero(&leaf->prev))
		json_null("previous");
	else
		json_hash("previous", &leaf->prev);
}

/* A kept checkpoint says something of a proof only at the proof's own size. */
static Verdict
check_since(const Trust *t, const pv_checkpoint *cp, Fault *f)
{
	if (!t->since_given)
		return VERDICT_HOLDS;
	if (t->since.originlen != cp->originlen || memcmp(t->since.origin, cp->origin, cp->originlen) != 0)
		return fault_set(f, VERDICT_FAILS, "the kept checkpoint is another log's");
	if (t->since.size != cp->size)
		return fault_set(f, VERDICT_UNREADABLE,
						 "the kept checkpoint has another size: whether this one extends it takes a consistency proof");
	if (!pv_hash_equal(&t->since.root, &cp->root))
		return fault_set(f, VERDICT_FAILS,
						 "the kept checkpoint has the same size and another root: together they prove a fork");
	return VERDICT_HOLDS;
}

/* --- proof -------------------------------------------------------------- */

static Verdict
verify_proof(Command *c, const uint8_t *data, size_t len, const uint8_t *leaf_bytes, pv_leaf *leaf, Proven *p, Fault *f)
{
	pv_status	status = pv_proof_parse(data, len, &p->proof);
	pv_hash		hash;

	if (status != PV_OK)
		return fault_set(f, VERDICT_FAILS, "it is not a proof: %s", pv_status_text(status));
	if ((status = pv_checkpoint_parse(p->proof.checkpoint, p->proof.checkpointlen, &p->cp)) != PV_OK)
		return fault_set(f, VERDICT_FAILS, "the checkpoint in it: %s", pv_status_text(status));
	if ((status = pv_leaf_decode(leaf_bytes, PV_LEAF_LEN, leaf)) != PV_OK)
		return fault_set(f, VERDICT_FAILS, "the leaf: %s", pv_status_text(status));
	if (trust_checkpoint(&c->trust, &p->cp, &p->by, f) != VERDICT_HOLDS)
		return f->verdict;
	if ((status = pv_leaf_hash(&c->trust.hasher, leaf_bytes, PV_LEAF_LEN, &hash)) == PV_OK)
		status = pv_verify_inclusion(&c->trust.hasher, &hash, p->proof.index, p->cp.size, p->proof.path, p->proof.npath,
									 &p->cp.root);
	if (status != PV_OK)
		return fault_set(f, status == PV_E_CRYPTO ? VERDICT_UNREADABLE : VERDICT_FAILS, "the path from this leaf: %s",
						 pv_status_text(status));
	return check_since(&c->trust, &p->cp, f);
}

/* --- disclosure --------------------------------------------------------- */

static Verdict
verify_disclosure(Command *c, const uint8_t *data, size_t len, uint8_t *scratch, Proven *p, Fault *f)
{
	pv_fault	at;
	const char *what;
	pv_status	status = pv_disclosure_parse(data, len, scratch, len, &p->d, &at);

	if (status != PV_OK)
	{
		f->line = at.line;
		return fault_set(f, VERDICT_FAILS, "%s: %s", at.part, pv_status_text(status));
	}
	status = pv_disclosure_verify(&c->trust.hasher, &p->d, c->trust.keys, c->trust.nkeys, &p->proof, &p->cp, &what);
	if (status != PV_OK)
		return fault_set(f, status == PV_E_CRYPTO ? VERDICT_UNREADABLE : VERDICT_FAILS, "%s: %s", what,
						 pv_status_text(status));
	if (trust_checkpoint(&c->trust, &p->cp, &p->by, f) != VERDICT_HOLDS)
		return f->verdict;
	return check_since(&c->trust, &p->cp, f);
}

static void
report_disclosure(const Command *c, const char *file, const Proven *p, bool values)
{
	const pv_disclosure *d = &p->d;
	char		text[SHOW_MAX];

	if (c->json)
	{
		json_head("disclosure", file, true);
		json_entry_head(p, &d->leaf, d->leaf_bytes, c);
		json_text("schema", d->shape.schema.s, d->shape.schema.len);
		json_text("table", d->shape.table.s, d->shape.table.len);
		json_fields("fields", d->fields, d->nfields, values);
		if (d->context_given)
			json_fields("context", d->context, PV_CONTEXT_FIELDS, values);
		json_end('}');
		json_newline();
		return;
	}
	printf("%s holds.\n", show(file, strlen(file), text));
	put_entry_head(p, &d->leaf, c);
	fputs("It is an entry of table ", stdout);
	put_name(d->shape.schema.s, d->shape.schema.len);
	putchar('.');
	put_name(d->shape.table.s, d->shape.table.len);
	puts(".");
	put_names("Disclosed", d->fields, d->nfields, false);
	if (values)
		put_values(d->fields, d->nfields);
	put_names("Withheld", d->fields, d->nfields, true);
	if (!d->context_given)
		puts("Who made it and why is withheld.");
	else
	{
		put_names("Disclosed of who made it and why", d->context, PV_CONTEXT_FIELDS, false);
		if (values)
			put_values(d->context, PV_CONTEXT_FIELDS);
		put_names("Withheld of that", d->context, PV_CONTEXT_FIELDS, true);
	}
	puts("This is what was recorded; it does not show that it was true, nor that it is the row's newest entry.");
}

/* --- the subcommands ---------------------------------------------------- */

static Verdict
one_file(Command *c, const char *file, bool values, bool want_disclosure)
{
	static Proven p;
	static const char version[] = "provenance/disclosure@v1\n";
	const char *kind = want_disclosure ? "disclosure" : "proof";
	Fault		f = {VERDICT_HOLDS, 0, ""};
	size_t		len;
	uint8_t    *data = read_text(file, version, PV_DISCLOSURE_MAX_LEN, PV_PROOF_MAX_LEN, &len, &f);
	uint8_t    *scratch = NULL;
	uint8_t		leaf_bytes[PV_LEAF_LEN];
	pv_leaf		leaf;
	char		text[SHOW_MAX];

	if (data == NULL)
		return report_fault(c, kind, file, &f);
	if (want_disclosure || (len >= strlen(version) && memcmp(data, version, strlen(version)) == 0))
	{
		kind = "disclosure";
		scratch = malloc(len + 1);
		if (scratch == NULL)
			fault_set(&f, VERDICT_UNREADABLE, "out of memory");
		else if (c->nleaves > 0)
			fault_set(&f, VERDICT_USAGE, "it is a disclosure, which holds its leaf: --leaf is for proofs");
		else
			verify_disclosure(c, data, len, scratch, &p, &f);
		if (f.verdict == VERDICT_HOLDS)
			report_disclosure(c, file, &p, values);
	}
	else if (c->nleaves == 0)
		fault_set(&f, VERDICT_USAGE, "a proof needs the leaf that it is of: --leaf FILE");
	else if (read_leaf(c->leaves[0], leaf_bytes, &f) == VERDICT_HOLDS &&
			 verify_proof(c, data, len, leaf_bytes, &leaf, &p, &f) == VERDICT_HOLDS)
	{
		if (c->json)
		{
			json_head(kind, file, true);
			json_entry_head(&p, &leaf, leaf_bytes, c);
			json_end('}');
			json_newline();
		}
		else
		{
			printf("%s holds.\n", show(file, strlen(file), text));
			put_entry_head(&p, &leaf, c);
			puts("A leaf shows nothing of a table, its fields, or who made the change.");
		}
	}
	free(scratch);
	free(data);
	return f.verdict == VERDICT_HOLDS ? VERDICT_HOLDS : report_fault(c, kind, file, &f);
}

Verdict
command_proof(Command *c)
{
	return one_file(c, c->operands[0], c->values, false);
}

Verdict
command_disclosure(Command *c)
{
	Verdict		worst = VERDICT_HOLDS;

	for (unsigned i = 0; i < c->noperands; i++)
	{
		Verdict		v = one_file(c, c->operands[i], true, true);

		if (v > worst)
			worst = v;
	}
	return worst;
}
