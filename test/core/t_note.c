/*
 * t_note.c: signed notes: the cases of test/vectors/notes.txt (which describes
 * its own format), the rule of which signatures count, and the limits.
 */
#include "harness.h"
#include "note_util.h"

#define VECTORS "../vectors/notes.txt"
#define TEXT "This is a text.\n"
#define TEXTLEN (sizeof(TEXT) - 1)

static pv_hasher hasher;
static EVP_PKEY *key_a,
		   *key_b;
static pv_vkey vkey_a,
			vkey_b;

/* One case of the file. */
static char case_names[100][128];	/* the harness keeps no copy */
static char *case_name;
static char want[64];
static char kind[32];
static pv_vkey keys[8];
static unsigned nkeys;
static uint8_t note[65536];
static pv_buf note_buf;

static const struct
{
	const char *name;
	pv_status	status;
}			words[] = {
	{"ok", PV_OK}, {"truncated", PV_E_TRUNCATED}, {"trailing", PV_E_TRAILING},
	{"too-long", PV_E_TOO_LONG}, {"number", PV_E_NUMBER}, {"base64", PV_E_BASE64},
	{"utf8", PV_E_UTF8}, {"syntax", PV_E_SYNTAX}, {"name", PV_E_NAME},
	{"unknown-key", PV_E_UNKNOWN_KEY}, {"signature", PV_E_SIGNATURE},
	{"origin", PV_E_ORIGIN}, {"value", PV_E_VALUE},
};

/* Appends a line of a note, \xNN being the byte NN. */
static void
put_escaped(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		uint8_t		byte;

		if (s[i] == '\\' && len - i >= 4 && s[i + 1] == 'x' && pv_hex_decode(s + i + 2, 2, &byte, 1) == PV_OK)
		{
			pv_put_u8(&note_buf, byte);
			i += 3;
		}
		else
			pv_put_u8(&note_buf, (uint8_t) s[i]);
	}
}

static void
run_case(void)
{
	static pv_checkpoint cp;
	pv_status	status;
	uint64_t	seconds;
	size_t		w = 0;

	must(pv_buf_status(&note_buf) == PV_OK, "a note of the vectors is too long");
	if (strcmp(kind, "note") == 0)
	{
		status = pv_note_parse(note, note_buf.len, &cp.note);
		if (status == PV_OK)
			status = pv_note_verify(&cp.note, keys, nkeys, NULL);
	}
	else
	{
		status = pv_checkpoint_parse(note, note_buf.len, &cp);
		if (status == PV_OK && strcmp(kind, "checkpoint") == 0)
			status = pv_checkpoint_verify(&cp, keys, nkeys);
		else if (status == PV_OK)
			status = pv_cosignature_verify(&cp, &keys[0], &seconds);
	}
	while (w < sizeof(words) / sizeof(words[0]) && strcmp(words[w].name, want) != 0)
		w++;
	must(w < sizeof(words) / sizeof(words[0]), "unknown result in the vectors");
	CASE(case_name);
	CHECK(status == words[w].status);
	if (status != words[w].status)
		printf("# %s: expected %s, found: %s\n", case_name, want, pv_status_text(status));
}

