/*
 * export.c: export_bundle(): entries of one table as a bundle for a partner
 * (doc/format.md, "Bundle").
 *
 * Who may: whoever may SELECT the table and the columns that are disclosed
 * (export_shapes.c). Everything else is as for disclose() and history().
 *
 * The whole bundle is put into a tuplestore, one pass over the leaves; then
 * what it gives away is recorded by a worker (export_record.c), and only then
 * is the first row returned. So nothing leaves without a record, and an export
 * that fails has none, or subjects alone.
 *
 * Memory: sorts of work_mem for subjects and, of some rows, for leaves and
 * predecessors, or, of all rows, a bit for each leaf and 1 MB; a tuplestore of
 * work_mem for the lines, a quarter of work_mem for the hashes of recent
 * leaves, the table's shapes, and a few times the longest line. The rest goes
 * to temporary files.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/result.h"
#include "partner/export.h"
#include "partner/witness.h"

PG_FUNCTION_INFO_V1(provenance_export_bundle);

#define MAX_NAME_TEXT 1000		/* bytes of recipient */
#define MAX_PURPOSE_TEXT 8000
#define MAX_LOOKED_AT 10000		/* disclosures, for those to a recipient */

/* Hashes of leaves met lately, for entries that name them as previous. */
typedef struct RecentLeaf
{
	int64		leaf;			/* -1: none */
	pv_hash		hash;
} RecentLeaf;

/* ---- lines ---- */

pv_buf *
export_line(Export *x)
{
	pv_buf_init(&x->b, VARDATA(x->content), x->content_cap);
	return &x->b;
}

static void
too_long(Export *x)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("a line of the bundle would be too long"),
			 x->leaf >= 0 ?
			 errdetail("That of leaf %lld, of table \"%s\", would have %zu bytes; %d are possible.", (long long) x->leaf,
					   get_rel_name(x->target->relid), x->b.len, PV_BUNDLE_MAX_CONTENT) :
			 errdetail("It would have %zu bytes; %d are possible.", x->b.len, PV_BUNDLE_MAX_CONTENT),
			 errhint("Leave a column out.")));
}

/* The content in the server's encoding. */
static Datum
content_datum(Export *x)
{
	size_t		n;
	char	   *s = prov_from_utf8(VARDATA(x->content), x->b.len, &n);

	if (s == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("a text of the bundle has a character without equivalent in the database's encoding"),
				 x->leaf >= 0 ? errdetail("It is in leaf %lld.", (long long) x->leaf) : 0,
				 errhint("Leave the column out, or export from a database with encoding UTF8.")));
	if (s == VARDATA(x->content))
	{
		SET_VARSIZE(x->content, VARHDRSZ + n);
		return PointerGetDatum(x->content);
	}
	return PointerGetDatum(cstring_to_text_with_len(s, n));
}

bool
export_put(Export *x, pv_bundle_kind kind)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (x->b.len > PV_BUNDLE_MAX_CONTENT)
		too_long(x);
	if (pv_buf_status(&x->b) != PV_OK)
	{
		x->content_cap = Max(x->b.len, Min(x->content_cap * 2, PV_BUNDLE_MAX_CONTENT));
		pfree(x->content);
		x->content = MemoryContextAlloc(x->cxt, VARHDRSZ + x->content_cap);
		return false;
	}
	x->lines++;
	if (kind != PV_BUNDLE_END)
		prov_check(pv_bundle_digest_line(&x->digest, (uint64_t) x->lines, pv_bundle_kind_name(kind),
										 VARDATA(x->content), x->b.len));
	values[0] = Int64GetDatum(x->lines);
	values[1] = x->kinds[kind];
	values[2] = content_datum(x);
	prov_result_put(x->rsinfo, lengthof(values), values, nulls);
	if (values[2] != PointerGetDatum(x->content))
		pfree(DatumGetPointer(values[2]));
	return true;
}

/* ---- what is asked for ---- */

static char *
text_argument(FunctionCallInfo fcinfo, int n, const char *what, size_t max)
{
	char	   *s;

	if (PG_ARGISNULL(n))
		return NULL;
	s = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (strlen(s) > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", what),
				 errdetail("It has %zu bytes; %zu are possible.", strlen(s), max)));
	return s;
}

/*
 * A pseudonym tells whoever has the key whose data it is: it is for callers
 * who may read the subject themselves.
 */
