/*
 * as_of.c: as_of() and as_of_size(): a table as it stood.
 *
 * The state of a table is, for each row, the last entry of its chain, unless
 * that is a delete, or the table was truncated since. A `tag` entry ends every
 * row too: the rows that were there when recording began again follow it as
 * baselines. "Last" is a matter of place in the log, not of time.
 *
 * The table of entries is read once from end to end, which is about log order,
 * and puts one small record an entry into a sort by (row identity, place): no
 * image is read for it. Of each row's last record, what is left is where the
 * entry lies; sorted by that, the images are read once and in the order in
 * which they lie on disk. What both sorts and the result need beyond work_mem
 * goes to temporary files.
 *
 * Places of sealed entries come from the log's own map. as_of() puts those not
 * sealed yet behind them, in the order in which they will be; as_of_size()
 * ends before the size given.
 *
 * Values become values again by their type's input function, under the
 * settings of canonical text; where a type is user-defined, as the table's
 * owner in a security-restricted operation, because what is behind a domain's
 * check is the owner's code and not the caller's. Columns are matched by
 * name: one that a shape does not have yet is NULL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/xid8.h"

#include "compat.h"
#include "ledger/canonical.h"
#include "prove/prove.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_as_of);
PG_FUNCTION_INFO_V1(provenance_as_of_size);

/* What is sorted, a bytea: compared as bytes, hence big-endian. */
typedef struct Version
{
	char		vl_len_[VARHDRSZ];
	uint8		row_id[PV_ROW_ID_LEN];
	uint8		place[8];
	uint8		tid[8];
	uint8		op;
} Version;

#define VERSION_LEN (offsetof(Version, op) + 1)

/* Where a shape has the columns of the row type. */
typedef struct ShapeMap
{
	int32		shape_id;		/* hash key */
	int			ncolumns;		/* of the shape; -1: cannot be read */
	int		   *fields;			/* by attribute: index into the image, or -1 */
} ShapeMap;

/* Blocks of the log's map seq -> leaf, read last. */
#define CACHED_BLOCKS 16

typedef struct AsOf
{
	ProveTarget *target;
	Snapshot	snapshot;
	TimestampTz at;				/* DT_NOEND for as_of_size() */
	int64		size;			/* leaves before this one; PG_INT64_MAX: all, and what is not sealed */
	int64		ended;			/* place of the last truncate or tag; -1: none */
	Tuplesortstate *versions;
	Tuplesortstate *places;		/* TIDs as int8 */
	int64		block[CACHED_BLOCKS];	/* -1: nothing cached */
	int64		leaves[CACHED_BLOCKS][PROV_BLOCK_SEQS];

	/* the result */
	ReturnSetInfo *rsinfo;
	TupleDesc	desc;
	MemoryContext row;
	HTAB	   *shapes;
	FmgrInfo   *inputs;			/* by attribute */
	Oid		   *ioparams;
	Datum	   *values;
	bool	   *nulls;
	int64		seq;			/* of the entry in hand, and the attribute, */
	int			att;			/* for an error's context */
} AsOf;

static void
put_uint64(uint8 *out, uint64 v)
{
	int			i;

	for (i = 0; i < 8; i++)
		out[i] = (uint8) (v >> (56 - 8 * i));
}

static uint64
get_uint64(const uint8 *in)
{
	uint64		v = 0;
	int			i;

	for (i = 0; i < 8; i++)
		v = v << 8 | in[i];
	return v;
}

/* ---- which entries ---- */

/* The leaf of an entry, -1 if it is not sealed. */
static int64
leaf_of(AsOf *as, int64 seq)
{
	int64		block = seq / PROV_BLOCK_SEQS;
	int			slot = block % CACHED_BLOCKS;

	if (seq < 0)
		return -1;
	if (as->block[slot] != block)
	{
		TupleDesc	desc = prov_tupdesc(PROV_SEQ_BLOCK);
		ScanKeyData key;
		ProvScan	scan;
		HeapTuple	tup;

		memset(as->leaves[slot], 0xFF, sizeof(as->leaves[slot]));
		as->block[slot] = block;
		prov_key_init(&key, PROV_SEQ_BLOCK, A_BLOCK_BLOCK, BTEqualStrategyNumber, Int64GetDatum(block));
		prov_scan_begin(&scan, PROV_SEQ_BLOCK, prov_pkey(PROV_SEQ_BLOCK), as->snapshot, 1, &key);
		while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
		{
			bool		null_first;
			bool		null_map;
			int64		first = DatumGetInt64(heap_getattr(tup, A_BLOCK_FIRST, desc, &null_first));
			Datum		d = heap_getattr(tup, A_BLOCK_MAP, desc, &null_map);
			struct varlena *map = null_map ? NULL : PG_DETOAST_DATUM_PACKED(d);

			if (null_first || null_map ||
				!prov_block_decode(first, (const uint8 *) VARDATA_ANY(map), VARSIZE_ANY_EXHDR(map), as->leaves[slot]))
				prove_log_damaged(null_first ? -1 : first);
			if ((Pointer) map != DatumGetPointer(d))
				pfree(map);
		}
		prov_scan_end(&scan);
	}
	return as->leaves[slot][seq % PROV_BLOCK_SEQS];
}

