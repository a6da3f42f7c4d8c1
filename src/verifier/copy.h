/*
 * copy.h: the rows of a bundle out of what COPY TO wrote.
 *
 * The three columns line, kind, content, in the formats text, csv (with or
 * without HEADER) and binary, told apart by the first bytes. Only the default
 * delimiters, quotes and NULL strings are known, and only what COPY writes:
 * COPY FROM takes more. Line ends are LF or CR LF.
 *
 * Memory: one content, which grows as it is read, up to max bytes; what is
 * longer is refused when it passes max, in binary before the first byte.
 */
#ifndef VERIFIER_COPY_H
#define VERIFIER_COPY_H

#include "verifier/input.h"

#define COPY_MAX_KIND 32		/* bytes of a word; the longest known has 16 */
#define COPY_MAX_NUMBER 20

typedef enum CopyFormat
{
	COPY_UNKNOWN,
	COPY_TEXT,
	COPY_CSV,
	COPY_BINARY
} CopyFormat;

typedef enum CopyResult
{
	COPY_ROW,					/* there is one */
	COPY_END,					/* the input ended where it may */
	COPY_REFUSED,				/* not what COPY writes: reason */
	COPY_INCOMPLETE,			/* the input ended elsewhere: reason */
	COPY_FAILED					/* an error while reading, or no memory: reason */
} CopyResult;

typedef struct CopyField
{
	char	   *data;
	size_t		len;
	size_t		cap;
	size_t		max;
	bool		grows;
	bool		null;
} CopyField;

typedef struct CopyReader
{
	Input	   *in;
	CopyFormat	format;
	uint64_t	row;			/* rows handed out */
	const char *reason;			/* a constant */
	uint64_t	line;			/* the row's columns */
	CopyField	kind;
	CopyField	content;
	/* the reader's own */
	bool		started;
	bool		ended;
	CopyField	number;
	char		number_data[COPY_MAX_NUMBER];
	char		kind_data[COPY_MAX_KIND];
} CopyReader;

extern void copy_start(CopyReader *c, Input *in, size_t max);
extern void copy_free(CopyReader *c);
extern CopyResult copy_row(CopyReader *c);

/* "text", "csv", "binary" */
extern const char *copy_format_name(CopyFormat format);

#endif							/* VERIFIER_COPY_H */
