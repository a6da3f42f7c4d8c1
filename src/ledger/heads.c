/*-------------------------------------------------------------------------
 *
 * heads.c
 *	  The newest leaf of each row chain and of each table's own chain.
 *
 * Tables head and table_head hold them between batches; only the sealer, of
 * which there is one, writes them. During a batch they are held in memory and
 * written behind: a row that changes often is looked up and written once. Both
 * happen in the order of the key, so that the pages of the table of heads are
 * visited once each per pass, whatever the order of the changes, and a row of
 * that table, which has several heads (head_block.c), is read and written once.
 * What is held is bounded (MAX_HELD row heads, about 20 MB; tables are few and
 * all held).
 *
 * Reading uses SnapshotSelf, which sees what this transaction has written and
 * everything committed; with a single writer that is exact.
 *
 * A truncate of a table ends all its row chains: table_head remembers its
 * leaf, and a head at or below it counts as none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/candidate.h"
#include "ledger/heads.h"
#include "types/types.h"

#define MAX_HELD 200000

/* Row heads are met in another order than they lie in: fetched so many ahead. */
#define AHEAD 12
#ifdef __GNUC__
#define fetch_ahead(address) __builtin_prefetch((address), 1)
#else
#define fetch_ahead(address) ((void) 0)
#endif

/* 64 bytes. */
typedef struct RowHead
{
	uint8		row_id[PV_ROW_ID_LEN];
	ProvHead	head;
	ItemPointerData block;		/* stored row that it belongs to; invalid if the table has none for it */
	bool		dirty;
} RowHead;

/* A place in the hash table of row heads; linear probing. */
typedef struct Slot
{
	uint32		tag;
	uint32		n;				/* number in rows, from 1 on; 0: free */
} Slot;

typedef struct TableHead
{
	int32		table_id;		/* hash key */
	bool		dirty;
	ItemPointerData tid;
	ProvHead	head;			/* of the table's own chain */
	int64		truncated_leaf; /* -1: never */
	int64		tagged_leaf;	/* -1: not yet */
	int64		entries;
	uint8		row_id[PV_ROW_ID_LEN];	/* of the table's own chain */
} TableHead;

struct ProvHeads
{
	uint8		row_key[PV_ROW_KEY_LEN];
	RowHead    *rows;			/* in the order in which the log met them */
	int			nrows;
	int			rows_cap;
	Slot	   *slots;			/* twice rows_cap */
	HTAB	   *tables;
	ProvWriter	row_writer;
	ProvWriter	table_writer;
};

/* A row head with the first bytes of its key, by which nearly all comparisons end. */
typedef struct Sorted
{
	uint64		prefix;
	RowHead    *row;
} Sorted;

static inline int
compare_sorted(const Sorted *a, const Sorted *b)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return memcmp(a->row->row_id, b->row->row_id, PV_ROW_ID_LEN);
}

#define ST_SORT sort_rows
#define ST_ELEMENT_TYPE Sorted
#define ST_COMPARE(a, b) compare_sorted(a, b)
#define ST_SCOPE static
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

static inline Sorted
sorted(RowHead *row)
{
	Sorted		s;

	memcpy(&s.prefix, row->row_id, sizeof(s.prefix));
	s.prefix = pg_ntoh64(s.prefix);
	s.row = row;
	return s;
}

/* ---- what is held ---- */

/* Where the search for a row identity begins. */
static inline Slot *
slot_of(const ProvHeads *heads, const uint8 row_id[PV_ROW_ID_LEN])
{
	uint32		i;

	memcpy(&i, row_id + 8, sizeof(i));
	return &heads->slots[i & ((uint32) heads->rows_cap * 2 - 1)];
}

/*
 * The row head of that identity, or a new one of number nrows, which the caller
 * fills. A row identity is a keyed hash already: the sort goes by its first
 * bytes, this by others.
 */
static RowHead *
find_row(ProvHeads *heads, const uint8 row_id[PV_ROW_ID_LEN], bool *found)
{
	uint32		mask = (uint32) heads->rows_cap * 2 - 1;
	uint32		i = slot_of(heads, row_id) - heads->slots;
	uint32		tag;

	memcpy(&tag, row_id + 12, sizeof(tag));
	for (; heads->slots[i].n != 0; i = (i + 1) & mask)
	{
		RowHead    *r = &heads->rows[heads->slots[i].n - 1];

		if (heads->slots[i].tag == tag && memcmp(r->row_id, row_id, PV_ROW_ID_LEN) == 0)
		{
			*found = true;
			return r;
		}
	}
	heads->slots[i].tag = tag;
	heads->slots[i].n = ++heads->nrows;
	*found = false;
	return &heads->rows[heads->nrows - 1];
}

