/*
 * fuzz_shape.c: pv_shape_decode(). What decodes is encoded again, byte for
 * byte, and keeps the rules of the format, looked at here in another way.
 */
#include "fuzz_main.h"
#include "shape.h"

const char *const fuzz_words[] = {"\x01", "\xFF\xFF", "public", "integer", "id", "\x02id\x01", "\xC3\xA4", "\xFF", NULL};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static pv_column columns[PV_MAX_FIELDS];
	pv_column  *few;
	pv_shape	shape;
	uint8_t    *out;
	unsigned	keys = 0;
	uint64_t	positions = 0;
	pv_buf		b;
	pv_status	status;

	status = pv_shape_decode(data, len, &shape, columns, PV_MAX_FIELDS);
	fuzz_seen((unsigned) status);
	if (status != PV_OK)
		return 0;
	fuzz_seen(100 + shape.ncolumns);
	fuzz_seen(2000 + shape.nkeys);
	FUZZ_ASSERT(pv_shape_size(&shape) == len);
	out = malloc(len);
	if (out == NULL)
		exit(2);
	pv_buf_init(&b, out, len);
	FUZZ_ASSERT(pv_shape_encode(&shape, &b) == PV_OK && b.len == len && memcmp(out, data, len) == 0);
	free(out);
	for (unsigned i = 0; i < shape.ncolumns; i++)
	{
		FUZZ_ASSERT(pv_utf8_valid(columns[i].name.s, columns[i].name.len));
		FUZZ_ASSERT(columns[i].key_pos <= shape.nkeys);
		if (columns[i].key_pos > 0)
		{
			keys++;
			if (columns[i].key_pos <= 64)
				positions |= (uint64_t) 1 << (columns[i].key_pos - 1);
		}
		for (unsigned j = 0; j < i && i < 64; j++)
			FUZZ_ASSERT(columns[i].name.len != columns[j].name.len ||
						memcmp(columns[i].name.s, columns[j].name.s, columns[i].name.len) != 0);
	}
	FUZZ_ASSERT(keys == shape.nkeys);
	if (keys < 64)
		FUZZ_ASSERT(positions == ((uint64_t) 1 << keys) - 1);

	/* With one place too few nothing is written past the last. */
	few = malloc((shape.ncolumns - 1) * sizeof(pv_column));
	if (few != NULL)
		FUZZ_ASSERT(pv_shape_decode(data, len, &shape, few, shape.ncolumns - 1) == PV_E_COUNT);
	free(few);
	return 0;
}
