/*
 * report.c: what the program says, to people and to machines.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "verifier/report.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/disclosure.h"

Verdict
fault_set(Fault *f, Verdict verdict, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	f->verdict = verdict;
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	return verdict;
}

/*
 * The next character of UTF-8: its code and its length, or -1 and 1 for a
 * byte that begins none.
 */
static int32_t
next_character(const uint8_t *s, size_t len, size_t *n)
{
	size_t		need = s[0] < 0x80 ? 1 : s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
	int32_t		c;

	*n = 1;
	if (need == 1)
		return s[0];
	if (need > len || !pv_utf8_valid((const char *) s, need))
		return -1;
	c = s[0] & (0x7F >> need);
	for (size_t i = 1; i < need; i++)
		c = c << 6 | (s[i] & 0x3F);
	*n = need;
	return c;
}

/*
 * The next character as it stands between quotes, in out, terminated; returns
 * its length. A byte that is none is U+FFFD; JSON has no other place for it.
 */
static size_t
escaped(const uint8_t *s, size_t len, char out[16])
{
	size_t		n;
	int32_t		c = next_character(s, len, &n);

	if (c == '"' || c == '\\')
		snprintf(out, 16, "\\%c", (int) c);
	else if (c == '\n' || c == '\t' || c == '\r')
		snprintf(out, 16, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
	else if (c < 0)
		snprintf(out, 16, "\\ufffd");
	else if (c != ' ' && !pv_text_plain(s, n))
		snprintf(out, 16, "\\u%04x", (unsigned) c); /* none of them is above U+FFFF */
	else
	{
		memcpy(out, s, n);
		out[n] = '\0';
	}
	return n;
}

/* Plain, and not to be taken for something in quotes. */
static bool
shown_plain(const uint8_t *s, size_t len)
{
	return pv_text_plain(s, len) && s[0] != '"';
}

const char *
show(const void *data, size_t len, char out[SHOW_MAX])
{
	const uint8_t *s = data;
	size_t		at = 0;
	bool		plain = shown_plain(s, len) && len < SHOW_MAX - 8;

	if (plain)
	{
		memcpy(out, s, len);
		out[len] = '\0';
		return out;
	}
	out[at++] = '"';
	for (size_t i = 0; i < len;)
	{
		char		piece[16];

		i += escaped(s + i, len - i, piece);
		if (at + strlen(piece) > SHOW_MAX - 8)
		{
			memcpy(out + at, "...", 3);
			at += 3;
			break;
		}
		memcpy(out + at, piece, strlen(piece));
		at += strlen(piece);
	}
	out[at++] = '"';
	out[at] = '\0';
	return out;
}

static void
put_escaped(const uint8_t *s, size_t len)
{
	for (size_t i = 0; i < len;)
	{
		char		piece[16];

		i += escaped(s + i, len - i, piece);
		fputs(piece, stdout);
	}
}

void
put_shown(const void *data, size_t len)
{
	const uint8_t *s = data;

	if (shown_plain(s, len))
	{
		fwrite(s, 1, len, stdout);
		return;
	}
	putchar('"');
	put_escaped(s, len);
	putchar('"');
}

void
put_name(const void *data, size_t len)
{
	const uint8_t *s = data;
	bool		word = shown_plain(s, len);

	for (size_t i = 0; i < len && word; i++)
		word = s[i] >= 0x80 || s[i] == '_' || s[i] == '-' || (s[i] >= '0' && s[i] <= '9') ||
			(s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= 'a' && s[i] <= 'z');
	if (word)
	{
		fwrite(s, 1, len, stdout);
		return;
	}
	putchar('"');
	put_escaped(s, len);
	putchar('"');
}

/* Civil date of a day counted from 1970-01-01, proleptic Gregorian. */
static void
civil(int64_t day, int64_t *year, int *month, int *mday)
{
	int64_t		z = day + 719468;	/* from 0000-03-01 */
	int64_t		era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t		doe = z - era * 146097;
	int64_t		yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t		doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t		mp = (5 * doy + 2) / 153;

	*mday = (int) (doy - (153 * mp + 2) / 5 + 1);
	*month = (int) (mp < 10 ? mp + 3 : mp - 9);
	*year = yoe + era * 400 + (*month <= 2 ? 1 : 0);
}

const char *
show_time(int64_t microseconds, bool json, char out[TIME_MAX])
{
	int64_t		seconds = microseconds / 1000000 - (microseconds % 1000000 < 0 ? 1 : 0);
	int			fraction = (int) (microseconds % 1000000 + (microseconds % 1000000 < 0 ? 1000000 : 0));
	int64_t		day = seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0);
	int			rest = (int) (seconds - day * 86400);
	int64_t		year;
	int			month,
				mday;
	char		digits[16] = "";

	civil(day, &year, &month, &mday);
	if (fraction != 0)
		snprintf(digits, sizeof(digits), ".%06d", fraction);
	snprintf(out, TIME_MAX, "%s%04" PRId64 "-%02d-%02d%c%02d:%02d:%02d%s%s", year < 0 ? "-" : "",
			 year < 0 ? -year : year, month, mday, json ? 'T' : ' ', rest / 3600, rest / 60 % 60, rest % 60, digits,
			 json ? "Z" : " UTC");
	return out;
}

