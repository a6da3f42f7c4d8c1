/*
 * t_frontier.c: the growing edge, and trees of more than one tile.
 *
 * To 70,000 leaves against the recursions of the RFCs. Beyond, a tree of equal
 * leaves serves: all its perfect subtrees of one height have the same root, so
 * that a storage of 2^63 - 1 leaves needs 63 hashes.
 */
#include "oracle.h"

#include "harness.h"

#define LARGE 70000

static store large;

/* Only the peaks that size says are valid. */
static bool
same_frontier(const pv_frontier *a, const pv_frontier *b)
{
	int			i;

	if (a->size != b->size)
		return false;
	for (i = 0; i < 64; i++)
		if ((a->size >> i & 1) != 0 && !pv_hash_equal(&a->peaks[i], &b->peaks[i]))
			return false;
	return true;
}

/* ----------------------------------------------- the edge, to 70,000 leaves */

static uint64_t emitted[3];

static pv_status
take(void *arg, unsigned level, uint64_t index, const pv_hash *hash)
{
	store	   *s = arg;

	if (level < 1 || level > 2 || index != emitted[level])
		return PV_E_STORAGE;
	s->level[level][index] = *hash;
	s->count[level] = ++emitted[level];
	return PV_OK;
}

static pv_status
refuse(void *arg, unsigned level, uint64_t index, const pv_hash *hash)
{
	(void) arg, (void) level, (void) index, (void) hash;
	return PV_E_STORAGE;
}

static bool
near_boundary(uint64_t n)
{
	return n <= 1100 || (n >= 65000 && n <= 66000) || n % 97 == 0 || n == LARGE;
}

static void
test_frontier(const pv_tree *tree)
{
	pv_frontier f;
	pv_frontier loaded;
	pv_hash		a;
	pv_hash		b;
	uint64_t	n;
	uint64_t	j;
	int			wrong = 0;

	CASE("frontier to 70,000 leaves: root and load agree with the stored tree");
	pv_frontier_init(&f);
	for (n = 0;; n++)
	{
		large.size = n;
		if (near_boundary(n))
		{
			CHECK(pv_frontier_root(&f, &hasher, &a) == PV_OK);
			CHECK(pv_tree_root(tree, n, &b) == PV_OK);
			CHECK(pv_hash_equal(&a, &b));
			large.reads = 0;
			CHECK(pv_frontier_load(&loaded, tree, n) == PV_OK);
			CHECK(large.reads <= 3);
			CHECK(same_frontier(&f, &loaded));
		}
		if (n == LARGE)
			break;
		if (pv_frontier_append(&f, &hasher, &leaves[n], take, &large) != PV_OK)
			wrong++;
	}
	CHECK(wrong == 0);
	CHECK(large.bad_reads == 0);

	CASE("hashes of the tile levels as they came out equal the recursion's");
	CHECK(emitted[1] == LARGE / 256 && emitted[2] == 1);
	for (j = 0; j < emitted[1]; j++)
	{
		a = mth(j * 256, (j + 1) * 256);
		CHECK(pv_hash_equal(&a, &large.level[1][j]));
	}
	a = mth(0, 65536);
	CHECK(pv_hash_equal(&a, &large.level[2][0]));
	blocks = large.level[1];	/* known from here on */

	CASE("roots around the tile boundaries equal the recursion's");
	{
		static const uint64_t sizes[] = {255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 65792, LARGE};
		size_t		i;

		for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		{
			a = mth(0, sizes[i]);
			CHECK(pv_tree_root(tree, sizes[i], &b) == PV_OK);
			CHECK(pv_hash_equal(&a, &b));
		}
	}

	CASE("a refused hash leaves the frontier as it was");
	CHECK(pv_frontier_load(&f, tree, 65535) == PV_OK);
	loaded = f;
	CHECK(pv_frontier_append(&f, &hasher, &leaves[65535], refuse, NULL) == PV_E_STORAGE);
	CHECK(memcmp(&f, &loaded, sizeof f) == 0);
	CHECK(pv_frontier_append(&f, &hasher, &leaves[65535], NULL, NULL) == PV_OK);
	CHECK(pv_frontier_root(&f, &hasher, &b) == PV_OK);
	CHECK(pv_hash_equal(&b, &large.level[2][0]));
}

