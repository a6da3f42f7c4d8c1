/*
 * bundle.c: `bundle`: what COPY wrote of export_bundle().
 *
 * Lines are read one by one and checked by the core; whose checkpoint it is,
 * and whether it extends a kept one, is checked here. That leaves and hashes
 * give the checkpoint's root shows at the last line only. So values are
 * printed in a second reading of the file, which must give the same digest;
 * what comes through a pipe cannot be read twice.
 *
 * Memory: twice the longest line, 16 shapes (2.2 MB each at most, a few
 * kilobytes usually), 2 MB for everything else, and libcrypto.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "verifier/bundle_report.h"
#include "verifier/copy.h"

typedef struct Reading
{
	Bundle	   *b;
	Input	   *in;
	CopyReader	copy;
	pv_bundle_reader r;
	bool		print;			/* the second reading */
	bool		extends;		/* the kept checkpoint */
	void	   *kept[PV_BUNDLE_SHAPES];
	uint8_t    *scratch;
	size_t		cap;
	Fault	   *fault;
} Reading;

static void *
keep(void *arg, unsigned slot, size_t len)
{
	Reading    *x = arg;

	free(x->kept[slot]);
	x->kept[slot] = malloc(len > 0 ? len : 1);
	return x->kept[slot];
}

static void
claim(Claim *c, pv_value text)
{
	c->given = text.data != NULL;
	c->len = text.len < sizeof(c->text) ? text.len : sizeof(c->text);
	if (c->len < text.len)
	{
		/* not within a character */
		while (c->len > 0 && (text.data[c->len] & 0xC0) == 0x80)
			c->len--;
	}
	if (c->len > 0)
		memcpy(c->text, text.data, c->len);
}

static Verdict
check_checkpoint(Reading *x)
{
	const Trust *t = &x->b->c->trust;
	const pv_checkpoint *cp = &x->r.checkpoint;

	if (trust_checkpoint(t, cp, &x->b->by, x->fault) != VERDICT_HOLDS || !t->since_given)
		return x->fault->verdict;
	if (t->since.originlen != cp->originlen || memcmp(t->since.origin, cp->origin, cp->originlen) != 0)
		return fault_set(x->fault, VERDICT_FAILS, "the kept checkpoint is another log's");
	if (t->since.size > cp->size)
		return fault_set(x->fault, VERDICT_FAILS, "it is older than the kept checkpoint: %llu entries instead of %llu",
						 (unsigned long long) cp->size, (unsigned long long) t->since.size);
	if (t->since.size == cp->size && !pv_hash_equal(&t->since.root, &cp->root))
		return fault_set(x->fault, VERDICT_FAILS,
						 "the kept checkpoint has the same size and another root: together they prove a fork");
	x->extends = t->since.size == cp->size || t->since.size == 0;
	return VERDICT_HOLDS;
}

static Verdict
check_consistency(Reading *x)
{
	Trust	   *t = (Trust *) &x->b->c->trust;	/* its hasher works */
	pv_status	status;

	if (!t->since_given || x->extends || x->r.old_size != t->since.size)
		return VERDICT_HOLDS;
	status = pv_verify_consistency(&t->hasher, t->since.size, &t->since.root, x->r.checkpoint.size,
								   &x->r.checkpoint.root, x->r.path, x->r.npath);
	if (status != PV_OK)
		return fault_set(x->fault, status == PV_E_CRYPTO ? VERDICT_UNREADABLE : VERDICT_FAILS,
						 "the path from the kept checkpoint of size %llu: %s", (unsigned long long) t->since.size,
						 pv_status_text(status));
	x->extends = true;
	return VERDICT_HOLDS;
}

/* A line of the bundle. */
static Verdict
take_line(Reading *x)
{
	const CopyReader *c = &x->copy;
	const char *what = "";
	pv_status	status;

	x->fault->line = c->row;
	if (c->content.len > x->cap)
	{
		free(x->scratch);
		x->cap = c->content.cap;
		x->scratch = malloc(x->cap);
		if (x->scratch == NULL)
		{
			x->cap = 0;
			return fault_set(x->fault, VERDICT_UNREADABLE, "out of memory");
		}
	}
	status = pv_bundle_read(&x->r, c->line, c->kind.data, c->kind.len, c->content.data != NULL ? c->content.data : "",
							c->content.len, x->scratch, x->cap, &what);
	if (status != PV_OK)
		return fault_set(x->fault, status == PV_E_CRYPTO || status == PV_E_STORAGE ? VERDICT_UNREADABLE : VERDICT_FAILS,
						 "%s: %s", what, status == PV_E_STORAGE ? "out of memory" : pv_status_text(status));
	if (x->print)
	{
		report_line(x->b, &x->r);
		return VERDICT_HOLDS;
	}
	tally_line(&x->b->tally, &x->r);
	if (x->r.kind == PV_BUNDLE_HEADER)
	{
		claim(&x->b->recipient, x->r.header.recipient);
		claim(&x->b->purpose, x->r.header.purpose);
	}
	if (x->r.kind == PV_BUNDLE_CHECKPOINT)
		return check_checkpoint(x);
	if (x->r.kind == PV_BUNDLE_CONSISTENCY)
		return check_consistency(x);
	return VERDICT_HOLDS;
}

