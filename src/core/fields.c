/*
 * fields.c: the stored form of a list of values (doc/format.md, "Value list").
 *
 * Values up to 253 bytes, which is nearly all of them, cost one byte of
 * length. The decoder refuses a long form that a short one could have
 * replaced, so that a list has one encoding only.
 */
#include <string.h>

#include "fields.h"

#define LONG_FORM		0xFE
#define NULL_FORM		0xFF
#define SHORT_MAX		0xFD

size_t
pv_values_size(const pv_value *values, size_t n)
{
	size_t		size = 1;

	for (size_t i = 0; i < n; i++)
	{
		size += 1;
		if (values[i].data == NULL)
			continue;
		if (values[i].len > SHORT_MAX)
			size += 4;
		size += values[i].len;
	}
	return size;
}

/* Where there is known to be room for all. */
static void
put_values(uint8_t *p, const pv_value *values, size_t n)
{
	*p++ = PV_VALUES_VERSION;
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	len = values[i].len;

		if (values[i].data == NULL)
		{
			*p++ = NULL_FORM;
			continue;
		}
		if (len <= SHORT_MAX)
			*p++ = (uint8_t) len;
		else
		{
			*p++ = LONG_FORM;
			*p++ = (uint8_t) (len >> 24);
			*p++ = (uint8_t) (len >> 16);
			*p++ = (uint8_t) (len >> 8);
			*p++ = (uint8_t) len;
		}
		memcpy(p, values[i].data, len);
		p += len;
	}
}

void
pv_put_values(pv_buf *b, const pv_value *values, size_t n)
{
	size_t		size = pv_values_size(values, n);

	if (!b->overflow && size <= b->cap - b->len)
	{
		put_values(b->data + b->len, values, n);
		b->len += size;
		return;
	}
	/* counts what would have been needed */
	pv_put_u8(b, PV_VALUES_VERSION);
	for (size_t i = 0; i < n; i++)
	{
		if (values[i].data == NULL)
		{
			pv_put_u8(b, NULL_FORM);
			continue;
		}
		if (values[i].len <= SHORT_MAX)
			pv_put_u8(b, (uint8_t) values[i].len);
		else
		{
			pv_put_u8(b, LONG_FORM);
			pv_put_u32(b, values[i].len);
		}
		pv_put_bytes(b, values[i].data, values[i].len);
	}
}

pv_status
pv_get_values(const void *data, size_t len, pv_value *values, size_t cap, size_t *n)
{
	pv_reader	r;
	size_t		count = 0;
	uint8_t		version;

	pv_reader_init(&r, data, len);
	version = pv_get_u8(&r);
	if (r.short_read)
		return PV_E_TRUNCATED;
	if (version != PV_VALUES_VERSION)
		return PV_E_VERSION;

	while (r.pos < r.len)
	{
		uint8_t		form = pv_get_u8(&r);
		pv_value	value = {NULL, 0};

		if (form != NULL_FORM)
		{
			value.len = form == LONG_FORM ? pv_get_u32(&r) : form;
			if (r.short_read)
				return PV_E_TRUNCATED;
			if (form == LONG_FORM && value.len <= SHORT_MAX)
				return PV_E_NUMBER;
			value.data = pv_get_bytes(&r, value.len);
			if (value.data == NULL)
				return PV_E_TRUNCATED;
		}
		if (count == cap)
			return PV_E_COUNT;
		values[count++] = value;
	}
	*n = count;
	return PV_OK;
}
