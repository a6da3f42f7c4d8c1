/*
 * merkle.c: roots and paths read out of the stored tile levels.
 *
 * Think of the tree of `size` leaves by height: node i of height h covers the
 * leaves [i * 2^h, (i + 1) * 2^h), cut off at size. A node without a right
 * sibling is passed up unchanged; this gives the tree of RFC 6962, section
 * 2.1. An inclusion path is then the existing siblings of a leaf and of its
 * ancestors, and a consistency path (RFC 9162, section 2.1.4.1) the same for
 * the last perfect subtree of the first tree, preceded by that subtree itself
 * unless it is the whole first tree.
 *
 * Storage holds the complete nodes of the heights 0, 8, 16, ... only. So we
 * walk the tile levels upwards and read at each at most two ranges: the tile
 * that the path goes through, and the last, incomplete one, out of which comes
 * the node at the right edge of the next level. If both are the same tile, it
 * is read once. At most 8 levels, 16 reads, 8 kB of stack.
 */
#include "merkle.h"

/* One upward pass over the tile levels. */
typedef struct walk
{
	const pv_tree *tree;
	uint64_t	size;
	unsigned	height;			/* of the node where the path starts */
	uint64_t	index;			/* its index at that height */
	bool		self;			/* the path begins with the node itself */
	pv_hash    *path;			/* NULL: only the root is wanted */
	unsigned	n;				/* hashes in path */
	pv_hash		edge;			/* the incomplete node at the right edge */
	bool		has_edge;
} walk;

/* Halves a row of nodes to their parents; an odd last node is passed up. */
static pv_status
fold(pv_hasher *h, pv_hash *row, unsigned *n)
{
	unsigned	i;

	for (i = 0; i + 1 < *n; i += 2)
	{
		pv_status	status = pv_node_hash(h, &row[i], &row[i + 1], &row[i / 2]);

		if (status != PV_OK)
			return status;
	}
	if (*n % 2 == 1)
		row[*n / 2] = row[*n - 1];
	*n = (*n + 1) / 2;
	return PV_OK;
}

/*
 * Reduces one tile to its root in row[0]. on_path: the path goes through it,
 * its siblings are added.
 */
static pv_status
reduce(walk *w, unsigned level, pv_hash *row, unsigned n, bool on_path)
{
	unsigned	height = level * PV_TILE_HEIGHT;
	unsigned	top = height + PV_TILE_HEIGHT;

	for (; height < top; height++)
	{
		pv_status	status;

		if (on_path && height >= w->height)
		{
			unsigned	pos = (unsigned) (w->index >> (height - w->height)) &
				((1u << (top - height)) - 1);

			if (height == w->height && w->self)
				w->path[w->n++] = row[pos];
			if ((pos ^ 1) < n)
				w->path[w->n++] = row[pos ^ 1];
		}
		if (n > 1 && (status = fold(w->tree->hasher, row, &n)) != PV_OK)
			return status;
	}
	return PV_OK;
}

static pv_status
walk_level(walk *w, unsigned level)
{
	pv_hash		row[PV_TILE_WIDTH];
	uint64_t	stored = w->size >> (level * PV_TILE_HEIGHT);
	uint64_t	last = stored / PV_TILE_WIDTH;
	unsigned	n = (unsigned) (stored % PV_TILE_WIDTH);
	bool		path_here = w->path != NULL && level >= w->height / PV_TILE_HEIGHT;
	uint64_t	tile = 0;
	pv_status	status;

	if (path_here)
	{
		unsigned	up = (level + 1) * PV_TILE_HEIGHT - w->height;

		/* up is 1..64, the latter for a leaf seen from the top level */
		tile = up < 64 ? w->index >> up : 0;
		if (tile != last)
		{
			status = w->tree->read(w->tree->arg, level, tile * PV_TILE_WIDTH, PV_TILE_WIDTH, row);
			if (status != PV_OK)
				return status;
			status = reduce(w, level, row, PV_TILE_WIDTH, true);
			if (status != PV_OK)
				return status;
		}
	}

	if (n > 0)
	{
		status = w->tree->read(w->tree->arg, level, last * PV_TILE_WIDTH, n, row);
		if (status != PV_OK)
			return status;
	}
	if (w->has_edge)
		row[n++] = w->edge;
	if (n > 0)
	{
		status = reduce(w, level, row, n, path_here && tile == last);
		if (status != PV_OK)
			return status;
		w->edge = row[0];
		w->has_edge = true;
	}
	return PV_OK;
}

/* Size 1..PV_MAX_TREE. Afterwards w->edge is the root. */
static pv_status
walk_tree(walk *w)
{
	unsigned	level;

	for (level = 0; level < 64 / PV_TILE_HEIGHT && (w->size >> (level * PV_TILE_HEIGHT)) > 0; level++)
	{
		pv_status	status = walk_level(w, level);

		if (status != PV_OK)
			return status;
	}
	return PV_OK;
}

pv_status
pv_tree_root(const pv_tree *t, uint64_t size, pv_hash *out)
{
	walk		w = {.tree = t, .size = size};
	pv_status	status;

	if (size > PV_MAX_TREE)
		return PV_E_INDEX;
	if (size == 0)
	{
		*out = pv_empty_root;
		return PV_OK;
	}
	status = walk_tree(&w);
	if (status == PV_OK)
		*out = w.edge;
	return status;
}

pv_status
pv_tree_inclusion(const pv_tree *t, uint64_t index, uint64_t size, pv_hash *path, unsigned *n)
{
	walk		w = {.tree = t, .size = size, .index = index, .path = path};
	pv_status	status;

	*n = 0;
	if (size > PV_MAX_TREE || index >= size)
		return PV_E_INDEX;
	status = walk_tree(&w);
	if (status == PV_OK)
		*n = w.n;
	return status;
}

pv_status
pv_tree_consistency(const pv_tree *t, uint64_t first, uint64_t second, pv_hash *path, unsigned *n)
{
	walk		w = {.tree = t, .size = second, .path = path};
	pv_status	status;

	*n = 0;
	if (second > PV_MAX_TREE || first > second)
		return PV_E_INDEX;
	if (first == 0 || first == second)
		return PV_OK;

	/* the last perfect subtree of the first tree ends at leaf first - 1 */
	while (((first >> w.height) & 1) == 0)
		w.height++;
	w.index = (first >> w.height) - 1;
	w.self = w.index != 0;

	status = walk_tree(&w);
	if (status == PV_OK)
		*n = w.n;
	return status;
}
