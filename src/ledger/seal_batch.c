/*-------------------------------------------------------------------------
 *
 * seal_batch.c
 *	  One batch of the sealer: the entries that are committed and not yet in
 *	  the log get their leaves.
 *
 * One transaction under one snapshot. The snapshot decides what is in the
 * batch and is stored with it (seal_state), so that the next batch is exactly
 * what becomes visible after it: an entry that commits late is never missed,
 * a long transaction never waited for, and no entry gets two places. The
 * entries come in the log's order (order.c); each is linked to the end of its
 * chain (heads.c), hashed, and appended to the tree.
 *
 * What is written: leaf_run, seq_block and tree_node rows, once and for all;
 * heads; the state. Their primary keys refuse a second leaf at one index, should
 * anything ever go wrong with the state. The transaction commits synchronously
 * whatever the server's setting, as the head of the log may be signed right
 * after.
 *
 * The caller holds the sealer's lock. Memory: CHUNK entries at a time, besides
 * the sort and the heads.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "compat.h"
#include "ledger/heads.h"
#include "ledger/order.h"
#include "ledger/seal.h"
#include "ledger/stop_point.h"
#include "types/types.h"

/* Heads are read in the order of their keys: the more at once, the closer they lie. */
#define CHUNK 65536

typedef struct Batch
{
	ProvHeads  *heads;
	pv_frontier frontier;
	ProvWriter	runs;
	ProvWriter	blocks;
	ProvWriter	nodes;
	ProvWriter	entries;		/* surplus candidates are deleted */
	int64		dropped;

	/* the run being filled */
	int			nrun;
	Size		run_bytes;		/* of hashes and map */
	ProvLeafRef run[PROV_RUN_MAX];
} Batch;

typedef struct SeqLeaf
{
	int64		seq;
	int64		leaf;
} SeqLeaf;

/* A bytea in caller's memory of VARHDRSZ + len bytes, already filled. */
static Datum
bytea_in_place(void *v, Size len)
{
	SET_VARSIZE(v, VARHDRSZ + len);
	return PointerGetDatum(v);
}

static pv_status
emit_node(void *arg, unsigned level, uint64_t index, const pv_hash *hash)
{
	Batch	   *batch = arg;
	Datum		values[N_NODE];
	bool		nulls[N_NODE] = {false};

	values[A_NODE_LEVEL - 1] = Int16GetDatum((int16) level);
	values[A_NODE_INDEX - 1] = Int64GetDatum((int64) index);
	values[A_NODE_HASH - 1] = HashPGetDatum(unconstify(pv_hash *, hash));
	prov_insert(&batch->nodes, values, nulls);
	return PV_OK;
}

static void
write_run(Batch *batch)
{
	union
	{
		char		bytes[VARHDRSZ + PROV_RUN_MAP_MAX];
		int32		align;
	}			map;
	union
	{
		char		bytes[VARHDRSZ + PROV_RUN_MAX * PV_HASH_LEN];
		int32		align;
	}			hashes;
	Datum		values[N_RUN];
	bool		nulls[N_RUN] = {false};
	Size		len;
	int			i;

	if (batch->nrun == 0)
		return;
	len = prov_run_encode(batch->run, batch->nrun, (uint8 *) map.bytes + VARHDRSZ, PROV_RUN_MAP_MAX);
	for (i = 0; i < batch->nrun; i++)
		memcpy(hashes.bytes + VARHDRSZ + i * PV_HASH_LEN, batch->run[i].hash.b, PV_HASH_LEN);
	values[A_RUN_FIRST - 1] = Int64GetDatum(batch->run[0].leaf);
	values[A_RUN_COUNT - 1] = Int16GetDatum((int16) batch->nrun);
	values[A_RUN_MAP - 1] = bytea_in_place(map.bytes, len);
	values[A_RUN_HASHES - 1] = bytea_in_place(hashes.bytes, batch->nrun * PV_HASH_LEN);
	prov_insert(&batch->runs, values, nulls);
	batch->nrun = 0;
	batch->run_bytes = 0;
}

/* One more leaf in the run, or in a new one if there is no room. */
static void
add_to_run(Batch *batch, const ProvLeafRef *ref)
{
	const ProvLeafRef *before = batch->nrun > 0 ? &batch->run[batch->nrun - 1] : NULL;
	Size		size = PV_HASH_LEN + prov_run_leaf_size(ref, before);

	if (batch->nrun == PROV_RUN_MAX || (before != NULL && batch->run_bytes + size > PROV_RUN_BYTES))
	{
		write_run(batch);
		size = PV_HASH_LEN + prov_run_leaf_size(ref, NULL);
	}
	batch->run_bytes += size;
	batch->run[batch->nrun++] = *ref;
}

static int
compare_seq(const void *a, const void *b)
{
	int64		x = ((const SeqLeaf *) a)->seq;
	int64		y = ((const SeqLeaf *) b)->seq;

	return x < y ? -1 : x > y;
}

