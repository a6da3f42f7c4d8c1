/*
 * row_image.c: a tagged relation through its shape (see row_image.h).
 *
 * The names of types in a shape come from format_type under the canonical
 * settings: built-in types bare, all others with their schema, whatever
 * search_path the session has.
 *
 * Two versions of a row are compared bit by bit first, which is enough for
 * nearly every column that an UPDATE leaves alone (its TOAST pointer is then
 * the same too), and by their text only where bits differ: 1.0 and 1.00 are
 * equal to numeric and are not the same record.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "core/shape.h"
#include "ledger/row_image.h"
#include "types/types.h"

/* attgenerated of a virtual column, PostgreSQL 18 */
#define GENERATED_VIRTUAL 'v'

Oid
prov_root(Relation rel)
{
	List	   *ancestors;
	Oid			root;

	if (!rel->rd_rel->relispartition)
		return RelationGetRelid(rel);
	ancestors = get_partition_ancestors(RelationGetRelid(rel));
	if (ancestors == NIL)
		return RelationGetRelid(rel);
	root = llast_oid(ancestors);
	list_free(ancestors);
	return root;
}

Oid
prov_key_index(Relation root)
{
	List	   *indexes = RelationGetIndexList(root);
	ListCell   *lc;
	Oid			primary = InvalidOid;
	Oid			identity = InvalidOid;

	foreach(lc, indexes)
	{
		HeapTuple	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tup))
			continue;
		index = (Form_pg_index) GETSTRUCT(tup);
		if (index->indisprimary)
			primary = lfirst_oid(lc);
		if (index->indisreplident && root->rd_rel->relreplident == REPLICA_IDENTITY_INDEX)
			identity = lfirst_oid(lc);
		ReleaseSysCache(tup);
	}
	list_free(indexes);
	return OidIsValid(primary) ? primary : identity;
}

/* The key's attribute numbers in the root; their number, 0 if there is no key. */
static int
key_attnums(Relation root, AttrNumber *attnums)
{
	Oid			indexid = prov_key_index(root);
	HeapTuple	tup;
	Form_pg_index index;
	int			n = 0;

	if (!OidIsValid(indexid))
		return 0;
	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	index = (Form_pg_index) GETSTRUCT(tup);
	for (n = 0; n < index->indnkeyatts; n++)
		attnums[n] = index->indkey.values[n];
	ReleaseSysCache(tup);
	return n;
}

static bool
is_excluded(const ProvTable *table, const char *name)
{
	int			i;

	for (i = 0; i < table->nexclude; i++)
		if (strcmp(table->exclude[i], name) == 0)
			return true;
	return false;
}

static pv_name
utf8_name(const char *s)
{
	pv_value	v = prov_utf8_value(s);
	pv_name		name;

	name.s = (const char *) v.data;
	name.len = v.len;
	return name;
}

/* What the building of names needs the canonical settings for. */
typedef struct TypeNames
{
	TupleDesc	desc;
	int			n;
	AttrNumber *attnums;		/* in the root */
	pv_column  *columns;
} TypeNames;

static void
format_types(void *arg)
{
	TypeNames  *t = arg;
	int			i;

	for (i = 0; i < t->n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(t->desc, t->attnums[i] - 1);

		t->columns[i].type = utf8_name(format_type_extended(att->atttypid, att->atttypmod,
															FORMAT_TYPE_TYPEMOD_GIVEN));
	}
}

/* Encodes the shape and computes its digest. */
static void
build_shape(ProvLayout *layout, Relation root, AttrNumber *root_attnums)
{
	ProvIdentity *identity = prov_identity(false);
	pv_column  *columns = palloc0(sizeof(pv_column) * layout->ncolumns);
	TypeNames	types;
	pv_shape	shape;
	pv_buf		b;
	size_t		size;
	int			i;

	types.desc = RelationGetDescr(root);
	types.n = layout->ncolumns;
	types.attnums = root_attnums;
	types.columns = columns;
	prov_canonical_run(PROV_NEEDS_GUC, InvalidOid, format_types, &types);

	for (i = 0; i < layout->ncolumns; i++)
		columns[i].name = layout->names[i];
	for (i = 0; i < layout->nkeys; i++)
		columns[layout->keys[i]].key_pos = i + 1;

	shape.origin = utf8_name(identity->origin);
	shape.table_id = layout->table_id;
	shape.schema = utf8_name(layout->schema);
	shape.table = utf8_name(layout->table);
	shape.ncolumns = layout->ncolumns;
	shape.nkeys = layout->nkeys;
	shape.columns = columns;

	size = pv_shape_size(&shape);
	layout->definition = palloc(size);
	pv_buf_init(&b, layout->definition, size);
	prov_check(pv_shape_encode(&shape, &b));
	layout->definition_len = b.len;
	prov_check(pv_shape_digest(prov_hasher(), layout->definition, layout->definition_len, &layout->digest));
	memcpy(layout->row_key, identity->row_key, PV_ROW_KEY_LEN);
}

