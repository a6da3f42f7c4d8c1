/*
 * disclose.c: disclose(): one entry as a text for a person (doc/format.md,
 * "Disclosure").
 *
 * What has left cannot be called back, so the rules are those of looking: a
 * column that the caller may SELECT, a context field that history() would
 * show; the rest of a context is the table owner's to disclose. An event of
 * the table is shown to whoever may see anything of it. Without a table any
 * more there is nobody to ask about privileges: then superusers only.
 *
 * Commitment and leaf are computed again before anything is handed out: a
 * disclosure that does not hold would accuse its receiver's log of what
 * happened here. Entry, proof and log are read under the latest snapshot, as
 * by prove().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "ledger/canonical.h"
#include "prove/prove.h"
#include "types/types.h"

#include "core/disclosure.h"

PG_FUNCTION_INFO_V1(provenance_disclose);

/* The entry in hand. */
typedef struct Disclosing
{
	int64		seq;
	ProvEntry	entry;
	ProveTarget *target;
	ProveShape	view;
	ProveImage	image;
	ProvContext *context;
} Disclosing;

/* Names, separated by commas, for a detail. */
static char *
list_names(const pv_name *names, int n)
{
	StringInfoData s;
	int			i;

	initStringInfo(&s);
	for (i = 0; i < n; i++)
		appendStringInfo(&s, "%s\"%s\"", i == 0 ? "" : ", ", prove_text(names[i].s, names[i].len));
	return s.data;
}

/* Marks the names that are asked for. */
static void
choose(ArrayType *asked, const pv_name *names, int n, bool of_context, int64 seq, bool *chosen)
{
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	int			i;
	int			j;

	deconstruct_array(asked, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elems, &nulls, &nelems);
	memset(chosen, 0, sizeof(bool) * n);
	for (i = 0; i < nelems; i++)
	{
		const char *name;
		pv_value	utf8;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("names of fields to disclose must not be null")));
		name = NameStr(*DatumGetName(elems[i]));
		utf8 = prov_utf8_value(name);
		for (j = 0; j < n; j++)
			if (names[j].len == utf8.len && memcmp(names[j].s, utf8.data, utf8.len) == 0)
				break;
		if (j == n && of_context)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("a context has no field \"%s\"", name),
					 errdetail("Its fields are %s.", list_names(names, n))));
		if (j == n)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("entry %lld has no field \"%s\"", (long long) seq, name),
					 errdetail("Its fields are %s.", list_names(names, n))));
		if (chosen[j])
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("field \"%s\" is named twice", name)));
		chosen[j] = true;
	}
}

/* The relation that an entry's table is now, by name before OID; or InvalidOid. */
static Oid
relation_of(const ProvTable *table)
{
	Oid			nsp = get_namespace_oid(table->schema, true);
	Oid			relid = OidIsValid(nsp) ? get_relname_relid(table->table, nsp) : InvalidOid;

	if (OidIsValid(relid))
		return relid;
	return get_rel_name(table->relid) != NULL ? table->relid : InvalidOid;
}

ProveTarget *
prove_entry_target(const ProvEntry *entry)
{
	ProvTable  *table = prov_table_by_id(entry->table_id, NULL);
	Oid			relid;
	ProveTarget *target;

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the table of entry %lld is not in the registry", (long long) entry->seq)));
	relid = relation_of(table);
	if (OidIsValid(relid))
		target = prove_target(relid, NULL);
	else if (superuser())
	{
		target = palloc0(sizeof(ProveTarget));
		target->owner = target->all_columns = true;
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to use an entry of a table that no longer exists")));
	/* a relation that was tagged anew under another id is still the same one */
	target->table = table;
	return target;
}

static void
read_entry(Disclosing *d)
{
	int64		leaf;
	ProvLog    *log = prov_log_open(NULL);
	bool		found = prov_log_entry_by_seq(log, d->seq, true, &d->entry, &leaf);

	prov_log_close(log);
	if (!found)
		prove_log_damaged(leaf);
	d->target = prove_entry_target(&d->entry);
	if (d->entry.erased)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("entry %lld was erased", (long long) d->seq),
				 errdetail("There is nothing left of it to disclose.")));

	d->view.shape_id = d->entry.shape_id;
	d->view.shape = prov_shape_fetch(d->entry.shape_id, NULL);
	prove_shape_view(&d->view, d->target);
	prove_image(&d->entry, &d->view, &d->image);
	d->context = prov_context_fetch(d->entry.context_id, NULL);
	if (!d->image.valid || d->context == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entry %lld cannot be read", (long long) d->seq),
				 errhint("SELECT * FROM provenance.verify_log() says more.")));
}

