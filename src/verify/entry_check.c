/*
 * entry_check.c: does what is stored with an entry give its commitment?
 *
 * Shapes and contexts are checked when first met in a call, reported once, and
 * kept: entries that stand under one that is not sound are then tried with
 * what is stored and with what is recomputed, so that one edited shape is one
 * finding and not one for each of its entries.
 *
 * Memory: shapes stay for the call (there is one per schema change), contexts
 * until there are MAX_CONTEXTS of them. What is checked lies in the caller's
 * context.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "types/types.h"
#include "verify/verify.h"

#define MAX_CONTEXTS 100000

struct ContextState
{
	int64		context_id;		/* hash key */
	bool		usable;
	bool		sound;
	pv_hash		stored;
	pv_hash		recomputed;		/* equal to stored if sound or erased */
};

/* ---- shapes ---- */

typedef struct FetchShape
{
	Verify	   *v;
	int32		shape_id;
	ProvShape  *shape;
} FetchShape;

static void
fetch_shape(void *arg)
{
	FetchShape *f = arg;
	MemoryContext old = MemoryContextSwitchTo(f->v->shape_cxt);

	f->shape = prov_shape_fetch(f->shape_id, f->v->snapshot);
	MemoryContextSwitchTo(old);
}

static void
load_shape(Verify *v, ShapeState *s, int64 seq)
{
	FetchShape	f = {v, s->shape_id, NULL};
	char		object[64];

	snprintf(object, sizeof(object), "shape %d", s->shape_id);
	if (!verify_try(v, fetch_shape, &f))
		verify_finding(v, "unreadable", SEV_ERROR, object, -1, -1, "The shape cannot be read: %s", v->fault);
	else if (f.shape == NULL)
		verify_finding(v, "shape_missing", SEV_ERROR, object, seq, -1,
					   "An entry names a shape that is not there.");
	else
	{
		s->shape = f.shape;
		s->stored = f.shape->digest;
		if (f.shape->status != PV_OK)
			verify_finding(v, "shape_differs", SEV_ERROR, object, -1, -1,
						   "The definition of the shape does not decode: %s.", pv_status_text(f.shape->status));
		else
		{
			prov_check(pv_shape_digest(prov_hasher(), s->shape->definition, s->shape->definition_len, &s->shape->digest));
			s->usable = true;
			s->sound = pv_hash_equal(&s->shape->digest, &s->stored) &&
				s->shape->shape.table_id == (uint32) s->shape->table_id;
			if (!s->sound)
				verify_finding(v, "shape_differs", SEV_ERROR, object, -1, -1,
							   "The definition of the shape does not give its digest, or is another table's.");
		}
	}
}