static void
write_block(Batch *batch, const SeqLeaf *pairs, int n)
{
	union
	{
		char		bytes[VARHDRSZ + PROV_BLOCK_MAP_MAX];
		int32		align;
	}			map;
	int64		seqs[PROV_BLOCK_SEQS];
	int64		leaves[PROV_BLOCK_SEQS];
	int64		first = pairs[0].leaf;
	Datum		values[N_BLOCK];
	bool		nulls[N_BLOCK] = {false};
	Size		len;
	int			i;

	for (i = 0; i < n; i++)
	{
		seqs[i] = pairs[i].seq;
		leaves[i] = pairs[i].leaf;
		first = Min(first, pairs[i].leaf);
	}
	len = prov_block_encode(first, seqs, leaves, n, (uint8 *) map.bytes + VARHDRSZ, PROV_BLOCK_MAP_MAX);
	values[A_BLOCK_BLOCK - 1] = Int64GetDatum(seqs[0] / PROV_BLOCK_SEQS);
	values[A_BLOCK_FIRST - 1] = Int64GetDatum(first);
	values[A_BLOCK_MAP - 1] = bytea_in_place(map.bytes, len);
	prov_insert(&batch->blocks, values, nulls);
}

/* Rows of seq_block for a chunk. */
static void
write_blocks(Batch *batch, SeqLeaf *pairs, int n)
{
	int			from = 0;
	int			i;

	qsort(pairs, n, sizeof(SeqLeaf), compare_seq);
	if (pairs[0].seq < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an entry has the number " INT64_FORMAT, pairs[0].seq)));
	for (i = 1; i <= n; i++)
	{
		if (i < n && pairs[i].seq == pairs[i - 1].seq)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("two entries have the same number"),
					 errdetail("Entry number " INT64_FORMAT " occurs twice in table \"entry\".", pairs[i].seq)));
		if (i < n && pairs[i].seq / PROV_BLOCK_SEQS == pairs[from].seq / PROV_BLOCK_SEQS)
			continue;
		write_block(batch, &pairs[from], i - from);
		from = i;
	}
}

static void
seal_entry(Batch *batch, const ProvEntry *entry, ProvChain *chain)
{
	const ProvHead *prev = prov_chain_end(chain);
	ProvLeafRef ref;
	uint8		bytes[PV_LEAF_LEN];
	pv_leaf		leaf;

	prov_entry_leaf(entry, prev != NULL ? &prev->hash : NULL, &leaf);
	pv_leaf_encode(&leaf, bytes);
	prov_check(pv_leaf_hash(prov_hasher(), bytes, PV_LEAF_LEN, &ref.hash));
	ref.leaf = (int64) batch->frontier.size;
	ref.seq = entry->seq;
	ref.xid = entry->xid;
	ref.table_id = entry->table_id;
	ref.prev_leaf = prev != NULL ? prev->last_leaf : -1;
	prov_chain_extend(chain, entry, ref.leaf, &ref.hash);
	prov_check(pv_frontier_append(&batch->frontier, prov_hasher(), &ref.hash, emit_node, batch));
	add_to_run(batch, &ref);
}

/* A candidate whose row has an entry already never gets a place. */
static void
drop_entry(Batch *batch, const ProvEntry *entry, Snapshot snapshot)
{
	HeapTuple	tup = prov_fetch2(PROV_ENTRY, FullTransactionIdGetDatum(entry->xid), Int64GetDatum(entry->seq), snapshot);

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "candidate baseline " INT64_FORMAT " is gone", entry->seq);
	prov_delete(&batch->entries, tup);
	batch->dropped++;
}

static void
write_state(const ProvSealState *old, int64 size, int64 floor, Datum snapshot)
{
	Datum		values[N_SEAL];
	bool		nulls[N_SEAL] = {false};
	ProvWriter	w;

	values[A_SEAL_ID - 1] = Int32GetDatum(1);
	values[A_SEAL_DATABASE - 1] = ObjectIdGetDatum(MyDatabaseId);
	values[A_SEAL_SYSTEM - 1] = Int64GetDatum((int64) GetSystemIdentifier());
	values[A_SEAL_SIZE - 1] = Int64GetDatum(size);
	values[A_SEAL_FLOOR - 1] = Int64GetDatum(floor);
	values[A_SEAL_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_SEAL_SNAPSHOT - 1] = snapshot;
	prov_writer_open(&w, PROV_SEAL_STATE);
	if (old->exists)
	{
		HeapTupleData tup;

		memset(&tup, 0, sizeof(tup));
		tup.t_self = old->tid;
		prov_update(&w, &tup, values, nulls);
	}
	else
		prov_insert(&w, values, nulls);
	prov_writer_close(&w);
}