static void
put_fields(Disclosing *d, ArrayType *columns, pv_disclosure *out)
{
	ProveImage *image = &d->image;
	bool	   *chosen = image->visible;
	uint8	   *salts = palloc((image->n + 1) * PV_SALT_LEN);
	pv_hash    *digests = palloc((image->n + 1) * sizeof(pv_hash));
	pv_hash		commitment;
	int			i;

	if (columns != NULL)
	{
		chosen = palloc(sizeof(bool) * (image->n + 1));
		choose(columns, image->names, image->n, false, d->seq, chosen);
		for (i = 0; i < image->n; i++)
			if (chosen[i] && !image->visible[i])
				aclcheck_error_col(ACLCHECK_NO_PRIV, OBJECT_COLUMN, get_rel_name(d->target->relid),
								   prove_text(image->names[i].s, image->names[i].len));
	}

	prov_check(pv_commit_record(prov_hasher(), prov_salter(), &d->view.shape->digest, &d->context->commitment,
								d->entry.seed, image->names, image->values, image->n, salts, digests, &commitment));
	if (!pv_hash_equal(&commitment, &d->entry.commitment))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entry %lld does not give its record commitment", (long long) d->seq),
				 errhint("SELECT * FROM provenance.verify_log() says more.")));

	memcpy(out->context_salt, salts, PV_SALT_LEN);
	out->context_digest = digests[0];
	out->nfields = image->n;
	for (i = 0; i < image->n; i++)
	{
		out->fields[i].name = image->names[i];
		out->fields[i].withheld = !chosen[i];
		out->fields[i].digest = digests[i + 1];
		memcpy(out->fields[i].salt, salts + (i + 1) * PV_SALT_LEN, PV_SALT_LEN);
		out->fields[i].value = image->values[i];
	}
}

/* Fields that history() shows to whoever sees anything of the table. */
static bool
shown_by_history(int field)
{
	return field == PV_CTX_ACTOR || field == PV_CTX_PURPOSE || field == PV_CTX_SOURCE ||
		field == PV_CTX_DB_USER || field == PV_CTX_APPLICATION || field == PV_CTX_SOURCE_LEAF;
}

void
prove_choose_context(ArrayType *asked, const ProveTarget *target, bool chosen[PV_CONTEXT_FIELDS])
{
	int			i;

	choose(asked, pv_context_names, PV_CONTEXT_FIELDS, true, 0, chosen);
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
		if (chosen[i] && !target->owner && !shown_by_history(i))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("must be owner of table \"%s\" to disclose the context field \"%s\"",
							get_rel_name(target->relid), pv_context_names[i].s)));
}

