/*
 * shape.c: encoding, decoding and checking of a shape.
 *
 * The rules are checked in one place, for what is encoded as for what was
 * decoded: a shape that the one refuses, the other refuses too. Shapes come
 * from partners, so that every count is bounded before it is used; comparing
 * every name with every other is affordable at 1664 columns.
 */
#include <string.h>

#include "checkpoint.h"
#include "shape.h"

static bool
same_name(pv_name a, pv_name b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static pv_status
check_text(pv_name name, size_t max)
{
	if (name.len == 0 || name.len > max || memchr(name.s, 0, name.len) != NULL)
		return PV_E_NAME;
	return pv_utf8_valid(name.s, name.len) ? PV_OK : PV_E_UTF8;
}

/* Key positions: 1..k, each once; one given twice leaves another one out. */
static pv_status
check_keys(const pv_shape *shape)
{
	bool		seen[PV_MAX_FIELDS + 1] = {false};
	uint16_t	nkeys = 0;

	for (size_t i = 0; i < shape->ncolumns; i++)
	{
		uint16_t	pos = shape->columns[i].key_pos;

		if (pos == 0)
			continue;
		if (pos > shape->ncolumns)
			return PV_E_VALUE;
		seen[pos] = true;
		nkeys++;
	}
	for (size_t pos = 1; pos <= nkeys; pos++)
		if (!seen[pos])
			return PV_E_VALUE;
	return nkeys == shape->nkeys ? PV_OK : PV_E_VALUE;
}

static pv_status
check_shape(const pv_shape *shape)
{
	pv_status	status;

	if (!pv_origin_valid(shape->origin.s, shape->origin.len, false))
		return PV_E_NAME;
	if ((status = check_text(shape->schema, PV_MAX_NAME)) != PV_OK ||
		(status = check_text(shape->table, PV_MAX_NAME)) != PV_OK)
		return status;
	if (shape->ncolumns == 0 || shape->ncolumns > PV_MAX_FIELDS)
		return PV_E_COUNT;
	for (size_t i = 0; i < shape->ncolumns; i++)
	{
		const pv_column *c = &shape->columns[i];

		if ((status = check_text(c->name, PV_MAX_NAME)) != PV_OK ||
			(status = check_text(c->type, PV_MAX_TYPE)) != PV_OK)
			return status;
		for (size_t j = 0; j < i; j++)
			if (same_name(c->name, shape->columns[j].name))
				return PV_E_DUPLICATE;
	}
	return check_keys(shape);
}

size_t
pv_shape_size(const pv_shape *shape)
{
	size_t		size = 1 + 2 + shape->origin.len + 4 + 2 + shape->schema.len + 2 + shape->table.len + 2;

	for (size_t i = 0; i < shape->ncolumns; i++)
		size += 2 + shape->columns[i].name.len + 2 + shape->columns[i].type.len + 2;
	return size;
}

static void
put_name(pv_buf *b, pv_name name)
{
	pv_put_u16(b, name.len);
	pv_put_bytes(b, name.s, name.len);
}

static pv_name
get_name(pv_reader *r)
{
	pv_name		name = {"", 0};
	uint16_t	len = pv_get_u16(r);
	const uint8_t *p = pv_get_bytes(r, len);

	if (p != NULL)
	{
		name.s = (const char *) p;
		name.len = len;
	}
	return name;
}

pv_status
pv_shape_encode(const pv_shape *shape, pv_buf *b)
{
	pv_status	status = check_shape(shape);

	if (status != PV_OK)
		return status;
	pv_put_u8(b, PV_SHAPE_VERSION);
	put_name(b, shape->origin);
	pv_put_u32(b, shape->table_id);
	put_name(b, shape->schema);
	put_name(b, shape->table);
	pv_put_u16(b, shape->ncolumns);
	for (size_t i = 0; i < shape->ncolumns; i++)
	{
		put_name(b, shape->columns[i].name);
		put_name(b, shape->columns[i].type);
		pv_put_u16(b, shape->columns[i].key_pos);
	}
	return pv_buf_status(b);
}

pv_status
pv_shape_decode(const void *data, size_t len, pv_shape *shape, pv_column *columns, size_t cap)
{
	pv_reader	r;
	pv_status	status;
	uint8_t		version;

	pv_reader_init(&r, data, len);
	version = pv_get_u8(&r);
	if (r.short_read)
		return PV_E_TRUNCATED;
	if (version != PV_SHAPE_VERSION)
		return PV_E_VERSION;
	shape->origin = get_name(&r);
	shape->table_id = pv_get_u32(&r);
	shape->schema = get_name(&r);
	shape->table = get_name(&r);
	shape->ncolumns = pv_get_u16(&r);
	shape->nkeys = 0;
	shape->columns = columns;
	if (r.short_read)
		return PV_E_TRUNCATED;
	if (shape->ncolumns > cap)
		return PV_E_COUNT;
	for (size_t i = 0; i < shape->ncolumns; i++)
	{
		columns[i].name = get_name(&r);
		columns[i].type = get_name(&r);
		columns[i].key_pos = pv_get_u16(&r);
		if (columns[i].key_pos > 0)
			shape->nkeys++;
	}
	if ((status = pv_reader_done(&r)) != PV_OK)
		return status;
	return check_shape(shape);
}

pv_status
pv_shape_digest(pv_hasher *h, const void *encoded, size_t len, pv_hash *out)
{
	static const uint8_t domain = PV_DOMAIN_SHAPE;

	pv_hash_begin(h);
	pv_hash_add(h, &domain, 1);
	pv_hash_add(h, encoded, len);
	return pv_hash_end(h, out);
}
