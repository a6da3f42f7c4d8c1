/*
 * t_checkpoint.c: checkpoints. A small signed one verifies; with any one bit
 * flipped, any part cut off or anything added it does not, except within the
 * line of an unknown signer, which proves nothing and spoils nothing.
 */
#include "harness.h"
#include "checkpoint.h"
#include "merkle.h"
#include "note_util.h"

static pv_hasher hasher;
static EVP_PKEY *log_key,
		   *other_key;
static pv_vkey log_vkey,
			other_vkey;

#define ORIGIN "crm.acme.example"

/* Signs a text given as a string and parses the note. */
static pv_status
sign_and_parse(const char *text, size_t len, pv_checkpoint *cp)
{
	static uint8_t note[PV_CHECKPOINT_MAX_LEN + 4096];
	pv_buf		b;

	pv_buf_init(&b, note, sizeof(note));
	pv_put_bytes(&b, text, len);
	pv_put_u8(&b, '\n');
	sign_note(&b, len, log_key, &log_vkey);
	must(pv_buf_status(&b) == PV_OK, "note of a test");
	return pv_checkpoint_parse(note, b.len, cp);
}

static pv_status
text_status(const char *text)
{
	pv_checkpoint cp;

	return sign_and_parse(text, strlen(text), &cp);
}

static pv_status
check(const uint8_t *note, size_t len)
{
	pv_checkpoint cp;
	pv_status	status = pv_checkpoint_parse(note, len, &cp);

	return status == PV_OK ? pv_checkpoint_verify(&cp, &log_vkey, 1) : status;
}

static void
whole_note(void)
{
	uint8_t		note[1024],
				copy[1024];
	pv_buf		b;
	pv_hash		root;
	size_t		textlen,
				known_end;
	pv_checkpoint cp;
	unsigned	accepted = 0;

	must(pv_leaf_hash(&hasher, "leaf", 4, &root) == PV_OK, "hash");
	pv_buf_init(&b, note, sizeof(note));
	pv_put_checkpoint_text(&b, ORIGIN, strlen(ORIGIN), 1234567, &root);
	textlen = b.len;
	pv_put_u8(&b, '\n');
	sign_note(&b, textlen, log_key, &log_vkey);
	known_end = b.len;
	sign_note(&b, textlen, other_key, &other_vkey);
	CHECK(pv_buf_status(&b) == PV_OK);

	CHECK(pv_checkpoint_parse(note, b.len, &cp) == PV_OK);
	CHECK(cp.originlen == strlen(ORIGIN) && memcmp(cp.origin, ORIGIN, cp.originlen) == 0);
	CHECK(cp.size == 1234567 && pv_hash_equal(&cp.root, &root));
	CHECK(cp.note.textlen == textlen && cp.note.nsigs == 2);
	CHECK(pv_checkpoint_verify(&cp, &log_vkey, 1) == PV_OK);

	for (size_t n = 0; n < b.len; n++)
	{
		pv_status	status = check(note, n);

		CHECK((status == PV_OK) == (n == known_end));
	}
	for (size_t bit = 0; bit < 8 * b.len; bit++)
	{
		memcpy(copy, note, b.len);
		copy[bit / 8] ^= (uint8_t) (1 << bit % 8);
		if (check(copy, b.len) == PV_OK)
		{
			CHECK(bit / 8 >= known_end);
			accepted++;
		}
	}
	CHECK(accepted > 0);

	/* Anything after the last newline, and any carriage return. */
	for (int c = 0; c < 256; c++)
	{
		memcpy(copy, note, b.len);
		copy[b.len] = (uint8_t) c;
		CHECK(check(copy, b.len + 1) != PV_OK);
	}
	for (size_t at = 0; at <= b.len; at++)
	{
		memcpy(copy, note, at);
		copy[at] = '\r';
		memcpy(copy + at + 1, note + at, b.len - at);
		CHECK(check(copy, b.len + 1) != PV_OK);
	}
}

