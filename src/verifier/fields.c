/*
 * fields.c: the fields of an entry or a context, as they are reported.
 */
#include "verifier/fields.h"

#include "verifier/report.h"

/* The names of those fields that are withheld, or of those that are not. */
void
put_names(const char *label, const pv_disclosed *fields, size_t n, bool withheld)
{
	const char *between = "";

	printf("%s: ", label);
	for (size_t i = 0; i < n; i++)
	{
		if (fields[i].withheld != withheld)
			continue;
		fputs(between, stdout);
		put_name(fields[i].name.s, fields[i].name.len);
		between = ", ";
	}
	puts(*between == '\0' ? "nothing." : ".");
}

void
put_values(const pv_disclosed *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (fields[i].withheld)
			continue;
		fputs("    ", stdout);
		put_name(fields[i].name.s, fields[i].name.len);
		if (fields[i].value.data == NULL)
			fputs(" is NULL", stdout);
		else
		{
			fputs(" = ", stdout);
			put_shown(fields[i].value.data, fields[i].value.len);
		}
		putchar('\n');
	}
}

void
json_fields(const char *name, const pv_disclosed *fields, size_t n, bool values)
{
	json_begin(name, '[');
	for (size_t i = 0; i < n; i++)
	{
		json_begin(NULL, '{');
		json_text("name", fields[i].name.s, fields[i].name.len);
		json_bool("withheld", fields[i].withheld);
		if (values && !fields[i].withheld)
		{
			if (fields[i].value.data == NULL)
				json_null("value");
			else
				json_text("value", fields[i].value.data, fields[i].value.len);
		}
		json_end('}');
	}
	json_end(']');
}
