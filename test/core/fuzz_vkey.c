/*
 * fuzz_vkey.c: pv_vkey_parse(). What parses is written again, byte for byte.
 * The input serves as a key's name too: a valid one makes a key whose text
 * parses to the same key.
 */
#include "fuzz_main.h"
#include "signature.h"

const char *const fuzz_words[] = {
	"+", "+530d903a+", "example.com/foo", "AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "BAAA", "BgAA", "AQ==", "=",
	"\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\xA8", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80",
	"\xF4\x8F\xBF\xBF", "\xED\xA0\x80", "\xC0\x80", NULL
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t public_key[PV_ED25519_PUBLIC_LEN] = {1, 2, 3};
	const char *s = (const char *) data;
	char		text[PV_VKEY_MAX];
	pv_hasher	h;
	pv_vkey		key,
				again;
	pv_status	status;

	if (pv_hasher_init(&h) != PV_OK)
		exit(2);
	status = pv_vkey_parse(&h, s, len, &key);
	fuzz_seen(status == PV_OK ? 100U + key.type : (unsigned) status);
	if (status == PV_OK)
	{
		FUZZ_ASSERT(pv_key_name_valid(key.name, strlen(key.name)));
		FUZZ_ASSERT(pv_vkey_format(&key, text) == PV_OK);
		FUZZ_ASSERT(strlen(text) == len && memcmp(text, s, len) == 0);
	}
	status = pv_vkey_make(&h, s, len, len % 2 == 0 ? PV_SIG_ED25519 : PV_SIG_COSIGNATURE, public_key, &key);
	fuzz_seen(200 + (unsigned) status);
	FUZZ_ASSERT((status == PV_OK) == pv_key_name_valid(s, len));
	if (status == PV_OK)
	{
		fuzz_seen(300 + (unsigned) len);
		FUZZ_ASSERT(pv_vkey_format(&key, text) == PV_OK);
		FUZZ_ASSERT(pv_vkey_parse(&h, text, strlen(text), &again) == PV_OK);
		FUZZ_ASSERT(again.key_id == key.key_id && again.type == key.type && strlen(again.name) == len &&
					memcmp(again.name, s, len) == 0 && memcmp(again.public_key, public_key, sizeof(public_key)) == 0);
	}
	pv_hasher_free(&h);
	return 0;
}
