/*
 * frontier.c: the growing right edge of a tree.
 *
 * A tree of `size` leaves is made of one perfect subtree for each set bit of
 * size, the greatest at the left; their roots, the peaks, are all that is
 * needed to add leaves and to compute the root. Adding a leaf is adding one in
 * binary: each carry joins two peaks of the same height. A node whose height
 * is a multiple of 8 is a hash of a tile level, and handed to the caller when
 * it comes about, lower levels first.
 *
 * A frontier changes only as the last step: after a failure, of libcrypto or
 * of the callback, it is what it was before.
 */
#include "merkle.h"

void
pv_frontier_init(pv_frontier *f)
{
	*f = (pv_frontier) {0};
}

/* The root of 2^height hashes, into row[0]. */
static pv_status
perfect_root(pv_hasher *h, pv_hash *row, unsigned height)
{
	unsigned	n;
	unsigned	i;

	for (n = 1u << height; n > 1; n /= 2)
		for (i = 0; i < n; i += 2)
		{
			pv_status	status = pv_node_hash(h, &row[i], &row[i + 1], &row[i / 2]);

			if (status != PV_OK)
				return status;
		}
	return PV_OK;
}

pv_status
pv_frontier_load(pv_frontier *f, const pv_tree *t, uint64_t size)
{
	pv_frontier loaded = {.size = size};
	pv_hash		row[PV_TILE_WIDTH];
	unsigned	level;

	if (size > PV_MAX_TREE)
		return PV_E_INDEX;

	/* the peaks of 8 heights come out of one tile, the last of a level */
	for (level = 0; level < 64 / PV_TILE_HEIGHT; level++)
	{
		uint64_t	stored = size >> (level * PV_TILE_HEIGHT);
		unsigned	n = (unsigned) (stored % PV_TILE_WIDTH);
		unsigned	pos = 0;
		unsigned	height = PV_TILE_HEIGHT;
		pv_status	status;

		if (n == 0)
			continue;
		status = t->read(t->arg, level, stored - n, n, row);
		if (status != PV_OK)
			return status;
		while (height-- > 0)
		{
			if ((n >> height & 1) == 0)
				continue;
			status = perfect_root(t->hasher, &row[pos], height);
			if (status != PV_OK)
				return status;
			loaded.peaks[level * PV_TILE_HEIGHT + height] = row[pos];
			pos += 1u << height;
		}
	}
	*f = loaded;
	return PV_OK;
}

/* Adds the root of 2^height leaves; size is a multiple of that and stays below 2^63. */
static pv_status
add_peak(pv_frontier *f, pv_hasher *h, unsigned height, const pv_hash *hash, pv_emit_hash emit, void *arg)
{
	uint64_t	leaves = (uint64_t) 1 << height;
	pv_hash		node = *hash;

	/* the new size is below 2^63, so there is a zero bit where the carry ends */
	while ((f->size >> height & 1) != 0)
	{
		pv_status	status = pv_node_hash(h, &f->peaks[height], &node, &node);

		if (status != PV_OK)
			return status;
		height++;
		if (emit != NULL && height % PV_TILE_HEIGHT == 0)
		{
			status = emit(arg, height / PV_TILE_HEIGHT, f->size >> height, &node);
			if (status != PV_OK)
				return status;
		}
	}
	f->peaks[height] = node;
	f->size += leaves;
	return PV_OK;
}

pv_status
pv_frontier_append(pv_frontier *f, pv_hasher *h, const pv_hash *leaf_hash,
				   pv_emit_hash emit, void *arg)
{
	if (f->size >= PV_MAX_TREE)
		return PV_E_INDEX;
	return add_peak(f, h, 0, leaf_hash, emit, arg);
}

pv_status
pv_frontier_append_subtree(pv_frontier *f, pv_hasher *h, unsigned height, const pv_hash *hash)
{
	if (height > 62 || f->size > PV_MAX_TREE - ((uint64_t) 1 << height) ||
		(f->size & (((uint64_t) 1 << height) - 1)) != 0)
		return PV_E_INDEX;
	return add_peak(f, h, height, hash, NULL, NULL);
}

pv_status
pv_frontier_append_tile(pv_frontier *f, pv_hasher *h, const pv_hash *hash, pv_emit_hash emit, void *arg)
{
	pv_status	status = PV_OK;

	if (f->size > PV_MAX_TREE - PV_TILE_WIDTH || f->size % PV_TILE_WIDTH != 0)
		return PV_E_INDEX;
	if (emit != NULL)
		status = emit(arg, 1, f->size / PV_TILE_WIDTH, hash);
	return status == PV_OK ? add_peak(f, h, PV_TILE_HEIGHT, hash, emit, arg) : status;
}

pv_status
pv_frontier_root(const pv_frontier *f, pv_hasher *h, pv_hash *out)
{
	pv_hash		root = pv_empty_root;
	bool		found = false;
	unsigned	height;

	if (f->size > PV_MAX_TREE)
		return PV_E_INDEX;
	for (height = 0; height < 63; height++)
	{
		if ((f->size >> height & 1) == 0)
			continue;
		if (found)
		{
			pv_status	status = pv_node_hash(h, &f->peaks[height], &root, &root);

			if (status != PV_OK)
				return status;
		}
		else
			root = f->peaks[height];
		found = true;
	}
	*out = root;
	return PV_OK;
}
