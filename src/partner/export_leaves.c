/*
 * export_leaves.c: which leaves a bundle has, and their entries.
 *
 * Of all rows: export_all.c. Of some: their chains, backwards from the table
 * of heads, and the table's own chain. Leaves are sorted, and read twice in
 * the order of the log: first for their predecessors, which are sorted too, so
 * that each leaf knows whether another one follows; then for their entries. A
 * run of leaves near the last one is reached by stepping along its index.
 *
 * The snapshot is newer than the checkpoint. What lies below its size was
 * written once; only an erasure may still come, and shows as such.
 *
 * Memory: two sorts of work_mem; of all rows, that of export_all.c.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/tuplesort.h"

#include "ledger/key_args.h"
#include "partner/export.h"

#include "compat.h"

struct ExportLeaves
{
	Export	   *x;
	Relation	entries;
	Buffer		buffer;			/* of the entry read last, pinned */
	ExportAll  *all;			/* NULL: of some rows, and all below */
	Tuplesortstate *leaves;
	Tuplesortstate *previous;	/* leaves that others name */
	int64		last_put;
	int64		last_got;
	int64		awaited;		/* least of `previous` that is still to come; -1: none */
	ProvRunScan *runs;			/* from some leaf on; NULL: none */
	int64		run_first;		/* the run it has come to */
	int			run_count;
	ProvLeafRef run[PROV_RUN_MAX];
};

#define RUN_STEPS 4				/* runs to step over; beyond, a descent is cheaper */

static void
put(ExportLeaves *l, int64 leaf)
{
	if (leaf < l->x->since || leaf >= l->x->size)
		return;
	l->last_put = Max(l->last_put, leaf);
	tuplesort_putdatum(l->leaves, Int64GetDatum(leaf), false);
}

static bool
next_run(ExportLeaves *l)
{
	bool		ok = true;

	if (prov_run_scan_next(l->runs, &l->run_first, &l->run_count, l->run, &ok) && ok)
		return true;
	l->run_first = l->run_count = 0;
	return false;
}

static void
close_runs(ExportLeaves *l)
{
	if (l->runs != NULL)
		prov_run_scan_close(l->runs);
	l->runs = NULL;
	l->run_first = l->run_count = 0;
}

/* A leaf that is not before the one read last. */
static bool
read_leaf(ExportLeaves *l, int64 leaf, ProvLeafRef *ref)
{
	int			step;

	for (step = 0; step < RUN_STEPS && l->runs != NULL && leaf >= l->run_first + l->run_count; step++)
		if (!next_run(l))
			break;
	if (l->runs == NULL || leaf >= l->run_first + l->run_count)
	{
		close_runs(l);
		l->runs = prov_run_scan_open(l->x->log, leaf);
		if (!next_run(l))
			return false;
	}
	if (leaf < l->run_first || leaf >= l->run_first + l->run_count)
		return false;
	*ref = l->run[leaf - l->run_first];
	return true;
}

/* The next leaf that was put, once; false at the end. */
static bool
get(ExportLeaves *l, ExportLeaf *leaf)
{
	Datum		d;
	bool		isnull;

	do
	{
		if (!prov_tuplesort_getdatum(l->leaves, true, &d, &isnull))
			return false;
	} while (DatumGetInt64(d) == l->last_got);
	l->last_got = DatumGetInt64(d);
	ItemPointerSetInvalid(&leaf->tid);
	if (!read_leaf(l, l->last_got, &leaf->ref) || leaf->ref.prev_leaf >= l->last_got)
		prove_log_damaged(l->last_got);
	return true;
}

/* ---- some rows ---- */

/* Puts a chain from its head on backwards; true if any of it is below the checkpoint's size. */
static bool
put_chain(ExportLeaves *l, int64 leaf)
{
	bool		any = false;
	ProvLeafRef ref;

	for (; leaf >= 0; leaf = ref.prev_leaf)
	{
		CHECK_FOR_INTERRUPTS();
		if (!prov_log_leaf(l->x->log, leaf, &ref) || ref.prev_leaf >= leaf)
			prove_log_damaged(leaf);
		any = any || leaf < l->x->size;
		if (leaf < l->x->since)
			break;
		put(l, leaf);
	}
	return any;
}

static void
put_own_chain(ExportLeaves *l)
{
	HeapTuple	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(l->x->target->table->table_id), l->x->snapshot);
	bool		isnull = true;
	int64		leaf = -1;

	if (HeapTupleIsValid(tup))
		leaf = DatumGetInt64(heap_getattr(tup, A_THEAD_LAST_LEAF, prov_tupdesc(PROV_TABLE_HEAD), &isnull));
	if (!isnull)
		(void) put_chain(l, leaf);
}

/* The values of a row literal: what record's input function makes of it, as texts. */
static int
split_key(Datum literal, TupleDesc desc, ProvArgument *args)
{
	HeapTupleHeader record;
	HeapTupleData tup;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	int			i;

	record = DatumGetHeapTupleHeader(OidInputFunctionCall(F_RECORD_IN, TextDatumGetCString(literal),
														  RECORDOID, desc->tdtypmod));
	tup.t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tup.t_self);
	tup.t_tableOid = InvalidOid;
	tup.t_data = record;
	heap_deform_tuple(&tup, desc, values, nulls);
	for (i = 0; i < desc->natts; i++)
	{
		args[i].value = values[i];
		args[i].isnull = nulls[i];
		args[i].type = TEXTOID;
	}
	return desc->natts;
}

