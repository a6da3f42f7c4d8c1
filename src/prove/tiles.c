/*
 * tiles.c: entry bundles: the leaves of a tile, as C2SP tlog-tiles has them.
 *
 * For each entry two bytes of length, big-endian, and the leaf. Leaves are not
 * stored: they are written down again from the entries, which works for erased
 * ones too, since a leaf holds no value. Each must give the leaf hash that the
 * log holds, so that a bundle is either the one that was signed or an error.
 *
 * Two readers of the log: one that walks from leaf to leaf, one that jumps to
 * predecessors, so that neither loses the run that it has read last. Memory:
 * the caller's context gets what reading an entry leaves behind.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "prove/prove.h"
#include "types/types.h"

#include "core/tile.h"

PG_FUNCTION_INFO_V1(provenance_entry_bundle);

Size
prove_bundle(ProvLog *log, ProvLog *previous, int64 index, int width, uint8 *out)
{
	uint8	   *p = out;
	int			i;

	for (i = 0; i < width; i++)
	{
		int64		index_of_leaf = index * PV_TILE_WIDTH + i;
		ProvLeafRef ref;
		ProvLeafRef prev;
		ProvEntry	entry;
		pv_leaf		leaf;
		pv_hash		hash;

		if (!prov_log_leaf(log, index_of_leaf, &ref) ||
			(ref.prev_leaf >= 0 && !prov_log_leaf(previous, ref.prev_leaf, &prev)) ||
			!prov_entry_fetch(ref.xid, ref.seq, NULL, false, &entry))
			prove_log_damaged(index_of_leaf);
		prov_entry_leaf(&entry, ref.prev_leaf >= 0 ? &prev.hash : NULL, &leaf);

		*p++ = PV_LEAF_LEN >> 8;
		*p++ = PV_LEAF_LEN & 0xFF;
		pv_leaf_encode(&leaf, p);
		prov_check(pv_leaf_hash(prov_hasher(), p, PV_LEAF_LEN, &hash));
		if (!pv_hash_equal(&hash, &ref.hash))
			prove_log_damaged(index_of_leaf);
		p += PV_LEAF_LEN;
	}
	return p - out;
}

/* entry_bundle(index bigint, width int DEFAULT 256) */
Datum
provenance_entry_bundle(PG_FUNCTION_ARGS)
{
	int64		index = PG_GETARG_INT64(0);
	int			width = PG_GETARG_INT32(1);
	ProvLog    *log = prov_log_open(NULL);
	ProvLog    *previous = prov_log_open(NULL);
	bytea	   *result;

	prove_check_tile(log, 0, index, width);
	result = palloc(VARHDRSZ + PROVE_BUNDLE_MAX);
	SET_VARSIZE(result, VARHDRSZ + prove_bundle(log, previous, index, width, (uint8 *) VARDATA(result)));
	prov_log_close(previous);
	prov_log_close(log);
	PG_RETURN_BYTEA_P(result);
}
