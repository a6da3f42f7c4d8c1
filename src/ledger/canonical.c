/*
 * canonical.c: the canonical text of values (see canonical.h).
 *
 * The C variables behind DateStyle and its kin are set directly and restored
 * in PG_FINALLY: nothing but the output functions that fn calls runs in
 * between, and of those only built-in ones, which read the variables and do
 * not keep them. Everything else goes through a GUC nest level, which an
 * aborting (sub)transaction unwinds by itself, as it does the role.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "ledger/canonical.h"

#include "types/types.h"

/*
 * What a built-in output function depends on. A function not listed gets the
 * fixed settings by way of the GUC machinery: slower, never wrong.
 */
static int
output_function_needs(Oid fn)
{
	switch (fn)
	{
		case F_BOOLOUT:
		case F_CHAROUT:
		case F_NAMEOUT:
		case F_INT2OUT:
		case F_INT4OUT:
		case F_INT8OUT:
		case F_OIDOUT:
		case F_TEXTOUT:
		case F_VARCHAROUT:
		case F_BPCHAROUT:
		case F_NUMERIC_OUT:
		case F_UUID_OUT:
		case F_JSON_OUT:
		case F_JSONB_OUT:
		case F_JSONPATH_OUT:
		case F_XML_OUT:
		case F_ENUM_OUT:
		case F_BIT_OUT:
		case F_VARBIT_OUT:
		case F_INET_OUT:
		case F_CIDR_OUT:
		case F_MACADDR_OUT:
		case F_MACADDR8_OUT:
		case F_TIDOUT:
		case F_XIDOUT:
		case F_XID8OUT:
		case F_CIDOUT:
		case F_PG_LSN_OUT:
		case F_PG_SNAPSHOT_OUT:
		case F_TSVECTOROUT:
		case F_TSQUERYOUT:
		case F_INT2VECTOROUT:
		case F_OIDVECTOROUT:
			return 0;

		case F_DATE_OUT:
		case F_TIME_OUT:
		case F_TIMETZ_OUT:
		case F_TIMESTAMP_OUT:
		case F_TIMESTAMPTZ_OUT:
		case F_INTERVAL_OUT:
		case F_FLOAT4OUT:
		case F_FLOAT8OUT:
		case F_BYTEAOUT:
		case F_POINT_OUT:
		case F_LINE_OUT:
		case F_LSEG_OUT:
		case F_BOX_OUT:
		case F_PATH_OUT:
		case F_POLY_OUT:
		case F_CIRCLE_OUT:
			return PROV_NEEDS_STYLE;

		default:
			if (fn >= FirstNormalObjectId)
				return PROV_NEEDS_GUC | PROV_NEEDS_OWNER;
			return PROV_NEEDS_GUC;
	}
}

/*
 * A function of LANGUAGE internal is a built-in one under another name (only
 * superusers make them; citext's output is textout): classed as that.
 */
static Oid
resolve_internal(Oid fn)
{
	HeapTuple	tup;
	Datum		src;
	bool		isnull;
	Oid			builtin = InvalidOid;

	if (fn < FirstNormalObjectId)
		return fn;
	tup = SearchSysCache1(PROCOID, ObjectIdGetDatum(fn));
	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for function %u", fn);
	if (((Form_pg_proc) GETSTRUCT(tup))->prolang == INTERNALlanguageId)
	{
		src = SysCacheGetAttr(PROCOID, tup, Anum_pg_proc_prosrc, &isnull);
		if (!isnull)
			builtin = fmgr_internal_function(TextDatumGetCString(src));
	}
	ReleaseSysCache(tup);
	return OidIsValid(builtin) ? builtin : fn;
}

static int
type_needs(Oid type, Oid fn)
{
	Oid			inner;
	Oid			innerfn;
	bool		isvarlena;
	char		typtype;

	type = getBaseType(type);
	typtype = get_typtype(type);

	/*
	 * A composite type can get an attribute of any type at any time without
	 * the table hearing of it.
	 */
	if (typtype == TYPTYPE_COMPOSITE || type == RECORDOID)
		return PROV_NEEDS_GUC | PROV_NEEDS_OWNER;

	inner = get_element_type(type);
	if (!OidIsValid(inner) && typtype == TYPTYPE_RANGE)
		inner = get_range_subtype(type);
	if (!OidIsValid(inner) && typtype == TYPTYPE_MULTIRANGE)
		inner = get_multirange_range(type);
	if (OidIsValid(inner))
	{
		getTypeOutputInfo(inner, &innerfn, &isvarlena);
		return type_needs(inner, innerfn);
	}
	return output_function_needs(resolve_internal(fn));
}

