/*
 * input.h: bytes from a file, from standard input, or from memory, in pieces.
 *
 * One buffer of fixed size; whoever needs more keeps it himself and decides
 * how much that may become. Every reading function leaves an error of the
 * operating system in error, and looks like the end of the input then: callers
 * that see the end ask input_failed().
 */
#ifndef VERIFIER_INPUT_H
#define VERIFIER_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_BUFFER 65536

typedef struct Input
{
	const char *name;			/* for messages */
	int			fd;				/* -1: none, the rest of memory is all there is */
	bool		close;
	int			error;			/* an errno, 0: none */
	uint64_t	size;			/* of a regular file, else 0 */
	uint64_t	consumed;
	const uint8_t *memory;
	size_t		memory_len;
	size_t		chunk;			/* bytes to read at once */
	size_t		pos;
	size_t		len;
	uint8_t		buf[INPUT_BUFFER];
} Input;

/* "-" is standard input. False: see error. */
extern bool input_open(Input *in, const char *path);

/* Hands out memory in pieces of chunk bytes. */
extern void input_memory(Input *in, const void *data, size_t len, size_t chunk);
extern void input_close(Input *in);

/* Back to the beginning; false if that cannot be done. */
extern bool input_rewind(Input *in);

/* What is there, after reading if nothing is; 0 at the end. */
extern size_t input_peek(Input *in, const uint8_t **data);

/* The same, but at least n bytes (up to 4096) unless the input ends. */
extern size_t input_peek_min(Input *in, size_t n, const uint8_t **data);
extern void input_skip(Input *in, size_t n);

/* A byte, or -1 at the end. */
extern int	input_get(Input *in);
extern bool input_failed(const Input *in);

/*
 * A whole file of at most max bytes, or head_max if it begins with head (of up
 * to 4096 bytes; "": none), allocated. No more is read than that. NULL: *error is
 * an errno, or 0 if the file is longer.
 */
extern uint8_t *input_file(const char *path, const char *head, size_t head_max, size_t max, size_t *len, int *error);

#endif							/* VERIFIER_INPUT_H */