static void
test_large_paths(const pv_tree *tree)
{
	static const uint64_t at[] = {0, 1, 254, 255, 256, 257, 300, 511, 512, 40000, 65279, 65280, 65534,
	65535, 65536, 65537, 65791, 65792, 69887, 69888, 69998, 69999, LARGE};
	size_t		count = sizeof at / sizeof at[0];
	pv_hash		path[PV_MAX_PATH];
	pv_hash		want[PV_MAX_PATH];
	pv_hash		first;
	pv_hash		second;
	char		shape[PV_MAX_PATH + 1];
	unsigned	len;
	unsigned	wantlen;
	size_t		i;
	size_t		k;

	CASE("paths across three tile levels: as the recursion, verify, read each tile once");
	for (k = 1; k < count; k++)
	{
		CHECK(pv_tree_root(tree, at[k], &second) == PV_OK);
		for (i = 0; i < k; i++)
		{
			large.reads = 0;
			CHECK(pv_tree_inclusion(tree, at[i], at[k], path, &len) == PV_OK);
			CHECK(large.reads <= 5);
			wantlen = naive_path(at[i], 0, at[k], want, shape);
			CHECK(same_path(path, len, want, wantlen));
			CHECK(pv_verify_inclusion(&hasher, &leaves[at[i]], at[i], at[k], path, len, &second) == PV_OK);

			CHECK(pv_tree_root(tree, at[i], &first) == PV_OK);
			CHECK(pv_tree_consistency(tree, at[i], at[k], path, &len) == PV_OK);
			wantlen = at[i] == 0 ? 0 : naive_subproof(at[i], 0, at[k], true, want);
			CHECK(same_path(path, len, want, wantlen));
			CHECK(pv_verify_consistency(&hasher, at[i], &first, at[k], &second, path, len) == PV_OK);
		}
	}
	CHECK(large.bad_reads == 0);

	CASE("a failing storage is reported, and no path is given");
	large.fail = true;
	CHECK(pv_tree_root(tree, 300, &first) == PV_E_STORAGE);
	CHECK(pv_tree_inclusion(tree, 3, 300, path, &len) == PV_E_STORAGE && len == 0);
	CHECK(pv_tree_consistency(tree, 3, 300, path, &len) == PV_E_STORAGE && len == 0);
	{
		pv_frontier f;

		pv_frontier_init(&f);
		CHECK(pv_frontier_load(&f, tree, 300) == PV_E_STORAGE && f.size == 0);
	}
	large.fail = false;
}

/* ------------------------------------------------------ to 2^63 - 1 leaves */

static pv_hash uniform[63];		/* root of 2^i equal leaves */
static uint64_t uniform_size;
static long uniform_reads,
			uniform_bad;

static pv_status
uniform_read(void *arg, unsigned level, uint64_t first, unsigned count, pv_hash *out)
{
	unsigned	i;

	(void) arg;
	uniform_reads++;
	if (level > 7 || count < 1 || count > 256 || first / 256 != (first + count - 1) / 256 ||
		first + count > uniform_size >> (8 * level))
	{
		uniform_bad++;
		return PV_E_STORAGE;
	}
	for (i = 0; i < count; i++)
		out[i] = uniform[8 * level];
	return PV_OK;
}

