/*
 * t_bytes.c: writers and readers keep their bounds, parsers accept one
 * spelling of each value and no other.
 */
#include "bytes.h"
#include "harness.h"

static bool
decimal(const char *s, uint64_t max, uint64_t expected)
{
	uint64_t	v = ~expected;

	return pv_parse_decimal(s, strlen(s), max, &v) == PV_OK && v == expected;
}

static pv_status
decimal_status(const char *s, size_t len, uint64_t max)
{
	uint64_t	v;

	return pv_parse_decimal(s, len, max, &v);
}

static pv_status
base64_status(const char *s)
{
	uint8_t		out[300];
	size_t		n;

	return pv_base64_decode(s, strlen(s), out, sizeof out, &n);
}

static bool
utf8(const char *s)
{
	return pv_utf8_valid(s, strlen(s));
}

/* One code point in the shortest form; surrogates and beyond too. */
static size_t
put_code_point(uint32_t c, char *s)
{
	if (c < 0x80)
	{
		s[0] = (char) c;
		return 1;
	}
	if (c < 0x800)
	{
		s[0] = (char) (0xC0 | c >> 6);
		s[1] = (char) (0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000)
	{
		s[0] = (char) (0xE0 | c >> 12);
		s[1] = (char) (0x80 | (c >> 6 & 63));
		s[2] = (char) (0x80 | (c & 63));
		return 3;
	}
	s[0] = (char) (0xF0 | c >> 18);
	s[1] = (char) (0x80 | (c >> 12 & 63));
	s[2] = (char) (0x80 | (c >> 6 & 63));
	s[3] = (char) (0x80 | (c & 63));
	return 4;
}

int
main(void)
{
	uint8_t		mem[400];
	pv_buf		b;
	pv_reader	r;
	const char *line;
	size_t		len;

	CASE("integers are written big-endian and read back");
	pv_buf_init(&b, mem, sizeof mem);
	pv_put_u8(&b, 0xFE);
	pv_put_u16(&b, 0x0102);
	pv_put_u32(&b, 0x83040506);
	pv_put_u64(&b, 0x8708090A0B0C0D0E);
	CHECK(pv_buf_status(&b) == PV_OK && b.len == 15);
	CHECK(memcmp(mem, "\xFE\x01\x02\x83\x04\x05\x06\x87\x08\x09\x0A\x0B\x0C\x0D\x0E", 15) == 0);
	pv_reader_init(&r, mem, b.len);
	CHECK(pv_get_u8(&r) == 0xFE);
	CHECK(pv_get_u16(&r) == 0x0102);
	CHECK(pv_get_u32(&r) == 0x83040506);
	CHECK(pv_reader_done(&r) == PV_E_TRAILING);
	CHECK(pv_get_u64(&r) == 0x8708090A0B0C0D0E);
	CHECK(pv_reader_done(&r) == PV_OK);

	CASE("a full buffer is not written past, and says what it needed");
	memset(mem, 0xAA, sizeof mem);
	pv_buf_init(&b, mem, 5);
	pv_put_u32(&b, 1);
	pv_put_u16(&b, 2);
	CHECK(b.overflow && b.len == 6 && mem[4] == 0xAA);
	pv_put_u8(&b, 3);
	CHECK(b.len == 7 && mem[4] == 0xAA);
	CHECK(pv_buf_status(&b) == PV_E_TOO_LONG);
	pv_buf_init(&b, NULL, 100);
	pv_put_str(&b, "abc");
	CHECK(b.overflow && b.len == 3);
	pv_put_bytes(&b, "", SIZE_MAX);
	CHECK(b.overflow && b.len == SIZE_MAX);
	pv_buf_init(&b, NULL, 0);
	pv_put_bytes(&b, NULL, 0);
	CHECK(pv_buf_status(&b) == PV_OK);

	CASE("a reader returns zero past the end and stays short");
	pv_reader_init(&r, "\x01\x02\x03", 3);
	CHECK(pv_get_u32(&r) == 0 && r.short_read);
	CHECK(pv_get_u8(&r) == 0);
	CHECK(pv_get_bytes(&r, 0) == NULL);
	CHECK(pv_reader_done(&r) == PV_E_TRUNCATED);
	pv_reader_init(&r, "\x01", 1);
	CHECK(pv_get_u16(&r) == 0 && pv_reader_done(&r) == PV_E_TRUNCATED);
	pv_reader_init(&r, "\x01\x02\x03\x04\x05\x06\x07", 7);
	CHECK(pv_get_u64(&r) == 0 && pv_reader_done(&r) == PV_E_TRUNCATED);
	pv_reader_init(&r, "abc", 3);
	CHECK(pv_get_bytes(&r, SIZE_MAX) == NULL && r.short_read);
	pv_reader_init(&r, NULL, 0);
	CHECK(pv_get_bytes(&r, 0) != NULL && pv_reader_done(&r) == PV_OK);
	CHECK(pv_get_u8(&r) == 0 && pv_reader_done(&r) == PV_E_TRUNCATED);

	CASE("lines");
	pv_reader_init(&r, "a\n\nbc\n", 6);
	CHECK(pv_get_line(&r, &line, &len) && len == 1 && line[0] == 'a');
	CHECK(pv_get_line(&r, &line, &len) && len == 0);
	CHECK(pv_get_line(&r, &line, &len) && len == 2 && memcmp(line, "bc", 2) == 0);
	CHECK(!pv_get_line(&r, &line, &len) && !r.short_read && pv_reader_done(&r) == PV_OK);
	pv_reader_init(&r, "a\nb", 3);
	CHECK(pv_get_line(&r, &line, &len) && len == 1);
	CHECK(!pv_get_line(&r, &line, &len) && pv_reader_done(&r) == PV_E_TRUNCATED);

	CASE("decimal: canonical only, bounded by max");
	CHECK(decimal("0", 0, 0));
	CHECK(decimal("7", 7, 7));
	CHECK(decimal("18446744073709551615", UINT64_MAX, UINT64_MAX));
	CHECK(decimal("9223372036854775807", INT64_MAX, INT64_MAX));
	CHECK(decimal_status("8", 1, 7) == PV_E_NUMBER);
	CHECK(decimal_status("1", 1, 0) == PV_E_NUMBER);
	CHECK(decimal_status("9223372036854775808", 19, INT64_MAX) == PV_E_NUMBER);
	for (size_t i = 0; i < 14; i++)
	{
		static const char *const bad[] = {"", "00", "01", "+1", "-1", "-0", " 1", "1 ", "1\n", "0x1", "1e3", "a",
		"18446744073709551616", "99999999999999999999"};

		CHECK(decimal_status(bad[i], strlen(bad[i]), UINT64_MAX) == PV_E_NUMBER);
	}
	CHECK(decimal_status("184467440737095516150", 21, UINT64_MAX) == PV_E_NUMBER);
	CHECK(decimal_status("1\0", 2, UINT64_MAX) == PV_E_NUMBER);
	for (uint64_t v = 1, i = 0; i < 64; i++, v = v << 1 | 1)
	{
		uint64_t	back = 0;

		pv_buf_init(&b, mem, sizeof mem);
		pv_put_decimal(&b, v);
		CHECK(pv_parse_decimal((char *) mem, b.len, UINT64_MAX, &back) == PV_OK && back == v);
	}

	CASE("base64: every length round-trips");
	for (size_t n = 0; n <= 200; n++)
	{
		uint8_t		in[200],
					out[200];
		size_t		outlen = 999;

		for (size_t i = 0; i < n; i++)
			in[i] = (uint8_t) (i * 37 + n);
		pv_buf_init(&b, mem, sizeof mem);
		pv_put_base64(&b, in, n);
		CHECK(pv_buf_status(&b) == PV_OK && b.len == (n + 2) / 3 * 4);
		CHECK(pv_base64_decode((char *) mem, b.len, out, n, &outlen) == PV_OK);
		CHECK(outlen == n && memcmp(in, out, n) == 0);
		if (n > 0)
			CHECK(pv_base64_decode((char *) mem, b.len, out, n - 1, &outlen) == PV_E_TOO_LONG);
		if (n > 0)				/* the room for one character less */
		{
			size_t		chars = b.len;

			pv_buf_init(&b, mem, chars - 1);
			pv_put_base64(&b, in, n);
			CHECK(pv_buf_status(&b) == PV_E_TOO_LONG && b.len == chars);
		}
	}

	CASE("base64: every digit, and every character that is none");
	for (int c = 0; c < 256; c++)
	{
		static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
		const char *digit = c != 0 ? strchr(digits, c) : NULL;

		for (int at = 0; at < 4; at++)
		{
			char		text[8] = {'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A'};
			uint8_t		out[6];

			text[at] = (char) c;
			CHECK((pv_base64_decode(text, 8, out, sizeof out, &len) == PV_OK) == (digit != NULL));
			if (digit != NULL)
			{
				uint32_t	v = (uint32_t) (digit - digits) << (18 - 6 * at);

				CHECK(len == 6 && out[0] == v >> 16 && out[1] == (v >> 8 & 255) && out[2] == (v & 255));
			}
		}
	}

	CASE("base64: RFC 4648 vectors");
	pv_buf_init(&b, mem, sizeof mem);
	pv_put_base64(&b, "f", 1);
	pv_put_base64(&b, "fo", 2);
	pv_put_base64(&b, "foo", 3);
	pv_put_base64(&b, "foob", 4);
	pv_put_base64(&b, "\xfb\xff", 2);
	CHECK(b.len == 24 && memcmp(mem, "Zg==Zm8=Zm9vZm9vYg==+/8=", 24) == 0);

	CASE("base64: anything but the canonical form is refused");
	for (size_t i = 0; i < 24; i++)
	{
		static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg= =", "Zh==", "Zm9=", "Zm8", "Zm8==", "=", "==", "====",
			"Z===", "Zg==\n", "\nZg=", " Zg=", "Zg =", "Zg==Zg==", "Zm9v=", "Zm-_", "Zm9v\nZm9", "Zm9vZg==Zm9v", "Zm9vZm9v ",
		"Zg=a", "\xC3\xA9\xC3\xA9"};

		CHECK(base64_status(bad[i]) == PV_E_BASE64);
	}
	for (int at = 0; at < 68; at++)	/* white space and padding at every place */
	{
		static const char inserted[] = " \n\r\t=-_\v";

		for (size_t k = 0; k < sizeof inserted; k++)
		{
			char		text[69];

			memset(text, 'A', 68);
			text[68] = 0;
			text[at] = inserted[k];
			if (inserted[k] == '=' && at == 67)
				continue;		/* canonical: "AAA=" */
			CHECK(pv_base64_decode(text, 68, mem, sizeof mem, &len) == PV_E_BASE64);
		}
	}
	for (int c = 0; c < 256; c++)	/* trailing bits must be zero */
	{
		char		text[4] = {'A', (char) c, '=', '='};

		CHECK((pv_base64_decode(text, 4, mem, sizeof mem, &len) == PV_OK) == (c == 'A' || c == 'Q' || c == 'g' || c == 'w'));
	}

	CASE("hex: lower case and the exact length");
	pv_buf_init(&b, mem, sizeof mem);
	pv_put_hex(&b, "\x00\x9f\xa0\xff", 4);
	CHECK(b.len == 8 && memcmp(mem, "009fa0ff", 8) == 0);
	{
		uint8_t		out[4];

		CHECK(pv_hex_decode("009fa0ff", 8, out, 4) == PV_OK && memcmp(out, "\x00\x9f\xa0\xff", 4) == 0);
		CHECK(pv_hex_decode("", 0, out, 0) == PV_OK);
		CHECK(pv_hex_decode("009fa0fF", 8, out, 4) == PV_E_HEX);
		CHECK(pv_hex_decode("009fa0f", 7, out, 4) == PV_E_HEX);
		CHECK(pv_hex_decode("009fa0f", 7, out, 3) == PV_E_HEX);
		CHECK(pv_hex_decode("009fa0ff", 8, out, 3) == PV_E_HEX);
		CHECK(pv_hex_decode("009fa0", 6, out, 4) == PV_E_HEX);
		for (int c = 0; c < 256; c++)
		{
			char		text[2] = {'0', (char) c};
			bool		digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

			CHECK((pv_hex_decode(text, 2, out, 1) == PV_OK) == digit);
			text[0] = (char) c;
			text[1] = '0';
			CHECK((pv_hex_decode(text, 2, out, 1) == PV_OK) == digit);
		}
	}

	CASE("UTF-8: every code point, no surrogate, nothing beyond U+10FFFF");
	for (uint32_t c = 0; c < 0x120000; c += c < 0x11000 ? 1 : 13)
	{
		char		s[4];
		size_t		n = put_code_point(c, s);
		bool		valid = c < 0xD800 || (c > 0xDFFF && c < 0x110000);

		if (pv_utf8_valid(s, n) != valid)
			CHECK(!"code point judged wrongly");
		if (n > 1 && pv_utf8_valid(s, n - 1))
			CHECK(!"truncated character accepted");
	}
	CHECK(utf8("\xF4\x8F\xBF\xBF"));
	CHECK(!utf8("\xF4\x90\x80\x80"));
	CHECK(!utf8("\xED\xA0\x80") && !utf8("\xED\xBF\xBF") && utf8("\xED\x9F\xBF") && utf8("\xEE\x80\x80"));

	CASE("UTF-8: overlong forms, stray and missing continuation bytes");
	CHECK(utf8("") && utf8("a\xC3\xA9z") && pv_utf8_valid("\0", 1));
	CHECK(!utf8("\xC0\x80") && !utf8("\xC1\xBF") && utf8("\xC2\x80"));
	CHECK(!utf8("\xE0\x80\x80") && !utf8("\xE0\x9F\xBF") && utf8("\xE0\xA0\x80"));
	CHECK(!utf8("\xF0\x80\x80\x80") && !utf8("\xF0\x8F\xBF\xBF") && utf8("\xF0\x90\x80\x80"));
	CHECK(!utf8("\x80") && !utf8("a\xBF") && !utf8("\xC3") && !utf8("\xC3z") && !utf8("\xE2\x82z") && !utf8("\xE2z\x82"));
	CHECK(!utf8("\xF5\x80\x80\x80") && !utf8("\xFE") && !utf8("\xFF") && !utf8("\xF0\x9F\x98") && !utf8("\xC3\xA9\xA9"));

	CASE("every status has a phrase of its own");
	for (int i = PV_OK; i <= PV_E_CRYPTO; i++)
		for (int j = PV_OK; j < i; j++)
			CHECK(strcmp(pv_status_text((pv_status) i), pv_status_text((pv_status) j)) != 0);
	CHECK(strcmp(pv_status_text((pv_status) 999), "unknown status") == 0);
	return harness_end();
}
