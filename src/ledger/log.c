/*-------------------------------------------------------------------------
 *
 * log.c
 *	  Reading the sealed log: leaves, their entries, the stored tree.
 *
 * Everything here is written once, so any snapshot sees a prefix of the log;
 * no lock beyond AccessShareLock for the time of a look-up is needed. A run
 * that cannot be decoded, or that contradicts its neighbours, is reported by
 * the return value: verification makes a finding of it.
 *
 * The run read last is kept, as whoever asks for one leaf often asks for the
 * next; so is the block of the map from entries to leaves. A hash that the
 * tree needs at level 0 comes without decoding the map of its run.
 *
 * Memory: a ProvLog lives in the memory context current at prov_log_open().
 * Its snapshot is registered until prov_log_close() or prov_log_pause(), or the
 * end of the resource owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/head_block.h"
#include "ledger/log.h"
#include "types/types.h"

struct ProvLog
{
	Snapshot	snapshot;
	bool		registered;
	int64		size;			/* -1: not read yet */
	pv_tree		tree;

	/* the run read last; count 0: none */
	int64		run_first;
	int			run_count;
	bool		run_ok;
	ProvLeafRef run[PROV_RUN_MAX];

	/* the block of seqs read last */
	bool		have_block;
	int64		block;
	int64		block_leaves[PROV_BLOCK_SEQS];	/* -1: not sealed */
};

struct ProvRunScan
{
	ProvLog    *log;
	ProvScan	scan;
	int64		from_leaf;
};

static pv_status read_hashes(void *arg, unsigned level, uint64_t first, unsigned count, pv_hash *out);

ProvLog *
prov_log_open(Snapshot snapshot)
{
	ProvLog    *log = palloc0(sizeof(ProvLog));

	prov_log_resume(log, snapshot);
	log->size = -1;
	log->tree.hasher = prov_hasher();
	log->tree.read = read_hashes;
	log->tree.arg = log;
	return log;
}

void
prov_log_resume(ProvLog *log, Snapshot snapshot)
{
	if (snapshot == NULL)
		snapshot = prov_latest_snapshot();
	log->registered = IsMVCCSnapshot(snapshot);
	log->snapshot = log->registered ? RegisterSnapshot(snapshot) : snapshot;
}

void
prov_log_pause(ProvLog *log)
{
	if (log->registered)
		UnregisterSnapshot(log->snapshot);
	log->registered = false;
	log->snapshot = NULL;
}

void
prov_log_close(ProvLog *log)
{
	prov_log_pause(log);
	if (log->tree.folded != NULL)
		pfree(log->tree.folded);
	pfree(log);
}

Snapshot
prov_log_snapshot(ProvLog *log)
{
	return log->snapshot;
}

void
prov_log_keep_tiles(ProvLog *log)
{
	pv_folded  *folded = MemoryContextAlloc(GetMemoryChunkContext(log), sizeof(pv_folded) * PV_FOLDED_TILES);
	int			i;

	for (i = 0; i < PV_FOLDED_TILES; i++)
		folded[i].n = 0;
	log->tree.folded = folded;
}

int64
prov_log_size(ProvLog *log)
{
	if (log->size < 0)
	{
		ProvSealState state;

		prov_seal_state(log->snapshot, &state);
		log->size = Max(state.log_size, 0);
	}
	return log->size;
}

pv_tree *
prov_log_tree(ProvLog *log)
{
	return &log->tree;
}

/* ---- runs ---- */

/*
 * First leaf and count of a run, and its hashes if they are as long as they
 * should be (else NULL). The bytes point into *hold, which the caller pfrees
 * if it is not NULL.
 */
static const uint8 *
run_hashes(HeapTuple tup, int64 *first, int *count, void **hold)
{
	TupleDesc	desc = prov_tupdesc(PROV_LEAF_RUN);
	bool		null_first,
				null_count,
				null_hashes;
	Datum		d;
	struct varlena *v;

	*first = DatumGetInt64(heap_getattr(tup, A_RUN_FIRST, desc, &null_first));
	*count = DatumGetInt16(heap_getattr(tup, A_RUN_COUNT, desc, &null_count));
	d = heap_getattr(tup, A_RUN_HASHES, desc, &null_hashes);
	*hold = NULL;
	if (null_first || null_count)
		*count = 0;
	if (null_hashes || *count < 1 || *count > PROV_RUN_MAX)
		return NULL;
	v = PG_DETOAST_DATUM_PACKED(d);
	if ((Pointer) v != DatumGetPointer(d))
		*hold = v;
	if (VARSIZE_ANY_EXHDR(v) != *count * PV_HASH_LEN)
		return NULL;
	return (const uint8 *) VARDATA_ANY(v);
}

