/*
 * t_bundle_refused.c: each rule of a bundle broken once has its status and its
 * line; lines left out, doubled, exchanged, of another bundle; row chains with
 * gaps and branches; every bit counts, or is a claim that the format names as
 * one.
 */
#include "harness.h"
#include "bundle_check.h"

static void
bounds(void)
{
	static char text[40000];
	static pv_hash many[PV_BUNDLE_MAX_GAP + 2];
	pv_buf		b;
	unsigned	entry = bu_find(&good, "entry", 0);

	bu_copy(&lines, &good);
	bu_edit(&lines, 0, 2, "9223372036854775808");
	CHECK(refused_at(0, PV_E_NUMBER));
	bu_edit(&lines, 0, 2, "18446744073709551616");
	CHECK(refused_at(0, PV_E_NUMBER));
	bu_edit(&lines, 0, 2, "9223372036854775807");
	CHECK(refused_at(1, PV_E_INDEX));	/* not the checkpoint's */
	bu_edit(&lines, 0, 2, "0");
	CHECK(refused_at(0, PV_E_INDEX));

	for (unsigned n = PV_BUNDLE_MAX_GAP - 1; n <= PV_BUNDLE_MAX_GAP + 2; n++)
	{
		pv_buf_init(&b, text, sizeof(text));
		pv_put_base64(&b, many, n * sizeof(many[0]));
		pv_put_u8(&b, 0);
		bu_copy(&lines, &good);
		bu_edit(&lines, entry, 1, text);
		CHECK(refused_at(entry, PV_E_PATH));
	}
	for (unsigned n = PV_MAX_PATH - 1; n <= PV_MAX_PATH + 1; n++)
	{
		pv_buf_init(&b, text, sizeof(text));
		pv_put_base64(&b, many, n * sizeof(many[0]));
		pv_put_u8(&b, 0);
		bu_copy(&lines, &good);
		bu_edit(&lines, 2, 1, text);
		bu_digest(&lines);
		if (n <= PV_MAX_PATH)
			CHECK(read_lines(&lines) == PV_OK); /* whether it leads anywhere is the caller's question */
		else
			CHECK(refused_at(2, PV_E_PATH));
	}
	bu_copy(&lines, &good);
	bu_edit(&lines, 2, 1, "AAAA");	/* not whole hashes */
	CHECK(refused_at(2, PV_E_PATH));

	/* a content beyond the bound is not looked at */
	must(pv_bundle_reader_init(&reader, &hasher, many[0].b, bu_keep, &kept) == PV_OK, "reader");
	CHECK(pv_bundle_read(&reader, 1, "bundle", 6, text, (size_t) PV_BUNDLE_MAX_CONTENT + 1, scratch, 0, &what) ==
		  PV_E_TOO_LONG);
	CHECK(pv_bundle_read(&reader, 1, "bundle", 6, text, 0, scratch, 0, &what) == PV_E_ORDER);	/* of no use any more */
	CHECK(pv_bundle_reader_done(&reader, &what) == PV_E_TRUNCATED);
	pv_bundle_reader_free(&reader);

	/* a checkpoint and a shape longer than any */
	for (unsigned i = 0; i < 2; i++)
	{
		static char huge[3500000];
		unsigned	at = i == 0 ? 1 : bu_find(&good, "shape", 0);
		size_t		n = i == 0 ? 90000 : sizeof(huge);

		memset(huge, 'A', sizeof(huge));
		memcpy(huge, "0|", 2);
		bu_copy(&lines, &good);
		bu_set(&lines, at, huge + (i == 0 ? 4 : 0), n - 4 * (i == 0) + 2 * i - 2);
		CHECK(refused_at(at, PV_E_TOO_LONG));
	}
	bu_copy(&lines, &good);
	kept.refuse = true;
	CHECK(refused_at(3, PV_E_STORAGE));
	kept.refuse = false;
}

