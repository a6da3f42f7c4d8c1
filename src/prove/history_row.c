/*
 * history_row.c: an entry as a row of history() and changes().
 *
 * Shapes are kept for the whole call, each with what this caller may see of
 * its columns: the question is asked once a column, not once a row. Contexts
 * are shared by many entries and are kept too, up to a number of them. All
 * that a row needs beside them goes into a memory context that the caller
 * resets after each row; the tuplestore spills to disk.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "compat.h"
#include "ledger/result.h"
#include "prove/prove.h"
#include "types/types.h"

#define MAX_CONTEXTS 256

/*
 * Attributes of the types change and, without "key", history_entry, in the order
 * of 40_history.sql; their types up to "key".
 */
enum
{
	H_SEQ, H_LEAF_INDEX, H_OP, H_CHANGED_AT, H_TXID, H_ACTOR, H_DB_USER, H_APPLICATION, H_PURPOSE,
	H_SOURCE, H_IMAGE, H_CHANGED, H_LEAF_HASH, H_PREV_HASH, H_KEY, H_COUNTERSIGNED_BY, H_SOURCE_LEAF, H_COLUMNS
};

#define HISTORY_TYPES "lltzxtttttjTHH"

typedef struct CachedContext
{
	int64		context_id;		/* hash key */
	ProvContext *context;		/* NULL: none, erased, or not readable */
} CachedContext;

