/*
 * export_all.c: the leaves of all rows of a table, in the order of the log.
 *
 * A leaf says which entry it is, and of which table. So the log is read from
 * `since` on, and beside it the table of entries, which were written nearly in
 * that order: the one that a leaf names is on the page read last, or on one of
 * the next. What the snapshot sees of this table on the pages read is
 * remembered, the last SEEN entries. One that is not found so (a long
 * transaction among short ones, a table that was rewritten, many entries of
 * other tables in between) is looked up by its key, and reading goes on from
 * its page. One that is not there at all is an error: nobody can say that the
 * bundle has all rows.
 *
 * Whether another leaf of a chain follows is to be known before that one comes:
 * the log is read once before, and each leaf that one of this table names as
 * previous gets a bit, which it loses when the leaf comes that names it. Who
 * finds no bit names a leaf that another one names too; a bit on a leaf of
 * another table is an error.
 *
 * Memory: a bit for each leaf from `since` on, and 1.5 MB.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/xid8.h"

#include "partner/export.h"

#define SEEN 65536				/* entries remembered, by seq modulo this */
#define REACH 32				/* pages read ahead for one entry, at most */
#define NEAR 64					/* leaves further than that away: by the key */

typedef struct Seen
{
	int64		seq;			/* -1: none */
	FullTransactionId xid;
	BlockNumber block;
	OffsetNumber offset;
} Seen;

struct ExportAll
{
	Export	   *x;
	Relation	entries;
	BlockNumber nblocks;
	BufferAccessStrategy strategy;
	BlockNumber block;			/* to be read next */
	int			reach;
	int64		found;			/* leaf of this table that came last */
	int64		newest;			/* of this table; -1: none */
	Seen	   *seen;
	uint64	   *named;			/* bits */
	int64		leaf;			/* to come next */
	ProvRunScan *runs;
	int64		run_first;
	int			run_count;
	ProvLeafRef run[PROV_RUN_MAX];
};

/* ---- bits ---- */

static Size
words_of(const ExportAll *a)
{
	return (Size) (a->x->size - a->x->since + 63) / 64;
}

static uint64 *
bit_of(ExportAll *a, int64 leaf, uint64 *mask)
{
	*mask = UINT64CONST(1) << ((leaf - a->x->since) % 64);
	return &a->named[(leaf - a->x->since) / 64];
}

static bool
is_named(ExportAll *a, int64 leaf)
{
	uint64		mask;
	uint64	   *word = bit_of(a, leaf, &mask);

	return (*word & mask) != 0;
}

static void
set_named(ExportAll *a, int64 leaf, bool named)
{
	uint64		mask;
	uint64	   *word = bit_of(a, leaf, &mask);

	*word = named ? *word | mask : *word & ~mask;
}

/* ---- the log ---- */

static void
open_runs(ExportAll *a)
{
	a->runs = prov_run_scan_open(a->x->log, a->x->since);
	a->leaf = a->x->since;
	a->run_first = a->run_count = 0;
}

static void
close_runs(ExportAll *a)
{
	if (a->runs != NULL)
		prov_run_scan_close(a->runs);
	a->runs = NULL;
}

/* NULL at the checkpoint's size. */
static const ProvLeafRef *
next_leaf(ExportAll *a)
{
	const ProvLeafRef *ref;
	bool		ok;

	if (a->leaf >= a->x->size)
		return NULL;
	if (a->leaf >= a->run_first + a->run_count)
	{
		CHECK_FOR_INTERRUPTS();
		if (!prov_run_scan_next(a->runs, &a->run_first, &a->run_count, a->run, &ok) || !ok ||
			a->run_first > a->leaf || a->leaf >= a->run_first + a->run_count)
			prove_log_damaged(a->leaf);
	}
	ref = &a->run[a->leaf - a->run_first];
	if (ref->prev_leaf >= a->leaf || ref->seq < 0)
		prove_log_damaged(a->leaf);
	a->leaf++;
	return ref;
}

static bool
is_ours(const ExportAll *a, const ProvLeafRef *ref)
{
	return ref->table_id == a->x->target->table->table_id;
}

static void
find_named(ExportAll *a)
{
	const ProvLeafRef *ref;

	memset(a->named, 0, words_of(a) * sizeof(uint64));
	open_runs(a);
	while ((ref = next_leaf(a)) != NULL)
	{
		if (!is_ours(a, ref))
			continue;
		a->newest = ref->leaf;
		if (ref->prev_leaf >= a->x->since)
			set_named(a, ref->prev_leaf, true);
	}
	close_runs(a);
	open_runs(a);
}

/* ---- the entries ---- */

