/*
 * fuzz_copy.c: the program's COPY reader. It must not depend on how the input
 * is cut into pieces; what it takes, written as COPY text, csv and binary, is
 * read the same again.
 */
#include "fuzz_main.h"

#include "verifier/copy.c"
#include "verifier/input.c"

#define MAX_CONTENT 300

const char *const fuzz_words[] = {
	"1\tbundle\t", "line,kind,content\n", "\\N", "\\\\", "\\t", "\\.\n", "\r\n", "\n", "\"", "\"\"", "2,checkpoint,\"",
	"PGCOPY\n\377\r\n", "provenance/bundle@v1", "\\r", ",", "\t", "99999999999999999999", "\\n", NULL
};

/* A run over the input: what came out, one row after the other. */
typedef struct Output
{
	CopyResult	result;
	const char *reason;
	CopyFormat	format;
	uint64_t	rows;
	size_t		len;
	uint8_t		data[1 << 17];
} Output;

static void
put(Output *o, const void *data, size_t n)
{
	FUZZ_ASSERT(n <= sizeof(o->data) - o->len);
	memcpy(o->data + o->len, data, n);
	o->len += n;
}

static void
run(const uint8_t *data, size_t len, size_t chunk, Output *o)
{
	static Input in;
	static CopyReader c;

	input_memory(&in, data, len, chunk);
	copy_start(&c, &in, MAX_CONTENT);
	memset(o, 0, offsetof(Output, data));
	while ((o->result = copy_row(&c)) == COPY_ROW)
	{
		FUZZ_ASSERT(c.kind.len <= COPY_MAX_KIND && c.content.len <= MAX_CONTENT && c.content.cap <= FIRST_GROWTH);
		FUZZ_ASSERT(c.row == ++o->rows);
		put(o, &c.line, sizeof(c.line));
		put(o, &c.kind.len, sizeof(c.kind.len));
		put(o, c.kind.data, c.kind.len);
		put(o, &c.content.len, sizeof(c.content.len));
		if (c.content.len > 0)
			put(o, c.content.data, c.content.len);
	}
	o->reason = c.reason;
	o->format = c.format;
	FUZZ_ASSERT(o->result != COPY_FAILED);
	FUZZ_ASSERT((o->reason != NULL) == (o->result != COPY_END));
	FUZZ_ASSERT(copy_row(&c) != COPY_ROW);
	copy_free(&c);
}

/* The rows again, as COPY writes them. */
static size_t
write_again(const Output *o, CopyFormat format, uint8_t *out, size_t cap)
{
	const uint8_t *p = o->data;
	pv_buf		b;

	pv_buf_init(&b, out, cap);
	if (format == COPY_BINARY)
	{
		pv_put_bytes(&b, signature, sizeof(signature));
		pv_put_u64(&b, 0);
	}
	while (p < o->data + o->len)
	{
		uint64_t	line;

		memcpy(&line, p, sizeof(line));
		p += sizeof(line);
		if (format == COPY_BINARY)
		{
			pv_put_u16(&b, 3);
			pv_put_u32(&b, 8);
			pv_put_u64(&b, line);
		}
		else
			pv_put_decimal(&b, line);
		for (int i = 0; i < 2; i++)
		{
			size_t		n;

			memcpy(&n, p, sizeof(n));
			p += sizeof(n);
			if (format == COPY_BINARY)
				pv_put_u32(&b, (uint32_t) n);
			else
				pv_put_str(&b, format == COPY_CSV ? ",\"" : "\t");
			for (size_t k = 0; k < n; k++)
			{
				if (format == COPY_TEXT && (p[k] == '\\' || p[k] == '\t' || p[k] == '\n' || p[k] == '\r'))
				{
					pv_put_u8(&b, '\\');
					pv_put_u8(&b, p[k] == '\t' ? 't' : p[k] == '\n' ? 'n' : p[k] == '\r' ? 'r' : '\\');
					continue;
				}
				if (format == COPY_CSV && p[k] == '"')
					pv_put_u8(&b, '"');
				pv_put_u8(&b, p[k]);
			}
			if (format == COPY_CSV)
				pv_put_u8(&b, '"');
			p += n;
		}
		if (format != COPY_BINARY)
			pv_put_u8(&b, '\n');
	}
	if (format == COPY_BINARY)
		pv_put_u16(&b, 0xFFFF);
	FUZZ_ASSERT(pv_buf_status(&b) == PV_OK);
	return b.len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static Output first,
				other;
	static uint8_t again[1 << 18];

	if (len > 16384)
		return 0;
	run(data, len, INPUT_BUFFER, &first);
	for (size_t chunk = 1; chunk <= 7; chunk += 3)
	{
		run(data, len, chunk, &other);
		FUZZ_ASSERT(other.result == first.result && other.reason == first.reason && other.format == first.format);
		FUZZ_ASSERT(other.len == first.len && memcmp(other.data, first.data, first.len) == 0);
	}
	fuzz_seen((unsigned) first.result * 4 + (unsigned) first.format);
	fuzz_seen(100 + (unsigned) (first.rows < 50 ? first.rows : 50));
	if (first.reason != NULL)
		fuzz_seen(200 + (unsigned) strlen(first.reason));
	if (first.rows == 0)
		return 0;
	for (CopyFormat format = COPY_TEXT; format <= COPY_BINARY; format++)
	{
		size_t		n = write_again(&first, format, again, sizeof(again));

		run(again, n, INPUT_BUFFER, &other);
		FUZZ_ASSERT(other.result == COPY_END && other.format == format);
		FUZZ_ASSERT(other.len == first.len && memcmp(other.data, first.data, first.len) == 0);
	}
	return 0;
}
