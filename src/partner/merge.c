/*-------------------------------------------------------------------------
 *
 * merge.c
 *	  Merging: what the lines of a bundle show, into the tables of what
 *	  partners proved.
 *
 * Everything is written as it comes, in batches, in the statement's
 * transaction; whether the leaves are in the log is known at the last line
 * only, and if they are not the statement fails and nothing of it stays.
 *
 * An entry that was merged before is not written again: what the bundle
 * discloses beyond what is known is united into the row. A leaf index above
 * all that were merged of the log needs no look-up. Shapes and contexts are
 * written when the first new entry needs them.
 *
 * The merge itself is a row of a table of the extension that is tagged, so it
 * is an entry of the own log, with the bundle's digest and checkpoint.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "compat.h"
#include "ledger/own_table.h"
#include "ledger/stop_point.h"
#include "partner/inbox.h"

#define CHUNK_BYTES 1980		/* a row that is not moved out of line */

struct ProvMerge
{
	int64		merge_id;
	int64		max_known;		/* greatest leaf index merged before; -1: none */
	int64		new_entries;
	int64		new_countersignatures;
	bool		changed;		/* something was new, be it a field */

	int32		shape_id[PV_BUNDLE_SHAPES]; /* 0: not looked up yet */
	int64		context_id[PV_BUNDLE_CONTEXTS]; /* 0: not written */
	int64		united_with[PV_BUNDLE_CONTEXTS];	/* the stored context that the slot's was last united with */
	char	   *context[PV_BUNDLE_CONTEXTS];	/* its tokens, in the server's encoding */

	bool		entry_known;	/* the last one: it had been merged */

	ProvBatch	leaves;
	ProvBatch	contexts;
	ProvBatch	paths;
	ProvBatch	countersignatures;

	int64		chunk_first;	/* leaf index of its first entry */
	StringInfoData chunk;
};

static Datum
bytea_datum(const void *data, size_t len)
{
	bytea	   *b = palloc(VARHDRSZ + len);

	SET_VARSIZE(b, VARHDRSZ + len);
	memcpy(VARDATA(b), data, len);
	return PointerGetDatum(b);
}

/* Greatest leaf index merged of the log. */
static int64
greatest_leaf(int32 log_id)
{
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	int64		index = -1;
	bool		isnull;

	prov_key_init(&key, PROV_MERGED_LEAF, A_MLEAF_LOG, BTEqualStrategyNumber, Int32GetDatum(log_id));
	prov_scan_begin_ordered(&scan, PROV_MERGED_LEAF, NULL, 1, &key);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (tup != NULL)
		index = DatumGetInt64(heap_getattr(tup, A_MLEAF_INDEX, prov_tupdesc(PROV_MERGED_LEAF), &isnull));
	prov_scan_end(&scan);
	return index;
}

void
prov_merge_begin(ProvInbox *in)
{
	MemoryContext old = MemoryContextSwitchTo(in->cxt);
	ProvMerge  *m = palloc0(sizeof(ProvMerge));

	in->merge = m;
	in->log_id = prov_partner_log(in->partner->partner_id, in->origin, true);
	m->merge_id = prov_nextval(PROV_PARTNER_SEQ);
	m->max_known = greatest_leaf(in->log_id);
	prov_batch_init(&m->leaves, PROV_MERGED_LEAF, in->cxt);
	prov_batch_scattered(&m->leaves, A_MLEAF_HASH);
	prov_batch_scattered(&m->leaves, A_MLEAF_PSEUDONYM);
	prov_batch_init(&m->contexts, PROV_MERGED_CONTEXT, in->cxt);
	prov_batch_init(&m->paths, PROV_MERGED_PATH, in->cxt);
	prov_batch_init(&m->countersignatures, PROV_MERGED_COUNTERSIGNATURE, in->cxt);
	initStringInfo(&m->chunk);
	MemoryContextSwitchTo(old);
}

/* --- shapes and contexts ------------------------------------------------ */

/*
 * What stands in base64 is stored as it came. It must have an equivalent in the
 * server's encoding all the same, or nobody could read it here.
 */
static void
check_encoding(const pv_disclosed *fields, size_t n)
{
	if (GetDatabaseEncoding() == PG_UTF8)
		return;
	for (size_t i = 0; i < n; i++)
		if (!fields[i].withheld)
			(void) prov_inbox_text(fields[i].value.data, fields[i].value.len);
}

