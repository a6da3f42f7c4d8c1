/*
 * history.c: history(): the entries of one row, oldest first.
 *
 * A row's sealed entries are found from the table of heads, backwards along
 * the predecessors that the log's map holds: as many look-ups as the row has
 * entries, whatever the size of the log. Entries not yet in the log have no
 * index by row: all of them are looked through, as many as there are changes
 * since the last batch.
 *
 * A truncate of the table ends every row chain. The head is then still that of
 * the chain that ended, until the key comes back and starts a new chain from
 * zeros, which takes its place: entries of the chain before are no longer
 * reachable from here (changes() has them). So that nobody takes the start of
 * such a chain for the beginning of the row, the table's truncate before it
 * is shown as the first row, and the truncate that ended a chain as its last.
 *
 * Everything is read under the snapshot of the calling query.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/head_block.h"
#include "prove/prove.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_history);

typedef struct Chain
{
	ProvLeafRef *refs;
	int64		n;
	int64		cap;
} Chain;

typedef struct HistoryWalk
{
	HistoryOutput out;
	ProvLog    *log;
	uint8		row_id[PV_ROW_ID_LEN];
	uint8		table_row_id[PV_ROW_ID_LEN];	/* of the table's own chain */
	MemoryContext images[2];	/* of the entry in hand and the last with an image, in turn */
	int			turn;
	ProvEntry	before_entry;
	ProvEntry  *before;			/* NULL: none yet */
	int64		rows;			/* entries of the row put out */
	bool		ended;			/* the last one put out is a truncate */
} HistoryWalk;

static void
chain_add(Chain *chain, const ProvLeafRef *ref)
{
	if (chain->n == chain->cap)
	{
		chain->cap = Max(chain->cap * 2, 64);
		chain->refs = chain->refs == NULL ?
			palloc(chain->cap * sizeof(ProvLeafRef)) :
			repalloc_huge(chain->refs, chain->cap * sizeof(ProvLeafRef));
	}
	chain->refs[chain->n++] = *ref;
}

/* The chain that ends at a leaf, newest first. */
static void
read_chain(ProvLog *log, int64 leaf, Chain *chain)
{
	ProvLeafRef ref;

	while (leaf >= 0)
	{
		CHECK_FOR_INTERRUPTS();
		/* a predecessor is an earlier leaf: no tampering makes this endless */
		if (!prov_log_leaf(log, leaf, &ref) || ref.prev_leaf >= leaf)
			prove_log_damaged(leaf);
		chain_add(chain, &ref);
		leaf = ref.prev_leaf;
	}
}

int64
prove_row_head(const uint8 row_id[PV_ROW_ID_LEN], Snapshot snapshot)
{
	ProvHead	head;

	return prov_head_fetch(row_id, snapshot, &head) ? head.last_leaf : -1;
}

/*
 * The truncates around a chain that goes from leaf `first` to leaf `last`: the
 * newest before it and the oldest after it; leaf -1 if there is none. Without
 * a chain (first < 0) the newest of all counts as before.
 */
static void
find_truncates(HistoryWalk *walk, int64 first, int64 last, ProvLeafRef *before, ProvLeafRef *after)
{
	Snapshot	snapshot = walk->out.snapshot;
	HeapTuple	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(walk->out.target->table->table_id), snapshot);
	int64		leaf;
	ProvLeafRef ref;

	before->leaf = after->leaf = -1;
	if (!HeapTupleIsValid(tup) || prov_int64(tup, PROV_TABLE_HEAD, A_THEAD_TRUNCATED) < 0)
		return;
	for (leaf = prov_int64(tup, PROV_TABLE_HEAD, A_THEAD_LAST_LEAF); leaf >= 0; leaf = ref.prev_leaf)
	{
		ProvEntry	entry;

		CHECK_FOR_INTERRUPTS();
		if (!prov_log_leaf(walk->log, leaf, &ref) || ref.prev_leaf >= leaf)
			prove_log_damaged(leaf);
		if (!prov_entry_fetch(ref.xid, ref.seq, snapshot, false, &entry) || entry.op != PV_OP_TRUNCATE)
			continue;
		if (first >= 0 && leaf > last)
			*after = ref;
		else
		{
			*before = ref;
			break;
		}
	}
}

