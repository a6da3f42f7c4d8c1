/*
 * common.c: what the subcommands share: small files, leaves, reports of what
 * does not hold.
 */
#include "verifier/command.h"

#include <stdlib.h>
#include <string.h>

#include "core/leaf.h"
#include "verifier/input.h"

#define LEAF_FILE_MAX (2 + 2 * PV_LEAF_LEN + 2)

static uint8_t *
read_all(const char *path, const char *head, size_t head_max, size_t max, size_t *len, Fault *f)
{
	int			error;
	uint8_t    *data = input_file(path, head, head_max, max, len, &error);

	if (data == NULL && error != 0)
		fault_set(f, VERDICT_UNREADABLE, "%s", strerror(error));
	else if (data == NULL)
		fault_set(f, VERDICT_FAILS, "it is longer than the format allows");
	return data;
}

uint8_t *
read_small(const char *path, size_t max, size_t *len, Fault *f)
{
	return read_all(path, "", 0, max, len, f);
}

uint8_t *
read_text(const char *path, const char *head, size_t head_max, size_t max, size_t *len, Fault *f)
{
	uint8_t    *data = read_all(path, head, head_max + 1, max + 1, len, f);

	if (data != NULL && *len >= 2 && data[*len - 1] == '\n' && data[*len - 2] == '\n')
		(*len)--;
	return data;
}

Verdict
read_leaf(const char *path, uint8_t leaf[PV_LEAF_LEN], Fault *f)
{
	size_t		len;
	uint8_t    *data = read_small(path, LEAF_FILE_MAX, &len, f);
	const char *text = (const char *) data;
	char		name[SHOW_MAX];
	Fault		why = *f;
	bool		ok;

	if (data == NULL)
		return fault_set(f, why.verdict, "the leaf in %s: %s", show(path, strlen(path), name), why.text);
	ok = len == PV_LEAF_LEN;
	if (ok)
		memcpy(leaf, data, PV_LEAF_LEN);
	else
	{
		if (len > 0 && text[len - 1] == '\n')
			len--;
		if (len > 0 && text[len - 1] == '\r')
			len--;
		if (len > 2 && text[0] == '\\' && text[1] == 'x')
		{
			text += 2;
			len -= 2;
		}
		ok = pv_hex_decode(text, len, leaf, PV_LEAF_LEN) == PV_OK;
	}
	free(data);
	if (!ok)
		return fault_set(f, VERDICT_FAILS, "%s holds no leaf: neither %d bytes nor these in hexadecimal",
						 show(path, strlen(path), name), PV_LEAF_LEN);
	return VERDICT_HOLDS;
}

void
json_head(const char *kind, const char *file, bool holds)
{
	json_begin(NULL, '{');
	json_string("type", kind);
	if (file != NULL)
		json_string("file", file);
	json_bool("holds", holds);
}

Verdict
report_fault(const Command *c, const char *kind, const char *file, const Fault *f)
{
	char		name[SHOW_MAX];
	const char *state = f->verdict == VERDICT_FAILS ? "does not hold" : "cannot be verified";

	progress_clear();
	if (c->json)
	{
		json_head(kind, file, false);
		json_string("verdict", state);
		if (f->line > 0)
			json_number("line", f->line);
		json_string("reason", f->text);
		json_end('}');
		json_newline();
	}
	else
	{
		printf("%s %s.\n", file != NULL ? show(file, strlen(file), name) : "This", state);
		if (f->line > 0)
			printf("Line %llu: ", (unsigned long long) f->line);
		else
			fputs("Reason: ", stdout);
		printf("%s.\n", f->text);
	}
	return f->verdict;
}