/* Room for so many row heads in all. */
static void
make_room(ProvHeads *heads, int n)
{
	uint32		mask;
	int			k;

	if (n <= heads->rows_cap)
		return;
	heads->rows_cap = Max(heads->rows_cap, 1024);
	while (heads->rows_cap < n)
		heads->rows_cap *= 2;
	heads->rows = heads->rows == NULL ? palloc(sizeof(RowHead) * heads->rows_cap) :
		repalloc(heads->rows, sizeof(RowHead) * heads->rows_cap);
	if (heads->slots != NULL)
		pfree(heads->slots);
	heads->slots = palloc0(sizeof(Slot) * 2 * heads->rows_cap);
	mask = (uint32) heads->rows_cap * 2 - 1;
	for (k = 0; k < heads->nrows; k++)
	{
		Slot		slot = {.n = k + 1};
		uint32		i = slot_of(heads, heads->rows[k].row_id) - heads->slots;

		memcpy(&slot.tag, heads->rows[k].row_id + 12, sizeof(slot.tag));
		for (; heads->slots[i].n != 0; i = (i + 1) & mask)
			;
		heads->slots[i] = slot;
	}
}

ProvHeads *
prov_heads_open(const uint8 row_key[PV_ROW_KEY_LEN])
{
	ProvHeads  *heads = palloc0(sizeof(ProvHeads));
	HASHCTL		ctl = {0};

	memcpy(heads->row_key, row_key, PV_ROW_KEY_LEN);
	ctl.keysize = sizeof(int32);
	ctl.entrysize = sizeof(TableHead);
	ctl.hcxt = CurrentMemoryContext;
	heads->tables = hash_create("provenance table heads", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	prov_writer_open(&heads->row_writer, PROV_HEAD);
	prov_writer_open(&heads->table_writer, PROV_TABLE_HEAD);
	return heads;
}

/* Of a stored head. Verification says the rest; sealing has to stop here. */
static pv_hash
stored_hash(Datum d, bool isnull)
{
	if (isnull)
		prov_check(PV_E_STORAGE);	/* the constraint was dropped */
	return *DatumGetHashP(d);
}

/*
 * The heads of the block in a slot: how many. A block that does not begin as it
 * has to is refused: a head that is not found in it would be taken for none.
 */
static int
stored_heads(TupleTableSlot *slot, const uint8 **from, const uint8 **stored)
{
	int			n = prov_head_block(slot->tts_values[A_HEAD_HEADS - 1], slot->tts_isnull[A_HEAD_HEADS - 1], stored);

	*from = (const uint8 *) DatumGetPointer(slot->tts_values[A_HEAD_FROM - 1]);
	if (n < 0 || slot->tts_isnull[A_HEAD_FROM - 1] || !prov_head_block_begins(*from, *stored, n))
		prov_check(PV_E_STORAGE);
	return n;
}

/* ---- tables ---- */

static TableHead *
table_head(ProvHeads *heads, int32 table_id)
{
	bool		found;
	TableHead  *t = hash_search(heads->tables, &table_id, HASH_ENTER, &found);
	HeapTuple	tup;

	if (found)
		return t;
	memset((char *) t + sizeof(int32), 0, sizeof(TableHead) - sizeof(int32));
	t->head.last_leaf = t->truncated_leaf = t->tagged_leaf = -1;
	ItemPointerSetInvalid(&t->tid);
	prov_check(pv_row_identity(prov_hasher(), heads->row_key, (uint32) table_id, NULL, 0, t->row_id));

	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(table_id), SnapshotSelf);
	if (HeapTupleIsValid(tup))
	{
		Datum		values[N_THEAD];
		bool		nulls[N_THEAD];

		heap_deform_tuple(tup, RelationGetDescr(heads->table_writer.rel), values, nulls);
		t->tid = tup->t_self;
		t->head.last_leaf = DatumGetInt64(values[A_THEAD_LAST_LEAF - 1]);
		t->head.hash = stored_hash(values[A_THEAD_HASH - 1], nulls[A_THEAD_HASH - 1]);
		t->truncated_leaf = DatumGetInt64(values[A_THEAD_TRUNCATED - 1]);
		t->tagged_leaf = DatumGetInt64(values[A_THEAD_TAGGED - 1]);
		t->entries = DatumGetInt64(values[A_THEAD_ENTRIES - 1]);
		heap_freetuple(tup);
	}
	return t;
}

/*
 * Whether an entry stands in its table's own chain: events do; an erasure in
 * whichever chain its row identity names.
 */