ShapeState *
verify_shape(Verify *v, int32 shape_id, int64 seq)
{
	ShapeState *s;
	bool		found;

	if (v->last_shape != NULL && v->last_shape->shape_id == shape_id)
		return v->last_shape;
	if (v->shapes == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(int32);
		ctl.entrysize = sizeof(ShapeState);
		ctl.hcxt = v->shape_cxt;
		v->shapes = hash_create("provenance verification, shapes", 32, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	s = hash_search(v->shapes, &shape_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(s, 0, sizeof(*s));
		s->shape_id = shape_id;
		load_shape(v, s, seq);
	}
	v->last_shape = s;
	return s;
}

/* ---- contexts ---- */

typedef struct FetchContext
{
	Verify	   *v;
	int64		context_id;
	ProvContext *context;
} FetchContext;

static void
fetch_context(void *arg)
{
	FetchContext *f = arg;

	f->context = prov_context_fetch(f->context_id, f->v->snapshot);
}

static void
load_context(Verify *v, ContextState *c, int64 seq)
{
	FetchContext f = {v, c->context_id, NULL};
	char		object[64];

	snprintf(object, sizeof(object), "context " INT64_FORMAT, c->context_id);
	if (!verify_try(v, fetch_context, &f))
	{
		verify_finding(v, "unreadable", SEV_ERROR, object, -1, -1, "The context cannot be read: %s", v->fault);
		return;
	}
	if (f.context == NULL)
	{
		verify_finding(v, "context_missing", SEV_ERROR, object, seq, -1,
					   "An entry names a context that is not there.");
		return;
	}

	c->usable = true;
	c->stored = c->recomputed = f.context->commitment;
	if (f.context->erased)
		verify_finding(v, "context_missing", SEV_ERROR, object, seq, -1,
					   "The fields or the seed of the context are gone.");
	else if (f.context->status != PV_OK)
		verify_finding(v, "context_differs", SEV_ERROR, object, -1, -1,
					   "The fields of the context do not decode: %s.", pv_status_text(f.context->status));
	else
	{
		prov_check(pv_commit_context(prov_hasher(), prov_salter(), f.context->seed, pv_context_names,
									 f.context->values, PV_CONTEXT_FIELDS, &c->recomputed));
		c->sound = pv_hash_equal(&c->stored, &c->recomputed);
		if (!c->sound)
			verify_finding(v, "context_differs", SEV_ERROR, object, -1, -1,
						   "The fields and the seed of the context do not give its commitment.");
	}
}

static ContextState *
get_context(Verify *v, int64 context_id, int64 seq)
{
	ContextState *c;
	bool		found;

	if (v->last_context != NULL && v->last_context->context_id == context_id)
		return v->last_context;
	if (v->contexts != NULL && hash_get_num_entries(v->contexts) >= MAX_CONTEXTS)
	{
		hash_destroy(v->contexts);
		v->contexts = NULL;
	}
	if (v->contexts == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(int64);
		ctl.entrysize = sizeof(ContextState);
		ctl.hcxt = v->cxt;
		v->contexts = hash_create("provenance verification, contexts", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	c = hash_search(v->contexts, &context_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(c, 0, sizeof(*c));
		c->context_id = context_id;
		load_context(v, c, seq);
	}
	v->last_context = c;
	return c;
}

/* ---- images ---- */

bool
verify_is_row_image(int op)
{
	return op == PV_OP_INSERT || op == PV_OP_UPDATE || op == PV_OP_BASELINE;
}

/* What findings say of an entry for which the caller has no better name. */
static const char *
name_of(const char *object, const ProvEntry *entry)
{
	return object != NULL ? object : psprintf("entry " INT64_FORMAT, entry->seq);
}

/* The fields of an image, into v->names and v->values. */
static pv_status
decode(Verify *v, ShapeState *s, const ProvEntry *entry, size_t *n)
{
	pv_status	status;

	if (v->values == NULL)
	{
		v->names = MemoryContextAlloc(v->cxt, sizeof(pv_name) * PV_MAX_FIELDS);
		v->values = MemoryContextAlloc(v->cxt, sizeof(pv_value) * PV_MAX_FIELDS);
		v->salts = MemoryContextAlloc(v->cxt, (PV_MAX_FIELDS + 1) * PV_SALT_LEN);
	}
	status = pv_get_values(entry->image, entry->image_len, v->values, PV_MAX_FIELDS, n);
	if (status != PV_OK)
		return status;
	if (v->names_of != s || v->names_op != entry->op)
	{
		v->nnames = prov_entry_names(s->shape, entry->op, v->names);
		v->names_of = s;
		v->names_op = entry->op;
	}
	return (int) *n == v->nnames ? PV_OK : PV_E_COUNT;
}

/* Does the identity of the row follow from the key in the image? values: as decoded. */
static void
check_identity(Verify *v, ShapeState *s, const ProvEntry *entry, const pv_value *values, int64 leaf, const char *object)
{
	pv_value	key[INDEX_MAX_KEYS];
	uint8		id[PV_ROW_ID_LEN];
	int			nkeys = 0;
	int			i;

	if (v->identity == NULL || entry->op == PV_OP_ERASE)
		return;
	if (pv_op_is_row(entry->op))
	{
		nkeys = s->shape->nkeys;
		if (nkeys > INDEX_MAX_KEYS)
			return;
		for (i = 0; i < nkeys; i++)
			key[i] = values[entry->op == PV_OP_DELETE ? i : s->shape->key_columns[i]];
	}
	if (pv_row_identity(prov_hasher(), v->identity->row_key, (uint32) entry->table_id, key, nkeys, id) != PV_OK ||
		memcmp(id, entry->row_id, PV_ROW_ID_LEN) != 0)
		verify_finding(v, "row_identity_differs", SEV_ERROR, name_of(object, entry), entry->seq, leaf,
					   "The entry is filed under another row than the one whose key is in its image.");
}

ImageState
verify_image(Verify *v, const ProvEntry *entry, int64 leaf, const char *object, bool identity, pv_hash *given)
{
	ShapeState *s;
	ContextState *c;
	pv_status	status;
	size_t		n = 0;
	int			i;

	if (entry->op < 1 || entry->op > PV_OP_LAST)
	{
		verify_finding(v, "leaf_differs", SEV_ERROR, name_of(object, entry), entry->seq, leaf,
					   "The entry has an operation, %d, that does not exist.", entry->op);
		return IMAGE_INVALID;
	}
	if (entry->erased || entry->image == NULL)
		return IMAGE_UNKNOWN;
	s = verify_shape(v, entry->shape_id, entry->seq);
	c = get_context(v, entry->context_id, entry->seq);
	if (!s->sound || !c->sound)
		v->unsound = true;
	if (!s->usable || !c->usable)
		return IMAGE_UNKNOWN;
	if (s->shape->shape.table_id != (uint32) entry->table_id)
		verify_finding(v, "shape_differs", SEV_ERROR, name_of(object, entry), entry->seq, leaf,
					   "The entry is one of table %d, its shape one of table %u.",
					   entry->table_id, s->shape->shape.table_id);

	status = decode(v, s, entry, &n);
	/* with what is recomputed, and where that differs, with what is stored */
	for (i = 0; i < 4; i++)
	{
		if ((i & 1) && pv_hash_equal(&s->stored, &s->shape->digest))
			continue;
		if ((i & 2) && pv_hash_equal(&c->stored, &c->recomputed))
			continue;
		if (status == PV_OK)
			status = pv_commit_record(prov_hasher(), prov_salter(), (i & 1) ? &s->stored : &s->shape->digest,
									  (i & 2) ? &c->stored : &c->recomputed, entry->seed, v->names, v->values, n,
									  v->salts, NULL, given);
		if (status == PV_E_CRYPTO)
			prov_check(status);
		if (status != PV_OK)
		{
			if (!s->sound)
				return IMAGE_UNKNOWN;
			verify_finding(v, "image_invalid", SEV_ERROR, name_of(object, entry), entry->seq, leaf,
						   "The image of the entry does not decode, or does not fit its shape: %s.",
						   pv_status_text(status));
			return IMAGE_INVALID;
		}
		if (pv_hash_equal(given, &entry->commitment))
		{
			if (identity)
				check_identity(v, s, entry, v->values, leaf, object);
			return IMAGE_GOOD;
		}
	}
	return s->sound && c->sound ? IMAGE_OTHER : IMAGE_UNKNOWN;
}

void
verify_image_missing(Verify *v, const char *object, int64 seq, int64 leaf, int64 n)
{
	verify_finding(v, "image_missing", SEV_ERROR, object, seq, leaf,
				   "Image or seed of " INT64_FORMAT " entries of the row are gone, and no later entry says that they were erased.", n);
}

bool
verify_image_values(Verify *v, const ProvEntry *entry, int *n, pv_name **names, pv_value **values)
{
	ShapeState *s = verify_shape(v, entry->shape_id, entry->seq);
	size_t		count = 0;

	if (!s->usable || entry->image == NULL || entry->op < 1 || entry->op > PV_OP_LAST)
		return false;
	*names = palloc(sizeof(pv_name) * PV_MAX_FIELDS);
	*values = palloc(sizeof(pv_value) * PV_MAX_FIELDS);
	*n = prov_entry_names(s->shape, entry->op, *names);
	return pv_get_values(entry->image, entry->image_len, *values, PV_MAX_FIELDS, &count) == PV_OK &&
		(int) count == *n;
}
