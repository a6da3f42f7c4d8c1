/*
 * checkpoint.c: the SQL types checkpoint and proof.
 *
 * Both are varlenas holding the exact bytes of their format; every way in
 * parses them, and none verifies a signature. Text and binary input accept the
 * same values: binary is the bytes, text is the bytes in the database's
 * encoding (encoding.c). Equality, order and hashing are those of the bytes,
 * by the server's own functions for bytea; two notes over one head that bear
 * different signatures are different values.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_checkpoint_in);
PG_FUNCTION_INFO_V1(provenance_checkpoint_out);
PG_FUNCTION_INFO_V1(provenance_checkpoint_recv);
PG_FUNCTION_INFO_V1(provenance_checkpoint_send);
PG_FUNCTION_INFO_V1(provenance_checkpoint_origin);
PG_FUNCTION_INFO_V1(provenance_checkpoint_size);
PG_FUNCTION_INFO_V1(provenance_checkpoint_root);
PG_FUNCTION_INFO_V1(provenance_checkpoint_note);
PG_FUNCTION_INFO_V1(provenance_proof_in);
PG_FUNCTION_INFO_V1(provenance_proof_out);
PG_FUNCTION_INFO_V1(provenance_proof_recv);
PG_FUNCTION_INFO_V1(provenance_proof_send);
PG_FUNCTION_INFO_V1(provenance_proof_leaf_index);
PG_FUNCTION_INFO_V1(provenance_proof_path);
PG_FUNCTION_INFO_V1(provenance_proof_checkpoint);

/* What the two types share; `check` says whether bytes are a value. */
typedef struct Format
{
	const char *type;
	size_t		maxlen;
	bool		(*check) (const char *data, size_t len, char *fault);
} Format;

static bool
check_checkpoint(const char *data, size_t len, char *fault)
{
	pv_checkpoint cp;

	return checkpoint_check(data, len, &cp, fault);
}

static bool
check_proof(const char *data, size_t len, char *fault)
{
	pv_proof	proof;
	pv_checkpoint cp;

	return proof_check(data, len, &proof, &cp, fault);
}

static const Format checkpoint_format = {"checkpoint", PV_CHECKPOINT_MAX_LEN, check_checkpoint};
static const Format proof_format = {"proof", PV_PROOF_MAX_LEN, check_proof};

static Datum
to_datum(const void *data, size_t len)
{
	bytea	   *value = palloc(VARHDRSZ + len);

	SET_VARSIZE(value, VARHDRSZ + len);
	memcpy(VARDATA(value), data, len);
	return PointerGetDatum(value);
}

static const char *
get_bytes(Datum value, size_t *len)
{
	struct varlena *v = PG_DETOAST_DATUM_PACKED(value);

	*len = VARSIZE_ANY_EXHDR(v);
	return VARDATA_ANY(v);
}

Datum
checkpoint_to_datum(const void *note, size_t len)
{
	return to_datum(note, len);
}

const char *
checkpoint_bytes(Datum checkpoint, size_t *len)
{
	return get_bytes(checkpoint, len);
}

Datum
proof_to_datum(const void *proof, size_t len)
{
	return to_datum(proof, len);
}

const char *
proof_bytes(Datum proof, size_t *len)
{
	return get_bytes(proof, len);
}

/* Every way in parses: a stored value that does not was damaged on disk. */
static void
corrupt(const Format *format, const char *fault)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored value of type %s is malformed", format->type),
			 errdetail("%s", fault)));
}

void
checkpoint_get(Datum checkpoint, pv_checkpoint *out)
{
	char		fault[PROV_FAULT_LEN];
	size_t		len;
	const char *data = checkpoint_bytes(checkpoint, &len);

	if (!checkpoint_check(data, len, out, fault))
		corrupt(&checkpoint_format, fault);
}

void
proof_get(Datum proof, pv_proof *out, pv_checkpoint *checkpoint)
{
	char		fault[PROV_FAULT_LEN];
	size_t		len;
	const char *data = proof_bytes(proof, &len);

	if (!proof_check(data, len, out, checkpoint, fault))
		corrupt(&proof_format, fault);
}

static bool
hex_form(const char *s, size_t len)
{
	return len >= 2 && s[0] == '\\' && s[1] == 'x' && memchr(s, '\n', len) == NULL;
}

char *
prov_format_in(const char *text, size_t textlen, size_t *len)
{
	char	   *data;

	if (!hex_form(text, textlen))
		return prov_to_utf8(text, textlen, len);
	*len = (textlen - 2) / 2;
	data = palloc(*len + 1);
	if (textlen % 2 != 0 || pv_hex_decode(text + 2, textlen - 2, (uint8_t *) data, *len) != PV_OK)
		return NULL;
	return data;
}

char *
prov_format_out(const char *data, size_t len)
{
	size_t		textlen;
	char	   *text = prov_from_utf8(data, len, &textlen);

	if (text != NULL)
		return pnstrdup(text, textlen);
	text = palloc(2 + 2 * len + 1);
	strcpy(text, "\\x");
	text[2 + hex_encode(data, len, text + 2)] = '\0';
	return text;
}

