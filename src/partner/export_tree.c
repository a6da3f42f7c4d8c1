/*
 * export_tree.c: the stored tree, read a tile at a time.
 *
 * The hashes between the entries of a bundle are asked for in the order of the
 * log, mostly a few of one tile after another. So the tile read last of each
 * level is kept whole: 8 tiles of 256 hashes.
 */
#include "postgres.h"

#include "partner/export.h"

#define LEVELS 8
#define TILE_WIDTH 256

typedef struct Tile
{
	uint64		index;
	unsigned	count;			/* 0: not read yet */
	pv_hash		hashes[TILE_WIDTH];
} Tile;

typedef struct ExportTree
{
	pv_tree		tree;
	const pv_tree *stored;
	uint64		size;
	Tile		tiles[LEVELS];
} ExportTree;

static pv_status
read_hashes(void *arg, unsigned level, uint64_t first, unsigned count, pv_hash *out)
{
	ExportTree *t = arg;
	uint64		index = first / TILE_WIDTH;
	unsigned	offset = first % TILE_WIDTH;
	Tile	   *tile;

	if (level >= LEVELS || offset + count > TILE_WIDTH)
		return t->stored->read(t->stored->arg, level, first, count, out);
	tile = &t->tiles[level];
	if (tile->count == 0 || tile->index != index)
	{
		uint64		complete = t->size >> (8 * level);
		pv_status	status;

		if (complete < first + count)
			return PV_E_STORAGE;
		tile->count = 0;
		tile->index = index;
		status = t->stored->read(t->stored->arg, level, index * TILE_WIDTH,
								 (unsigned) Min(complete - index * TILE_WIDTH, TILE_WIDTH), tile->hashes);
		if (status != PV_OK)
			return status;
		tile->count = (unsigned) Min(complete - index * TILE_WIDTH, TILE_WIDTH);
	}
	if (offset + count > tile->count)
		return PV_E_STORAGE;
	memcpy(out, &tile->hashes[offset], count * sizeof(pv_hash));
	return PV_OK;
}

pv_tree *
export_tree(ProvLog *log, int64 size)
{
	ExportTree *t = palloc0(sizeof(ExportTree));

	t->stored = prov_log_tree(log);
	t->size = (uint64) size;
	t->tree.hasher = t->stored->hasher;
	t->tree.read = read_hashes;
	t->tree.arg = t;
	return &t->tree;
}
