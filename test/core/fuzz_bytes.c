/*
 * fuzz_bytes.c: base64, decimal numbers, hexadecimal digits, UTF-8 and lines.
 * What decodes is encoded again, byte for byte; every input, taken as bytes,
 * encodes to what decodes to it; UTF-8 is held against a second reading.
 */
#include "fuzz_main.h"
#include "bytes.h"

const char *const fuzz_words[] = {
	"=", "==", "A", "AAAA", "YQ==", "YWI=", "+/", "-_", "9223372036854775807", "18446744073709551615", "18446744073709551616",
	"0", "00", "0f", "0F", "\xC3\xA4", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xED\xA0\x80", "\xEE\x80\x80",
	"\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xC0\x80", "\xE0\x80\x80", "\n", " ", NULL
};

/* RFC 3629 by arithmetic: decode, then ask for the length it should have had. */
static bool
utf8_by_arithmetic(const uint8_t *s, size_t len)
{
	size_t		at = 0;

	while (at < len)
	{
		unsigned	n = s[at] < 0x80 ? 1 : s[at] >> 5 == 6 ? 2 : s[at] >> 4 == 14 ? 3 : s[at] >> 3 == 30 ? 4 : 0;
		uint32_t	c;

		if (n == 0 || len - at < n)
			return false;
		c = n == 1 ? s[at] : s[at] & (0x7F >> n);
		for (unsigned i = 1; i < n; i++)
		{
			if (s[at + i] >> 6 != 2)
				return false;
			c = c << 6 | (s[at + i] & 0x3F);
		}
		if (n != (c < 0x80 ? 1U : c < 0x800 ? 2U : c < 0x10000 ? 3U : 4U) || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
			return false;
		at += n;
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *s = (const char *) data;
	size_t		cap = 2 * len + 8;
	uint8_t    *decoded = malloc(cap);
	uint8_t    *encoded = malloc(cap);
	const char *line;
	size_t		n,
				linelen,
				lines = 0;
	uint64_t	number;
	pv_reader	r;
	pv_buf		b;
	pv_status	status;

	if (decoded == NULL || encoded == NULL)
		exit(2);

	status = pv_base64_decode(s, len, decoded, cap, &n);
	FUZZ_ASSERT(pv_base64_decode(s, len, NULL, 0, &linelen) == status && (status != PV_OK || linelen == n));
	fuzz_seen(status == PV_OK ? 100 + (unsigned) (n % 200) : (unsigned) status);
	if (status == PV_OK)
	{
		pv_buf_init(&b, encoded, cap);
		pv_put_base64(&b, decoded, n);
		FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == len && memcmp(encoded, data, len) == 0);
		if (n > 0)
			FUZZ_ASSERT(pv_base64_decode(s, len, decoded, n - 1, &n) == PV_E_TOO_LONG);
	}
	pv_buf_init(&b, encoded, cap);
	pv_put_base64(&b, data, len);
	FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && pv_base64_decode((char *) encoded, b.len, decoded, cap, &n) == PV_OK);
	FUZZ_ASSERT(n == len && memcmp(decoded, data, len) == 0);

	status = pv_parse_decimal(s, len, UINT64_MAX, &number);
	fuzz_seen(400 + (status == PV_OK ? (unsigned) len : 50));
	if (status == PV_OK)
	{
		pv_buf_init(&b, encoded, cap);
		pv_put_decimal(&b, number);
		FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == len && memcmp(encoded, data, len) == 0);
		FUZZ_ASSERT(number == 0 || pv_parse_decimal(s, len, number - 1, &number) == PV_E_NUMBER);
	}

	status = pv_hex_decode(s, len, decoded, len / 2);
	fuzz_seen(500 + (status == PV_OK ? (unsigned) (len % 100) : 200));
	if (status == PV_OK)
	{
		pv_buf_init(&b, encoded, cap);
		pv_put_hex(&b, decoded, len / 2);
		FUZZ_ASSERT(pv_buf_status(&b) == PV_OK && b.len == len && memcmp(encoded, data, len) == 0);
	}

	fuzz_seen(800 + pv_utf8_valid(s, len));
	FUZZ_ASSERT(pv_utf8_valid(s, len) == utf8_by_arithmetic(data, len));

	pv_reader_init(&r, data, len);
	n = 0;
	while (pv_get_line(&r, &line, &linelen))
	{
		FUZZ_ASSERT(line == s + n && line[linelen] == '\n' && (linelen == 0 || memchr(line, '\n', linelen) == NULL));
		n += linelen + 1;
		lines++;
	}
	fuzz_seen(900 + (unsigned) (lines % 50));
	FUZZ_ASSERT(r.short_read == (n < len));
	free(decoded);
	free(encoded);
	return 0;
}
