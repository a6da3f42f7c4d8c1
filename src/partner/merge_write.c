/*-------------------------------------------------------------------------
 *
 * merge_write.c
 *	  Writing what a bundle proved: rows in batches, and uniting what two
 *	  bundles disclosed of one entry.
 *
 * A batch keeps rows in memory and no relation open: between two lines of a
 * COPY nothing is held that a resource owner would have to know.
 *
 * Leaf hashes and pseudonyms are random: each would touch another page of its
 * index. Entries of those indexes wait, half of maintenance_work_mem of each,
 * and are inserted in the order of their keys. Nobody looks for a row by them
 * in between: rows become visible to others at the commit, and the merge itself
 * looks for leaves by their index in the log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"

#include "compat.h"
#include "partner/inbox.h"

#define BATCH_ROWS 1000
#define BATCH_BYTES (1024 * 1024)

#define SCATTERED_KEY_LEN 32
#define SCATTERED_BYTES (64 * 1024 * 1024)	/* at most: no sort of more, which cannot be interrupted */

/* An entry of an index that waits. */
typedef struct ScatteredEntry
{
	uint8		key[SCATTERED_KEY_LEN];
	ItemPointerData tid;
	bool		isnull;
} ScatteredEntry;

struct ProvScattered
{
	AttrNumber	attno;			/* the index's only column */
	int			keylen;
	Oid			index;			/* the one whose entries wait; InvalidOid: none was met yet */
	int			n;
	int			cap;
	int			max;
	ScatteredEntry *entries;
};

void
prov_batch_init(ProvBatch *b, ProvRel rel, MemoryContext parent)
{
	b->rel = rel;
	b->cxt = AllocSetContextCreate(parent, "provenance batch", ALLOCSET_DEFAULT_SIZES);
	b->n = 0;
	b->slots = MemoryContextAllocZero(parent, sizeof(TupleTableSlot *) * BATCH_ROWS);
	b->nscattered = 0;
}

void
prov_batch_scattered(ProvBatch *b, AttrNumber attno)
{
	ProvScattered *s = palloc0(sizeof(ProvScattered));

	Assert(b->nscattered < lengthof(b->scattered));
	s->attno = attno;
	s->keylen = TupleDescAttr(prov_tupdesc(b->rel), attno - 1)->attlen;
	Assert(s->keylen > 0 && s->keylen <= SCATTERED_KEY_LEN);
	s->max = (int) (Min((Size) maintenance_work_mem * 1024 / lengthof(b->scattered), SCATTERED_BYTES) / sizeof(ScatteredEntry));
	s->cap = Min(1024, s->max);
	s->entries = palloc(s->cap * sizeof(ScatteredEntry));
	b->scattered[b->nscattered++] = s;
}

void
prov_batch_add(ProvBatch *b, Datum *values, bool *nulls)
{
	TupleDesc	desc = prov_tupdesc(b->rel);
	MemoryContext old;

	if (b->slots[b->n] == NULL)
	{
		old = MemoryContextSwitchTo(GetMemoryChunkContext(b->slots));
		b->slots[b->n] = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
		MemoryContextSwitchTo(old);
	}
	old = MemoryContextSwitchTo(b->cxt);
	/* the slot's own, or heap_multi_insert() would copy it */
	ExecStoreHeapTuple(heap_form_tuple(desc, values, nulls), b->slots[b->n++], true);
	MemoryContextSwitchTo(old);
	if (b->n == BATCH_ROWS || MemoryContextMemAllocated(b->cxt, false) > BATCH_BYTES)
		prov_batch_flush(b);
}

/* --- indexes ------------------------------------------------------------ */

static int
compare_scattered(const void *a, const void *b)
{
	const ScatteredEntry *x = a;
	const ScatteredEntry *y = b;
	int			c = (int) x->isnull - (int) y->isnull;

	if (c == 0)
		c = memcmp(x->key, y->key, SCATTERED_KEY_LEN);
	return c != 0 ? c : ItemPointerCompare(unconstify(ItemPointerData *, &x->tid), unconstify(ItemPointerData *, &y->tid));
}