/* Puts out an entry; ref is NULL if it has no place in the log yet. */
static void
put(HistoryWalk *walk, const ProvLeafRef *ref, FullTransactionId xid, int64 seq)
{
	MemoryContext images = walk->images[walk->turn];
	MemoryContext old;
	ProvEntry	entry;
	bool		found;
	pv_hash	   *prev = NULL;
	ProvLeafRef prev_ref;

	MemoryContextReset(images);
	old = MemoryContextSwitchTo(images);
	found = prov_entry_fetch(xid, seq, walk->out.snapshot, true, &entry);
	MemoryContextSwitchTo(old);

	if (ref != NULL && ref->prev_leaf >= 0)
	{
		if (!prov_log_leaf(walk->log, ref->prev_leaf, &prev_ref))
			prove_log_damaged(ref->prev_leaf);
		prev = &prev_ref.hash;
	}
	history_put(&walk->out, ref, prev, found ? &entry : NULL, walk->before);
	MemoryContextReset(walk->out.row);

	walk->ended = found && entry.op == PV_OP_TRUNCATE;
	if (!walk->ended)
		walk->rows++;
	if (found && history_has_row(entry.op))
	{
		/* keep its image, and read the next one into the other context */
		walk->before_entry = entry;
		walk->before = &walk->before_entry;
		walk->turn = 1 - walk->turn;
	}
}

static void
put_unsealed(HistoryWalk *walk, const ProvLeafRef *truncate)
{
	ProvUnsealedScan *scan = prov_unsealed_open_row(walk->out.snapshot, walk->row_id);
	FullTransactionId pending_xid = InvalidFullTransactionId;
	int64		pending_seq = 0;
	ProvEntry	entry;

	while (prov_unsealed_next(scan, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		if (entry.table_id != walk->out.target->table->table_id)
			continue;
		if (entry.op == PV_OP_TRUNCATE &&
			memcmp(entry.row_id, walk->table_row_id, PV_ROW_ID_LEN) == 0)
		{
			if (walk->rows > 0 && !walk->ended)
				put(walk, NULL, entry.xid, entry.seq);
			else if (walk->rows == 0)
			{
				pending_xid = entry.xid;
				pending_seq = entry.seq;
			}
		}
		else if (memcmp(entry.row_id, walk->row_id, PV_ROW_ID_LEN) == 0)
		{
			if (walk->rows == 0 && FullTransactionIdIsValid(pending_xid))
				put(walk, NULL, pending_xid, pending_seq);
			else if (walk->rows == 0 && truncate->leaf >= 0)
				put(walk, truncate, truncate->xid, truncate->seq);
			put(walk, NULL, entry.xid, entry.seq);
		}
	}
	prov_unsealed_close(scan);
}

/* The history of one row identity; the number of the row's entries. */
static int64
walk_row(HistoryWalk *walk)
{
	Chain		chain = {0};
	ProvLeafRef before;
	ProvLeafRef after;
	int64		i;

	read_chain(walk->log, prove_row_head(walk->row_id, walk->out.snapshot), &chain);
	if (chain.n > 0)
	{
		find_truncates(walk, chain.refs[chain.n - 1].leaf, chain.refs[0].leaf, &before, &after);
		if (before.leaf >= 0)
			put(walk, &before, before.xid, before.seq);
		for (i = chain.n - 1; i >= 0; i--)
			put(walk, &chain.refs[i], chain.refs[i].xid, chain.refs[i].seq);
		if (after.leaf >= 0)
			put(walk, &after, after.xid, after.seq);
		pfree(chain.refs);
	}
	else
		find_truncates(walk, -1, -1, &before, &after);
	put_unsealed(walk, &before);
	return walk->rows;
}

/* history(target regclass, VARIADIC key "any") */
Datum
provenance_history(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot = RegisterSnapshot(GetActiveSnapshot());
	HistoryWalk walk = {0};
	ProveTarget *target;
	uint8		ids[2][PV_ROW_ID_LEN];
	int			nids;
	int			i;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table must not be null")));
	target = prove_target(PG_GETARG_OID(0), snapshot);
	prove_check_key_columns(target);
	nids = prove_key_identities(fcinfo, 1, target, ids);

	history_begin(&walk.out, fcinfo, target, snapshot, false);
	walk.images[0] = AllocSetContextCreate(CurrentMemoryContext, "provenance image", ALLOCSET_DEFAULT_SIZES);
	walk.images[1] = AllocSetContextCreate(CurrentMemoryContext, "provenance image", ALLOCSET_DEFAULT_SIZES);
	prov_check(pv_row_identity(prov_hasher(), prov_identity(false)->row_key, target->table->table_id,
							   NULL, 0, walk.table_row_id));
	walk.log = prov_log_open(snapshot);
	for (i = 0; i < nids; i++)
	{
		memcpy(walk.row_id, ids[i], PV_ROW_ID_LEN);
		if (walk_row(&walk) > 0)
			break;
	}
	prov_log_close(walk.log);
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}
