/*
 * fuzz_cosignature.c: the input as a blob, and as a cosigned checkpoint. A
 * blob's parts give the blob again; the witness's key has cosigned one root of
 * size 1 at two times, so nothing else may verify.
 */
#include "fuzz_note.h"
#include "cosignature.h"

const char *const fuzz_words[] = {
	"\n\n", "\n", "\xE2\x80\x94 ", "\xE2\x80\x94 a AAAAAAA=\n", "witness.example", "Z1UPTg", "AAAAAAAA", "=", "0\n", NULL
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static pv_checkpoint cp;
	uint8_t		again[PV_COSIGNATURE_BLOB_LEN];
	uint8_t		sig[PV_ED25519_SIGNATURE_LEN];
	uint64_t	seconds;
	pv_vkey		key;
	pv_buf		b;
	pv_status	status;

	status = pv_cosignature_parse(data, len, &seconds, sig);
	fuzz_seen((unsigned) status);
	if (status == PV_OK)
	{
		FUZZ_ASSERT(seconds <= INT64_MAX);
		pv_buf_init(&b, again, sizeof(again));
		pv_put_u64(&b, seconds);
		pv_put_bytes(&b, sig, sizeof(sig));
		FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == len && memcmp(again, data, len) == 0);
	}
	if (pv_checkpoint_parse(data, len, &cp) != PV_OK)
		return 0;
	fuzz_key("witness.example+67550f4e+BD1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM", &key);
	status = pv_cosignature_verify(&cp, &key, &seconds);
	fuzz_seen(100 + (unsigned) status);
	if (status == PV_OK)
		FUZZ_ASSERT((seconds == 1727964367 || seconds == 0) && cp.size == 1 &&
					cp.note.textlen == strlen("crm.acme.example\n1\n") + 45);
	return 0;
}
