/*
 * export_dir.c: writing a tree of public files: atomically, durably, and never
 * through a symbolic link below the folder that was named.
 *
 * Every folder is opened relative to the one above it, without following
 * links, so whoever may write into the tree cannot lead the server out of it.
 * A file is written to a temporary name at the top, synced, and renamed into
 * its place; a folder in which something has changed is synced before the next
 * one is entered, and by export_dir_sync(). So what export_dir_put() has put
 * before a sync survives a crash after it. With fsync = off nothing is synced.
 *
 * The server's umask keeps others out; these files are public, so modes are
 * set: 0644 for files, 0755 for the folders made here.
 *
 * The descriptors are not fd.c's, which knows no openat(): the caller closes
 * them with export_dir_close() on every way out.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "prove/export_dir.h"

#define TEMP_NAME ".provenance.tmp"
#define FILE_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH)
#define DIR_MODE (S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH)
#define DESCRIPTORS 4			/* top, folder, the folder being entered, file */

static void
fail(const ExportDir *d, const char *what, const char *name)
{
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not %s \"%s/%s\": %m", what, d->path, name)));
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Some systems do not sync folders; see fsync_fname_ext(). */
static void
sync_folder(const ExportDir *d, int fd)
{
	if (pg_fsync(fd) != 0 && errno != EBADF && errno != EINVAL)
		fail(d, "sync folder", "");
}

void
export_dir_init(ExportDir *d, const char *path)
{
	int			i;

	memset(d, 0, sizeof(*d));
	d->path = path;
	d->top = d->folder = d->next = d->file = -1;
	for (i = 0; i < DESCRIPTORS; i++)
		ReserveExternalFD();
}

void
export_dir_open(ExportDir *d)
{
	d->top = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->top < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open directory \"%s\": %m", d->path)));
	if (flock(d->top, LOCK_EX | LOCK_NB) != 0)
	{
		if (errno == EWOULDBLOCK)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("another export is writing to directory \"%s\"", d->path)));
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not lock directory \"%s\": %m", d->path)));
	}
}

void
export_dir_close(ExportDir *d)
{
	int			i;

	if (d->file >= 0)
		(void) unlinkat(d->top, TEMP_NAME, 0);
	close_fd(&d->file);
	close_fd(&d->next);
	close_fd(&d->folder);
	close_fd(&d->top);
	for (i = 0; i < DESCRIPTORS; i++)
		ReleaseExternalFD();
}

void
export_dir_sync(ExportDir *d)
{
	if (d->changed)
		sync_folder(d, d->folder >= 0 ? d->folder : d->top);
	d->changed = false;
}

/* One step down, from d->folder (or the top) into the folder of that name. */
static void
descend(ExportDir *d, const char *name, const char *path)
{
	int			above = d->folder >= 0 ? d->folder : d->top;
	int			flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

	d->next = openat(above, name, flags);
	if (d->next < 0 && errno == ENOENT)
	{
		if (mkdirat(above, name, DIR_MODE) != 0)
			fail(d, "create directory", path);
		sync_folder(d, above);
		d->next = openat(above, name, flags);
		if (d->next >= 0 && fchmod(d->next, DIR_MODE) != 0)
			fail(d, "set permissions of directory", path);
	}
	if (d->next < 0)
	{
		if (errno == ENOTDIR || errno == ELOOP)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s/%s\" is not a directory", d->path, path),
					 errdetail("Symbolic links below the export's directory are not followed.")));
		fail(d, "open directory", path);
	}
	close_fd(&d->folder);
	d->folder = d->next;
	d->next = -1;
}

/* Makes the folder of a file the current one; returns the file's own name. */
static const char *
enter(ExportDir *d, const char *name)
{
	const char *slash = strrchr(name, '/');
	Size		len = slash ? slash - name : 0;
	char		part[EXPORT_PATH_MAX];
	const char *p = name;

	if (len >= EXPORT_PATH_MAX)
		elog(ERROR, "path of an exported file is too long");
	if (strlen(d->current) != len || strncmp(d->current, name, len) != 0)
	{
		export_dir_sync(d);
		close_fd(&d->folder);
		d->current[0] = '\0';
		while (p < name + len)
		{
			const char *end = strchr(p, '/');

			memcpy(part, p, end - p);
			part[end - p] = '\0';
			descend(d, part, pnstrdup(name, end - name));
			p = end + 1;
		}
		memcpy(d->current, name, len);
		d->current[len] = '\0';
	}
	return slash ? slash + 1 : name;
}

int64
export_dir_size(ExportDir *d, const char *name)
{
	const char *base = enter(d, name);
	struct stat st;

	if (fstatat(d->folder >= 0 ? d->folder : d->top, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
	{
		if (errno == ENOENT)
			return -1;
		fail(d, "stat file", name);
	}
	return S_ISREG(st.st_mode) ? (int64) st.st_size : -1;
}

Size
export_dir_get(ExportDir *d, const char *name, char *data, Size cap, bool *exists)
{
	struct stat st;
	Size		len = 0;
	ssize_t		n;

	*exists = false;
	Assert(strchr(name, '/') == NULL);
	d->next = openat(d->top, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (d->next < 0)
	{
		if (errno == ENOENT)
			return 0;
		fail(d, "open file", name);
	}
	if (fstat(d->next, &st) != 0)
		fail(d, "stat file", name);
	if (!S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s/%s\" is not a regular file", d->path, name)));
	while (len < cap && (n = read(d->next, data + len, cap - len)) != 0)
	{
		if (n < 0)
			fail(d, "read file", name);
		len += n;
	}
	close_fd(&d->next);
	*exists = true;
	return len;
}

void
export_dir_put(ExportDir *d, const char *name, const void *data, Size len)
{
	const char *base = enter(d, name);
	Size		done = 0;

	if (unlinkat(d->top, TEMP_NAME, 0) != 0 && errno != ENOENT)
		fail(d, "remove file", TEMP_NAME);
	d->file = openat(d->top, TEMP_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	if (d->file < 0)
		fail(d, "create file", TEMP_NAME);
	while (done < len)
	{
		ssize_t		n;

		errno = 0;
		n = write(d->file, (const char *) data + done, len - done);
		if (n <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			if (errno != EINTR)
				fail(d, "write file", name);
			continue;
		}
		done += n;
	}
	if (fchmod(d->file, FILE_MODE) != 0)
		fail(d, "set permissions of file", name);
	if (pg_fsync(d->file) != 0)
		fail(d, "sync file", name);
	if (renameat(d->top, TEMP_NAME, d->folder >= 0 ? d->folder : d->top, base) != 0)
		fail(d, "rename a temporary file to", name);
	close_fd(&d->file);
	d->changed = true;
}