/*
 * Is the row not to be in a partial index? The only predicate that these tables
 * have is that the index's column is not null.
 */
static bool
left_out(const IndexInfo *info, TupleTableSlot *slot)
{
	return info->ii_Predicate != NIL && slot_attisnull(slot, info->ii_IndexAttrNumbers[0]);
}

static void
insert_scattered(ProvWriter *w, int i, ProvScattered *s)
{
	qsort(s->entries, s->n, sizeof(ScatteredEntry), compare_scattered);
	for (int k = 0; k < s->n; k++)
	{
		ScatteredEntry *e = &s->entries[k];
		Datum		value = PointerGetDatum(e->key);

		CHECK_FOR_INTERRUPTS();
		index_insert(w->indexes->ri_IndexRelationDescs[i], &value, &e->isnull, &e->tid, w->rel,
					 UNIQUE_CHECK_NO, false, w->indexes->ri_IndexRelationInfo[i]);
	}
	s->n = 0;
}

static void
add_scattered(ProvWriter *w, int i, ProvScattered *s, TupleTableSlot *slot)
{
	ScatteredEntry *e;
	Datum		value;

	if (left_out(w->indexes->ri_IndexRelationInfo[i], slot))
		return;
	if (s->n == s->max)
		insert_scattered(w, i, s);
	if (s->n == s->cap)
	{
		s->cap = Min(s->cap * 2, s->max);
		s->entries = repalloc(s->entries, s->cap * sizeof(ScatteredEntry));
	}
	e = &s->entries[s->n++];
	memset(e, 0, sizeof(*e));
	value = slot_getattr(slot, s->attno, &e->isnull);
	if (!e->isnull)
		memcpy(e->key, DatumGetPointer(value), s->keylen);
	e->tid = slot->tts_tid;
}

/* One that is not is about to be built, with these rows: REINDEX CONCURRENTLY. */
static bool
ready(const ProvWriter *w, int i)
{
	return w->indexes->ri_IndexRelationInfo[i]->ii_ReadyForInserts;
}

/*
 * Where do the entries of that index wait? NULL if they do not. There can be
 * several over the same column, made by somebody or, for a while, by REINDEX
 * CONCURRENTLY: the first one that is met is the one, to the end of the batch.
 */
static ProvScattered *
scattered(ProvBatch *b, const ProvWriter *w, int i)
{
	Relation	index = w->indexes->ri_IndexRelationDescs[i];
	const IndexInfo *info = w->indexes->ri_IndexRelationInfo[i];

	for (int k = 0; k < b->nscattered; k++)
	{
		ProvScattered *s = b->scattered[k];

		if (s->index == InvalidOid && info->ii_NumIndexAttrs == 1 && info->ii_IndexAttrNumbers[0] == s->attno &&
			index->rd_rel->relam == BTREE_AM_OID && !index->rd_index->indisunique)
			s->index = RelationGetRelid(index);
		if (s->index == RelationGetRelid(index))
			return s;
	}
	return NULL;
}

/*
 * Not by the server's function for catalogs: it takes the address of a row from
 * a tuple that is not the one stored if values were moved out of line.
 */