static void
put_row(ExportLeaves *l, Datum given, TupleDesc desc)
{
	Export	   *x = l->x;
	ProvArgument args[INDEX_MAX_KEYS] = {{given, false, TEXTOID}};
	uint8		ids[2][PV_ROW_ID_LEN];
	int			n;
	int			i;

	n = prove_identities(x->target, args, desc == NULL ? 1 : split_key(given, desc, args), ids);
	for (i = 0; i < n; i++)
		if (put_chain(l, prove_row_head(ids[i], x->snapshot)))
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("table \"%s\" has no entry of the key %s in the log up to its newest checkpoint",
					get_rel_name(x->target->relid), TextDatumGetCString(given)),
			 errhint("SELECT provenance.seal() seals and publishes what is committed.")));
}

static void
put_rows(ExportLeaves *l)
{
	Export	   *x = l->x;
	TupleDesc	desc = NULL;
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	int			i;

	deconstruct_array(x->keys, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
	if (x->target->nkeys > 1)
	{
		desc = CreateTemplateTupleDesc(x->target->nkeys);
		for (i = 0; i < x->target->nkeys; i++)
			TupleDescInitEntry(desc, i + 1, x->target->key_names[i], TEXTOID, -1, 0);
		desc = BlessTupleDesc(desc);
	}
	for (i = 0; i < n; i++)
	{
		MemoryContext old;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("keys must not be null")));
		old = MemoryContextSwitchTo(x->row);
		put_row(l, elems[i], desc);
		MemoryContextSwitchTo(old);
		MemoryContextReset(x->row);
	}
	put_own_chain(l);
}

/* ---- reading them ---- */

static void
advance_awaited(ExportLeaves *l)
{
	Datum		d;
	bool		isnull;

	l->awaited = prov_tuplesort_getdatum(l->previous, true, &d, &isnull) ? DatumGetInt64(d) : -1;
}

ExportLeaves *
export_leaves_begin(Export *x)
{
	ExportLeaves *l = palloc0(sizeof(ExportLeaves));
	ExportLeaf	leaf;

	l->x = x;
	l->last_put = l->last_got = -1;
	l->entries = prov_open(PROV_ENTRY, AccessShareLock);
	l->buffer = InvalidBuffer;
	if (x->keys == NULL)
	{
		l->all = export_all_begin(x, l->entries);
		return l;
	}
	l->leaves = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_RANDOMACCESS);
	l->previous = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);

	put_rows(l);
	tuplesort_performsort(l->leaves);

	while (get(l, &leaf))
	{
		CHECK_FOR_INTERRUPTS();
		if (leaf.ref.prev_leaf >= x->since)
			tuplesort_putdatum(l->previous, Int64GetDatum(leaf.ref.prev_leaf), false);
	}
	tuplesort_performsort(l->previous);
	tuplesort_rescan(l->leaves);
	close_runs(l);
	l->last_got = -1;
	advance_awaited(l);
	return l;
}

bool
export_leaves_next(ExportLeaves *l, ExportLeaf *leaf)
{
	bool		any;

	if (l->all != NULL)
		return export_all_next(l->all, leaf);
	any = get(l, leaf);
	/* a predecessor that has no entry, or is that of two */
	if (l->awaited >= 0 && (!any || l->awaited < leaf->ref.leaf))
		prove_log_damaged(l->awaited);
	if (!any)
		return false;
	leaf->next = l->awaited == leaf->ref.leaf;
	if (leaf->next)
		advance_awaited(l);
	return true;
}

int64
export_leaves_newest(ExportLeaves *l)
{
	return l->all != NULL ? export_all_newest(l->all) : l->last_put;
}

void
export_leaves_end(ExportLeaves *l)
{
	if (l->all != NULL)
		export_all_end(l->all);
	else
	{
		close_runs(l);
		tuplesort_end(l->leaves);
		tuplesort_end(l->previous);
	}
	if (BufferIsValid(l->buffer))
		ReleaseBuffer(l->buffer);
	table_close(l->entries, AccessShareLock);
	pfree(l);
}

/*
 * The row at that place, if the snapshot sees it. Mostly the one before was on
 * the same page, whose pin is kept: heap_fetch() would look for the page again.
 */
static bool
row_at(ExportLeaves *l, const ItemPointerData *tid, HeapTuple tup)
{
	OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
	Page		page;
	ItemId		item;
	bool		visible = false;

	l->buffer = ReleaseAndReadBuffer(l->buffer, l->entries, ItemPointerGetBlockNumber(tid));
	LockBuffer(l->buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(l->buffer);
	if (offset <= PageGetMaxOffsetNumber(page) && ItemIdIsNormal(item = PageGetItemId(page, offset)))
	{
		tup->t_self = *tid;
		tup->t_tableOid = RelationGetRelid(l->entries);
		tup->t_data = (HeapTupleHeader) PageGetItem(page, item);
		tup->t_len = ItemIdGetLength(item);
		visible = HeapTupleSatisfiesVisibility(tup, l->x->snapshot, l->buffer);
		HeapCheckForSerializableConflictOut(visible, l->entries, tup, l->buffer, l->x->snapshot);
	}
	/* what is visible stays where it is as long as the page is pinned */
	LockBuffer(l->buffer, BUFFER_LOCK_UNLOCK);
	return visible;
}

void
export_fetch(ExportLeaves *l, const ExportLeaf *leaf, ProvEntry *entry)
{
	HeapTupleData tup;

	if (ItemPointerIsValid(&leaf->tid) && row_at(l, &leaf->tid, &tup))
		prov_entry_from_tuple(&tup, RelationGetDescr(l->entries), true, entry);
	else if (!prov_entry_fetch(leaf->ref.xid, leaf->ref.seq, l->x->snapshot, true, entry))
		prove_log_damaged(leaf->ref.leaf);
	if (entry->seq != leaf->ref.seq || !FullTransactionIdEquals(entry->xid, leaf->ref.xid))
		prove_log_damaged(leaf->ref.leaf);
}
