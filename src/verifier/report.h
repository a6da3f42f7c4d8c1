/*
 * report.h: what the program says, to people and to machines.
 *
 * Whatever comes from a file is printed so that it cannot move the cursor or
 * hide: text that is not plain (doc/format.md, "Disclosure") stands in quotes,
 * with escapes. JSON is one object a line. Nothing is printed of a file before
 * it has been verified as a whole.
 */
#ifndef VERIFIER_REPORT_H
#define VERIFIER_REPORT_H

#include <stdarg.h>
#include <stdio.h>

#include "core/fields.h"
#include "core/hash.h"
#include "core/signature.h"

/* Exit codes, part of the interface. */
typedef enum Verdict
{
	VERDICT_HOLDS = 0,
	VERDICT_FAILS = 1,
	VERDICT_USAGE = 2,
	VERDICT_UNREADABLE = 3
} Verdict;

/* Why something is not VERDICT_HOLDS. */
typedef struct Fault
{
	Verdict		verdict;
	uint64_t	line;			/* of a bundle, 0: none */
	char		text[1024];		/* nothing in it that a terminal would not show */
} Fault;

/* Sets the fault and returns its verdict. Arguments that come from a file: show() them. */
extern Verdict fault_set(Fault *f, Verdict verdict, const char *format,...) __attribute__((format(printf, 3, 4)));

/* Room for what show() makes of n bytes, and then some. */
#define SHOW_MAX 700

/*
 * Text for people, in out: as it is if it is plain, else in quotes with
 * escapes; cut, with dots, where it does not fit. Returns out.
 */
extern const char *show(const void *data, size_t len, char out[SHOW_MAX]);

/* The same to stdout, of any length. */
extern void put_shown(const void *data, size_t len);

/* A name within a sentence: in quotes if it is not a word. */
extern void put_name(const void *data, size_t len);

/* "2026-01-02 03:04:05.678901 UTC"; JSON: "2026-01-02T03:04:05.678901Z" */
#define TIME_MAX 64
extern const char *show_time(int64_t microseconds, bool json, char out[TIME_MAX]);

/* 1234567 as "1,234,567" */
extern const char *show_number(uint64_t n, char out[32]);

/* "1 entry", "1,234 entries" */
#define COUNT_MAX 64
extern const char *show_count(uint64_t n, const char *one, const char *many, char out[COUNT_MAX]);
extern const char *show_hash(const pv_hash *hash, char out[2 * PV_HASH_LEN + 1]);

/* A key as "<name>+<key ID>". */
extern const char *show_key(const pv_vkey *key, char out[SHOW_MAX]);

/* --- JSON, to stdout ---------------------------------------------------- */

/* A name NULL: an element of an array. */
extern void json_begin(const char *name, char bracket);
extern void json_end(char bracket);
extern void json_text(const char *name, const void *data, size_t len);
extern void json_string(const char *name, const char *s);
extern void json_number(const char *name, uint64_t n);
extern void json_bool(const char *name, bool b);
extern void json_null(const char *name);
extern void json_hash(const char *name, const pv_hash *hash);
extern void json_time(const char *name, int64_t microseconds);

/* A name that comes from a file. */
extern void json_begin_named(const void *name, size_t len, char bracket);

/* Ends the line of an outermost object. */
extern void json_newline(void);

/* --- progress ----------------------------------------------------------- */

/* Says on stderr, if that is a terminal, how far it has come. total 0: unknown. */
extern void progress(const char *what, uint64_t done, uint64_t total);
extern void progress_clear(void);

#endif							/* VERIFIER_REPORT_H */