#define ZERO_HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ZERO_FIELD "-" ZERO_HASH
#define TWO_ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="

/* One rule broken at a time: token of the n-th line of a kind, what stands there then, the status. */
static const struct
{
	const char *kind;
	unsigned	n;
	unsigned	token;
	const char *text;
	pv_status	status;
}			rules[] =
{
	{"bundle", 0, 0, "provenance/bundle@v2", PV_E_VERSION},
	{"bundle", 0, 0, "", PV_E_VERSION},
	{"bundle", 0, 1, "", PV_E_NAME},
	{"bundle", 0, 1, "crm acme", PV_E_NAME},
	{"bundle", 0, 1, "crm.acme.example/1", PV_E_NAME},
	{"bundle", 0, 2, "", PV_E_NUMBER},
	{"bundle", 0, 2, "06", PV_E_NUMBER},
	{"bundle", 0, 2, "-6", PV_E_NUMBER},
	{"bundle", 0, 3, "7", PV_E_INDEX},
	{"bundle", 0, 3, "-", PV_E_NUMBER},
	{"bundle", 0, 4, "4294967296", PV_E_NUMBER},
	{"bundle", 0, 5, "-", PV_E_SYNTAX},
	{"bundle", 0, 6, "-", PV_E_SYNTAX},
	{"bundle", 0, 5, ":", PV_E_NAME},
	{"bundle", 0, 5, "crm", PV_E_SYNTAX},
	{"bundle", 0, 5, "", PV_E_SYNTAX},
	{"bundle", 0, 5, "--", PV_E_SYNTAX},
	{"bundle", 0, 5, "=", PV_E_UTF8},
	{"bundle", 0, 5, "= crm", PV_E_UTF8},
	{"bundle", 0, 5, "=crm\xC2\xAD\xE2\x80\x8B", PV_E_UTF8},
	{"bundle", 0, 5, "=\xFF", PV_E_UTF8},
	{"bundle", 0, 5, ":Y3Jt", PV_E_SYNTAX},	/* crm, which is plain */
	{"bundle", 0, 5, ":/w==", PV_E_UTF8},	/* 0xFF */
	{"bundle", 0, 5, ":AAAA", PV_E_UTF8},	/* U+0000 */
	{"bundle", 0, 5, ":Cn==", PV_E_BASE64}, /* a newline, with unused bits */
	{"bundle", 0, 5, ":Cg", PV_E_BASE64},
	{"bundle", 0, 7, "some", PV_E_SYNTAX},
	{"bundle", 0, 7, "", PV_E_SYNTAX},
	{"bundle", 0, 9, "-|-", PV_E_SYNTAX},
	{"checkpoint", 0, 0, "", PV_E_TRUNCATED},
	{"checkpoint", 0, 0, "AAAA", PV_E_TRUNCATED},
	{"checkpoint", 0, 0, "*", PV_E_BASE64},
	{"consistency", 0, 0, "0", PV_E_INDEX},
	{"consistency", 0, 0, "6", PV_E_INDEX},
	{"consistency", 0, 0, "7", PV_E_INDEX},
	{"consistency", 0, 0, "", PV_E_NUMBER},
	{"consistency", 0, 1, "=", PV_E_BASE64},
	{"consistency", 0, 1, "|", PV_E_SYNTAX},
	{"shape", 0, 0, "16", PV_E_NUMBER},
	{"shape", 0, 1, "", PV_E_TRUNCATED},
	{"shape", 0, 1, "AAAA", PV_E_VERSION},
	{"shape", 0, 1, "AQAA", PV_E_TRUNCATED},
	{"shape", 0, 1, "A|", PV_E_BASE64},
	{"context", 0, 0, "256", PV_E_NUMBER},
	{"context", 0, 1, "", PV_E_BASE64},
	{"context", 0, 1, "AAAA", PV_E_BASE64},
	{"context", 0, 1, ZERO_HASH, PV_E_COMMITMENT},
	{"context", 0, 3, "=vkTqabvPKxv4TMVvZ4l/Bw==suppord", PV_E_COMMITMENT},
	{"context", 0, 3, "=vkTqabvPKxv4TMVvZ4l/Cw==support", PV_E_COMMITMENT},
	{"context", 0, 3, "0vkTqabvPKxv4TMVvZ4l/Bw==", PV_E_COMMITMENT},
	{"context", 0, 3, "-/g1pVFJwlSaVwm39/eSIm7q2pcHx5D0SUCImAEFLGZ4=", PV_E_COUNT},	/* nothing disclosed */
	{"context", 0, 2, ZERO_FIELD, PV_E_COMMITMENT},
	{"context", 0, 10, ZERO_FIELD "|" ZERO_FIELD, PV_E_COUNT},
	{"entry", 1, 0, "0", PV_E_ORDER},
	{"entry", 1, 0, "", PV_E_NUMBER},
	{"entry", 1, 0, "6", PV_E_INDEX},
	{"entry", 1, 0, "9223372036854775807", PV_E_INDEX},
	{"entry", 1, 0, "3", PV_E_PATH},
	{"entry", 1, 1, "", PV_E_PATH},
	{"entry", 1, 1, TWO_ZEROS, PV_E_PATH},
	{"entry", 1, 2, "AQE=", PV_E_BASE64},
	{"entry", 1, 3, "1", PV_E_CHAIN},
	{"entry", 2, 3, "-", PV_E_CHAIN},
	{"entry", 2, 3, "4", PV_E_CHAIN},
	{"entry", 2, 3, "5", PV_E_CHAIN},
	{"entry", 2, 3, "", PV_E_NUMBER},
	{"entry", 2, 3, "02", PV_E_NUMBER},
	{"entry", 2, 4, "2", PV_E_SYNTAX},
	{"entry", 2, 4, "", PV_E_SYNTAX},
	{"entry", 2, 5, "1", PV_E_ORDER},
	{"entry", 2, 5, "16", PV_E_NUMBER},
	{"entry", 2, 5, "", PV_E_NUMBER},
	{"entry", 2, 6, "", PV_E_SYNTAX},
	{"entry", 2, 6, "-", PV_E_SYNTAX},	/* for an erased entry */
	{"entry", 2, 6, "-AAAA", PV_E_BASE64},
	{"entry", 2, 6, ZERO_FIELD, PV_E_COMMITMENT},
	{"entry", 2, 6, "0", PV_E_SYNTAX},
	{"entry", 2, 6, "00:AAAAAAAAAAAAAAAAAAAAAA==", PV_E_NUMBER},
	{"entry", 2, 6, "1:AAAAAAAAAAAAAAAAAAAAAA==", PV_E_ORDER},
	{"entry", 2, 6, "256:AAAAAAAAAAAAAAAAAAAAAA==", PV_E_NUMBER},
	{"entry", 2, 6, "0:", PV_E_BASE64},
	{"entry", 2, 6, "0:AAAAAAAAAAAAAAAAAAAAAA==", PV_E_COMMITMENT},
	{"entry", 2, 7, "", PV_E_BASE64},
	{"entry", 2, 7, "AAAA", PV_E_BASE64},
	{"entry", 2, 8, "", PV_E_SYNTAX},
	{"entry", 2, 8, "!", PV_E_SYNTAX},	/* with others */
	{"entry", 2, 8, "=", PV_E_BASE64},
	{"entry", 2, 8, "=AAAAAAAAAAAAAAAAAAAAAA==", PV_E_UTF8},
	{"entry", 2, 8, "=AAAAAAAAAAAAAAAAAAAAAA==42", PV_E_COMMITMENT},
	{"entry", 2, 8, "*AAAAAAAAAAAAAAAAAAAAAA==42", PV_E_SYNTAX},
	{"entry", 2, 8, "=AAAAAAAAAAAAAAAAAAAAAA==4\t2", PV_E_UTF8},
	{"entry", 2, 8, ":AAAAAAAAAAAAAAAAAAAAAA==NDI=", PV_E_SYNTAX},	/* 42, which is plain */
	{"entry", 2, 8, ":AAAAAAAAAAAAAAAAAAAAAA==", PV_E_COMMITMENT},	/* the empty text */
	{"entry", 2, 8, "0AAAAAAAAAAAAAAAAAAAAAA==4", PV_E_SYNTAX},
	{"entry", 2, 8, "-AAAAAAAAAAAAAAAAAAAAAA==", PV_E_BASE64},
	{"entry", 2, 8, ZERO_FIELD, PV_E_COMMITMENT},
	{"entry", 2, 11, ZERO_FIELD "|" ZERO_FIELD, PV_E_COUNT},
	{"countersignature", 0, 0, "2", PV_E_ORDER},
	{"countersignature", 0, 0, "", PV_E_NUMBER},
	{"countersignature", 0, 1, "AAAA", PV_E_BASE64},
	{"countersignature", 0, 1, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", PV_E_TOO_LONG},
	{"countersignature", 0, 1, "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", PV_E_SIGNATURE},
	{"countersignature", 0, 2, "AAAA", PV_E_BASE64},
	{"end", 0, 0, "2", PV_E_COUNT},
	{"end", 0, 0, "4", PV_E_COUNT},
	{"end", 0, 1, "", PV_E_PATH},
	{"end", 0, 2, "", PV_E_BASE64},
	{"end", 0, 2, ZERO_HASH, PV_E_DIGEST},
	{"end", 0, 1, ZERO_HASH, PV_E_ROOT},
};

static void
broken_rules(void)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
	{
		unsigned	at = bu_find(&good, rules[i].kind, rules[i].n);

		bu_copy(&lines, &good);
		bu_edit(&lines, at, rules[i].token, rules[i].text);
		if (rules[i].status == PV_E_ROOT)
			bu_digest(&lines);
		if (!refused_at(at, rules[i].status))
		{
			printf("# %s %u, token %u: %s\n", rules[i].kind, rules[i].n, rules[i].token, rules[i].text);
			CHECK(false);
		}
		CHECK(true);
	}

	/* each line cut behind each of its tokens, and with one more */
	for (unsigned at = 0; at < good.n; at++)
		for (size_t cut = 0; cut <= good.line[at].len; cut++)
		{
			if (cut < good.line[at].len && good.line[at].content[cut] != '|')
				continue;
			bu_copy(&lines, &good);
			if (cut < good.line[at].len)
				lines.line[at].len = cut;
			else
			{
				pv_buf		b;

				pv_buf_init(&b, room, sizeof(room));
				pv_put_bytes(&b, good.line[at].content, cut);
				pv_put_u8(&b, '|');
				bu_set(&lines, at, room, b.len);
			}
			CHECK(read_lines(&lines) != PV_OK && stopped == at);
		}
}