static bool
in_table_chain(const TableHead *t, const ProvEntry *entry)
{
	if (entry->op >= 0 && pv_op_is_row(entry->op))
		return false;
	return entry->op != PV_OP_ERASE || memcmp(t->row_id, entry->row_id, PV_ROW_ID_LEN) == 0;
}

/* ---- writing ---- */

/* Writes rows[0..n), which are in order and belong to one block. */
static void
flush_block(ProvHeads *heads, const Sorted *rows, int n, TupleTableSlot *slot)
{
	static const uint8 least[PV_ROW_ID_LEN];
	const ItemPointerData *tid = &rows[0].row->block;
	const uint8 *from = least;
	const uint8 *stored = NULL;
	int			nstored = 0;
	uint8	   *changed = palloc_extended((Size) n * PROV_HEAD_LEN, MCXT_ALLOC_HUGE);
	int			i;

	for (i = 0; i < n; i++)
		prov_head_encode(rows[i].row->row_id, &rows[i].row->head, changed + (Size) i * PROV_HEAD_LEN);
	if (ItemPointerIsValid(tid))
	{
		ItemPointerData at = *tid;

		if (!table_tuple_fetch_row_version(heads->row_writer.rel, &at, SnapshotSelf, slot))
			elog(ERROR, "a row of table head is gone");
		slot_getallattrs(slot);
		nstored = stored_heads(slot, &from, &stored);
	}
	prov_head_block_write(&heads->row_writer, tid, from, stored, nstored, changed, n);
	pfree(changed);
	ExecClearTuple(slot);
}

