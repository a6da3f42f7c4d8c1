/*
 * t_disclosure.c: disclosures: what is written reads back and holds, for every
 * set of fields; each line changed, left out, doubled or moved is refused; the
 * worked example of doc/format.md is made again.
 */
#include "harness.h"
#include "disclosure_util.h"

#define DOCUMENT "../../doc/format.md"

static pv_hasher hasher;
static example ex;
static pv_disclosure parsed;
static pv_proof proof;
static pv_checkpoint cp;
static uint8_t scratch[EX_MAX];
static uint8_t again[EX_MAX];
static char doc[1 << 20];

/* Parses from memory of the very size and verifies. */
static pv_status
check(const uint8_t *text, size_t len, const pv_vkey *key, const char **what)
{
	static uint8_t *copy = NULL;
	pv_fault	fault;
	pv_status	status;

	free(copy);
	copy = malloc(len + (len == 0));
	must(copy != NULL, "memory");
	memcpy(copy, text, len);
	*what = "parsing";
	status = pv_disclosure_parse(copy, len, scratch, len, &parsed, &fault);
	if (status == PV_OK)
	{
		pv_buf		b;

		pv_buf_init(&b, again, sizeof(again));
		pv_put_disclosure(&b, &parsed);
		must(b.len == len && memcmp(again, text, len) == 0, "written again it is another text");
		status = pv_disclosure_verify(&hasher, &parsed, key, 1, &proof, &cp, what);
	}
	return status;
}

static void
subsets(void)
{
	const char *what;

	for (unsigned context = 0; context < 1 << PV_CONTEXT_FIELDS; context += context < 4 ? 1 : 101)
		for (unsigned fields = 0; fields < 1 << EX_FIELDS; fields++)
		{
			example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN, fields, context);
			CHECK(check(ex.text, ex.len, &ex.vkey, &what) == PV_OK);
			CHECK(parsed.context_given == (context != 0) && parsed.nfields == EX_FIELDS);
			for (unsigned i = 0; i < EX_FIELDS; i++)
			{
				const pv_disclosed *f = &parsed.fields[i];

				CHECK(f->withheld == ((fields >> i & 1) == 0));
				CHECK(f->withheld || (f->value.len == example_values[i].len &&
									  (f->value.data == NULL) == (example_values[i].data == NULL) &&
									  (f->value.data == NULL ||
									   memcmp(f->value.data, example_values[i].data, f->value.len) == 0)));
			}
			for (unsigned i = 0; context != 0 && i < PV_CONTEXT_FIELDS; i++)
				CHECK(parsed.context[i].withheld == ((context >> i & 1) == 0));
		}
}

static void
operations(void)
{
	static const pv_value texts[] = {VALUE("crm"), VALUE("contact"), {NULL, 0}, VALUE("track"), VALUE("{}")};
	const char *what;

	for (unsigned op = 1; op <= PV_OP_LAST; op++)
	{
		size_t		n = EX_FIELDS;

		if (op == PV_OP_DELETE)
			n = 1;
		else if (!pv_op_is_row(op))
			pv_op_fields(op, &n);
		example_make(&ex, &hasher, op, example_columns, pv_op_is_row(op) ? example_values : texts, n, ORIGIN, 5, 1);
		CHECK(check(ex.text, ex.len, &ex.vkey, &what) == PV_OK);
		CHECK(parsed.nfields == n && parsed.leaf.op == op);
	}
	example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN "/2", 5, 0);
	CHECK(check(ex.text, ex.len, &ex.vkey, &what) == PV_OK);
	example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN ".org", 5, 0);
	CHECK(check(ex.text, ex.len, &ex.vkey, &what) == PV_E_ORIGIN && strstr(what, "shape") != NULL);
}

static void
texts(void)
{
	static const struct
	{
		pv_value	value;
		const char *line;		/* NULL: it cannot be a value */
	}			t[] = {
		{VALUE("x"), "\ntext x\n"},
		{VALUE(""), "\nempty\n"},
		{{NULL, 0}, "\nnull\n"},
		{VALUE("null"), "\ntext null\n"},
		{VALUE(" x"), "\nbase64 IHg=\n"},
		{VALUE("x "), "\nbase64 eCA=\n"},
		{VALUE("a\nb"), "\nbase64 YQpi\n"},
		{VALUE("a\x7F"), "\nbase64 YX8=\n"},
		{VALUE("\xC2\x9F"), "\nbase64 wp8=\n"},
		{VALUE("\xC2\xA0"), "\ntext \xC2\xA0\n"},
		{VALUE("\xE2\x80\xAE"), "\nbase64 4oCu\n"},
		{VALUE("\xE2\x80\xAF"), "\ntext \xE2\x80\xAF\n"},
		{VALUE("\xEF\xBB\xBF"), "\nbase64 77u/\n"},
		{VALUE("\xF0\x9F\x98\x80"), "\ntext \xF0\x9F\x98\x80\n"},
		{VALUE("a\0b"), NULL},
		{VALUE("\xFF"), NULL},
	};
	pv_value	values[EX_FIELDS];
	const char *what;

	memcpy(values, example_values, sizeof(values));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
	{
		values[1] = t[i].value;
		example_make(&ex, &hasher, PV_OP_UPDATE, example_columns, values, EX_FIELDS, ORIGIN, 2, 0);
		ex.text[ex.len] = '\0';
		if (t[i].line == NULL)
			CHECK(check(ex.text, ex.len, &ex.vkey, &what) == PV_E_UTF8);
		else
		{
			CHECK(strstr((char *) ex.text, t[i].line) != NULL);
			CHECK(check(ex.text, ex.len, &ex.vkey, &what) == PV_OK);
		}
	}
}

