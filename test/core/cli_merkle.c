/*
 * cli_merkle.c: merkle.h and tile.h for scripts: one question a line on stdin,
 * one answer a line on stdout. Hashes are hex, "-" is the empty string.
 *
 *   inclusion <index> <size> <leaf hash> <root> <path hash> ...
 *   consistency <first> <second> <root> <root> <path hash> ...
 *       ok, or "no <reason>"; what is not 32 bytes is "no hash length"
 *   path <level> <index> <width>    the tile's path, or "no <reason>"
 *   tiles <size>                    "<level>:<full>+<partial>" of each level
 *                                   that has any
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merkle.h"
#include "tile.h"

#define MAX_WORDS 200

static void
answer(pv_status status)
{
	if (status == PV_OK)
		puts("ok");
	else
		printf("no %s\n", pv_status_text(status));
}

static bool
number(const char *word, uint64_t *out)
{
	return word != NULL && pv_parse_decimal(word, strlen(word), UINT64_MAX, out) == PV_OK;
}

static void
ask(pv_hasher *h, char **word, int n)
{
	bool		inclusion = strcmp(word[0], "inclusion") == 0;
	uint64_t	a;
	uint64_t	b;

	if ((inclusion || strcmp(word[0], "consistency") == 0) && n >= 5 &&
		number(word[1], &a) && number(word[2], &b))
	{
		pv_hash		hash[MAX_WORDS];
		unsigned	count = (unsigned) n - 3;
		unsigned	i;

		for (i = 0; i < count; i++)
			if (pv_hex_decode(word[i + 3], strlen(word[i + 3]), hash[i].b, PV_HASH_LEN) != PV_OK)
			{
				puts("no hash length");
				return;
			}
		if (inclusion)
			answer(pv_verify_inclusion(h, &hash[0], a, b, &hash[2], count - 2, &hash[1]));
		else
			answer(pv_verify_consistency(h, a, &hash[0], b, &hash[1], &hash[2], count - 2));
	}
	else if (strcmp(word[0], "path") == 0 && n == 4 && number(word[2], &a) && number(word[3], &b) &&
			 b <= 1000)
	{
		char		path[PV_TILE_PATH_MAX];
		pv_status	status = pv_tile_path(atoi(word[1]), a, (unsigned) b, path);

		if (status == PV_OK)
			puts(path);
		else
			answer(status);
	}
	else if (strcmp(word[0], "tiles") == 0 && n == 2 && number(word[1], &a))
	{
		unsigned	level;

		for (level = 0; level <= PV_TILE_MAX_LEVEL; level++)
		{
			uint64_t	full = pv_tile_full(a, level);
			unsigned	partial = pv_tile_partial(a, level);

			if (full > 0 || partial > 0)
				printf("%s%u:%" PRIu64 "+%u", level > 0 ? " " : "", level, full, partial);
		}
		puts("");
	}
	else
		puts("what");
}

int
main(void)
{
	static char line[MAX_WORDS * 70];
	pv_hasher	h;

	if (pv_hasher_init(&h) != PV_OK)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin) != NULL)
	{
		char	   *word[MAX_WORDS];
		int			n = 0;
		char	   *p;

		for (p = strtok(line, " \n"); p != NULL && n < MAX_WORDS; p = strtok(NULL, " \n"))
			word[n++] = p;
		if (n > 0)
			ask(&h, word, n);
	}
	pv_hasher_free(&h);
	return 0;
}
