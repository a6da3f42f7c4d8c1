/*
 * t_fields.c: a list of values has one stored form, and nothing else decodes.
 */
#include "fields.h"
#include "harness.h"

static uint8_t stored[2000];
static uint8_t filler[400];

static pv_value
value(size_t len)
{
	return (pv_value) {filler, (uint32_t) len};
}

/* Whether bytes that decode encode again to themselves. */
static bool
canonical(const uint8_t *data, size_t len)
{
	pv_value	v[64];
	uint8_t		again[2000];
	pv_buf		b;
	size_t		n;

	if (pv_get_values(data, len, v, 64, &n) != PV_OK)
		return true;
	pv_buf_init(&b, again, sizeof again);
	pv_put_values(&b, v, n);
	return b.len == len && pv_values_size(v, n) == len && memcmp(again, data, len) == 0;
}

static pv_status
status_of(const char *data, size_t len)
{
	pv_value	v[4];
	size_t		n;

	return pv_get_values(data, len, v, 4, &n);
}

int
main(void)
{
	pv_value	in[7],
				out[7];
	pv_buf		b;
	size_t		n;
	size_t		ends[8] = {1};

	for (size_t i = 0; i < sizeof filler; i++)
		filler[i] = (uint8_t) (i + 1);
	in[0] = value(0);
	in[1] = (pv_value) {NULL, 0};
	in[2] = value(1);
	in[3] = value(253);
	in[4] = value(254);
	in[5] = (pv_value) {NULL, 0};
	in[6] = value(300);

	CASE("round trip, NULL and empty kept apart");
	pv_buf_init(&b, stored, sizeof stored);
	pv_put_values(&b, in, 7);
	CHECK(b.len == pv_values_size(in, 7));
	CHECK(b.len == 1 + 1 + 1 + 2 + 254 + 259 + 1 + 305);
	CHECK(pv_get_values(stored, b.len, out, 7, &n) == PV_OK && n == 7);
	for (size_t i = 0; i < 7; i++)
	{
		CHECK((in[i].data == NULL) == (out[i].data == NULL));
		CHECK(in[i].len == out[i].len);
		CHECK(in[i].len == 0 || memcmp(in[i].data, out[i].data, in[i].len) == 0);
		ends[i + 1] = ends[i] + pv_values_size(&in[i], 1) - 1;
	}

	CASE("cut anywhere, it decodes only at the end of a value");
	for (size_t len = 0; len < b.len; len++)
	{
		size_t		whole = 99;
		uint8_t    *copy = malloc(len + 1); /* so that the sanitizer sees a read past the end */

		for (size_t i = 0; i <= 7; i++)
			if (ends[i] == len)
				whole = i;
		memcpy(copy, stored, len);
		copy = realloc(copy, len > 0 ? len : 1);
		if (whole == 99)
			CHECK(pv_get_values(copy, len, out, 7, &n) == PV_E_TRUNCATED);
		else
			CHECK(pv_get_values(copy, len, out, 7, &n) == PV_OK && n == whole);
		free(copy);
	}

	CASE("each fault has its status");
	CHECK(status_of("\x01", 1) == PV_OK);
	CHECK(status_of("", 0) == PV_E_TRUNCATED);
	CHECK(status_of("\x00", 1) == PV_E_VERSION);
	CHECK(status_of("\x02\x00", 2) == PV_E_VERSION);
	CHECK(status_of("\x01\x01", 2) == PV_E_TRUNCATED);
	CHECK(status_of("\x01\xFE\x00\x00\x00", 5) == PV_E_TRUNCATED);
	CHECK(status_of("\x01\xFE\xFF\xFF\xFF\xFF", 6) == PV_E_TRUNCATED);
	CHECK(status_of("\x01\xFE\x00\x00\x00\x01" "a", 7) == PV_E_NUMBER);
	CHECK(status_of("\x01\xFE\x00\x00\x00\xFD", 6) == PV_E_NUMBER);
	CHECK(status_of("\x01\x00\x00\x00\x00", 5) == PV_OK);
	CHECK(status_of("\x01\x00\x00\x00\x00\x00", 6) == PV_E_COUNT);
	CHECK(pv_get_values("\x01\xFF", 2, out, 0, &n) == PV_E_COUNT);

	CASE("every single-bit flip is refused or canonical");
	for (size_t bit = 0; bit < b.len * 8; bit++)
	{
		stored[bit / 8] ^= (uint8_t) (1 << bit % 8);
		CHECK(canonical(stored, b.len));
		stored[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}

	CASE("encoding into too little memory");
	for (size_t cap = 0; cap < b.len; cap++)
	{
		pv_buf		small;

		pv_buf_init(&small, stored, cap);
		pv_put_values(&small, in, 7);
		CHECK(pv_buf_status(&small) == PV_E_TOO_LONG && small.len == b.len);
	}
	return harness_end();
}
