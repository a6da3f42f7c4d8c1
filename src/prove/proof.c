/*
 * proof.c: leaves, inclusion and consistency proofs, tiles.
 *
 * A log can be audited only if it is public: leaves, hashes and proofs hold no
 * value, no key and no name, so any user may call these functions. Everything
 * is computed from the stored tree, never from the entries, so that a proof
 * says what was signed and not what the entries look like now; only leaf()
 * rebuilds its bytes from the entry.
 *
 * All of it reads under the latest snapshot, whatever the caller's isolation
 * level: the log only grows, and a checkpoint that seal() has just returned
 * must be provable in the transaction that asked for it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "prove/prove.h"
#include "types/types.h"

#include "core/tile.h"

PG_FUNCTION_INFO_V1(provenance_leaf);
PG_FUNCTION_INFO_V1(provenance_prove);
PG_FUNCTION_INFO_V1(provenance_prove_consistency);
PG_FUNCTION_INFO_V1(provenance_tile);

void
prove_log_damaged(int64 leaf)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the stored log is damaged at leaf %lld", (long long) leaf),
			 errhint("SELECT * FROM provenance.verify_log() says more.")));
}

/* The leaf index of an entry; an error for one that does not exist or is not sealed. */
int64
prove_sealed_leaf(ProvLog *log, int64 seq)
{
	int64		leaf = prov_log_leaf_of_seq(log, seq);
	ProvEntry	entry;

	if (leaf >= 0)
		return leaf;
	if (!prov_log_entry_by_seq(log, seq, false, &entry, &leaf))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no entry %lld", (long long) seq)));
	if (leaf < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("entry %lld is not sealed yet", (long long) seq),
				 errhint("SELECT provenance.seal() seals what is committed.")));
	return leaf;
}

/* leaf(seq bigint) */
Datum
provenance_leaf(PG_FUNCTION_ARGS)
{
	int64		seq = PG_GETARG_INT64(0);
	ProvLog    *log = prov_log_open(NULL);
	int64		index = prove_sealed_leaf(log, seq);
	ProvLeafRef ref;
	ProvLeafRef prev;
	ProvEntry	entry;
	pv_leaf		leaf;
	bytea	   *result = palloc(VARHDRSZ + PV_LEAF_LEN);

	if (!prov_log_leaf(log, index, &ref) ||
		(ref.prev_leaf >= 0 && !prov_log_leaf(log, ref.prev_leaf, &prev)) ||
		!prov_entry_fetch(ref.xid, ref.seq, NULL, false, &entry))
		prove_log_damaged(index);
	prov_log_close(log);

	prov_entry_leaf(&entry, ref.prev_leaf >= 0 ? &prev.hash : NULL, &leaf);
	SET_VARSIZE(result, VARHDRSZ + PV_LEAF_LEN);
	pv_leaf_encode(&leaf, (uint8_t *) VARDATA(result));
	PG_RETURN_BYTEA_P(result);
}

Datum
prove_checkpoint(int64 size, int64 *found_size, int *incarnation)
{
	return prove_checkpoint_seen(NULL, size, found_size, incarnation);
}

Datum
prove_checkpoint_seen(Snapshot snapshot, int64 size, int64 *found_size, int *incarnation)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	ProvScan	scan;
	ScanKeyData key;
	HeapTuple	tup;
	Datum		note = (Datum) 0;

	/* the primary key is (incarnation, size): the newest comes last */
	prov_key_init(&key, PROV_CHECKPOINT_NOTE, A_CP_SIZE, BTEqualStrategyNumber, Int64GetDatum(size));
	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_NOTE, snapshot, size < 0 ? 0 : 1, &key);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tup))
	{
		bool		isnull;
		Datum		d = heap_getattr(tup, A_CP_NOTE, desc, &isnull);

		if (!isnull)
		{
			size_t		len;
			const char *bytes = checkpoint_bytes(d, &len);

			note = checkpoint_to_datum(bytes, len);
		}
		d = heap_getattr(tup, A_CP_SIZE, desc, &isnull);
		*found_size = isnull ? 0 : DatumGetInt64(d);
		d = heap_getattr(tup, A_CP_INCARNATION, desc, &isnull);
		if (incarnation != NULL)
			*incarnation = isnull ? 0 : DatumGetInt32(d);
	}
	prov_scan_end(&scan);
	return note;
}

