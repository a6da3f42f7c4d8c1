/*
 * t_cosignature.c: cosignatures of type 0x04: the message, the blob, what one
 * key's line proves, and what must be refused.
 */
#include "harness.h"
#include "note_util.h"

#define ORIGIN "crm.acme.example"
#define TEXT ORIGIN "\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define TEXTLEN (sizeof(TEXT) - 1)

static pv_hasher hasher;
static EVP_PKEY *log_key,
		   *witness_key;
static pv_vkey log_vkey,
			witness_vkey;

static void
begin_note(pv_buf *b, uint8_t *note, size_t cap)
{
	pv_buf_init(b, note, cap);
	pv_put_str(b, TEXT);
	pv_put_u8(b, '\n');
	sign_note(b, TEXTLEN, log_key, &log_vkey);
}

static pv_status
check(const uint8_t *note, size_t len, const pv_vkey *key, uint64_t *seconds)
{
	pv_checkpoint cp;
	pv_status	status = pv_checkpoint_parse(note, len, &cp);

	return status == PV_OK ? pv_cosignature_verify(&cp, key, seconds) : status;
}

static void
message(void)
{
	static const char want[] = "cosignature/v1\ntime 1234\n" TEXT;
	uint8_t		out[256];
	pv_buf		b;

	pv_buf_init(&b, out, sizeof(out));
	pv_put_cosignature_message(&b, 1234, TEXT, TEXTLEN);
	CHECK(pv_buf_status(&b) == PV_OK && b.len == sizeof(want) - 1 && memcmp(out, want, b.len) == 0);
	pv_buf_init(&b, out, 20);
	pv_put_cosignature_message(&b, 1234, TEXT, TEXTLEN);
	CHECK(pv_buf_status(&b) == PV_E_TOO_LONG);
}

static void
blobs(void)
{
	uint8_t		blob[PV_COSIGNATURE_BLOB_LEN + 1] = {0};
	uint8_t		sig[PV_ED25519_SIGNATURE_LEN];
	uint64_t	seconds = 7;

	for (int i = 0; i < PV_ED25519_SIGNATURE_LEN; i++)
		blob[8 + i] = (uint8_t) i;
	blob[6] = 0x04;
	blob[7] = 0xD2;
	CHECK(pv_cosignature_parse(blob, PV_COSIGNATURE_BLOB_LEN, &seconds, sig) == PV_OK && seconds == 1234);
	CHECK(memcmp(sig, blob + 8, sizeof(sig)) == 0);
	for (size_t n = 0; n < PV_COSIGNATURE_BLOB_LEN; n++)
		CHECK(pv_cosignature_parse(blob, n, &seconds, sig) == PV_E_TRUNCATED);
	CHECK(pv_cosignature_parse(blob, sizeof(blob), &seconds, sig) == PV_E_TRAILING);
	memset(blob, 0xFF, 8);
	blob[0] = 0x7F;
	CHECK(pv_cosignature_parse(blob, PV_COSIGNATURE_BLOB_LEN, &seconds, sig) == PV_OK && seconds == INT64_MAX);
	memset(blob, 0, 8);
	blob[0] = 0x80;
	CHECK(pv_cosignature_parse(blob, PV_COSIGNATURE_BLOB_LEN, &seconds, sig) == PV_E_VALUE);
}

static void
whole_note(void)
{
	uint8_t		note[1024],
				copy[1024];
	size_t		log_end;
	uint64_t	seconds = 0;
	unsigned	accepted = 0;
	pv_buf		b;

	begin_note(&b, note, sizeof(note));
	log_end = b.len;
	CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_E_UNKNOWN_KEY);
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, 1727964367);
	CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_OK && seconds == 1727964367);
	for (size_t n = 0; n < b.len; n++)
		CHECK(check(note, n, &witness_vkey, &seconds) != PV_OK);
	for (size_t bit = 0; bit < 8 * b.len; bit++)
	{
		memcpy(copy, note, b.len);
		copy[bit / 8] ^= (uint8_t) (1 << bit % 8);
		if (check(copy, b.len, &witness_vkey, &seconds) == PV_OK)
		{
			/* To the cosigner the log's own line is one of a stranger. */
			CHECK(bit / 8 > TEXTLEN && bit / 8 < log_end);
			accepted++;
		}
	}
	CHECK(accepted > 0);
}

