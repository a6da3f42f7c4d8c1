/*
 * tile_files.c: the files of a log: reading one, and looking for those that do
 * not belong there.
 *
 * Partial tiles of older sizes may stay; a client that is behind reads them.
 * Each must be the beginning of the tile that was verified.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "verifier/tiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 12			/* tile, level, and groups of three digits for 2^63 */

Verdict
tile_read(const char *dir, const char *name, size_t len, uint8_t *out, Fault *f)
{
	char		path[TILE_PATH_LIMIT];
	size_t		got = 0;
	ssize_t		n = 1;
	int			fd;
	uint8_t		more;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int) sizeof(path))
		return fault_set(f, VERDICT_UNREADABLE, "%s: %s", name, strerror(ENAMETOOLONG));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fault_set(f, VERDICT_UNREADABLE, "%s %s%s", name, errno == ENOENT ? "is missing" : "cannot be read: ",
						 errno == ENOENT ? "" : strerror(errno));
	while (got < len && n > 0)
	{
		n = read(fd, out + got, len - got);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			got += (size_t) n;
	}
	if (n < 0)
		fault_set(f, VERDICT_UNREADABLE, "%s cannot be read: %s", name, strerror(errno));
	else if (got < len)
		fault_set(f, VERDICT_FAILS, "%s has %zu bytes instead of %zu", name, got, len);
	else if (read(fd, &more, 1) > 0)
		fault_set(f, VERDICT_FAILS, "%s has more than %zu bytes", name, len);
	close(fd);
	return f->verdict;
}

/* Level, number and width of a tile's name, if that is what it is. */
static bool
parse_name(const char *name, int *level, uint64_t *index, unsigned *width)
{
	const char *p = name + strlen("tile/");
	char		again[PV_TILE_PATH_MAX];

	if (strncmp(p, "entries/", 8) == 0)
	{
		*level = TILE_ENTRIES;
		p += 8;
	}
	else if (p[0] >= '0' && p[0] <= '0' + PV_TILE_MAX_LEVEL && p[1] == '/')
	{
		*level = p[0] - '0';
		p += 2;
	}
	else
		return false;
	*index = 0;
	*width = PV_TILE_WIDTH;
	for (; *p != '\0'; p++)
	{
		if (strncmp(p, ".p/", 3) == 0)
		{
			*width = 0;
			for (p += 3; *p >= '0' && *p <= '9' && *width < PV_TILE_WIDTH; p++)
				*width = *width * 10 + (unsigned) (*p - '0');
			if (*width >= PV_TILE_WIDTH)
				return false;
			break;
		}
		if (*p == 'x' || *p == '/')
			continue;
		if (*p < '0' || *p > '9' || *index > PV_MAX_TREE / 10)
			return false;
		*index = *index * 10 + (uint64_t) (*p - '0');
	}
	/* one name for one tile */
	return pv_tile_path(*level, *index, *width, again) == PV_OK && strcmp(again, name) == 0;
}

/* A file below tile/. */
static Verdict
check_file(const char *dir, const char *name, uint64_t size, Fault *f)
{
	static uint8_t newer[TILE_FILE_MAX];
	static uint8_t older[TILE_FILE_MAX];
	char		path[PV_TILE_PATH_MAX];
	char		text[SHOW_MAX];
	unsigned	base;
	size_t		stride;
	uint64_t	full;
	uint64_t	index;
	unsigned	width;
	unsigned	newest;
	int			level;

	if (!parse_name(name, &level, &index, &width))
		return fault_set(f, VERDICT_FAILS, "%s is no file of a log", show(name, strlen(name), text));
	base = level < 0 ? 0 : (unsigned) level;
	stride = level < 0 ? BUNDLE_STRIDE : PV_HASH_LEN;
	full = pv_tile_full(size, base);
	newest = index < full ? PV_TILE_WIDTH : index == full ? pv_tile_partial(size, base) : 0;
	if (width > newest)
		return fault_set(f, VERDICT_FAILS, "%s is no file of a log of %llu entries", name, (unsigned long long) size);
	if (width == newest)
		return VERDICT_HOLDS;	/* verified already */
	if (pv_tile_path(level, index, newest, path) != PV_OK)
		return fault_set(f, VERDICT_FAILS, "%s is no file of a log", name);
	if (tile_read(dir, path, newest * stride, newer, f) != VERDICT_HOLDS ||
		tile_read(dir, name, width * stride, older, f) != VERDICT_HOLDS)
		return f->verdict;
	if (memcmp(newer, older, width * stride) != 0)
		return fault_set(f, VERDICT_FAILS, "%s is not how %s begins", name, path);
	return VERDICT_HOLDS;
}

static Verdict
check_folder(const char *dir, const char *folder, int depth, uint64_t size, Fault *f)
{
	char		path[TILE_PATH_LIMIT];
	char		text[SHOW_MAX];
	struct dirent *entry;
	DIR		   *d;

	if (depth > MAX_DEPTH)
		return fault_set(f, VERDICT_FAILS, "%s is no folder of a log", show(folder, strlen(folder), text));
	if (snprintf(path, sizeof(path), "%s/%s", dir, folder) >= (int) sizeof(path) || (d = opendir(path)) == NULL)
	{
		if (errno == ENOENT && depth == 1)
			return VERDICT_HOLDS;	/* an empty log */
		return fault_set(f, VERDICT_UNREADABLE, "%s: %s", show(folder, strlen(folder), text), strerror(errno));
	}
	while (f->verdict == VERDICT_HOLDS && (entry = readdir(d)) != NULL)
	{
		char		name[PV_TILE_PATH_MAX + 256 + 2];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		/* a folder's name is one of ours, or a little longer */
		if (snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name) >= (int) sizeof(name) ||
			snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int) sizeof(path))
			fault_set(f, VERDICT_FAILS, "a file's name below %s is too long", show(folder, strlen(folder), text));
		else if (stat(path, &st) != 0)
			fault_set(f, VERDICT_UNREADABLE, "%s: %s", show(name, strlen(name), text), strerror(errno));
		else if (S_ISDIR(st.st_mode))
			check_folder(dir, name, depth + 1, size, f);
		else
			check_file(dir, name, size, f);
	}
	closedir(d);
	return f->verdict;
}

Verdict
tile_check_others(const char *dir, uint64_t size, Fault *f)
{
	return check_folder(dir, "tile", 1, size, f);
}
