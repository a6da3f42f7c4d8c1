/*
 * bytes.c: reading and writing bytes with bounds.
 *
 * The parsers here accept one spelling of each value and no other: what they
 * accept, the writers here give back byte for byte. Base64 is not libcrypto's:
 * its decoder forgives white space and stray padding bits, so that everything
 * would have to be encoded again and compared, and a bundle's entry has twenty
 * tokens of it.
 */
#include <string.h>

#include "bytes.h"

/* Two digits of base64 for each value of 12 bits, and the digits alone. */
#define EACH_DIGIT(f) \
	f("A") f("B") f("C") f("D") f("E") f("F") f("G") f("H") f("I") f("J") f("K") f("L") f("M") f("N") f("O") f("P") \
	f("Q") f("R") f("S") f("T") f("U") f("V") f("W") f("X") f("Y") f("Z") f("a") f("b") f("c") f("d") f("e") f("f") \
	f("g") f("h") f("i") f("j") f("k") f("l") f("m") f("n") f("o") f("p") f("q") f("r") f("s") f("t") f("u") f("v") \
	f("w") f("x") f("y") f("z") f("0") f("1") f("2") f("3") f("4") f("5") f("6") f("7") f("8") f("9") f("+") f("/")
#define DIGIT(a) a
#define SECOND_DIGITS(a) \
	a "A" a "B" a "C" a "D" a "E" a "F" a "G" a "H" a "I" a "J" a "K" a "L" a "M" a "N" a "O" a "P" \
	a "Q" a "R" a "S" a "T" a "U" a "V" a "W" a "X" a "Y" a "Z" a "a" a "b" a "c" a "d" a "e" a "f" \
	a "g" a "h" a "i" a "j" a "k" a "l" a "m" a "n" a "o" a "p" a "q" a "r" a "s" a "t" a "u" a "v" \
	a "w" a "x" a "y" a "z" a "0" a "1" a "2" a "3" a "4" a "5" a "6" a "7" a "8" a "9" a "+" a "/"
static const char base64_digits[64 + 1] = EACH_DIGIT(DIGIT);
static const char base64_pairs[2 * 4096 + 1] = EACH_DIGIT(SECOND_DIGITS);
#undef EACH_DIGIT
#undef DIGIT
#undef SECOND_DIGITS

/* What a character stands for in base64. */
#define XX 0xFF
#define XX16 XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX
static const uint8_t base64_values[256] = {
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, XX, XX, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, XX, XX, XX,
	XX, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
	XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
	XX16, XX16, XX16, XX16, XX16, XX16, XX16, XX16
};
#undef XX16
#undef XX

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
	if (!b->overflow && b->len < b->cap)
		b->data[b->len++] = v;
	else
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
	size_t		chars = (len / 3 + (len % 3 != 0)) * 4;
	uint8_t    *out;

	if (b->overflow || chars > b->cap - b->len)
	{
		b->overflow = true;
		b->len = chars > SIZE_MAX - b->len ? SIZE_MAX : b->len + chars;
		return;
	}
	if (len == 0)
		return;
	out = b->data + b->len;
	b->len += chars;
	for (; len > 2; len -= 3, p += 3, out += 4)
	{
		memcpy(out, base64_pairs + 2 * (p[0] << 4 | p[1] >> 4), 2);
		memcpy(out + 2, base64_pairs + 2 * ((p[1] & 15) << 8 | p[2]), 2);
	}
	if (len > 0)
	{
		uint32_t	v = (uint32_t) p[0] << 16 | (len > 1 ? (uint32_t) p[1] << 8 : 0);

		out[0] = (uint8_t) base64_digits[v >> 18];
		out[1] = (uint8_t) base64_digits[v >> 12 & 63];
		out[2] = (uint8_t) (len > 1 ? base64_digits[v >> 6 & 63] : '=');
		out[3] = '=';
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

/* The 24 bits of four characters; *bad gets bit 7 if one of them is no digit. */
static inline uint32_t
base64_group(const uint8_t *c, uint32_t *bad)
{
	uint32_t	v[4];

	for (unsigned i = 0; i < 4; i++)
		v[i] = base64_values[c[i]];
	*bad |= v[0] | v[1] | v[2] | v[3];
	return v[0] << 18 | v[1] << 12 | v[2] << 6 | v[3];
}

pv_status
pv_base64_decode(const char *s, size_t len, uint8_t *out, size_t cap, size_t *outlen)
{
	const uint8_t *p = (const uint8_t *) s;
	size_t		padding = 0;
	size_t		n = len / 4 * 3;
	size_t		groups;
	uint32_t	bad = 0;
	uint32_t	v;

	if (len % 4 != 0)
		return PV_E_BASE64;
	if (len > 0 && s[len - 1] == '=')
		padding = s[len - 2] == '=' ? 2 : 1;
	n -= padding;
	if (out != NULL && n > cap)
	{
		pv_status	status = pv_base64_decode(s, len, NULL, 0, outlen);

		return status == PV_OK ? PV_E_TOO_LONG : status;
	}

	groups = len / 4 - (padding > 0);
	if (out == NULL)
		for (; groups > 0; groups--, p += 4)
			(void) base64_group(p, &bad);
	else
	{
		/* while there is room for a fourth byte, it goes faster with it */
		for (; groups > 1; groups--, p += 4, out += 3)
		{
			v = base64_group(p, &bad) << 8;
			out[0] = (uint8_t) (v >> 24);
			out[1] = (uint8_t) (v >> 16);
			out[2] = (uint8_t) (v >> 8);
			out[3] = (uint8_t) v;
		}
		if (groups > 0)
		{
			v = base64_group(p, &bad);
			*out++ = (uint8_t) (v >> 16);
			*out++ = (uint8_t) (v >> 8);
			*out++ = (uint8_t) v;
			p += 4;
		}
	}
	if (padding > 0)
	{
		uint8_t		last[4] = {p[0], p[1], padding > 1 ? 'A' : p[2], 'A'};

		/* the bits that padding leaves over are zero in the only spelling */
		v = base64_group(last, &bad);
		if ((v & (padding > 1 ? 0xFFFF : 0xFF)) != 0)
			return PV_E_BASE64;
		if (out != NULL)
		{
			*out++ = (uint8_t) (v >> 16);
			if (padding == 1)
				*out = (uint8_t) (v >> 8);
		}
	}
	if ((bad & 0x80) != 0)
		return PV_E_BASE64;
	*outlen = n;
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