static void
insert_index_entries(ProvWriter *w, int i, TupleTableSlot *slot)
{
	Relation	index = w->indexes->ri_IndexRelationDescs[i];
	IndexInfo  *info = w->indexes->ri_IndexRelationInfo[i];
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (left_out(info, slot))
		return;
	FormIndexDatum(info, slot, NULL, values, isnull);
	index_insert(index, values, isnull, &slot->tts_tid, w->rel,
				 index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
}

void
prov_batch_flush(ProvBatch *b)
{
	MemoryContext old;
	ProvWriter	w;

	if (b->n == 0)
		return;
	old = MemoryContextSwitchTo(b->cxt);
	prov_writer_open(&w, b->rel);
	heap_multi_insert(w.rel, b->slots, b->n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < w.indexes->ri_NumIndices; i++)
	{
		ProvScattered *s;

		if (!ready(&w, i))
			continue;
		s = scattered(b, &w, i);
		for (int k = 0; k < b->n; k++)
			if (s != NULL)
				add_scattered(&w, i, s, b->slots[k]);
			else
				insert_index_entries(&w, i, b->slots[k]);
	}
	prov_writer_close(&w);
	for (int k = 0; k < b->n; k++)
		ExecClearTuple(b->slots[k]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->cxt);
	b->n = 0;
}

/*
 * The index can be gone: whoever drops one concurrently, and so whoever reindexes,
 * waits for writers before and after declaring it dead, and one may begin just in
 * between. No scan uses it by then, and its entries are of no use to anybody.
 */
void
prov_batch_end(ProvBatch *b)
{
	ProvWriter	w;

	prov_batch_flush(b);
	if (b->nscattered == 0)
		return;
	prov_writer_open(&w, b->rel);
	for (int i = 0; i < w.indexes->ri_NumIndices; i++)
	{
		ProvScattered *s;

		if (!ready(&w, i))
			continue;
		s = scattered(b, &w, i);
		if (s != NULL)
			insert_scattered(&w, i, s);
	}
	prov_writer_close(&w);
}

void
prov_merged_leaf_update(HeapTuple old, Datum *values, bool *nulls)
{
	TupleTableSlot *slot;
	HeapTuple	tup;
	ProvWriter	w;
	TU_UpdateIndexes which;

	prov_writer_open(&w, PROV_MERGED_LEAF);
	tup = heap_form_tuple(RelationGetDescr(w.rel), values, nulls);
	prov_heap_update(w.rel, &old->t_self, tup, &which);
	if (which != TU_None)
	{
		slot = MakeSingleTupleTableSlot(RelationGetDescr(w.rel), &TTSOpsHeapTuple);
		ExecStoreHeapTuple(tup, slot, false);
		slot->tts_tid = tup->t_self;
		for (int i = 0; i < w.indexes->ri_NumIndices; i++)
			if (ready(&w, i) && (which == TU_All || prov_index_summarizing(w.indexes->ri_IndexRelationInfo[i])))
				insert_index_entries(&w, i, slot);
		ExecDropSingleTupleTableSlot(slot);
	}
	heap_freetuple(tup);
	prov_writer_close(&w);
}

HeapTuple
prov_merged_leaf(int32 log_id, int64 leaf_index)
{
	return prov_fetch2(PROV_MERGED_LEAF, Int32GetDatum(log_id), Int64GetDatum(leaf_index), NULL);
}

/* The end of the token that begins at s. */
static const char *
token_end(const char *s)
{
	const char *bar = strchr(s, '|');

	return bar != NULL ? bar : s + strlen(s);
}

/*
 * Both are lists of one entry's, or one context's, fields, and each has been
 * verified: they differ only in what is withheld ("-" and a digest), or in
 * that one of them shows nothing at all ("!").
 */
char *
prov_unite_fields(const char *old, const char *new)
{
	StringInfoData united;
	bool		more = false;

	if (strcmp(new, "!") == 0 || strcmp(old, new) == 0)
		return NULL;
	if (strcmp(old, "!") == 0)
		return pstrdup(new);

	initStringInfo(&united);
	for (;;)
	{
		const char *old_end = token_end(old);
		const char *new_end = token_end(new);
		bool		take = *old == '-' && *new != '-';

		more |= take;
		appendBinaryStringInfo(&united, take ? new : old, take ? new_end - new : old_end - old);
		if (*old_end == '\0' || *new_end == '\0')
			break;
		appendStringInfoChar(&united, '|');
		old = old_end + 1;
		new = new_end + 1;
	}
	return more ? united.data : NULL;
}