static bool
decode_run(HeapTuple tup, int64 *first, int *count, ProvLeafRef *refs)
{
	TupleDesc	desc = prov_tupdesc(PROV_LEAF_RUN);
	void	   *hold;
	const uint8 *hashes = run_hashes(tup, first, count, &hold);
	bool		isnull;
	Datum		d = heap_getattr(tup, A_RUN_MAP, desc, &isnull);
	bool		ok = false;
	int			i;

	if (hashes != NULL && !isnull)
	{
		struct varlena *map = PG_DETOAST_DATUM_PACKED(d);

		ok = prov_run_decode(*first, *count, (const uint8 *) VARDATA_ANY(map),
							 VARSIZE_ANY_EXHDR(map), refs);
		for (i = 0; ok && i < *count; i++)
			memcpy(refs[i].hash.b, hashes + i * PV_HASH_LEN, PV_HASH_LEN);
		if ((Pointer) map != DatumGetPointer(d))
			pfree(map);
	}
	if (hold != NULL)
		pfree(hold);
	return ok;
}

/* Runs whose first leaf is in [from, until). */
static void
scan_runs(ProvScan *scan, Snapshot snapshot, int64 from, int64 until)
{
	ScanKeyData keys[2];

	prov_key_init(&keys[0], PROV_LEAF_RUN, A_RUN_FIRST, BTGreaterEqualStrategyNumber,
				  Int64GetDatum(Max(from, 0)));
	prov_key_init(&keys[1], PROV_LEAF_RUN, A_RUN_FIRST, BTLessStrategyNumber, Int64GetDatum(until));
	prov_scan_begin_ordered(scan, PROV_LEAF_RUN, snapshot, 2, keys);
}

bool
prov_log_leaf(ProvLog *log, int64 leaf, ProvLeafRef *out)
{
	if (leaf < 0 || leaf == PG_INT64_MAX)
		return false;
	if (log->run_count == 0 || leaf < log->run_first || leaf >= log->run_first + log->run_count)
	{
		ProvScan	scan;
		HeapTuple	tup;

		log->run_count = 0;
		scan_runs(&scan, log->snapshot, leaf - PROV_RUN_MAX + 1, leaf + 1);
		tup = prov_scan_next(&scan, BackwardScanDirection);
		if (HeapTupleIsValid(tup))
			log->run_ok = decode_run(tup, &log->run_first, &log->run_count, log->run);
		prov_scan_end(&scan);
	}
	if (log->run_count == 0 || !log->run_ok ||
		leaf < log->run_first || leaf >= log->run_first + log->run_count)
		return false;
	*out = log->run[leaf - log->run_first];
	return true;
}

ProvRunScan *
prov_run_scan_open(ProvLog *log, int64 from_leaf)
{
	ProvRunScan *rs = palloc0(sizeof(ProvRunScan));

	rs->log = log;
	rs->from_leaf = Max(from_leaf, 0);
	scan_runs(&rs->scan, log->snapshot, rs->from_leaf - PROV_RUN_MAX + 1, PG_INT64_MAX);
	return rs;
}

bool
prov_run_scan_next(ProvRunScan *rs, int64 *first_leaf, int *count, ProvLeafRef *refs, bool *ok)
{
	HeapTuple	tup;

	while (HeapTupleIsValid(tup = prov_scan_next(&rs->scan, ForwardScanDirection)))
	{
		*ok = decode_run(tup, first_leaf, count, refs);
		if (*ok && *first_leaf + *count <= rs->from_leaf)
			continue;
		return true;
	}
	return false;
}

void
prov_run_scan_close(ProvRunScan *rs)
{
	prov_scan_end(&rs->scan);
	pfree(rs);
}

/* ---- the tree ---- */

static pv_status
read_leaf_hashes(ProvLog *log, int64 first, unsigned count, pv_hash *out)
{
	ProvScan	scan;
	HeapTuple	tup;
	int64		next = first;

	scan_runs(&scan, log->snapshot, first - PROV_RUN_MAX + 1, first + count);
	while (next < first + count && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		void	   *hold;
		int64		run_first;
		int			run_count;
		const uint8 *hashes = run_hashes(tup, &run_first, &run_count, &hold);

		if (hashes != NULL && run_first <= next && run_first + run_count > next)
		{
			int			skip = (int) (next - run_first);
			int			take = Min(run_count - skip, (int) (first + count - next));

			memcpy(&out[next - first], hashes + skip * PV_HASH_LEN, take * PV_HASH_LEN);
			next += take;
		}
		if (hold != NULL)
			pfree(hold);
	}
	prov_scan_end(&scan);
	return next == first + count ? PV_OK : PV_E_STORAGE;
}