static void
flush_rows(ProvHeads *heads)
{
	Sorted	   *dirty = palloc(sizeof(Sorted) * (heads->nrows + 1));
	TupleTableSlot *slot = table_slot_create(heads->row_writer.rel, NULL);
	int			n = 0;
	int			i;
	int			end;

	for (i = 0; i < heads->nrows; i++)
		if (heads->rows[i].dirty)
			dirty[n++] = sorted(&heads->rows[i]);
	sort_rows(dirty, n);
	for (i = 0; i < n; i = end)
	{
		CHECK_FOR_INTERRUPTS();
		for (end = i; end < Min(i + AHEAD, n); end++)
			fetch_ahead(dirty[end].row);
		for (end = i + 1; end < n && ItemPointerCompare(&dirty[end].row->block, &dirty[i].row->block) == 0; end++)
			;
		flush_block(heads, &dirty[i], end - i, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	pfree(dirty);

	/* the next pass may update what this one wrote */
	CommandCounterIncrement();
	heads->nrows = 0;
	if (heads->slots != NULL)
		memset(heads->slots, 0, sizeof(Slot) * 2 * heads->rows_cap);
}

static void
flush_tables(ProvHeads *heads)
{
	bool		nulls[N_THEAD] = {false};
	HASH_SEQ_STATUS seq;
	TableHead  *t;

	hash_seq_init(&seq, heads->tables);
	while ((t = hash_seq_search(&seq)) != NULL)
	{
		Datum		values[N_THEAD];

		if (!t->dirty)
			continue;
		values[A_THEAD_TABLE - 1] = Int32GetDatum(t->table_id);
		values[A_THEAD_LAST_LEAF - 1] = Int64GetDatum(t->head.last_leaf);
		values[A_THEAD_TRUNCATED - 1] = Int64GetDatum(t->truncated_leaf);
		values[A_THEAD_TAGGED - 1] = Int64GetDatum(t->tagged_leaf);
		values[A_THEAD_ENTRIES - 1] = Int64GetDatum(t->entries);
		values[A_THEAD_HASH - 1] = HashPGetDatum(&t->head.hash);
		prov_head_write(&heads->table_writer, &t->tid, values, nulls);
	}
}

void
prov_heads_close(ProvHeads *heads)
{
	flush_rows(heads);
	flush_tables(heads);
	prov_writer_close(&heads->row_writer);
	prov_writer_close(&heads->table_writer);
	if (heads->rows != NULL)
	{
		pfree(heads->rows);
		pfree(heads->slots);
	}
	hash_destroy(heads->tables);
	pfree(heads);
}

/* ---- reading ---- */

/*
 * Reads the stored heads of wanted[0..n), which are sorted, from the last to
 * the first.
 */
static void
read_heads(ProvHeads *heads, Sorted *wanted, int n)
{
	ProvBlockScan s;
	const uint8 *from = NULL;	/* of the block in hand */
	const uint8 *stored = NULL;
	int			n_stored = 0;
	const uint8 *greatest = NULL;	/* of its row identities */
	bool		next_good = false;	/* the block after it has none of its heads */
	int			i;

	prov_block_scan_begin(&s, heads->row_writer.rel);
	for (i = n - 1; i >= 0; i--)
	{
		RowHead    *r = wanted[i].row;
		int			at;

		if (i >= AHEAD)
			fetch_ahead(wanted[i - AHEAD].row);
		if (from == NULL || memcmp(from, r->row_id, PV_ROW_ID_LEN) > 0)
		{
			bool		any_above = from != NULL;
			uint8		above[PV_ROW_ID_LEN];

			if (any_above)
				memcpy(above, from, PV_ROW_ID_LEN);
			if (!prov_block_scan_find(&s, r->row_id))
			{
				/* the first block of all begins at the least */
				if (any_above || prov_head_next(r->row_id, SnapshotSelf, above, &next_good))
					prov_check(PV_E_STORAGE);
				break;
			}
			n_stored = stored_heads(s.slot, &from, &stored);
			next_good = s.adjacent;
			greatest = stored;
			for (at = 1; at < n_stored; at++)
				if (memcmp(prov_head_at(stored, at), greatest, PV_ROW_ID_LEN) > 0)
					greatest = prov_head_at(stored, at);
			if (any_above && memcmp(greatest, above, PV_ROW_ID_LEN) >= 0)
				prov_check(PV_E_STORAGE);
		}
		r->block = s.slot->tts_tid;
		at = prov_head_find(stored, n_stored, r->row_id);
		/* beyond all of its block: no head yet, unless the next block has it */
		if (at < 0 && !next_good && memcmp(greatest, r->row_id, PV_ROW_ID_LEN) < 0)
		{
			uint8		next[PV_ROW_ID_LEN];

			next_good = true;
			if (prov_head_next(r->row_id, SnapshotSelf, next, &next_good) && !next_good)
				prov_check(PV_E_STORAGE);
		}
		if (at >= 0 && !prov_head_decode(prov_head_at(stored, at), &r->head))
			prov_check(PV_E_STORAGE);
	}
	prov_block_scan_end(&s);
}

void
prov_heads_load(ProvHeads *heads, const ProvEntry *entries, int n, ProvChain *chains)
{
	Sorted	   *wanted;
	TableHead  *t = NULL;
	int			nwanted = 0;
	int			i;

	if (heads->nrows + n > MAX_HELD)
		flush_rows(heads);
	make_room(heads, heads->nrows + n);

	wanted = palloc(sizeof(Sorted) * n);
	for (i = 0; i < n; i++)
	{
		bool		found;
		RowHead    *r;

		if (i + AHEAD < n)
			fetch_ahead(slot_of(heads, entries[i + AHEAD].row_id));
		if (t == NULL || t->table_id != entries[i].table_id)
			t = table_head(heads, entries[i].table_id);
		chains[i].table = t;
		chains[i].row = NULL;
		if (in_table_chain(t, &entries[i]))
			continue;
		r = chains[i].row = find_row(heads, entries[i].row_id, &found);
		if (found)
			continue;
		memcpy(r->row_id, entries[i].row_id, PV_ROW_ID_LEN);
		r->dirty = false;
		ItemPointerSetInvalid(&r->block);
		r->head.last_leaf = -1;
		wanted[nwanted++] = sorted(r);
	}
	sort_rows(wanted, nwanted);
	read_heads(heads, wanted, nwanted);
	pfree(wanted);
}

const ProvHead *
prov_chain_end(const ProvChain *chain)
{
	if (chain->row == NULL)
		return chain->table->head.last_leaf >= 0 ? &chain->table->head : NULL;
	return chain->row->head.last_leaf > chain->table->truncated_leaf ? &chain->row->head : NULL;
}

bool
prov_chain_surplus(const ProvChain *chain)
{
	const TableHead *t = chain->table;

	return chain->row != NULL && prov_candidate_surplus(chain->row->head.last_leaf, t->tagged_leaf, t->truncated_leaf);
}

void
prov_chain_extend(ProvChain *chain, const ProvEntry *entry, int64 leaf, const pv_hash *hash)
{
	TableHead  *t = chain->table;
	ProvHead   *head = &t->head;

	t->dirty = true;
	t->entries++;
	if (entry->op == PV_OP_TRUNCATE)
		t->truncated_leaf = leaf;
	else if (entry->op == PV_OP_TAG)
		t->tagged_leaf = leaf;
	if (chain->row != NULL)
	{
		chain->row->dirty = true;
		head = &chain->row->head;
	}
	head->last_leaf = leaf;
	head->hash = *hash;
}
