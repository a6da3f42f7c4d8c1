/*-------------------------------------------------------------------------
 *
 * merged.c
 *	  Is what is stored of a merged entry still what its leaf commits to?
 *
 * A bundle was verified line by line when it was merged. Afterwards the rows
 * are only as good as whoever can write to them. What the view merged_entry
 * shows is checked again here, as the reader of the bundle did: the leaf gives
 * the leaf hash, shape and context give their digest and commitment, and with
 * the fields the record commitment in the leaf. Shape, log and merge name one
 * origin.
 *
 * The leaf hash itself is only as good as its path to a signed checkpoint,
 * which is prove_merged()'s matter. A pseudonym is a partner's claim that no
 * hash covers, and the place of the previous entry is told, its hash committed
 * to: here only whether there is one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "core/bundle.h"
#include "ledger/merged.h"
#include "ledger/store.h"
#include "types/types.h"

struct ProvMergedCheck
{
	Snapshot	snapshot;
	MemoryContext cxt;			/* of this struct */

	int32		log_id;			/* 0: none yet */
	char	   *origin;			/* NULL: it is not there */

	int64		merge_id;		/* 0: none yet */
	const char *merge_fault;

	MemoryContext shape_cxt;
	int32		shape_id;		/* 0: none yet */
	const char *shape_fault;
	pv_shape	shape;
	pv_hash		shape_digest;
	pv_column	columns[PV_MAX_FIELDS];

	int64		context_id;		/* 0: none yet */
	const char *context_fault;
	pv_hash		context;		/* commitment */
};

ProvMergedCheck *
prov_merged_check_begin(Snapshot snapshot)
{
	ProvMergedCheck *c = palloc0(sizeof(ProvMergedCheck));

	c->snapshot = snapshot;
	c->cxt = CurrentMemoryContext;
	c->shape_cxt = AllocSetContextCreate(c->cxt, "provenance merged shape", ALLOCSET_DEFAULT_SIZES);
	return c;
}

pv_disclosed *
prov_merged_tokens(text *tokens, size_t *n, bool *erased)
{
	size_t		len;
	char	   *s = prov_to_utf8(VARDATA_ANY(tokens), VARSIZE_ANY_EXHDR(tokens), &len);
	size_t		max = 1;
	pv_disclosed *fields;

	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		max += s[i] == '|';
	if (max > PV_MAX_FIELDS)
		return NULL;
	fields = palloc(sizeof(pv_disclosed) * max);
	if (pv_bundle_fields_parse(s, len, palloc_extended(len + 1, MCXT_ALLOC_HUGE), len, fields, max, n, erased) != PV_OK)
		return NULL;
	return fields;
}

/* --- what entries have in common ---------------------------------------- */

static void
find_log(ProvMergedCheck *c, int32 log_id)
{
	HeapTuple	tup;
	bool		isnull;

	if (c->log_id == log_id)
		return;
	if (c->origin != NULL)
		pfree(c->origin);
	c->origin = NULL;
	tup = prov_fetch1(PROV_PARTNER_LOG, Int32GetDatum(log_id), c->snapshot);
	if (tup != NULL)
	{
		Datum		origin = heap_getattr(tup, A_PLOG_ORIGIN, prov_tupdesc(PROV_PARTNER_LOG), &isnull);

		if (!isnull)
			c->origin = MemoryContextStrdup(c->cxt, TextDatumGetCString(origin));
	}
	c->log_id = log_id;
	c->merge_id = 0;
	c->shape_id = 0;
}

static const char *
check_merge(const ProvMergedCheck *c, int64 merge_id)
{
	HeapTuple	tup = prov_fetch1(PROV_MERGE, Int64GetDatum(merge_id), c->snapshot);
	Datum		origin;
	bool		isnull;

	if (tup == NULL)
		return "the merge that showed it is gone";
	origin = heap_getattr(tup, A_MERGE_ORIGIN, prov_tupdesc(PROV_MERGE), &isnull);
	if (isnull || strcmp(TextDatumGetCString(origin), c->origin) != 0)
		return "the merge that showed it is of another origin";
	return NULL;
}