void
prov_output_init(ProvOutput *out, Oid type, MemoryContext cxt)
{
	Oid			fn;
	bool		isvarlena;

	getTypeOutputInfo(type, &fn, &isvarlena);
	out->needs = type_needs(type, fn);
	fmgr_info_cxt(fn, &out->flinfo, cxt);

	switch (resolve_internal(fn))
	{
		case F_TEXTOUT:
		case F_VARCHAROUT:
		case F_BPCHAROUT:
		case F_JSON_OUT:
			out->kind = PROV_OUT_TEXT;
			break;
		case F_INT4OUT:
			out->kind = PROV_OUT_INT4;
			break;
		case F_INT8OUT:
			out->kind = PROV_OUT_INT8;
			break;
		case F_BYTEAOUT:
			out->kind = PROV_OUT_BYTEA;
			out->needs = 0;
			break;
		case F_BOOLOUT:
			out->kind = PROV_OUT_BOOL;
			break;
		case F_DATE_OUT:
			out->kind = PROV_OUT_DATE;
			out->needs = 0;
			break;
		case F_TIMESTAMP_OUT:
			out->kind = PROV_OUT_TIMESTAMP;
			out->needs = 0;
			break;
		case F_TIMESTAMPTZ_OUT:
			out->kind = PROV_OUT_TIMESTAMPTZ;
			out->needs = 0;
			break;
		default:
			out->kind = PROV_OUT_FUNCTION;
			break;
	}
}

/* Text of the server's encoding as a value in UTF-8. */
static pv_value
utf8(const char *s, Size len)
{
	pv_value	v;

	v.data = (const uint8_t *) s;
	v.len = len;
	if (GetDatabaseEncoding() != PG_UTF8)
	{
		size_t		n;
		char	   *u = prov_to_utf8(s, len, &n);

		if (u == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
					 errmsg("value has a character without equivalent in UTF-8")));
		v.data = (const uint8_t *) u;
		v.len = n;
	}
	return v;
}

pv_value
prov_utf8_value(const char *s)
{
	Size		len = strlen(s);

	return utf8(pnstrdup(s, len), len);
}

/*
 * Dates and timestamps in ISO style, these in UTC, by the functions that the
 * types' output functions call, but without the settings that those look at.
 */
static pv_value
date_time(ProvOutputKind kind, Datum value)
{
	char	   *s = palloc(MAXDATELEN + 1);
	struct pg_tm tm = {0};
	fsec_t		fsec = 0;
	pv_value	v;

	if (kind == PROV_OUT_DATE)
	{
		DateADT		date = DatumGetDateADT(value);

		if (DATE_NOT_FINITE(date))
			EncodeSpecialDate(date, s);
		else
		{
			j2date(date + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
			EncodeDateOnly(&tm, USE_ISO_DATES, s);
		}
	}
	else
	{
		Timestamp	t = DatumGetTimestamp(value);

		if (TIMESTAMP_NOT_FINITE(t))
			EncodeSpecialTimestamp(t, s);
		else if (timestamp2tm(t, NULL, &tm, &fsec, NULL, NULL) == 0)
		{
			/* no zone was asked for, so none is known: it is UTC */
			tm.tm_isdst = 0;
			EncodeDateTime(&tm, fsec, kind == PROV_OUT_TIMESTAMPTZ, 0, NULL, USE_ISO_DATES, s);
		}
		else
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("timestamp out of range")));
	}
	v.data = (const uint8_t *) s;
	v.len = strlen(s);
	return v;
}

