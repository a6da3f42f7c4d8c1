/*
 * verify_disclosure.c: verify_disclosure(): what a disclosure proves.
 *
 * Nothing here looks at a table, a setting or a clock: whoever holds the text
 * and the log's verifier key gets the same answer in any database. The answer
 * is the content: rows that begin with @ say what leaf, shape and proof say,
 * then come the context's fields, then the image's. Whatever does not hold is
 * an ERROR, so that no row of a disclosure that fails is ever seen.
 *
 * Columns may have any name; one that could be taken for another kind of row
 * ("@time", "context.actor") is given in double quotes.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/result.h"
#include "ledger/store.h"
#include "prove/prove.h"
#include "types/types.h"

#include "core/disclosure.h"

PG_FUNCTION_INFO_V1(provenance_verify_disclosure);

/* The text as the UTF-8 that was written; it may stand in hexadecimal. */
static char *
get_text(text *t, size_t *len)
{
	const char *s = VARDATA_ANY(t);
	size_t		n = VARSIZE_ANY_EXHDR(t);
	char	   *data;

	if (n >= 2 && s[0] == '\\' && s[1] == 'x')
	{
		*len = (n - 2) / 2;
		data = palloc(*len + 1);
		if (pv_hex_decode(s + 2, n - 2, (uint8_t *) data, *len) != PV_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("malformed disclosure"),
					 errdetail("After \\x: %s.", pv_status_text(PV_E_HEX))));
		return data;
	}
	data = prov_to_utf8(s, n, len);
	if (data == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("malformed disclosure"),
				 errdetail("A character of the text has no equivalent in UTF-8.")));
	return data;
}

static void
check_disclosure(const pv_disclosure *d, const pv_fault *fault, pv_status status, const pv_vkey *keys, unsigned nkeys,
				 pv_proof *proof, pv_checkpoint *cp)
{
	char		proof_fault[PROV_FAULT_LEN];
	const char *what;

	if (status != PV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("malformed disclosure"),
				 errdetail("Line %zu (%s): %s.", fault->line, fault->part, pv_status_text(status))));
	if (!proof_check(d->proof, d->prooflen, proof, cp, proof_fault))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("malformed disclosure"),
				 errdetail("In the proof, which begins at line %zu: %s", fault->line, proof_fault)));

	status = pv_disclosure_verify(prov_hasher(), d, keys, nkeys, proof, cp, &what);
	if (!prov_holds(status))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the disclosure does not hold: %s", what),
				 errdetail("The reason is: %s.", pv_status_text(status)),
				 status == PV_E_ORIGIN || status == PV_E_UNKNOWN_KEY ?
				 errhint("Give the verifier key of the log \"%s\".", prove_text(cp->origin, cp->originlen)) : 0));
}

/* ---- rows ---- */

static void
put_row(ReturnSetInfo *rsinfo, const char *field, const char *value, bool withheld)
{
	Datum		values[3];
	bool		nulls[3] = {false, value == NULL, false};

	values[0] = CStringGetTextDatum(field);
	values[1] = value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
	values[2] = BoolGetDatum(withheld);
	prov_result_put(rsinfo, lengthof(values), values, nulls);
}

static char *
hash_text(const pv_hash *hash)
{
	char	   *s = palloc(2 * PV_HASH_LEN + 1);

	s[hex_encode((const char *) hash->b, PV_HASH_LEN, s)] = '\0';
	return s;
}

/* As type timestamptz writes it with DateStyle ISO in UTC, whatever the session's. */
static char *
time_text(int64 us)
{
	char		buf[MAXDATELEN + 1];
	struct pg_tm tm;
	fsec_t		fsec;
	int64		t;

	if (pg_sub_s64_overflow(us, PROV_EPOCH_DIFF_US, &t) || !IS_VALID_TIMESTAMP(t) ||
		timestamp2tm(t, NULL, &tm, &fsec, NULL, NULL) != 0)
		return psprintf("%lld us since 1970-01-01 00:00:00+00", (long long) us);
	tm.tm_isdst = 0;			/* or no zone would be written */
	EncodeDateTime(&tm, fsec, true, 0, NULL, USE_ISO_DATES, buf);
	return pstrdup(buf);
}