static Verdict
take_lines(Reading *x)
{
	CopyResult	result;
	const char *what;

	while ((result = copy_row(&x->copy)) == COPY_ROW)
	{
		if (take_line(x) != VERDICT_HOLDS)
			return x->fault->verdict;
		if (x->copy.row % 256 == 0)
			progress("bytes read", x->in->consumed, x->in->size);
	}
	x->fault->line = result == COPY_END ? 0 : x->copy.row + 1;
	if (result == COPY_REFUSED)
		return fault_set(x->fault, VERDICT_FAILS, "%s", x->copy.reason);
	if (result == COPY_FAILED && input_failed(x->in))
		return fault_set(x->fault, VERDICT_UNREADABLE, "%s", strerror(x->in->error));
	if (result != COPY_END)
		return fault_set(x->fault, VERDICT_UNREADABLE, "%s", x->copy.reason);
	if (pv_bundle_reader_done(&x->r, &what) != PV_OK)
		return fault_set(x->fault, VERDICT_UNREADABLE, "it is not complete: %s", what);
	if (!x->print && x->b->c->trust.since_given && !x->extends)
		return fault_set(x->fault, VERDICT_UNREADABLE,
						 "whether it extends the kept checkpoint of size %llu is not shown: there is no path from there in it",
						 (unsigned long long) x->b->c->trust.since.size);
	return VERDICT_HOLDS;
}

/* One reading of the input; the reader's header and checkpoint stay good. */
static Verdict
read_all(Reading *x)
{
	uint8_t		key[PV_BUNDLE_KEY_LEN];
	Command    *c = (Command *) x->b->c;

	copy_start(&x->copy, x->in, PV_BUNDLE_MAX_CONTENT);
	if (RAND_bytes(key, sizeof(key)) != 1 || pv_bundle_reader_init(&x->r, &c->trust.hasher, key, keep, x) != PV_OK)
		fault_set(x->fault, VERDICT_UNREADABLE, "libcrypto failed");
	else
		take_lines(x);
	pv_bundle_reader_free(&x->r);
	x->b->format = copy_format_name(x->copy.format);
	copy_free(&x->copy);
	progress_clear();
	return x->fault->verdict;
}

static void
release(Reading *x)
{
	for (int i = 0; i < PV_BUNDLE_SHAPES; i++)
	{
		free(x->kept[i]);
		x->kept[i] = NULL;
	}
	free(x->scratch);
	x->scratch = NULL;
	x->cap = 0;
}

static Verdict
one_bundle(Command *c, const char *file)
{
	static Input in;
	static Bundle b;
	static Reading x;
	Fault		f = {VERDICT_HOLDS, 0, ""};

	b.c = c;
	tally_reset(&b.tally);
	x.b = &b;
	x.in = &in;
	x.print = x.extends = false;
	x.fault = &f;
	if (!input_open(&in, file))
	{
		fault_set(&f, VERDICT_UNREADABLE, "%s", strerror(in.error));
		return report_fault(c, "bundle", file, &f);
	}
	b.file = file = in.name;
	if (c->values && !input_rewind(&in))
		fault_set(&f, VERDICT_UNREADABLE, "--values needs a file: what comes through a pipe cannot be read twice");
	else
		read_all(&x);
	if (f.verdict == VERDICT_HOLDS)
	{
		b.reader = &x.r;
		b.digest = x.r.digest;
		report_bundle(&b);
		if (c->values)
		{
			x.print = true;
			if (!input_rewind(&in))
				fault_set(&f, VERDICT_UNREADABLE, "it cannot be read again");
			else if (read_all(&x) != VERDICT_HOLDS || !pv_hash_equal(&b.digest, &x.r.digest))
				fault_set(&f, VERDICT_UNREADABLE, "it changed while it was read; the values are not proven");
		}
	}
	release(&x);
	input_close(&in);
	return f.verdict == VERDICT_HOLDS ? VERDICT_HOLDS : report_fault(c, "bundle", file, &f);
}

Verdict
command_bundle(Command *c)
{
	Verdict		worst = VERDICT_HOLDS;

	for (unsigned i = 0; i < c->noperands; i++)
	{
		Verdict		v = one_bundle(c, c->operands[i]);

		if (v > worst)
			worst = v;
	}
	return worst;
}
