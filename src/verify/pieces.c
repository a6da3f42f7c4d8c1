/*
 * pieces.c: the pieces of a verification: how many there are, and one of them.
 *
 * A row can be compared with its last entry only if what waits for the sealer
 * is known. So the rows with waiting entries are collected first; above
 * MANY_WAITING entries, such rows are left out, since each would read all that
 * wait; above MAX_WAITING, or in a database that was restored or copied and not
 * sealed since, rows are left out altogether. What else there is of a piece
 * does not depend on it.
 *
 * A block is read in a subtransaction, and each of its rows is checked in one:
 * what cannot be read is a finding.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "ledger/log.h"
#include "verify/pieces.h"

#define MANY_WAITING 2000
#define MAX_WAITING 200000
#define MAX_CHAIN_MS 5000		/* of a worker's time for one row, under one snapshot */

static const struct
{
	const char *name;
	int			rel;			/* -1: no ledger table */
} kinds[PIECE_KINDS] = {
	[PIECE_LEAVES] = {"tiles of leaves", -1},
	[PIECE_ENTRIES] = {"blocks of entries", PROV_ENTRY},
	[PIECE_HEADS] = {"blocks of heads", PROV_HEAD},
	[PIECE_NODES] = {"blocks of hashes", PROV_TREE_NODE},
	[PIECE_CHECKPOINTS] = {"blocks of checkpoints", PROV_CHECKPOINT_NOTE},
	[PIECE_COSIGNATURES] = {"blocks of cosignatures", PROV_CHECKPOINT_COSIGNATURE},
	[PIECE_COUNTERSIGNATURES] = {"blocks of countersignatures", PROV_COUNTERSIGNATURE},
	[PIECE_MERGED] = {"blocks of merged entries", PROV_MERGED_LEAF},
	[PIECE_MERGES] = {"blocks of merges", PROV_MERGE},
	[PIECE_ROWS] = {"blocks of tables", -1},
};

/* ---- what waits for the sealer ---- */

typedef struct WaitingRow
{
	int32		table_id;
	uint8		row_id[PV_ROW_ID_LEN];	/* zeros: an event, which may be one of all row chains of the table */
} WaitingRow;

typedef struct BeginTask
{
	Pieces	   *p;
	int			rel;
	BlockNumber nblocks;
} BeginTask;

static void
read_past(void *arg)
{
	BeginTask  *task = arg;

	verify_seal_past(task->p->v, &task->p->past);
}

