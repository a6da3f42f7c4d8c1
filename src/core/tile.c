/*
 * tile.c: the layout of C2SP tlog-tiles.
 *
 * Level l holds the roots of the complete subtrees of 256^l leaves, 256 to a
 * tile, so a tree of `size` leaves has size / 256^l hashes at level l. A tile
 * that no tree of at most PV_MAX_TREE leaves has gets no name.
 */
#include "tile.h"

/* Hashes of a level; level is at most PV_TILE_MAX_LEVEL. */
static uint64_t
level_hashes(uint64_t size, unsigned level)
{
	return size >> (level * PV_TILE_HEIGHT);
}

uint64_t
pv_tile_full(uint64_t size, unsigned level)
{
	if (level > PV_TILE_MAX_LEVEL)
		return 0;
	return level_hashes(size, level) / PV_TILE_WIDTH;
}

unsigned
pv_tile_partial(uint64_t size, unsigned level)
{
	if (level > PV_TILE_MAX_LEVEL)
		return 0;
	return (unsigned) (level_hashes(size, level) % PV_TILE_WIDTH);
}

/* Three digits; a zero-padded group of the index. */
static void
put_group(pv_buf *b, unsigned group)
{
	pv_put_u8(b, (uint8_t) ('0' + group / 100));
	pv_put_u8(b, (uint8_t) ('0' + group / 10 % 10));
	pv_put_u8(b, (uint8_t) ('0' + group % 10));
}

pv_status
pv_tile_path(int level, uint64_t index, unsigned width, char out[PV_TILE_PATH_MAX])
{
	pv_buf		b;
	uint64_t	hashes;
	uint64_t	scale = 1;

	if (level < -1 || level > PV_TILE_MAX_LEVEL || width < 1 || width > PV_TILE_WIDTH)
		return PV_E_INDEX;
	hashes = level_hashes(PV_MAX_TREE, level < 0 ? 0 : (unsigned) level);
	if (index > hashes / PV_TILE_WIDTH ||
		(index == hashes / PV_TILE_WIDTH && width > hashes % PV_TILE_WIDTH))
		return PV_E_INDEX;

	pv_buf_init(&b, out, PV_TILE_PATH_MAX);
	pv_put_str(&b, "tile/");
	if (level < 0)
		pv_put_str(&b, "entries");
	else
		pv_put_decimal(&b, (uint64_t) level);
	pv_put_str(&b, "/");

	/* groups of three digits, all but the last marked with an x */
	while (index / scale >= 1000)
		scale *= 1000;
	for (; scale > 1; scale /= 1000)
	{
		pv_put_str(&b, "x");
		put_group(&b, (unsigned) (index / scale % 1000));
		pv_put_str(&b, "/");
	}
	put_group(&b, (unsigned) (index % 1000));

	if (width < PV_TILE_WIDTH)
	{
		pv_put_str(&b, ".p/");
		pv_put_decimal(&b, width);
	}
	pv_put_u8(&b, 0);
	return pv_buf_status(&b);
}
