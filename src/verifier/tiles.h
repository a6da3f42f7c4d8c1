/*
 * tiles.h: the files of a log (C2SP tlog-tiles), as the program reads them.
 */
#ifndef VERIFIER_TILES_H
#define VERIFIER_TILES_H

#include "core/leaf.h"
#include "core/tile.h"
#include "verifier/report.h"

#define TILE_PATH_LIMIT 4096	/* of a whole path */
#define BUNDLE_STRIDE (2 + PV_LEAF_LEN)
#define TILE_FILE_MAX (PV_TILE_WIDTH * BUNDLE_STRIDE)
#define TILE_ENTRIES (-1)		/* the "level" of leaves */

/* A file of exactly len bytes. */
extern Verdict tile_read(const char *dir, const char *name, size_t len, uint8_t *out, Fault *f);

/*
 * Every file below tile/ is one that a log of this size has, or had when it
 * was smaller, and the latter is how the newer one begins.
 */
extern Verdict tile_check_others(const char *dir, uint64_t size, Fault *f);

#endif							/* VERIFIER_TILES_H */
