/*-------------------------------------------------------------------------
 *
 * entry.c
 *	  Entries: appending one, reading one, its leaf and its commitment.
 *
 * prov_entry_append() is what a change of a tagged row costs beside its image
 * and commitment: a number from the sequence, one heap insert, one index
 * entry, nothing looked up and nothing kept. It is called with the changed
 * row's lock held, and draws seq itself for that reason: of two transactions
 * that change one row, the later one draws the greater seq
 * (src/ledger/order.c builds on it).
 *
 * GetCurrentCommandId(true) marks the command id as used, so that every later
 * command of the transaction has a greater one. The order numbers need that.
 *
 * Memory: what an append allocates lives in a context of its own, reset each
 * time. Locks: RowExclusiveLock on entry, kept to the end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/xid8.h"

#include "compat.h"
#include "ledger/seal.h"
#include "ledger/store.h"
#include "types/types.h"

static MemoryContext append_context = NULL; /* reset after each append */

void
prov_entry_append(ProvEntry *entry)
{
	/* btree asks nothing of it */
	static IndexInfo index_info = {.type = T_IndexInfo};
	Relation	rel;
	MemoryContext old;
	List	   *indexes;
	Datum		values[N_ENTRY];
	bool		nulls[N_ENTRY] = {false};
	HeapTuple	tup;

	if (unlikely(append_context == NULL))
		append_context = AllocSetContextCreate(TopMemoryContext, "provenance append",
											   ALLOCSET_DEFAULT_SIZES);

	if (unlikely(entry->order_number > PG_INT32_MAX))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a transaction with more than %d commands cannot be recorded", PG_INT32_MAX / 4)));

	rel = table_open(prov_relid(PROV_ENTRY), RowExclusiveLock);
	prov_check_writable(PROV_ENTRY, rel);
	old = MemoryContextSwitchTo(append_context);
	indexes = RelationGetIndexList(rel);

	entry->xid = GetTopFullTransactionId();
	entry->seq = prov_nextval(PROV_ENTRY_SEQ);

	values[A_ENTRY_XID - 1] = FullTransactionIdGetDatum(entry->xid);
	values[A_ENTRY_SEQ - 1] = Int64GetDatum(entry->seq);
	values[A_ENTRY_CHANGED_AT - 1] = TimestampTzGetDatum(entry->changed_at);
	values[A_ENTRY_CONTEXT - 1] = Int64GetDatum(entry->context_id);
	values[A_ENTRY_ORDER - 1] = Int32GetDatum((int32) entry->order_number);
	values[A_ENTRY_TABLE - 1] = Int32GetDatum(entry->table_id);
	values[A_ENTRY_SHAPE - 1] = Int32GetDatum(entry->shape_id);
	values[A_ENTRY_ROW_ID - 1] = PointerGetDatum(entry->row_id);
	values[A_ENTRY_COMMITMENT - 1] = HashPGetDatum(&entry->commitment);
	if (entry->erased)
	{
		nulls[A_ENTRY_SEED - 1] = true;
		nulls[A_ENTRY_IMAGE - 1] = true;
		values[A_ENTRY_SEED - 1] = values[A_ENTRY_IMAGE - 1] = (Datum) 0;
	}
	else
	{
		bytea	   *image = palloc(VARHDRSZ + entry->image_len);

		SET_VARSIZE(image, VARHDRSZ + entry->image_len);
		memcpy(VARDATA(image), entry->image, entry->image_len);
		values[A_ENTRY_SEED - 1] = PointerGetDatum(entry->seed);
		values[A_ENTRY_IMAGE - 1] = PointerGetDatum(image);
	}
	values[A_ENTRY_OP - 1] = Int16GetDatum((int16) entry->op);

	tup = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	if (likely(list_length(indexes) == 1 && linitial_oid(indexes) == prov_pkey(PROV_ENTRY)))
	{
		/*
		 * The table's lock keeps away whoever would change or drop the index;
		 * for one that moves it, see lock_out_writers() in src/guard/ddl.c.
		 */
		Relation	index = RelationIdGetRelation(linitial_oid(indexes));

		if (index == NULL)
			elog(ERROR, "the primary key of table entry is gone");
		heap_insert(rel, tup, GetCurrentCommandId(true), 0, NULL);
		index_insert(index, values, nulls, &tup->t_self, rel, UNIQUE_CHECK_YES, false, &index_info);
		RelationClose(index);
	}
	else
	{
		/* REINDEX CONCURRENTLY makes a second one, which must not lack this entry */
		if (!list_member_oid(indexes, prov_pkey(PROV_ENTRY)))
			elog(ERROR, "the primary key of table entry is gone");
		CatalogTupleInsert(rel, tup);
	}

	MemoryContextSwitchTo(old);
	MemoryContextReset(append_context);
	table_close(rel, NoLock);

	prov_poke_worker();
}