static void
find_pseudonym_key(Export *x)
{
	const char *subject = x->target->table->subject;
	ProvPartner *partner = x->recipient == NULL ? NULL : prov_partner_by_name(x->recipient);

	if (partner == NULL || partner->state == PROV_PARTNER_REMOVED || !partner->has_pseudonym_key)
		return;
	if (subject != NULL)
	{
		pv_value	utf8 = prov_utf8_value(subject);
		pv_name		name = {(const char *) utf8.data, (uint16_t) utf8.len};

		if (!prove_column_visible(x->target, name))
			return;
	}
	x->has_pseudonym_key = true;
	memcpy(x->pseudonym_key, partner->pseudonym_key, sizeof(x->pseudonym_key));
}

/* ---- the lines before the entries ---- */

static int
compare_sizes(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/*
 * Sizes that the recipient may have: since_size, and those of the newest
 * checkpoints that it was given. Rising, each once; at most
 * PV_BUNDLE_MAX_CONSISTENCY.
 */
static int
known_sizes(Export *x, int64 *sizes)
{
	TupleDesc	desc = prov_tupdesc(PROV_DISCLOSURE);
	int			looked_at = 0;
	int			n = 0;
	ProvScan	scan;
	HeapTuple	tup;

	if (x->since > 0 && x->since < x->size)
		sizes[n++] = x->since;
	if (x->recipient != NULL)
	{
		prov_scan_begin_ordered(&scan, PROV_DISCLOSURE, NULL, 0, NULL);
		while (n < PV_BUNDLE_MAX_CONSISTENCY && looked_at++ < MAX_LOOKED_AT &&
			   HeapTupleIsValid(tup = prov_scan_next(&scan, BackwardScanDirection)))
		{
			bool		isnull;
			Datum		recipient = heap_getattr(tup, A_DISC_RECIPIENT, desc, &isnull);
			int64		size;
			int			i;

			if (isnull || strcmp(TextDatumGetCString(recipient), x->recipient) != 0)
				continue;
			size = DatumGetInt64(heap_getattr(tup, A_DISC_SIZE, desc, &isnull));
			for (i = 0; i < n && sizes[i] != size; i++)
				;
			if (i == n && !isnull && size > 0 && size < x->size)
				sizes[n++] = size;
		}
		prov_scan_end(&scan);
	}
	qsort(sizes, n, sizeof(int64), compare_sizes);
	return n;
}

/* Texts in the server's encoding as the header's. */
static pv_value
header_text(const char *s)
{
	pv_value	none = {NULL, 0};

	return s == NULL ? none : prov_utf8_value(s);
}

static void
put_head(Export *x, Datum checkpoint, const char *schema, const char *table, const pv_tree *tree)
{
	pv_bundle_header header;
	pv_checkpoint cp;
	Datum		cosigned;
	const char *bytes;
	size_t		len;
	int64		sizes[PV_BUNDLE_MAX_CONSISTENCY];
	int			n;
	int			i;

	checkpoint_get(checkpoint, &cp);
	x->root = cp.root;
	memset(&header, 0, sizeof(header));
	header.origin.data = (const uint8_t *) cp.origin;
	header.origin.len = (uint32_t) cp.originlen;
	header.size = (uint64_t) x->size;
	header.since_size = (uint64_t) x->since;
	header.table_id = (uint32_t) x->target->table->table_id;
	header.schema = header_text(schema);
	header.table = header_text(table);
	header.all_rows = x->keys == NULL;
	header.recipient = header_text(x->recipient);
	header.purpose = header_text(x->purpose);
	do
	{
		pv_put_bundle_header(export_line(x), &header);
	} while (!export_put(x, PV_BUNDLE_HEADER));

	/* the cosignatures of witnesses are lines of the note, behind the log's own */
	cosigned = prov_cosigned_checkpoint(x->incarnation, x->size);
	bytes = checkpoint_bytes(cosigned != (Datum) 0 ? cosigned : checkpoint, &len);
	do
	{
		pv_put_base64(export_line(x), bytes, len);
	} while (!export_put(x, PV_BUNDLE_CHECKPOINT));

	n = known_sizes(x, sizes);
	for (i = 0; i < n; i++)
	{
		pv_hash		path[PV_MAX_PATH];
		unsigned	npath;

		prov_check(pv_tree_consistency(tree, (uint64_t) sizes[i], (uint64_t) x->size, path, &npath));
		do
		{
			pv_put_bundle_consistency(export_line(x), (uint64_t) sizes[i], path, npath);
		} while (!export_put(x, PV_BUNDLE_CONSISTENCY));
	}
}

/* ---- the entries ---- */

static void
put_entries(Export *x, ExportLeaves *leaves, const pv_tree *tree)
{
	int64		nrecent = 1024;
	RecentLeaf *recent;
	ExportLeaf	leaf;
	int64		from = 0;
	int64		i;

	while (nrecent * 2 * (int64) sizeof(RecentLeaf) <= (int64) work_mem * 1024 / 4)
		nrecent *= 2;
	recent = MemoryContextAllocHuge(x->cxt, nrecent * sizeof(RecentLeaf));
	for (i = 0; i < nrecent; i++)
		recent[i].leaf = -1;

	while (export_leaves_next(leaves, &leaf))
	{
		MemoryContext old = MemoryContextSwitchTo(x->row);
		int64		prev_leaf = leaf.ref.prev_leaf;
		RecentLeaf *known;
		pv_hash		prev;

		CHECK_FOR_INTERRUPTS();
		if (prev_leaf >= 0)
		{
			known = &recent[prev_leaf & (nrecent - 1)];
			if (known->leaf == prev_leaf)
				prev = known->hash;
			else
			{
				ProvLeafRef ref;

				if (!prov_log_leaf(x->jumps, prev_leaf, &ref))
					prove_log_damaged(prev_leaf);
				prev = ref.hash;
			}
		}
		export_entry(x, leaves, &leaf, prev_leaf >= 0 ? &prev : NULL, tree, from);
		known = &recent[leaf.ref.leaf & (nrecent - 1)];
		known->leaf = leaf.ref.leaf;
		known->hash = leaf.ref.hash;
		from = leaf.ref.leaf + 1;
		MemoryContextSwitchTo(old);
		MemoryContextReset(x->row);
	}
	x->leaf = -1;
	pfree(recent);

	x->entry->ngap = 0;
	if (from < x->size)
		prov_check(pv_tree_gap(tree, (uint64_t) from, (uint64_t) x->size, x->entry->gap, &x->entry->ngap));
}

static void
put_end(Export *x)
{
	pv_hash		digest;

	prov_check(pv_bundle_digest_end(&x->digest, &digest));
	do
	{
		pv_put_bundle_end(export_line(x), (uint64_t) x->entries, x->entry->gap, x->entry->ngap, &digest);
	} while (!export_put(x, PV_BUNDLE_END));
}

/* ---- the call ---- */

static bool
has_countersignatures(Snapshot snapshot)
{
	ProvScan	scan;
	bool		any;

	prov_scan_begin(&scan, PROV_COUNTERSIGNATURE, InvalidOid, snapshot, 0, NULL);
	any = HeapTupleIsValid(prov_scan_next(&scan, ForwardScanDirection));
	prov_scan_end(&scan);
	return any;
}

static void
free_digest(void *arg)
{
	pv_bundle_digest_free(arg);
}

static bool
same_name(pv_name a, pv_name b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

/* The only shape, or one of several that all bear one name; NULL if there is none. */
static const pv_shape *
named_alike(Export *x)
{
	const pv_shape *first = NULL;
	bool		alike = true;
	HASH_SEQ_STATUS seq;
	ExportShape *s;

	hash_seq_init(&seq, x->shapes);
	while ((s = hash_seq_search(&seq)) != NULL)
	{
		if (first == NULL)
			first = &s->shape->shape;
		alike = alike && same_name(first->schema, s->shape->shape.schema) && same_name(first->table, s->shape->shape.table);
	}
	return alike ? first : NULL;
}

/* The names that the header gives the table: those of the newest leaf's shape. */
static void
table_names(Export *x, ExportLeaves *leaves, char **schema, char **table)
{
	const pv_shape *shape = named_alike(x);
	ProvLeafRef ref;
	ProvEntry	entry;

	if (shape == NULL)
	{
		int64		leaf = export_leaves_newest(leaves);

		*schema = x->target->table->schema;
		*table = x->target->table->table;
		if (leaf < 0)
			return;
		if (!prov_log_leaf(x->jumps, leaf, &ref) || !prov_entry_fetch(ref.xid, ref.seq, x->snapshot, false, &entry))
			prove_log_damaged(leaf);
		shape = &export_shape(x, entry.shape_id, leaf)->shape->shape;
	}
	*schema = prove_text(shape->schema.s, shape->schema.len);
	*table = prove_text(shape->table.s, shape->table.len);
}

static void
begin(Export *x, FunctionCallInfo fcinfo)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	int			i;

	x->rsinfo = prov_result_begin(fcinfo, "ltt");
	x->cxt = CurrentMemoryContext;
	x->row = AllocSetContextCreate(x->cxt, "provenance export row", ALLOCSET_DEFAULT_SIZES);
	x->content_cap = EXPORT_CONTENT_START;
	x->content = palloc(VARHDRSZ + x->content_cap);
	x->leaf = -1;
	for (i = PV_BUNDLE_HEADER; i <= PV_BUNDLE_END; i++)
		x->kinds[i] = CStringGetTextDatum(pv_bundle_kind_name(i));
	x->entry = palloc0(sizeof(pv_bundle_entry));
	x->names = palloc(PV_MAX_FIELDS * sizeof(pv_name));
	x->values = palloc(PV_MAX_FIELDS * sizeof(pv_value));
	x->salts = palloc((PV_MAX_FIELDS + 1) * PV_SALT_LEN);
	x->digests = palloc((PV_MAX_FIELDS + 1) * sizeof(pv_hash));
	pv_frontier_init(&x->leaves);
	x->subjects = export_subjects_begin();

	callback->func = free_digest;
	callback->arg = &x->digest;
	MemoryContextRegisterResetCallback(x->cxt, callback);
	prov_check(pv_bundle_digest_init(&x->digest));
}

static void
check_possible(void)
{
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a bundle cannot be exported in single-user mode"),
				 errdetail("A background worker records what is disclosed.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("a bundle cannot be exported on a standby"),
				 errdetail("What is disclosed is recorded in the log."),
				 errhint("Export on the primary.")));
}

