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
 * Memory: the tuple lies on the stack, a long one in the caller's context until
 * it is inserted. Locks: RowExclusiveLock on entry, kept to the end of the
 * transaction.
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

static MemoryContext insert_context = NULL; /* reset after each use */

/* The columns before the image, as they lie in a tuple. */
typedef struct EntryHead
{
	FullTransactionId xid;
	int64		seq;
	TimestampTz changed_at;
	int64		context_id;
	int32		order_number;
	int32		table_id;
	int32		shape_id;
	uint8		row_id[PV_ROW_ID_LEN];
	pv_hash		commitment;
	uint8		seed[PV_SEED_LEN];
} EntryHead;

#define ENTRY_HEAD_LEN (offsetof(EntryHead, seed) + PV_SEED_LEN)
#define ENTRY_HOFF MAXALIGN(SizeofHeapTupleHeader)

StaticAssertDecl(ENTRY_HEAD_LEN == 108, "the columns of entry leave gaps");

/* Room for the tuples of most tables' entries. */
typedef union EntrySpace
{
	HeapTupleHeaderData header;
	char		bytes[1024];
} EntrySpace;

/*
 * What heap_form_tuple() would make, written down once instead of measured and
 * filled in column by column.
 */
static void
form_tuple(const ProvEntry *entry, HeapTuple tup, EntrySpace *space)
{
	HeapTupleHeader header = &space->header;
	bool		short_image = entry->image_len + VARHDRSZ_SHORT <= VARATT_SHORT_MAX;
	Size		image_size = entry->image_len + (short_image ? VARHDRSZ_SHORT : VARHDRSZ);
	Size		op_off = SHORTALIGN(ENTRY_HEAD_LEN + image_size);
	int16		op = (int16) entry->op;
	EntryHead	head;
	char	   *data;

	tup->t_len = ENTRY_HOFF + op_off + sizeof(op);
	ItemPointerSetInvalid(&tup->t_self);
	tup->t_tableOid = InvalidOid;
	if (tup->t_len > sizeof(EntrySpace))
		header = palloc(tup->t_len);
	tup->t_data = header;

	memset(header, 0, ENTRY_HOFF);
	ItemPointerSetInvalid(&header->t_ctid);
	header->t_infomask = HEAP_HASVARWIDTH;
	HeapTupleHeaderSetNatts(header, N_ENTRY);
	header->t_hoff = ENTRY_HOFF;

	head.xid = entry->xid;
	head.seq = entry->seq;
	head.changed_at = entry->changed_at;
	head.context_id = entry->context_id;
	head.order_number = (int32) entry->order_number;
	head.table_id = entry->table_id;
	head.shape_id = entry->shape_id;
	memcpy(head.row_id, entry->row_id, sizeof(head.row_id));
	head.commitment = entry->commitment;
	memcpy(head.seed, entry->seed, sizeof(head.seed));

	data = (char *) header + ENTRY_HOFF;
	memcpy(data, &head, ENTRY_HEAD_LEN);
	data[op_off - 1] = 0;		/* overwritten by the image, or a gap */
	if (short_image)
		SET_VARSIZE_SHORT(data + ENTRY_HEAD_LEN, image_size);
	else
		SET_VARSIZE(data + ENTRY_HEAD_LEN, image_size);
	memcpy(data + ENTRY_HEAD_LEN + image_size - entry->image_len, entry->image, entry->image_len);
	memcpy(data + op_off, &op, sizeof(op));
}

/* The one index that there normally is; NULL if there are others. */
static Relation
only_index(Relation rel)
{
	Relation	index = NULL;
	Oid			pkey = prov_pkey(PROV_ENTRY);	/* first: it may process invalidations */
	List	   *indexes = rel->rd_indexvalid ? rel->rd_indexlist : RelationGetIndexList(rel);

	if (list_length(indexes) == 1 && linitial_oid(indexes) == pkey)
	{
		/*
		 * The table's lock keeps away whoever would change or drop the index;
		 * for one that moves it, see lock_out_writers() in src/guard/ddl.c.
		 */
		index = RelationIdGetRelation(pkey);
		if (index == NULL)
			elog(ERROR, "the primary key of table entry is gone");
	}
	return index;
}

/* With all indexes: REINDEX CONCURRENTLY makes a second one, which must not lack this entry. */
static void
insert_with_indexes(Relation rel, HeapTuple tup)
{
	MemoryContext old;
	List	   *indexes;

	if (insert_context == NULL)
		insert_context = AllocSetContextCreate(TopMemoryContext, "provenance append",
											   ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(insert_context);
	indexes = RelationGetIndexList(rel);
	if (!list_member_oid(indexes, prov_pkey(PROV_ENTRY)))
		elog(ERROR, "the primary key of table entry is gone");
	CatalogTupleInsert(rel, tup);
	MemoryContextSwitchTo(old);
	MemoryContextReset(insert_context);
}

void
prov_entry_append(ProvEntry *entry)
{
	/* btree asks nothing of it */
	static IndexInfo index_info = {.type = T_IndexInfo};
	Relation	rel;
	Relation	index;
	EntrySpace	space;
	HeapTupleData tup;

	if (unlikely(entry->order_number > PG_INT32_MAX))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a transaction with more than %d commands cannot be recorded", PG_INT32_MAX / 4)));

	rel = table_open(prov_relid(PROV_ENTRY), RowExclusiveLock);
	prov_check_writable(PROV_ENTRY, rel);

	entry->xid = GetTopFullTransactionId();
	entry->seq = prov_nextval(PROV_ENTRY_SEQ);
	form_tuple(entry, &tup, &space);

	index = only_index(rel);
	if (likely(index != NULL))
	{
		Datum		key[2] = {FullTransactionIdGetDatum(entry->xid), Int64GetDatum(entry->seq)};
		bool		nulls[2] = {false, false};

		heap_insert(rel, &tup, GetCurrentCommandId(true), 0, NULL);
		index_insert(index, key, nulls, &tup.t_self, rel, UNIQUE_CHECK_YES, false, &index_info);
		RelationClose(index);
	}
	else
		insert_with_indexes(rel, &tup);

	if ((char *) tup.t_data != (char *) &space)
		pfree(tup.t_data);
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