static pv_status
read_hashes(void *arg, unsigned level, uint64_t first, unsigned count, pv_hash *out)
{
	ProvLog    *log = arg;
	TupleDesc	desc = prov_tupdesc(PROV_TREE_NODE);
	ScanKeyData keys[3];
	ProvScan	scan;
	HeapTuple	tup;
	uint64		next = first;

	if (first > PV_MAX_TREE - count)
		return PV_E_STORAGE;
	if (level == 0)
		return read_leaf_hashes(log, (int64) first, count, out);

	prov_key_init(&keys[0], PROV_TREE_NODE, A_NODE_LEVEL, BTEqualStrategyNumber, Int16GetDatum((int16) level));
	prov_key_init(&keys[1], PROV_TREE_NODE, A_NODE_INDEX, BTGreaterEqualStrategyNumber, Int64GetDatum((int64) first));
	prov_key_init(&keys[2], PROV_TREE_NODE, A_NODE_INDEX, BTLessStrategyNumber, Int64GetDatum((int64) (first + count)));
	prov_scan_begin_ordered(&scan, PROV_TREE_NODE, log->snapshot, 3, keys);
	while (next < first + count && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		null_index,
					null_hash;
		int64		index = DatumGetInt64(heap_getattr(tup, A_NODE_INDEX, desc, &null_index));
		Datum		hash = heap_getattr(tup, A_NODE_HASH, desc, &null_hash);

		if (null_index || null_hash || (uint64) index != next)
			break;
		out[next - first] = *DatumGetHashP(hash);
		next++;
	}
	prov_scan_end(&scan);
	return next == first + count ? PV_OK : PV_E_STORAGE;
}

/* ---- entries and heads ---- */

void
prov_seq_block_read(int64 block, Snapshot snapshot, int64 out[PROV_BLOCK_SEQS])
{
	TupleDesc	desc = prov_tupdesc(PROV_SEQ_BLOCK);
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;

	memset(out, 0xFF, sizeof(int64) * PROV_BLOCK_SEQS);
	prov_key_init(&key, PROV_SEQ_BLOCK, A_BLOCK_BLOCK, BTEqualStrategyNumber, Int64GetDatum(block));
	prov_scan_begin(&scan, PROV_SEQ_BLOCK, prov_pkey(PROV_SEQ_BLOCK), snapshot, 1, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		null_first,
					null_map;
		int64		first = DatumGetInt64(heap_getattr(tup, A_BLOCK_FIRST, desc, &null_first));
		Datum		d = heap_getattr(tup, A_BLOCK_MAP, desc, &null_map);
		int64		leaves[PROV_BLOCK_SEQS];
		struct varlena *map;
		int			i;

		if (null_first || null_map)
			continue;
		memset(leaves, 0xFF, sizeof(leaves));
		map = PG_DETOAST_DATUM_PACKED(d);
		if (prov_block_decode(first, (const uint8 *) VARDATA_ANY(map), VARSIZE_ANY_EXHDR(map), leaves))
			for (i = 0; i < PROV_BLOCK_SEQS; i++)
				if (out[i] < 0)
					out[i] = leaves[i];
		if ((Pointer) map != DatumGetPointer(d))
			pfree(map);
	}
	prov_scan_end(&scan);
}

int64
prov_log_leaf_of_seq(ProvLog *log, int64 seq)
{
	if (seq < 0)
		return -1;
	if (!log->have_block || log->block != seq / PROV_BLOCK_SEQS)
	{
		log->have_block = false;	/* should this fail */
		log->block = seq / PROV_BLOCK_SEQS;
		prov_seq_block_read(log->block, log->snapshot, log->block_leaves);
		log->have_block = true;
	}
	return log->block_leaves[seq % PROV_BLOCK_SEQS];
}

bool
prov_log_entry_by_seq(ProvLog *log, int64 seq, bool want_image, ProvEntry *out, int64 *leaf)
{
	ProvLeafRef ref;

	*leaf = prov_log_leaf_of_seq(log, seq);
	if (*leaf < 0)
		return prov_unsealed_find(log->snapshot, seq, want_image, out);
	return prov_log_leaf(log, *leaf, &ref) && ref.seq == seq &&
		prov_entry_fetch(ref.xid, seq, log->snapshot, want_image, out);
}

int64
prov_log_head(ProvLog *log, const uint8 row_id[PV_ROW_ID_LEN], int32 table_id, pv_hash *hash)
{
	HeapTuple	tup;
	bool		isnull;
	Datum		d;
	ProvHead	head;
	int64		truncated = -1;

	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(table_id), log->snapshot);
	if (HeapTupleIsValid(tup))
	{
		d = heap_getattr(tup, A_THEAD_TRUNCATED, prov_tupdesc(PROV_TABLE_HEAD), &isnull);
		if (!isnull)
			truncated = DatumGetInt64(d);
		heap_freetuple(tup);
	}

	if (!prov_head_fetch(row_id, log->snapshot, &head) || head.last_leaf <= truncated)
		return -1;
	if (hash != NULL)
		*hash = head.hash;
	return head.last_leaf;
}