static const char *
check_shape(ProvMergedCheck *c, int32 shape_id)
{
	HeapTuple	tup = prov_fetch1(PROV_MERGED_SHAPE, Int32GetDatum(shape_id), c->snapshot);
	Datum		values[N_MSHAPE];
	bool		nulls[N_MSHAPE];
	bytea	   *definition;
	MemoryContext old;

	MemoryContextReset(c->shape_cxt);
	if (tup == NULL)
		return "its shape is gone";
	heap_deform_tuple(tup, prov_tupdesc(PROV_MERGED_SHAPE), values, nulls);
	if (nulls[A_MSHAPE_LOG - 1] || nulls[A_MSHAPE_DIGEST - 1] || nulls[A_MSHAPE_DEFINITION - 1] ||
		DatumGetInt32(values[A_MSHAPE_LOG - 1]) != c->log_id)
		return "its shape is of another log";
	old = MemoryContextSwitchTo(c->shape_cxt);
	definition = DatumGetByteaPCopy(values[A_MSHAPE_DEFINITION - 1]);	/* the decoded shape points into it */
	MemoryContextSwitchTo(old);
	if (pv_shape_decode(VARDATA_ANY(definition), VARSIZE_ANY_EXHDR(definition), &c->shape, c->columns, PV_MAX_FIELDS) != PV_OK)
		return "the definition of its shape does not decode";
	prov_check(pv_shape_digest(prov_hasher(), (const uint8 *) VARDATA_ANY(definition), VARSIZE_ANY_EXHDR(definition), &c->shape_digest));
	if (!pv_hash_equal(&c->shape_digest, DatumGetHashP(values[A_MSHAPE_DIGEST - 1])))
		return "the definition of its shape does not give the digest";
	if (!pv_same_log(c->shape.origin, c->origin, strlen(c->origin)))
		return "its shape is of another origin";
	return NULL;
}

static const char *
check_context(ProvMergedCheck *c, int64 context_id)
{
	HeapTuple	tup = prov_fetch1(PROV_MERGED_CONTEXT, Int64GetDatum(context_id), c->snapshot);
	Datum		values[N_MCTX];
	bool		nulls[N_MCTX];
	pv_disclosed *fields;
	size_t		n;
	bool		erased;

	if (tup == NULL)
		return "its context is gone";
	heap_deform_tuple(tup, prov_tupdesc(PROV_MERGED_CONTEXT), values, nulls);
	if (nulls[A_MCTX_COMMITMENT - 1] || nulls[A_MCTX_FIELDS - 1])
		return "its context is not complete";
	c->context = *DatumGetHashP(values[A_MCTX_COMMITMENT - 1]);
	fields = prov_merged_tokens(DatumGetTextPP(values[A_MCTX_FIELDS - 1]), &n, &erased);
	if (fields == NULL || erased || n != PV_CONTEXT_FIELDS)
		return "the fields of its context cannot be read";
	for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
		fields[i].name = pv_context_names[i];
	if (!prov_holds(pv_disclosed_context_verify(prov_hasher(), fields, &c->context)))
		return "the fields of its context do not give the commitment";
	return NULL;
}

/* --- one entry ----------------------------------------------------------- */

/* Digest 0 of the entry; *none if nothing is stored of it, as of an erased one. */
static const char *
first_digest(ProvMergedCheck *c, const Datum *values, const bool *nulls, pv_hash *digest, bool *none)
{
	const uint8 *salt = prov_fixed_bytes(values[A_MLEAF_CONTEXT_SALT - 1], nulls[A_MLEAF_CONTEXT_SALT - 1], PV_SALT_LEN);
	int64		context_id;

	*none = false;
	if (nulls[A_MLEAF_CONTEXT - 1])
	{
		*none = nulls[A_MLEAF_CONTEXT_DIGEST - 1];
		if (!*none)
			*digest = *DatumGetHashP(values[A_MLEAF_CONTEXT_DIGEST - 1]);
		return NULL;
	}
	context_id = DatumGetInt64(values[A_MLEAF_CONTEXT - 1]);
	if (salt == NULL)
		return "the salt of its context is not complete";
	if (c->context_id != context_id)
	{
		c->context_fault = check_context(c, context_id);
		c->context_id = context_id;
	}
	if (c->context_fault == NULL)
		prov_check(pv_context_digest(prov_hasher(), salt, &c->context, digest));
	return c->context_fault;
}

