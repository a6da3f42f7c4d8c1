/*
 * t_gap.c: gaps: for every two places of small logs the subtrees are those of
 * the format and bring a frontier from one to the other; through the levels of
 * a stored tree of 70,000 leaves; lists of another length, places that cannot
 * be, and a storage that fails.
 */
#include "harness.h"
#include "merkle.h"

#define LEAVES 70000

static pv_hasher hasher;
static pv_hash *level[3];
static uint64_t stored[3];
static long bad_reads;
static bool fail;

static pv_status
emit(void *arg, unsigned l, uint64_t index, const pv_hash *hash)
{
	(void) arg;
	if (l > 2)
		return PV_E_STORAGE;
	level[l][index] = *hash;
	stored[l] = index + 1;
	return PV_OK;
}

static pv_status
read_stored(void *arg, unsigned l, uint64_t first, unsigned count, pv_hash *out)
{
	(void) arg;
	if (fail)
		return PV_E_STORAGE;
	if (l > 2 || count < 1 || first / PV_TILE_WIDTH != (first + count - 1) / PV_TILE_WIDTH ||
		first + count > stored[l])
	{
		bad_reads++;
		return PV_E_STORAGE;
	}
	memcpy(out, level[l] + first, count * sizeof(*out));
	return PV_OK;
}

static const pv_tree tree = {&hasher, read_stored, NULL, NULL};

static void
fill(void)
{
	pv_frontier f;

	pv_frontier_init(&f);
	for (unsigned l = 0; l < 3; l++)
		level[l] = calloc(LEAVES, sizeof(pv_hash));
	for (uint32_t i = 0; i < LEAVES; i++)
	{
		if (level[0] == NULL || pv_leaf_hash(&hasher, &i, sizeof(i), &level[0][i]) != PV_OK ||
			pv_frontier_append(&f, &hasher, &level[0][i], emit, NULL) != PV_OK)
			exit(2);
		stored[0] = i + 1;
	}
}

/* Does the gap take a frontier of one size to the other? */
static bool
joins(uint64_t from, uint64_t to)
{
	pv_hash		gap[PV_MAX_GAP];
	pv_hash		a,
				b;
	unsigned	n;
	pv_frontier f;

	return pv_tree_gap(&tree, from, to, gap, &n) == PV_OK && n == pv_gap_count(from, to) &&
		pv_frontier_load(&f, &tree, from) == PV_OK &&
		pv_frontier_append_gap(&f, &hasher, to, gap, n) == PV_OK && f.size == to &&
		pv_frontier_root(&f, &hasher, &a) == PV_OK && pv_tree_root(&tree, to, &b) == PV_OK &&
		pv_hash_equal(&a, &b);
}

/* The rule as it stands in the format, by trying. */
static bool
as_the_format_says(uint64_t from, uint64_t to)
{
	while (from < to)
	{
		unsigned	height = 0;

		for (unsigned k = 0; k < 63; k++)
			if (from % ((uint64_t) 1 << k) == 0 && (uint64_t) 1 << k <= to - from)
				height = k;
		if (height != pv_gap_height(from, to))
			return false;
		from += (uint64_t) 1 << height;
	}
	return true;
}

int
main(void)
{
	static const uint64_t places[] = {0, 1, 2, 255, 256, 257, 511, 512, 65535, 65536, 65537, 69999, 70000};
	const unsigned nplaces = sizeof(places) / sizeof(places[0]);
	pv_hash		gap[PV_MAX_GAP];
	pv_frontier f;
	unsigned	n;
	unsigned	most = 0;

	if (pv_hasher_init(&hasher) != PV_OK)
		return 2;
	fill();

	CASE("every two places below 70");
	for (uint64_t to = 0; to <= 70; to++)
		for (uint64_t from = 0; from <= to; from++)
			CHECK(joins(from, to) && as_the_format_says(from, to));

	CASE("through the tile levels");
	for (unsigned a = 0; a < nplaces; a++)
		for (unsigned b = a; b < nplaces; b++)
			CHECK(joins(places[a], places[b]));
	for (uint64_t from = 3; from < LEAVES; from = from * 3 + 1)
		for (uint64_t to = from; to < LEAVES; to = to * 5 / 4 + 7)
			CHECK(joins(from, to));
	CHECK(bad_reads == 0);

	CASE("the greatest logs");
	for (unsigned k = 0; k < 63; k++)
		for (unsigned j = 0; j <= k; j++)
		{
			uint64_t	from = (uint64_t) 1 << j;
			uint64_t	to = PV_MAX_TREE - (((uint64_t) 1 << k) - 1) / 3;

			for (unsigned d = 0; d < 3 && from + d <= to; d++)
			{
				n = pv_gap_count(from - 1 + d, to);
				CHECK(n <= PV_MAX_GAP && as_the_format_says(from - 1 + d, to));
				most = n > most ? n : most;
			}
		}
	CHECK(most >= 123);

	CASE("what cannot be");
	CHECK(pv_tree_gap(&tree, 5, 4, gap, &n) == PV_E_INDEX && n == 0);
	CHECK(pv_tree_gap(&tree, 5, (uint64_t) 1 << 63, gap, &n) == PV_E_INDEX);
	CHECK(pv_tree_gap(&tree, 5, 5, gap, &n) == PV_OK && n == 0);
	CHECK(pv_gap_count(5, 4) == 0);
	CHECK(pv_tree_gap(&tree, 5, 8, gap, &n) == PV_OK && n == 2);
	CHECK(pv_frontier_load(&f, &tree, 5) == PV_OK);
	CHECK(pv_frontier_append_gap(&f, &hasher, 8, gap, 1) == PV_E_PATH && f.size == 5);
	CHECK(pv_frontier_append_gap(&f, &hasher, 8, gap, 3) == PV_E_PATH && f.size == 5);
	CHECK(pv_frontier_append_gap(&f, &hasher, 4, gap, 0) == PV_E_INDEX);
	CHECK(pv_frontier_append_gap(&f, &hasher, (uint64_t) 1 << 63, gap, 2) == PV_E_INDEX);
	CHECK(pv_frontier_append_subtree(&f, &hasher, 1, &gap[0]) == PV_E_INDEX && f.size == 5);
	CHECK(pv_frontier_append_subtree(&f, &hasher, 63, &gap[0]) == PV_E_INDEX);
	pv_frontier_init(&f);
	CHECK(pv_frontier_append_subtree(&f, &hasher, 62, &gap[0]) == PV_OK);
	CHECK(pv_frontier_append_subtree(&f, &hasher, 62, &gap[0]) == PV_E_INDEX);
	fail = true;
	CHECK(pv_tree_gap(&tree, 5, 8, gap, &n) == PV_E_STORAGE);

	for (unsigned l = 0; l < 3; l++)
		free(level[l]);
	pv_hasher_free(&hasher);
	return harness_end();
}
