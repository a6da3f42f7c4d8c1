/*
 * t_bundle.c: bundles: what is written reads back and holds; the worked
 * example of doc/format.md is made again; every subset of the leaves of small
 * logs gives the root; slots, operations, countersignatures.
 */
#include "harness.h"
#include "bundle_check.h"

#define DOCUMENT "../../doc/format.md"

static char doc[1 << 20];

static void
load_document(void)
{
	FILE	   *f = fopen(DOCUMENT, "r");

	must(f != NULL && fread(doc, 1, sizeof(doc) - 1, f) > 0, "cannot read " DOCUMENT " (run in test/core)");
	fclose(f);
}

static void
worked_example(void)
{
	static char block[BU_ROOM];
	pv_buf		b;
	const pv_value *fields = example_values;

	pv_buf_init(&b, block, sizeof(block) - 1);
	pv_put_str(&b, "\n```text\n");
	for (unsigned i = 0; i < good.n; i++)
	{
		pv_put_decimal(&b, good.line[i].number);
		pv_put_u8(&b, '\t');
		pv_put_str(&b, good.line[i].kind);
		pv_put_u8(&b, '\t');
		pv_put_bytes(&b, good.line[i].content, good.line[i].len);
		pv_put_u8(&b, '\n');
	}
	pv_put_str(&b, "```\n");
	must(pv_buf_status(&b) == PV_OK, "room for the example");
	if (getenv("PRINT_EXAMPLE") != NULL)
		fprintf(stderr, "%.*s", (int) b.len, block);
	CHECK(strstr(doc, block) != NULL);
	CHECK(read_lines(&good) == PV_OK);
	CHECK(reader.nentries == 3 && reader.line == good.n && reader.checkpoint.size == 6);
	CHECK(reader.header.origin.len == strlen(ORIGIN) && memcmp(reader.header.origin.data, ORIGIN, strlen(ORIGIN)) == 0);
	CHECK(reader.header.table_id == 7 && reader.header.all_rows);

	/* the first example's leaf is in it */
	CHECK(memcmp(example_log.entries[1]->leaf.prev.b, (uint8_t[PV_HASH_LEN]) {0}, PV_HASH_LEN) == 0);
	pv_buf_init(&b, block, sizeof(block) - 1);
	pv_put_str(&b, "leaf hash: ");
	pv_put_hex(&b, example_log.entries[1]->leaf_hash.b, PV_HASH_LEN);
	pv_put_u8(&b, 0);
	CHECK(strstr(doc, block) != NULL);
	CHECK(example_log.entries[1]->fields[0].value.len == fields[0].len);
}