/* A value for display: with a character that the database lacks, its bytes in hexadecimal. */
static char *
value_text(pv_value v)
{
	size_t		n;
	char	   *s;

	if (v.data == NULL)
		return NULL;
	s = prov_from_utf8((const char *) v.data, v.len, &n);
	if (s != NULL)
		return pnstrdup(s, n);
	s = palloc(3 + 2 * (Size) v.len);
	strcpy(s, "\\x");
	s[2 + hex_encode((const char *) v.data, v.len, s + 2)] = '\0';
	return s;
}

static char *
column_name(pv_name name)
{
	static const char context[] = "context.";
	pv_value	v = {(const uint8_t *) name.s, name.len};
	char	   *s = value_text(v);
	StringInfoData quoted;

	if (s[0] != '@' && s[0] != '"' && strncmp(s, context, strlen(context)) != 0)
		return s;
	initStringInfo(&quoted);
	appendStringInfoChar(&quoted, '"');
	for (; *s != '\0'; s++)
	{
		if (*s == '"')
			appendStringInfoChar(&quoted, '"');
		appendStringInfoChar(&quoted, *s);
	}
	appendStringInfoChar(&quoted, '"');
	return quoted.data;
}

static char *
utf8_text(const char *s, size_t len)
{
	pv_value	v = {(const uint8_t *) s, (uint32_t) len};

	return value_text(v);
}

static void
put_facts(ReturnSetInfo *rsinfo, const pv_disclosure *d, const pv_proof *proof, const pv_checkpoint *cp)
{
	pv_hash		hash;

	prov_check(pv_leaf_hash(prov_hasher(), d->leaf_bytes, PV_LEAF_LEN, &hash));
	put_row(rsinfo, "@origin", utf8_text(cp->origin, cp->originlen), false);
	put_row(rsinfo, "@schema", utf8_text(d->shape.schema.s, d->shape.schema.len), false);
	put_row(rsinfo, "@table", utf8_text(d->shape.table.s, d->shape.table.len), false);
	put_row(rsinfo, "@operation", pv_op_name(d->leaf.op), false);
	put_row(rsinfo, "@time", time_text(d->leaf.time_us), false);
	put_row(rsinfo, "@transaction", psprintf("%llu", (unsigned long long) d->leaf.xid), false);
	put_row(rsinfo, "@leaf_index", psprintf("%llu", (unsigned long long) proof->index), false);
	put_row(rsinfo, "@log_size", psprintf("%llu", (unsigned long long) cp->size), false);
	put_row(rsinfo, "@leaf_hash", hash_text(&hash), false);
	put_row(rsinfo, "@previous", hash_text(&d->leaf.prev), false);
}

/* verify_disclosure(disclosure text, VARIADIC vkeys text[]) */
Datum
provenance_verify_disclosure(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	size_t		len;
	char	   *data = get_text(PG_GETARG_TEXT_PP(0), &len);
	unsigned	nkeys;
	pv_vkey    *keys = prov_vkeys(PG_GETARG_ARRAYTYPE_P(1), &nkeys);
	pv_disclosure *d = palloc(sizeof(pv_disclosure));
	pv_proof   *proof = palloc(sizeof(pv_proof));
	pv_checkpoint *cp = palloc(sizeof(pv_checkpoint));
	pv_fault	fault;
	pv_status	status;
	size_t		i;

	status = pv_disclosure_parse(data, len, palloc(len + 1), len, d, &fault);
	check_disclosure(d, &fault, status, keys, nkeys, proof, cp);

	rsinfo = prov_result_begin(fcinfo, "ttf");
	put_facts(rsinfo, d, proof, cp);
	for (i = 0; d->context_given && i < PV_CONTEXT_FIELDS; i++)
		put_row(rsinfo, psprintf("context.%s", d->context[i].name.s),
				value_text(d->context[i].value), d->context[i].withheld);
	for (i = 0; i < d->nfields; i++)
		put_row(rsinfo, column_name(d->fields[i].name), value_text(d->fields[i].value), d->fields[i].withheld);
	return (Datum) 0;
}
