/*
 * t_verifier.c: parts of provenance-verify that a small file does not reach:
 * the ends of time, text that is cut, predecessors over several passes, more
 * names of fields than are told apart.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "harness.h"

#include "verifier/chain.c"
#include "verifier/report.c"
#include "verifier/tally.c"

#define LEAVES 5000

static bool
time_is(int64_t microseconds, bool json, const char *want)
{
	char		out[TIME_MAX];

	if (strcmp(show_time(microseconds, json, out), want) == 0)
		return true;
	printf("# %s\n", out);
	return false;
}

static bool
shown(const char *text, size_t len, const char *want)
{
	char		out[SHOW_MAX];

	if (strcmp(show(text, len, out), want) == 0)
		return true;
	printf("# %s\n", out);
	return false;
}

/* Leaf i of a log in which each follows the one 10 before. */
static pv_hash
leaf_hash(uint64_t i)
{
	pv_hash		hash = {{0}};

	for (int k = 0; k < 8; k++)
		hash.b[8 + k] = (uint8_t) (i >> (8 * k));
	hash.b[31] = 1;
	return hash;
}

/* A log of LEAVES with something wrong at `at`; what is found, and where. */
static ChainResult
chain(uint64_t passes, uint64_t at, uint64_t previous, uint64_t leaf, uint64_t *where)
{
	ChainResult result = CHAIN_OK;
	Chain		c;

	CHECK(chain_init(&c, LEAVES) && c.passes == 1);
	c.passes = passes;
	for (uint64_t pass = 0; pass < passes && result == CHAIN_OK; pass++)
	{
		chain_start(&c, pass);
		for (uint64_t i = 0; i < LEAVES && result == CHAIN_OK; i++)
		{
			pv_hash		hash = leaf_hash(i == at ? leaf : i);
			pv_hash		prev = leaf_hash(i == at ? previous : i - 10);

			result = chain_leaf(&c, &hash, i < 10 ? NULL : &prev);
			*where = i;
		}
		CHECK(c.nused <= LEAVES && (passes == 1 || c.nused < LEAVES));
	}
	chain_free(&c);
	return result;
}

int
main(void)
{
	static Tally t;
	static pv_bundle_reader r;
	char		long_text[SHOW_MAX * 2];
	char		out[SHOW_MAX];
	char		number[32];
	uint64_t	where;

	CASE("times");
	CHECK(time_is(0, false, "1970-01-01 00:00:00 UTC"));
	CHECK(time_is(-1, false, "1969-12-31 23:59:59.999999 UTC"));
	CHECK(time_is(1767225600123456, true, "2026-01-01T00:00:00.123456Z"));
	CHECK(time_is(951782400000000, false, "2000-02-29 00:00:00 UTC"));
	CHECK(time_is(4107542399999999, false, "2100-02-28 23:59:59.999999 UTC"));
	CHECK(time_is(-62135596800000000, false, "0001-01-01 00:00:00 UTC"));
	CHECK(time_is(INT64_MAX, false, "294247-01-10 04:00:54.775807 UTC"));
	CHECK(time_is(INT64_MIN, false, "-290308-12-21 19:59:05.224192 UTC"));

	CASE("text");
	CHECK(shown("plain text", 10, "plain text"));
	CHECK(shown("", 0, "\"\""));
	CHECK(shown(" x", 2, "\" x\""));
	CHECK(shown("\"x\"", 3, "\"\\\"x\\\"\""));
	CHECK(shown("a\0b\n\x1b[2J", 8, "\"a\\u0000b\\n\\u001b[2J\""));
	CHECK(shown("\xE2\x80\xAE" "a", 4, "\"\\u202ea\""));
	CHECK(shown("\xC3", 1, "\"\\ufffd\"") && shown("\xFF\xC3\xA9", 3, "\"\\ufffd\xC3\xA9\""));
	CHECK(shown("\xF0\x9F\x98\x80", 4, "\xF0\x9F\x98\x80"));
	memset(long_text, 'x', sizeof(long_text));
	CHECK(strlen(show(long_text, sizeof(long_text), out)) < SHOW_MAX && strcmp(out + strlen(out) - 4, "...\"") == 0);
	memset(long_text, 1, sizeof(long_text));
	CHECK(strlen(show(long_text, sizeof(long_text), out)) < SHOW_MAX && strcmp(out + strlen(out) - 4, "...\"") == 0);

	CASE("numbers");
	CHECK(strcmp(show_number(0, number), "0") == 0 && strcmp(show_number(999, number), "999") == 0);
	CHECK(strcmp(show_number(1000, number), "1,000") == 0);
	CHECK(strcmp(show_number(UINT64_MAX, number), "18,446,744,073,709,551,615") == 0);

	CASE("predecessors, in one pass and in several");
	for (uint64_t passes = 1; passes <= 7; passes += 2)
	{
		CHECK(chain(passes, LEAVES, 0, 0, &where) == CHAIN_OK);
		CHECK(chain(passes, 4321, LEAVES + 7, 4321, &where) == CHAIN_UNKNOWN && where == 4321);
		CHECK(chain(passes, 100, 200, 100, &where) == CHAIN_UNKNOWN && where == 100);
		CHECK(chain(passes, 100, 100, 100, &where) == CHAIN_UNKNOWN && where == 100);
		CHECK(chain(passes, 4321, 77, 4321, &where) == CHAIN_USED && where == 4321);
		CHECK(chain(passes, 4995, 4985, 33, &where) == CHAIN_TWICE && where == 4995);
	}

	CASE("more names than are told apart");
	tally_reset(&t);
	r.kind = PV_BUNDLE_ENTRY;
	r.entry.leaf.op = PV_OP_DELETE;
	r.entry.nfields = 1;
	for (int i = 0; i < 3 * TALLY_NAMES; i++)
	{
		char		name[16];

		snprintf(name, sizeof(name), "c%d", i);
		r.entry.fields[0].name = (pv_name) {name, (uint16_t) strlen(name)};
		r.entry.fields[0].withheld = i % 2 == 1;
		tally_line(&t, &r);
	}
	CHECK(t.nnames == TALLY_NAMES && t.entries == 3 * TALLY_NAMES);
	CHECK(t.names[0].len == 2 && t.names[0].disclosed == 1 && t.names[1].withheld == 1);
	CHECK(t.names[TALLY_NAMES].disclosed == TALLY_NAMES && t.names[TALLY_NAMES].withheld == TALLY_NAMES);

	CASE("a slot's new shape has its own names");
	tally_reset(&t);
	r.entry.leaf.op = PV_OP_INSERT;
	r.entry.fields[0].withheld = false;
	for (int i = 0; i < 4; i++)
	{
		r.kind = PV_BUNDLE_SHAPE;
		r.slot = 3;
		tally_line(&t, &r);
		r.kind = PV_BUNDLE_ENTRY;
		r.entry.shape_slot = 3;
		r.entry.fields[0].name = (pv_name) {i % 2 == 0 ? "even" : "odd", i % 2 == 0 ? 4 : 3};
		tally_line(&t, &r);
	}
	CHECK(t.nnames == 2 && t.names[0].disclosed == 2 && t.names[1].disclosed == 2);
	return harness_end();
}
