/*
 * hash.c: the SQL type hash: 32 bytes, 64 lower-case hex digits.
 *
 * One text per value: upper-case digits, spaces and a leading \x are refused,
 * so that texts can be compared where hashes are copied by hand or kept
 * outside. The order is that of the bytes. Sorting uses the first eight bytes
 * as abbreviated keys; hashes being what they are, these nearly always decide.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"

#include "compat.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_hash_in);
PG_FUNCTION_INFO_V1(provenance_hash_out);
PG_FUNCTION_INFO_V1(provenance_hash_recv);
PG_FUNCTION_INFO_V1(provenance_hash_send);
PG_FUNCTION_INFO_V1(provenance_hash_from_bytea);
PG_FUNCTION_INFO_V1(provenance_hash_to_bytea);
PG_FUNCTION_INFO_V1(provenance_hash_lt);
PG_FUNCTION_INFO_V1(provenance_hash_le);
PG_FUNCTION_INFO_V1(provenance_hash_eq);
PG_FUNCTION_INFO_V1(provenance_hash_ne);
PG_FUNCTION_INFO_V1(provenance_hash_ge);
PG_FUNCTION_INFO_V1(provenance_hash_gt);
PG_FUNCTION_INFO_V1(provenance_hash_cmp);
PG_FUNCTION_INFO_V1(provenance_hash_sortsupport);
PG_FUNCTION_INFO_V1(provenance_hash_hash);
PG_FUNCTION_INFO_V1(provenance_hash_hash_extended);

Datum
hash_to_datum(const pv_hash *hash)
{
	pv_hash    *copy = palloc(sizeof(pv_hash));

	*copy = *hash;
	return HashPGetDatum(copy);
}

Datum
provenance_hash_in(PG_FUNCTION_ARGS)
{
	const char *s = PG_GETARG_CSTRING(0);
	size_t		len = strlen(s);
	pv_hash    *hash;

	if (len != 2 * PV_HASH_LEN)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "hash"),
				 errdetail("The length is %zu where %d hexadecimal digits are expected.",
						   len, 2 * PV_HASH_LEN)));

	hash = palloc(sizeof(pv_hash));
	if (pv_hex_decode(s, len, hash->b, PV_HASH_LEN) != PV_OK)
	{
		size_t		pos = strspn(s, "0123456789abcdef");

		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "hash"),
				 errdetail("Position %zu: %s.", pos + 1, pv_status_text(PV_E_HEX))));
	}
	PG_RETURN_HASH_P(hash);
}

Datum
provenance_hash_out(PG_FUNCTION_ARGS)
{
	pv_hash    *hash = PG_GETARG_HASH_P(0);
	char	   *out = palloc(2 * PV_HASH_LEN + 1);

	hex_encode((const char *) hash->b, PV_HASH_LEN, out);
	out[2 * PV_HASH_LEN] = '\0';
	PG_RETURN_CSTRING(out);
}

/* The 32 bytes, nothing else. */
Datum
provenance_hash_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			len = buf->len - buf->cursor;
	pv_hash    *hash;

	if (len != PV_HASH_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s", "hash"),
				 errdetail("The length is %d where %d bytes are expected.", len, PV_HASH_LEN)));

	hash = palloc(sizeof(pv_hash));
	pq_copymsgbytes(buf, (char *) hash->b, PV_HASH_LEN);
	PG_RETURN_HASH_P(hash);
}

Datum
provenance_hash_send(PG_FUNCTION_ARGS)
{
	pv_hash    *hash = PG_GETARG_HASH_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbytes(&buf, (const char *) hash->b, PV_HASH_LEN);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
provenance_hash_from_bytea(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	pv_hash    *hash;

	if (VARSIZE_ANY_EXHDR(bytes) != PV_HASH_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s", "hash"),
				 errdetail("The length is %d where %d bytes are expected.",
						   (int) VARSIZE_ANY_EXHDR(bytes), PV_HASH_LEN)));

	hash = palloc(sizeof(pv_hash));
	memcpy(hash->b, VARDATA_ANY(bytes), PV_HASH_LEN);
	PG_RETURN_HASH_P(hash);
}

Datum
provenance_hash_to_bytea(PG_FUNCTION_ARGS)
{
	pv_hash    *hash = PG_GETARG_HASH_P(0);
	bytea	   *bytes = palloc(VARHDRSZ + PV_HASH_LEN);

	SET_VARSIZE(bytes, VARHDRSZ + PV_HASH_LEN);
	memcpy(VARDATA(bytes), hash->b, PV_HASH_LEN);
	PG_RETURN_BYTEA_P(bytes);
}

static inline int
compare(Datum a, Datum b)
{
	return memcmp(DatumGetHashP(a)->b, DatumGetHashP(b)->b, PV_HASH_LEN);
}

#define COMPARISON(name, op) \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) op 0); \
}

COMPARISON(provenance_hash_lt, <)
COMPARISON(provenance_hash_le, <=)
COMPARISON(provenance_hash_eq, ==)
COMPARISON(provenance_hash_ne, !=)
COMPARISON(provenance_hash_ge, >=)
COMPARISON(provenance_hash_gt, >)

Datum
provenance_hash_cmp(PG_FUNCTION_ARGS)
{
	int			c = compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));

	PG_RETURN_INT32(c < 0 ? -1 : (c > 0 ? 1 : 0));
}

static int
sort_full(Datum a, Datum b, SortSupport ssup)
{
	return compare(a, b);
}

/* The leading bytes as a number whose unsigned order is that of the bytes. */
static Datum
sort_abbreviate(Datum original, SortSupport ssup)
{
	Datum		key;

	memcpy(&key, DatumGetHashP(original)->b, sizeof(Datum));
	return DatumBigEndianToNative(key);
}

/* Making a key is one load: never worth giving up. */
static bool
sort_abort(int memtupcount, SortSupport ssup)
{
	return false;
}

Datum
provenance_hash_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = sort_full;
	if (ssup->abbreviate)
	{
		ssup->comparator = ssup_datum_unsigned_cmp;
		ssup->abbrev_converter = sort_abbreviate;
		ssup->abbrev_abort = sort_abort;
		ssup->abbrev_full_comparator = sort_full;
	}
	PG_RETURN_VOID();
}

Datum
provenance_hash_hash(PG_FUNCTION_ARGS)
{
	return hash_any(PG_GETARG_HASH_P(0)->b, PV_HASH_LEN);
}

Datum
provenance_hash_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended(PG_GETARG_HASH_P(0)->b, PV_HASH_LEN, PG_GETARG_INT64(1));
}