/* What the reader hands out for an entry is what was put in. */
static void
handed_out(void)
{
	static const uint8_t key[PV_BUNDLE_KEY_LEN] = {9};
	static pv_disclosed fields[PV_MAX_FIELDS];
	unsigned	entry = 0;

	must(pv_bundle_reader_init(&reader, &hasher, key, bu_keep, &kept) == PV_OK, "reader");
	for (unsigned i = 0; i < good.n; i++)
	{
		const bu_line *l = &good.line[i];

		CHECK(pv_bundle_read(&reader, l->number, l->kind, strlen(l->kind), (const char *) l->content, l->len,
							 scratch, l->len, &what) == PV_OK);
		CHECK(pv_bundle_reader_done(&reader, &what) == (i + 1 == good.n ? PV_OK : PV_E_TRUNCATED));
		CHECK(strcmp(pv_bundle_kind_name(reader.kind), l->kind) == 0);
		if (reader.kind == PV_BUNDLE_CONSISTENCY)
		{
			pv_hash		old = bu_mth(&hasher, example_log.leaves, 0, 3);

			CHECK(pv_verify_consistency(&hasher, reader.old_size, &old, reader.checkpoint.size,
										&reader.checkpoint.root, reader.path, reader.npath) == PV_OK);
		}
		if (reader.kind == PV_BUNDLE_CHECKPOINT)
		{
			EVP_PKEY   *pkey = key_from_seed(SEED_1);
			pv_vkey		vkey;

			vkey_of(&hasher, pkey, ORIGIN, PV_SIG_ED25519, &vkey);
			CHECK(pv_checkpoint_verify(&reader.checkpoint, &vkey, 1) == PV_OK);
			EVP_PKEY_free(pkey);
		}
		if (reader.kind == PV_BUNDLE_CONTEXT)
		{
			CHECK(reader.slot == 0 && !reader.context[PV_CTX_PURPOSE].withheld);
			CHECK(reader.context[PV_CTX_PURPOSE].value.len == 7);
			CHECK(reader.context[PV_CTX_PURPOSE].name.len == strlen("purpose"));
		}
		if (reader.kind == PV_BUNDLE_ENTRY)
		{
			const pv_bundle_entry *e = &reader.entry;
			const pv_bundle_entry *w = example_log.entries[entry++];
			size_t		n;
			bool		erased;

			CHECK(e->index == w->index && e->leaf.op == w->leaf.op && pv_hash_equal(&e->leaf_hash, &w->leaf_hash));
			CHECK(e->has_previous == w->has_previous && e->previous == w->previous && e->next == w->next);
			CHECK(e->nfields == w->nfields && !e->erased && e->context_given == w->context_given);
			CHECK(pv_bundle_fields_parse(e->field_tokens, e->field_tokens_len, scratch, l->len, fields, PV_MAX_FIELDS,
										 &n, &erased) == PV_OK);
			CHECK(n == w->nfields && !erased);
			CHECK(pv_bundle_fields_parse(e->field_tokens, e->field_tokens_len, scratch, l->len, fields, n - 1,
										 &n, &erased) == PV_E_COUNT);
			for (size_t f = 0; f < w->nfields; f++)
			{
				const pv_disclosed *a = &e->fields[f];
				const pv_disclosed *x = &w->fields[f];

				CHECK(a->name.len == x->name.len && memcmp(a->name.s, x->name.s, x->name.len) == 0);
				CHECK(a->withheld == x->withheld);
				CHECK(a->withheld || (a->value.data == NULL) == (x->value.data == NULL));
				CHECK(a->withheld || a->value.len == x->value.len);
				CHECK(a->withheld || x->value.data == NULL || memcmp(a->value.data, x->value.data, x->value.len) == 0);
			}
		}
	}
	CHECK(entry == 3);
	pv_bundle_reader_free(&reader);
	CHECK(pv_bundle_kind_name(0) == NULL && pv_bundle_kind_name(PV_BUNDLE_END + 1) == NULL);
}

/*
 * Every subset of the leaves of logs of 1 to 9, from every size on: two rows
 * whose entries alternate. One that is left out is missed.
 */
static void
small_trees(void)
{
	static bu_log log;
	long		bad = 0;
	long		read = 0;
	long		missed = 0;
	long		gone = 0;

	for (uint64_t size = 1; size <= 9; size++)
		for (unsigned set = 0; set < 1u << size; set++)
			for (uint64_t since = 0; since <= size; since++)
			{
				pv_bundle_entry *rows[2] = {NULL, NULL};
				unsigned	n = 0;

				/* all sizes to go on from for the small ones, some for the others */
				if (size > 6 && since > 0 && since % 4 != set % 4)
					continue;
				bu_log_init(&log, &hasher, size, since);
				for (uint64_t i = 0; i < size; i++)
					if (set >> i & 1)
					{
						rows[n % 2] = bu_entry(&log, n < 2 ? PV_OP_INSERT : PV_OP_UPDATE, i, (int) i, example_values,
											   (unsigned) i, rows[n % 2]);
						n++;
					}
				bu_build(&log, &lines);
				bad += read_lines(&lines) != PV_OK;
				read++;

				/* without its first entry, whose leaf the next gap then holds */
				if (n > 2 && log.entries[0]->index >= since && set % 3 == 0)
				{
					free(log.entries[0]);
					memmove(log.entries, log.entries + 1, --log.nentries * sizeof(log.entries[0]));
					bu_build(&log, &lines);
					missed += read_lines(&lines) == PV_E_CHAIN && stopped == lines.n - 1;
					gone++;
				}
				bu_log_free(&log);
			}
	CHECK(bad == 0);
	CHECK(read > 3000);
	CHECK(missed == gone && gone > 100);
}