static void
read_page(ExportAll *a)
{
	TupleDesc	desc = RelationGetDescr(a->entries);
	int32		table_id = a->x->target->table->table_id;
	BlockNumber block = a->block++;
	Buffer		buffer = ReadBufferExtended(a->entries, MAIN_FORKNUM, block, RBM_NORMAL, a->strategy);
	OffsetNumber last;
	Page		page;
	bool		all_visible;

	CHECK_FOR_INTERRUPTS();
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	last = PageGetMaxOffsetNumber(page);
	/* a standby, where the flag can be ahead of a snapshot, exports nothing */
	all_visible = PageIsAllVisible(page);
	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset = OffsetNumberNext(offset))
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tup;
		bool		null_xid,
					null_seq,
					null_table;
		Datum		xid;
		int64		seq;
		int32		of_table;
		Seen	   *s;

		if (!ItemIdIsNormal(item))
			continue;
		tup.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tup.t_len = ItemIdGetLength(item);
		tup.t_tableOid = RelationGetRelid(a->entries);
		ItemPointerSet(&tup.t_self, block, offset);
		of_table = DatumGetInt32(heap_getattr(&tup, A_ENTRY_TABLE, desc, &null_table));
		if (null_table || of_table != table_id)
			continue;
		if (!all_visible && !HeapTupleSatisfiesVisibility(&tup, a->x->snapshot, buffer))
			continue;
		xid = heap_getattr(&tup, A_ENTRY_XID, desc, &null_xid);
		seq = DatumGetInt64(heap_getattr(&tup, A_ENTRY_SEQ, desc, &null_seq));
		if (null_xid || null_seq || seq < 0)
			continue;
		s = &a->seen[seq % SEEN];
		s->seq = seq;
		s->xid = DatumGetFullTransactionId(xid);
		s->block = block;
		s->offset = offset;
	}
	UnlockReleaseBuffer(buffer);
}

/* By its key; what stands beside it is expected next. */
static void
look_up(ExportAll *a, const ProvLeafRef *ref, ItemPointer tid)
{
	HeapTuple	tup = prov_fetch2(PROV_ENTRY, FullTransactionIdGetDatum(ref->xid), Int64GetDatum(ref->seq), a->x->snapshot);
	bool		isnull;
	int32		of_table;

	if (!HeapTupleIsValid(tup))
		prove_log_damaged(ref->leaf);
	of_table = DatumGetInt32(heap_getattr(tup, A_ENTRY_TABLE, RelationGetDescr(a->entries), &isnull));
	if (isnull || of_table != ref->table_id)
		prove_log_damaged(ref->leaf);
	*tid = tup->t_self;
	heap_freetuple(tup);
	a->block = ItemPointerGetBlockNumber(tid);
	if (a->block < a->nblocks)
		read_page(a);
}

static bool
is_it(const Seen *s, const ProvLeafRef *ref)
{
	return s->seq == ref->seq && FullTransactionIdEquals(s->xid, ref->xid);
}

/* The place of the leaf's entry, which must be there and be one of the table's. */
static void
find_entry(ExportAll *a, const ProvLeafRef *ref, ItemPointer tid)
{
	const Seen *s = &a->seen[ref->seq % SEEN];
	bool		is_near = ref->leaf - a->found <= NEAR;

	a->found = ref->leaf;
	if (!is_it(s, ref))
	{
		for (int i = 0; is_near && !is_it(s, ref) && i < a->reach && a->block < a->nblocks; i++)
			read_page(a);
		if (!is_it(s, ref))
		{
			if (is_near)
				a->reach = Max(a->reach / 2, 1);
			look_up(a, ref, tid);
			return;
		}
		a->reach = Min(a->reach * 2, REACH);
	}
	ItemPointerSet(tid, s->block, s->offset);
}

/* ---- for export_leaves.c ---- */

ExportAll *
export_all_begin(Export *x, Relation entries)
{
	ExportAll  *a = palloc0(sizeof(ExportAll));

	a->x = x;
	a->entries = entries;
	a->nblocks = RelationGetNumberOfBlocks(entries);
	a->block = a->nblocks;		/* unknown: the first one is looked up */
	a->newest = -1;
	a->reach = REACH;
	a->strategy = GetAccessStrategy(BAS_BULKREAD);
	a->seen = palloc(sizeof(Seen) * SEEN);
	for (int i = 0; i < SEEN; i++)
		a->seen[i].seq = -1;
	a->named = MemoryContextAllocHuge(CurrentMemoryContext, words_of(a) * sizeof(uint64));
	find_named(a);
	return a;
}

bool
export_all_next(ExportAll *a, ExportLeaf *leaf)
{
	const ProvLeafRef *ref;

	while ((ref = next_leaf(a)) != NULL)
	{
		if (!is_ours(a, ref))
		{
			/* named by an entry of this one, or filed elsewhere than its entry */
			if (is_named(a, ref->leaf) || is_it(&a->seen[ref->seq % SEEN], ref))
				prove_log_damaged(ref->leaf);
			continue;
		}
		find_entry(a, ref, &leaf->tid);
		if (ref->prev_leaf >= a->x->since)
		{
			if (!is_named(a, ref->prev_leaf))
				prove_log_damaged(ref->prev_leaf);
			set_named(a, ref->prev_leaf, false);
		}
		leaf->ref = *ref;
		leaf->next = is_named(a, ref->leaf);
		return true;
	}
	return false;
}

int64
export_all_newest(ExportAll *a)
{
	return a->newest;
}

void
export_all_end(ExportAll *a)
{
	close_runs(a);
	FreeAccessStrategy(a->strategy);
	pfree(a->named);
	pfree(a->seen);
	pfree(a);
}