/* An entry of the table, at its place. */
static void
put_version(AsOf *as, int op, TimestampTz changed_at, const uint8 *row_id, int64 place, ItemPointer tid)
{
	Version		v;

	if (changed_at > as->at)
		return;
	if (op == PV_OP_TRUNCATE || op == PV_OP_TAG)
		as->ended = Max(as->ended, place);
	if (op < 0 || !pv_op_is_row(op))
		return;
	SET_VARSIZE(&v, VERSION_LEN);
	memcpy(v.row_id, row_id, PV_ROW_ID_LEN);
	put_uint64(v.place, (uint64) place);
	put_uint64(v.tid, (uint64) ItemPointerGetBlockNumber(tid) << 16 | ItemPointerGetOffsetNumber(tid));
	v.op = (uint8) op;
	tuplesort_putdatum(as->versions, PointerGetDatum(&v), false);
}

static void
read_sealed(AsOf *as)
{
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin(&scan, PROV_ENTRY, InvalidOid, as->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		int64		leaf;
		Datum		row_id;

		CHECK_FOR_INTERRUPTS();
		/* none is null unless somebody dropped the constraint; the image comes after */
		if (DatumGetInt32(heap_getattr(tup, A_ENTRY_TABLE, desc, &isnull)) != as->target->table->table_id)
			continue;
		leaf = leaf_of(as, DatumGetInt64(heap_getattr(tup, A_ENTRY_SEQ, desc, &isnull)));
		if (leaf < 0 || leaf >= as->size)
			continue;
		row_id = heap_getattr(tup, A_ENTRY_ROW_ID, desc, &isnull);
		if (isnull)
			prove_log_damaged(leaf);
		put_version(as, DatumGetInt16(heap_getattr(tup, A_ENTRY_OP, desc, &isnull)),
					DatumGetTimestampTz(heap_getattr(tup, A_ENTRY_CHANGED_AT, desc, &isnull)),
					DatumGetUUIDP(row_id)->data, leaf, &tup->t_self);
	}
	prov_scan_end(&scan);
}

static void
read_unsealed(AsOf *as, int64 log_size)
{
	ProvUnsealedScan *scan = prov_unsealed_open(as->snapshot);
	int64		place = log_size;
	ProvEntry	entry;

	while (prov_unsealed_next(scan, &entry))
	{
		HeapTuple	tup;

		CHECK_FOR_INTERRUPTS();
		place++;
		if (entry.table_id != as->target->table->table_id)
			continue;
		tup = prov_fetch2(PROV_ENTRY, FullTransactionIdGetDatum(entry.xid), Int64GetDatum(entry.seq), as->snapshot);
		if (!HeapTupleIsValid(tup))
			continue;
		put_version(as, entry.op, entry.changed_at, entry.row_id, place, &tup->t_self);
		heap_freetuple(tup);
	}
	prov_unsealed_close(scan);
}

/* The last version of a row, if it is part of the state. */
static void
put_last(AsOf *as, const Version *last)
{
	if ((int64) get_uint64(last->place) > as->ended && last->op != PV_OP_DELETE)
		tuplesort_putdatum(as->places, Int64GetDatum((int64) get_uint64(last->tid)), false);
}

static void
pick_last(AsOf *as)
{
	Version		last = {.op = 0};
	Datum		d;
	bool		isnull;

	tuplesort_performsort(as->versions);
	while (prov_tuplesort_getdatum(as->versions, true, &d, &isnull))
	{
		Version    *v = (Version *) DatumGetPointer(d);

		CHECK_FOR_INTERRUPTS();
		if (last.op != 0 && memcmp(last.row_id, v->row_id, PV_ROW_ID_LEN) != 0)
			put_last(as, &last);
		memcpy(&last, v, VERSION_LEN);
		pfree(v);
	}
	if (last.op != 0)
		put_last(as, &last);
	tuplesort_end(as->versions);
	tuplesort_performsort(as->places);
}

