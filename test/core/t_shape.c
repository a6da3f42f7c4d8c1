/*
 * t_shape.c: a shape round-trips, and every rule of the format is refused when
 * broken, by the encoder as by the decoder.
 */
#include "shape.h"
#include "harness.h"

#define N(s) {s, sizeof(s) - 1}

static uint8_t bytes[200000];
static pv_column decoded[PV_MAX_FIELDS];

static const pv_column model_columns[3] = {
	{N("b"), N("integer"), 2}, {N("größe"), N("numeric(10,2)"), 0}, {N("a"), N("uuid"), 1}
};
static pv_column columns[3];
static pv_shape shape;

static void
reset(void)
{
	memcpy(columns, model_columns, sizeof columns);
	shape = (pv_shape) {N("crm.acme.example"), 7, N("public"), N("order"), 3, 2, columns};
}

/* Encodes without checking, as a hostile partner would, and decodes. */
static pv_status
decode_unchecked(void)
{
	pv_buf		b;
	pv_shape	out;
	pv_name		head[2] = {shape.schema, shape.table};

	pv_buf_init(&b, bytes, sizeof bytes);
	pv_put_u8(&b, PV_SHAPE_VERSION);
	pv_put_u16(&b, shape.origin.len);
	pv_put_bytes(&b, shape.origin.s, shape.origin.len);
	pv_put_u32(&b, shape.table_id);
	for (int i = 0; i < 2; i++)
	{
		pv_put_u16(&b, head[i].len);
		pv_put_bytes(&b, head[i].s, head[i].len);
	}
	pv_put_u16(&b, shape.ncolumns);
	for (size_t i = 0; i < shape.ncolumns; i++)
	{
		pv_put_u16(&b, shape.columns[i].name.len);
		pv_put_bytes(&b, shape.columns[i].name.s, shape.columns[i].name.len);
		pv_put_u16(&b, shape.columns[i].type.len);
		pv_put_bytes(&b, shape.columns[i].type.s, shape.columns[i].type.len);
		pv_put_u16(&b, shape.columns[i].key_pos);
	}
	return pv_shape_decode(bytes, b.len, &out, decoded, PV_MAX_FIELDS);
}

/* Both sides answer with status, and the encoder writes nothing. */
static bool
both(pv_status status)
{
	uint8_t		mem[20000];
	pv_buf		b;
	pv_status	encoded;
	bool		ok;

	pv_buf_init(&b, mem, sizeof mem);
	encoded = pv_shape_encode(&shape, &b);
	ok = encoded == status && decode_unchecked() == status && (status == PV_OK || b.len == 0);
	reset();
	return ok;
}

