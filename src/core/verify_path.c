/*
 * verify_path.c: checking inclusion and consistency paths, RFC 9162, sections
 * 2.1.3.2 and 2.1.4.2.
 *
 * Everything here may come from a partner. A path is followed until it or the
 * tree ends, whichever is first, so that at most 64 hashes are computed,
 * whatever sizes and lengths are claimed. Nothing is read but the arguments.
 *
 * An inclusion path does not always bind the size: two trees in which the leaf
 * has the same turns on its way up accept the same path for the same root. The
 * size is bound by the signed checkpoint that holds it next to the root.
 */
#include "merkle.h"

/*
 * The way from a node to the root: fn is the node's index, sn that of the last
 * node of the same height.
 */
typedef struct climb
{
	uint64_t	fn;
	uint64_t	sn;
} climb;

/*
 * One step up past one sibling. Returns true if the sibling is on the left.
 * Heights at which the node is the last one and has no sibling are skipped.
 */
static bool
climb_step(climb *c)
{
	bool		left = (c->fn & 1) != 0 || c->fn == c->sn;

	if (left)
		while ((c->fn & 1) == 0 && c->fn != 0)
		{
			c->fn >>= 1;
			c->sn >>= 1;
		}
	c->fn >>= 1;
	c->sn >>= 1;
	return left;
}

pv_status
pv_verify_inclusion(pv_hasher *h, const pv_hash *leaf_hash, uint64_t index, uint64_t size,
					const pv_hash *path, unsigned n, const pv_hash *root)
{
	climb		c = {.fn = index, .sn = size - 1};
	pv_hash		r = *leaf_hash;
	unsigned	i;

	if (size > PV_MAX_TREE || index >= size)
		return PV_E_INDEX;

	for (i = 0; i < n; i++)
	{
		pv_status	status;

		if (c.sn == 0)
			return PV_E_PATH;
		if (climb_step(&c))
			status = pv_node_hash(h, &path[i], &r, &r);
		else
			status = pv_node_hash(h, &r, &path[i], &r);
		if (status != PV_OK)
			return status;
	}
	if (c.sn != 0)
		return PV_E_PATH;
	return pv_hash_equal(&r, root) ? PV_OK : PV_E_ROOT;
}

pv_status
pv_verify_consistency(pv_hasher *h, uint64_t first, const pv_hash *first_root,
					  uint64_t second, const pv_hash *second_root,
					  const pv_hash *path, unsigned n)
{
	climb		c = {.fn = first - 1, .sn = second - 1};
	pv_hash		fr;				/* becomes the first root */
	pv_hash		sr;				/* becomes the second root */
	unsigned	i = 0;

	if (second > PV_MAX_TREE || first > second)
		return PV_E_INDEX;
	if (first == 0 || first == second)
	{
		if (n != 0)
			return PV_E_PATH;
		if (first == 0 && !pv_hash_equal(first_root, &pv_empty_root))
			return PV_E_ROOT;
		if (first == second && !pv_hash_equal(first_root, second_root))
			return PV_E_ROOT;
		return PV_OK;
	}
	if (n == 0)
		return PV_E_PATH;

	/* up to the last perfect subtree of the first tree, where the path starts */
	while ((c.fn & 1) != 0)
	{
		c.fn >>= 1;
		c.sn >>= 1;
	}
	/* it is the whole first tree if first is a power of two, and left out */
	fr = (first & (first - 1)) == 0 ? *first_root : path[i++];
	sr = fr;

	for (; i < n; i++)
	{
		pv_status	status;

		if (c.sn == 0)
			return PV_E_PATH;
		if (climb_step(&c))
		{
			status = pv_node_hash(h, &path[i], &fr, &fr);
			if (status == PV_OK)
				status = pv_node_hash(h, &path[i], &sr, &sr);
		}
		else
			status = pv_node_hash(h, &sr, &path[i], &sr);
		if (status != PV_OK)
			return status;
	}
	if (c.sn != 0)
		return PV_E_PATH;
	return pv_hash_equal(&fr, first_root) && pv_hash_equal(&sr, second_root) ? PV_OK : PV_E_ROOT;
}