/* Things of another log or table, and a context with nothing disclosed. */
static void
foreign(void)
{
	static bu_log log;
	unsigned	shape = bu_find(&good, "shape", 0);
	pv_buf		b;

	bu_example(&log, &hasher);
	bu_shape(&log, 8, ORIGIN, "contact");
	pv_buf_init(&b, room, sizeof(room));
	pv_put_bundle_shape(&b, 0, log.shape, log.shape_len);
	bu_copy(&lines, &good);
	bu_set(&lines, shape, room, b.len);
	CHECK(refused_at(shape, PV_E_ORIGIN));

	bu_shape(&log, 7, "erp.acme.example", "contact");
	b.len = 0;
	pv_put_bundle_shape(&b, 0, log.shape, log.shape_len);
	bu_copy(&lines, &good);
	bu_set(&lines, shape, room, b.len);
	CHECK(refused_at(shape, PV_E_ORIGIN));

	bu_shape(&log, 7, ORIGIN, "person");	/* a shape before, or after, that of the header */
	b.len = 0;
	pv_put_bundle_shape(&b, 1, log.shape, log.shape_len);
	bu_copy(&lines, &good);
	bu_insert(&lines, shape, "shape", room, b.len);
	bu_digest(&lines);
	CHECK(read_lines(&lines) == PV_OK);
	bu_copy(&lines, &good);
	bu_edit(&lines, 0, 6, "=person");	/* no shape has that name */
	bu_digest(&lines);
	CHECK(refused_at(lines.n - 1, PV_E_ORIGIN));
	bu_edit(&lines, 0, 5, "-");
	bu_edit(&lines, 0, 6, "-");	/* shapes, and no name */
	bu_digest(&lines);
	CHECK(refused_at(lines.n - 1, PV_E_ORIGIN));

	bu_copy(&lines, &good);
	bu_edit(&lines, 0, 1, "erp.acme.example");
	CHECK(refused_at(1, PV_E_ORIGIN));
	bu_edit(&lines, 0, 1, ORIGIN "/2");
	CHECK(refused_at(1, PV_E_ORIGIN));
	bu_copy(&lines, &good);
	bu_edit(&lines, 0, 2, "7");
	CHECK(refused_at(1, PV_E_INDEX));

	/* no entry, no shape, no name: that there is such a checkpoint */
	log.nentries = 0;
	for (unsigned i = 0; i < BU_ENTRIES; i++)
	{
		free(log.entries[i]);
		log.entries[i] = NULL;
	}
	log.header.schema.data = log.header.table.data = NULL;
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_ORIGIN));
	bu_remove(&lines, bu_find(&lines, "shape", 0));
	bu_digest(&lines);
	CHECK(read_lines(&lines) == PV_OK && reader.nentries == 0);
	log.context_fields[PV_CTX_PURPOSE].withheld = true;
	bu_build(&log, &lines);
	CHECK(refused_at(bu_find(&lines, "context", 0), PV_E_COUNT));
	bu_log_free(&log);
}

