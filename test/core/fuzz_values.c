/*
 * fuzz_values.c: pv_get_values(). What splits is written again, byte for byte.
 */
#include "fuzz_main.h"
#include "fields.h"

const char *const fuzz_words[] = {"\x01", "\xFF", "\xFE", "\xFD", "\x03" "abc", "\xFE\x01\x01\x01\x01", NULL};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static pv_value values[PV_MAX_FIELDS];
	uint8_t    *out;
	size_t		n = 0;
	pv_buf		b;
	pv_status	status;

	status = pv_get_values(data, len, values, PV_MAX_FIELDS, &n);
	fuzz_seen((unsigned) status);
	if (status != PV_OK)
		return 0;
	fuzz_seen(100 + (unsigned) n);
	FUZZ_ASSERT(n <= PV_MAX_FIELDS && pv_values_size(values, n) == len);
	for (size_t i = 0; i < n; i++)
	{
		fuzz_seen(2000 + (values[i].data == NULL) + 2 * (values[i].len >= 254) + 4 * (values[i].len == 0));
		if (values[i].data != NULL)
			FUZZ_ASSERT(values[i].data >= data && values[i].data + values[i].len <= data + len);
	}
	out = malloc(len);
	if (out == NULL)
		exit(2);
	pv_buf_init(&b, out, len);
	pv_put_values(&b, values, n);
	FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == len && memcmp(out, data, len) == 0);
	free(out);
	if (n > 0)
	{
		pv_value   *few = malloc((n - 1) * sizeof(pv_value));
		size_t		m;

		if (few != NULL)
			FUZZ_ASSERT(pv_get_values(data, len, few, n - 1, &m) == PV_E_COUNT);
		free(few);
	}
	return 0;
}