static void
several(void)
{
	uint8_t		note[2048];
	uint64_t	seconds = 99;
	pv_vkey		key;
	pv_buf		b;
	uint8_t		blob[PV_COSIGNATURE_BLOB_LEN + 2] = {0};

	/* The latest of several counts, in whatever order they stand. */
	begin_note(&b, note, sizeof(note));
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, 20);
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, 30);
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, 10);
	CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_OK && seconds == 30);

	/* One wrong line of the key spoils it, and nothing is said of a time. */
	pv_put_note_sig(&b, &witness_vkey, blob, PV_COSIGNATURE_BLOB_LEN);
	seconds = 99;
	CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_E_SIGNATURE && seconds == 99);

	/* Blobs of other lengths. */
	for (size_t n = PV_COSIGNATURE_BLOB_LEN - 1; n <= PV_COSIGNATURE_BLOB_LEN + 2; n++)
	{
		begin_note(&b, note, sizeof(note));
		pv_put_note_sig(&b, &witness_vkey, blob, n);
		CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_E_SIGNATURE);
	}

	/* Time 0 is a time; one above 2^63 - 1 is none. */
	begin_note(&b, note, sizeof(note));
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, 0);
	CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_OK && seconds == 0);
	begin_note(&b, note, sizeof(note));
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, (uint64_t) 1 << 63);
	CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_E_SIGNATURE);

	/* The same key as a signer of notes is another key, both ways. */
	vkey_of(&hasher, witness_key, witness_vkey.name, PV_SIG_ED25519, &key);
	begin_note(&b, note, sizeof(note));
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, 20);
	CHECK(check(note, b.len, &key, &seconds) == PV_E_KEY_TYPE);
	begin_note(&b, note, sizeof(note));
	sign_note(&b, TEXTLEN, witness_key, &key);
	CHECK(check(note, b.len, &witness_vkey, &seconds) == PV_E_UNKNOWN_KEY);
}

/* A line apart from its note, every truncation and flipped bit of it. */
static void
apart(void)
{
	uint8_t		note[1024];
	char		line[1024];
	uint64_t	seconds = 0;
	pv_buf		b;
	size_t		from;
	size_t		len;

	begin_note(&b, note, sizeof(note));
	from = b.len;
	cosign_note(&b, TEXTLEN, witness_key, &witness_vkey, 20);
	len = b.len - from - 1;
	memcpy(line, note + from, len + 1);
	CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN, line, len, &witness_vkey, &seconds) == PV_OK && seconds == 20);
	CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN, line, len, &log_vkey, &seconds) == PV_E_KEY_TYPE);
	CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN - 1, line, len, &witness_vkey, &seconds) != PV_OK);
	CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN, line, len + 1, &witness_vkey, &seconds) != PV_OK);
	for (size_t n = 0; n < len; n++)
	{
		CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN, line, n, &witness_vkey, &seconds) != PV_OK);
		line[n] ^= 1;
		CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN, line, len, &witness_vkey, &seconds) != PV_OK);
		line[n] ^= 1;
	}

	/* Neither more text nor more lines come in by the line. */
	line[len] = '\n';
	line[len + 1] = '\n';
	memcpy(line + len + 2, line, len);
	CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN, line, 2 * len + 2, &witness_vkey, &seconds) == PV_E_SYNTAX);
	memmove(line + len + 1, line + len + 2, len);
	CHECK(pv_cosignature_verify_line(TEXT, TEXTLEN, line, 2 * len + 1, &witness_vkey, &seconds) == PV_E_SYNTAX);
}

int
main(void)
{
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	log_key = key_from_seed(SEED_1);
	witness_key = key_from_seed(SEED_2);
	vkey_of(&hasher, log_key, ORIGIN, PV_SIG_ED25519, &log_vkey);
	vkey_of(&hasher, witness_key, "witness.example", PV_SIG_COSIGNATURE, &witness_vkey);
	CASE("the signed message");
	message();
	CASE("the blob: truncations, trailing bytes, times");
	blobs();
	CASE("a cosigned checkpoint: every truncation and every flipped bit is refused");
	whole_note();
	CASE("several lines of one key, other lengths, other types");
	several();
	CASE("a line apart from its note");
	apart();
	EVP_PKEY_free(log_key);
	EVP_PKEY_free(witness_key);
	pv_hasher_free(&hasher);
	return harness_end();
}
