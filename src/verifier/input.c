/*
 * input.c: bytes from a file, from standard input, or from memory, in pieces.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "verifier/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
reset(Input *in, const char *name)
{
	in->name = name;
	in->fd = -1;
	in->close = false;
	in->error = 0;
	in->size = 0;
	in->consumed = 0;
	in->memory = NULL;
	in->memory_len = 0;
	in->chunk = INPUT_BUFFER;
	in->pos = 0;
	in->len = 0;
}

bool
input_open(Input *in, const char *path)
{
	struct stat st;

	reset(in, path);
	if (strcmp(path, "-") == 0)
	{
		in->name = "standard input";
		in->fd = STDIN_FILENO;
	}
	else
	{
		in->fd = open(path, O_RDONLY | O_CLOEXEC);
		if (in->fd < 0)
		{
			in->error = errno;
			return false;
		}
		in->close = true;
	}
	if (fstat(in->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		in->size = (uint64_t) st.st_size;
	return true;
}

void
input_memory(Input *in, const void *data, size_t len, size_t chunk)
{
	reset(in, "memory");
	in->memory = data;
	in->memory_len = len;
	in->chunk = chunk > 0 && chunk < INPUT_BUFFER ? chunk : INPUT_BUFFER;
}

void
input_close(Input *in)
{
	if (in->close)
		close(in->fd);
	in->close = false;
	in->fd = -1;
}

bool
input_rewind(Input *in)
{
	if (in->fd < 0 || lseek(in->fd, 0, SEEK_SET) != 0)
		return false;
	in->consumed = 0;
	in->pos = in->len = 0;
	in->error = 0;
	return true;
}

/* One more piece behind what is in the buffer, which has room. */
static bool
read_more(Input *in)
{
	size_t		room = sizeof(in->buf) - in->len;
	ssize_t		n;

	if (room > in->chunk)
		room = in->chunk;
	if (in->error != 0)
		return false;
	if (in->fd < 0)
	{
		n = (ssize_t) (in->memory_len < room ? in->memory_len : room);
		if (n > 0)
			memcpy(in->buf + in->len, in->memory, (size_t) n);
		in->memory = n > 0 ? in->memory + n : in->memory;
		in->memory_len -= (size_t) n;
	}
	else
	{
		do
			n = read(in->fd, in->buf + in->len, room);
		while (n < 0 && errno == EINTR);
		if (n < 0)
		{
			in->error = errno;
			return false;
		}
	}
	in->len += (size_t) n;
	return n > 0;
}

size_t
input_peek(Input *in, const uint8_t **data)
{
	if (in->pos == in->len)
	{
		in->pos = in->len = 0;
		read_more(in);
	}
	*data = in->buf + in->pos;
	return in->len - in->pos;
}

size_t
input_peek_min(Input *in, size_t n, const uint8_t **data)
{
	if (in->pos > 0 && in->len - in->pos < n)
	{
		memmove(in->buf, in->buf + in->pos, in->len - in->pos);
		in->len -= in->pos;
		in->pos = 0;
	}
	while (in->len - in->pos < n && read_more(in))
		;
	*data = in->buf + in->pos;
	return in->len - in->pos;
}

void
input_skip(Input *in, size_t n)
{
	in->pos += n;
	in->consumed += n;
}

int
input_get(Input *in)
{
	const uint8_t *p;

	if (input_peek(in, &p) == 0)
		return -1;
	input_skip(in, 1);
	return *p;
}

bool
input_failed(const Input *in)
{
	return in->error != 0;
}

uint8_t *
input_file(const char *path, const char *head, size_t head_max, size_t max, size_t *len, int *error)
{
	static Input in;
	const uint8_t *p;
	uint8_t    *data = NULL;
	size_t		cap = 0;
	size_t		n = strlen(head);

	*len = 0;
	*error = 0;
	if (!input_open(&in, path))
	{
		*error = in.error;
		return NULL;
	}
	if (n > 0 && input_peek_min(&in, n, &p) >= n && memcmp(p, head, n) == 0)
		max = head_max;
	while ((n = input_peek(&in, &p)) > 0)
	{
		if (n > max - *len)
			goto fail;
		if (n > cap - *len)
		{
			uint8_t    *more;

			cap = *len + n > cap * 2 ? *len + n : cap * 2;
			more = realloc(data, cap);
			if (more == NULL)
			{
				*error = ENOMEM;
				goto fail;
			}
			data = more;
		}
		memcpy(data + *len, p, n);
		*len += n;
		input_skip(&in, n);
	}
	*error = in.error;
	if (*error != 0)
		goto fail;
	input_close(&in);
	if (data == NULL && (data = malloc(1)) == NULL)
		*error = ENOMEM;
	return data;

fail:
	input_close(&in);
	free(data);
	return NULL;
}
