/*-------------------------------------------------------------------------
 *
 * merged_entry.c
 *	  What is stored of a merged entry, for people: the functions behind the
 *	  view merged_entry.
 *
 * They take stored columns and look at nothing else, so anybody may call them;
 * who may see the columns is the view's matter. Values are shown as history()
 * shows the own ones. What cannot be decoded (a row that somebody changed) is
 * shown as NULL.
 *
 * A column's type is what the partner says it is. A value that is not of its
 * type, and fields that a jsonb has no room for, must not fail whoever reads
 * the view: the former is shown as a string, of the latter there are none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/merged.h"
#include "ledger/store.h"
#include "partner/partner.h"
#include "prove/prove.h"

PG_FUNCTION_INFO_V1(provenance_merged_image);
PG_FUNCTION_INFO_V1(provenance_merged_context_fields);

/*
 * A jsonb takes 256 MB. Strings take what they have; numbers and nestings in
 * the text of a JSON value, up to six times that.
 */
#define MAX_SHOWN (128 * 1024 * 1024)
#define MAX_JSON (16 * 1024 * 1024)	/* of all JSON values of an entry */
#define MAX_JSON_DEPTH 500

enum
{
	M_SCHEMA, M_TABLE, M_KEY, M_OP, M_CHANGED_AT, M_FIELDS, M_WITHHELD, N_MERGED
};

/* The shape decoded last: mostly the next row has the same. */
typedef struct ShapeCache
{
	bytea	   *definition;
	pv_status	status;
	pv_shape	shape;
	pv_column	columns[PV_MAX_FIELDS];
} ShapeCache;

static const pv_shape *
decode_shape(FmgrInfo *flinfo, bytea *definition)
{
	ShapeCache *cache = flinfo->fn_extra;
	Size		len = VARSIZE_ANY(definition);

	if (cache == NULL)
		cache = flinfo->fn_extra = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(ShapeCache));
	if (cache->definition == NULL || VARSIZE_ANY(cache->definition) != len ||
		memcmp(cache->definition, definition, len) != 0)
	{
		if (cache->definition != NULL)
			pfree(cache->definition);
		cache->definition = MemoryContextAlloc(flinfo->fn_mcxt, len);
		memcpy(cache->definition, definition, len);
		cache->status = pv_shape_decode(VARDATA_ANY(cache->definition), VARSIZE_ANY_EXHDR(cache->definition),
										&cache->shape, cache->columns, PV_MAX_FIELDS);
	}
	return cache->status == PV_OK ? &cache->shape : NULL;
}

/* The column of that name; NULL if the shape has none (the field of an event). */
static const pv_column *
column_named(const pv_shape *shape, pv_name name)
{
	for (int i = 0; i < shape->ncolumns; i++)
		if (shape->columns[i].name.len == name.len && memcmp(shape->columns[i].name.s, name.s, name.len) == 0)
			return &shape->columns[i];
	return NULL;
}