/* Fills in the columns; root_attnums gets their attribute numbers in the root. */
static void
build_columns(ProvLayout *layout, Relation rel, Relation root, const ProvTable *table,
			  AttrNumber *root_attnums)
{
	TupleDesc	desc = RelationGetDescr(root);
	AttrNumber	key[INDEX_MAX_KEYS];
	int			n = 0;
	int			i;
	int			k;

	layout->names = palloc(sizeof(pv_name) * (desc->natts + 1));
	layout->attnums = palloc(sizeof(AttrNumber) * (desc->natts + 1));
	layout->outputs = palloc(sizeof(ProvOutput) * (desc->natts + 1));
	layout->typlens = palloc(sizeof(int16) * (desc->natts + 1));
	layout->typbyvals = palloc(sizeof(bool) * (desc->natts + 1));
	layout->type_hashes = palloc(sizeof(uint32) * (desc->natts + 1));

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attgenerated == GENERATED_VIRTUAL ||
			is_excluded(table, NameStr(att->attname)))
			continue;
		root_attnums[n] = att->attnum;
		layout->attnums[n] = att->attnum;
		if (rel != root)
		{
			layout->attnums[n] = get_attnum(RelationGetRelid(rel), NameStr(att->attname));
			if (layout->attnums[n] <= 0)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("partition \"%s\" has no column \"%s\"",
								RelationGetRelationName(rel), NameStr(att->attname))));
		}
		layout->max_attnum = Max(layout->max_attnum, layout->attnums[n]);
		layout->names[n] = utf8_name(NameStr(att->attname));
		layout->typlens[n] = att->attlen;
		layout->typbyvals[n] = att->attbyval;
		if (att->atttypid >= FirstNormalObjectId)
			layout->type_hashes[layout->ntypes++] =
				GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(att->atttypid));
		prov_output_init(&layout->outputs[n], att->atttypid, layout->cxt);
		layout->needs |= layout->outputs[n].needs;
		n++;
	}
	layout->ncolumns = n;

	layout->nkeys = key_attnums(root, key);
	layout->keys = palloc(sizeof(int) * (layout->nkeys + 1));
	layout->key_names = palloc(sizeof(pv_name) * (layout->nkeys + 1));
	for (k = 0; k < layout->nkeys; k++)
	{
		for (i = 0; i < n && root_attnums[i] != key[k]; i++)
			;
		if (i == n)
			break;
		layout->keys[k] = i;
		layout->key_names[k] = layout->names[i];
		layout->key_needs |= layout->outputs[i].needs;
	}
	if (layout->nkeys == 0 || k < layout->nkeys)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tagged table \"%s.%s\" has no key", layout->schema, layout->table),
				 errdetail("Rows are told apart by the primary key or the replica identity index, whose columns must be recorded."),
				 errhint("Create a primary key, or untag the table.")));
}

ProvLayout *
prov_layout_build(Relation rel, const ProvTable *table, MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "provenance layout", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	ProvLayout *layout = palloc0(sizeof(ProvLayout));
	Relation	root = rel;
	AttrNumber *root_attnums;

	layout->cxt = cxt;
	layout->relid = RelationGetRelid(rel);
	layout->root = prov_root(rel);
	layout->table_id = table->table_id;
	if (layout->root != layout->relid)
		root = table_open(layout->root, AccessShareLock);
	layout->schema = get_namespace_name(RelationGetNamespace(root));
	layout->table = pstrdup(RelationGetRelationName(root));

	root_attnums = palloc(sizeof(AttrNumber) * (RelationGetNumberOfAttributes(root) + 1));
	build_columns(layout, rel, root, table, root_attnums);
	build_shape(layout, root, root_attnums);

	if (root != rel)
		table_close(root, NoLock);
	MemoryContextSwitchTo(old);
	return layout;
}

void
prov_layout_free(ProvLayout *layout)
{
	MemoryContextDelete(layout->cxt);
}

/* ---- values ---- */

typedef struct RowTask
{
	ProvLayout *layout;
	TupleTableSlot *oldslot;
	TupleTableSlot *slot;
	pv_value   *values;
	pv_value   *old_key;
	bool		changed;
	bool		key_changed;
	int			column;			/* at which an error happened */
} RowTask;

static void
column_error(void *arg)
{
	RowTask    *task = arg;
	ProvLayout *layout = task->layout;

	if (task->column >= 0)
		errcontext("recording column \"%.*s\" of tagged table \"%s.%s\"",
				   layout->names[task->column].len, layout->names[task->column].s,
				   layout->schema, layout->table);
}

static inline pv_value
column_value(RowTask *task, TupleTableSlot *slot, int i)
{
	ProvLayout *layout = task->layout;
	AttrNumber	attnum = layout->attnums[i];
	pv_value	v = {NULL, 0};

	if (!slot->tts_isnull[attnum - 1])
	{
		task->column = i;
		v = prov_output(&layout->outputs[i], slot->tts_values[attnum - 1]);
	}
	return v;
}

