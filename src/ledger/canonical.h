/*
 * canonical.h: the canonical text of values.
 *
 * What is hashed and stored of a value is its type's output text under fixed
 * settings, in UTF-8, so that another session, locale or database reads the
 * same bytes: DateStyle ISO, UTC, IntervalStyle iso_8601, bytea hex, shortest
 * round-trip floats, lc_monetary C, search_path pg_catalog.
 *
 * Setting all that for each row would cost more than the rest of capture, so
 * every type is classed once by what its output depends on: nothing; settings
 * that are plain C variables (dates, floats); settings that only the GUC
 * machinery changes (money, reg*); and code of users, which besides runs as
 * the table's owner in a security-restricted operation.
 */
#ifndef PROV_CANONICAL_H
#define PROV_CANONICAL_H

#include "postgres.h"

#include "fmgr.h"

#include "core/fields.h"

/* What an output depends on; a row needs what its columns need, or-ed. */
#define PROV_NEEDS_STYLE	0x01	/* DateStyle and the like: C variables */
#define PROV_NEEDS_GUC		0x02	/* other settings */
#define PROV_NEEDS_OWNER	0x04	/* user-defined code */

typedef enum ProvOutputKind
{
	PROV_OUT_TEXT,				/* the datum's bytes are the text */
	PROV_OUT_INT4,
	PROV_OUT_INT8,
	PROV_OUT_BYTEA,
	PROV_OUT_BOOL,
	PROV_OUT_DATE,
	PROV_OUT_TIMESTAMP,
	PROV_OUT_TIMESTAMPTZ,
	PROV_OUT_FUNCTION
} ProvOutputKind;

typedef struct ProvOutput
{
	ProvOutputKind kind;
	int			needs;
	FmgrInfo	flinfo;			/* PROV_OUT_FUNCTION */
} ProvOutput;

/* Looks up a type's output; its function's cache lives in cxt. */
extern void prov_output_init(ProvOutput *out, Oid type, MemoryContext cxt);

/*
 * The canonical text of a value that is not NULL, in the current memory
 * context or inside the value itself. To be called within
 * prov_canonical_run() with (at least) the output's needs.
 */
extern pv_value prov_output(ProvOutput *out, Datum value);

/*
 * Runs fn(arg) under the settings that the needs ask for, as the given role if
 * they hold PROV_NEEDS_OWNER, and restores everything, after an error too.
 */
extern void prov_canonical_run(int needs, Oid owner, void (*fn) (void *), void *arg);

/*
 * The other way: a value of whatever type as one of another type, by way of
 * its text under the session's settings. Reading it may run what users wrote,
 * such as the checks of a domain: as the given role, the table's owner, in a
 * security-restricted operation.
 */
extern Datum prov_value_as(Datum value, Oid from, Oid to, int32 typmod, Oid owner);

/* A string of the server's encoding as UTF-8: a copy in the current context. */
extern pv_value prov_utf8_value(const char *s);

#endif							/* PROV_CANONICAL_H */