static HTAB *
make_table(const char *name, Size keysize, Size entrysize, MemoryContext cxt)
{
	HASHCTL		ctl = {.keysize = keysize, .entrysize = entrysize, .hcxt = cxt};

	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static bool
any_countersignature(void)
{
	Relation	rel = table_open(prov_relid(PROV_COUNTERSIGNATURE), AccessShareLock);
	bool		any = RelationGetNumberOfBlocks(rel) > 0;

	table_close(rel, AccessShareLock);
	return any;
}

void
history_begin(HistoryOutput *out, FunctionCallInfo fcinfo, ProveTarget *target, Snapshot snapshot, bool with_key)
{
	out->rsinfo = prov_result_begin(fcinfo, with_key ? HISTORY_TYPES "jBH" : HISTORY_TYPES "BH");
	out->target = target;
	out->snapshot = snapshot;
	out->with_key = with_key;
	out->countersigned = any_countersignature();
	out->cxt = CurrentMemoryContext;
	out->row = AllocSetContextCreate(out->cxt, "provenance history row", ALLOCSET_DEFAULT_SIZES);
	out->contexts = AllocSetContextCreate(out->cxt, "provenance history contexts", ALLOCSET_DEFAULT_SIZES);
	out->shapes = make_table("provenance history shapes", sizeof(int32), sizeof(ProveShape), out->cxt);
	out->context_table = NULL;
}

ProveShape *
history_shape(HistoryOutput *out, int32 shape_id)
{
	bool		found;
	ProveShape *view = hash_search(out->shapes, &shape_id, HASH_FIND, NULL);

	if (view == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(out->cxt);
		ProveShape	made = {.shape_id = shape_id};

		made.shape = prov_shape_fetch(shape_id, out->snapshot);
		prove_shape_view(&made, out->target);
		view = hash_search(out->shapes, &shape_id, HASH_ENTER, &found);
		*view = made;
		MemoryContextSwitchTo(old);
	}
	return view;
}

static ProvContext *
get_context(HistoryOutput *out, int64 context_id)
{
	CachedContext *cached;
	bool		found;

	if (out->context_table != NULL && hash_get_num_entries(out->context_table) >= MAX_CONTEXTS)
	{
		hash_destroy(out->context_table);
		MemoryContextReset(out->contexts);
		out->context_table = NULL;
	}
	if (out->context_table == NULL)
		out->context_table = make_table("provenance history contexts", sizeof(int64), sizeof(CachedContext),
										out->contexts);

	cached = hash_search(out->context_table, &context_id, HASH_FIND, NULL);
	if (cached == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(out->contexts);
		ProvContext *context = prov_context_fetch(context_id, out->snapshot);

		if (context != NULL && (context->erased || context->status != PV_OK))
			context = NULL;
		cached = hash_search(out->context_table, &context_id, HASH_ENTER, &found);
		cached->context = context;
		MemoryContextSwitchTo(old);
	}
	return cached->context;
}

bool
history_has_row(int op)
{
	return op == PV_OP_INSERT || op == PV_OP_UPDATE || op == PV_OP_BASELINE;
}

static void
put_context(HistoryOutput *out, const ProvEntry *entry, Datum *values, bool *nulls)
{
	static const struct
	{
		int			column;
		int			field;
	}			map[] = {
		{H_ACTOR, PV_CTX_ACTOR},
		{H_DB_USER, PV_CTX_DB_USER},
		{H_APPLICATION, PV_CTX_APPLICATION},
		{H_PURPOSE, PV_CTX_PURPOSE},
		{H_SOURCE, PV_CTX_SOURCE},
	};
	ProvContext *context = get_context(out, entry->context_id);
	int			i;

	for (i = 0; context != NULL && i < lengthof(map); i++)
	{
		pv_value	v = context->values[map[i].field];

		if (v.data == NULL)
			continue;
		values[map[i].column] = CStringGetTextDatum(prove_text(v.data, v.len));
		nulls[map[i].column] = false;
	}
	if (context != NULL && context->values[PV_CTX_SOURCE_LEAF].data != NULL)
	{
		pv_value	v = context->values[PV_CTX_SOURCE_LEAF];
		pv_hash    *hash = palloc(sizeof(pv_hash));

		/* the setting takes nothing else, but who knows what was put in */
		if (v.len == 2 * PV_HASH_LEN && pv_hex_decode((const char *) v.data, v.len, hash->b, PV_HASH_LEN) == PV_OK)
		{
			values[H_SOURCE_LEAF] = HashPGetDatum(hash);
			nulls[H_SOURCE_LEAF] = false;
		}
	}
}

/* The keys that have countersigned an entry, in their order; NULL if none has. */
static void
put_countersigned_by(HistoryOutput *out, int64 seq, Datum *values, bool *nulls)
{
	TupleDesc	desc = prov_tupdesc(PROV_COUNTERSIGNATURE);
	ArrayBuildState *keys = NULL;
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;

	prov_key_init(&key, PROV_COUNTERSIGNATURE, A_CSIG_SEQ, BTEqualStrategyNumber, Int64GetDatum(seq));
	prov_scan_begin_ordered(&scan, PROV_COUNTERSIGNATURE, out->snapshot, 1, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		Datum		d = heap_getattr(tup, A_CSIG_KEY, desc, &isnull);

		keys = accumArrayResult(keys, d, isnull, BYTEAOID, CurrentMemoryContext);
	}
	prov_scan_end(&scan);
	if (keys != NULL)
	{
		values[H_COUNTERSIGNED_BY] = makeArrayResult(keys, CurrentMemoryContext);
		nulls[H_COUNTERSIGNED_BY] = false;
	}
}

static void
put_entry(HistoryOutput *out, const ProvEntry *entry, const ProvEntry *before, Datum *values, bool *nulls)
{
	const char *op = entry->op >= 0 ? pv_op_name(entry->op) : NULL;
	ProveImage	image;

	if (op != NULL)
	{
		values[H_OP] = CStringGetTextDatum(op);
		nulls[H_OP] = false;
	}
	values[H_CHANGED_AT] = TimestampTzGetDatum(entry->changed_at);
	nulls[H_CHANGED_AT] = false;
	put_context(out, entry, values, nulls);

	prove_image(entry, history_shape(out, entry->shape_id), &image);
	if (!image.valid)
		return;
	values[H_IMAGE] = JsonbPGetDatum(prove_image_json(&image, false));
	nulls[H_IMAGE] = false;
	if (pv_op_is_row(entry->op))
	{
		values[H_KEY] = JsonbPGetDatum(prove_image_json(&image, true));
		nulls[H_KEY] = false;
	}
	if (entry->op == PV_OP_UPDATE && before != NULL)
	{
		ProveImage	old;

		prove_image(before, history_shape(out, before->shape_id), &old);
		if (old.valid)
		{
			values[H_CHANGED] = prove_image_changed(&old, &image);
			nulls[H_CHANGED] = false;
		}
	}
}

void
history_put(HistoryOutput *out, const ProvLeafRef *ref, const pv_hash *prev,
			const ProvEntry *entry, const ProvEntry *before)
{
	MemoryContext old = MemoryContextSwitchTo(out->row);
	Datum		values[H_COLUMNS] = {0};
	bool		nulls[H_COLUMNS];
	pv_hash		leaf_hash;
	pv_hash		prev_hash = {{0}};

	memset(nulls, true, sizeof(nulls));
	values[H_SEQ] = Int64GetDatum(ref != NULL ? ref->seq : entry->seq);
	values[H_TXID] = FullTransactionIdGetDatum(ref != NULL ? ref->xid : entry->xid);
	nulls[H_SEQ] = nulls[H_TXID] = false;
	if (entry != NULL)
		put_entry(out, entry, before, values, nulls);
	if (ref != NULL)
	{
		leaf_hash = ref->hash;
		if (prev != NULL)
			prev_hash = *prev;
		values[H_LEAF_INDEX] = Int64GetDatum(ref->leaf);
		values[H_LEAF_HASH] = HashPGetDatum(&leaf_hash);
		values[H_PREV_HASH] = HashPGetDatum(&prev_hash);
		nulls[H_LEAF_INDEX] = nulls[H_LEAF_HASH] = nulls[H_PREV_HASH] = false;
	}

	if (ref != NULL && out->countersigned)
		put_countersigned_by(out, ref->seq, values, nulls);

	if (!out->with_key)
	{
		memmove(&values[H_KEY], &values[H_KEY + 1], (H_COLUMNS - H_KEY - 1) * sizeof(Datum));
		memmove(&nulls[H_KEY], &nulls[H_KEY + 1], (H_COLUMNS - H_KEY - 1) * sizeof(bool));
	}
	prov_result_put(out->rsinfo, out->with_key ? H_COLUMNS : H_COLUMNS - 1, values, nulls);
	MemoryContextSwitchTo(old);
}