/* ---- their rows ---- */

static ShapeMap *
shape_map(AsOf *as, int32 shape_id)
{
	bool		found;
	ShapeMap   *map = hash_search(as->shapes, &shape_id, HASH_FIND, NULL);
	MemoryContext old;
	ProvShape  *shape;
	int		   *fields;
	int			i;
	int			j;

	if (map != NULL)
		return map;

	old = MemoryContextSwitchTo(as->rsinfo->econtext->ecxt_per_query_memory);
	shape = prov_shape_fetch(shape_id, as->snapshot);
	fields = palloc(sizeof(int) * as->desc->natts);
	for (i = 0; i < as->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(as->desc, i);
		pv_value	name;

		fields[i] = -1;
		if (att->attisdropped || shape == NULL || shape->status != PV_OK)
			continue;
		name = prov_utf8_value(NameStr(att->attname));
		for (j = 0; j < shape->shape.ncolumns; j++)
			if (shape->columns[j].name.len == name.len && memcmp(shape->columns[j].name.s, name.data, name.len) == 0)
				fields[i] = j;
	}
	MemoryContextSwitchTo(old);

	map = hash_search(as->shapes, &shape_id, HASH_ENTER, &found);
	map->fields = fields;
	map->ncolumns = shape == NULL || shape->status != PV_OK ? -1 : shape->shape.ncolumns;
	return map;
}

static void
value_context(void *arg)
{
	AsOf	   *as = arg;

	if (as->att >= 0)
		errcontext("value of column \"%s\" as entry %lld recorded it",
				   NameStr(TupleDescAttr(as->desc, as->att)->attname), (long long) as->seq);
}

/* Fills the row from an image; an erased one leaves it all NULL. */
static void
read_row(AsOf *as, const ProvEntry *entry)
{
	ShapeMap   *map = shape_map(as, entry->shape_id);
	pv_value   *fields;
	size_t		n;

	memset(as->nulls, true, sizeof(bool) * as->desc->natts);
	if (entry->image == NULL)
		return;
	fields = palloc(sizeof(pv_value) * Max(map->ncolumns, 1));
	if (map->ncolumns < 0 ||
		pv_get_values(entry->image, entry->image_len, fields, map->ncolumns, &n) != PV_OK || (int) n != map->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entry %lld cannot be read", (long long) entry->seq),
				 errhint("SELECT * FROM provenance.verify_table('%s') says more.",
						 quote_qualified_identifier(as->target->table->schema, as->target->table->table))));

	as->seq = entry->seq;
	for (as->att = 0; as->att < as->desc->natts; as->att++)
	{
		int			field = map->fields[as->att];
		Form_pg_attribute att = TupleDescAttr(as->desc, as->att);

		if (field < 0 || fields[field].data == NULL)
			continue;
		as->values[as->att] = InputFunctionCall(&as->inputs[as->att], prove_text(fields[field].data, fields[field].len),
												as->ioparams[as->att], att->atttypmod);
		as->nulls[as->att] = false;
	}
	as->att = -1;
}

static void
put_rows(void *arg)
{
	AsOf	   *as = arg;
	Relation	rel = prov_open(PROV_ENTRY, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ErrorContextCallback callback = {.callback = value_context, .arg = as, .previous = error_context_stack};
	Datum		d;
	bool		isnull;

	/* beside those of canonical text: what only input depends on */
	(void) set_config_option("xmloption", "content", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("array_nulls", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);

	as->att = -1;
	error_context_stack = &callback;
	while (prov_tuplesort_getdatum(as->places, true, &d, &isnull))
	{
		MemoryContext old = MemoryContextSwitchTo(as->row);
		uint64		place = (uint64) DatumGetInt64(d);
		ItemPointerData tid;
		HeapTuple	tup;
		bool		should_free;
		ProvEntry	entry;

		CHECK_FOR_INTERRUPTS();
		ItemPointerSet(&tid, (BlockNumber) (place >> 16), (OffsetNumber) (place & 0xFFFF));
		if (!table_tuple_fetch_row_version(rel, &tid, as->snapshot, slot))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("an entry was erased while it was being read"),
					 errhint("Try again.")));
		tup = ExecFetchSlotHeapTuple(slot, false, &should_free);
		prov_entry_from_tuple(tup, prov_tupdesc(PROV_ENTRY), true, &entry);
		read_row(as, &entry);
		tuplestore_putvalues(as->rsinfo->setResult, as->desc, as->values, as->nulls);
		if (should_free)
			heap_freetuple(tup);
		ExecClearTuple(slot);
		MemoryContextSwitchTo(old);
		MemoryContextReset(as->row);
	}
	error_context_stack = callback.previous;
	tuplesort_end(as->places);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
}

