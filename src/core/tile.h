/*
 * tile.h: the layout of C2SP tlog-tiles: which tiles a tree of a size has, and
 * what they are called.
 */
#ifndef PV_TILE_H
#define PV_TILE_H

#include "bytes.h"
#include "merkle.h"

#define PV_TILE_MAX_LEVEL 7		/* 256^8 leaves exceed PV_MAX_TREE */
#define PV_TILE_PATH_MAX 64		/* bytes of the longest path, NUL included */

/* Number of full tiles of a level in a tree of `size` leaves. */
extern uint64_t pv_tile_full(uint64_t size, unsigned level);

/* Width of the partial tile of a level: 0 (none) to 255. */
extern unsigned pv_tile_partial(uint64_t size, unsigned level);

/*
 * "tile/<L>/<N>" or, for a width of 1..255, "tile/<L>/<N>.p/<W>"; level -1 is
 * "tile/entries/…". Width 256 is the full tile. Writes a terminated string of
 * less than PV_TILE_PATH_MAX bytes. PV_E_INDEX for a level, index or width
 * that cannot be.
 */
extern pv_status pv_tile_path(int level, uint64_t index, unsigned width, char out[PV_TILE_PATH_MAX]);

#endif							/* PV_TILE_H */
