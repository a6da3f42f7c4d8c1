/*
 * t_signature.c: Ed25519 against the vectors of RFC 8032, section 7.1, and
 * verifier keys: the example of C2SP signed-note, round trips, key IDs, and
 * what must be refused.
 */
#include "harness.h"
#include "signature.h"
#include "note_util.h"

#include <openssl/err.h>

static pv_hasher hasher;

static const struct
{
	const char *seed,
			   *pub,
			   *msg,
			   *sig;
}			rfc8032[] = {
	{SEED_1,
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{SEED_2,
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{SEED_3,
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	{"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
		"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};

static pv_status
parse(const char *s, pv_vkey *key)
{
	return pv_vkey_parse(&hasher, s, strlen(s), key);
}

static void
vectors(void)
{
	for (size_t i = 0; i < sizeof(rfc8032) / sizeof(rfc8032[0]); i++)
	{
		EVP_PKEY   *key = key_from_seed(rfc8032[i].seed);
		size_t		msglen = strlen(rfc8032[i].msg) / 2;
		uint8_t		msg[64],
					pub[32],
					want_pub[32],
					sig[64],
					want_sig[64];

		CHECK(pv_hex_decode(rfc8032[i].msg, 2 * msglen, msg, msglen) == PV_OK);
		CHECK(pv_hex_decode(rfc8032[i].pub, 64, want_pub, 32) == PV_OK);
		CHECK(pv_hex_decode(rfc8032[i].sig, 128, want_sig, 64) == PV_OK);
		CHECK(pv_ed25519_public(key, pub) == PV_OK && memcmp(pub, want_pub, 32) == 0);
		CHECK(pv_ed25519_sign(key, msg, msglen, sig) == PV_OK && memcmp(sig, want_sig, 64) == 0);
		CHECK(pv_ed25519_verify(pub, msg, msglen, sig) == PV_OK);
		for (int bit = 0; bit < 512; bit++)
		{
			sig[bit / 8] ^= (uint8_t) (1 << bit % 8);
			CHECK(pv_ed25519_verify(pub, msg, msglen, sig) == PV_E_SIGNATURE);
			sig[bit / 8] ^= (uint8_t) (1 << bit % 8);
		}
		for (size_t bit = 0; bit < 8 * msglen; bit++)
		{
			msg[bit / 8] ^= (uint8_t) (1 << bit % 8);
			CHECK(pv_ed25519_verify(pub, msg, msglen, sig) == PV_E_SIGNATURE);
			msg[bit / 8] ^= (uint8_t) (1 << bit % 8);
		}
		for (int bit = 0; bit < 256; bit++)
		{
			pub[bit / 8] ^= (uint8_t) (1 << bit % 8);
			CHECK(pv_ed25519_verify(pub, msg, msglen, sig) == PV_E_SIGNATURE);
			pub[bit / 8] ^= (uint8_t) (1 << bit % 8);
		}
		EVP_PKEY_free(key);
	}
	CHECK(ERR_peek_error() == 0);
}

static void
names(void)
{
	static const char *const good[] = {
		"a", "example.com/foo", "crm.acme.example/2", "f\xC3\xB6\xC3\xB6.example",
		"\xE2\x80\x8B", "\xE1\xA0\x8E",	/* U+200B, U+180E: no White_Space */
	};
	static const char *const bad[] = {
		"", " ", "a b", "a+b", "+", "a\tb", "a\nb", "a\vb", "a\fb", "a\rb", "a\x7F" "b", "a\x01" "b",
		"\xC2\x85", "\xC2\x9F", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
		"\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87",
		"\xE2\x80\x88", "\xE2\x80\x89", "a\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
		"\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xFF", "a\xC3", "\xC0\xAF", "\xED\xA0\x80",
	};
	char		longest[PV_KEY_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(pv_key_name_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!pv_key_name_valid(bad[i], strlen(bad[i])));
	CHECK(!pv_key_name_valid("a\0b", 3));
	memset(longest, 'x', sizeof(longest));
	CHECK(pv_key_name_valid(longest, PV_KEY_NAME_MAX));
	CHECK(!pv_key_name_valid(longest, PV_KEY_NAME_MAX + 1));
}

static void
refused(void)
{
	static const struct
	{
		const char *vkey;
		pv_status	status;
	}			bad[] = {
		{"", PV_E_KEY},
		{"example.com/foo", PV_E_KEY},
		{"+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_NAME},
		{"example com+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_NAME},
		{"example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_KEY},
		{"example.com/foo+0530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_KEY},
		{"example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_HEX},
		{"example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_KEY},
		{"example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_KEY},
		{"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2l", PV_E_KEY},
		{"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n", PV_E_BASE64},
		{"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2", PV_E_BASE64},
		{"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U==", PV_E_BASE64},
		{"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3UA=", PV_E_KEY},
		{"example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_KEY},
		{"example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_KEY_TYPE},
		{"example.com/foo+530d903a+", PV_E_KEY},
		{"example.com/foo+530d903a+AQ==", PV_E_KEY},
		{"example.com/foo+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", PV_E_KEY},
	};
	char		big[4096];
	pv_vkey		key;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		pv_status	status = parse(bad[i].vkey, &key);

		CHECK(status == bad[i].status);
		if (status != bad[i].status)
			printf("# %s: %s\n", bad[i].vkey, pv_status_text(status));
	}

	/* 1313 bytes that begin with 0x06: an ML-DSA-44 key; 1314 or more: nothing. */
	memset(big, 'A', sizeof(big));
	memcpy(big, "example.com/foo+530d903a+Bg", 27);
	memcpy(big + 25 + 1748, "AAA=", 4);
	CHECK(pv_vkey_parse(&hasher, big, 25 + 1752, &key) == PV_E_KEY_TYPE);
	memcpy(big + 25 + 1748, "AAAA", 4);
	CHECK(pv_vkey_parse(&hasher, big, 25 + 1752, &key) == PV_E_KEY);
	CHECK(pv_vkey_parse(&hasher, big, 25 + 1756, &key) == PV_E_KEY);
	CHECK(pv_vkey_parse(&hasher, big, sizeof(big), &key) == PV_E_KEY);
}

static void
vkeys(void)
{
	static const char spec[] = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
	char		text[PV_VKEY_MAX];
	char		longest[PV_KEY_NAME_MAX];
	pv_vkey		key,
				again;
	uint32_t	id;

	CHECK(parse(spec, &key) == PV_OK);
	CHECK(strcmp(key.name, "example.com/foo") == 0 && key.type == PV_SIG_ED25519 && key.key_id == 0x530d903a);
	CHECK(pv_vkey_format(&key, text) == PV_OK && strcmp(text, spec) == 0);
	CHECK(pv_key_id(&hasher, "example.com/foo", 15, PV_SIG_ED25519, key.public_key, 32, &id) == PV_OK && id == 0x530d903a);

	/* The same bytes as a cosigner's key have another ID. */
	CHECK(pv_vkey_make(&hasher, "example.com/foo", 15, PV_SIG_COSIGNATURE, key.public_key, &again) == PV_OK);
	CHECK(again.key_id != key.key_id);
	CHECK(pv_vkey_format(&again, text) == PV_OK && parse(text, &key) == PV_OK && key.type == PV_SIG_COSIGNATURE);
	CHECK(pv_vkey_make(&hasher, "a", 1, PV_SIG_MLDSA44, key.public_key, &again) == PV_E_KEY_TYPE);
	CHECK(pv_vkey_make(&hasher, "a b", 3, PV_SIG_ED25519, key.public_key, &again) == PV_E_NAME);

	memset(longest, 'n', sizeof(longest));
	CHECK(pv_vkey_make(&hasher, longest, sizeof(longest), PV_SIG_ED25519, key.public_key, &again) == PV_OK);
	CHECK(pv_vkey_format(&again, text) == PV_OK && parse(text, &key) == PV_OK && strlen(key.name) == sizeof(longest));

	for (size_t n = 0; n < sizeof(spec) - 1; n++)
		CHECK(pv_vkey_parse(&hasher, spec, n, &key) != PV_OK);
	for (size_t bit = 0; bit < 8 * (sizeof(spec) - 1); bit++)
	{
		char		flipped[sizeof(spec)];

		memcpy(flipped, spec, sizeof(spec));
		flipped[bit / 8] ^= (char) (1 << bit % 8);
		CHECK(pv_vkey_parse(&hasher, flipped, sizeof(spec) - 1, &key) != PV_OK);
	}
}

static void
other_keys(void)
{
	EVP_PKEY   *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	uint8_t		out[64];

	CHECK(key != NULL);
	CHECK(pv_ed25519_sign(key, "x", 1, out) == PV_E_KEY_TYPE);
	CHECK(pv_ed25519_public(key, out) == PV_E_KEY_TYPE);
	EVP_PKEY_free(key);
	CHECK(ERR_peek_error() == 0);
}

int
main(void)
{
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	CASE("RFC 8032: sign, verify, and every flipped bit of signature, message and key");
	vectors();
	CASE("key names");
	names();
	CASE("verifier keys: the example of signed-note, round trips, IDs, truncations, flipped bits");
	vkeys();
	CASE("verifier keys: what is refused, and why");
	refused();
	CASE("a key of another algorithm does not sign");
	other_keys();
	pv_hasher_free(&hasher);
	return harness_end();
}