static void
task_values(void *arg)
{
	RowTask    *task = arg;
	int			n = task->layout->ncolumns;
	int			i;

	for (i = 0; i < n; i++)
		task->values[i] = column_value(task, task->slot, i);
}

static void
task_key(void *arg)
{
	RowTask    *task = arg;
	int			n = task->layout->nkeys;
	int			i;

	for (i = 0; i < n; i++)
		task->values[i] = column_value(task, task->slot, task->layout->keys[i]);
}

static bool
same_bits(RowTask *task, int i)
{
	ProvLayout *layout = task->layout;
	AttrNumber	a = layout->attnums[i] - 1;

	if (task->oldslot->tts_isnull[a] || task->slot->tts_isnull[a])
		return task->oldslot->tts_isnull[a] && task->slot->tts_isnull[a];
	return datumIsEqual(task->oldslot->tts_values[a], task->slot->tts_values[a],
						layout->typbyvals[i], layout->typlens[i]);
}

static bool
same_text(const pv_value *a, const pv_value *b)
{
	if (a->data == NULL || b->data == NULL)
		return a->data == NULL && b->data == NULL;
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void
task_changes(void *arg)
{
	RowTask    *task = arg;
	ProvLayout *layout = task->layout;
	int			i;

	/* the first column whose text differs decides */
	for (i = 0; i < layout->ncolumns && !task->changed; i++)
		if (!same_bits(task, i))
		{
			pv_value	before = column_value(task, task->oldslot, i);
			pv_value	after = column_value(task, task->slot, i);

			task->changed = !same_text(&before, &after);
		}
	if (!task->changed)
		return;

	task_values(task);
	for (i = 0; i < layout->nkeys && !task->key_changed; i++)
		if (!same_bits(task, layout->keys[i]))
		{
			pv_value	before = column_value(task, task->oldslot, layout->keys[i]);

			task->key_changed = !same_text(&before, &task->values[layout->keys[i]]);
		}
	if (task->key_changed)
		for (i = 0; i < layout->nkeys; i++)
			task->old_key[i] = column_value(task, task->oldslot, layout->keys[i]);
}

static void
run_task(RowTask *task, int needs, Oid owner, void (*fn) (void *))
{
	ErrorContextCallback callback;

	task->column = -1;
	callback.callback = column_error;
	callback.arg = task;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	slot_getsomeattrs(task->slot, task->layout->max_attnum);
	if (task->oldslot != NULL)
		slot_getsomeattrs(task->oldslot, task->layout->max_attnum);
	prov_canonical_run(needs, owner, fn, task);

	error_context_stack = callback.previous;
}

void
prov_row_values(ProvLayout *layout, Oid owner, TupleTableSlot *slot, pv_value *values)
{
	RowTask		task = {.layout = layout, .slot = slot, .values = values};

	run_task(&task, layout->needs, owner, task_values);
}

void
prov_key_values(ProvLayout *layout, Oid owner, TupleTableSlot *slot, pv_value *values)
{
	RowTask		task = {.layout = layout, .slot = slot, .values = values};

	run_task(&task, layout->key_needs, owner, task_key);
}

bool
prov_row_changes(ProvLayout *layout, Oid owner, TupleTableSlot *oldslot, TupleTableSlot *newslot,
				 pv_value *values, bool *key_changed, pv_value *old_key)
{
	RowTask		task = {.layout = layout, .oldslot = oldslot, .slot = newslot, .values = values,
	.old_key = old_key};

	run_task(&task, layout->needs, owner, task_changes);
	*key_changed = task.key_changed;
	return task.changed;
}

void
prov_pick_key(const ProvLayout *layout, const pv_value *values, pv_value *key)
{
	int			i;

	for (i = 0; i < layout->nkeys; i++)
		key[i] = values[layout->keys[i]];
}

void
prov_layout_row_id(const ProvLayout *layout, const pv_value *key, int n, uint8 out[PV_ROW_ID_LEN])
{
	int			i;

	for (i = 0; i < n; i++)
		if (key[i].data == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("key column \"%.*s\" of tagged table \"%s.%s\" is null",
							layout->key_names[i].len, layout->key_names[i].s,
							layout->schema, layout->table)));
	prov_check(pv_row_identity(prov_hasher(), layout->row_key, layout->table_id, key, n, out));
}

uint8 *
prov_make_image(const pv_value *values, int n, Size *len)
{
	size_t		size = pv_values_size(values, n);
	uint8	   *image;
	pv_buf		b;

	/* leave room for the other columns of the entry */
	if (size > MaxAllocSize - 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row is too large to be recorded"),
				 errdetail("Its image would have %zu bytes, more than the limit of 1 GB.", size),
				 errhint("Exclude a column from recording: untag the table, and tag it with the column in \"exclude\".")));
	image = palloc(size);
	pv_buf_init(&b, image, size);
	pv_put_values(&b, values, n);
	prov_check(pv_buf_status(&b));
	*len = b.len;
	return image;
}