void
prov_merge_shape(ProvInbox *in)
{
	const pv_shape *shape = &in->reader->shapes[in->reader->slot].shape;

	if (GetDatabaseEncoding() != PG_UTF8)
	{
		(void) prov_inbox_text(shape->schema.s, shape->schema.len);
		(void) prov_inbox_text(shape->table.s, shape->table.len);
		for (unsigned i = 0; i < shape->ncolumns; i++)
			(void) prov_inbox_text(shape->columns[i].name.s, shape->columns[i].name.len);
	}
	in->merge->shape_id[in->reader->slot] = 0;
}

static int32
shape_id(ProvInbox *in, unsigned slot)
{
	const pv_bundle_shape *shape = &in->reader->shapes[slot];
	TupleDesc	desc = prov_tupdesc(PROV_MERGED_SHAPE);
	int32	   *id = &in->merge->shape_id[slot];
	Oid			equal;
	ScanKeyData keys[2];
	ProvScan	scan;
	HeapTuple	tup;
	ProvWriter	w;
	Datum		values[N_MSHAPE];
	bool		nulls[N_MSHAPE] = {false};

	if (*id != 0)
		return *id;
	equal = lookup_type_cache(hash_type_oid(), TYPECACHE_EQ_OPR)->eq_opr;
	/* by the index: whoever makes the bundle decides how many shapes there are */
	prov_key_init(&keys[0], PROV_MERGED_SHAPE, A_MSHAPE_LOG, BTEqualStrategyNumber, Int32GetDatum(in->log_id));
	ScanKeyInit(&keys[1], A_MSHAPE_DIGEST, BTEqualStrategyNumber, get_opcode(equal), hash_to_datum(&shape->digest));
	prov_scan_begin(&scan, PROV_MERGED_SHAPE, get_relname_relid("merged_shape_digest_idx", prov_namespace()), NULL, 2, keys);
	if ((tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
	{
		heap_deform_tuple(tup, desc, values, nulls);
		*id = DatumGetInt32(values[A_MSHAPE_ID - 1]);
	}
	prov_scan_end(&scan);
	if (*id != 0)
		return *id;

	*id = (int32) prov_nextval(PROV_PARTNER_SEQ);
	values[A_MSHAPE_ID - 1] = Int32GetDatum(*id);
	values[A_MSHAPE_LOG - 1] = Int32GetDatum(in->log_id);
	values[A_MSHAPE_DIGEST - 1] = hash_to_datum(&shape->digest);
	values[A_MSHAPE_DEFINITION - 1] = bytea_datum(shape->bytes, shape->len);
	prov_writer_open(&w, PROV_MERGED_SHAPE);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
	return *id;
}

void
prov_merge_context(ProvInbox *in)
{
	const pv_bundle_reader *r = in->reader;
	ProvMerge  *m = in->merge;
	MemoryContext old;

	check_encoding(r->context, PV_CONTEXT_FIELDS);
	old = MemoryContextSwitchTo(in->cxt);
	if (m->context[r->slot] != NULL)
		pfree(m->context[r->slot]);
	m->context[r->slot] = prov_inbox_text(r->context_tokens, r->context_tokens_len);
	m->context_id[r->slot] = m->united_with[r->slot] = 0;
	MemoryContextSwitchTo(old);
}

static int64
context_id(ProvInbox *in, unsigned slot)
{
	ProvMerge  *m = in->merge;

	if (m->context_id[slot] == 0)
	{
		Datum		values[N_MCTX];
		bool		nulls[N_MCTX] = {false};

		m->context_id[slot] = prov_nextval(PROV_PARTNER_SEQ);
		values[A_MCTX_ID - 1] = Int64GetDatum(m->context_id[slot]);
		values[A_MCTX_COMMITMENT - 1] = HashPGetDatum(&in->reader->contexts[slot]);
		values[A_MCTX_FIELDS - 1] = CStringGetTextDatum(m->context[slot]);
		prov_batch_add(&m->contexts, values, nulls);
		m->changed = true;
	}
	return m->context_id[slot];
}

/* What the slot's context discloses beyond the stored one of the same commitment. */
static void
unite_context(ProvInbox *in, int64 id, unsigned slot)
{
	static const AttrNumber needed[] = {A_MCTX_COMMITMENT, A_MCTX_FIELDS, 0};
	ProvMerge  *m = in->merge;
	HeapTuple	tup;
	Datum		values[N_MCTX];
	bool		nulls[N_MCTX];
	char	   *united;

	if (m->united_with[slot] == id)
		return;
	m->united_with[slot] = id;
	tup = prov_fetch1(PROV_MERGED_CONTEXT, Int64GetDatum(id), NULL);
	if (tup == NULL)
		return;
	heap_deform_tuple(tup, prov_tupdesc(PROV_MERGED_CONTEXT), values, nulls);
	prov_refuse_nulls(PROV_MERGED_CONTEXT, nulls, needed);
	if (!pv_hash_equal(DatumGetHashP(values[A_MCTX_COMMITMENT - 1]), &in->reader->contexts[slot]))
		return;
	united = prov_unite_fields(TextDatumGetCString(values[A_MCTX_FIELDS - 1]), m->context[slot]);
	if (united != NULL)
	{
		ProvWriter	w;

		values[A_MCTX_FIELDS - 1] = CStringGetTextDatum(united);
		prov_writer_open(&w, PROV_MERGED_CONTEXT);
		prov_update(&w, tup, values, nulls);
		prov_writer_close(&w);
		CommandCounterIncrement();
		m->changed = true;
	}
}

/* --- entries ------------------------------------------------------------ */

static void
set_context(ProvInbox *in, Datum *values, bool *nulls)
{
	const pv_bundle_entry *e = &in->reader->entry;

	nulls[A_MLEAF_CONTEXT - 1] = nulls[A_MLEAF_CONTEXT_SALT - 1] = !e->context_given;
	nulls[A_MLEAF_CONTEXT_DIGEST - 1] = e->context_given || e->erased;
	if (e->context_given)
	{
		values[A_MLEAF_CONTEXT - 1] = Int64GetDatum(context_id(in, e->context_slot));
		values[A_MLEAF_CONTEXT_SALT - 1] = bytea_datum(e->context_salt, PV_SALT_LEN);
	}
	else
		values[A_MLEAF_CONTEXT_DIGEST - 1] = HashPGetDatum(unconstify(pv_hash *, &e->context_digest));
}

static void
new_leaf(ProvInbox *in, Datum fields)
{
	const pv_bundle_entry *e = &in->reader->entry;
	Datum		values[N_MLEAF];
	bool		nulls[N_MLEAF] = {false};

	values[A_MLEAF_LOG - 1] = Int32GetDatum(in->log_id);
	values[A_MLEAF_SHAPE - 1] = Int32GetDatum(shape_id(in, e->shape_slot));
	values[A_MLEAF_INDEX - 1] = Int64GetDatum((int64) e->index);
	values[A_MLEAF_MERGE - 1] = Int64GetDatum(in->merge->merge_id);
	values[A_MLEAF_PREVIOUS - 1] = Int64GetDatum(e->has_previous ? (int64) e->previous : -1);
	values[A_MLEAF_OP - 1] = Int16GetDatum(e->leaf.op);
	nulls[A_MLEAF_PSEUDONYM - 1] = !e->has_pseudonym;
	values[A_MLEAF_PSEUDONYM - 1] = PointerGetDatum(e->pseudonym);
	values[A_MLEAF_HASH - 1] = HashPGetDatum(unconstify(pv_hash *, &e->leaf_hash));
	values[A_MLEAF_LEAF - 1] = bytea_datum(e->leaf_bytes, PV_LEAF_LEN);
	values[A_MLEAF_FIELDS - 1] = fields;
	set_context(in, values, nulls);
	prov_batch_add(&in->merge->leaves, values, nulls);
	in->merge->new_entries++;
	in->merge->changed = true;
}

/* The entry had been merged: unites what is disclosed. */
static void
known_leaf(ProvInbox *in, HeapTuple tup, char *fields)
{
	static const AttrNumber needed[] = {A_MLEAF_HASH, A_MLEAF_FIELDS, A_MLEAF_PREVIOUS, 0};
	const pv_bundle_entry *e = &in->reader->entry;
	Datum		values[N_MLEAF];
	bool		nulls[N_MLEAF];
	char	   *united;
	bool		change = false;

	heap_deform_tuple(tup, prov_tupdesc(PROV_MERGED_LEAF), values, nulls);
	prov_refuse_nulls(PROV_MERGED_LEAF, nulls, needed);
	if (!pv_hash_equal(DatumGetHashP(values[A_MLEAF_HASH - 1]), &e->leaf_hash))
		prov_inbox_refuse(in, ERRCODE_BUNDLE_CONFLICT, "another entry was merged at this leaf index", NULL, NULL);

	united = prov_unite_fields(TextDatumGetCString(values[A_MLEAF_FIELDS - 1]), fields);
	if (united != NULL)
	{
		/* under an erased entry's shape nothing was verified */
		values[A_MLEAF_SHAPE - 1] = Int32GetDatum(shape_id(in, e->shape_slot));
		values[A_MLEAF_FIELDS - 1] = CStringGetTextDatum(united);
		change = true;
	}
	if (e->has_previous && e->previous >= in->reader->header.since_size &&
		DatumGetInt64(values[A_MLEAF_PREVIOUS - 1]) != (int64) e->previous)
	{
		/* the first bundle did not cover it, and nothing there showed its place */
		values[A_MLEAF_PREVIOUS - 1] = Int64GetDatum((int64) e->previous);
		change = true;
	}
	if (e->context_given && !nulls[A_MLEAF_CONTEXT - 1])
		unite_context(in, DatumGetInt64(values[A_MLEAF_CONTEXT - 1]), e->context_slot);
	else if (e->context_given || (nulls[A_MLEAF_CONTEXT - 1] && nulls[A_MLEAF_CONTEXT_DIGEST - 1] && !e->erased))
	{
		set_context(in, values, nulls);
		change = true;
	}
	if (e->has_pseudonym && (nulls[A_MLEAF_PSEUDONYM - 1] ||
							 memcmp(DatumGetUUIDP(values[A_MLEAF_PSEUDONYM - 1]), e->pseudonym, PV_PSEUDONYM_LEN) != 0))
	{
		values[A_MLEAF_PSEUDONYM - 1] = PointerGetDatum(e->pseudonym);
		nulls[A_MLEAF_PSEUDONYM - 1] = false;
		change = true;
	}
	if (change)
	{
		prov_merged_leaf_update(tup, values, nulls);
		in->merge->changed = true;
	}
}

/*
 * What the leaf names as previous lies before what the bundle covers. Where it
 * was merged, it must be the one.
 */
static void
check_previous(ProvInbox *in)
{
	const pv_bundle_entry *e = &in->reader->entry;
	HeapTuple	tup;

	if (!e->has_previous || e->previous >= in->reader->header.since_size || (int64) e->previous > in->merge->max_known)
		return;
	tup = prov_merged_leaf(in->log_id, (int64) e->previous);
	if (tup != NULL &&
		!pv_hash_equal(DatumGetHashP(prov_value(PROV_MERGED_LEAF, tup, A_MLEAF_HASH)), &e->leaf.prev))
		prov_inbox_refuse(in, ERRCODE_BUNDLE_CHAIN, "the entry merged as the row's previous one is not the one before this entry",
						  psprintf("That is leaf index " UINT64_FORMAT ".", e->previous), NULL);
}

/* Writes the chunk that has no room for the next entry, or the last one. */
static void
put_chunk(ProvMerge *m)
{
	Datum		values[N_MPATH];
	bool		nulls[N_MPATH] = {false};

	values[A_MPATH_MERGE - 1] = Int64GetDatum(m->merge_id);
	values[A_MPATH_FIRST - 1] = Int64GetDatum(m->chunk_first);
	values[A_MPATH_PATH - 1] = bytea_datum(m->chunk.data, m->chunk.len);
	prov_batch_add(&m->paths, values, nulls);
	resetStringInfo(&m->chunk);
}

static void
add_gap(ProvMerge *m, uint64 index, const pv_hash *gap, unsigned n)
{
	uint8		head[9];
	pv_buf		b;

	if (m->chunk.len > 0 && m->chunk.len + sizeof(head) + n * PV_HASH_LEN > CHUNK_BYTES)
		put_chunk(m);
	if (m->chunk.len == 0)
		m->chunk_first = (int64) Min(index, PG_INT64_MAX);
	pv_buf_init(&b, head, sizeof(head));
	pv_put_u64(&b, index);
	pv_put_u8(&b, (uint8) n);
	appendBinaryStringInfo(&m->chunk, (char *) head, sizeof(head));
	appendBinaryStringInfo(&m->chunk, (const char *) gap, n * PV_HASH_LEN);
	if (index == PG_UINT64_MAX)
		put_chunk(m);
}

void
prov_merge_entry(ProvInbox *in)
{
	const pv_bundle_entry *e = &in->reader->entry;
	ProvMerge  *m = in->merge;
	HeapTuple	tup = NULL;

	check_encoding(e->fields, e->nfields);
	check_previous(in);
	if ((int64) e->index <= m->max_known)
		tup = prov_merged_leaf(in->log_id, (int64) e->index);
	m->entry_known = tup != NULL;
	if (tup != NULL)
		known_leaf(in, tup, prov_inbox_text(e->field_tokens, e->field_tokens_len));
	else
		new_leaf(in, prov_inbox_text_datum(e->field_tokens, e->field_tokens_len));
	add_gap(m, e->index, e->gap, e->ngap);
}

void
prov_merge_countersignature(ProvInbox *in)
{
	const pv_bundle_reader *r = in->reader;
	ProvMerge  *m = in->merge;
	Datum		values[N_MCSIG];
	bool		nulls[N_MCSIG] = {false};
	bool		known = false;

	values[A_MCSIG_LOG - 1] = Int32GetDatum(in->log_id);
	values[A_MCSIG_INDEX - 1] = Int64GetDatum((int64) r->entry.index);
	values[A_MCSIG_KEY - 1] = bytea_datum(r->public_key, PV_ED25519_PUBLIC_LEN);
	values[A_MCSIG_SIGNATURE - 1] = bytea_datum(r->signature, PV_ED25519_SIGNATURE_LEN);
	if (m->entry_known)
	{
		ScanKeyData keys[2];
		ProvScan	scan;
		HeapTuple	tup;

		prov_key_init(&keys[0], PROV_MERGED_COUNTERSIGNATURE, A_MCSIG_LOG, BTEqualStrategyNumber, values[A_MCSIG_LOG - 1]);
		prov_key_init(&keys[1], PROV_MERGED_COUNTERSIGNATURE, A_MCSIG_INDEX, BTEqualStrategyNumber, values[A_MCSIG_INDEX - 1]);
		prov_scan_begin(&scan, PROV_MERGED_COUNTERSIGNATURE, prov_pkey(PROV_MERGED_COUNTERSIGNATURE), NULL, 2, keys);
		while (!known && (tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
		{
			const uint8 *key = prov_bytes(tup, PROV_MERGED_COUNTERSIGNATURE, A_MCSIG_KEY, PV_ED25519_PUBLIC_LEN);

			known = key != NULL && memcmp(key, r->public_key, PV_ED25519_PUBLIC_LEN) == 0;
		}
		prov_scan_end(&scan);
	}
	if (!known)
	{
		prov_batch_add(&m->countersignatures, values, nulls);
		m->new_countersignatures++;
		m->changed = true;
	}
}

/* --- the end ------------------------------------------------------------ */

/* Has this very bundle been merged before? */
static bool
merged_before(const ProvInbox *in)
{
	ProvScan	scan;
	HeapTuple	tup;
	bool		found = false;

	prov_scan_begin(&scan, PROV_MERGE, InvalidOid, NULL, 0, NULL);
	while (!found && (tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
		found = pv_hash_equal(DatumGetHashP(prov_value(PROV_MERGE, tup, A_MERGE_DIGEST)), &in->reader->digest) &&
			strcmp(TextDatumGetCString(prov_value(PROV_MERGE, tup, A_MERGE_ORIGIN)), in->origin) == 0;
	prov_scan_end(&scan);
	return found;
}

/* The chunks of a merge that there is no need for: nothing refers to them. */
static void
remove_paths(int64 merge_id)
{
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	Relation	rel = table_open(prov_relid(PROV_MERGED_PATH), RowExclusiveLock);

	prov_key_init(&key, PROV_MERGED_PATH, A_MPATH_MERGE, BTEqualStrategyNumber, Int64GetDatum(merge_id));
	prov_scan_begin(&scan, PROV_MERGED_PATH, prov_pkey(PROV_MERGED_PATH), NULL, 1, &key);
	while ((tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
		CatalogTupleDelete(rel, &tup->t_self);
	prov_scan_end(&scan);
	table_close(rel, NoLock);
}

static void
write_checkpoint(ProvInbox *in)
{
	Datum		values[N_PCP];
	bool		nulls[N_PCP] = {false};
	int64		size = (int64) in->reader->checkpoint.size;
	int64		found;
	pv_hash		root;
	ProvWriter	w;

	if (prov_partner_checkpoint(in->log_id, size, &found, &root, NULL))
		return;
	values[A_PCP_LOG - 1] = Int32GetDatum(in->log_id);
	values[A_PCP_SIZE - 1] = Int64GetDatum(size);
	values[A_PCP_SEEN_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_PCP_ROOT - 1] = HashPGetDatum(&in->reader->checkpoint.root);
	values[A_PCP_NOTE - 1] = checkpoint_to_datum(in->note, in->notelen);
	prov_writer_open(&w, PROV_PARTNER_CHECKPOINT);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

static void
text_or_null(Datum *values, bool *nulls, AttrNumber attno, const char *s)
{
	nulls[attno - 1] = s == NULL;
	values[attno - 1] = s != NULL ? CStringGetTextDatum(s) : (Datum) 0;
}

static void
write_merge(ProvInbox *in)
{
	const pv_bundle_reader *r = in->reader;
	Datum		values[N_MERGE];
	bool		nulls[N_MERGE] = {false};

	values[A_MERGE_ID - 1] = Int64GetDatum(in->merge->merge_id);
	values[A_MERGE_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_MERGE_BY - 1] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[A_MERGE_PARTNER - 1] = CStringGetTextDatum(in->partner->name);
	values[A_MERGE_ORIGIN - 1] = CStringGetTextDatum(in->origin);
	values[A_MERGE_SIZE - 1] = Int64GetDatum((int64) r->checkpoint.size);
	values[A_MERGE_ROOT - 1] = hash_to_datum(&r->checkpoint.root);
	values[A_MERGE_SINCE - 1] = Int64GetDatum((int64) r->header.since_size);
	values[A_MERGE_ENTRIES - 1] = Int64GetDatum((int64) r->nentries);
	values[A_MERGE_NEW - 1] = Int64GetDatum(in->merge->new_entries);
	values[A_MERGE_NEW_SIGNED - 1] = Int64GetDatum(in->merge->new_countersignatures);
	text_or_null(values, nulls, A_MERGE_SCHEMA, in->schema != NULL ? in->schema : "");
	text_or_null(values, nulls, A_MERGE_TABLE, in->table != NULL ? in->table : "");
	text_or_null(values, nulls, A_MERGE_RECIPIENT, in->recipient);
	text_or_null(values, nulls, A_MERGE_PURPOSE, in->purpose);
	values[A_MERGE_DIGEST - 1] = hash_to_datum(&r->digest);
	values[A_MERGE_NOTE - 1] = checkpoint_to_datum(in->note, in->notelen);
	prov_own_insert(PROV_MERGE, PROV_OWN_MERGE, values, nulls);
}

void
prov_merge_end(ProvInbox *in)
{
	const pv_bundle_reader *r = in->reader;
	ProvMerge  *m = in->merge;

	add_gap(m, PG_UINT64_MAX, r->last, r->nlast);
	prov_batch_end(&m->contexts);
	prov_batch_end(&m->leaves);
	prov_batch_end(&m->paths);
	prov_batch_end(&m->countersignatures);
	CommandCounterIncrement();

	if (!m->changed && merged_before(in))
	{
		remove_paths(m->merge_id);
		ereport(NOTICE,
				(errmsg("this bundle of partner \"%s\" had been merged; nothing was done", in->partner->name)));
		return;
	}
	PROV_STOP_POINT("merge-entries");
	write_checkpoint(in);
	PROV_STOP_POINT("merge-checkpoint");
	write_merge(in);
	PROV_STOP_POINT("merge-row");
	ereport(NOTICE,
			(errmsg("partner \"%s\": " UINT64_FORMAT " entries, %lld of them new, at log size " UINT64_FORMAT,
					in->partner->name, (uint64) r->nentries, (long long) m->new_entries, (uint64) r->checkpoint.size)));
}