static void
read_waiting(void *arg)
{
	BeginTask  *task = arg;
	Pieces	   *p = task->p;
	Verify	   *v = p->v;
	HASHCTL		ctl = {.keysize = sizeof(WaitingRow), .entrysize = sizeof(WaitingRow), .hcxt = v->cxt};
	HTAB	   *waiting = hash_create("provenance waiting rows", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	int64		n = prov_unsealed_count(v->snapshot, MAX_WAITING, NULL);
	ProvUnsealedScan *scan;
	ProvEntry	entry;

	if (n >= MAX_WAITING)
		return;
	p->skip_waiting = n >= MANY_WAITING;
	scan = prov_unsealed_open(v->snapshot);
	while (n > 0 && prov_unsealed_next(scan, &entry))
	{
		WaitingRow	key = {.table_id = entry.table_id};

		CHECK_FOR_INTERRUPTS();
		if (pv_op_is_row(entry.op) ||
			(entry.op == PV_OP_ERASE && !verify_is_own_id(v, entry.table_id, entry.row_id)))
			memcpy(key.row_id, entry.row_id, PV_ROW_ID_LEN);
		(void) hash_search(waiting, &key, HASH_ENTER, NULL);
	}
	prov_unsealed_close(scan);
	v->waiting = waiting;
	p->rows = true;
}

bool
verify_waits(Verify *v, int32 table_id, const uint8 *row_id)
{
	WaitingRow	key = {.table_id = table_id};

	if (v->waiting == NULL || hash_search(v->waiting, &key, HASH_FIND, NULL) != NULL)
		return true;
	memcpy(key.row_id, row_id, PV_ROW_ID_LEN);
	return hash_search(v->waiting, &key, HASH_FIND, NULL) != NULL;
}

bool
verify_chain_ends(Verify *v, int64 leaf)
{
	return leaf < v->chain_floor || (v->chain_deadline != 0 && GetCurrentTimestamp() >= v->chain_deadline);
}

MemoryContext
piece_context(MemoryContext parent)
{
	return AllocSetContextCreate(parent, "provenance verification, piece", 0, 1024 * 1024, ALLOCSET_DEFAULT_MAXSIZE);
}

/* ---- how many there are ---- */

static void
count_blocks(void *arg)
{
	BeginTask  *task = arg;
	Relation	rel = table_open(prov_relid(task->rel), AccessShareLock);

	task->nblocks = RelationGetNumberOfBlocks(rel);
	table_close(rel, AccessShareLock);
}

void
pieces_begin(Pieces *p, Verify *v, int64 since_size)
{
	BeginTask	task = {.p = p};
	int64		size = Min(v->log_size, PG_INT64_MAX - PV_TILE_WIDTH);
	int			i;

	memset(p, 0, sizeof(*p));
	p->v = v;
	p->row = piece_context(v->cxt);
	p->since_size = since_size;
	v->chain_floor = since_size;
	if (!verify_try(v, read_past, &task))
	{
		p->past.foreign = true;
		verify_finding(v, "unreadable", SEV_ERROR, "seal_state", -1, -1, "The state of sealing cannot be read: %s", v->fault);
	}
	if (!p->past.foreign && !verify_try(v, read_waiting, &task))
		verify_finding(v, "unreadable", SEV_ERROR, "entry", -1, -1,
					   "The entries not yet in the log cannot be read: %s", v->fault);

	if (size > since_size)
		p->count[PIECE_LEAVES] = (size - 1) / PV_TILE_WIDTH - since_size / PV_TILE_WIDTH + 1;
	for (i = 0; i < PIECE_KINDS; i++)
	{
		task.rel = kinds[i].rel;
		if (task.rel < 0)
			continue;
		if (verify_try(v, count_blocks, &task))
			p->count[i] = task.nblocks;
		else
			verify_finding(v, "unreadable", SEV_ERROR, "provenance", -1, -1,
						   "The %s cannot be counted: %s", kinds[i].name, v->fault);
	}
	if (p->past.foreign)
		p->count[PIECE_ENTRIES] = 0;
}

void
pieces_end(Pieces *p)
{
	int			i;

	for (i = 0; i < p->ntables; i++)
		if (p->tables[i].rows != NULL)
			table_rows_end(p->tables[i].rows);
	MemoryContextDelete(p->row);
}

const char *
piece_name(PieceKind kind)
{
	return kinds[kind].name;
}

/* ---- blocks of ledger tables ---- */

typedef struct BlockTask
{
	Pieces	   *p;
	PieceKind	kind;
	BlockNumber block;
	int			n;
	HeapTuple	tuples[MaxHeapTuplesPerPage];
	HeapTuple	tup;			/* the one to be checked */
} BlockTask;

static void
read_block(void *arg)
{
	BlockTask  *task = arg;
	Relation	rel = table_open(prov_relid(kinds[task->kind].rel), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan;
	ItemPointerData min;
	ItemPointerData max;

	task->n = 0;
	ItemPointerSet(&min, task->block, 0);
	ItemPointerSet(&max, task->block, PG_UINT16_MAX);
	scan = table_beginscan_tidrange(rel, task->p->v->snapshot, &min, &max);
	while (task->n < lengthof(task->tuples) && table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
		task->tuples[task->n++] = ExecCopySlotHeapTuple(slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
}

/* Is the entry in the log, at the leaf that the map says? */
static void
check_entry_row(Pieces *p, HeapTuple tup)
{
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	Verify	   *v = p->v;
	bool		null_xid,
				null_seq;
	FullTransactionId xid = DatumGetFullTransactionId(heap_getattr(tup, A_ENTRY_XID, desc, &null_xid));
	int64		seq = DatumGetInt64(heap_getattr(tup, A_ENTRY_SEQ, desc, &null_seq));
	ProvLeafRef ref;
	int64		leaf;

	if (null_xid || null_seq)
		return;
	leaf = prov_log_leaf_of_seq(v->log, seq);
	if (leaf >= 0)
	{
		if (!prov_log_leaf(v->log, leaf, &ref) || ref.seq != seq || !FullTransactionIdEquals(ref.xid, xid))
			verify_finding(v, "map_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, seq), seq, leaf,
						   "The map from entries to leaves leads to a leaf of another entry, or to none.");
	}
	else if (p->past.known ? !verify_still_to_come(&p->past, xid, seq) : v->log_size > 0)
		verify_unsealable(v, xid, seq);
}

static void
check_checkpoint(Pieces *p, HeapTuple tup)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	bool		null_incarnation,
				null_size;
	int32		incarnation = DatumGetInt32(heap_getattr(tup, A_CP_INCARNATION, desc, &null_incarnation));
	int64		size = DatumGetInt64(heap_getattr(tup, A_CP_SIZE, desc, &null_size));

	if (null_incarnation || null_size || size < p->since_size)
		return;
	if (p->keys == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(p->v->cxt);

		p->keys = verify_log_keys(p->v);
		MemoryContextSwitchTo(old);
	}
	verify_checkpoint_row(p->v, p->keys, incarnation, size);
}

static void
check_tuple(void *arg)
{
	BlockTask  *task = arg;
	Pieces	   *p = task->p;

	switch (task->kind)
	{
		case PIECE_ENTRIES:
			check_entry_row(p, task->tup);
			break;
		case PIECE_HEADS:
			piece_check_heads(p, task->tup);
			break;
		case PIECE_NODES:
			verify_node_place(p->v, task->tup, p->v->log_size);
			break;
		case PIECE_CHECKPOINTS:
			check_checkpoint(p, task->tup);
			break;
		case PIECE_COSIGNATURES:
			verify_cosignature_at(p->v, &task->tup->t_self);
			break;
		case PIECE_COUNTERSIGNATURES:
			verify_countersignature_row(p->v, task->tup);
			break;
		case PIECE_MERGED:
			verify_merged_row(p->v, task->tup);
			break;
		case PIECE_MERGES:
			verify_merge_row(p->v, task->tup);
			break;
		default:
			break;
	}
}

static bool
out_of_time(Verify *v)
{
	CHECK_FOR_INTERRUPTS();
	if (v->tick != NULL)
		v->tick(v);
	return v->deadline != 0 && GetCurrentTimestamp() >= v->deadline;
}

static void
check_block(Pieces *p, PieceKind kind, BlockNumber block)
{
	Verify	   *v = p->v;
	BlockTask  *task = palloc0(sizeof(BlockTask));
	int			i;

	task->p = p;
	task->kind = kind;
	task->block = block;
	if (!verify_try(v, read_block, task))
	{
		verify_finding(v, "unreadable", SEV_ERROR, get_rel_name(prov_relid(kinds[kind].rel)), -1, -1,
					   "Block %u cannot be read: %s", block, v->fault);
		return;
	}
	for (i = 0; i < task->n && !out_of_time(v); i++)
	{
		MemoryContext old = MemoryContextSwitchTo(p->row);

		task->tup = task->tuples[i];
		v->looked++;
		if (!verify_try(v, check_tuple, task))
			verify_finding(v, "unreadable", SEV_ERROR, get_rel_name(prov_relid(kinds[kind].rel)), -1, -1,
						   "A row of block %u cannot be checked: %s", block, v->fault);
		MemoryContextSwitchTo(old);
		MemoryContextReset(p->row);
	}
}

/* ---- tiles of leaves ---- */

typedef struct LeafTask
{
	Verify	   *v;
	int64		leaf;
	bool		found;
	ProvLeafRef ref;
} LeafTask;

static void
read_leaf(void *arg)
{
	LeafTask   *task = arg;

	task->found = prov_log_leaf(task->v->log, task->leaf, &task->ref);
}

static void
check_tile(Verify *v, int64 tile)
{
	LogScanOptions options = {.images = true, .all_tables = true, .piece = true};
	LeafTask	task = {.v = v, .leaf = tile * PV_TILE_WIDTH};

	options.since_size = tile * PV_TILE_WIDTH;
	options.until = Min(options.since_size + PV_TILE_WIDTH, v->log_size);
	if (!verify_try(v, read_leaf, &task))
		verify_finding(v, "unreadable", SEV_ERROR, psprintf("leaf " INT64_FORMAT, task.leaf), -1, task.leaf,
					   "The leaf cannot be read: %s", v->fault);
	else if (task.found && verify_hash_in_tree(v, task.leaf, &task.ref.hash) == 0)
		verify_finding(v, "tile_differs", SEV_ERROR, psprintf("tile " INT64_FORMAT, tile), -1, task.leaf,
					   "The stored hashes of this tile, or those above it, do not lead to the root of the newest checkpoint.");
	verify_log_scan(v, &options);
	v->looked += options.until - options.since_size;
}

/* ---- tables ---- */

static PieceTable *
add_table(Pieces *p, int32 table_id)
{
	PieceTable *t;

	if (p->ntables == p->cap)
	{
		p->cap = Max(p->cap * 2, 64);
		p->tables = p->tables == NULL ? MemoryContextAlloc(p->v->cxt, sizeof(PieceTable) * p->cap) :
			repalloc(p->tables, sizeof(PieceTable) * p->cap);
	}
	t = &p->tables[p->ntables++];
	memset(t, 0, sizeof(*t));
	t->state = table_state(p->v, table_id);
	return t;
}

PieceTable *
pieces_table(Pieces *p, int32 table_id, bool definition)
{
	PieceTable *t = NULL;
	MemoryContext old;
	int			i;

	for (i = 0; i < p->ntables && t == NULL; i++)
		if (p->tables[i].state->table_id == table_id)
			t = &p->tables[i];
	if (t != NULL)
		return t;

	old = MemoryContextSwitchTo(p->v->cxt);
	t = add_table(p, table_id);
	if (t->state->table != NULL && t->state->tagged)
	{
		if (definition)
			verify_table_definition(p->v, t->state);
		if (OidIsValid(t->state->relid) && (t->rows = table_rows_open(p->v, t->state)) != NULL)
			t->blocks = table_rows_blocks(t->rows);
	}
	MemoryContextSwitchTo(old);
	return t;
}

void
pieces_open_tables(Pieces *p)
{
	int			n;
	int32	   *ids = verify_registry(p->v, &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		PieceTable *t;

		CHECK_FOR_INTERRUPTS();
		t = pieces_table(p, ids[i], true);
		t->first = p->count[PIECE_ROWS];
		p->count[PIECE_ROWS] += t->blocks;
	}
}

void
piece_check_rows(Pieces *p, PieceTable *table, int64 block)
{
	Verify	   *v = p->v;
	MemoryContext old;
	TableRow   *found;
	int64		n;
	int64		i;

	if (table->rows == NULL || !p->rows || !table_rows_block(table->rows, block, &found, &n))
		return;
	for (i = 0; i < n && !out_of_time(v); i++)
	{
		v->looked++;
		if (p->skip_waiting && verify_waits(v, table->state->table_id, found[i].row_id))
			continue;
		v->chain_deadline = v->report == NULL ? v->deadline :
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MAX_CHAIN_MS);
		old = MemoryContextSwitchTo(p->row);
		verify_scanned_row(v, table->state, table->rows, &found[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(p->row);
	}
}

/* ---- one piece ---- */

void
piece_check(Pieces *p, PieceKind kind, int64 n)
{
	int			i;

	switch (kind)
	{
		case PIECE_LEAVES:
			check_tile(p->v, p->since_size / PV_TILE_WIDTH + n);
			break;
		case PIECE_ROWS:
			for (i = 0; i < p->ntables && n >= p->tables[i].first + p->tables[i].blocks; i++)
				;
			if (i < p->ntables)
				piece_check_rows(p, &p->tables[i], n - p->tables[i].first);
			break;
		default:
			check_block(p, kind, (BlockNumber) n);
	}
}