/* Replaces the first occurrence, then parses. */
static pv_status
replaced(const char *from, const char *to)
{
	static char text[EX_MAX];
	const char *at = strstr((char *) ex.text, from);
	const char *what;
	size_t		head;
	size_t		rest;

	must(at != NULL, from);
	head = (size_t) (at - (char *) ex.text);
	rest = ex.len - head - strlen(from);
	memcpy(text, ex.text, head);
	memcpy(text + head, to, strlen(to));
	memcpy(text + head + strlen(to), at + strlen(from), rest);
	return check((uint8_t *) text, head + strlen(to) + rest, &ex.vkey, &what);
}

static void
grammar(void)
{
	static const struct
	{
		const char *from;
		const char *to;
		pv_status	status;
	}			t[] = {
		{"@v1\n", "@v2\n", PV_E_VERSION},
		{"@v1\n", "@v1\r\n", PV_E_VERSION},
		{"@v1\n", "@v1\n\n", PV_E_SYNTAX},
		{"\nleaf ", "\nleaf  ", PV_E_BASE64},
		{"\nleaf AQE", "\nleaf AgE", PV_E_VERSION},
		{"\nleaf AQE", "\nleaf AQA", PV_E_VALUE},
		{"\nleaf AQE", "\nleaf AQEB", PV_E_BASE64},
		{"\nshape AQA", "\nshape AgA", PV_E_VERSION},
		{"\nfield id\n", "\nfield-base64 aWQ=\n", PV_E_SYNTAX},
		{"\nfield id\n", "\nfield Id\n", PV_E_NAME},
		{"\nfield id\n", "\nfield id \n", PV_E_UTF8},
		{"\nfield id\n", "\nfield\n", PV_E_SYNTAX},
		{"\nfield name\n", "\nfield id\n", PV_E_NAME},
		{"\ntext 42\n", "\nbase64 NDI=\n", PV_E_SYNTAX},
		{"\ntext 42\n", "\ntext 42 \n", PV_E_UTF8},
		{"\ntext 42\n", "\ntext  42\n", PV_E_UTF8},
		{"\ntext 42\n", "\ntext \n", PV_E_UTF8},
		{"\ntext 42\n", "\ntext\n", PV_E_SYNTAX},
		{"\ntext 42\n", "\nTEXT 42\n", PV_E_SYNTAX},
		{"\ntext 42\n", "\nbase64 \n", PV_E_SYNTAX},
		{"\ntext 42\n", "\nbase64 IDQ=\n", PV_E_COMMITMENT},
		{"\ntext 42\n", "\nbase64 IDR=\n", PV_E_BASE64},
		{"\ntext 42\n", "\nbase64 AA==\n", PV_E_UTF8},
		{"\ntext 42\n", "\ntext 43\n", PV_E_COMMITMENT},
		{"\ntext 42\n", "\nempty\n", PV_E_COMMITMENT},
		{"\ntext 42\n", "\nnull\n", PV_E_COMMITMENT},
		{"\nnull\n", "\nempty\n", PV_E_COMMITMENT},
		{"\nnull\n", "\nnull \n", PV_E_SYNTAX},
		{"\ntext support\n", "\ntext Support\n", PV_E_COMMITMENT},
		{"\nfield actor\n", "\nfield purpose\n", PV_E_NAME},
		{"\ncontext ", "\ncontext-digest ", PV_E_SYNTAX},
		{"\n\nc2sp", "\nc2sp", PV_E_SYNTAX},
		{"\n\nc2sp", "\n\n\nc2sp", PV_E_VERSION},
	};

	example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN, 7, 2);
	ex.text[ex.len] = '\0';
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
	{
		pv_status	status = replaced(t[i].from, t[i].to);

		CHECK(status == t[i].status);
		if (status != t[i].status)
			printf("# %zu: %s\n", i, pv_status_text(status));
	}
}

