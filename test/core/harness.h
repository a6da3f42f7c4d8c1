/*
 * harness.h: the smallest harness that counts.
 *
 * A test program is a main() that calls CASE("name") before each case and
 * CHECK(condition) in it, and ends with `return harness_end();`. Every case is
 * printed as a TAP line, so that `prove` reads and counts it; a case without a
 * CHECK counts as failed.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *harness_name;
static int	harness_cases,
			harness_failed_cases;
static long harness_checks,
			harness_bad;

static void
harness_close(void)
{
	if (harness_name == NULL)
		return;
	harness_cases++;
	if (harness_bad > 0 || harness_checks == 0)
	{
		harness_failed_cases++;
		printf("not ok %d - %s (%ld of %ld checks failed)\n", harness_cases, harness_name, harness_bad, harness_checks);
	}
	else
		printf("ok %d - %s (%ld checks)\n", harness_cases, harness_name, harness_checks);
	fflush(stdout);
	harness_name = NULL;
}

static void
harness_case(const char *name)
{
	harness_close();
	harness_name = name;
	harness_checks = harness_bad = 0;
}

static int
harness_end(void)
{
	harness_close();
	printf("1..%d\n", harness_cases);
	return harness_failed_cases > 0 || harness_cases == 0;
}

#define CASE(name) harness_case(name)
#define CHECK(cond) \
	do { \
		harness_checks++; \
		if (!(cond)) \
		{ \
			harness_bad++; \
			if (harness_bad <= 20) \
				printf("# %s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
		} \
	} while (0)

#endif							/* HARNESS_H */