/* ---- the calls ---- */

/* The table whose row type the first argument has, as the caller may see it. */
static ProveTarget *
target_of_type(FunctionCallInfo fcinfo, Snapshot snapshot)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid			relid = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;
	ProveTarget *target;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("type %s is not the row type of a table", format_type_be(type)),
				 errhint("Give the table as NULL of its row type: NULL::schema.table.")));
	LockRelationOid(relid, AccessShareLock);
	target = prove_target(relid, snapshot);
	if (target->relid != relid)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partition of a table that is tagged as a whole", get_rel_name(relid)),
				 errhint("Ask for table \"%s\".", get_rel_name(target->relid))));
	if (!target->all_columns &&
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ALL) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
	return target;
}

/* Input functions, and what they need around them. */
static int
prepare_inputs(AsOf *as)
{
	int			natts = as->desc->natts;
	int			needs = PROV_NEEDS_GUC;
	int			i;

	as->inputs = palloc0(sizeof(FmgrInfo) * natts);
	as->ioparams = palloc0(sizeof(Oid) * natts);
	as->values = palloc0(sizeof(Datum) * natts);
	as->nulls = palloc(sizeof(bool) * natts);
	for (i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(as->desc, i);
		Oid			fn;

		if (att->attisdropped)
			continue;
		getTypeInputInfo(att->atttypid, &fn, &as->ioparams[i]);
		fmgr_info(fn, &as->inputs[i]);
		if (att->atttypid >= FirstNormalObjectId)
			needs |= PROV_NEEDS_OWNER;
	}
	return needs;
}

static void
as_of(FunctionCallInfo fcinfo, Snapshot snapshot, TimestampTz at, int64 size)
{
	AsOf	   *as = palloc0(sizeof(AsOf));
	HASHCTL		ctl = {.keysize = sizeof(int32), .entrysize = sizeof(ShapeMap), .hcxt = CurrentMemoryContext};
	ProvLog    *log = prov_log_open(snapshot);
	int64		log_size = prov_log_size(log);
	int			needs;

	prov_log_close(log);
	as->target = target_of_type(fcinfo, snapshot);
	as->snapshot = snapshot;
	as->at = at;
	as->size = size;
	as->ended = -1;
	memset(as->block, 0xFF, sizeof(as->block));
	if (size != PG_INT64_MAX && size > log_size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the log has not reached size %lld", (long long) size),
				 errdetail("Its size is %lld.", (long long) log_size)));

	InitMaterializedSRF(fcinfo, 0);
	as->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	as->desc = as->rsinfo->setDesc;
	as->row = AllocSetContextCreate(CurrentMemoryContext, "provenance row as of", ALLOCSET_DEFAULT_SIZES);
	as->shapes = hash_create("provenance shapes as of", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	needs = prepare_inputs(as);

	as->versions = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);
	as->places = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);
	read_sealed(as);
	if (size == PG_INT64_MAX)
		read_unsealed(as, log_size);
	pick_last(as);
	prov_canonical_run(needs, prove_owner_of(as->target->relid), put_rows, as);
}

/* as_of(target anyelement, at timestamptz) */
Datum
provenance_as_of(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the time must not be null")));
	snapshot = RegisterSnapshot(GetActiveSnapshot());
	as_of(fcinfo, snapshot, PG_GETARG_TIMESTAMPTZ(1), PG_INT64_MAX);
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}

/* as_of_size(target anyelement, size bigint) */
Datum
provenance_as_of_size(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot = prov_latest_snapshot();
	bool		registered = IsMVCCSnapshot(snapshot);
	int64		size;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the size must not be null")));
	size = PG_GETARG_INT64(1);
	if (size < 0 || size == PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a log has no size %lld", (long long) size)));
	if (registered)
		snapshot = RegisterSnapshot(snapshot);
	as_of(fcinfo, snapshot, DT_NOEND, size);
	if (registered)
		UnregisterSnapshot(snapshot);
	return (Datum) 0;
}
