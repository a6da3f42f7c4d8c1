/*
 * t_hash.c: SHA-256 against FIPS 180-4 examples, tree hashes against RFC 6962.
 */
#include "hash.h"
#include "harness.h"

static bool
is(const pv_hash *h, const char *hex)
{
	uint8_t		x[PV_HASH_LEN];

	return pv_hex_decode(hex, strlen(hex), x, sizeof x) == PV_OK && memcmp(x, h->b, sizeof x) == 0;
}

int
main(void)
{
	pv_hasher	h;
	pv_hash		out,
				again;
	static uint8_t data[1000];
	bool		direct;

	CASE("FIPS 180-4 examples");
	CHECK(pv_hasher_init(&h) == PV_OK);
	CHECK(pv_sha256(&h, "abc", 3, &out) == PV_OK);
	CHECK(is(&out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	CHECK(pv_sha256(&h, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, &out) == PV_OK);
	CHECK(is(&out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
	pv_hash_begin(&h);
	memset(data, 'a', sizeof data);
	for (int i = 0; i < 1000; i++)
		pv_hash_add(&h, data, sizeof data);
	CHECK(pv_hash_end(&h, &out) == PV_OK);
	CHECK(is(&out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));

	CASE("a hash left unfinished does not leak into the next");
	pv_hash_begin(&h);
	pv_hash_add(&h, "garbage", 7);
	CHECK(pv_sha256(&h, "abc", 3, &out) == PV_OK);
	CHECK(is(&out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));

	CASE("RFC 6962: empty tree, empty leaf, node");
	CHECK(is(&pv_empty_root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
	CHECK(pv_sha256(&h, NULL, 0, &out) == PV_OK && pv_hash_equal(&out, &pv_empty_root));
	CHECK(pv_leaf_hash(&h, NULL, 0, &out) == PV_OK);
	CHECK(is(&out, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"));
	CHECK(pv_leaf_hash(&h, "L123456", 7, &out) == PV_OK);
	CHECK(is(&out, "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"));
	CHECK(pv_sha256(&h, "N123", 4, &out) == PV_OK);
	{
		pv_hash		left,
					right;
		uint8_t		input[65] = {PV_DOMAIN_NODE};

		CHECK(pv_leaf_hash(&h, "N123", 4, &left) == PV_OK);
		CHECK(pv_leaf_hash(&h, "N456", 4, &right) == PV_OK);
		memcpy(input + 1, left.b, 32);
		memcpy(input + 33, right.b, 32);
		CHECK(pv_sha256(&h, input, 65, &again) == PV_OK);
		CHECK(pv_node_hash(&h, &left, &right, &out) == PV_OK && pv_hash_equal(&out, &again));
		CHECK(pv_node_hash(&h, &right, &left, &out) == PV_OK && !pv_hash_equal(&out, &again));
		CHECK(pv_node_hash(&h, &left, &right, &left) == PV_OK && pv_hash_equal(&left, &again));
	}

	CASE("a leaf of any length is hashed as 0x00 and its bytes");
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t) (i * 7);
	data[0] = PV_DOMAIN_LEAF;
	for (size_t n = 0; n < sizeof data; n++)
	{
		CHECK(pv_leaf_hash(&h, data + 1, n, &out) == PV_OK);
		CHECK(pv_sha256(&h, data, n + 1, &again) == PV_OK && pv_hash_equal(&out, &again));
	}

	CASE("an input padded in place gives the same hash, and nothing behind its room is touched");
	for (size_t n = 0; n < 300; n++)
	{
		uint8_t		input[300 + PV_HASH_ROOM + 1];

		memset(input, 0xA5, sizeof input);
		memcpy(input, data, n);
		CHECK(pv_sha256(&h, data, n, &again) == PV_OK);
		CHECK(pv_sha256_in_place(&h, input, n, &out) == PV_OK && pv_hash_equal(&out, &again));
		CHECK(memcmp(input, data, n) == 0 && input[n + PV_HASH_ROOM] == 0xA5);
		/* through EVP, too */
		direct = h.direct;
		h.direct = false;
		CHECK(pv_sha256_in_place(&h, input, n, &out) == PV_OK && pv_hash_equal(&out, &again));
		h.direct = direct;
		/* and the next one begins afresh */
		CHECK(pv_sha256(&h, data, n, &out) == PV_OK && pv_hash_equal(&out, &again));
	}

	CASE("equal and zero see every byte");
	memset(&out, 0, sizeof out);
	CHECK(pv_hash_is_zero(&out));
	for (int i = 0; i < PV_HASH_LEN; i++)
	{
		again = out;
		again.b[i] ^= 1;
		CHECK(!pv_hash_is_zero(&again) && !pv_hash_equal(&out, &again));
	}
	pv_hasher_free(&h);
	return harness_end();
}
