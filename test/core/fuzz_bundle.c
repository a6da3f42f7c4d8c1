/*
 * fuzz_bundle.c: pv_bundle_read(). Lines as COPY writes them: number, kind and
 * content between tabs. A line that is accepted is written again, byte for
 * byte. Where the input begins with "!", the digest of the last line is made
 * to fit, so that what is checked after it is reached by mutation too.
 */
#include "fuzz_main.h"
#include "bundle_again.h"

const char *const fuzz_words[] = {
	"bundle\t", "checkpoint\t", "consistency\t", "shape\t", "context\t", "entry\t", "countersignature\t", "end\t",
	"provenance/bundle@v1|", "\n", "\t", "|", "|!", "-", "=", ":", "0", "1", "==", "!1\t", "|-|", "|all|", "|keys|",
	"9223372036854775807", "9223372036854775808", "\xE2\x80\xAE", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", NULL
};

static pv_hasher hasher;
static pv_bundle_reader r;
static void *slots[PV_BUNDLE_SHAPES];

static void *
keep(void *arg, unsigned slot, size_t len)
{
	(void) arg;
	FUZZ_ASSERT(slot < PV_BUNDLE_SHAPES && len > 0);
	free(slots[slot]);
	slots[slot] = malloc(len);
	return slots[slot];
}

/* One line; false after the last that is read. */
static bool
read_line(pv_bundle_digest *digest, bool repair, const char *s, size_t len)
{
	const char *kind = len > 0 ? memchr(s, '\t', len) : NULL;
	const char *content = kind != NULL ? memchr(kind + 1, '\t', len - (size_t) (kind + 1 - s)) : NULL;
	char		word[24] = "";
	uint64_t	number;
	size_t		kindlen,
				n;
	char	   *copy;
	uint8_t    *scratch,
			   *again;
	pv_buf		b;
	pv_status	status;
	const char *what = NULL;

	if (content == NULL || pv_parse_decimal(s, (size_t) (kind - s), UINT64_MAX, &number) != PV_OK)
		return false;
	kindlen = (size_t) (content - kind - 1);
	content++;
	n = len - (size_t) (content - s);
	copy = malloc(n + (n == 0));
	scratch = malloc(n + (n == 0));
	again = malloc(n + (n == 0));
	if (copy == NULL || scratch == NULL || again == NULL)
		exit(2);
	memcpy(copy, content, n);
	if (kindlen < sizeof(word))
		memcpy(word, kind + 1, kindlen);
	if (repair && strcmp(word, "end") == 0 && n >= 44)
	{
		pv_hash		hash;
		pv_buf		end;

		pv_buf_init(&end, copy + n - 44, 44);
		if (pv_bundle_digest_end(digest, &hash) != PV_OK)
			exit(2);
		pv_put_base64(&end, hash.b, PV_HASH_LEN);
	}
	else if (pv_bundle_digest_line(digest, number, word, copy, n) != PV_OK)
		exit(2);
	status = pv_bundle_read(&r, number, kind + 1, kindlen, copy, n, scratch, n, &what);
	FUZZ_ASSERT(what != NULL);
	fuzz_seen(((unsigned) status << 6 | (unsigned) r.kind << 2) % 4000);
	fuzz_seen(2000 + (unsigned) r.line % 64);
	if (status == PV_OK)
	{
		FUZZ_ASSERT(r.entry.nfields <= PV_MAX_FIELDS && r.entry.ngap <= PV_BUNDLE_MAX_GAP && r.line == number);
		pv_buf_init(&b, again, n);
		bu_put_again(&r, &b);
		FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == n && memcmp(again, copy, n) == 0);
		if (r.kind == PV_BUNDLE_ENTRY)
		{
			static pv_disclosed fields[PV_MAX_FIELDS];
			size_t		count;
			bool		erased;

			FUZZ_ASSERT(pv_bundle_fields_parse(r.entry.field_tokens, r.entry.field_tokens_len, scratch, n, fields,
											   PV_MAX_FIELDS, &count, &erased) == PV_OK);
			FUZZ_ASSERT(count == r.entry.nfields && erased == r.entry.erased);
		}
	}
	free(copy);
	free(scratch);
	free(again);
	return status == PV_OK && r.kind != PV_BUNDLE_END;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[PV_BUNDLE_KEY_LEN] = {1};
	static bool ready = false;
	pv_bundle_digest digest;
	bool		repair = len > 0 && data[0] == '!';
	pv_reader	lines;
	const char *s,
			   *what;
	size_t		n;

	if (!ready && pv_hasher_init(&hasher) != PV_OK)
		exit(2);
	ready = true;
	if (pv_bundle_digest_init(&digest) != PV_OK || pv_bundle_reader_init(&r, &hasher, key, keep, NULL) != PV_OK)
		exit(2);
	pv_reader_init(&lines, data + repair, len - repair);
	while (pv_get_line(&lines, &s, &n) && read_line(&digest, repair, s, n))
		;
	fuzz_seen(3000 + (unsigned) pv_bundle_reader_done(&r, &what));
	pv_bundle_digest_free(&digest);
	pv_bundle_reader_free(&r);
	for (unsigned i = 0; i < PV_BUNDLE_SHAPES; i++)
	{
		free(slots[i]);
		slots[i] = NULL;
	}
	return 0;
}
