/*
 * fuzz_checkpoint.c: pv_checkpoint_parse() and pv_checkpoint_verify(). What
 * parses is written again, byte for byte; the key has signed one root of size
 * 1, without extension lines, so nothing else may verify.
 */
#include "fuzz_note.h"
#include "checkpoint.h"
#include "merkle.h"

const char *const fuzz_words[] = {
	"\n\n", "\n", "\xE2\x80\x94 ", "\xE2\x80\x94 a AAAAAAA=\n", "crm.acme.example", "/2", "0\n", "9223372036854775807\n",
	"9223372036854775808\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "extension\n",
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "\r\n", "=", NULL
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static pv_checkpoint cp;
	pv_vkey		key;
	uint8_t		text[512];
	pv_buf		b;
	pv_status	status;

	status = pv_checkpoint_parse(data, len, &cp);
	fuzz_seen((unsigned) status);
	if (status != PV_OK)
		return 0;
	fuzz_seen(100 + (cp.size == 0) + 2 * (cp.note.nsigs > 1));
	fuzz_note_again(data, len, &cp.note);
	FUZZ_ASSERT(cp.size <= PV_MAX_TREE && len <= PV_CHECKPOINT_MAX_LEN);
	FUZZ_ASSERT(cp.size > 0 || pv_hash_equal(&cp.root, &pv_empty_root));
	FUZZ_ASSERT(cp.originlen > 0 && memchr(cp.origin, '\n', cp.originlen) == NULL);
	pv_buf_init(&b, text, sizeof(text));
	pv_put_checkpoint_text(&b, cp.origin, cp.originlen, cp.size, &cp.root);
	if (pv_buf_status(&b) == PV_OK)
	{
		FUZZ_ASSERT(b.len <= cp.note.textlen && memcmp(text, cp.note.text, b.len) == 0);
		fuzz_seen(110 + (b.len < cp.note.textlen));
	}
	fuzz_seen(120 + pv_origin_valid(cp.origin, cp.originlen, true) + pv_origin_valid(cp.origin, cp.originlen, false));

	fuzz_key("crm.acme.example+5e3d2663+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea", &key);
	status = pv_checkpoint_verify(&cp, &key, 1);
	fuzz_seen(200 + (unsigned) status);
	if (status == PV_OK)
		FUZZ_ASSERT(cp.size == 1 && cp.note.textlen == strlen("crm.acme.example\n1\n") + 45 &&
					cp.originlen == strlen(key.name) && memcmp(cp.origin, key.name, cp.originlen) == 0);
	return 0;
}
