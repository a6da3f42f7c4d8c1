/*
 * gap.c: the leaves between two entries of a bundle, as few hashes.
 *
 * Whoever knows some leaves of a log can compute its root from them and from
 * the roots of the perfect subtrees that hold none of them. Between two such
 * leaves these subtrees grow while their place is a multiple of their size,
 * and shrink when the next one would reach beyond the end: at most 63 of each.
 * That makes the list of a gap a function of its two ends, so that a list of
 * another length is refused before anything is hashed.
 */
#include "merkle.h"

unsigned
pv_gap_height(uint64_t from, uint64_t to)
{
	unsigned	height = 0;

	/* at 0 every power divides */
	while (height < 62 && (from >> height & 1) == 0 && to - from >= (uint64_t) 2 << height)
		height++;
	return height;
}

unsigned
pv_gap_count(uint64_t from, uint64_t to)
{
	unsigned	n = 0;

	for (; from < to; n++)
		from += (uint64_t) 1 << pv_gap_height(from, to);
	return n;
}

/* The root of the 2^height leaves from `from` on: within one tile, of the level below the height. */
static pv_status
subtree_root(const pv_tree *t, uint64_t from, unsigned height, pv_hash *out)
{
	pv_hash		row[PV_TILE_WIDTH / 2];
	unsigned	level = height / PV_TILE_HEIGHT;
	unsigned	n = 1u << height % PV_TILE_HEIGHT;
	pv_status	status;

	status = t->read(t->arg, level, from >> (level * PV_TILE_HEIGHT), n, row);
	for (; status == PV_OK && n > 1; n /= 2)
		for (unsigned i = 0; i < n && status == PV_OK; i += 2)
			status = pv_node_hash(t->hasher, &row[i], &row[i + 1], &row[i / 2]);
	if (status == PV_OK)
		*out = row[0];
	return status;
}

pv_status
pv_tree_gap(const pv_tree *t, uint64_t from, uint64_t to, pv_hash *out, unsigned *n)
{
	*n = 0;
	if (from > to || to > PV_MAX_TREE)
		return PV_E_INDEX;
	while (from < to)
	{
		unsigned	height = pv_gap_height(from, to);
		pv_status	status = subtree_root(t, from, height, &out[*n]);

		if (status != PV_OK)
			return status;
		++*n;
		from += (uint64_t) 1 << height;
	}
	return PV_OK;
}

pv_status
pv_frontier_append_gap(pv_frontier *f, pv_hasher *h, uint64_t to, const pv_hash *gap, unsigned n)
{
	if (f->size > to || to > PV_MAX_TREE)
		return PV_E_INDEX;
	if (pv_gap_count(f->size, to) != n)
		return PV_E_PATH;
	for (unsigned i = 0; i < n; i++)
	{
		pv_status	status = pv_frontier_append_subtree(f, h, pv_gap_height(f->size, to), &gap[i]);

		if (status != PV_OK)
			return status;
	}
	return PV_OK;
}
