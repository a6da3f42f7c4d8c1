/*
 * image.c: the image of an entry as jsonb, and what an update changed.
 *
 * An image holds texts. In the jsonb a text is a string, except where a JSON
 * reader would rightly expect otherwise: a boolean is true or false, a number
 * of a built-in type is a number if its text is one in JSON's grammar (NaN and
 * Infinity are not), json and jsonb are embedded. A numeric keeps its digits
 * (1.00 stays 1.00).
 *
 * Not every json can be a jsonb (\u0000, numbers beyond numeric's range), and
 * an image may have been tampered with. What might be refused is shown as a
 * string instead: a history that cannot be read because of one value would be
 * worse. The checks are therefore stricter than they need to be.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "compat.h"
#include "prove/prove.h"

/* More digits in a row, or in an exponent, than a jsonb surely takes. */
#define MAX_DIGITS 1000
#define MAX_EXPONENT_DIGITS 3

static bool
type_is(pv_name type, const char *name)
{
	size_t		len = strlen(name);

	/* a modifier may follow: numeric(10,2) */
	return type.len >= len && memcmp(type.s, name, len) == 0 &&
		(type.len == len || type.s[len] == '(') &&
		type.s[type.len - 1] != ']';
}

ProveKind
prove_kind_of_type(pv_name type)
{
	static const char *const numbers[] = {"smallint", "integer", "bigint", "numeric", "real", "double precision"};
	int			i;

	if (type_is(type, "boolean"))
		return PROVE_BOOL;
	if (type_is(type, "json") || type_is(type, "jsonb"))
		return PROVE_JSON;
	for (i = 0; i < lengthof(numbers); i++)
		if (type_is(type, numbers[i]))
			return PROVE_NUMBER;
	return PROVE_STRING;
}

void
prove_shape_view(ProveShape *view, const ProveTarget *target)
{
	ProvShape  *shape = view->shape;
	int			i;

	if (shape == NULL || shape->status != PV_OK || shape->table_id != target->table->table_id)
	{
		view->shape = NULL;
		return;
	}
	view->visible = palloc(sizeof(bool) * shape->shape.ncolumns);
	view->kinds = palloc(sizeof(ProveKind) * shape->shape.ncolumns);
	for (i = 0; i < shape->shape.ncolumns; i++)
	{
		view->visible[i] = prove_column_visible(target, shape->columns[i].name);
		view->kinds[i] = prove_kind_of_type(shape->columns[i].type);
	}
}

void
prove_image(const ProvEntry *entry, const ProveShape *view, ProveImage *out)
{
	ProvShape  *shape = view->shape;
	size_t		n;
	int			i;

	memset(out, 0, sizeof(*out));
	if (entry->image == NULL || shape == NULL || pv_op_name(entry->op) == NULL)
		return;

	out->names = palloc(sizeof(pv_name) * PV_MAX_FIELDS);
	out->values = palloc(sizeof(pv_value) * PV_MAX_FIELDS);
	if (pv_get_values(entry->image, entry->image_len, out->values, PV_MAX_FIELDS, &n) != PV_OK)
		return;
	out->n = prov_entry_names(shape, entry->op, out->names);
	if ((int) n != out->n)
		return;
	out->valid = true;

	out->visible = palloc(sizeof(bool) * (out->n + 1));
	out->kinds = palloc(sizeof(ProveKind) * (out->n + 1));
	out->key = palloc(sizeof(bool) * (out->n + 1));
	for (i = 0; i < out->n; i++)
	{
		if (!pv_op_is_row(entry->op))
		{
			/* what happened to the table is for whoever may see any of it */
			out->visible[i] = true;
			out->kinds[i] = PROVE_STRING;
			out->key[i] = false;
		}
		else
		{
			int			column = entry->op == PV_OP_DELETE ? shape->key_columns[i] : i;

			out->visible[i] = view->visible[column];
			out->kinds[i] = view->kinds[column];
			out->key[i] = shape->columns[column].key_pos > 0;
		}
	}
}