/* Could jsonb_in() refuse it? A type that a partner claims has checked nothing. */
static bool
is_json(pv_value value, size_t *room)
{
	const char *s = (const char *) value.data;
	bool		in_string = false;
	int			depth = 0;

	if (s == NULL || value.len > *room)
		return false;
	for (size_t i = 0; i < value.len; i++)
	{
		if (in_string && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			in_string = !in_string;
		else if (!in_string && (s[i] == '[' || s[i] == '{') && ++depth > MAX_JSON_DEPTH)
			return false;
		else if (!in_string && (s[i] == ']' || s[i] == '}'))
			depth--;
	}
	*room -= value.len;
	return prov_json_valid(unconstify(char *, s), value.len, PG_UTF8);
}

static void
show_fields(const pv_shape *shape, unsigned op, const pv_disclosed *fields, size_t n, Datum *values, bool *nulls)
{
	pv_name    *names = palloc(sizeof(pv_name) * PV_MAX_FIELDS);
	ProveImage	image = {.n = (int) n};
	Datum	   *withheld = palloc(sizeof(Datum) * (n + 1));
	int			nwithheld = 0;
	bool		key_shown = false;
	size_t		total = 0;
	size_t		json_room = MAX_JSON;

	if (pv_field_names(op, shape, names) != n)
		return;
	for (size_t i = 0; i < n; i++)
		total += fields[i].withheld ? 0 : fields[i].value.len;
	if (total > MAX_SHOWN)
		return;
	image.names = names;
	image.values = palloc(sizeof(pv_value) * (n + 1));
	image.visible = palloc(sizeof(bool) * (n + 1));
	image.kinds = palloc(sizeof(ProveKind) * (n + 1));
	image.key = palloc(sizeof(bool) * (n + 1));
	for (size_t i = 0; i < n; i++)
	{
		const pv_column *column = NULL;

		if (pv_op_is_row(op))
			column = op == PV_OP_DELETE ? column_named(shape, names[i]) : &shape->columns[i];
		image.values[i] = fields[i].value;
		image.visible[i] = !fields[i].withheld;
		image.kinds[i] = column != NULL ? prove_kind_of_type(column->type) : PROVE_STRING;
		if (image.kinds[i] == PROVE_JSON && !(image.visible[i] && is_json(fields[i].value, &json_room)))
			image.kinds[i] = PROVE_STRING;
		image.key[i] = column != NULL && column->key_pos > 0;
		key_shown |= image.key[i] && image.visible[i];
		if (fields[i].withheld)
			withheld[nwithheld++] = CStringGetTextDatum(prove_text(names[i].s, names[i].len));
	}
	values[M_FIELDS] = JsonbPGetDatum(prove_image_json(&image, false));
	values[M_WITHHELD] = PointerGetDatum(construct_array(withheld, nwithheld, TEXTOID, -1, false, TYPALIGN_INT));
	nulls[M_FIELDS] = nulls[M_WITHHELD] = false;
	if (key_shown)
	{
		values[M_KEY] = JsonbPGetDatum(prove_image_json(&image, true));
		nulls[M_KEY] = false;
	}
}

/* merged_image(definition bytea, leaf bytea, tokens text, OUT …) */
Datum
provenance_merged_image(PG_FUNCTION_ARGS)
{
	bytea	   *leaf_bytes = PG_GETARG_BYTEA_PP(1);
	const pv_shape *shape = decode_shape(fcinfo->flinfo, PG_GETARG_BYTEA_PP(0));
	TupleDesc	desc;
	Datum		values[N_MERGED] = {0};
	bool		nulls[N_MERGED];
	pv_leaf		leaf;
	pv_disclosed *fields;
	size_t		n;
	bool		erased;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "merged_image() must return a row");
	memset(nulls, true, sizeof(nulls));
	if (shape != NULL)
	{
		values[M_SCHEMA] = CStringGetTextDatum(prove_text(shape->schema.s, shape->schema.len));
		values[M_TABLE] = CStringGetTextDatum(prove_text(shape->table.s, shape->table.len));
		nulls[M_SCHEMA] = nulls[M_TABLE] = false;
	}
	if (pv_leaf_decode(VARDATA_ANY(leaf_bytes), VARSIZE_ANY_EXHDR(leaf_bytes), &leaf) == PV_OK)
	{
		TimestampTz changed_at = leaf.time_us - PROV_EPOCH_DIFF_US;

		values[M_OP] = CStringGetTextDatum(pv_op_name(leaf.op));
		values[M_CHANGED_AT] = TimestampTzGetDatum(changed_at);
		nulls[M_OP] = false;
		/* a time that this server could not have written */
		nulls[M_CHANGED_AT] = leaf.time_us < PG_INT64_MIN + PROV_EPOCH_DIFF_US || !IS_VALID_TIMESTAMP(changed_at);
		fields = prov_merged_tokens(PG_GETARG_TEXT_PP(2), &n, &erased);
		if (shape != NULL && fields != NULL && !erased)
			show_fields(shape, leaf.op, fields, n, values, nulls);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* merged_context_fields(tokens text) */
Datum
provenance_merged_context_fields(PG_FUNCTION_ARGS)
{
	size_t		n;
	bool		erased;
	pv_disclosed *fields = prov_merged_tokens(PG_GETARG_TEXT_PP(0), &n, &erased);
	ProveImage	image = {.n = PV_CONTEXT_FIELDS};
	pv_name		names[PV_CONTEXT_FIELDS];
	pv_value	values[PV_CONTEXT_FIELDS];
	bool		visible[PV_CONTEXT_FIELDS];
	ProveKind	kinds[PV_CONTEXT_FIELDS];

	if (fields == NULL || erased || n != PV_CONTEXT_FIELDS)
		PG_RETURN_NULL();
	for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		names[i] = pv_context_names[i];
		values[i] = fields[i].value;
		visible[i] = !fields[i].withheld;
		kinds[i] = PROVE_STRING;
	}
	image.names = names;
	image.values = values;
	image.visible = visible;
	image.kinds = kinds;
	PG_RETURN_JSONB_P(prove_image_json(&image, false));
}