static void
test_huge(void)
{
	static const uint64_t special[] = {1, 2, 3, 255, 256, 65537, UINT64_C(1) << 55, (UINT64_C(1) << 56) - 1,
		UINT64_C(1) << 56, (UINT64_C(1) << 56) + 1, (UINT64_C(1) << 62) - 1, UINT64_C(1) << 62,
	(UINT64_C(1) << 62) + 1, PV_MAX_TREE - 1, PV_MAX_TREE};
	pv_tree		tree = {&hasher, uniform_read, NULL, NULL};
	uint64_t	sizes[15 + 60];
	pv_hash		path[PV_MAX_PATH + 1];
	pv_hash		a;
	pv_hash		b;
	pv_hash		roots[15 + 60];
	pv_frontier f;
	unsigned	len;
	unsigned	longest = 0;
	uint64_t	x = 1;
	size_t		i;
	size_t		k;

	CASE("trees of up to 2^63 - 1 leaves");
	uniform[0] = hash_leaf("byte", 42);
	for (i = 1; i < 63; i++)
		CHECK(pv_node_hash(&hasher, &uniform[i - 1], &uniform[i - 1], &uniform[i]) == PV_OK);
	memcpy(sizes, special, sizeof special);
	for (i = 15; i < 75; i++)
	{
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		sizes[i] = (x >> 1 >> (x % 61)) + 1;
	}

	for (i = 0; i < 75; i++)
	{
		uniform_size = sizes[i];
		uniform_reads = 0;
		CHECK(pv_tree_root(&tree, sizes[i], &roots[i]) == PV_OK);
		CHECK(uniform_reads <= 8);
		CHECK(pv_frontier_load(&f, &tree, sizes[i]) == PV_OK);
		CHECK(pv_frontier_root(&f, &hasher, &b) == PV_OK);
		CHECK(pv_hash_equal(&roots[i], &b));
		if (sizes[i] < PV_MAX_TREE)
		{
			CHECK(pv_frontier_append(&f, &hasher, &uniform[0], NULL, NULL) == PV_OK);
			CHECK(pv_frontier_root(&f, &hasher, &b) == PV_OK);
			uniform_size++;
			CHECK(pv_tree_root(&tree, uniform_size, &a) == PV_OK && pv_hash_equal(&a, &b));
		}
	}
	for (k = 0; k < 75; k++)
		for (i = 0; i < 75; i++)
		{
			if (sizes[i] > sizes[k])
				continue;
			uniform_size = sizes[k];
			uniform_reads = 0;
			CHECK(pv_tree_inclusion(&tree, sizes[i] - 1, sizes[k], path, &len) == PV_OK);
			CHECK(uniform_reads <= 16 && len <= 63);
			CHECK(pv_verify_inclusion(&hasher, &uniform[0], sizes[i] - 1, sizes[k], path, len, &roots[k]) == PV_OK);
			path[len] = roots[k];
			CHECK(pv_verify_inclusion(&hasher, &uniform[0], sizes[i] - 1, sizes[k], path, len + 1, &roots[k]) == PV_E_PATH);
			CHECK(pv_tree_consistency(&tree, sizes[i], sizes[k], path, &len) == PV_OK);
			CHECK(len <= PV_MAX_PATH);
			if (len > longest)
				longest = len;
			CHECK(pv_verify_consistency(&hasher, sizes[i], &roots[i], sizes[k], &roots[k], path, len) == PV_OK);
		}
	CHECK(uniform_bad == 0);

	CASE("the longest consistency path has 64 hashes");
	uniform_size = PV_MAX_TREE;
	CHECK(pv_tree_consistency(&tree, (UINT64_C(1) << 61) + 1, PV_MAX_TREE, path, &len) == PV_OK);
	CHECK(len == 64);

	CASE("sizes above 2^63 - 1 are refused everywhere");
	{
		static const uint64_t bad[] = {PV_MAX_TREE + 1, PV_MAX_TREE + 2, UINT64_MAX - 1, UINT64_MAX};

		uniform_reads = 0;
		for (i = 0; i < 4; i++)
		{
			CHECK(pv_tree_root(&tree, bad[i], &a) == PV_E_INDEX);
			CHECK(pv_tree_inclusion(&tree, 0, bad[i], path, &len) == PV_E_INDEX);
			CHECK(pv_tree_inclusion(&tree, bad[i], 5, path, &len) == PV_E_INDEX);
			CHECK(pv_tree_consistency(&tree, 1, bad[i], path, &len) == PV_E_INDEX);
			CHECK(pv_tree_consistency(&tree, bad[i], bad[i], path, &len) == PV_E_INDEX);
			CHECK(pv_tree_consistency(&tree, bad[i], 5, path, &len) == PV_E_INDEX);
			CHECK(pv_frontier_load(&f, &tree, bad[i]) == PV_E_INDEX);
			CHECK(pv_verify_inclusion(&hasher, &a, 0, bad[i], path, 64, &a) == PV_E_INDEX);
			CHECK(pv_verify_inclusion(&hasher, &a, bad[i], 5, path, 3, &a) == PV_E_INDEX);
			CHECK(pv_verify_consistency(&hasher, 1, &a, bad[i], &a, path, 64) == PV_E_INDEX);
			CHECK(pv_verify_consistency(&hasher, bad[i], &a, bad[i], &a, path, 0) == PV_E_INDEX);
			CHECK(pv_verify_consistency(&hasher, bad[i], &a, 5, &a, path, 3) == PV_E_INDEX);
		}
		CHECK(uniform_reads == 0);
		CHECK(pv_frontier_load(&f, &tree, PV_MAX_TREE) == PV_OK);
		CHECK(pv_frontier_append(&f, &hasher, &a, NULL, NULL) == PV_E_INDEX);
		CHECK(f.size == PV_MAX_TREE);
	}
}

int
main(void)
{
	pv_tree		tree = {&hasher, store_read, &large, NULL};
	unsigned	i;

	if (pv_hasher_init(&hasher) != PV_OK)
		return 1;
	large.level[0] = malloc(LARGE * sizeof(pv_hash));
	large.level[1] = malloc((LARGE / 256) * sizeof(pv_hash));
	large.level[2] = malloc(sizeof(pv_hash));
	leaves = large.level[0];
	for (i = 0; i < LARGE; i++)
		large.level[0][i] = hash_leaf("decimal", i);
	large.count[0] = LARGE;

	test_frontier(&tree);
	test_large_paths(&tree);
	test_huge();

	free(large.level[0]);
	free(large.level[1]);
	free(large.level[2]);
	pv_hasher_free(&hasher);
	return harness_end();
}
