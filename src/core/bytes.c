/*
 * bytes.c: reading and writing bytes with bounds.
 *
 * The parsers here accept one spelling of each value and no other: what they
 * accept, the writers here give back byte for byte. Base64 goes through
 * libcrypto, whose decoder forgives white space and stray padding bits; each
 * chunk is therefore encoded again and compared.
 */
#include <string.h>

#include <openssl/evp.h>

#include "bytes.h"

/* Base64 is worked on in chunks, so that a stack buffer is enough. */
#define B64_CHUNK_BYTES 48
#define B64_CHUNK_CHARS 64

void
pv_buf_init(pv_buf *b, void *data, size_t cap)
{
	b->data = data;
	b->cap = data != NULL ? cap : 0;
	b->len = 0;
	b->overflow = false;
}

void
pv_put_bytes(pv_buf *b, const void *data, size_t len)
{
	if (!b->overflow && len <= b->cap - b->len)
	{
		if (len > 0)
			memcpy(b->data + b->len, data, len);
		b->len += len;
		return;
	}
	b->overflow = true;
	b->len = len > SIZE_MAX - b->len ? SIZE_MAX : b->len + len;
}

void
pv_put_str(pv_buf *b, const char *s)
{
	pv_put_bytes(b, s, strlen(s));
}

void
pv_put_u8(pv_buf *b, uint8_t v)
{
	pv_put_bytes(b, &v, 1);
}

void
pv_put_u16(pv_buf *b, uint16_t v)
{
	uint8_t		x[2] = {(uint8_t) (v >> 8), (uint8_t) v};

	pv_put_bytes(b, x, sizeof x);
}

void
pv_put_u32(pv_buf *b, uint32_t v)
{
	uint8_t		x[4] = {(uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8), (uint8_t) v};

	pv_put_bytes(b, x, sizeof x);
}

void
pv_put_u64(pv_buf *b, uint64_t v)
{
	pv_put_u32(b, (uint32_t) (v >> 32));
	pv_put_u32(b, (uint32_t) v);
}

void
pv_put_decimal(pv_buf *b, uint64_t v)
{
	char		digits[20];
	size_t		at = sizeof digits;

	do
	{
		digits[--at] = (char) ('0' + v % 10);
		v /= 10;
	} while (v > 0);
	pv_put_bytes(b, digits + at, sizeof digits - at);
}

void
pv_put_base64(pv_buf *b, const void *data, size_t len)
{
	const uint8_t *p = data;
	unsigned char text[B64_CHUNK_CHARS + 1];	/* libcrypto adds a NUL */

	while (len > 0)
	{
		size_t		n = len < B64_CHUNK_BYTES ? len : B64_CHUNK_BYTES;
		int			chars = EVP_EncodeBlock(text, p, (int) n);

		pv_put_bytes(b, text, (size_t) chars);
		p += n;
		len -= n;
	}
}

void
pv_put_hex(pv_buf *b, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
	{
		char		x[2] = {digits[p[i] >> 4], digits[p[i] & 15]};

		pv_put_bytes(b, x, sizeof x);
	}
}

pv_status
pv_buf_status(const pv_buf *b)
{
	return b->overflow ? PV_E_TOO_LONG : PV_OK;
}

void
pv_reader_init(pv_reader *r, const void *data, size_t len)
{
	r->data = data != NULL ? data : (const uint8_t *) "";
	r->len = data != NULL ? len : 0;
	r->pos = 0;
	r->short_read = false;
}

/* After a shortage nothing more is read: what follows would be misaligned. */
const uint8_t *
pv_get_bytes(pv_reader *r, size_t len)
{
	const uint8_t *p;

	if (r->short_read || len > r->len - r->pos)
	{
		r->short_read = true;
		return NULL;
	}
	p = r->data + r->pos;
	r->pos += len;
	return p;
}

uint8_t
pv_get_u8(pv_reader *r)
{
	const uint8_t *p = pv_get_bytes(r, 1);

	return p != NULL ? p[0] : 0;
}

uint16_t
pv_get_u16(pv_reader *r)
{
	const uint8_t *p = pv_get_bytes(r, 2);

	return p != NULL ? (uint16_t) ((p[0] << 8) | p[1]) : 0;
}

uint32_t
pv_get_u32(pv_reader *r)
{
	const uint8_t *p = pv_get_bytes(r, 4);

	if (p == NULL)
		return 0;
	return ((uint32_t) p[0] << 24) | ((uint32_t) p[1] << 16) | ((uint32_t) p[2] << 8) | p[3];
}

