/*
 * fuzz_main.h: runs a fuzz target without a fuzzing engine.
 *
 * A target includes this file and defines LLVMFuzzerTestOneInput(). Built as
 * it is (any compiler, with the sanitizers), it gets a main():
 *
 *   fuzz_<parser> <corpus folder> [<runs> [<seed>]]
 *
 * which feeds every file of the folder and then <runs> mutations of them: bit
 * flips, bytes, cuts, insertions, copies within and between inputs, and words
 * of the target's dictionary. The same seed gives the same inputs everywhere.
 * FUZZ_RUNS and FUZZ_SEED in the environment stand in for the arguments.
 *
 * A target calls fuzz_seen() with a small number for what an input reached
 * (the parser's status, for instance); an input that reached something new is
 * mutated further. FUZZ_ASSERT() is a property that must hold. The input that
 * breaks one, or makes a sanitizer speak, is written to FUZZ_CRASH (by default
 * /dev/null) and its number printed.
 *
 * With -DPV_LIBFUZZER there is no main(), and clang's engine does all this by
 * coverage (make -C test/core libfuzzer).
 */
#ifndef FUZZ_MAIN_H
#define FUZZ_MAIN_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L	/* strdup; this file is to be included first */
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The target's own words, ended by NULL; may hold no NUL bytes. */
extern const char *const fuzz_words[];

