/*
 * heads.c: a row of the table of heads: does it lead to the newest entry of its
 * row chain, and if that says that the row exists, does it?
 *
 * The other way round than the rest: from the ledger to the table, which is how
 * a row is missed that was removed behind the ledger's back. The key is that of
 * the entry's image. It is looked for by the key's own operators, as the table's
 * owner and below row security, like a row that somebody asks for (row.c). A key
 * whose text the column's type does not give back (money under another locale)
 * is not looked for.
 *
 * What it cannot detect: a row chain whose head was removed as well, and a row
 * that was removed while entries of it waited for the sealer.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "ledger/key_args.h"
#include "ledger/row_image.h"
#include "types/types.h"
#include "verify/pieces.h"

typedef struct HeadRow
{
	Pieces	   *p;
	int64		leaf;
	int32		table_id;
	uint8		row_id[PV_ROW_ID_LEN];
	pv_hash		hash;

	ProvLeafRef ref;
	bool		have_leaf;
	bool		have_entry;
	ProvEntry	entry;			/* the newest that says what the row is */
	bool		ended;			/* by a truncate, or not recorded after a new tag */
} HeadRow;

typedef struct KeyTask
{
	HeadRow    *h;
	PieceTable *table;
	ProvKeyArgs args;
	bool		usable;			/* the key could be made */
	bool		found;
} KeyTask;

static void
read_entry(void *arg)
{
	HeadRow    *h = arg;
	Verify	   *v = h->p->v;
	HeapTuple	tup;
	int64		leaf = h->leaf;
	ProvLeafRef ref;

	h->have_leaf = prov_log_leaf(v->log, leaf, &h->ref);
	h->have_entry = h->have_leaf && prov_entry_fetch(h->ref.xid, h->ref.seq, v->snapshot, true, &h->entry);
	if (!h->have_entry)
		return;
	ref = h->ref;
	while (h->entry.op == PV_OP_ERASE && ref.prev_leaf >= 0 && ref.prev_leaf < leaf)
	{
		CHECK_FOR_INTERRUPTS();
		leaf = ref.prev_leaf;
		if (!prov_log_leaf(v->log, leaf, &ref) ||
			!prov_entry_fetch(ref.xid, ref.seq, v->snapshot, true, &h->entry))
			break;
	}
	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(h->table_id), v->snapshot);
	h->ended = HeapTupleIsValid(tup) &&
		(h->leaf <= prov_int64(tup, PROV_TABLE_HEAD, A_THEAD_TRUNCATED) ||
		 h->leaf <= prov_int64(tup, PROV_TABLE_HEAD, A_THEAD_TAGGED));
}