static unsigned
vector_file(void)
{
	FILE	   *f = fopen(VECTORS, "r");
	char		line[8192];
	unsigned	n = 0;

	must(f != NULL, "cannot read " VECTORS " (run in test/core)");
	while (fgets(line, sizeof(line), f) != NULL)
	{
		size_t		len = strcspn(line, "\n");

		line[len] = '\0';
		if (len == 0 || line[0] == '#')
			continue;
		if (strncmp(line, "case ", 5) == 0)
		{
			must(n < sizeof(case_names) / sizeof(case_names[0]), "too many cases");
			case_name = case_names[n];
			snprintf(case_name, sizeof(case_names[n]), "notes.txt: %.100s", line + 5);
			nkeys = 0;
			pv_buf_init(&note_buf, note, sizeof(note));
		}
		else if (strncmp(line, "expect ", 7) == 0)
			must(sscanf(line, "expect %31s %63s", kind, want) == 2, "expect line");
		else if (strncmp(line, "key ", 4) == 0)
		{
			must(nkeys < 8, "too many keys");
			must(pv_vkey_parse(&hasher, line + 4, len - 4, &keys[nkeys++]) == PV_OK, "a key of the vectors");
		}
		else if (line[0] == '|')
		{
			put_escaped(line + 1, len - 1);
			pv_put_u8(&note_buf, '\n');
		}
		else if (line[0] == '/')
			put_escaped(line + 1, len - 1);
		else
		{
			must(strcmp(line, "end") == 0, "a line of the vectors");
			run_case();
			n++;
		}
	}
	fclose(f);
	return n;
}

static void
begin(pv_buf *b, size_t cap)
{
	pv_buf_init(b, note, cap);
	pv_put_str(b, TEXT "\n");
}

static pv_status
check(size_t len, const pv_vkey *set, unsigned n, uint64_t *good)
{
	static pv_note parsed;
	pv_status	status = pv_note_parse(note, len, &parsed);

	return status == PV_OK ? pv_note_verify(&parsed, set, n, good) : status;
}

static void
which_count(void)
{
	pv_vkey		set[65];
	uint64_t	good = 5;
	uint8_t		wrong[PV_ED25519_SIGNATURE_LEN + 1] = {0};
	pv_buf		b;

	for (int i = 0; i < 65; i++)
		vkey_of(&hasher, key_b, "unrelated", PV_SIG_ED25519, &set[i]);
	set[3] = vkey_a;
	set[63] = vkey_b;

	begin(&b, sizeof(note));
	sign_note(&b, TEXTLEN, key_a, &vkey_a);
	CHECK(check(b.len, set, 64, &good) == PV_OK && good == 1 << 3);
	CHECK(check(b.len, set, 65, &good) == PV_E_COUNT && good == 0);
	CHECK(check(b.len, &vkey_b, 1, &good) == PV_E_UNKNOWN_KEY && good == 0);
	CHECK(check(b.len, NULL, 0, NULL) == PV_E_UNKNOWN_KEY);
	sign_note(&b, TEXTLEN, key_b, &vkey_b);
	CHECK(check(b.len, set, 64, &good) == PV_OK && good == ((uint64_t) 1 << 63 | 1 << 3));

	/* One wrong line of a known key refuses, before or after the good one. */
	pv_put_note_sig(&b, &vkey_a, wrong, 64);
	CHECK(check(b.len, set, 64, &good) == PV_E_SIGNATURE && good == 0);
	CHECK(check(b.len, &vkey_b, 1, &good) == PV_OK);
	begin(&b, sizeof(note));
	pv_put_note_sig(&b, &vkey_a, wrong, 64);
	sign_note(&b, TEXTLEN, key_a, &vkey_a);
	CHECK(check(b.len, &vkey_a, 1, &good) == PV_E_SIGNATURE);

	/* So does one of another length. */
	for (size_t n = 1; n <= 65; n++)
	{
		begin(&b, sizeof(note));
		sign_note(&b, TEXTLEN, key_b, &vkey_b);
		pv_put_note_sig(&b, &vkey_a, wrong, n);
		CHECK(check(b.len, set, 64, &good) == PV_E_SIGNATURE);
		CHECK(check(b.len, &vkey_b, 1, &good) == PV_OK);
	}

	/* The signature of one key under the name of another. */
	begin(&b, sizeof(note));
	sign_note(&b, TEXTLEN, key_b, &vkey_a);
	CHECK(check(b.len, set, 64, &good) == PV_E_SIGNATURE);

	/* A cosigner's key never counts here. */
	vkey_of(&hasher, key_a, "a.example", PV_SIG_COSIGNATURE, &set[0]);
	begin(&b, sizeof(note));
	sign_note(&b, TEXTLEN, key_a, &set[0]);
	CHECK(check(b.len, set, 1, &good) == PV_E_UNKNOWN_KEY);
}

