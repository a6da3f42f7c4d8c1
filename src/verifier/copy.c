/*
 * copy.c: the rows of a bundle out of what COPY TO wrote.
 *
 * Each format is a small automaton over the input's pieces; spans without a
 * special byte are copied whole. A file that ends within a row is incomplete,
 * also where only its last line end is missing: COPY writes it.
 */
#include "verifier/copy.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

#define FIRST_GROWTH 4096
#define HEAD 64					/* the first delimiter is among so many bytes */

static const char signature[11] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', '\377', '\r', '\n', '\0'};

/* How a field of text or csv ended. */
typedef enum FieldEnd
{
	END_COLUMN,
	END_ROW,
	END_INPUT,					/* or an error while reading */
	END_MARKER,					/* "\." alone on its line */
	END_REFUSED,				/* reason is set */
	END_MEMORY
} FieldEnd;

const char *
copy_format_name(CopyFormat format)
{
	switch (format)
	{
		case COPY_TEXT:
			return "text";
		case COPY_CSV:
			return "csv";
		case COPY_BINARY:
			return "binary";
		case COPY_UNKNOWN:
			break;
	}
	return "unknown";
}

void
copy_start(CopyReader *c, Input *in, size_t max)
{
	memset(c, 0, sizeof(*c));
	c->in = in;
	c->number.data = c->number_data;
	c->number.cap = c->number.max = sizeof(c->number_data);
	c->kind.data = c->kind_data;
	c->kind.cap = c->kind.max = sizeof(c->kind_data);
	c->content.max = max;
	c->content.grows = true;
}

void
copy_free(CopyReader *c)
{
	free(c->content.data);
	c->content.data = NULL;
	c->content.cap = c->content.len = 0;
}

static CopyResult
stop(CopyReader *c, CopyResult result, const char *reason)
{
	c->reason = reason;
	c->ended = true;
	return result;
}

/* The input ends here, and should not. */
static CopyResult
cut(CopyReader *c)
{
	if (input_failed(c->in))
		return stop(c, COPY_FAILED, "it cannot be read");
	return stop(c, COPY_INCOMPLETE, "it ends within a row");
}

static CopyResult
no_memory(CopyReader *c)
{
	return stop(c, COPY_FAILED, "out of memory");
}

/* Adds n bytes to a field. */
static FieldEnd
append(CopyReader *c, CopyField *f, const void *data, size_t n)
{
	if (n == 0)
		return END_COLUMN;
	if (n > f->max - f->len)
	{
		c->reason = f == &c->content ? "a content is longer than the format allows" :
			f == &c->kind ? "the second column is no kind of line" : "the first column is no line number";
		return END_REFUSED;
	}
	if (n > f->cap - f->len)
	{
		size_t		cap = f->cap == 0 ? FIRST_GROWTH : f->cap;
		char	   *more;

		while (n > cap - f->len)
			cap = cap < f->max / 2 ? cap * 2 : f->max;
		more = realloc(f->data, cap);
		if (more == NULL)
			return END_MEMORY;
		f->data = more;
		f->cap = cap;
	}
	memcpy(f->data + f->len, data, n);
	f->len += n;
	return END_COLUMN;
}

/* Bytes that end a stretch of plain ones. A table: every byte of a bundle is looked up. */
#define SPECIAL_TEXT 1
#define SPECIAL_CSV 2
static const uint8_t special_bytes[256] = {
	['\n'] = SPECIAL_TEXT | SPECIAL_CSV,
	['\r'] = SPECIAL_TEXT | SPECIAL_CSV,
	['\t'] = SPECIAL_TEXT,
	['\\'] = SPECIAL_TEXT,
	[','] = SPECIAL_CSV,
	['"'] = SPECIAL_CSV,
};

/* Bytes up to a special one, which is then consumed into *special; -1 at the end. */
static FieldEnd
take_plain(CopyReader *c, CopyField *f, int *special)
{
	const uint8_t mask = c->format == COPY_TEXT ? SPECIAL_TEXT : SPECIAL_CSV;
	const uint8_t *p;
	size_t		n;

	while ((n = input_peek(c->in, &p)) > 0)
	{
		size_t		i = 0;
		FieldEnd	end;

		while (i < n && (special_bytes[p[i]] & mask) == 0)
			i++;
		if ((end = append(c, f, p, i)) != END_COLUMN)
			return end;
		if (i < n)
		{
			*special = p[i];
			input_skip(c->in, i + 1);
			return END_COLUMN;
		}
		input_skip(c->in, n);
	}
	*special = -1;
	return END_COLUMN;
}

/* A carriage return is the first half of a line end. */
static FieldEnd
after_return(CopyReader *c)
{
	int			b = input_get(c->in);

	if (b == '\n')
		return END_ROW;
	if (b < 0)
		return END_INPUT;
	c->reason = "a carriage return that ends no line";
	return END_REFUSED;
}