static void
mutilated(void)
{
	static uint8_t text[2 * EX_MAX];
	const char *what;
	size_t		starts[256];
	size_t		n = 0;
	size_t		last;

	example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN, 11, 2);
	/* the witness's line may go: without it the log's signature is there still */
	for (size_t i = 0; i < ex.len; i++)
		if (i == 0 || ex.text[i - 1] == '\n')
			starts[n++] = i;
	last = starts[n - 1];
	starts[n] = ex.len;
	for (size_t len = 0; len < ex.len; len++)
		CHECK((check(ex.text, len, &ex.vkey, &what) == PV_OK) == (len == last));
	for (size_t bit = 0; bit < 8 * last; bit++)
	{
		memcpy(text, ex.text, ex.len);
		text[bit / 8] ^= (uint8_t) (1 << bit % 8);
		CHECK(check(text, ex.len, &ex.vkey, &what) != PV_OK);
	}
	for (size_t i = 0; i + 1 < n; i++)
	{
		size_t		len = starts[i + 1] - starts[i];

		/* left out */
		memcpy(text, ex.text, starts[i]);
		memcpy(text + starts[i], ex.text + starts[i + 1], ex.len - starts[i + 1]);
		CHECK(check(text, ex.len - len, &ex.vkey, &what) != PV_OK);
		/* twice; a signature may stand twice in a note */
		memcpy(text, ex.text, starts[i + 1]);
		memcpy(text + starts[i + 1], ex.text + starts[i], ex.len - starts[i]);
		CHECK((check(text, ex.len + len, &ex.vkey, &what) != PV_OK) == (i + 2 < n));
		/* after the next one; the order of signatures is free */
		memcpy(text, ex.text, ex.len);
		memcpy(text + starts[i], ex.text + starts[i + 1], starts[i + 2] - starts[i + 1]);
		memcpy(text + starts[i] + starts[i + 2] - starts[i + 1], ex.text + starts[i], len);
		CHECK((check(text, ex.len, &ex.vkey, &what) != PV_OK) == (i + 2 < n));
	}
}

static void
keys(void)
{
	pv_vkey		other;
	EVP_PKEY   *key = key_from_seed(SEED_3);
	const char *what;

	example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN, 7, 0);
	vkey_of(&hasher, key, ORIGIN, PV_SIG_ED25519, &other);
	CHECK(check(ex.text, ex.len, &other, &what) == PV_E_UNKNOWN_KEY && strstr(what, "signature") != NULL);
	vkey_of(&hasher, key, "other.example", PV_SIG_ED25519, &other);
	CHECK(check(ex.text, ex.len, &other, &what) == PV_E_ORIGIN && strstr(what, "signature") != NULL);
	EVP_PKEY_free(key);
}

/* With a context disclosed where nothing is: the short form says it. */
static void
one_form(void)
{
	const char *what;
	pv_buf		b;

	example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN, 7, 0);
	ex.d.context_given = true;
	pv_buf_init(&b, ex.text, sizeof(ex.text));
	pv_put_disclosure(&b, &ex.d);
	CHECK(check(ex.text, b.len, &ex.vkey, &what) == PV_E_COUNT);
}

/* Words of eight bytes are looked at together. */
static void
plain_everywhere(void)
{
	for (size_t len = 1; len <= 20; len++)
		for (size_t at = 0; at < len; at++)
			for (int c = 0; c < 256; c++)
			{
				uint8_t		s[20];
				bool		end = at == 0 || at == len - 1;

				memset(s, 'x', sizeof s);
				s[at] = (uint8_t) c;
				CHECK(pv_text_plain(s, len) == (c >= 0x20 && c < 0x7F && !(c == ' ' && end)));
			}
}

int
main(void)
{
	FILE	   *f = fopen(DOCUMENT, "r");
	const char *what;
	pv_buf		b;
	static uint8_t block[EX_MAX];

	must(f != NULL && fread(doc, 1, sizeof(doc) - 1, f) > 0, "cannot read " DOCUMENT " (run in test/core)");
	fclose(f);
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");

	CASE("doc/format.md: the disclosure of the example, made again");
	example_make(&ex, &hasher, PV_OP_INSERT, example_columns, example_values, EX_FIELDS, ORIGIN, 7, 2);
	pv_buf_init(&b, block, sizeof(block) - 1);
	pv_put_str(&b, "\n```text\n");
	pv_put_bytes(&b, ex.text, ex.len);
	pv_put_str(&b, "```\n");
	CHECK(strstr(doc, (char *) block) != NULL);
	CHECK(check(ex.text, ex.len, &ex.vkey, &what) == PV_OK);

	CASE("every set of fields");
	subsets();
	CASE("every operation; an incarnation's checkpoint; another log's");
	operations();
	CASE("texts, plain and in base64");
	texts();
	CASE("what is written plainly: every character at every place");
	plain_everywhere();
	CASE("the grammar");
	grammar();
	CASE("cut short; a bit changed; lines left out, doubled, moved");
	mutilated();
	CASE("other keys");
	keys();
	CASE("a context with nothing disclosed");
	one_form();

	pv_hasher_free(&hasher);
	return harness_end();
}