static void
blobs(void)
{
	uint8_t		blob[1000],
				out[1001];
	pv_note		parsed;
	pv_buf		b;
	size_t		n;

	for (size_t i = 0; i < sizeof(blob); i++)
		blob[i] = (uint8_t) (i * 7 + 1);
	for (size_t len = 0; len <= sizeof(blob); len++)
	{
		begin(&b, sizeof(note));
		pv_put_note_sig(&b, &vkey_a, blob, len);
		if (len == 0)
		{
			CHECK(pv_note_parse(note, b.len, &parsed) == PV_E_TRUNCATED);
			continue;
		}
		CHECK(pv_note_parse(note, b.len, &parsed) == PV_OK && parsed.sigs[0].key_id == vkey_a.key_id);
		memset(out, 0xEE, sizeof(out));
		CHECK(pv_note_sig_blob(&parsed.sigs[0], out, len, &n) == PV_OK && n == len);
		CHECK(memcmp(out, blob, len) == 0 && out[len] == 0xEE);
		CHECK(pv_note_sig_blob(&parsed.sigs[0], out, len - 1, &n) == PV_E_TOO_LONG);
	}
}

static void
limits(void)
{
	static uint8_t big[PV_NOTE_MAX_LEN + 2];
	static pv_note parsed;
	pv_buf		b;

	begin(&b, sizeof(note));
	for (int i = 0; i < PV_NOTE_MAX_SIGS; i++)
		sign_note(&b, TEXTLEN, key_a, &vkey_a);
	CHECK(check(b.len, &vkey_a, 1, NULL) == PV_OK);
	sign_note(&b, TEXTLEN, key_a, &vkey_a);
	CHECK(check(b.len, &vkey_a, 1, NULL) == PV_E_TOO_LONG);

	/* Refused for its length before anything of it is read. */
	memset(big, 'x', sizeof(big));
	pv_buf_init(&b, note, sizeof(note));
	pv_put_str(&b, "\n\n");
	sign_note(&b, TEXTLEN, key_a, &vkey_a);
	memcpy(big + PV_NOTE_MAX_LEN - b.len, note, b.len);
	CHECK(pv_note_parse(big, PV_NOTE_MAX_LEN, &parsed) == PV_OK && parsed.nsigs == 1);
	memset(big, 'x', sizeof(big));
	memcpy(big + PV_NOTE_MAX_LEN + 1 - b.len, note, b.len);
	CHECK(pv_note_parse(big, PV_NOTE_MAX_LEN + 1, &parsed) == PV_E_TOO_LONG);
	CHECK(pv_note_parse(NULL, 0, &parsed) == PV_E_TRUNCATED);

	/* Too small a buffer is said, not written past. */
	pv_buf_init(&b, note, 50);
	sign_note(&b, 0, key_a, &vkey_a);
	CHECK(pv_buf_status(&b) == PV_E_TOO_LONG);
}

int
main(void)
{
	unsigned	n;

	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	key_a = key_from_seed(SEED_1);
	key_b = key_from_seed(SEED_2);
	vkey_of(&hasher, key_a, "a.example", PV_SIG_ED25519, &vkey_a);
	vkey_of(&hasher, key_b, "b.example", PV_SIG_ED25519, &vkey_b);
	n = vector_file();
	CASE("notes.txt has its cases");
	CHECK(n == 42);
	CASE("which signatures count");
	which_count();
	CASE("signatures of every length up to 1000 bytes");
	blobs();
	CASE("limits");
	limits();
	EVP_PKEY_free(key_a);
	EVP_PKEY_free(key_b);
	pv_hasher_free(&hasher);
	return harness_end();
}