/* Is it a number in JSON's grammar that numeric surely takes? */
static bool
is_json_number(const char *s, size_t len)
{
	size_t		i = 0;
	size_t		start;

	if (i < len && s[i] == '-')
		i++;
	start = i;
	while (i < len && s[i] >= '0' && s[i] <= '9')
		i++;
	if (i == start || i - start > MAX_DIGITS || (s[start] == '0' && i - start > 1))
		return false;
	if (i < len && s[i] == '.')
	{
		start = ++i;
		while (i < len && s[i] >= '0' && s[i] <= '9')
			i++;
		if (i == start || i - start > MAX_DIGITS)
			return false;
	}
	if (i < len && (s[i] == 'e' || s[i] == 'E'))
	{
		i++;
		if (i < len && (s[i] == '+' || s[i] == '-'))
			i++;
		start = i;
		while (i < len && s[i] >= '0' && s[i] <= '9')
			i++;
		if (i == start || i - start > MAX_EXPONENT_DIGITS)
			return false;
	}
	return i == len;
}

/* Could jsonb refuse something in what is well-formed JSON? */
static bool
is_plain_json(const char *s, size_t len)
{
	size_t		digits = 0;
	size_t		i;

	for (i = 0; i < len; i++)
	{
		char		c = s[i];

		if (c == '\\' && i + 1 < len && s[i + 1] == 'u')
			return false;
		digits = (c >= '0' && c <= '9') ? digits + 1 : 0;
		if (digits > MAX_DIGITS)
			return false;
		if (digits > MAX_EXPONENT_DIGITS)
		{
			char		before = i > digits - 1 ? s[i - digits] : ' ';

			if (before == '+' || before == '-')
				before = i > digits ? s[i - digits - 1] : ' ';
			if (before == 'e' || before == 'E')
				return false;
		}
	}
	return true;
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *s, size_t len)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, s);
	v.val.string.len = (int) len;
	(void) pushJsonbValue(state, token, &v);
}

static void
push_value(JsonbParseState **state, pv_value value, ProveKind kind)
{
	JsonbValue	v;
	char	   *text;
	size_t		len;

	if (value.data == NULL)
	{
		v.type = jbvNull;
		(void) pushJsonbValue(state, WJB_VALUE, &v);
		return;
	}

	text = prove_text(value.data, value.len);
	len = strlen(text);
	if (kind == PROVE_BOOL && (strcmp(text, "t") == 0 || strcmp(text, "f") == 0))
	{
		v.type = jbvBool;
		v.val.boolean = text[0] == 't';
		(void) pushJsonbValue(state, WJB_VALUE, &v);
	}
	else if (kind == PROVE_NUMBER && is_json_number(text, len))
	{
		v.type = jbvNumeric;
		v.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
															ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		(void) pushJsonbValue(state, WJB_VALUE, &v);
	}
	else if (kind == PROVE_JSON && is_plain_json(text, len))
	{
		Jsonb	   *embedded = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));

		v.type = jbvBinary;
		v.val.binary.data = &embedded->root;
		v.val.binary.len = VARSIZE(embedded) - VARHDRSZ;
		(void) pushJsonbValue(state, WJB_VALUE, &v);
	}
	else
		push_string(state, WJB_VALUE, text, len);
}

Jsonb *
prove_image_json(const ProveImage *image, bool key_only)
{
	JsonbParseState *state = NULL;
	int			i;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (i = 0; i < image->n; i++)
	{
		char	   *name;

		if (!image->visible[i] || (key_only && !image->key[i]))
			continue;
		name = prove_text(image->names[i].s, image->names[i].len);
		push_string(&state, WJB_KEY, name, strlen(name));
		push_value(&state, image->values[i], image->kinds[i]);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static bool
same_name(pv_name a, pv_name b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static bool
same_value(pv_value a, pv_value b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

Datum
prove_image_changed(const ProveImage *before, const ProveImage *after)
{
	Datum	   *names = palloc(sizeof(Datum) * (after->n + 1));
	int			n = 0;
	int			i;
	int			j;

	for (i = 0; i < after->n; i++)
	{
		pv_value	old = {NULL, 0};

		/* mostly at the same place; elsewhere, or nowhere (NULL), in another shape */
		if (i < before->n && same_name(before->names[i], after->names[i]))
			old = before->values[i];
		else
			for (j = 0; j < before->n; j++)
				if (same_name(before->names[j], after->names[i]))
					old = before->values[j];

		if (after->visible[i] && !same_value(old, after->values[i]))
			names[n++] = CStringGetTextDatum(prove_text(after->names[i].s, after->names[i].len));
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}
