/*
 * t_leaf.c: a leaf is 82 bytes, decodes back, and nothing else decodes; every
 * operation has its name and its list of fields.
 */
#include "leaf.h"
#include "harness.h"

static bool
fields_are(unsigned op, const char *expected)
{
	char		joined[200] = "";
	size_t		n;
	const pv_name *names = pv_op_fields(op, &n);

	for (size_t i = 0; i < n; i++)
	{
		if (i > 0)
			strcat(joined, " ");
		strncat(joined, names[i].s, names[i].len);
	}
	return (names == NULL) == (n == 0) && strcmp(joined, expected) == 0;
}

int
main(void)
{
	pv_leaf		leaf = {PV_OP_ERASE, -2, 0x8000000000000001, {{0}}, {{0}}};
	pv_leaf		back;
	uint8_t		bytes[PV_LEAF_LEN + 1],
				again[PV_LEAF_LEN];

	for (int i = 0; i < 32; i++)
	{
		leaf.prev.b[i] = (uint8_t) (i + 1);
		leaf.commitment.b[i] = (uint8_t) (i + 101);
	}

	CASE("layout and round trip");
	pv_leaf_encode(&leaf, bytes);
	CHECK(memcmp(bytes, "\x01\x0b\xff\xff\xff\xff\xff\xff\xff\xfe\x80\0\0\0\0\0\0\x01", 18) == 0);
	CHECK(memcmp(bytes + 18, leaf.prev.b, 32) == 0 && memcmp(bytes + 50, leaf.commitment.b, 32) == 0);
	CHECK(pv_leaf_decode(bytes, PV_LEAF_LEN, &back) == PV_OK);
	CHECK(back.op == leaf.op && back.time_us == -2 && back.xid == leaf.xid);
	CHECK(pv_hash_equal(&back.prev, &leaf.prev) && pv_hash_equal(&back.commitment, &leaf.commitment));

	CASE("no other length");
	for (size_t len = 0; len < PV_LEAF_LEN; len++)
		CHECK(pv_leaf_decode(bytes, len, &back) == PV_E_TRUNCATED);
	CHECK(pv_leaf_decode(bytes, PV_LEAF_LEN + 1, &back) == PV_E_TRAILING);

	CASE("no other version, no unknown operation");
	for (int v = 0; v < 256; v++)
	{
		bytes[0] = (uint8_t) v;
		CHECK(pv_leaf_decode(bytes, PV_LEAF_LEN, &back) == (v == 1 ? PV_OK : PV_E_VERSION));
	}
	bytes[0] = 1;
	for (int op = 0; op < 256; op++)
	{
		bytes[1] = (uint8_t) op;
		CHECK(pv_leaf_decode(bytes, PV_LEAF_LEN, &back) == (op >= 1 && op <= 11 ? PV_OK : PV_E_VALUE));
		CHECK((pv_op_name((unsigned) op) != NULL) == (op >= 1 && op <= 11));
	}
	bytes[1] = PV_OP_ERASE;

	CASE("every single-bit flip is refused or canonical, and seen");
	for (size_t bit = 0; bit < PV_LEAF_LEN * 8; bit++)
	{
		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		if (pv_leaf_decode(bytes, PV_LEAF_LEN, &back) == PV_OK)
		{
			pv_leaf_encode(&back, again);
			CHECK(memcmp(again, bytes, PV_LEAF_LEN) == 0);
			CHECK(back.op != leaf.op || back.time_us != leaf.time_us || back.xid != leaf.xid ||
				  !pv_hash_equal(&back.prev, &leaf.prev) || !pv_hash_equal(&back.commitment, &leaf.commitment));
		}
		else
			CHECK(bit < 16);
		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}

	CASE("operations: names, kinds, fields");
	{
		static const char *const names[] = {NULL, "insert", "update", "delete", "baseline", "truncate", "tag", "untag",
		"schema", "attach", "detach", "erase"};

		for (unsigned op = 1; op <= PV_OP_LAST; op++)
		{
			CHECK(strcmp(pv_op_name(op), names[op]) == 0);
			CHECK(pv_op_is_row(op) == (op <= 4));
		}
	}
	for (unsigned op = 0; op <= 4; op++)
		CHECK(fields_are(op, ""));
	CHECK(fields_are(PV_OP_TRUNCATE, "schema table"));
	CHECK(fields_are(PV_OP_TAG, "schema table subject mode exclude"));
	CHECK(fields_are(PV_OP_UNTAG, "schema table"));
	CHECK(fields_are(PV_OP_SCHEMA, "schema table shape"));
	CHECK(fields_are(PV_OP_ATTACH, "schema table partition"));
	CHECK(fields_are(PV_OP_DETACH, "schema table partition"));
	CHECK(fields_are(PV_OP_ERASE, "entries fields reason"));
	CHECK(fields_are(12, "") && fields_are(4000000000u, ""));
	CHECK(!pv_op_is_row(0) && pv_op_name(0) == NULL && pv_op_name(4000000000u) == NULL);
	return harness_end();
}
