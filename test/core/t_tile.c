/*
 * t_tile.c: names of tiles and the tiles of a tree, against
 * ../vectors/tiles.txt; and that every tile of a tree has a name.
 */
#include <inttypes.h>

#include "tile.h"

#include "harness.h"

static void
test_vectors(void)
{
	static char title[300];
	FILE	   *f = fopen("../vectors/tiles.txt", "r");
	char		line[300];
	int			paths = 0;
	int			nones = 0;
	int			trees = 0;

	CASE("vector file ../vectors/tiles.txt is there");
	CHECK(f != NULL);
	if (f == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL)
	{
		char		want[200];
		char		path[PV_TILE_PATH_MAX];
		int			level;
		unsigned	width;
		uint64_t	index;
		int			used;

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		harness_close();
		snprintf(title, sizeof title, "%.250s", line);
		CASE(title);
		if (sscanf(line, "path %d %" SCNu64 " %u %199s", &level, &index, &width, want) == 4)
		{
			CHECK(pv_tile_path(level, index, width, path) == PV_OK);
			CHECK(strcmp(path, want) == 0);
			paths++;
		}
		else if (sscanf(line, "none %d %" SCNu64 " %u", &level, &index, &width) == 3)
		{
			CHECK(pv_tile_path(level, index, width, path) == PV_E_INDEX);
			nones++;
		}
		else if (sscanf(line, "tree %" SCNu64 "%n", &index, &used) == 1)
		{
			const char *p = line + used;
			uint64_t	full;
			unsigned	partial;
			unsigned	l = 0;

			while (sscanf(p, " %" SCNu64 "+%u%n", &full, &partial, &used) == 2)
			{
				CHECK(pv_tile_full(index, l) == full);
				CHECK(pv_tile_partial(index, l) == partial);
				p += used;
				l++;
			}
			CHECK(l > 0 && *p == '\0');
			for (; l < 70; l++)
			{
				CHECK(pv_tile_full(index, l) == 0);
				CHECK(pv_tile_partial(index, l) == 0);
			}
			trees++;
		}
		else
			CHECK(!"a line that is understood");
	}
	fclose(f);
	CASE("all vectors were seen");
	CHECK(paths == 20 && nones == 16 && trees == 16);
}

static void
test_names(void)
{
	uint64_t	x = 7;
	int			i;

	CASE("every tile of a tree has a name, the longest fits");
	for (i = 0; i < 2000; i++)
	{
		uint64_t	size;
		unsigned	level;

		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		size = i == 0 ? PV_MAX_TREE : x >> 1 >> (x % 61);
		for (level = 0; level <= PV_TILE_MAX_LEVEL; level++)
		{
			uint64_t	full = pv_tile_full(size, level);
			unsigned	partial = pv_tile_partial(size, level);
			char		path[PV_TILE_PATH_MAX];

			CHECK(full * 256 + partial == size >> (8 * level));
			if (full > 0)
			{
				CHECK(pv_tile_path((int) level, full - 1, 256, path) == PV_OK);
				CHECK(strlen(path) < PV_TILE_PATH_MAX && strstr(path, ".p/") == NULL);
			}
			if (partial > 0)
			{
				CHECK(pv_tile_path((int) level, full, partial, path) == PV_OK);
				CHECK(strstr(path, ".p/") != NULL);
			}
		}
	}
}

int
main(void)
{
	test_vectors();
	test_names();
	return harness_end();
}
