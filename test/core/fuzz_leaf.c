/*
 * fuzz_leaf.c: pv_leaf_decode(). What decodes is encoded again, byte for byte.
 */
#include "fuzz_main.h"
#include "leaf.h"

const char *const fuzz_words[] = {"\x01\x01", "\x01\x0B", "\x01\x0C", "\x02\x01", "\x80", NULL};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t		out[PV_LEAF_LEN];
	pv_leaf		leaf;
	size_t		n;
	pv_status	status;

	status = pv_leaf_decode(data, len, &leaf);
	fuzz_seen(status == PV_OK ? 100U + leaf.op : (unsigned) status);
	if (status != PV_OK)
		return 0;
	FUZZ_ASSERT(len == PV_LEAF_LEN && pv_op_name(leaf.op) != NULL);
	FUZZ_ASSERT(pv_op_is_row(leaf.op) == (pv_op_fields(leaf.op, &n) == NULL));
	pv_leaf_encode(&leaf, out);
	FUZZ_ASSERT(memcmp(out, data, len) == 0);
	return 0;
}
