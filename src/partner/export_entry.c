/*
 * export_entry.c: an entry of the log as a line of a bundle, with the lines
 * that it needs before it (shape, context) and has behind it
 * (countersignatures).
 *
 * Leaf and record commitment are computed again, as disclose() does: a bundle
 * that does not hold would accuse its sender's log of what happened here.
 *
 * A shape keeps its slot until sixteen others have come after it. A context's
 * slot follows from its id, so that it is found without a search; two that
 * take turns in a slot cost a line each time. A context of which nothing is
 * disclosed has no line, and its commitment is not handed out, so that it
 * cannot be linked across entries.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "partner/export.h"

/* Fields of the entry in hand. */
typedef struct Fields
{
	ExportShape *shape;
	int			n;
	pv_name    *names;
	pv_value   *values;
} Fields;

static void
damaged(const ProvEntry *entry, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("entry %lld %s", (long long) entry->seq, what),
			 errhint("SELECT * FROM provenance.verify_log() says more.")));
}

static void
put_shape(Export *x, ExportShape *shape)
{
	if (shape->slot >= 0 && x->slots[shape->slot] == shape->shape_id)
		return;
	shape->slot = x->next_slot;
	x->slots[shape->slot] = shape->shape_id;
	x->next_slot = (x->next_slot + 1) % PV_BUNDLE_SHAPES;
	do
	{
		pv_put_bundle_shape(export_line(x), shape->slot, shape->shape->definition, shape->shape->definition_len);
	} while (!export_put(x, PV_BUNDLE_SHAPE));
}

/*
 * The values of an image with their names, for both of which there is room for
 * PV_MAX_FIELDS; false if they do not fit the shape.
 */
static bool
take_apart(Export *x, const ProvEntry *entry, int64 leaf, Fields *f)
{
	size_t		n;

	f->shape = export_shape(x, entry->shape_id, leaf);
	if (entry->image == NULL || pv_op_name(entry->op) == NULL ||
		pv_get_values(entry->image, entry->image_len, f->values, PV_MAX_FIELDS, &n) != PV_OK)
		return false;
	f->n = prov_entry_names(f->shape->shape, entry->op, f->names);
	return f->n == (int) n;
}

/* ---- context ---- */

static void
fill_context(Export *x, const ProvEntry *entry, const ProvContext *context, bool with_link, pv_disclosed *fields)
{
	uint8		salts[PV_CONTEXT_FIELDS * PV_SALT_LEN];
	pv_hash		commitment;
	int			i;

	prov_check(pv_commit_context(prov_hasher(), prov_salter(), context->seed, pv_context_names, context->values,
								 PV_CONTEXT_FIELDS, &commitment));
	if (!pv_hash_equal(&commitment, &context->commitment))
		damaged(entry, "has a context that does not give its commitment");
	prov_check(pv_salts(prov_salter(), context->seed, PV_CONTEXT_FIELDS, salts));
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		pv_disclosed *f = &fields[i];

		f->name = pv_context_names[i];
		f->withheld = !(x->context[i] || (with_link && i == PV_CTX_SOURCE_LEAF));
		memcpy(f->salt, salts + i * PV_SALT_LEN, PV_SALT_LEN);
		f->value = context->values[i];
		prov_check(pv_field_digest(prov_hasher(), PV_DOMAIN_CONTEXT_FIELD, f->salt, f->name, f->value, &f->digest));
	}
}

/* What is known of the entry's context; its line has been put if it is given. */
static const ExportContext *
put_context(Export *x, const ProvEntry *entry)
{
	unsigned	slot = (unsigned) (entry->context_id % PV_BUNDLE_CONTEXTS);
	ExportContext *known = &x->contexts[slot];
	ProvContext *context;
	bool		with_link;
	int			i;

	if (known->context_id == entry->context_id && known->context_id != 0)
		return known;
	context = prov_context_fetch(entry->context_id, x->snapshot);
	if (context == NULL || (!context->erased && context->status != PV_OK))
		damaged(entry, "has a context that cannot be read");
	known->context_id = entry->context_id;
	known->commitment = context->commitment;
	with_link = !context->erased && context->values[PV_CTX_SOURCE_LEAF].data != NULL;
	known->given = with_link;
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
		known->given = known->given || x->context[i];
	if (context->erased)
		known->given = false;
	if (known->given)
	{
		pv_disclosed fields[PV_CONTEXT_FIELDS];

		fill_context(x, entry, context, with_link, fields);
		do
		{
			pv_put_bundle_context(export_line(x), slot, &known->commitment, fields);
		} while (!export_put(x, PV_BUNDLE_CONTEXT));
	}
	return known;
}

/* ---- subject ---- */

/* Whose data it is: the value of the subject's column; data NULL if there is none. */
static pv_value
subject_of(Export *x, ExportLeaves *l, const ExportLeaf *leaf, const ProvEntry *entry, const Fields *f)
{
	static const pv_value none = {NULL, 0};
	int64		at = leaf->ref.prev_leaf;
	int			i;

	if (x->target->table->subject == NULL || !pv_op_is_row(entry->op))
		return none;
	if (entry->op != PV_OP_DELETE)
		return f->shape->subject < 0 ? none : f->values[f->shape->subject];
	for (i = 0; i < f->shape->shape->nkeys; i++)
		if (f->shape->shape->key_columns[i] == f->shape->subject)
			return f->values[i];

	/* that of the row before it was deleted */
	while (at >= 0)
	{
		ExportLeaf	before;
		ProvEntry	old;
		Fields		g;

		if (!prov_log_leaf(x->jumps, at, &before.ref) || before.ref.prev_leaf >= at)
			prove_log_damaged(at);
		ItemPointerSetInvalid(&before.tid);
		export_fetch(l, &before, &old);
		if (old.erased)
			return none;
		if (history_has_row(old.op))
		{
			g.names = palloc(sizeof(pv_name) * PV_MAX_FIELDS);
			g.values = palloc(sizeof(pv_value) * PV_MAX_FIELDS);
			if (!take_apart(x, &old, at, &g))
				damaged(&old, "cannot be read");
			return g.shape->subject < 0 ? none : g.values[g.shape->subject];
		}
		at = before.ref.prev_leaf;
	}
	return none;
}