char *
prove_make_proof(ProveKept *kept, int64 seq, int64 asked_size, size_t *prooflen)
{
	bool		newest = asked_size == PROVE_NEWEST;
	int64		wanted = newest ? -1 : asked_size;
	int64		size = 0;
	int64		leaf;
	ProvLog    *log;
	Datum		note;
	const char *bytes;
	size_t		len;
	pv_hash		path[PV_MAX_PATH];
	unsigned	npath;
	size_t		cap;
	char	   *proof;
	pv_buf		b;

	/* The checkpoint first: the log as read after it has all its leaves. */
	if (kept != NULL)
	{
		log = prove_kept_begin(kept);
		note = newest || asked_size >= 0 ? prove_kept_checkpoint(kept, wanted, &size) : (Datum) 0;
	}
	else
	{
		note = newest || asked_size >= 0 ? prove_checkpoint(wanted, &size, NULL) : (Datum) 0;
		log = prov_log_open(NULL);
	}

	leaf = prove_sealed_leaf(log, seq);
	if (newest)
	{
		if (note == (Datum) 0 || leaf >= size)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("entry %lld is sealed, but no checkpoint covers it yet", (long long) seq),
					 errdetail("Its leaf index is %lld.", (long long) leaf),
					 errhint("SELECT provenance.seal() publishes a checkpoint.")));
	}
	else
	{
		if (note == (Datum) 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("there is no checkpoint of size %lld", (long long) asked_size),
					 errhint("The view provenance.checkpoints lists them.")));
		if (leaf >= size)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("entry %lld is not in the checkpoint of size %lld", (long long) seq, (long long) size),
					 errdetail("Its leaf index is %lld.", (long long) leaf)));
	}

	prov_check(pv_tree_inclusion(prov_log_tree(log), leaf, size, path, &npath));
	if (kept != NULL)
		prove_kept_end(kept);
	else
		prov_log_close(log);

	bytes = checkpoint_bytes(note, &len);
	/* the two lines at the head, then 44 digits of base64 and a newline per hash */
	cap = len + 128 + npath * 48;
	proof = palloc(cap);
	pv_buf_init(&b, proof, cap);
	pv_put_proof(&b, leaf, path, npath, bytes, len);
	prov_check(pv_buf_status(&b));
	*prooflen = b.len;
	return proof;
}

/* prove(seq bigint, size bigint DEFAULT NULL) */
Datum
provenance_prove(PG_FUNCTION_ARGS)
{
	char	   *proof;
	size_t		len;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	proof = prove_make_proof(prove_kept(fcinfo), PG_GETARG_INT64(0),
							 PG_ARGISNULL(1) ? PROVE_NEWEST : Max(PG_GETARG_INT64(1), PROVE_NEWEST + 1), &len);
	PG_RETURN_DATUM(proof_to_datum(proof, len));
}

/* prove_consistency(old_size bigint, new_size bigint) */
Datum
provenance_prove_consistency(PG_FUNCTION_ARGS)
{
	int64		old_size = PG_GETARG_INT64(0);
	int64		new_size = PG_GETARG_INT64(1);
	ProvLog    *log = prov_log_open(NULL);
	int64		log_size = prov_log_size(log);
	pv_hash		path[PV_MAX_PATH];
	unsigned	npath;

	if (old_size < 0 || old_size > new_size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a log does not grow from size %lld to size %lld", (long long) old_size, (long long) new_size)));
	if (new_size > log_size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the log has not reached size %lld", (long long) new_size),
				 errdetail("Its size is %lld.", (long long) log_size)));

	prov_check(pv_tree_consistency(prov_log_tree(log), old_size, new_size, path, &npath));
	prov_log_close(log);
	PG_RETURN_DATUM(hash_array_to_datum(path, npath));
}

void
prove_check_tile(ProvLog *log, int level, int64 index, int width)
{
	int64		size;
	uint64		full;
	unsigned	have;

	if (level < 0 || level > PV_TILE_MAX_LEVEL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tile level %d is out of range", level),
				 errdetail("Tiles of hashes have levels 0 to %d.", PV_TILE_MAX_LEVEL)));
	if (width < 1 || width > PV_TILE_WIDTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tile width %d is out of range", width),
				 errdetail("A tile has 1 to %d hashes.", PV_TILE_WIDTH)));

	size = prov_log_size(log);
	full = pv_tile_full(size, level);
	if (index < 0 || (uint64) index > full)
		have = 0;
	else if ((uint64) index < full)
		have = PV_TILE_WIDTH;
	else
		have = pv_tile_partial(size, level);
	if (have < (unsigned) width)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the log has no tile of level %d, index %lld, width %d", level, (long long) index, width),
				 errdetail("At its size of %lld this tile has %u hashes.", (long long) size, have)));
}

/* tile(level int, index bigint, width int DEFAULT 256) */
Datum
provenance_tile(PG_FUNCTION_ARGS)
{
	int			level = PG_GETARG_INT32(0);
	int64		index = PG_GETARG_INT64(1);
	int			width = PG_GETARG_INT32(2);
	ProvLog    *log;
	pv_tree    *tree;
	pv_hash		hashes[PV_TILE_WIDTH];
	bytea	   *result;

	log = prov_log_open(NULL);
	prove_check_tile(log, level, index, width);
	tree = prov_log_tree(log);
	prov_check(tree->read(tree->arg, level, (uint64) index * PV_TILE_WIDTH, width, hashes));
	prov_log_close(log);

	result = palloc(VARHDRSZ + width * PV_HASH_LEN);
	SET_VARSIZE(result, VARHDRSZ + width * PV_HASH_LEN);
	memcpy(VARDATA(result), hashes, width * PV_HASH_LEN);
	PG_RETURN_BYTEA_P(result);
}
