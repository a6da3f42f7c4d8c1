/*
 * heads.c: a row of the table of heads: does each head in it lead to the newest
 * entry of its row chain, and if that says that the row exists, does it?
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

#include "ledger/head_block.h"
#include "ledger/key_args.h"
#include "ledger/row_image.h"
#include "types/types.h"
#include "verify/pieces.h"

typedef struct HeadRow
{
	Pieces	   *p;
	int64		leaf;
	const uint8 *row_id;
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
	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(h->entry.table_id), v->snapshot);
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

static void
check_head(Pieces *p, const uint8 *at)
{
	Verify	   *v = p->v;
	HeadRow		h = {.p = p, .leaf = -1, .row_id = at};
	ProvHead	head;
	PieceTable *table;
	const char *name;

	if (!prov_head_decode(at, &head))
	{
		head_differs(&h, "head", "names no leaf");
		return;
	}
	h.leaf = head.last_leaf;
	h.hash = head.hash;
	if (!verify_try(v, read_entry, &h))
	{
		verify_finding(v, "unreadable", SEV_ERROR, "head", -1, h.leaf,
					   "The newest entry of a row cannot be read: %s", v->fault);
		return;
	}
	if (!h.have_leaf)
	{
		head_differs(&h, "head", "names a leaf that is not there");
		return;
	}
	if (!pv_hash_equal(&h.hash, &h.ref.hash))
	{
		head_differs(&h, "head", "has another hash than its leaf");
		return;
	}
	if (!h.have_entry)
	{
		verify_finding(v, "entry_missing", SEV_ERROR, "head", h.ref.seq, h.leaf,
					   "The log has a leaf for this entry, and the entry is not there.");
		return;
	}
	table = pieces_table(p, h.entry.table_id, false);
	name = table->state->name;
	if (table->state->table == NULL)
	{
		if (!table->missing)
			verify_finding(v, "registry_missing", SEV_ERROR, name, -1, -1,
						   "The log has entries of a table that the registry does not know.");
		table->missing = true;
	}
	if (memcmp(h.entry.row_id, h.row_id, PV_ROW_ID_LEN) != 0)
		head_differs(&h, name, "names an entry of another row");
	else if (verify_is_row_image(h.entry.op) && !h.entry.erased && h.entry.image != NULL && !h.ended &&
			 table->rows != NULL && p->rows && !verify_waits(v, h.entry.table_id, h.row_id))
		check_exists(&h, table);
}

/*
 * Is each head where the sealer looks for it: in the block that its row
 * identity belongs to, and once?
 */
static void
check_places(Pieces *p, const uint8 *from, const uint8 *heads, int n)
{
	uint8		next[PV_ROW_ID_LEN];
	bool		next_good;
	bool		any_next = prov_head_next(from, p->v->snapshot, next, &next_good);
	bool		good = prov_head_block_begins(from, heads, n);
	uint8	   *sorted = prov_heads_sorted(heads, n);
	int			i;

	for (i = 0; i < n && good; i++)
		good = memcmp(prov_head_at(sorted, i), i == 0 ? from : prov_head_at(sorted, i - 1), PV_ROW_ID_LEN) >= (i == 0 ? 0 : 1) &&
			(!any_next || memcmp(prov_head_at(sorted, i), next, PV_ROW_ID_LEN) < 0);
	pfree(sorted);
	if (!good)
		verify_finding(p->v, "head_differs", SEV_WARNING, "head", -1, -1,
					   "Heads in a row of the table of heads are not where their row identities belong.");
}

void
piece_check_heads(Pieces *p, HeapTuple tup)
{
	TupleDesc	desc = prov_tupdesc(PROV_HEAD);
	bool		isnull;
	bool		no_from;
	Datum		value = heap_getattr(tup, A_HEAD_HEADS, desc, &isnull);
	Datum		from = heap_getattr(tup, A_HEAD_FROM, desc, &no_from);
	const uint8 *heads = NULL;
	int			n = prov_head_block(value, isnull, &heads);
	int			i;

	if (n < 0 || no_from)
		verify_finding(p->v, "head_differs", SEV_WARNING, "head", -1, -1, "A row of the table of heads is malformed.");
	else
		check_places(p, (const uint8 *) DatumGetPointer(from), heads, n);
	for (i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		check_head(p, prov_head_at(heads, i));
	}
}