/* Lines left out, doubled, exchanged, of another bundle: as they are, and with new numbers. */
static void
moved(void)
{
	static bu_lines other;
	static bu_log log;

	for (unsigned i = 0; i < good.n; i++)
	{
		bu_copy(&lines, &good);
		bu_remove(&lines, i);
		for (unsigned k = 0; k < lines.n; k++)
			lines.line[k].number = k + 1 + (k >= i);
		CHECK(i + 1 < good.n ? refused_at(i, PV_E_ORDER) : refused_at(i, PV_E_TRUNCATED));
		bu_copy(&lines, &good);
		bu_remove(&lines, i);
		CHECK(read_lines(&lines) != PV_OK);
		if (i + 1 < good.n && i != bu_find(&good, "consistency", 0) && i != bu_find(&good, "countersignature", 0))
		{
			bu_digest(&lines);	/* even so, but for lines that stand for themselves */
			CHECK(read_lines(&lines) != PV_OK);
		}

		bu_copy(&lines, &good);
		bu_insert(&lines, i, good.line[i].kind, good.line[i].content, good.line[i].len);
		for (unsigned k = i + 1; k < lines.n; k++)
			lines.line[k].number = k;
		CHECK(refused_at(i + 1, PV_E_ORDER));
		bu_copy(&lines, &good);
		bu_insert(&lines, i, good.line[i].kind, good.line[i].content, good.line[i].len);
		CHECK(read_lines(&lines) != PV_OK);

		for (unsigned k = 0; k < i; k++)
		{
			bu_line		swap;

			bu_copy(&lines, &good);
			swap = lines.line[i];
			lines.line[i] = lines.line[k];
			lines.line[k] = swap;
			CHECK(refused_at(k, PV_E_ORDER));
			lines.line[k].number = k + 1;
			lines.line[i].number = i + 1;
			CHECK(read_lines(&lines) != PV_OK);
		}
	}

	/* after the end; nothing at all */
	bu_copy(&lines, &good);
	bu_insert(&lines, lines.n, "shape", good.line[3].content, good.line[3].len);
	CHECK(refused_at(good.n, PV_E_ORDER));
	bu_free(&lines);
	CHECK(refused_at(0, PV_E_TRUNCATED));
	for (unsigned i = 0; i < 2; i++)
	{
		bu_copy(&lines, &good);
		lines.line[0].number = i == 0 ? 0 : 2;
		CHECK(refused_at(0, PV_E_ORDER));
	}
	bu_copy(&lines, &good);
	lines.line[3].kind[0] = 'S';
	CHECK(refused_at(3, PV_E_SYNTAX));

	/* every kind in the first, second and a later place, where it must not be */
	for (unsigned kind = PV_BUNDLE_HEADER; kind <= PV_BUNDLE_END; kind++)
		for (unsigned at = 0; at < 3; at++)
		{
			const char *name = pv_bundle_kind_name(kind);
			bool		there = at == 2 ? kind != PV_BUNDLE_HEADER && kind != PV_BUNDLE_CHECKPOINT &&
				kind != PV_BUNDLE_COUNTERSIGNATURE : strcmp(good.line[at].kind, name) == 0;

			bu_copy(&lines, &good);
			snprintf(lines.line[at].kind, sizeof(lines.line[at].kind), "%s", name);
			if (!there)
				CHECK(refused_at(at, PV_E_ORDER));
		}

	/* of the same log, one leaf more: each line of it in place of the one here */
	bu_example(&log, &hasher);
	log.header.size = 7;
	log.consistency = 0;
	bu_build(&log, &other);
	bu_insert(&other, 2, "consistency", good.line[2].content, good.line[2].len);
	bu_digest(&other);
	CHECK(read_lines(&other) == PV_OK && other.n == good.n);
	for (unsigned i = 0; i < good.n; i++)
	{
		if (other.line[i].len == good.line[i].len &&
			memcmp(other.line[i].content, good.line[i].content, good.line[i].len) == 0)
			continue;
		bu_copy(&lines, &good);
		bu_set(&lines, i, other.line[i].content, other.line[i].len);
		CHECK(read_lines(&lines) != PV_OK);
		if (i + 1 < good.n)
			bu_digest(&lines);
		CHECK(read_lines(&lines) != PV_OK);
	}
	bu_free(&other);
	bu_log_free(&log);
}

