/*
 * fault_shim.c: a full disk and a clock that was set, for tests of a server that
 * is not root's. Loaded with LD_PRELOAD.
 *
 * PROVENANCE_SHIM names a file of 8 + 256 bytes that the test writes and every
 * process maps: an int64, the seconds by which the wall clock is off, and a
 * string, the path below which every write fails for want of space ("": none).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control
{
	int64_t		shift;
	char		full[256];
};

static const struct control *
control(void)
{
	static const struct control none;
	static const struct control *mapped = NULL;
	const char *path;
	void	   *p = MAP_FAILED;
	int			fd;

	if (mapped != NULL)
		return mapped;
	path = getenv("PROVENANCE_SHIM");
	if (path != NULL && (fd = open(path, O_RDONLY)) >= 0)
	{
		p = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	mapped = p == MAP_FAILED ? &none : p;
	return mapped;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	static int	(*real) (clockid_t, struct timespec *) = NULL;
	int			rc;

	if (real == NULL)
		real = (int (*) (clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, ts);
	if (id == CLOCK_REALTIME)
		ts->tv_sec += control()->shift;
	return rc;
}

int
gettimeofday(struct timeval *tv, void *tz)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t != NULL)
		*t = ts.tv_sec;
	return ts.tv_sec;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	static ssize_t (*real) (int, const void *, size_t) = NULL;
	const char *full = control()->full;

	if (real == NULL)
		real = (ssize_t (*) (int, const void *, size_t)) dlsym(RTLD_NEXT, "write");
	if (full[0] != '\0')
	{
		char		name[64];
		char		path[1024];
		ssize_t		n;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		n = readlink(name, path, sizeof(path) - 1);
		if (n > 0 && (size_t) n >= strlen(full) && memcmp(path, full, strlen(full)) == 0)
		{
			/* as a disk does: what fits is written */
			if (len > 20)
				return real(fd, data, 20);
			errno = ENOSPC;
			return -1;
		}
	}
	return real(fd, data, len);
}
