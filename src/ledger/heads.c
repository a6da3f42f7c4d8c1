/*-------------------------------------------------------------------------
 *
 * heads.c
 *	  The newest leaf of each row chain and of each table's own chain.
 *
 * Tables head and table_head hold them between batches; only the sealer, of
 * which there is one, writes them. During a batch they are held in memory and
 * written behind: a row that changes often is looked up and written once. Both
 * happen in the order of the key, so that the pages of the table of heads are
 * visited once each per pass, whatever the order of the changes. What is held
 * is bounded (MAX_HELD row heads, about 25 MB; tables are few and all held).
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

typedef struct RowHead
{
	uint8		row_id[PV_ROW_ID_LEN];	/* hash key */
	int32		table_id;
	bool		dirty;
	ItemPointerData tid;		/* of the stored row; invalid if there is none */
	ProvHead	head;
} RowHead;

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
	MemoryContext context;		/* of the row heads */
	uint8		row_key[PV_ROW_KEY_LEN];
	HTAB	   *rows;
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

/* A row identity is a keyed hash already. */
static uint32
hash_row_id(const void *key, Size keysize)
{
	uint32		h;

	memcpy(&h, key, sizeof(h));
	return h;
}

static void
make_row_table(ProvHeads *heads)
{
	HASHCTL		ctl = {0};

	heads->context = AllocSetContextCreate(CurrentMemoryContext, "provenance heads", ALLOCSET_DEFAULT_SIZES);
	ctl.keysize = PV_ROW_ID_LEN;
	ctl.entrysize = sizeof(RowHead);
	ctl.hash = hash_row_id;
	ctl.hcxt = heads->context;
	heads->rows = hash_create("provenance heads", 16384, &ctl, HASH_ELEM | HASH_FUNCTION | HASH_CONTEXT);
}

ProvHeads *
prov_heads_open(const uint8 row_key[PV_ROW_KEY_LEN])
{
	ProvHeads  *heads = palloc0(sizeof(ProvHeads));
	HASHCTL		ctl = {0};

	memcpy(heads->row_key, row_key, PV_ROW_KEY_LEN);
	make_row_table(heads);
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

static void
write_head(ProvWriter *w, ItemPointer tid, Datum *values, bool *nulls)
{
	if (ItemPointerIsValid(tid))
	{
		HeapTupleData old;

		memset(&old, 0, sizeof(old));
		old.t_self = *tid;
		prov_update(w, &old, values, nulls);
	}
	else
		prov_insert(w, values, nulls);
}

static void
flush_rows(ProvHeads *heads)
{
	Sorted	   *dirty = palloc_extended(sizeof(Sorted) * (hash_get_num_entries(heads->rows) + 1),
										MCXT_ALLOC_HUGE);
	bool		nulls[N_HEAD] = {false};
	HASH_SEQ_STATUS seq;
	RowHead    *r;
	long		n = 0;
	long		i;

	hash_seq_init(&seq, heads->rows);
	while ((r = hash_seq_search(&seq)) != NULL)
		if (r->dirty)
			dirty[n++] = sorted(r);
	sort_rows(dirty, n);
	for (i = 0; i < n; i++)
	{
		Datum		values[N_HEAD];

		CHECK_FOR_INTERRUPTS();
		r = dirty[i].row;
		values[A_HEAD_ROW_ID - 1] = PointerGetDatum(r->row_id);
		values[A_HEAD_LAST_LEAF - 1] = Int64GetDatum(r->head.last_leaf);
		values[A_HEAD_TABLE - 1] = Int32GetDatum(r->table_id);
		values[A_HEAD_HASH - 1] = HashPGetDatum(&r->head.hash);
		write_head(&heads->row_writer, &r->tid, values, nulls);
	}
	pfree(dirty);

	/* the next pass may update what this one wrote */
	CommandCounterIncrement();
	MemoryContextDelete(heads->context);
	make_row_table(heads);
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
		write_head(&heads->table_writer, &t->tid, values, nulls);
	}
}