pv_value
prov_output(ProvOutput *out, Datum value)
{
	pv_value	v;
	char	   *s;

	switch (out->kind)
	{
		case PROV_OUT_TEXT:
			{
				struct varlena *t = PG_DETOAST_DATUM_PACKED(value);

				return utf8(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
			}
		case PROV_OUT_INT4:
			s = palloc(12);
			v.len = pg_ltoa(DatumGetInt32(value), s);
			v.data = (const uint8_t *) s;
			return v;
		case PROV_OUT_INT8:
			s = palloc(MAXINT8LEN + 1);
			v.len = pg_lltoa(DatumGetInt64(value), s);
			v.data = (const uint8_t *) s;
			return v;
		case PROV_OUT_BYTEA:
			{
				struct varlena *b = PG_DETOAST_DATUM_PACKED(value);
				Size		len = VARSIZE_ANY_EXHDR(b);

				if (len > (MaxAllocSize - 3) / 2)
					ereport(ERROR,
							(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							 errmsg("value is too long to be recorded"),
							 errdetail("Its text would have %zu bytes, more than the limit of 1 GB.", len * 2 + 2),
							 errhint("Exclude the column from recording: untag the table, and tag it with the column in \"exclude\".")));
				s = palloc(len * 2 + 2);
				s[0] = '\\';
				s[1] = 'x';
				v.len = 2 + hex_encode(VARDATA_ANY(b), len, s + 2);
				v.data = (const uint8_t *) s;
				if (b != (struct varlena *) DatumGetPointer(value))
					pfree(b);
				return v;
			}
		case PROV_OUT_BOOL:
			v.len = 1;
			v.data = (const uint8_t *) (DatumGetBool(value) ? "t" : "f");
			return v;
		case PROV_OUT_DATE:
		case PROV_OUT_TIMESTAMP:
		case PROV_OUT_TIMESTAMPTZ:
			return date_time(out->kind, value);
		case PROV_OUT_FUNCTION:
			break;
	}
	s = OutputFunctionCall(&out->flinfo, value);
	return utf8(s, strlen(s));
}

static void
set_option(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
run_with_gucs(int needs, Oid owner, void (*fn) (void *), void *arg)
{
	Oid			save_user;
	int			save_sec;
	int			nest = NewGUCNestLevel();

	GetUserIdAndSecContext(&save_user, &save_sec);

	set_option("datestyle", "ISO, MDY");
	set_option("timezone", "UTC");
	set_option("intervalstyle", "iso_8601");
	set_option("bytea_output", "hex");
	set_option("extra_float_digits", "1");
	set_option("lc_monetary", "C");
	set_option("quote_all_identifiers", "off");
	set_option("search_path", "pg_catalog, pg_temp");

	if (needs & PROV_NEEDS_OWNER)
		SetUserIdAndSecContext(owner, save_sec | SECURITY_RESTRICTED_OPERATION);

	fn(arg);

	AtEOXact_GUC(false, nest);
	SetUserIdAndSecContext(save_user, save_sec);
}

static void
run_with_styles(void (*fn) (void *), void *arg)
{
	static pg_tz *utc = NULL;
	int			save_date_style = DateStyle;
	int			save_interval_style = IntervalStyle;
	int			save_bytea = bytea_output;
	int			save_digits = extra_float_digits;
	pg_tz	   *save_zone = session_timezone;

	if (utc == NULL)
		utc = pg_tzset("UTC");

	PG_TRY();
	{
		DateStyle = USE_ISO_DATES;
		IntervalStyle = INTSTYLE_ISO_8601;
		bytea_output = BYTEA_OUTPUT_HEX;
		extra_float_digits = 1;
		session_timezone = utc;
		fn(arg);
	}
	PG_FINALLY();
	{
		DateStyle = save_date_style;
		IntervalStyle = save_interval_style;
		bytea_output = save_bytea;
		extra_float_digits = save_digits;
		session_timezone = save_zone;
	}
	PG_END_TRY();
}

void
prov_canonical_run(int needs, Oid owner, void (*fn) (void *), void *arg)
{
	if (needs & (PROV_NEEDS_GUC | PROV_NEEDS_OWNER))
		run_with_gucs(needs, owner, fn, arg);
	else if (needs & PROV_NEEDS_STYLE)
		run_with_styles(fn, arg);
	else
		fn(arg);
}

Datum
prov_value_as(Datum value, Oid from, Oid to, int32 typmod, Oid owner)
{
	Oid			save_user;
	int			save_sec;
	int			nest;
	Oid			fn;
	Oid			ioparam;
	bool		isvarlena;
	char	   *text;

	if (from == to && typmod < 0)
		return value;
	getTypeOutputInfo(from, &fn, &isvarlena);
	text = OidOutputFunctionCall(fn, value);
	getTypeInputInfo(to, &fn, &ioparam);
	if (to < FirstNormalObjectId)
		return OidInputFunctionCall(fn, text, ioparam, typmod);

	nest = NewGUCNestLevel();
	GetUserIdAndSecContext(&save_user, &save_sec);
	SetUserIdAndSecContext(owner, save_sec | SECURITY_RESTRICTED_OPERATION);
	value = OidInputFunctionCall(fn, text, ioparam, typmod);
	AtEOXact_GUC(false, nest);
	SetUserIdAndSecContext(save_user, save_sec);
	return value;
}