const char *
prov_merged_check(ProvMergedCheck *c, HeapTuple tup)
{
	Datum		values[N_MLEAF];
	bool		nulls[N_MLEAF];
	const uint8 *bytes;
	pv_leaf		leaf;
	pv_hash		hash;
	pv_hash		digest0;
	bool		no_context;
	bool		erased;
	const char *fault;
	pv_disclosed *fields;
	size_t		n;

	heap_deform_tuple(tup, prov_tupdesc(PROV_MERGED_LEAF), values, nulls);
	for (int i = 0; i < N_MLEAF; i++)
		if (nulls[i] && i != A_MLEAF_CONTEXT - 1 && i != A_MLEAF_PSEUDONYM - 1 &&
			i != A_MLEAF_CONTEXT_SALT - 1 && i != A_MLEAF_CONTEXT_DIGEST - 1)
			return "its row is not complete";

	bytes = prov_fixed_bytes(values[A_MLEAF_LEAF - 1], false, PV_LEAF_LEN);
	if (bytes == NULL || pv_leaf_decode(bytes, PV_LEAF_LEN, &leaf) != PV_OK)
		return "its leaf does not decode";
	prov_check(pv_leaf_hash(prov_hasher(), bytes, PV_LEAF_LEN, &hash));
	if (!pv_hash_equal(&hash, DatumGetHashP(values[A_MLEAF_HASH - 1])))
		return "its leaf does not give the leaf hash";
	if (DatumGetInt16(values[A_MLEAF_OP - 1]) != leaf.op ||
		(DatumGetInt64(values[A_MLEAF_PREVIOUS - 1]) < 0) != pv_hash_is_zero(&leaf.prev))
		return "its operation or previous entry is not the leaf's";

	find_log(c, DatumGetInt32(values[A_MLEAF_LOG - 1]));
	if (c->origin == NULL)
		return "its log is gone";
	if (c->merge_id != DatumGetInt64(values[A_MLEAF_MERGE - 1]))
	{
		c->merge_fault = check_merge(c, DatumGetInt64(values[A_MLEAF_MERGE - 1]));
		c->merge_id = DatumGetInt64(values[A_MLEAF_MERGE - 1]);
	}
	if (c->merge_fault != NULL)
		return c->merge_fault;
	if (c->shape_id != DatumGetInt32(values[A_MLEAF_SHAPE - 1]))
	{
		c->shape_fault = check_shape(c, DatumGetInt32(values[A_MLEAF_SHAPE - 1]));
		c->shape_id = DatumGetInt32(values[A_MLEAF_SHAPE - 1]);
	}
	if (c->shape_fault != NULL)
		return c->shape_fault;
	if ((fault = first_digest(c, values, nulls, &digest0, &no_context)) != NULL)
		return fault;

	fields = prov_merged_tokens(DatumGetTextPP(values[A_MLEAF_FIELDS - 1]), &n, &erased);
	if (fields == NULL)
		return "its fields cannot be read";
	if (erased != no_context)
		return "its fields or its context are gone";
	if (!erased && !prov_holds(pv_disclosed_record_verify(prov_hasher(), leaf.op, &c->shape, &c->shape_digest, &digest0,
														   fields, n, &leaf.commitment)))
		return "its shape, context and fields do not give the record commitment in its leaf";
	return NULL;
}

char *
prov_merged_object(int32 log_id, Snapshot snapshot)
{
	HeapTuple	log = prov_fetch1(PROV_PARTNER_LOG, Int32GetDatum(log_id), snapshot);
	HeapTuple	partner;
	Datum		name;
	Datum		origin;
	bool		isnull;
	bool		null_origin;

	if (log == NULL)
		return psprintf("log %d", log_id);
	origin = heap_getattr(log, A_PLOG_ORIGIN, prov_tupdesc(PROV_PARTNER_LOG), &null_origin);
	partner = prov_fetch1(PROV_PARTNER_REGISTRY, heap_getattr(log, A_PLOG_PARTNER, prov_tupdesc(PROV_PARTNER_LOG), &isnull), snapshot);
	if (partner == NULL || null_origin)
		return psprintf("log %d", log_id);
	name = heap_getattr(partner, A_PARTNER_NAME, prov_tupdesc(PROV_PARTNER_REGISTRY), &isnull);
	return psprintf("%s/%s", isnull ? "?" : TextDatumGetCString(name), TextDatumGetCString(origin));
}