void
prov_heads_close(ProvHeads *heads)
{
	flush_rows(heads);
	flush_tables(heads);
	prov_writer_close(&heads->row_writer);
	prov_writer_close(&heads->table_writer);
	MemoryContextDelete(heads->context);
	hash_destroy(heads->tables);
	pfree(heads);
}

/* ---- reading ---- */

/* Steps along the index before a descent is thought to be cheaper; fewer after vain ones. */
#define MAX_STEPS 24

/* The key that the scan stands on, against that of r: as memcmp. */
static inline int
compare_index_key(IndexScanDesc scan, const RowHead *r)
{
	return memcmp((char *) scan->xs_itup + sizeof(IndexTupleData), r->row_id, PV_ROW_ID_LEN);
}

/*
 * Reads the stored heads of wanted[0..n), which are sorted: steps along the
 * index as long as the next one is near, descends again where it is not.
 */
static void
read_heads(ProvHeads *heads, Sorted *wanted, int n)
{
	Relation	rel = heads->row_writer.rel;
	Relation	index = index_open(prov_pkey(PROV_HEAD), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	IndexScanDesc scan = prov_index_beginscan(rel, index, SnapshotSelf, 1, 0);
	ScanKeyData key;
	bool		positioned = false;	/* the scan stands on an index entry */
	int			patience = MAX_STEPS;
	int			i;

	/* attribute numbers of an index scan are the index's */
	prov_key_init(&key, PROV_HEAD, A_HEAD_ROW_ID, BTGreaterEqualStrategyNumber, (Datum) 0);
	key.sk_attno = 1;
	scan->xs_want_itup = true;
	for (i = 0; i < n; i++)
	{
		RowHead    *r = wanted[i].row;
		int			steps = 0;

		while (positioned && steps < patience && compare_index_key(scan, r) < 0)
		{
			positioned = index_getnext_tid(scan, ForwardScanDirection) != NULL;
			steps++;
		}
		if (!positioned && steps > 0)
			break;				/* past the last head of all */
		if (positioned && compare_index_key(scan, r) >= 0)
			patience = MAX_STEPS;
		else
		{
			patience = Max(patience / 2, 1);
			key.sk_argument = PointerGetDatum(r->row_id);
			index_rescan(scan, &key, 1, NULL, 0);
			positioned = index_getnext_tid(scan, ForwardScanDirection) != NULL;
			if (!positioned)
				break;
		}

		/* a head that was moved has an index entry for each place */
		for (; positioned && compare_index_key(scan, r) == 0;
			 positioned = index_getnext_tid(scan, ForwardScanDirection) != NULL)
		{
			if (!index_fetch_heap(scan, slot))
				continue;
			slot_getallattrs(slot);
			r->tid = slot->tts_tid;
			r->head.last_leaf = DatumGetInt64(slot->tts_values[A_HEAD_LAST_LEAF - 1]);
			r->head.hash = stored_hash(slot->tts_values[A_HEAD_HASH - 1], slot->tts_isnull[A_HEAD_HASH - 1]);
			break;
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
}

void
prov_heads_load(ProvHeads *heads, const ProvEntry *entries, int n, ProvChain *chains)
{
	Sorted	   *wanted;
	TableHead  *t = NULL;
	int			nwanted = 0;
	int			i;

	if (hash_get_num_entries(heads->rows) + n > MAX_HELD)
		flush_rows(heads);

	wanted = palloc(sizeof(Sorted) * n);
	for (i = 0; i < n; i++)
	{
		bool		found;
		RowHead    *r;

		if (t == NULL || t->table_id != entries[i].table_id)
			t = table_head(heads, entries[i].table_id);
		chains[i].table = t;
		chains[i].row = NULL;
		if (in_table_chain(t, &entries[i]))
			continue;
		r = chains[i].row = hash_search(heads->rows, entries[i].row_id, HASH_ENTER, &found);
		if (found)
			continue;
		r->table_id = entries[i].table_id;
		r->dirty = false;
		ItemPointerSetInvalid(&r->tid);
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
