/*
 * chain_row.c: one row chain, entry by entry, and the row against its end.
 *
 * Nothing is looked up for an entry that is right: its predecessor is the one
 * that came before it here, the head comes from a scan in the same order, and an
 * image is read again only where its fingerprint is not the row's, to name the columns.
 */
#include "postgres.h"

#include "verify/chain_row.h"

int64
chain_leaf_of(const ChainItem *item)
{
	return item->position >= UNSEALED_POSITION ? -1 : item->position;
}

typedef struct EntryTask
{
	Verify	   *v;
	const ChainItem *item;
	bool		found;
	ProvEntry	entry;
} EntryTask;

static void
fetch_entry(void *arg)
{
	EntryTask  *task = arg;

	task->found = prov_entry_fetch(FullTransactionIdFromU64(task->item->xid), task->item->seq,
								   task->v->snapshot, true, &task->entry);
}

static bool
get_entry(Verify *v, const ChainItem *item, ProvEntry *out)
{
	EntryTask	task = {.v = v, .item = item};

	if (!verify_try(v, fetch_entry, &task) || !task.found)
		return false;
	*out = task.entry;
	return true;
}

/* The row that an entry is of, for people. */
static char *
object_of(Verify *v, TableGroup *g, const ChainItem *item)
{
	ProvEntry	entry;

	return verify_object(v, g->state, get_entry(v, item, &entry) ? &entry : NULL);
}

static bool
is_own_chain(const TableGroup *g, const ChainItem *item)
{
	return g->has_own_id && memcmp(item->row_id, g->own_id, PV_ROW_ID_LEN) == 0;
}

void
chain_row_entry(Verify *v, TableGroup *g, Chain *chain, const ChainItem *item)
{
	int64		expected = -1;

	if (chain->any && chain_leaf_of(&chain->last) >= 0 &&
		(is_own_chain(g, item) || !table_events_truncated(&g->events, chain->last.position, item->position)))
		expected = chain->last.position;
	if (chain_leaf_of(item) >= 0 && item->prev_leaf != expected)
		verify_finding(v, "chain_differs", SEV_ERROR, object_of(v, g, item), item->seq, item->position,
					   "The entry names leaf " INT64_FORMAT " as the one before; the row's previous entry is leaf " INT64_FORMAT
					   " (-1: none).", item->prev_leaf, expected);

	if (item->op == PV_OP_ERASE)
		chain->missing = 0;		/* it speaks of those before it */
	if (!item->has_image && item->position >= g->last_erase && chain->missing++ == 0)
		chain->first_missing = *item;
	if (verify_is_row_image(item->op) || item->op == PV_OP_DELETE)
	{
		chain->state = *item;
		chain->exists = item->op != PV_OP_DELETE;
	}
	chain->last = *item;
	chain->any = true;
}

/* The table of heads is derived from the chains: what it says is compared. */
static void
check_head(Verify *v, TableGroup *g, ChainHeads *heads, const ChainItem *last)
{
	ChainHead	own;
	const ChainHead *head;
	bool		ok;

	if (is_own_chain(g, last))
		head = chain_own_head(v, last->table_id, &own, &ok) ? &own : NULL;
	else
		head = chain_heads_find(heads, last->row_id, &ok);
	if (!ok)
		verify_finding(v, "unreadable", SEV_ERROR, object_of(v, g, last), -1, -1, "The head of the chain cannot be read: %s", v->fault);
	else if (head == NULL)
		verify_finding(v, "head_differs", SEV_WARNING, object_of(v, g, last), last->seq, last->position,
					   "The table of heads does not know this row chain.");
	else if (head->leaf != last->position || (last->hash_good && !pv_hash_equal(&head->hash, &last->hash)))
		verify_finding(v, "head_differs", SEV_WARNING, object_of(v, g, last), last->seq, last->position,
					   "The table of heads has leaf " INT64_FORMAT " as the last of this row chain, or another hash.", head->leaf);
}

TableRow
chain_row_of(const ChainItem *item)
{
	TableRow	row = {.tableoid = (Oid) item->xid};

	memcpy(row.row_id, item->row_id, PV_ROW_ID_LEN);
	memcpy(row.image, item->image, sizeof(row.image));
	ItemPointerSet(&row.tid, (BlockNumber) (item->seq >> 16), (OffsetNumber) (item->seq & 0xFFFF));
	return row;
}

static void
compare_row(Verify *v, TableGroup *g, const ChainItem *state, const TableRow *row)
{
	ShapeState *shape = verify_shape(v, state->shape_id, state->seq);
	ProvEntry	entry;
	char	   *columns;

	if (!state->has_image)
		return;
	if (shape->usable && pv_hash_equal(&shape->shape->digest, &g->state->shape_digest) &&
		memcmp(state->image, row->image, sizeof(state->image)) == 0)
		return;
	if (v->quiet && !table_rows_plain(g->rows))
	{
		v->findings++;			/* the leader is to compare them */
		return;
	}
	if (!get_entry(v, state, &entry))
		return;
	columns = table_row_difference(g->rows, row, &entry);
	if (columns != NULL)
		verify_finding(v, "row_differs", SEV_ERROR, verify_object(v, g->state, &entry), state->seq, chain_leaf_of(state),
					   "The row differs from its last entry in: %s.", columns);
}

void
chain_row_end(Verify *v, TableGroup *g, ChainHeads *heads, Chain *chain, const ChainItem *last_sealed, const TableRow *row)
{
	bool		counts;			/* the last that was recorded of the row still does */
	bool		exists;

	if (!chain->any)
	{
		if (row != NULL)
			verify_unrecorded(v, g->state, g->rows, row, false);
		return;
	}
	if (last_sealed != NULL)
		check_head(v, g, heads, last_sealed);
	if (chain->missing > 0)
		verify_image_missing(v, object_of(v, g, chain->state.op != 0 ? &chain->state : &chain->last),
							 chain->first_missing.seq, chain_leaf_of(&chain->first_missing), chain->missing);
	if (g->rows == NULL)
		return;
	if (is_own_chain(g, &chain->last))
	{
		if (row != NULL)
			verify_unrecorded(v, g->state, g->rows, row, false);
		return;
	}
	counts = chain->state.op != 0 && chain->state.position >= g->last_tag &&
		!table_events_truncated(&g->events, chain->state.position, PG_INT64_MAX);
	exists = chain->exists && counts;
	if (counts && !verify_is_final(v, g->state, chain->state.seq))
		verify_not_final(v, object_of(v, g, &chain->state), chain->state.seq, chain_leaf_of(&chain->state));

	if (row != NULL)
	{
		if (exists)
			compare_row(v, g, &chain->state, row);
		else
			verify_unrecorded(v, g->state, g->rows, row, chain->last.position > g->last_tag);
	}
	else if (exists && g->complete)
		verify_finding(v, "row_missing", SEV_ERROR, object_of(v, g, &chain->state), chain->state.seq, chain_leaf_of(&chain->state),
					   "The row's history says that it exists, the table has no such row.");
}