/*
 * export_bundle(target regclass, keys text[], columns name[], recipient text,
 * since_size bigint, purpose text, context name[])
 */
Datum
provenance_export_bundle(PG_FUNCTION_ARGS)
{
	Export	   *x = palloc0(sizeof(Export));
	ArrayType  *columns = PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2);
	Datum		checkpoint;
	ExportLeaves *leaves;
	const pv_tree *tree;
	char	   *schema;
	char	   *table;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table must not be null")));
	check_possible();
	x->keys = PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1);
	x->recipient = text_argument(fcinfo, 3, "recipient", MAX_NAME_TEXT);
	x->since = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4);
	x->purpose = text_argument(fcinfo, 5, "purpose", MAX_PURPOSE_TEXT);

	/* the checkpoint before the snapshot: the log as read after it has all its leaves */
	checkpoint = prove_checkpoint(-1, &x->size, &x->incarnation);
	x->snapshot = prov_latest_snapshot();
	if (IsMVCCSnapshot(x->snapshot))
		x->snapshot = RegisterSnapshot(x->snapshot);
	x->target = prove_target(PG_GETARG_OID(0), x->snapshot);
	if (x->keys != NULL)
		prove_check_key_columns(x->target);
	if (!PG_ARGISNULL(6))
		prove_choose_context(PG_GETARG_ARRAYTYPE_P(6), x->target, x->context);
	begin(x, fcinfo);
	export_load_shapes(x, columns);
	if (checkpoint == (Datum) 0 || x->size == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the log has no checkpoint with entries yet"),
				 errhint("SELECT provenance.seal() publishes one.")));
	if (x->since < 0 || x->since > x->size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since_size %lld is not a size that the log has had", (long long) x->since),
				 errdetail("Its newest checkpoint has size %lld.", (long long) x->size)));
	find_pseudonym_key(x);
	x->has_countersignatures = has_countersignatures(x->snapshot);

	x->log = prov_log_open(x->snapshot);
	x->jumps = prov_log_open(x->snapshot);
	tree = export_tree(x->jumps, x->size);
	leaves = export_leaves_begin(x);
	table_names(x, leaves, &schema, &table);
	put_head(x, checkpoint, schema, table, tree);
	put_entries(x, leaves, tree);
	put_end(x);
	export_leaves_end(leaves);
	prov_log_close(x->jumps);
	prov_log_close(x->log);
	if (IsMVCCSnapshot(x->snapshot))
		UnregisterSnapshot(x->snapshot);

	export_record(x, schema, table);
	explicit_bzero(x->pseudonym_key, sizeof(x->pseudonym_key));
	return (Datum) 0;
}