static void
texts(void)
{
#define ROOT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	static const struct
	{
		const char *text;
		pv_status	status;
	}			t[] = {
		{"o\n1\n" ROOT "\n", PV_OK},
		{"go.sum database tree\n30055305\n" ROOT "\n", PV_OK},
		{"o\n1\n" ROOT "\nextension\nanother one\n", PV_OK},
		{"o\n9223372036854775807\n" ROOT "\n", PV_OK},
		{"o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", PV_OK},
		{"o\n0\n" ROOT "\n", PV_E_VALUE},
		{"o\n9223372036854775808\n" ROOT "\n", PV_E_NUMBER},
		{"o\n18446744073709551617\n" ROOT "\n", PV_E_NUMBER},
		{"o\n01\n" ROOT "\n", PV_E_NUMBER},
		{"o\n00\n" ROOT "\n", PV_E_NUMBER},
		{"o\n+1\n" ROOT "\n", PV_E_NUMBER},
		{"o\n-1\n" ROOT "\n", PV_E_NUMBER},
		{"o\n 1\n" ROOT "\n", PV_E_NUMBER},
		{"o\n1 \n" ROOT "\n", PV_E_NUMBER},
		{"o\n0x1\n" ROOT "\n", PV_E_NUMBER},
		{"o\n1.0\n" ROOT "\n", PV_E_NUMBER},
		{"o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n", PV_E_BASE64},	/* stray bits */
		{"o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", PV_E_BASE64},	/* no padding */
		{"o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", PV_E_BASE64},	/* 33 bytes */
		{"o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n", PV_E_BASE64},	/* 31 bytes */
		{"o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_=\n", PV_E_BASE64},	/* other alphabet */
		{"o\n1\n" ROOT " \n", PV_E_BASE64},
		{"o\n1\n", PV_E_TRUNCATED},
		{"o\n", PV_E_TRUNCATED},
		{"\n", PV_E_SYNTAX},
		{"\n1\n" ROOT "\n", PV_E_SYNTAX},
		{"o\n\n" ROOT "\n", PV_E_SYNTAX},
		{"o\n1\n\n" ROOT "\n", PV_E_SYNTAX},
		{"o\n1\n" ROOT "\n\n", PV_E_SYNTAX},
		{"o\n1\n" ROOT "\nx\n\ny\n", PV_E_SYNTAX},
		{"o\r\n1\r\n" ROOT "\r\n", PV_E_UTF8},
		{"o\tx\n1\n" ROOT "\n", PV_E_UTF8},
		{"\xFF\n1\n" ROOT "\n", PV_E_UTF8},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
	{
		pv_status	status = text_status(t[i].text);

		CHECK(status == t[i].status);
		if (status != t[i].status)
			printf("# text %zu: %s\n", i, pv_status_text(status));
	}
}

static void
limits(void)
{
	static char text[PV_CHECKPOINT_MAX_LEN];
	const size_t siglen = 1 + 4 + strlen(ORIGIN) + 1 + 92 + 1;
	const char *head = ORIGIN "\n1\n" ROOT "\n";
	size_t		longest = PV_CHECKPOINT_MAX_LEN - siglen;
	pv_checkpoint cp;

	memset(text, 'x', sizeof(text));
	memcpy(text, head, strlen(head));
	text[longest - 1] = '\n';
	CHECK(sign_and_parse(text, longest, &cp) == PV_OK);
	CHECK(pv_checkpoint_verify(&cp, &log_vkey, 1) == PV_OK);
	text[longest - 1] = 'x';
	text[longest] = '\n';
	CHECK(sign_and_parse(text, longest + 1, &cp) == PV_E_TOO_LONG);
}

static void
keys(void)
{
	const char *text = ORIGIN "\n1\n" ROOT "\n";
	pv_vkey		set[3];
	pv_checkpoint cp;

	CHECK(sign_and_parse(text, strlen(text), &cp) == PV_OK);
	CHECK(pv_checkpoint_verify(&cp, NULL, 0) == PV_E_ORIGIN);
	CHECK(pv_checkpoint_verify(&cp, &other_vkey, 1) == PV_E_ORIGIN);
	vkey_of(&hasher, other_key, ORIGIN, PV_SIG_ED25519, &set[0]);
	CHECK(pv_checkpoint_verify(&cp, set, 1) == PV_E_UNKNOWN_KEY);
	set[1] = log_vkey;
	set[2] = other_vkey;
	CHECK(pv_checkpoint_verify(&cp, set, 3) == PV_OK);

	/* A cosigner's key does not sign heads, whatever its name. */
	vkey_of(&hasher, log_key, ORIGIN, PV_SIG_COSIGNATURE, &set[0]);
	CHECK(pv_checkpoint_verify(&cp, set, 1) == PV_E_ORIGIN);

	/* The key's ID but other bytes. */
	vkey_of(&hasher, other_key, ORIGIN, PV_SIG_ED25519, &set[0]);
	set[0].key_id = log_vkey.key_id;
	CHECK(pv_checkpoint_verify(&cp, set, 1) == PV_E_SIGNATURE);

	/* Well signed, by a key of another name than the origin. */
	text = "crm.acme.example/2\n1\n" ROOT "\n";
	CHECK(sign_and_parse(text, strlen(text), &cp) == PV_OK);
	CHECK(pv_note_verify(&cp.note, &log_vkey, 1, NULL) == PV_OK);
	CHECK(pv_checkpoint_verify(&cp, &log_vkey, 1) == PV_E_ORIGIN);
}

static void
origins(void)
{
	static const char *const good[] = {"a", "crm.acme.example", "CRM-1.example", "9.9", "a--b"};
	static const char *const bad[] = {
		"", ".", "-", "a.", ".a", "a..b", "-a", "a-", "a b", "a_b", "a+b", "a\n", "\xC3\xA4.example", "a:1",
		"a/", "/2", "a/1", "a/0", "a/02", "a/+2", "a/2/2", "a/x", "a/2 ", "a/4294967296", "a./2",
	};
	char		longest[201];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(pv_origin_valid(good[i], strlen(good[i]), false) && pv_origin_valid(good[i], strlen(good[i]), true));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!pv_origin_valid(bad[i], strlen(bad[i]), false) && !pv_origin_valid(bad[i], strlen(bad[i]), true));
	CHECK(pv_origin_valid("a/2", 3, true) && pv_origin_valid("a.b/4294967295", 14, true));
	CHECK(!pv_origin_valid("a/2", 3, false));
	memset(longest, 'a', sizeof(longest));
	CHECK(pv_origin_valid(longest, 200, false) && !pv_origin_valid(longest, 201, false));
}

int
main(void)
{
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	log_key = key_from_seed(SEED_1);
	other_key = key_from_seed(SEED_2);
	vkey_of(&hasher, log_key, ORIGIN, PV_SIG_ED25519, &log_vkey);
	vkey_of(&hasher, other_key, "other.example", PV_SIG_ED25519, &other_vkey);
	CASE("a signed checkpoint: every truncation, flipped bit, appended byte and carriage return is refused");
	whole_note();
	CASE("texts: sizes, roots, extension lines, empty lines");
	texts();
	CASE("the longest checkpoint, and one byte more");
	limits();
	CASE("only a key of the origin's name signs its heads");
	keys();
	CASE("origins");
	origins();
	EVP_PKEY_free(log_key);
	EVP_PKEY_free(other_key);
	pv_hasher_free(&hasher);
	return harness_end();
}