void
prov_entry_from_tuple(HeapTuple tup, TupleDesc desc, bool want_image, ProvEntry *out)
{
	Datum		v[N_ENTRY];
	bool		nulls[N_ENTRY];

	if (desc->natts != N_ENTRY)
		elog(ERROR, "table entry has %d columns instead of %d", desc->natts, N_ENTRY);
	heap_deform_tuple(tup, desc, v, nulls);
	memset(out, 0, sizeof(*out));

	/* by-value columns that are null read as zero */
#define VALUE(attno, get, zero) (nulls[(attno) - 1] ? (zero) : get(v[(attno) - 1]))
	out->xid = VALUE(A_ENTRY_XID, DatumGetFullTransactionId, InvalidFullTransactionId);
	out->seq = VALUE(A_ENTRY_SEQ, DatumGetInt64, 0);
	out->changed_at = VALUE(A_ENTRY_CHANGED_AT, DatumGetTimestampTz, 0);
	out->order_number = VALUE(A_ENTRY_ORDER, DatumGetInt32, 0);
	out->context_id = VALUE(A_ENTRY_CONTEXT, DatumGetInt64, 0);
	out->table_id = VALUE(A_ENTRY_TABLE, DatumGetInt32, 0);
	out->shape_id = VALUE(A_ENTRY_SHAPE, DatumGetInt32, 0);
	out->op = VALUE(A_ENTRY_OP, DatumGetInt16, 0);
#undef VALUE
	if (!nulls[A_ENTRY_ROW_ID - 1])
		memcpy(out->row_id, DatumGetPointer(v[A_ENTRY_ROW_ID - 1]), PV_ROW_ID_LEN);
	if (!nulls[A_ENTRY_COMMITMENT - 1])
		out->commitment = *DatumGetHashP(v[A_ENTRY_COMMITMENT - 1]);
	out->erased = nulls[A_ENTRY_SEED - 1] || nulls[A_ENTRY_IMAGE - 1];
	if (!nulls[A_ENTRY_SEED - 1])
		memcpy(out->seed, DatumGetPointer(v[A_ENTRY_SEED - 1]), PV_SEED_LEN);
	if (want_image && !nulls[A_ENTRY_IMAGE - 1])
	{
		struct varlena *image = PG_DETOAST_DATUM_PACKED(v[A_ENTRY_IMAGE - 1]);

		out->image_len = VARSIZE_ANY_EXHDR(image);
		out->image = palloc(out->image_len + 1);
		memcpy(out->image, VARDATA_ANY(image), out->image_len);
		if ((Pointer) image != DatumGetPointer(v[A_ENTRY_IMAGE - 1]))
			pfree(image);
	}
}

bool
prov_entry_fetch(FullTransactionId xid, int64 seq, Snapshot snapshot, bool want_image, ProvEntry *out)
{
	HeapTuple	tup = prov_fetch2(PROV_ENTRY, FullTransactionIdGetDatum(xid), Int64GetDatum(seq), snapshot);

	if (!HeapTupleIsValid(tup))
		return false;
	prov_entry_from_tuple(tup, prov_tupdesc(PROV_ENTRY), want_image, out);
	heap_freetuple(tup);
	return true;
}

void
prov_entry_leaf(const ProvEntry *entry, const pv_hash *prev, pv_leaf *leaf)
{
	leaf->op = (uint8) entry->op;
	leaf->time_us = PROV_UNIX_US(entry->changed_at);
	leaf->xid = U64FromFullTransactionId(entry->xid);
	if (prev != NULL)
		leaf->prev = *prev;
	else
		memset(&leaf->prev, 0, sizeof(leaf->prev));
	leaf->commitment = entry->commitment;
}

pv_status
prov_entry_commitment(const ProvEntry *entry, const ProvShape *shape,
					  const pv_hash *context_commitment, pv_hash *out)
{
	pv_name    *names;
	pv_value   *values;
	uint8	   *salts;
	size_t		n = 0;
	pv_status	status;

	if (entry->image == NULL)
		return PV_E_TRUNCATED;
	if (shape->status != PV_OK)
		return shape->status;
	if (entry->op < 1 || entry->op > PV_OP_LAST)
		return PV_E_VALUE;

	names = palloc(sizeof(pv_name) * PV_MAX_FIELDS);
	values = palloc(sizeof(pv_value) * PV_MAX_FIELDS);
	status = pv_get_values(entry->image, entry->image_len, values, PV_MAX_FIELDS, &n);
	if (status == PV_OK && (int) n != prov_entry_names(shape, entry->op, names))
		status = PV_E_COUNT;
	if (status == PV_OK)
	{
		salts = palloc((n + 1) * PV_SALT_LEN);
		status = pv_commit_record(prov_hasher(), prov_salter(), &shape->digest, context_commitment,
								  entry->seed, names, values, n, salts, NULL, out);
		pfree(salts);
	}
	pfree(values);
	pfree(names);
	return status;
}
