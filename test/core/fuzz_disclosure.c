/*
 * fuzz_disclosure.c: pv_disclosure_parse(). What parses is written again, byte
 * for byte; then it is verified, which it is only if nothing that counts was
 * changed.
 */
#include "fuzz_note.h"
#include "disclosure.h"

#define VKEY "crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"

const char *const fuzz_words[] = {
	"provenance/disclosure@v1\n", "leaf ", "shape ", "context ", "context-digest ", "field ", "field-base64 ", "salt ",
	"digest ", "null\n", "empty\n", "text ", "base64 ", "\n\nc2sp.org/tlog-proof@v1\n", "IHg=", "YQ==", "\n", "=",
	"\xE2\x80\xAE", "\xC2\x80", NULL
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static pv_disclosure d;
	static pv_proof proof;
	static pv_checkpoint cp;
	static pv_vkey key;
	static pv_hasher hasher;
	uint8_t    *scratch;
	uint8_t    *out;
	pv_fault	fault;
	pv_buf		b;
	pv_status	status;
	const char *what;

	if (key.name[0] == '\0')
	{
		fuzz_key(VKEY, &key);
		if (pv_hasher_init(&hasher) != PV_OK)
			exit(2);
	}
	scratch = malloc(len + (len == 0));
	out = malloc(len + (len == 0));
	if (scratch == NULL || out == NULL)
		exit(2);
	status = pv_disclosure_parse(data, len, scratch, len, &d, &fault);
	FUZZ_ASSERT(fault.part != NULL && fault.line < 1000000);
	fuzz_seen((unsigned) status);
	fuzz_seen(100 + (unsigned) fault.line % 100);
	if (status == PV_OK)
	{
		FUZZ_ASSERT(d.nfields <= PV_MAX_FIELDS && d.proof + d.prooflen == (const char *) data + len);
		pv_buf_init(&b, out, len);
		pv_put_disclosure(&b, &d);
		FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == len && memcmp(out, data, len) == 0);
		fuzz_seen(200 + (unsigned) d.nfields);
		fuzz_seen(300 + d.context_given);
		status = pv_disclosure_verify(&hasher, &d, &key, 1, &proof, &cp, &what);
		fuzz_seen(400 + (unsigned) status);
	}
	free(scratch);
	free(out);
	return 0;
}