const char *
show_number(uint64_t n, char out[32])
{
	char		digits[24];
	int			len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char	   *p = out;

	for (int i = 0; i < len; i++)
	{
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return out;
}

const char *
show_count(uint64_t n, const char *one, const char *many, char out[COUNT_MAX])
{
	char		number[32];

	snprintf(out, COUNT_MAX, "%s %s", show_number(n, number), n == 1 ? one : many);
	return out;
}

const char *
show_hash(const pv_hash *hash, char out[2 * PV_HASH_LEN + 1])
{
	pv_buf		b;

	pv_buf_init(&b, out, 2 * PV_HASH_LEN);
	pv_put_hex(&b, hash->b, PV_HASH_LEN);
	out[2 * PV_HASH_LEN] = '\0';
	return out;
}

const char *
show_key(const pv_vkey *key, char out[SHOW_MAX])
{
	char		text[PV_KEY_NAME_MAX + 16];

	snprintf(text, sizeof(text), "%s+%08" PRIx32, key->name, key->key_id);
	return show(text, strlen(text), out);
}

/* --- JSON --------------------------------------------------------------- */

static bool json_first = true;

static void
json_put(const uint8_t *s, size_t len)
{
	putchar('"');
	put_escaped(s, len);
	putchar('"');
}

static void
json_name(const char *name)
{
	if (!json_first)
		putchar(',');
	json_first = false;
	if (name != NULL)
		printf("\"%s\":", name);
}

void
json_begin(const char *name, char bracket)
{
	json_name(name);
	putchar(bracket);
	json_first = true;
}

void
json_begin_named(const void *name, size_t len, char bracket)
{
	json_name(NULL);
	json_put(name, len);
	putchar(':');
	putchar(bracket);
	json_first = true;
}

void
json_end(char bracket)
{
	putchar(bracket);
	json_first = false;
}

void
json_text(const char *name, const void *data, size_t len)
{
	json_name(name);
	json_put(data, len);
}

void
json_string(const char *name, const char *s)
{
	json_text(name, s, strlen(s));
}

void
json_number(const char *name, uint64_t n)
{
	json_name(name);
	printf("%" PRIu64, n);
}

void
json_bool(const char *name, bool b)
{
	json_name(name);
	fputs(b ? "true" : "false", stdout);
}

void
json_null(const char *name)
{
	json_name(name);
	fputs("null", stdout);
}

void
json_hash(const char *name, const pv_hash *hash)
{
	char		hex[2 * PV_HASH_LEN + 1];

	json_string(name, show_hash(hash, hex));
}

void
json_time(const char *name, int64_t microseconds)
{
	char		time[TIME_MAX];

	json_string(name, show_time(microseconds, true, time));
}

void
json_newline(void)
{
	putchar('\n');
	json_first = true;
}

/* --- progress ----------------------------------------------------------- */

static bool progress_shown;

void
progress(const char *what, uint64_t done, uint64_t total)
{
	static time_t last;
	static int	terminal = -1;
	char		number[32];
	time_t		now;

	if (terminal < 0)
	{
		terminal = isatty(STDERR_FILENO);
		last = time(NULL);
	}
	if (!terminal)
		return;
	now = time(NULL);
	if (now == last)
		return;
	last = now;
	progress_shown = true;
	fprintf(stderr, "\r%s %s", show_number(done, number), what);
	if (total > 0)
		fprintf(stderr, ", %d %%", (int) (100.0 * (double) done / (double) total));
	fputs("\033[K", stderr);
	fflush(stderr);
}

void
progress_clear(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}