static void
slots(void)
{
	static bu_log log;
	static bu_log wide;
	unsigned	entry = bu_find(&good, "entry", 1);
	pv_buf		b;

	/* entries that are erased, of every operation; with a slot replaced between */
	bu_example(&log, &hasher);
	bu_log_init(&wide, &hasher, 6, 0);
	bu_shape(&wide, 7, ORIGIN, "person");
	pv_buf_init(&b, room, sizeof(room));
	pv_put_bundle_shape(&b, 0, wide.shape, wide.shape_len);
	bu_copy(&lines, &good);
	bu_insert(&lines, entry, "shape", room, b.len);
	CHECK(refused_at(entry + 1, PV_E_COMMITMENT));	/* it is another shape now */
	b.len = 0;
	pv_put_bundle_shape(&b, 15, wide.shape, wide.shape_len);
	bu_set(&lines, entry, room, b.len);
	bu_insert(&lines, entry + 1, "shape", good.line[3].content, good.line[3].len);
	bu_insert(&lines, entry + 1, "context", good.line[4].content, good.line[4].len);
	bu_edit(&lines, entry + 1, 0, "255");
	bu_edit(&lines, entry + 3, 6, "255:xqE7N4ePW4JvT4FiocjYeQ==");
	bu_digest(&lines);
	CHECK(read_lines(&lines) == PV_OK);
	bu_edit(&lines, entry + 3, 5, "15");
	CHECK(refused_at(entry + 3, PV_E_COMMITMENT));

	log.entries[1]->erased = true;
	bu_build(&log, &lines);
	CHECK(read_lines(&lines) == PV_OK && reader.nentries == 3);
	bu_edit(&lines, entry, 6, "0:xqE7N4ePW4JvT4FiocjYeQ==");
	CHECK(refused_at(entry, PV_E_SYNTAX));
	bu_edit(&lines, entry, 6, "-");
	bu_edit(&lines, entry, 8, "!|!");
	CHECK(refused_at(entry, PV_E_SYNTAX));
	bu_edit(&lines, entry, 8, "!!");
	CHECK(refused_at(entry, PV_E_SYNTAX));
	bu_log_free(&log);
	bu_log_free(&wide);
}

static void
operations(void)
{
	static const pv_value texts[] = {VALUE("crm"), VALUE("contact"), VALUE("a|b"), VALUE(""), VALUE("\n")};
	static const pv_value odd[EX_FIELDS] = {VALUE("|"), VALUE(" "), VALUE(""), VALUE("\xE2\x80\xAE")};
	static bu_log log;

	for (unsigned op = 1; op <= PV_OP_LAST; op++)
		for (unsigned disclosed = 0; disclosed < 32; disclosed++)
		{
			bu_log_init(&log, &hasher, 3, 0);
			bu_entry(&log, op, 1, (int) op, pv_op_is_row(op) ? odd : texts, disclosed, NULL);
			log.entries[0]->context_given = disclosed % 2 == 0;
			bu_build(&log, &lines);
			CHECK(read_lines(&lines) == PV_OK);
			bu_log_free(&log);
		}

	/* a table without a key: a delete has no fields, not even erased ones */
	{
		pv_column	column = {NAME("a"), NAME("text"), 0};
		pv_shape	shape = {NAME(ORIGIN), 7, NAME("crm"), NAME("contact"), 1, 0, &column};
		size_t		n;
		bool		erased;
		pv_disclosed none;
		pv_buf		b;

		bu_log_init(&log, &hasher, 3, 0);
		pv_buf_init(&b, log.shape, sizeof(log.shape));
		must(pv_shape_encode(&shape, &b) == PV_OK, "shape");
		log.shape_len = b.len;
		bu_entry(&log, PV_OP_DELETE, 1, 1, NULL, 0, NULL);
		bu_build(&log, &lines);
		CHECK(read_lines(&lines) == PV_OK && reader.entry.nfields == 0 && reader.entry.field_tokens_len == 0);
		CHECK(pv_bundle_fields_parse("", 0, scratch, 0, &none, 0, &n, &erased) == PV_OK && n == 0 && !erased);
		CHECK(pv_bundle_fields_parse("!", 1, scratch, 0, &none, 0, &n, &erased) == PV_OK && n == 0 && erased);
		CHECK(pv_bundle_fields_parse("!|", 2, scratch, 0, &none, 1, &n, &erased) == PV_E_SYNTAX);
		CHECK(pv_bundle_fields_parse("|", 1, scratch, 0, &none, 1, &n, &erased) == PV_E_SYNTAX);
		bu_log_free(&log);
	}
}

