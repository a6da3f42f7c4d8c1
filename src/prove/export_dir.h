/*
 * export_dir.h: writing a tree of public files (export_dir.c says how).
 *
 *	export_dir_init(); PG_TRY(); { export_dir_open(); … } PG_FINALLY(); { export_dir_close(); }
 *
 * Names are relative to the top, with '/' between folders, which are made as
 * needed. Everything else is an ERROR that names the file.
 */
#ifndef PROV_EXPORT_DIR_H
#define PROV_EXPORT_DIR_H

#include "postgres.h"

#define EXPORT_PATH_MAX 128

typedef struct ExportDir
{
	const char *path;			/* for messages */
	int			top;			/* descriptors; -1: not open */
	int			folder;			/* the current folder; -1: the top */
	int			next;
	int			file;			/* being written, under its temporary name */
	bool		changed;		/* something in the current folder, not synced yet */
	char		current[EXPORT_PATH_MAX];	/* name of the current folder */
} ExportDir;

extern void export_dir_init(ExportDir *d, const char *path);

/* Opens the folder, which must exist, and locks it: one export at a time. */
extern void export_dir_open(ExportDir *d);
extern void export_dir_close(ExportDir *d);

/* Size of a regular file, -1 if there is none. */
extern int64 export_dir_size(ExportDir *d, const char *name);

/* Up to cap bytes of a file at the top. */
extern Size export_dir_get(ExportDir *d, const char *name, char *data, Size cap, bool *exists);

/* Writes or replaces a file. */
extern void export_dir_put(ExportDir *d, const char *name, const void *data, Size len);

/* What was put so far survives a crash. */
extern void export_dir_sync(ExportDir *d);

#endif							/* PROV_EXPORT_DIR_H */