static void
put_context(Disclosing *d, ArrayType *fields, pv_disclosure *out)
{
	bool		chosen[PV_CONTEXT_FIELDS];
	uint8		salts[PV_CONTEXT_FIELDS * PV_SALT_LEN];
	pv_hash		commitment;
	int			i;

	prove_choose_context(fields, d->target, chosen);
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
		out->context_given = out->context_given || chosen[i];
	if (!out->context_given)
		return;

	if (d->context->erased)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the context of entry %lld was erased", (long long) d->seq)));
	if (d->context->status == PV_OK)
		prov_check(pv_commit_context(prov_hasher(), prov_salter(), d->context->seed, pv_context_names,
									 d->context->values, PV_CONTEXT_FIELDS, &commitment));
	if (d->context->status != PV_OK || !pv_hash_equal(&commitment, &d->context->commitment))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the context of entry %lld does not give its commitment", (long long) d->seq),
				 errhint("SELECT * FROM provenance.verify_log() says more.")));

	out->context_commitment = d->context->commitment;
	prov_check(pv_salts(prov_salter(), d->context->seed, PV_CONTEXT_FIELDS, salts));
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		pv_disclosed *f = &out->context[i];

		f->name = pv_context_names[i];
		f->withheld = !chosen[i];
		memcpy(f->salt, salts + i * PV_SALT_LEN, PV_SALT_LEN);
		f->value = d->context->values[i];
		prov_check(pv_field_digest(prov_hasher(), PV_DOMAIN_CONTEXT_FIELD, f->salt, f->name, f->value, &f->digest));
	}
}

/* The leaf, which must be the one that the log holds. */
static void
put_leaf(Disclosing *d, pv_disclosure *out)
{
	ProvLog    *log = prov_log_open(NULL);
	int64		index = prov_log_leaf_of_seq(log, d->seq);
	ProvLeafRef ref;
	ProvLeafRef prev;
	pv_leaf		leaf;
	pv_hash		hash;

	if (!prov_log_leaf(log, index, &ref) ||
		(ref.prev_leaf >= 0 && !prov_log_leaf(log, ref.prev_leaf, &prev)))
		prove_log_damaged(index);
	prov_log_close(log);
	prov_entry_leaf(&d->entry, ref.prev_leaf >= 0 ? &prev.hash : NULL, &leaf);
	pv_leaf_encode(&leaf, out->leaf_bytes);
	prov_check(pv_leaf_hash(prov_hasher(), out->leaf_bytes, PV_LEAF_LEN, &hash));
	if (!pv_hash_equal(&hash, &ref.hash))
		prove_log_damaged(index);
}

/* A text in the database's encoding, or, where that lacks a character, its bytes in hexadecimal. */
static text *
to_text(const char *s, size_t len)
{
	size_t		n;
	char	   *converted = prov_from_utf8(s, len, &n);
	text	   *result;

	if (converted != NULL)
		return cstring_to_text_with_len(converted, n);
	if (len > (MaxAllocSize - VARHDRSZ) / 2 - 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the disclosure is too long")));
	result = palloc(VARHDRSZ + 2 + 2 * len);
	memcpy(VARDATA(result), "\\x", 2);
	SET_VARSIZE(result, VARHDRSZ + 2 + hex_encode(s, len, VARDATA(result) + 2));
	return result;
}

/* disclose(seq bigint, columns name[] DEFAULT NULL, context name[] DEFAULT '{}') */
Datum
provenance_disclose(PG_FUNCTION_ARGS)
{
	Disclosing	d = {0};
	pv_disclosure *out;
	char	   *s;
	pv_buf		b;
	int			pass;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	d.seq = PG_GETARG_INT64(0);
	out = palloc0(sizeof(pv_disclosure));
	out->proof = prove_make_proof(NULL, d.seq, PROVE_NEWEST, &out->prooflen);
	read_entry(&d);
	put_fields(&d, PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1), out);
	if (!PG_ARGISNULL(2))
		put_context(&d, PG_GETARG_ARRAYTYPE_P(2), out);
	out->shape_bytes = d.view.shape->definition;
	out->shape_len = d.view.shape->definition_len;
	put_leaf(&d, out);

	/* once to learn the length, once to write */
	pv_buf_init(&b, NULL, 0);
	s = NULL;
	for (pass = 0; pass < 2; pass++)
	{
		pv_put_disclosure(&b, out);
		if (pass == 1)
			break;
		if (b.len > MaxAllocSize - VARHDRSZ)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the disclosure is too long"),
					 errdetail("It would have %zu bytes.", b.len)));
		s = palloc(b.len);
		pv_buf_init(&b, s, b.len);
	}
	prov_check(pv_buf_status(&b));
	PG_RETURN_TEXT_P(to_text(s, b.len));
}
