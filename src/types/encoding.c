/*
 * encoding.c: UTF-8 formats in databases of other encodings.
 *
 * A signature is over bytes, so a checkpoint or proof is kept as the UTF-8 of
 * its format in every database. Its text form is these bytes in the database's
 * encoding. Not every encoding has the dash (U+2014) that begins a signature
 * line: where a value cannot be written, its text form is \x and the bytes in
 * hex, as bytea has it, and input takes that form everywhere. No note or proof
 * can be mistaken for it: they have line breaks. So dumps load, in a database
 * of the same encoding or of another.
 *
 * SQL_ASCII converts nothing, here as elsewhere.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "compat.h"
#include "types/types.h"

static char *
convert(const char *s, size_t len, int from, int to, size_t *outlen)
{
	Oid			proc;
	size_t		cap;
	char	   *out;

	*outlen = len;
	if (from == to || from == PG_SQL_ASCII || to == PG_SQL_ASCII)
		return unconstify(char *, s);
	if (len > MaxAllocSize / MAX_CONVERSION_GROWTH - 1)
		return NULL;

	proc = FindDefaultConversionProc(from, to);
	if (!OidIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("default conversion function for encoding \"%s\" to \"%s\" does not exist",
						pg_encoding_to_char(from), pg_encoding_to_char(to))));
	cap = len * MAX_CONVERSION_GROWTH + 1;
	out = palloc(cap);
	if (pg_do_encoding_conversion_buf(proc, from, to, (unsigned char *) unconstify(char *, s), len,
									  (unsigned char *) out, cap, true) != (int) len)
		return NULL;
	*outlen = strlen(out);
	return out;
}

char *
prov_to_utf8(const char *s, size_t len, size_t *outlen)
{
	return convert(s, len, GetDatabaseEncoding(), PG_UTF8, outlen);
}

char *
prov_from_utf8(const char *s, size_t len, size_t *outlen)
{
	return convert(s, len, PG_UTF8, GetDatabaseEncoding(), outlen);
}