/* ---- the entry ---- */

static void
fill_fields(Export *x, const ProvEntry *entry, const Fields *f, const pv_hash *context, pv_bundle_entry *e)
{
	pv_hash		commitment;
	int			i;

	prov_check(pv_commit_record(prov_hasher(), prov_salter(), &f->shape->shape->digest, context, entry->seed,
								f->names, f->values, f->n, x->salts, x->digests, &commitment));
	if (!pv_hash_equal(&commitment, &entry->commitment))
		damaged(entry, "does not give its record commitment");

	e->nfields = f->n;
	for (i = 0; i < f->n; i++)
	{
		pv_disclosed *d = &e->fields[i];
		int			column = entry->op == PV_OP_DELETE ? f->shape->shape->key_columns[i] : i;

		/* what happened to the table is for whoever gets anything of it */
		d->withheld = pv_op_is_row(entry->op) && !f->shape->chosen[column];
		d->name = f->names[i];
		d->value = f->values[i];
		if (d->withheld)
			d->digest = x->digests[i + 1];
		else
			memcpy(d->salt, x->salts + (i + 1) * PV_SALT_LEN, PV_SALT_LEN);
	}
}

static void
put_countersignatures(Export *x, const ProvEntry *entry)
{
	ScanKeyData seq;
	ProvScan	scan;
	HeapTuple	tup;

	prov_key_init(&seq, PROV_COUNTERSIGNATURE, A_CSIG_SEQ, BTEqualStrategyNumber, Int64GetDatum(entry->seq));
	prov_scan_begin_ordered(&scan, PROV_COUNTERSIGNATURE, x->snapshot, 1, &seq);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		const uint8 *key = prov_bytes(tup, PROV_COUNTERSIGNATURE, A_CSIG_KEY, PV_ED25519_PUBLIC_LEN);
		const uint8 *signature = prov_bytes(tup, PROV_COUNTERSIGNATURE, A_CSIG_SIGNATURE, PV_ED25519_SIGNATURE_LEN);

		if (key == NULL || signature == NULL)
			damaged(entry, "has a malformed countersignature");
		do
		{
			pv_put_bundle_countersignature(export_line(x), (uint64_t) x->leaf, key, signature);
		} while (!export_put(x, PV_BUNDLE_COUNTERSIGNATURE));
	}
	prov_scan_end(&scan);
}

void
export_entry(Export *x, ExportLeaves *l, const ExportLeaf *leaf, const pv_hash *prev, const pv_tree *tree, int64 from)
{
	pv_bundle_entry *e = x->entry;
	ProvEntry	entry;
	Fields		f;
	pv_leaf		bytes;
	pv_hash		hash;

	x->leaf = leaf->ref.leaf;
	export_fetch(l, leaf, &entry);
	f.shape = export_shape(x, entry.shape_id, x->leaf);
	put_shape(x, f.shape);

	e->index = (uint64_t) x->leaf;
	e->ngap = 0;
	if (from < x->leaf)
		prov_check(pv_tree_gap(tree, (uint64_t) from, (uint64_t) x->leaf, e->gap, &e->ngap));
	prov_entry_leaf(&entry, prev, &bytes);
	pv_leaf_encode(&bytes, e->leaf_bytes);
	prov_check(pv_leaf_hash(prov_hasher(), e->leaf_bytes, PV_LEAF_LEN, &hash));
	if (!pv_hash_equal(&hash, &leaf->ref.hash))
		prove_log_damaged(x->leaf);
	e->has_previous = leaf->ref.prev_leaf >= 0;
	e->previous = e->has_previous ? (uint64_t) leaf->ref.prev_leaf : 0;
	e->next = leaf->next;
	e->shape_slot = (unsigned) f.shape->slot;
	e->has_pseudonym = false;
	e->erased = entry.erased;
	e->nfields = 0;
	e->context_given = false;

	if (!entry.erased)
	{
		const ExportContext *context;
		pv_value	subject;

		f.names = x->names;
		f.values = x->values;
		if (!take_apart(x, &entry, x->leaf, &f))
			damaged(&entry, "cannot be read");
		context = put_context(x, &entry);
		fill_fields(x, &entry, &f, &context->commitment, e);
		e->context_given = context->given;
		e->context_slot = (unsigned) (context - x->contexts);
		memcpy(e->context_salt, x->salts, PV_SALT_LEN);
		e->context_digest = x->digests[0];

		subject = subject_of(x, l, leaf, &entry, &f);
		if (subject.data != NULL)
		{
			export_subjects_add(x->subjects, subject);
			e->has_pseudonym = x->has_pseudonym_key;
			if (x->has_pseudonym_key)
				prov_check(pv_pseudonym(prov_hasher(), x->pseudonym_key, subject.data, subject.len,
										e->pseudonym));
		}
	}

	do
	{
		pv_put_bundle_entry(export_line(x), e);
	} while (!export_put(x, PV_BUNDLE_ENTRY));
	prov_check(pv_frontier_append(&x->leaves, prov_hasher(), &leaf->ref.hash, NULL, NULL));
	x->entries++;
	if (x->has_countersignatures)
		put_countersignatures(x, &entry);
}