/*
 * A changed bit is refused, as the digest sees it. With a digest that fits, as
 * a forger would make it, it is refused too, unless it is of what a bundle
 * does not prove: since size (a claim about the recipient), recipient and
 * purpose, the signatures below the checkpoint's text and the consistency
 * paths (for the caller, who has the keys and the older root), a pseudonym.
 */
static bool
may_change(unsigned at, size_t byte)
{
	const bu_line *l = &good.line[at];
	unsigned	token = 0;

	for (size_t i = 0; i < byte; i++)
		token += l->content[i] == '|';
	if (strcmp(l->kind, "bundle") == 0)
		return token == 3 || token >= 8;
	if (strcmp(l->kind, "checkpoint") == 0)
		return byte / 4 * 3 + 3 > strlen(ORIGIN "\n6\n") + 45;
	if (strcmp(l->kind, "entry") == 0)
		return token == 7;
	return strcmp(l->kind, "consistency") == 0;
}

static void
bits(void)
{
	long		refused = 0;
	long		harmless = 0;
	long		wrong = 0;

	for (unsigned at = 0; at < good.n; at++)
		for (size_t bit = 0; bit < good.line[at].len * 8; bit++)
		{
			bu_copy(&lines, &good);
			lines.line[at].content[bit / 8] ^= (uint8_t) (1 << bit % 8);
			if (read_lines(&lines) == PV_OK)
				wrong++;
			if (at + 1 == good.n)
				continue;
			bu_digest(&lines);
			if (read_lines(&lines) != PV_OK)
				refused++;
			else if (may_change(at, bit / 8))
				harmless++;
			else
			{
				printf("# line %u, bit %zu\n", at + 1, bit);
				wrong++;
			}
		}
	CHECK(wrong == 0);
	CHECK(refused > 15000 && harmless > 100);
}

