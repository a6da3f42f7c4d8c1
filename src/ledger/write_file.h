/*
 * write_file.h: the last steps of writing a file of the server's own.
 *
 * How a file is opened, and what may be there already, differs from file to
 * file; that a short write, a failed sync and a failed close are errors does
 * not. The signing key is not written this way: nothing may throw while it is
 * in memory.
 */
#ifndef PROV_WRITE_FILE_H
#define PROV_WRITE_FILE_H

#include "postgres.h"

/*
 * Writes all of the data to a transient file, syncs it if asked to
 * (durable_rename() does so itself), and closes it. ERROR if any of that fails.
 */
extern void prov_write_and_close(int fd, const char *path, const void *data, Size len, bool sync);

#endif							/* PROV_WRITE_FILE_H */
