/*
 * t_merkle.c: roots and paths against the recursions of the RFCs, for every
 * tree of up to 130 leaves and everything that can be asked of it, and against
 * vectors made elsewhere (../vectors/tree.txt). What is spoilt must not verify.
 * Paths out of kept tiles are the same.
 */
#include "oracle.h"

#include "harness.h"

#define EXHAUSTIVE 130

static void
hex_of(const pv_hash *h, char out[65])
{
	int			i;

	for (i = 0; i < PV_HASH_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", h->b[i]);
}

static pv_hash
flipped(pv_hash h, unsigned bit)
{
	h.b[bit / 8 % PV_HASH_LEN] ^= (uint8_t) (1u << bit % 8);
	return h;
}

/* ------------------------------------------------------- against the oracle */

static pv_hash root[EXHAUSTIVE + 2];

static void
test_roots(const pv_tree *tree)
{
	pv_hash		h;
	uint64_t	n;

	CASE("root of every size to 130 equals RFC 6962's recursion");
	for (n = 0; n <= EXHAUSTIVE + 1; n++)
	{
		root[n] = mth(0, n);
		CHECK(pv_tree_root(tree, n, &h) == PV_OK);
		CHECK(pv_hash_equal(&h, &root[n]));
	}
	CHECK(pv_hash_equal(&root[0], &pv_empty_root));
}

/* Everything that must not verify, given one good inclusion path. */
static void
spoil_inclusion(uint64_t i, uint64_t n, pv_hash *path, unsigned len, const char *shape)
{
	pv_hash		bad;
	uint64_t	j;
	unsigned	k;
	char		other[PV_MAX_PATH + 1];

	for (k = 0; k < len; k++)
	{
		pv_hash		saved = path[k];

		path[k] = flipped(saved, (unsigned) (i * 7 + n * 13 + k * 31) % 256);
		CHECK(pv_verify_inclusion(&hasher, &leaves[i], i, n, path, len, &root[n]) == PV_E_ROOT);
		path[k] = saved;
	}
	bad = flipped(root[n], (unsigned) (i + n) % 256);
	CHECK(pv_verify_inclusion(&hasher, &leaves[i], i, n, path, len, &bad) == PV_E_ROOT);
	bad = flipped(leaves[i], (unsigned) (i + n) % 256);
	CHECK(pv_verify_inclusion(&hasher, &bad, i, n, path, len, &root[n]) == PV_E_ROOT);

	path[len] = root[n];
	CHECK(pv_verify_inclusion(&hasher, &leaves[i], i, n, path, len + 1, &root[n]) == PV_E_PATH);
	if (len > 0)
	{
		CHECK(pv_verify_inclusion(&hasher, &leaves[i], i, n, path, len - 1, &root[n]) == PV_E_PATH);
		CHECK(pv_verify_inclusion(&hasher, &leaves[i], i, n, path + 1, len - 1, &root[n]) == PV_E_PATH);
	}

	for (j = 0; j < n; j++)
		if (j != i && (n <= 40 || j == i + 1 || j + 1 == i || j == (i ^ 8)))
			CHECK(pv_verify_inclusion(&hasher, &leaves[i], j, n, path, len, &root[n]) != PV_OK);
	CHECK(pv_verify_inclusion(&hasher, &leaves[i], n, n, path, len, &root[n]) == PV_E_INDEX);

	/*
	 * Another size with its own root never fits. With the same root it fits
	 * exactly if the leaf has the same turns on its way up: nothing in an
	 * inclusion path could tell.
	 */
	for (j = i + 1; j <= EXHAUSTIVE + 1; j++)
	{
		bool		same;

		if (j == n || (n > 40 && j != n + 1 && j != n - 1 && j != n / 2))
			continue;
		CHECK(pv_verify_inclusion(&hasher, &leaves[i], i, j, path, len, &root[j]) != PV_OK);
		other[0] = '\0';
		naive_path(i, 0, j, NULL, other);
		same = strcmp(shape, other) == 0;
		CHECK((pv_verify_inclusion(&hasher, &leaves[i], i, j, path, len, &root[n]) == PV_OK) == same);
	}
}

static void
test_inclusion(const pv_tree *tree)
{
	pv_hash		path[PV_MAX_PATH + 1];
	pv_hash		want[PV_MAX_PATH];
	char		shape[PV_MAX_PATH + 1];
	unsigned	len;
	unsigned	wantlen;
	uint64_t	n;
	uint64_t	i;

	CASE("every inclusion path to 130: as the recursion, verifies, and no spoilt one does");
	for (n = 1; n <= EXHAUSTIVE; n++)
		for (i = 0; i < n; i++)
		{
			shape[0] = '\0';
			wantlen = naive_path(i, 0, n, want, shape);
			CHECK(pv_tree_inclusion(tree, i, n, path, &len) == PV_OK);
			CHECK(same_path(path, len, want, wantlen));
			CHECK(pv_verify_inclusion(&hasher, &leaves[i], i, n, path, len, &root[n]) == PV_OK);
			spoil_inclusion(i, n, path, len, shape);
		}
	CHECK(pv_tree_inclusion(tree, 0, 0, path, &len) == PV_E_INDEX);
	CHECK(pv_tree_inclusion(tree, 5, 5, path, &len) == PV_E_INDEX);
	CHECK(pv_verify_inclusion(&hasher, &leaves[0], 0, 0, path, 0, &pv_empty_root) == PV_E_INDEX);
}

static void
spoil_consistency(uint64_t m, uint64_t n, pv_hash *path, unsigned len)
{
	pv_hash		bad;
	uint64_t	j;
	unsigned	k;

	for (k = 0; k < len; k++)
	{
		pv_hash		saved = path[k];

		path[k] = flipped(saved, (unsigned) (m * 7 + n * 13 + k * 31) % 256);
		CHECK(pv_verify_consistency(&hasher, m, &root[m], n, &root[n], path, len) == PV_E_ROOT);
		path[k] = saved;
	}
	bad = flipped(root[m], (unsigned) (m + n) % 256);
	CHECK(pv_verify_consistency(&hasher, m, &bad, n, &root[n], path, len) == PV_E_ROOT);
	bad = flipped(root[n], (unsigned) (m + n) % 256);
	CHECK(pv_verify_consistency(&hasher, m, &root[m], n, &bad, path, len) == PV_E_ROOT);

	path[len] = root[m];
	CHECK(pv_verify_consistency(&hasher, m, &root[m], n, &root[n], path, len + 1) == PV_E_PATH);
	if (m == n)
		return;
	CHECK(pv_verify_consistency(&hasher, m, &root[m], n, &root[n], path, len - 1) == PV_E_PATH);
	CHECK(pv_verify_consistency(&hasher, m, &root[m], n, &root[n], path + 1, len - 1) == PV_E_PATH);
	CHECK(pv_verify_consistency(&hasher, m, &root[n], n, &root[m], path, len) == PV_E_ROOT);
	CHECK(pv_verify_consistency(&hasher, n, &root[n], m, &root[m], path, len) == PV_E_INDEX);

	/* wrong sizes, with the roots that belong to them */
	for (j = 0; j <= EXHAUSTIVE + 1; j++)
	{
		if (n > 40 && j != m + 1 && j + 1 != m && j != n + 1 && j + 1 != n)
			continue;
		if (j != m)
			CHECK(pv_verify_consistency(&hasher, j, &root[j], n, &root[n], path, len) != PV_OK);
		if (j != n)
			CHECK(pv_verify_consistency(&hasher, m, &root[m], j, &root[j], path, len) != PV_OK);
		/* the first size wrong, its root not: the first root is not reached */
		if (j != m && j != n)
			CHECK(pv_verify_consistency(&hasher, j, &root[m], n, &root[n], path, len) != PV_OK);
	}
}

static void
test_consistency(const pv_tree *tree)
{
	pv_hash		path[PV_MAX_PATH + 1];
	pv_hash		want[PV_MAX_PATH];
	unsigned	len;
	unsigned	wantlen;
	uint64_t	n;
	uint64_t	m;

	CASE("every consistency path to 130: as the recursion, verifies, and no spoilt one does");
	for (n = 1; n <= EXHAUSTIVE; n++)
		for (m = 1; m <= n; m++)
		{
			wantlen = naive_subproof(m, 0, n, true, want);
			CHECK(pv_tree_consistency(tree, m, n, path, &len) == PV_OK);
			CHECK(same_path(path, len, want, wantlen));
			CHECK(pv_verify_consistency(&hasher, m, &root[m], n, &root[n], path, len) == PV_OK);
			spoil_consistency(m, n, path, len);
		}

	CASE("consistency from and to the empty tree");
	for (n = 0; n <= EXHAUSTIVE; n++)
	{
		CHECK(pv_tree_consistency(tree, 0, n, path, &len) == PV_OK && len == 0);
		CHECK(pv_verify_consistency(&hasher, 0, &root[0], n, &root[n], path, 0) == PV_OK);
		CHECK(pv_verify_consistency(&hasher, 0, &root[1], n, &root[n], path, 0) == PV_E_ROOT);
		path[0] = root[n];
		CHECK(pv_verify_consistency(&hasher, 0, &root[0], n, &root[n], path, 1) == PV_E_PATH);
	}
	CHECK(pv_verify_consistency(&hasher, 0, &root[0], 0, &root[1], path, 0) == PV_E_ROOT);
	CHECK(pv_tree_consistency(tree, 6, 5, path, &len) == PV_E_INDEX);
}

/* ------------------------------------------------------------- vectors */

static void
accumulate(const pv_tree *tree, const char *what, unsigned N, char hex[65])
{
	pv_hasher	sum;
	pv_hash		path[PV_MAX_PATH];
	pv_hash		digest;
	unsigned	n;

	if (pv_hasher_init(&sum) != PV_OK)
		abort();
	pv_hash_begin(&sum);
	for (n = 0; n <= N; n++)
	{
		bool		roots = strcmp(what, "roots") == 0;
		bool		inclusion = strcmp(what, "inclusion") == 0;
		unsigned	from = roots ? n : inclusion ? 0 : 1;
		unsigned	to = inclusion ? n : n + 1;
		unsigned	i;

		for (i = from; i < to; i++)
		{
			char		line[64 * 65 + 64];
			int			len;
			unsigned	count = 1;
			unsigned	k;

			if (roots)
			{
				CHECK(pv_tree_root(tree, n, path) == PV_OK);
				len = snprintf(line, sizeof line, "%u", n);
			}
			else
			{
				if (inclusion)
					CHECK(pv_tree_inclusion(tree, i, n, path, &count) == PV_OK);
				else
					CHECK(pv_tree_consistency(tree, i, n, path, &count) == PV_OK);
				len = snprintf(line, sizeof line, "%u %u", i, n);
			}
			for (k = 0; k < count; k++)
			{
				line[len++] = ' ';
				hex_of(&path[k], line + len);
				len += 64;
			}
			line[len++] = '\n';
			pv_hash_add(&sum, line, (size_t) len);
		}
	}
	CHECK(pv_hash_end(&sum, &digest) == PV_OK);
	pv_hasher_free(&sum);
	hex_of(&digest, hex);
}

static void
test_vectors(void)
{
	static char title[200];
	static pv_hash row[512];
	static pv_hash upper[2];
	store		s = {.level = {row, upper, NULL}};
	pv_tree		tree = {&hasher, store_read, &s, NULL};
	pv_frontier ct;
	FILE	   *f = fopen("../vectors/tree.txt", "r");
	char		line[400];
	int			accumulated = 0;
	int			ctroots = 0;
	pv_hash		ctroot[9];

	CASE("vector file ../vectors/tree.txt is there");
	CHECK(f != NULL);
	if (f == NULL)
		return;
	pv_frontier_init(&ct);
	ctroot[0] = pv_empty_root;
	while (fgets(line, sizeof line, f) != NULL)
	{
		unsigned	N;
		char		kind[20];
		char		what[20];
		char		want[80];
		char		got[65];
		pv_hash		h;

		if (sscanf(line, "accumulated %u %19s %19s %64s", &N, kind, what, want) == 4 ||
			(sscanf(line, "root %u %19s %64s", &N, kind, want) == 3 && strcpy(what, "root") != NULL))
		{
			unsigned	i;

			harness_close();
			snprintf(title, sizeof title, "%s of %u leaves (%s) as computed elsewhere", what, N, kind);
			CASE(title);
			CHECK(N <= 512);
			for (i = 0; i < N && i < 512; i++)
				row[i] = hash_leaf(kind, i);
			s.size = s.count[0] = N;
			s.count[1] = N / 256;
			leaves = row;
			for (i = 0; i < N / 256; i++)
				upper[i] = mth(i * 256, (i + 1) * 256);
			if (strcmp(what, "root") == 0)
			{
				CHECK(pv_tree_root(&tree, N, &h) == PV_OK);
				hex_of(&h, got);
			}
			else
				accumulate(&tree, what, N, got);
			CHECK(strcmp(got, want) == 0);
			accumulated++;
		}
		else if (sscanf(line, "ctleaf %79s", want) == 1)
		{
			uint8_t		data[40];
			size_t		len = want[0] == '-' ? 0 : strlen(want) / 2;

			harness_close();
			snprintf(title, sizeof title, "Certificate Transparency's tree, leaf %d", (int) ct.size);
			CASE(title);
			CHECK(pv_hex_decode(want, len * 2, data, len) == PV_OK);
			CHECK(pv_leaf_hash(&hasher, data, len, &h) == PV_OK);
			CHECK(pv_frontier_append(&ct, &hasher, &h, NULL, NULL) == PV_OK);
			row[ct.size - 1] = h;
			if (ct.size < 9)
				CHECK(pv_frontier_root(&ct, &hasher, &ctroot[ct.size]) == PV_OK);
		}
		else if (sscanf(line, "ctroot %u %64s", &N, want) == 2 && N < 9)
		{
			harness_close();
			snprintf(title, sizeof title, "Certificate Transparency's tree, root of %u", N);
			CASE(title);
			s.size = s.count[0] = 8;
			hex_of(&ctroot[N], got);
			CHECK(strcmp(got, want) == 0);
			CHECK(pv_tree_root(&tree, N, &h) == PV_OK);
			CHECK(pv_hash_equal(&h, &ctroot[N]));
			ctroots++;
		}
	}
	fclose(f);
	CASE("all vectors were seen");
	CHECK(accumulated == 8);
	CHECK(ctroots == 9 && ct.size == 8);
	CHECK(s.bad_reads == 0);
}

/* -------------------------------------------------------------- kept tiles */

#define LARGE (3 * 65536 + 2 * 256 + 77)

static void
check_kept(const pv_tree *plain, const pv_tree *keeping, uint64_t index, uint64_t size)
{
	pv_hash		want[PV_MAX_PATH];
	pv_hash		got[PV_MAX_PATH];
	unsigned	nwant;
	unsigned	ngot;

	CHECK(pv_tree_inclusion(plain, index, size, want, &nwant) == PV_OK);
	CHECK(pv_tree_inclusion(keeping, index, size, got, &ngot) == PV_OK);
	CHECK(same_path(got, ngot, want, nwant));
	CHECK(pv_tree_consistency(plain, index + 1, size, want, &nwant) == PV_OK);
	CHECK(pv_tree_consistency(keeping, index + 1, size, got, &ngot) == PV_OK);
	CHECK(same_path(got, ngot, want, nwant));
}

static void
test_kept(void)
{
	static pv_folded folded[PV_FOLDED_TILES];
	static pv_hash levels[3][LARGE];
	store		s = {.size = LARGE, .level = {levels[0], levels[1], levels[2]}};
	pv_tree		plain = {&hasher, store_read, &s, NULL};
	pv_tree		keeping = {&hasher, store_read, &s, folded};
	const uint64_t sizes[] = {LARGE, LARGE - 1, 65536, 65537, 2 * 65536 + 256, 257};
	pv_hash		path[PV_MAX_PATH];
	unsigned	n;
	long		reads;
	unsigned	i;

	for (i = 0; i < LARGE; i++)
		levels[0][i] = hash_leaf("number", i);
	s.count[0] = LARGE;
	blocks = NULL;
	leaves = levels[0];
	for (i = 0; i < LARGE / 256; i++)
		levels[1][i] = mth((uint64_t) i * 256, ((uint64_t) i + 1) * 256);
	s.count[1] = LARGE / 256;
	leaves = levels[1];
	for (i = 0; i < LARGE / 65536; i++)
		levels[2][i] = mth((uint64_t) i * 256, ((uint64_t) i + 1) * 256);
	s.count[2] = LARGE / 65536;

	CASE("paths out of kept tiles are those without, for leaves and sizes in any order");
	for (i = 0; i < 400; i++)
	{
		uint64_t	size = sizes[i % 7 % 6];

		check_kept(&plain, &keeping, (uint64_t) i * 2654435761u % size, size);
		check_kept(&plain, &keeping, size - 1 - i % 257, size);
	}
	CHECK(s.bad_reads == 0);

	CASE("paths of neighbours read nothing again");
	CHECK(pv_tree_inclusion(&keeping, 65536 + 512, LARGE, path, &n) == PV_OK);
	reads = s.reads;
	for (i = 0; i < 256; i++)
		CHECK(pv_tree_inclusion(&keeping, 65536 + 512 + i, LARGE, path, &n) == PV_OK);
	CHECK(s.reads == reads);

	CASE("a tile that could not be read is not kept");
	s.fail = true;
	CHECK(pv_tree_inclusion(&keeping, 100, 200, path, &n) == PV_E_STORAGE);
	CHECK(pv_tree_inclusion(&keeping, 3 * 65536, LARGE - 5, path, &n) == PV_E_STORAGE);
	s.fail = false;
	check_kept(&plain, &keeping, 100, 200);
	check_kept(&plain, &keeping, 3 * 65536, LARGE - 5);
}

int
main(void)
{
	static pv_hash row[EXHAUSTIVE + 1];
	store		s = {.size = EXHAUSTIVE + 1, .level = {row}, .count = {EXHAUSTIVE + 1}};
	pv_tree		tree = {&hasher, store_read, &s, NULL};
	unsigned	i;

	if (pv_hasher_init(&hasher) != PV_OK)
		return 1;
	test_vectors();

	for (i = 0; i <= EXHAUSTIVE; i++)
		row[i] = hash_leaf("byte", i);
	leaves = row;
	test_roots(&tree);
	test_inclusion(&tree);
	test_consistency(&tree);
	test_kept();

	pv_hasher_free(&hasher);
	return harness_end();
}