/* The text form to bytes: NULL and a fault if it is none. */
static char *
from_text(const Format *format, const char *s, size_t *len, char *fault)
{
	size_t		n = strlen(s);
	char	   *data;

	/* Two digits for a byte; and no encoding takes more for one of UTF-8. */
	if (n > 2 * format->maxlen + 2)
	{
		snprintf(fault, PROV_FAULT_LEN, "The text has %zu bytes, which is too long.", n);
		return NULL;
	}
	data = prov_format_in(s, n, len);
	if (data == NULL)
	{
		if (hex_form(s, n))
			snprintf(fault, PROV_FAULT_LEN, "After \\x: %s.", pv_status_text(PV_E_HEX));
		else
			snprintf(fault, PROV_FAULT_LEN, "A character of the text has no equivalent in UTF-8.");
		return NULL;
	}
	return format->check(data, *len, fault) ? data : NULL;
}

static Datum
value_in(const Format *format, FunctionCallInfo fcinfo)
{
	char		fault[PROV_FAULT_LEN];
	size_t		len;
	char	   *data = from_text(format, PG_GETARG_CSTRING(0), &len, fault);

	if (data == NULL)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", format->type),
				 errdetail("%s", fault)));
	return to_datum(data, len);
}

static Datum
value_out(FunctionCallInfo fcinfo)
{
	size_t		len;
	const char *data = get_bytes(PG_GETARG_DATUM(0), &len);

	PG_RETURN_CSTRING(prov_format_out(data, len));
}

static Datum
value_recv(const Format *format, FunctionCallInfo fcinfo)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	size_t		len = buf->len - buf->cursor;
	const char *data = pq_getmsgbytes(buf, len);
	char		fault[PROV_FAULT_LEN];

	if (!format->check(data, len, fault))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s", format->type),
				 errdetail("%s", fault)));
	return to_datum(data, len);
}

static Datum
value_send(FunctionCallInfo fcinfo)
{
	size_t		len;
	const char *data = get_bytes(PG_GETARG_DATUM(0), &len);

	return to_datum(data, len);
}

/* checkpoint */

Datum
provenance_checkpoint_in(PG_FUNCTION_ARGS)
{
	return value_in(&checkpoint_format, fcinfo);
}

Datum
provenance_checkpoint_out(PG_FUNCTION_ARGS)
{
	return value_out(fcinfo);
}

Datum
provenance_checkpoint_recv(PG_FUNCTION_ARGS)
{
	return value_recv(&checkpoint_format, fcinfo);
}

Datum
provenance_checkpoint_send(PG_FUNCTION_ARGS)
{
	return value_send(fcinfo);
}

Datum
provenance_checkpoint_origin(PG_FUNCTION_ARGS)
{
	pv_checkpoint cp;

	checkpoint_get(PG_GETARG_DATUM(0), &cp);
	/* An origin that this database has no characters for is an error here. */
	PG_RETURN_TEXT_P(cstring_to_text(pg_any_to_server(pnstrdup(cp.origin, cp.originlen),
													  cp.originlen, PG_UTF8)));
}

Datum
provenance_checkpoint_size(PG_FUNCTION_ARGS)
{
	pv_checkpoint cp;

	checkpoint_get(PG_GETARG_DATUM(0), &cp);
	PG_RETURN_INT64((int64) cp.size);
}

Datum
provenance_checkpoint_root(PG_FUNCTION_ARGS)
{
	pv_checkpoint cp;

	checkpoint_get(PG_GETARG_DATUM(0), &cp);
	return hash_to_datum(&cp.root);
}

Datum
provenance_checkpoint_note(PG_FUNCTION_ARGS)
{
	return value_send(fcinfo);
}

/* proof */

Datum
provenance_proof_in(PG_FUNCTION_ARGS)
{
	return value_in(&proof_format, fcinfo);
}

Datum
provenance_proof_out(PG_FUNCTION_ARGS)
{
	return value_out(fcinfo);
}

Datum
provenance_proof_recv(PG_FUNCTION_ARGS)
{
	return value_recv(&proof_format, fcinfo);
}

Datum
provenance_proof_send(PG_FUNCTION_ARGS)
{
	return value_send(fcinfo);
}

Datum
provenance_proof_leaf_index(PG_FUNCTION_ARGS)
{
	pv_proof	proof;
	pv_checkpoint cp;

	proof_get(PG_GETARG_DATUM(0), &proof, &cp);
	PG_RETURN_INT64((int64) proof.index);
}

Datum
provenance_proof_path(PG_FUNCTION_ARGS)
{
	pv_proof	proof;
	pv_checkpoint cp;

	proof_get(PG_GETARG_DATUM(0), &proof, &cp);
	return hash_array_to_datum(proof.path, proof.npath);
}

Datum
provenance_proof_checkpoint(PG_FUNCTION_ARGS)
{
	pv_proof	proof;
	pv_checkpoint cp;

	proof_get(PG_GETARG_DATUM(0), &proof, &cp);
	return checkpoint_to_datum(proof.checkpoint, proof.checkpointlen);
}