static void
countersignatures(void)
{
	static bu_log log;
	unsigned	at = bu_find(&good, "countersignature", 0);
	pv_buf		b;

	bu_example(&log, &hasher);
	pv_buf_init(&b, room, sizeof(room));
	bu_put_countersignature(&b, log.entries[2], SEED_1);
	bu_copy(&lines, &good);
	bu_insert(&lines, at + 1, "countersignature", room, b.len);
	CHECK(refused_at(at + 1, PV_E_ORDER));	/* 0xd7… after 0xfc… */
	b.len = 0;					/* reading used that room */
	bu_put_countersignature(&b, log.entries[2], SEED_1);
	bu_copy(&lines, &good);
	bu_insert(&lines, at, "countersignature", room, b.len);
	bu_digest(&lines);
	CHECK(read_lines(&lines) == PV_OK);
	bu_copy(&lines, &good);
	bu_insert(&lines, at, "countersignature", good.line[at].content, good.line[at].len);
	CHECK(refused_at(at + 1, PV_E_ORDER));

	/* of another leaf, by a good key */
	b.len = 0;
	log.entries[1]->index = 4;
	bu_put_countersignature(&b, log.entries[1], SEED_3);
	bu_copy(&lines, &good);
	bu_set(&lines, at, room, b.len);
	CHECK(refused_at(at, PV_E_SIGNATURE));

	/* not where its entry is */
	bu_copy(&lines, &good);
	bu_insert(&lines, at, "context", good.line[4].content, good.line[4].len);
	CHECK(refused_at(at + 1, PV_E_ORDER));
	bu_copy(&lines, &good);
	bu_insert(&lines, 4, "countersignature", good.line[at].content, good.line[at].len);
	CHECK(refused_at(4, PV_E_ORDER));
	bu_log_free(&log);
}

static void
consistency_lines(void)
{
	char		size[8];

	bu_copy(&lines, &good);
	bu_insert(&lines, 2, "consistency", good.line[2].content, good.line[2].len);
	CHECK(refused_at(3, PV_E_ORDER));
	bu_edit(&lines, 2, 0, "2");
	bu_digest(&lines);
	CHECK(read_lines(&lines) == PV_OK);
	bu_copy(&lines, &good);
	bu_insert(&lines, 4, "consistency", good.line[2].content, good.line[2].len);
	CHECK(refused_at(4, PV_E_ORDER));

	/* sixteen at most: read until the log is too small for a seventeenth */
	{
		static bu_log log;

		bu_log_init(&log, &hasher, 40, 0);
		bu_build(&log, &lines);
		for (unsigned i = 0; i < 17; i++)
		{
			pv_buf		b;

			snprintf(size, sizeof(size), "%u|", i + 1);
			pv_buf_init(&b, room, sizeof(room));
			pv_put_str(&b, size);
			bu_insert(&lines, 2 + i, "consistency", room, b.len);
			bu_digest(&lines);
			if (i < 16)
				CHECK(read_lines(&lines) == PV_OK);
			else
				CHECK(refused_at(2 + i, PV_E_COUNT));
		}
		bu_log_free(&log);
	}
}

/* Computed by Python's hmac. */
static void
pseudonyms(void)
{
	static const uint8_t key[PV_PSEUDONYM_KEY_LEN] = {7};
	uint8_t		out[PV_PSEUDONYM_LEN];
	uint8_t		expected[PV_PSEUDONYM_LEN];

	CHECK(pv_hex_decode("a6a1955beeacba89a89e888c981487c4", 32, expected, sizeof(expected)) == PV_OK);
	CHECK(pv_pseudonym(&hasher, key, "abc", 3, out) == PV_OK && memcmp(out, expected, sizeof(out)) == 0);
	CHECK(pv_pseudonym(&hasher, key, "abd", 3, out) == PV_OK && memcmp(out, expected, sizeof(out)) != 0);
	CHECK(pv_pseudonym(&hasher, key, NULL, 0, out) == PV_OK);
}

int
main(void)
{
	load_document();
	check_init();

	CASE("the worked example");
	worked_example();
	CASE("what is read is what was written");
	handed_out();
	CASE("small logs, every subset of the leaves, from every size on");
	small_trees();
	CASE("slots replaced, entries erased");
	slots();
	CASE("every operation, odd values");
	operations();
	CASE("countersignatures");
	countersignatures();
	CASE("consistency paths");
	consistency_lines();
	CASE("pseudonyms");
	pseudonyms();

	check_end();
	return harness_end();
}