uint64_t
pv_get_u64(pv_reader *r)
{
	const uint8_t *p = pv_get_bytes(r, 8);
	uint64_t	v = 0;

	if (p == NULL)
		return 0;
	for (int i = 0; i < 8; i++)
		v = (v << 8) | p[i];
	return v;
}

bool
pv_get_line(pv_reader *r, const char **line, size_t *len)
{
	const uint8_t *start = r->data + r->pos;
	const uint8_t *end;

	if (r->short_read || r->pos == r->len)
		return false;
	end = memchr(start, '\n', r->len - r->pos);
	if (end == NULL)
	{
		r->short_read = true;
		return false;
	}
	*line = (const char *) start;
	*len = (size_t) (end - start);
	r->pos += *len + 1;
	return true;
}

pv_status
pv_reader_done(const pv_reader *r)
{
	if (r->short_read)
		return PV_E_TRUNCATED;
	return r->pos < r->len ? PV_E_TRAILING : PV_OK;
}

pv_status
pv_parse_decimal(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t	v = 0;

	if (len == 0 || len > 20 || (len > 1 && s[0] == '0'))
		return PV_E_NUMBER;
	for (size_t i = 0; i < len; i++)
	{
		unsigned	digit;

		if (s[i] < '0' || s[i] > '9')
			return PV_E_NUMBER;
		digit = (unsigned) (s[i] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return PV_E_NUMBER;
		v = v * 10 + digit;
	}
	if (v > max)
		return PV_E_NUMBER;
	*out = v;
	return PV_OK;
}

pv_status
pv_base64_decode(const char *s, size_t len, uint8_t *out, size_t cap, size_t *outlen)
{
	unsigned char bytes[B64_CHUNK_BYTES];
	unsigned char again[B64_CHUNK_CHARS + 1];
	size_t		padding = 0;
	size_t		done = 0;

	if (len % 4 != 0)
		return PV_E_BASE64;
	if (len > 0 && s[len - 1] == '=')
		padding = s[len - 2] == '=' ? 2 : 1;

	for (size_t at = 0; at < len; at += B64_CHUNK_CHARS)
	{
		size_t		chars = len - at < B64_CHUNK_CHARS ? len - at : B64_CHUNK_CHARS;
		size_t		n = chars / 4 * 3;

		/* Padding decodes to zero bytes; anything but the full length is wrong. */
		if (EVP_DecodeBlock(bytes, (const unsigned char *) s + at, (int) chars) != (int) n)
			return PV_E_BASE64;
		if (at + chars == len)
			n -= padding;
		if (EVP_EncodeBlock(again, bytes, (int) n) != (int) chars || memcmp(again, s + at, chars) != 0)
			return PV_E_BASE64;
		if (out != NULL)
		{
			if (n > cap - done)
				return PV_E_TOO_LONG;
			memcpy(out + done, bytes, n);
		}
		done += n;
	}
	*outlen = done;
	return PV_OK;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

pv_status
pv_hex_decode(const char *s, size_t len, uint8_t *out, size_t outlen)
{
	if (len % 2 != 0 || len / 2 != outlen)
		return PV_E_HEX;
	for (size_t i = 0; i < outlen; i++)
	{
		int			high = hex_digit(s[2 * i]);
		int			low = hex_digit(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return PV_E_HEX;
		out[i] = (uint8_t) (high << 4 | low);
	}
	return PV_OK;
}

bool
pv_utf8_valid(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *) s;
	size_t		i = 0;

	while (i < len)
	{
		uint8_t		c = p[i++];
		uint8_t		low = 0x80; /* bounds of the second byte */
		uint8_t		high = 0xBF;
		size_t		more;

		if (c < 0x80)
			continue;
		if (c >= 0xC2 && c <= 0xDF)
			more = 1;
		else if (c >= 0xE0 && c <= 0xEF)
			more = 2;
		else if (c >= 0xF0 && c <= 0xF4)
			more = 3;
		else
			return false;
		if (c == 0xE0)
			low = 0xA0;			/* below: a shorter form exists */
		else if (c == 0xED)
			high = 0x9F;		/* above: surrogates */
		else if (c == 0xF0)
			low = 0x90;
		else if (c == 0xF4)
			high = 0x8F;		/* above: beyond U+10FFFF */
		if (more > len - i)
			return false;
		for (; more > 0; more--, i++)
		{
			if (p[i] < low || p[i] > high)
				return false;
			low = 0x80;
			high = 0xBF;
		}
	}
	return true;
}