static bool
same_text(const pv_value *a, const pv_value *b)
{
	return a->data != NULL && b->data != NULL && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* The entry's key as values of the columns' types. */
static void
make_key(void *arg)
{
	KeyTask    *task = arg;
	Verify	   *v = task->h->p->v;
	ProvEntry  *entry = &task->h->entry;
	ShapeState *shape = verify_shape(v, entry->shape_id, entry->seq);
	Oid			owner;
	ProvLayout *layout = table_rows_layout(task->table->rows, &owner);
	pv_name    *names;
	pv_value   *values;
	int			n;
	int			i;

	if (!verify_image_values(v, entry, &n, &names, &values) || shape->shape->nkeys != layout->nkeys)
		return;
	prov_key_args_init(&task->args, task->table->state->relid, owner);
	for (i = 0; i < layout->nkeys; i++)
	{
		pv_value	value = values[shape->shape->key_columns[i]];
		AttrNumber	attnum = layout->attnums[layout->keys[i]];
		ProvArgument arg_value = {.type = TEXTOID};
		size_t		len;
		char	   *text;

		if (value.data == NULL)
			return;
		text = prov_from_utf8(pnstrdup((const char *) value.data, value.len), value.len, &len);
		if (text == NULL)
			return;
		arg_value.value = PointerGetDatum(cstring_to_text_with_len(text, (int) len));
		prov_key_args_add(&task->args, attnum, get_attname(task->args.relid, attnum, false), &arg_value);
	}
	prov_key_args_texts(&task->args);
	for (i = 0; i < layout->nkeys; i++)
		if (!same_text(&task->args.texts[i], &values[shape->shape->key_columns[i]]))
			return;
	task->usable = true;
}

static void
find_row(void *arg)
{
	KeyTask    *task = arg;
	Datum		place;
	Oid			save_user;
	int			save_sec;

	GetUserIdAndSecContext(&save_user, &save_sec);
	SetUserIdAndSecContext(task->args.owner, save_sec | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	task->found = prov_key_args_find(&task->args, "t.tableoid", 1, &place);
	SetUserIdAndSecContext(save_user, save_sec);
}

static void
check_exists(HeadRow *h, PieceTable *table)
{
	Verify	   *v = h->p->v;
	KeyTask		task = {.h = h, .table = table};

	if (!verify_try(v, make_key, &task) || !task.usable)
		return;					/* the shape and the image are the leaf's business */
	if (!verify_try(v, find_row, &task))
		verify_finding(v, "unreadable", SEV_ERROR, table->state->name, -1, -1, "The row cannot be looked up: %s", v->fault);
	else if (!task.found)
		verify_finding(v, "row_missing", SEV_ERROR, verify_object(v, table->state, &h->entry), h->entry.seq, h->leaf,
					   "The row's history says that it exists, the table has no such row.");
}

static void
head_differs(HeadRow *h, const char *name, const char *what)
{
	verify_finding(h->p->v, "head_differs", SEV_WARNING, name, h->have_leaf ? h->ref.seq : -1, h->leaf,
				   "The head of a row chain %s.", what);
}

void
piece_check_head(Pieces *p, HeapTuple tup)
{
	Verify	   *v = p->v;
	HeadRow		h = {.p = p};
	Datum		values[N_HEAD];
	bool		nulls[N_HEAD];
	PieceTable *table;

	heap_deform_tuple(tup, prov_tupdesc(PROV_HEAD), values, nulls);
	if (nulls[A_HEAD_ROW_ID - 1] || nulls[A_HEAD_LAST_LEAF - 1] || nulls[A_HEAD_TABLE - 1] || nulls[A_HEAD_HASH - 1])
	{
		h.leaf = -1;
		head_differs(&h, "head", "lacks a column");
		return;
	}
	memcpy(h.row_id, DatumGetPointer(values[A_HEAD_ROW_ID - 1]), PV_ROW_ID_LEN);
	h.leaf = DatumGetInt64(values[A_HEAD_LAST_LEAF - 1]);
	h.table_id = DatumGetInt32(values[A_HEAD_TABLE - 1]);
	h.hash = *DatumGetHashP(values[A_HEAD_HASH - 1]);

	table = pieces_table(p, h.table_id, false);
	if (table->state->table == NULL)
	{
		if (!table->missing)
			verify_finding(v, "registry_missing", SEV_ERROR, table->state->name, -1, -1,
						   "The log has entries of a table that the registry does not know.");
		table->missing = true;
	}
	if (!verify_try(v, read_entry, &h))
		verify_finding(v, "unreadable", SEV_ERROR, table->state->name, -1, h.leaf,
					   "The newest entry of a row cannot be read: %s", v->fault);
	else if (!h.have_leaf)
		head_differs(&h, table->state->name, "names a leaf that is not there");
	else if (!pv_hash_equal(&h.hash, &h.ref.hash))
		head_differs(&h, table->state->name, "has another hash than its leaf");
	else if (!h.have_entry)
		verify_finding(v, "entry_missing", SEV_ERROR, table->state->name, h.ref.seq, h.leaf,
					   "The log has a leaf for this entry, and the entry is not there.");
	else if (h.entry.table_id != h.table_id || memcmp(h.entry.row_id, h.row_id, PV_ROW_ID_LEN) != 0)
		head_differs(&h, table->state->name, "names an entry of another row");
	else if (verify_is_row_image(h.entry.op) && !h.entry.erased && h.entry.image != NULL && !h.ended &&
			 table->rows != NULL && p->rows && !verify_waits(v, h.table_id, h.row_id))
		check_exists(&h, table);
}