#define FUZZ_ASSERT(cond) \
	do { \
		if (!(cond)) \
		{ \
			fprintf(stderr, "%s:%d: property broken: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

#ifdef PV_LIBFUZZER

static inline void
fuzz_seen(unsigned what)
{
	(void) what;
}

#else

#include <dirent.h>
#include <signal.h>

#define FUZZ_MAX_INPUT 16384
#define FUZZ_POOL 1024
#define FUZZ_FEATURES 4096

static struct
{
	uint8_t    *data;
	size_t		len;
}			fuzz_pool[FUZZ_POOL];
static unsigned fuzz_pool_n;
static bool fuzz_reached[FUZZ_FEATURES];
static bool fuzz_new;			/* the running input reached something new */
static uint64_t fuzz_state;
static uint8_t *fuzz_input;		/* the running input, */
static size_t fuzz_input_len;	/* exactly as long as allocated */
static unsigned long fuzz_number;

/* Provided by the sanitizers; absent in a build without them. */
extern void __sanitizer_set_death_callback(void (*callback) (void)) __attribute__((weak));

static inline void
fuzz_seen(unsigned what)
{
	if (!fuzz_reached[what % FUZZ_FEATURES])
		fuzz_reached[what % FUZZ_FEATURES] = fuzz_new = true;
}

static void
fuzz_report(void)
{
	const char *path = getenv("FUZZ_CRASH");
	FILE	   *f = fopen(path != NULL ? path : "/dev/null", "wb");

	fprintf(stderr, "input %lu, %zu bytes\n", fuzz_number, fuzz_input_len);
	if (f != NULL)
	{
		fwrite(fuzz_input, 1, fuzz_input_len, f);
		fclose(f);
	}
}

static void
fuzz_on_abort(int sig)
{
	fuzz_report();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* xorshift64* */
static uint64_t
fuzz_random(uint64_t below)
{
	fuzz_state ^= fuzz_state >> 12;
	fuzz_state ^= fuzz_state << 25;
	fuzz_state ^= fuzz_state >> 27;
	return below == 0 ? 0 : (fuzz_state * 0x2545F4914F6CDD1DULL >> 11) % below;
}

/* Runs one input from memory of its very size, so that an over-read shows. */
static void
fuzz_run(const uint8_t *data, size_t len, bool keep)
{
	fuzz_input = malloc(len);
	if (fuzz_input == NULL && len > 0)
		exit(2);
	if (len > 0)
		memcpy(fuzz_input, data, len);
	fuzz_input_len = len;
	fuzz_new = false;
	LLVMFuzzerTestOneInput(fuzz_input, len);
	fuzz_number++;
	if ((keep || fuzz_new) && fuzz_pool_n < FUZZ_POOL)
	{
		fuzz_pool[fuzz_pool_n].data = fuzz_input;
		fuzz_pool[fuzz_pool_n++].len = len;
	}
	else
		free(fuzz_input);
	fuzz_input = NULL;
	fuzz_input_len = 0;
}

/* Replaces cut bytes at `at` by n others, as far as there is room. */
static size_t
fuzz_replace(uint8_t *buf, size_t len, size_t at, size_t cut, const void *with, size_t n)
{
	if (len - cut + n > FUZZ_MAX_INPUT)
		return len;
	memmove(buf + at + n, buf + at + cut, len - at - cut);
	memcpy(buf + at, with, n);
	return len - cut + n;
}

static size_t
fuzz_mutate(uint8_t *buf, size_t len, unsigned nwords)
{
	size_t		at = fuzz_random(len + 1);
	size_t		n = fuzz_random(fuzz_random(2) == 0 ? 8 : len - at + 1);
	uint8_t		piece[FUZZ_MAX_INPUT];
	uint8_t		byte;
	unsigned	other;

	if (n > len - at)
		n = len - at;
	switch (fuzz_random(10))
	{
		case 0:					/* a bit */
		case 1:
			if (at < len)
				buf[at] ^= (uint8_t) (1 << fuzz_random(8));
			return len;
		case 2:					/* a byte, often a telling one */
			if (at < len)
				buf[at] = fuzz_random(2) == 0 ? (uint8_t) fuzz_random(256) :
					(uint8_t) "\x00\x01\x7F\x80\xFE\xFF\n\r =+/0A"[fuzz_random(14)];
			return len;
		case 3:					/* add to a byte */
			if (at < len)
				buf[at] = (uint8_t) (buf[at] + fuzz_random(5) - 2);
			return len;
		case 4:					/* truncate */
			return at;
		case 5:					/* delete */
			return fuzz_replace(buf, len, at, n, piece, 0);
		case 6:					/* insert a byte */
			byte = (uint8_t) fuzz_random(256);
			return fuzz_replace(buf, len, at, 0, &byte, 1);
		case 7:					/* a word in place of something or nothing */
			if (nwords == 0)
				return len;
			other = (unsigned) fuzz_random(nwords);
			return fuzz_replace(buf, len, at, fuzz_random(2) == 0 ? 0 : n, fuzz_words[other], strlen(fuzz_words[other]));
		case 8:					/* repeat or move a piece of the input */
			memcpy(piece, buf + at, n);
			return fuzz_replace(buf, len, fuzz_random(len + 1), 0, piece, n);
		default:				/* go on as another input does */
			other = (unsigned) fuzz_random(fuzz_pool_n);
			n = fuzz_random(fuzz_pool[other].len + 1);
			if (fuzz_pool[other].len > FUZZ_MAX_INPUT)
				return len;
			return fuzz_replace(buf, len, at, len - at, fuzz_pool[other].data + n, fuzz_pool[other].len - n);
	}
}

static int
fuzz_by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Feeds the files in the order of their names. */
static void
fuzz_corpus(const char *folder)
{
	DIR		   *dir = opendir(folder);
	struct dirent *entry;
	char	   *names[FUZZ_POOL / 2];
	unsigned	n = 0;

	if (dir == NULL)
	{
		fprintf(stderr, "cannot read %s\n", folder);
		exit(2);
	}
	while ((entry = readdir(dir)) != NULL)
	{
		if (entry->d_name[0] != '.' && n < FUZZ_POOL / 2)
			names[n++] = strdup(entry->d_name);
	}
	closedir(dir);
	qsort(names, n, sizeof(names[0]), fuzz_by_name);
	for (unsigned i = 0; i < n; i++)
	{
		static uint8_t data[1 << 20];
		char		path[4096];
		FILE	   *f;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		f = fopen(path, "rb");
		if (f == NULL)
			exit(2);
		fuzz_run(data, fread(data, 1, sizeof(data), f), true);
		fclose(f);
		free(names[i]);
	}
}

int
main(int argc, char **argv)
{
	const char *runs = argc > 2 ? argv[2] : getenv("FUZZ_RUNS");
	const char *seed = argc > 3 ? argv[3] : getenv("FUZZ_SEED");
	unsigned long n = runs != NULL ? strtoul(runs, NULL, 10) : 10000;
	unsigned	nwords = 0;
	unsigned	files;
	unsigned	reached = 0;
	uint8_t		buf[FUZZ_MAX_INPUT];

	if (argc < 2)
	{
		fprintf(stderr, "usage: %s <corpus folder> [<runs> [<seed>]]\n", argv[0]);
		return 2;
	}
	fuzz_state = 0x9E3779B97F4A7C15ULL ^ (seed != NULL ? strtoull(seed, NULL, 10) : 1);
	signal(SIGABRT, fuzz_on_abort);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(fuzz_report);
	while (fuzz_words[nwords] != NULL)
		nwords++;
	fuzz_corpus(argv[1]);
	files = fuzz_pool_n;
	fuzz_run(buf, 0, files == 0);
	for (unsigned long i = 0; i < n; i++)
	{
		unsigned	from = (unsigned) fuzz_random(fuzz_pool_n);
		size_t		len = fuzz_pool[from].len < sizeof(buf) ? fuzz_pool[from].len : sizeof(buf);

		if (len > 0)
			memcpy(buf, fuzz_pool[from].data, len);
		for (uint64_t k = fuzz_random(4); k < 4; k++)
			len = fuzz_mutate(buf, len, nwords);
		fuzz_run(buf, len, false);
	}
	for (unsigned i = 0; i < FUZZ_FEATURES; i++)
		reached += fuzz_reached[i];
	printf("%u files, %lu mutations, %u things reached\n", files, n, reached);
	for (unsigned i = 0; i < fuzz_pool_n; i++)
		free(fuzz_pool[i].data);
	return 0;
}

#endif							/* PV_LIBFUZZER */

#endif							/* FUZZ_MAIN_H */