/* What follows a column: *b consumed already. */
static FieldEnd
column_end(CopyReader *c, int b)
{
	if (b == '\n')
		return END_ROW;
	if (b == '\r')
		return after_return(c);
	if (b < 0)
		return END_INPUT;
	if (b == (c->format == COPY_TEXT ? '\t' : ','))
		return END_COLUMN;
	c->reason = "something behind the end of a column";
	return END_REFUSED;
}

static FieldEnd
text_field(CopyReader *c, CopyField *f, bool first)
{
	for (;;)
	{
		static const char codes[] = "bfnrtv\\";
		static const char bytes[] = "\b\f\n\r\t\v\\";
		const char *code;
		FieldEnd	end;
		int			b;

		if ((end = take_plain(c, f, &b)) != END_COLUMN)
			return end;
		if (b != '\\')
			return column_end(c, b);
		b = input_get(c->in);
		if (b < 0)
			return END_INPUT;
		if (b == 'N' && f->len == 0)
		{
			f->null = true;
			return column_end(c, input_get(c->in));
		}
		if (b == '.' && first && f->len == 0)
		{
			end = column_end(c, input_get(c->in));
			if (end == END_ROW || end == END_INPUT)
				return END_MARKER;
			c->reason = "something behind the end-of-data marker";
			return END_REFUSED;
		}
		code = b != 0 ? strchr(codes, b) : NULL;
		if (code == NULL)
		{
			c->reason = "an escape that COPY does not write";
			return END_REFUSED;
		}
		if ((end = append(c, f, bytes + (code - codes), 1)) != END_COLUMN)
			return end;
	}
}

/* Inside quotes everything stands for itself, but a quote, which is doubled. */
static FieldEnd
quoted_field(CopyReader *c, CopyField *f)
{
	const uint8_t *p;
	size_t		n;

	while ((n = input_peek(c->in, &p)) > 0)
	{
		const uint8_t *quote = memchr(p, '"', n);
		FieldEnd	end = append(c, f, p, quote != NULL ? (size_t) (quote - p) : n);
		int			b;

		if (end != END_COLUMN)
			return end;
		if (quote == NULL)
		{
			input_skip(c->in, n);
			continue;
		}
		input_skip(c->in, (size_t) (quote - p) + 1);
		b = input_get(c->in);
		if (b != '"')
			return column_end(c, b);
		if ((end = append(c, f, "\"", 1)) != END_COLUMN)
			return end;
	}
	return END_INPUT;
}

static FieldEnd
csv_field(CopyReader *c, CopyField *f)
{
	const uint8_t *p;
	FieldEnd	end;
	int			b;

	if (input_peek(c->in, &p) > 0 && *p == '"')
	{
		input_skip(c->in, 1);
		return quoted_field(c, f);
	}
	if ((end = take_plain(c, f, &b)) != END_COLUMN)
		return end;
	f->null = f->len == 0;
	return column_end(c, b);
}

static CopyResult
field_fault(CopyReader *c, FieldEnd end)
{
	switch (end)
	{
		case END_COLUMN:
			return stop(c, COPY_REFUSED, "more than three columns");
		case END_ROW:
			return stop(c, COPY_REFUSED, "less than three columns");
		case END_REFUSED:
			return stop(c, COPY_REFUSED, c->reason);
		case END_MEMORY:
			return no_memory(c);
		default:
			return cut(c);
	}
}

/* The three columns of a row of text or csv. */
static CopyResult
fields_of_row(CopyReader *c)
{
	CopyField  *fields[3] = {&c->number, &c->kind, &c->content};
	const uint8_t *p;
	FieldEnd	end = END_COLUMN;

	if (input_peek(c->in, &p) == 0)
		return input_failed(c->in) ? cut(c) : stop(c, COPY_END, NULL);
	for (int i = 0; i < 3; i++)
	{
		fields[i]->len = 0;
		fields[i]->null = false;
		end = c->format == COPY_TEXT ? text_field(c, fields[i], i == 0) : csv_field(c, fields[i]);
		if (end == END_MARKER && i == 0)
		{
			if (input_get(c->in) >= 0)
				return stop(c, COPY_REFUSED, "something behind the end-of-data marker");
			return input_failed(c->in) ? cut(c) : stop(c, COPY_END, NULL);
		}
		if (end != (i < 2 ? END_COLUMN : END_ROW))
			return field_fault(c, end);
	}
	return COPY_ROW;
}

static bool
field_is(const CopyField *f, const char *word)
{
	return !f->null && f->len == strlen(word) && memcmp(f->data, word, f->len) == 0;
}

static bool
is_header(const CopyReader *c)
{
	return field_is(&c->number, "line") && field_is(&c->kind, "kind") && field_is(&c->content, "content");
}

/* n bytes of a binary file, or false. */
static bool
get_bytes(CopyReader *c, void *out, size_t n)
{
	const uint8_t *p;

	if (input_peek_min(c->in, n, &p) < n)
		return false;
	memcpy(out, p, n);
	input_skip(c->in, n);
	return true;
}