int
main(void)
{
	static char many_names[PV_MAX_FIELDS + 1][16];
	static pv_column many[PV_MAX_FIELDS + 1];
	static char xs[1100];
	pv_buf		b;
	pv_shape	out;
	pv_hasher	h;
	pv_hash		digest,
				expected;
	size_t		len;

	memset(xs, 'x', sizeof xs);
	reset();

	CASE("round trip");
	pv_buf_init(&b, bytes, sizeof bytes);
	CHECK(pv_shape_encode(&shape, &b) == PV_OK);
	len = b.len;
	CHECK(len == pv_shape_size(&shape));
	CHECK(pv_shape_decode(bytes, len, &out, decoded, 3) == PV_OK);
	CHECK(out.table_id == 7 && out.ncolumns == 3 && out.nkeys == 2 && out.columns == decoded);
	CHECK(out.table.len == 5 && memcmp(out.table.s, "order", 5) == 0);
	CHECK(decoded[0].key_pos == 2 && decoded[1].key_pos == 0 && decoded[2].key_pos == 1);
	CHECK(decoded[1].name.len == 7 && memcmp(decoded[1].name.s, "größe", 7) == 0);
	CHECK(decoded[1].type.len == 13 && memcmp(decoded[1].type.s, "numeric(10,2)", 13) == 0);
	CHECK(pv_shape_decode(bytes, len, &out, decoded, 2) == PV_E_COUNT);

	CASE("digest has the shape's domain");
	CHECK(pv_hasher_init(&h) == PV_OK);
	CHECK(pv_shape_digest(&h, bytes, len, &digest) == PV_OK);
	memmove(bytes + 1, bytes, len);
	bytes[0] = PV_DOMAIN_SHAPE;
	CHECK(pv_sha256(&h, bytes, len + 1, &expected) == PV_OK && pv_hash_equal(&digest, &expected));
	memmove(bytes, bytes + 1, len);
	pv_hasher_free(&h);

	CASE("cut at every byte");
	for (size_t n = 0; n < len; n++)
	{
		uint8_t    *copy = malloc(n > 0 ? n : 1);	/* the sanitizer sees a read past the end */

		memcpy(copy, bytes, n);
		CHECK(pv_shape_decode(copy, n, &out, decoded, PV_MAX_FIELDS) == PV_E_TRUNCATED);
		free(copy);
	}

	CASE("trailing bytes, other versions");
	bytes[len] = 0;
	CHECK(pv_shape_decode(bytes, len + 1, &out, decoded, PV_MAX_FIELDS) == PV_E_TRAILING);
	for (int v = 0; v < 256; v++)
	{
		bytes[0] = (uint8_t) v;
		CHECK(pv_shape_decode(bytes, len, &out, decoded, PV_MAX_FIELDS) == (v == 1 ? PV_OK : PV_E_VERSION));
	}
	bytes[0] = 1;

	CASE("every single-bit flip is refused or canonical");
	for (size_t bit = 0; bit < len * 8; bit++)
	{
		uint8_t		again[1000];

		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
		pv_buf_init(&b, again, sizeof again);
		CHECK(pv_shape_decode(bytes, len, &out, decoded, PV_MAX_FIELDS) != PV_OK ||
			  (pv_shape_encode(&out, &b) == PV_OK && b.len == len && memcmp(again, bytes, len) == 0));
		bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}

	CASE("names");
	CHECK(both(PV_OK));
	columns[2].name = columns[0].name;
	CHECK(both(PV_E_DUPLICATE));
	columns[2].name = (pv_name) N("B");
	CHECK(both(PV_OK));
	columns[1].name = (pv_name) N("");
	CHECK(both(PV_E_NAME));
	columns[1].name = (pv_name) {xs, PV_MAX_NAME};
	CHECK(both(PV_OK));
	columns[1].name = (pv_name) {xs, PV_MAX_NAME + 1};
	CHECK(both(PV_E_NAME));
	columns[1].name = (pv_name) N("a\0b");
	CHECK(both(PV_E_NAME));
	columns[1].name = (pv_name) N("\xC0\x80");
	CHECK(both(PV_E_UTF8));
	columns[1].type = (pv_name) N("");
	CHECK(both(PV_E_NAME));
	columns[1].type = (pv_name) {xs, PV_MAX_TYPE};
	CHECK(both(PV_OK));
	columns[1].type = (pv_name) {xs, PV_MAX_TYPE + 1};
	CHECK(both(PV_E_NAME));
	columns[1].type = (pv_name) N("\xFF");
	CHECK(both(PV_E_UTF8));
	shape.schema = (pv_name) N("");
	CHECK(both(PV_E_NAME));
	shape.schema = (pv_name) {xs, PV_MAX_NAME + 1};
	CHECK(both(PV_E_NAME));
	shape.table = (pv_name) N("");
	CHECK(both(PV_E_NAME));
	shape.table = (pv_name) N("\xED\xA0\x80");
	CHECK(both(PV_E_UTF8));

	CASE("origin: host-like, without incarnation");
	shape.origin = (pv_name) N("");
	CHECK(both(PV_E_NAME));
	shape.origin = (pv_name) N("crm.acme.example/2");
	CHECK(both(PV_E_NAME));
	shape.origin = (pv_name) N("crm acme");
	CHECK(both(PV_E_NAME));
	shape.origin = (pv_name) N("größe.example");
	CHECK(both(PV_E_NAME));
	shape.origin = (pv_name) {xs, 500};
	CHECK(both(PV_E_NAME));
	shape.origin = (pv_name) N("crm-2.acme.example");
	CHECK(both(PV_OK));

	CASE("key positions: 1..k, each once");
	columns[0].key_pos = 1;
	CHECK(both(PV_E_VALUE));
	columns[0].key_pos = 3;
	CHECK(both(PV_E_VALUE));
	columns[2].key_pos = 65535;
	CHECK(both(PV_E_VALUE));
	columns[2].key_pos = 4;
	CHECK(both(PV_E_VALUE));
	columns[1].key_pos = 3;
	shape.nkeys = 3;
	CHECK(both(PV_OK));
	columns[0].key_pos = columns[2].key_pos = 0;
	shape.nkeys = 0;
	CHECK(both(PV_OK));
	shape.nkeys = 1;
	pv_buf_init(&b, bytes, sizeof bytes);
	CHECK(pv_shape_encode(&shape, &b) == PV_E_VALUE);	/* a wrong count is a caller's fault only */
	reset();

	CASE("number of columns");
	shape.ncolumns = shape.nkeys = 0;
	CHECK(both(PV_E_COUNT));
	for (int i = 0; i <= PV_MAX_FIELDS; i++)
	{
		snprintf(many_names[i], sizeof many_names[i], "c%d", i);
		many[i] = (pv_column) {{many_names[i], (uint16_t) strlen(many_names[i])}, N("text"), (uint16_t) (i == 0)};
	}
	shape.columns = many;
	shape.ncolumns = PV_MAX_FIELDS;
	shape.nkeys = 1;
	CHECK(decode_unchecked() == PV_OK);
	pv_buf_init(&b, bytes, sizeof bytes);
	CHECK(pv_shape_encode(&shape, &b) == PV_OK && b.len == pv_shape_size(&shape));
	many[PV_MAX_FIELDS - 1].name = many[0].name;
	CHECK(decode_unchecked() == PV_E_DUPLICATE);
	shape.ncolumns = PV_MAX_FIELDS + 1;
	CHECK(decode_unchecked() == PV_E_COUNT);
	pv_buf_init(&b, bytes, sizeof bytes);
	CHECK(pv_shape_encode(&shape, &b) == PV_E_COUNT);

	CASE("encoding into too little memory");
	reset();
	for (size_t cap = 0; cap < len; cap++)
	{
		pv_buf_init(&b, bytes, cap);
		CHECK(pv_shape_encode(&shape, &b) == PV_E_TOO_LONG && b.len == len);
	}
	return harness_end();
}
