/*
 * write_file.c: writing out, syncing and closing a file.
 *
 * A write that stops short without saying why is taken for a full disk. The
 * file is a transient one of fd.c: after an error the end of the transaction
 * closes it.
 */
#include "postgres.h"

#include <unistd.h>

#include "storage/fd.h"

#include "ledger/write_file.h"

void
prov_write_and_close(int fd, const char *path, const void *data, Size len, bool sync)
{
	errno = 0;
	if (write(fd, data, len) != (ssize_t) len || (sync && pg_fsync(fd) != 0))
	{
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", path)));
	}
	if (CloseTransientFile(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not close file \"%s\": %m", path)));
}