/* What a forger can do with row chains, every other thing being right. */
static void
chains(void)
{
	static bu_log log;
	static pv_bundle_entry other;
	pv_bundle_entry *a,
			   *b,
			   *c;

	/* a, b, c of one row at 1, 3, 6 */
	bu_log_init(&log, &hasher, 9, 0);
	a = bu_entry(&log, PV_OP_INSERT, 1, 0, example_values, 1, NULL);
	b = bu_entry(&log, PV_OP_UPDATE, 3, 1, example_values, 1, a);
	c = bu_entry(&log, PV_OP_UPDATE, 6, 2, example_values, 1, b);
	bu_build(&log, &lines);
	CHECK(read_lines(&lines) == PV_OK);
	c->previous = 1;			/* another entry that is there */
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	c->previous = 2;			/* one that is not */
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	c->previous = 3;
	c->next = true;				/* the last has a next one */
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	c->next = false;
	b->next = false;			/* one has none */
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	b->next = true;

	/* left out in the middle, or at the beginning */
	log.entries[1] = c;
	log.nentries = 2;
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	a->next = false;
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	a->next = true;
	log.entries[0] = b;
	log.entries[1] = c;
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	log.header.since_size = 2;	/* which the recipient has */
	bu_build(&log, &lines);
	CHECK(read_lines(&lines) == PV_OK);
	log.header.since_size = 1;
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	log.header.since_size = 3;
	bu_build(&log, &lines);
	CHECK(read_lines(&lines) == PV_OK);
	bu_edit(&lines, 0, 3, "4");	/* then the entry at 3 has no place */
	bu_digest(&lines);
	CHECK(refused_at(bu_find(&lines, "entry", 0), PV_E_INDEX));
	log.header.since_size = 9;
	bu_build(&log, &lines);
	CHECK(read_lines(&lines) == PV_OK && reader.nentries == 0);

	/* the last one left out: not seen, as the format says, if the one before has no next */
	log.header.since_size = 0;
	log.entries[0] = a;
	log.entries[1] = b;
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	b->next = false;
	bu_build(&log, &lines);
	CHECK(read_lines(&lines) == PV_OK);
	free(c);

	/* two, then three entries after one */
	b->next = true;
	for (unsigned n = 1; n <= 3; n++)
	{
		bu_entry(&log, PV_OP_UPDATE, 4 + n, 2 + (int) n, example_values, 1, b);
		bu_build(&log, &lines);
		CHECK(n == 1 ? read_lines(&lines) == PV_OK : refused_at(lines.n - 1, PV_E_CHAIN));
	}
	bu_log_free(&log);

	/* the place of the previous entry is right, its hash that of another leaf */
	bu_log_init(&log, &hasher, 9, 0);
	a = bu_entry(&log, PV_OP_INSERT, 1, 0, example_values, 1, NULL);
	other = *a;
	other.leaf_hash = log.leaves[2];
	bu_entry(&log, PV_OP_UPDATE, 3, 1, example_values, 1, &other);
	a->next = true;
	bu_build(&log, &lines);
	CHECK(refused_at(lines.n - 1, PV_E_CHAIN));
	bu_log_free(&log);
}

int
main(void)
{
	check_init();

	CASE("bounds");
	bounds();
	CASE("each rule broken");
	broken_rules();
	CASE("another log's, another table's");
	foreign();
	CASE("lines left out, doubled, exchanged, of another bundle");
	moved();
	CASE("every bit");
	bits();
	CASE("row chains");
	chains();

	check_end();
	return harness_end();
}
