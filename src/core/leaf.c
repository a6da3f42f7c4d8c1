/*
 * leaf.c: the 82 bytes of a leaf, and what each operation's image consists of.
 */
#include <string.h>

#include "leaf.h"

#define NAME(s) {s, sizeof(s) - 1}
#define LENGTH(list) (sizeof(list) / sizeof((list)[0]))

static const pv_name truncate_fields[] = {NAME("schema"), NAME("table")};
static const pv_name tag_fields[] = {NAME("schema"), NAME("table"), NAME("subject"), NAME("mode"), NAME("exclude")};
static const pv_name untag_fields[] = {NAME("schema"), NAME("table")};
static const pv_name schema_fields[] = {NAME("schema"), NAME("table"), NAME("shape")};
static const pv_name partition_fields[] = {NAME("schema"), NAME("table"), NAME("partition")};
static const pv_name erase_fields[] = {NAME("entries"), NAME("fields"), NAME("reason")};

/* An operation of rows has no list of its own. */
static const struct
{
	const char *name;
	const pv_name *fields;
	size_t		nfields;
}			ops[PV_OP_LAST + 1] =
{
	[PV_OP_INSERT] = {"insert", NULL, 0},
	[PV_OP_UPDATE] = {"update", NULL, 0},
	[PV_OP_DELETE] = {"delete", NULL, 0},
	[PV_OP_BASELINE] = {"baseline", NULL, 0},
	[PV_OP_TRUNCATE] = {"truncate", truncate_fields, LENGTH(truncate_fields)},
	[PV_OP_TAG] = {"tag", tag_fields, LENGTH(tag_fields)},
	[PV_OP_UNTAG] = {"untag", untag_fields, LENGTH(untag_fields)},
	[PV_OP_SCHEMA] = {"schema", schema_fields, LENGTH(schema_fields)},
	[PV_OP_ATTACH] = {"attach", partition_fields, LENGTH(partition_fields)},
	[PV_OP_DETACH] = {"detach", partition_fields, LENGTH(partition_fields)},
	[PV_OP_ERASE] = {"erase", erase_fields, LENGTH(erase_fields)},
};

const char *
pv_op_name(unsigned op)
{
	return op <= PV_OP_LAST ? ops[op].name : NULL;
}

bool
pv_op_is_row(unsigned op)
{
	return op >= PV_OP_INSERT && op <= PV_OP_BASELINE;
}

const pv_name *
pv_op_fields(unsigned op, size_t *n)
{
	if (op > PV_OP_LAST)
	{
		*n = 0;
		return NULL;
	}
	*n = ops[op].nfields;
	return ops[op].fields;
}

void
pv_leaf_encode(const pv_leaf *leaf, uint8_t out[PV_LEAF_LEN])
{
	pv_buf		b;

	pv_buf_init(&b, out, PV_LEAF_LEN);
	pv_put_u8(&b, PV_LEAF_VERSION);
	pv_put_u8(&b, leaf->op);
	pv_put_u64(&b, (uint64_t) leaf->time_us);
	pv_put_u64(&b, leaf->xid);
	pv_put_bytes(&b, leaf->prev.b, PV_HASH_LEN);
	pv_put_bytes(&b, leaf->commitment.b, PV_HASH_LEN);
}

pv_status
pv_leaf_decode(const void *data, size_t len, pv_leaf *out)
{
	const uint8_t *p = data;
	pv_reader	r;

	if (len < PV_LEAF_LEN)
		return PV_E_TRUNCATED;
	if (len > PV_LEAF_LEN)
		return PV_E_TRAILING;
	if (p[0] != PV_LEAF_VERSION)
		return PV_E_VERSION;
	if (pv_op_name(p[1]) == NULL)
		return PV_E_VALUE;
	pv_reader_init(&r, p + 1, len - 1);
	out->op = pv_get_u8(&r);
	out->time_us = (int64_t) pv_get_u64(&r);
	out->xid = pv_get_u64(&r);
	memcpy(out->prev.b, pv_get_bytes(&r, PV_HASH_LEN), PV_HASH_LEN);
	memcpy(out->commitment.b, pv_get_bytes(&r, PV_HASH_LEN), PV_HASH_LEN);
	return PV_OK;
}
