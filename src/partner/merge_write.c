/*-------------------------------------------------------------------------
 *
 * merge_write.c
 *	  Writing what a bundle proved: rows in batches, and uniting what two
 *	  bundles disclosed of one entry.
 *
 * A batch keeps rows in memory and no relation open: between two lines of a
 * COPY nothing is held that a resource owner would have to know.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"

#include "compat.h"
#include "partner/inbox.h"

#define BATCH_ROWS 1000
#define BATCH_BYTES (1024 * 1024)

void
prov_batch_init(ProvBatch *b, ProvRel rel, MemoryContext parent)
{
	b->rel = rel;
	b->cxt = AllocSetContextCreate(parent, "provenance batch", ALLOCSET_DEFAULT_SIZES);
	b->n = 0;
	b->tuples = MemoryContextAlloc(parent, sizeof(HeapTuple) * BATCH_ROWS);
}

void
prov_batch_add(ProvBatch *b, Datum *values, bool *nulls)
{
	MemoryContext old = MemoryContextSwitchTo(b->cxt);

	b->tuples[b->n++] = heap_form_tuple(prov_tupdesc(b->rel), values, nulls);
	MemoryContextSwitchTo(old);
	if (b->n == BATCH_ROWS || MemoryContextMemAllocated(b->cxt, false) > BATCH_BYTES)
		prov_batch_flush(b);
}

/*
 * Not by the server's function for catalogs: it takes the address of a row from
 * a tuple that is not the one stored if values were moved out of line.
 */
static void
insert_index_entries(ProvWriter *w, TupleTableSlot *slot)
{
	for (int i = 0; i < w->indexes->ri_NumIndices; i++)
	{
		Relation	index = w->indexes->ri_IndexRelationDescs[i];
		IndexInfo  *info = w->indexes->ri_IndexRelationInfo[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		isnull[INDEX_MAX_KEYS];

		FormIndexDatum(info, slot, NULL, values, isnull);
		index_insert(index, values, isnull, &slot->tts_tid, w->rel,
					 index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
	}
}

void
prov_batch_flush(ProvBatch *b)
{
	MemoryContext old;
	TupleTableSlot **slots;
	ProvWriter	w;

	if (b->n == 0)
		return;
	old = MemoryContextSwitchTo(b->cxt);
	slots = palloc(sizeof(TupleTableSlot *) * b->n);
	for (int i = 0; i < b->n; i++)
	{
		slots[i] = MakeSingleTupleTableSlot(prov_tupdesc(b->rel), &TTSOpsHeapTuple);
		ExecStoreHeapTuple(b->tuples[i], slots[i], false);
	}
	prov_writer_open(&w, b->rel);
	heap_multi_insert(w.rel, slots, b->n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < b->n; i++)
		insert_index_entries(&w, slots[i]);
	prov_writer_close(&w);
	for (int i = 0; i < b->n; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->cxt);
	b->n = 0;
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