static uint64_t
big_endian(const uint8_t *p, size_t n)
{
	uint64_t	v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* A column of text in a binary file. */
static CopyResult
binary_text(CopyReader *c, CopyField *f)
{
	uint8_t		head[4];
	uint64_t	left;

	f->len = 0;
	f->null = false;
	if (!get_bytes(c, head, 4))
		return cut(c);
	left = big_endian(head, 4);
	if (left == UINT32_MAX)
	{
		f->null = true;
		return COPY_ROW;
	}
	if (left > f->max)
		return stop(c, COPY_REFUSED, f == &c->content ? "a content is longer than the format allows" :
					"the second column is no kind of line");
	while (left > 0)
	{
		const uint8_t *p;
		size_t		n = input_peek(c->in, &p);
		FieldEnd	end;

		if (n == 0)
			return cut(c);
		if (n > left)
			n = (size_t) left;
		end = append(c, f, p, n);
		if (end != END_COLUMN)
			return field_fault(c, end);
		input_skip(c->in, n);
		left -= n;
	}
	return COPY_ROW;
}

static CopyResult
binary_row(CopyReader *c)
{
	uint8_t		head[14];
	uint64_t	n;
	CopyResult	result;

	if (!get_bytes(c, head, 2))
		return cut(c);
	n = big_endian(head, 2);
	if (n == UINT16_MAX)
	{
		if (input_get(c->in) >= 0)
			return stop(c, COPY_REFUSED, "something behind the end of the data");
		return input_failed(c->in) ? cut(c) : stop(c, COPY_END, NULL);
	}
	if (n != 3)
		return stop(c, COPY_REFUSED, "a row has not three columns");
	if (!get_bytes(c, head, 4))
		return cut(c);
	if (big_endian(head, 4) != 8)
		return stop(c, COPY_REFUSED, "the first column is no bigint");
	if (!get_bytes(c, head, 8))
		return cut(c);
	c->line = big_endian(head, 8);
	if (c->line > INT64_MAX)
		return stop(c, COPY_REFUSED, "the first column is no line number");
	if ((result = binary_text(c, &c->kind)) != COPY_ROW ||
		(result = binary_text(c, &c->content)) != COPY_ROW)
		return result;
	return COPY_ROW;
}

/* What the first bytes say. */
static CopyResult
read_head(CopyReader *c)
{
	const uint8_t *p;
	size_t		n = input_peek_min(c->in, HEAD, &p);
	uint8_t		head[8];
	uint64_t	extension;

	c->started = true;
	if (n == 0)
		return input_failed(c->in) ? cut(c) : stop(c, COPY_INCOMPLETE, "it is empty");
	if (n >= sizeof(signature) && memcmp(p, signature, sizeof(signature)) == 0)
		c->format = COPY_BINARY;
	else if (*p == '"')
		c->format = COPY_CSV;
	else
	{
		for (size_t i = 0; i < n && i < HEAD && c->format == COPY_UNKNOWN; i++)
			c->format = p[i] == '\t' ? COPY_TEXT : p[i] == ',' ? COPY_CSV : COPY_UNKNOWN;
	}
	if (c->format == COPY_UNKNOWN)
		return stop(c, COPY_REFUSED, "it is not what COPY writes of a bundle: neither text, csv nor binary");
	if (c->format != COPY_BINARY)
		return COPY_ROW;

	input_skip(c->in, sizeof(signature));
	if (!get_bytes(c, head, 8))
		return cut(c);
	if (big_endian(head, 4) >> 16 != 0)
		return stop(c, COPY_REFUSED, "a binary file with flags that are not known");
	for (extension = big_endian(head + 4, 4); extension > 0;)
	{
		n = input_peek(c->in, &p);
		if (n == 0)
			return cut(c);
		n = n < extension ? n : (size_t) extension;
		input_skip(c->in, n);
		extension -= n;
	}
	return COPY_ROW;
}

CopyResult
copy_row(CopyReader *c)
{
	bool		first = !c->started;
	CopyResult	result;

	if (c->ended)
		return c->reason != NULL ? COPY_REFUSED : COPY_END;
	if (first && (result = read_head(c)) != COPY_ROW)
		return result;
	if (c->format == COPY_BINARY)
		result = binary_row(c);
	else
	{
		result = fields_of_row(c);
		if (result == COPY_ROW && first && is_header(c))
			result = fields_of_row(c);
	}
	if (result != COPY_ROW)
		return result;
	if (c->format != COPY_BINARY &&
		(c->number.null || pv_parse_decimal(c->number.data, c->number.len, INT64_MAX, &c->line) != PV_OK))
		return stop(c, COPY_REFUSED, "the first column is no line number");
	if (c->kind.null || c->content.null)
		return stop(c, COPY_REFUSED, "a column is NULL");
	if (c->content.len > 0 && (memchr(c->content.data, '\n', c->content.len) != NULL ||
							   memchr(c->content.data, 0, c->content.len) != NULL))
		return stop(c, COPY_REFUSED, "a line break or a zero byte within a content");
	c->row++;
	return COPY_ROW;
}