/* The frontier of the stored log, which must end where the state says. */
static void
load_frontier(Batch *batch, int64 size, Snapshot snapshot)
{
	ProvLog    *log = prov_log_open(snapshot);
	ProvLeafRef ref;
	pv_status	status;

	if (prov_log_leaf(log, size, &ref) || (size > 0 && !prov_log_leaf(log, size - 1, &ref)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored leaves do not end where the log ends"),
				 errdetail("The state of the sealer says " INT64_FORMAT " leaves.", size)));
	status = pv_frontier_load(&batch->frontier, prov_log_tree(log), (uint64) size);
	if (status != PV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read the right edge of the log"),
				 errdetail("At size " INT64_FORMAT ": %s.", size, pv_status_text(status))));
	prov_log_close(log);
}

static int
fill_chunk(ProvUnsealedScan *scan, ProvEntry *entries)
{
	int			n = 0;

	while (n < CHUNK && prov_unsealed_next(scan, &entries[n]))
		n++;
	return n;
}

/*
 * Seals all that the scan gives, or drops it; the numbers of both. False if
 * somebody wants the database.
 */
static bool
seal_all(ProvUnsealedScan *scan, Snapshot snapshot, const ProvIdentity *id, int64 *size,
		 int64 *sealed, int64 *dropped)
{
	ProvEntry  *entries = palloc(sizeof(ProvEntry) * CHUNK);
	int			n = fill_chunk(scan, entries);
	MemoryContext row_context;
	MemoryContext old;
	Batch	   *batch;
	SeqLeaf    *pairs;
	ProvChain  *chains;

	*sealed = *dropped = 0;
	if (n == 0)
		return true;

	batch = palloc0(sizeof(Batch));
	pairs = palloc(sizeof(SeqLeaf) * CHUNK);
	chains = palloc(sizeof(ProvChain) * CHUNK);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "provenance seal", ALLOCSET_DEFAULT_SIZES);
	load_frontier(batch, *size, snapshot);
	PROV_STOP_POINT("seal-begin");
	batch->heads = prov_heads_open(id->row_key);
	prov_writer_open(&batch->runs, PROV_LEAF_RUN);
	prov_writer_open(&batch->blocks, PROV_SEQ_BLOCK);
	prov_writer_open(&batch->nodes, PROV_TREE_NODE);
	prov_writer_open(&batch->entries, PROV_ENTRY);

	for (; n > 0; n = fill_chunk(scan, entries))
	{
		int			placed = 0;
		int			i;

		CHECK_FOR_INTERRUPTS();
		if (prov_database_wanted())
			return false;
		prov_heads_load(batch->heads, entries, n, chains);
		old = MemoryContextSwitchTo(row_context);
		for (i = 0; i < n; i++)
		{
			if (PROV_IS_CANDIDATE(&entries[i]) && prov_chain_surplus(&chains[i]))
				drop_entry(batch, &entries[i], snapshot);
			else
			{
				pairs[placed].seq = entries[i].seq;
				pairs[placed++].leaf = (int64) batch->frontier.size;
				seal_entry(batch, &entries[i], &chains[i]);
			}
			MemoryContextReset(row_context);
		}
		if (placed > 0)
			write_blocks(batch, pairs, placed);
		MemoryContextReset(row_context);
		MemoryContextSwitchTo(old);
		*sealed += placed;
	}

	write_run(batch);
	prov_heads_close(batch->heads);
	prov_writer_close(&batch->runs);
	prov_writer_close(&batch->blocks);
	prov_writer_close(&batch->nodes);
	prov_writer_close(&batch->entries);
	*dropped = batch->dropped;
	*size = (int64) batch->frontier.size;
	return true;
}

int64
prov_seal_batch(int64 *size)
{
	MemoryContext caller = CurrentMemoryContext;
	Snapshot	snapshot;
	ProvUnsealedScan *scan;
	ProvIdentity *id;
	int64		sealed = 0;
	int64		dropped;
	bool		wanted = false;

	*size = 0;
	StartTransactionCommand();

	/* a database's own defaults must not decide how this transaction works */
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH)
		(void) set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);

	if (!prov_installed())
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(caller);
		return 0;
	}

	/* the one snapshot: of what is read, and of what is stored as read */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	id = prov_identity(true);
	if (id != NULL)
	{
		Datum		stored = DirectFunctionCall1(pg_current_snapshot, (Datum) 0);

		scan = prov_unsealed_open_all(snapshot);
		*size = prov_unsealed_state(scan)->log_size;
		wanted = !seal_all(scan, snapshot, id, size, &sealed, &dropped);
		PROV_STOP_POINT("seal-leaves");
		if (!wanted && sealed + dropped > 0)
			write_state(prov_unsealed_state(scan), *size, prov_unsealed_floor(scan), stored);
		if (!wanted)
			prov_unsealed_close(scan);
	}

	if (wanted)
	{
		AbortOutOfAnyTransaction();
		sealed = *size = 0;
	}
	else
	{
		PopActiveSnapshot();
		UnregisterSnapshot(snapshot);
		PROV_STOP_POINT("seal-commit");
		CommitTransactionCommand();
		PROV_STOP_POINT("seal-done");
	}
	MemoryContextSwitchTo(caller);
	return sealed;
}
