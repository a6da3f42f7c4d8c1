/*-------------------------------------------------------------------------
 *
 * merge_walk.c
 *	  A merge as it is stored, from its first leaf to the end of its log.
 *
 * What is stored of a merge are the hashes between its entries (merged_path,
 * doc/architecture.md has the encoding), and the leaf hashes of the entries.
 * In order they give the root of the log at the merge's checkpoint, and on the
 * way the inclusion path of any entry. Whoever walks says what for: prove_merged()
 * collects a path, verify() the root.
 *
 * Nothing of it is trusted: chunks that do not decode, gaps of another length
 * and leaves that are gone end the walk.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"

#include "core/bytes.h"
#include "core/merkle.h"
#include "ledger/merged.h"
#include "types/types.h"

#define SKIP_MAX 64				/* leaves of other merges passed over, before looking up is cheaper */

typedef struct MergeWalk
{
	const ProvMergeWalker *walker;
	void	   *arg;
	uint64		size;			/* of the log */
	uint64		pos;			/* the next leaf */
	bool		ended;			/* the last gap has been */

	/* leaf hashes of the log, asked for in rising order */
	int32		log_id;
	Snapshot	snapshot;
	ProvScan	scan;
	bool		scanning;
	HeapTuple	tup;			/* the row last read; NULL: no more */
} MergeWalk;

static void
scan_from(MergeWalk *w, uint64 index)
{
	ScanKeyData keys[2];

	if (w->scanning)
		prov_scan_end(&w->scan);
	prov_key_init(&keys[0], PROV_MERGED_LEAF, A_MLEAF_LOG, BTEqualStrategyNumber, Int32GetDatum(w->log_id));
	prov_key_init(&keys[1], PROV_MERGED_LEAF, A_MLEAF_INDEX, BTGreaterEqualStrategyNumber, Int64GetDatum((int64) index));
	prov_scan_begin_ordered(&w->scan, PROV_MERGED_LEAF, w->snapshot, 2, keys);
	w->scanning = true;
	w->tup = prov_scan_next(&w->scan, ForwardScanDirection);
}

static bool
find_leaf(MergeWalk *w, uint64 index, pv_hash *hash)
{
	TupleDesc	desc = prov_tupdesc(PROV_MERGED_LEAF);
	bool		isnull;
	Datum		d;

	if (!w->scanning)
		scan_from(w, index);
	for (int skipped = 0; w->tup != NULL; skipped++)
	{
		if ((uint64) DatumGetInt64(heap_getattr(w->tup, A_MLEAF_INDEX, desc, &isnull)) >= index)
			break;
		if (skipped == SKIP_MAX)
			scan_from(w, index);
		else
			w->tup = prov_scan_next(&w->scan, ForwardScanDirection);
	}
	if (w->tup == NULL || (uint64) DatumGetInt64(heap_getattr(w->tup, A_MLEAF_INDEX, desc, &isnull)) != index)
		return false;
	d = heap_getattr(w->tup, A_MLEAF_HASH, desc, &isnull);
	if (!isnull)
		*hash = *DatumGetHashP(d);
	return !isnull;
}

static bool
walk_chunk(MergeWalk *w, bytea *chunk)
{
	pv_reader	r;

	pv_reader_init(&r, VARDATA_ANY(chunk), VARSIZE_ANY_EXHDR(chunk));
	while (r.pos < r.len)
	{
		uint64		index = pv_get_u64(&r);
		unsigned	n = pv_get_u8(&r);
		const uint8_t *bytes = pv_get_bytes(&r, n * PV_HASH_LEN);
		bool		last = index == PG_UINT64_MAX;
		uint64		to = last ? w->size : index;
		pv_hash		gap[256];
		pv_hash		hash;

		if (bytes == NULL || w->ended || to < w->pos || (!last && index >= w->size) || pv_gap_count(w->pos, to) != n)
			return false;
		memcpy(gap, bytes, n * PV_HASH_LEN);
		w->walker->gap(w->arg, to, gap, n);
		w->pos = to;
		w->ended = last;
		if (last)
			continue;
		if (!find_leaf(w, index, &hash))
			return false;
		w->walker->leaf(w->arg, &hash);
		w->pos++;
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

bool
prov_merge_walk(int32 log_id, int64 merge_id, uint64 size, Snapshot snapshot, const ProvMergeWalker *walker, void *arg)
{
	MergeWalk	w = {.walker = walker, .arg = arg, .size = size, .log_id = log_id, .snapshot = snapshot};
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	bool		good = size <= PV_MAX_TREE;

	prov_key_init(&key, PROV_MERGED_PATH, A_MPATH_MERGE, BTEqualStrategyNumber, Int64GetDatum(merge_id));
	prov_scan_begin_ordered(&scan, PROV_MERGED_PATH, snapshot, 1, &key);
	while (good && (tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		d = heap_getattr(tup, A_MPATH_PATH, prov_tupdesc(PROV_MERGED_PATH), &isnull);
		bytea	   *chunk;

		if (isnull)
			break;
		chunk = DatumGetByteaPP(d);
		good = walk_chunk(&w, chunk);
		if ((Pointer) chunk != DatumGetPointer(d))
			pfree(chunk);
	}
	prov_scan_end(&scan);
	if (w.scanning)
		prov_scan_end(&w.scan);
	return good && w.ended;
}
