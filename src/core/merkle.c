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
 * is read once. At most 8 levels, 16 reads, 16 kB of stack.
 *
 * Nearly all the work of a path is folding tiles (255 hashes each), so they
 * can be kept: a full tile never changes, the right edge is that of one size.
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

/* The row of a folded tile at height `up` above its lowest. */
static pv_hash *
row_at(pv_folded *f, unsigned up)
{
	return &f->nodes[2 * PV_TILE_WIDTH - (2 * PV_TILE_WIDTH >> up)];
}

static unsigned
row_length(const pv_folded *f, unsigned up)
{
	return (f->n + (1u << up) - 1) >> up;
}

/* Fills the rows above the lowest; an odd last node is passed up. */
static pv_status
fold(pv_hasher *h, pv_folded *f)
{
	unsigned	up;

	for (up = 0; up < PV_TILE_HEIGHT; up++)
	{
		const pv_hash *row = row_at(f, up);
		pv_hash    *above = row_at(f, up + 1);
		unsigned	n = row_length(f, up);
		unsigned	i;

		for (i = 0; i + 1 < n; i += 2)
		{
			pv_status	status = pv_node_hash(h, &row[i], &row[i + 1], &above[i / 2]);

			if (status != PV_OK)
				return status;
		}
		if (n % 2 == 1)
			above[n / 2] = row[n - 1];
	}
	return PV_OK;
}

/*
 * Where a tile is kept. The right edge, the levels from 2 up, level 0 and
 * level 1 have places of their own: a path goes through one tile of each
 * level, which must not push each other out.
 */
static pv_folded *
place_of(const pv_tree *t, unsigned level, uint64_t tile, uint64_t size)
{
	if (size != 0)
		return &t->folded[level];
	if (level >= 2)
		return &t->folded[8 + level];
	if (level == 0)
		return &t->folded[16 + tile % 8];
	return &t->folded[24 + tile % (PV_FOLDED_TILES - 24)];
}

/*
 * A tile of n stored hashes, folded. size 0: a full one; else the last of the
 * level, to which the edge of the level below belongs. *f is where to put it;
 * if tiles are kept, it comes back as the place where this one is.
 */
static pv_status
folded_tile(walk *w, unsigned level, uint64_t tile, unsigned n, uint64_t size, pv_folded **f)
{
	pv_folded  *to;
	pv_status	status;

	if (w->tree->folded != NULL)
	{
		*f = place_of(w->tree, level, tile, size);
		if ((*f)->n > 0 && (*f)->level == level && (*f)->tile == tile && (*f)->size == size)
			return PV_OK;
	}
	to = *f;
	to->n = 0;					/* should this fail */
	if (n > 0)
	{
		status = w->tree->read(w->tree->arg, level, tile * PV_TILE_WIDTH, n, to->nodes);
		if (status != PV_OK)
			return status;
	}
	if (size != 0 && w->has_edge)
		to->nodes[n++] = w->edge;
	to->n = n;
	to->level = level;
	to->tile = tile;
	to->size = size;
	status = fold(w->tree->hasher, to);
	if (status != PV_OK)
		to->n = 0;
	return status;
}

/* Adds the siblings that the path has in this tile. */
static void
add_path(walk *w, pv_folded *f)
{
	unsigned	up;

	for (up = 0; up < PV_TILE_HEIGHT; up++)
	{
		unsigned	height = f->level * PV_TILE_HEIGHT + up;
		const pv_hash *row = row_at(f, up);
		unsigned	pos;

		if (height < w->height)
			continue;
		pos = (unsigned) (w->index >> (height - w->height)) & ((1u << (PV_TILE_HEIGHT - up)) - 1);
		if (height == w->height && w->self)
			w->path[w->n++] = row[pos];
		if ((pos ^ 1) < row_length(f, up))
			w->path[w->n++] = row[pos ^ 1];
	}
}

static pv_status
walk_level(walk *w, unsigned level)
{
	pv_folded	here;
	pv_folded  *f;
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
			f = &here;
			status = folded_tile(w, level, tile, PV_TILE_WIDTH, 0, &f);
			if (status != PV_OK)
				return status;
			add_path(w, f);
		}
	}

	if (n > 0 || w->has_edge)
	{
		f = &here;
		status = folded_tile(w, level, last, n, w->size, &f);
		if (status != PV_OK)
			return status;
		if (path_here && tile == last)
			add_path(w, f);
		w->edge = *row_at(f, PV_TILE_HEIGHT);
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
