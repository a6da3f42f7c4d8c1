/*
 * chain.c: row chains, and the rows of the tables against their ends.
 *
 * One pass over the log hands every entry to a sort by table, row and place;
 * read back, each row's entries stand together in the order of the log, the
 * unsealed ones last in the order in which the sealer would take them. So each
 * entry's predecessor is known without a look-up, and the last image of each
 * row meets the row itself, which comes out of a sort of the table by the same
 * identity (table_rows.c).
 *
 * A truncate ends the row chains of its table: the next entry of a row has no
 * predecessor, and no row is expected that has none after it. Where a table
 * was tagged again, its rows have new baselines; what was not, is not
 * expected, since nothing was recorded in between.
 *
 * Memory: two sorts of work_mem each; truncates, tags and erasures in a list.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "types/types.h"
#include "verify/table_events.h"

#define KEY_LEN (4 + PV_ROW_ID_LEN + 8)

struct ChainSort
{
	Verify	   *v;
	Tuplesortstate *sort;
	TableEvents events;

	bool		end;			/* of reading */
	ChainItem	item;
};

/* What is known of the table whose rows are being read. */
typedef struct TableGroup
{
	TableState *state;
	uint8		own_id[PV_ROW_ID_LEN];	/* of the table's own chain */
	bool		has_own_id;
	TableEvents events;			/* of this table, by position */
	int64		last_tag;		/* position; -1: none */
	int64		last_erase;

	TableRows  *rows;
	bool		complete;		/* rows are all rows of the table */
	bool		have_row;
	TableRow	row;
} TableGroup;

/* What is known of the row whose entries are being read. */
typedef struct Chain
{
	bool		any;
	ChainItem	last;
	bool		exists;			/* after `state` */
	ChainItem	state;			/* the last entry that says what the row is */
	int64		erased;			/* entries without image */
	ChainItem	first_erased;
	int64		last_erase;		/* position */
} Chain;

ChainSort *
chain_begin(Verify *v)
{
	ChainSort  *c = palloc0(sizeof(ChainSort));

	c->v = v;
	c->sort = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);
	return c;
}

void
chain_add(ChainSort *c, const ProvEntry *entry, const LeafItem *leaf, bool hash_good, int64 position)
{
	union
	{
		struct varlena v;
		uint8		bytes[VARHDRSZ + KEY_LEN + sizeof(ChainItem)];
	}			datum;
	uint8	   *key = (uint8 *) VARDATA(&datum.v);
	pv_buf		b;
	ResourceOwner owner = CurrentResourceOwner;
	ChainItem	item;

	memset(&item, 0, sizeof(item));
	item.table_id = entry->table_id;
	memcpy(item.row_id, entry->row_id, PV_ROW_ID_LEN);
	item.position = position;
	item.xid = U64FromFullTransactionId(entry->xid);
	item.seq = entry->seq;
	item.prev_leaf = leaf != NULL ? leaf->ref.prev_leaf : -1;
	item.shape_id = entry->shape_id;
	item.op = (int16) entry->op;
	item.hash_good = hash_good;
	item.has_image = entry->image != NULL && !entry->erased;
	if (leaf != NULL)
		item.hash = leaf->ref.hash;
	if (item.has_image && verify_is_row_image(entry->op))
	{
		pv_hash		digest;

		prov_check(pv_sha256(prov_hasher(), entry->image, entry->image_len, &digest));
		memcpy(item.digest, digest.b, sizeof(item.digest));
	}
	table_events_add(c->v, &c->events, &item);

	SET_VARSIZE(&datum.v, sizeof(datum.bytes));
	pv_buf_init(&b, key, KEY_LEN);
	pv_put_u32(&b, (uint32) entry->table_id ^ 0x80000000);	/* in the order of signed numbers */
	pv_put_bytes(&b, entry->row_id, PV_ROW_ID_LEN);
	pv_put_u64(&b, (uint64) position);
	memcpy(key + KEY_LEN, &item, sizeof(item));

	CurrentResourceOwner = c->v->owner;	/* for the files of the sort */
	tuplesort_putdatum(c->sort, PointerGetDatum(&datum), false);
	CurrentResourceOwner = owner;
}

typedef struct UnsealedTask
{
	ChainSort  *c;
	bool		all;
	int32		table_id;
} UnsealedTask;

static void
add_unsealed(void *arg)
{
	UnsealedTask *task = arg;
	Verify	   *v = task->c->v;
	ProvUnsealedScan *scan = prov_unsealed_open(v->snapshot);
	ProvEntry	entry;
	int64		n = 0;

	while (prov_unsealed_next(scan, &entry))
	{
		MemoryContext old;
		ProvEntry	full;
		pv_hash		given;

		n++;
		if (!task->all && entry.table_id != task->table_id)
			continue;
		old = MemoryContextSwitchTo(v->tmp);
		if (prov_entry_fetch(entry.xid, entry.seq, v->snapshot, true, &full))
		{
			if (verify_image(v, &full, -1, NULL, true, &given) == IMAGE_OTHER)
				verify_finding(v, "image_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, full.seq), full.seq, -1,
							   "Image, seed, shape or context of the entry, which is not sealed yet, do not give its commitment.");
			chain_add(task->c, &full, NULL, false, UNSEALED_POSITION + n);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(v->tmp);
		verify_progress(v, n);
	}
	prov_unsealed_close(scan);
}

void
chain_add_unsealed(ChainSort *c, bool all, int32 table_id)
{
	UnsealedTask task = {c, all, table_id};

	verify_progress_begin(c->v, "entries that wait for the sealer", 0);
	if (!verify_try(c->v, add_unsealed, &task))
		verify_finding(c->v, "unreadable", SEV_ERROR, "entry", -1, -1,
					   "The entries not yet in the log cannot be read: %s", c->v->fault);
}

/* ---- one row ---- */

static bool
next_item(ChainSort *c)
{
	Datum		d;
	bool		isnull;

	if (!prov_tuplesort_getdatum(c->sort, true, &d, &isnull))
	{
		c->end = true;
		return false;
	}
	memcpy(&c->item, (uint8 *) VARDATA(DatumGetPointer(d)) + KEY_LEN, sizeof(ChainItem));
	pfree(DatumGetPointer(d));
	return true;
}

static int64
leaf_of(const ChainItem *item)
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

static void
add_to_chain(Verify *v, TableGroup *g, Chain *chain, const ChainItem *item)
{
	int64		expected = -1;

	if (chain->any && leaf_of(&chain->last) >= 0 &&
		(is_own_chain(g, item) || !table_events_truncated(&g->events, chain->last.position, item->position)))
		expected = chain->last.position;
	if (leaf_of(item) >= 0 && item->prev_leaf != expected)
		verify_finding(v, "chain_differs", SEV_ERROR, object_of(v, g, item), item->seq, item->position,
					   "The entry names leaf " INT64_FORMAT " as the one before; the row's previous entry is leaf " INT64_FORMAT
					   " (-1: none).", item->prev_leaf, expected);

	if (!item->has_image && chain->erased++ == 0)
		chain->first_erased = *item;
	if (item->op == PV_OP_ERASE)
		chain->last_erase = item->position;
	else if (verify_is_row_image(item->op) || item->op == PV_OP_DELETE)
	{
		chain->state = *item;
		chain->exists = item->op != PV_OP_DELETE;
	}
	chain->last = *item;
	chain->any = true;
}

typedef struct HeadTask
{
	Verify	   *v;
	bool		own;
	const ChainItem *last;
	bool		found;
	int64		leaf;
	pv_hash		hash;
} HeadTask;

static void
read_head(void *arg)
{
	HeadTask   *task = arg;
	ProvRel		rel = task->own ? PROV_TABLE_HEAD : PROV_HEAD;
	HeapTuple	tup;
	bool		null_leaf,
				null_hash;
	Datum		leaf;
	Datum		hash;

	tup = prov_fetch1(rel, task->own ? Int32GetDatum(task->last->table_id) : PointerGetDatum(task->last->row_id),
					  task->v->snapshot);
	task->found = false;
	if (!HeapTupleIsValid(tup))
		return;
	leaf = heap_getattr(tup, task->own ? A_THEAD_LAST_LEAF : A_HEAD_LAST_LEAF, prov_tupdesc(rel), &null_leaf);
	hash = heap_getattr(tup, task->own ? A_THEAD_HASH : A_HEAD_HASH, prov_tupdesc(rel), &null_hash);
	if (null_leaf || null_hash)
		return;
	task->found = true;
	task->leaf = DatumGetInt64(leaf);
	task->hash = *DatumGetHashP(hash);
}

/* The table of heads is derived from the chains: what it says is compared. */
static void
check_head(Verify *v, TableGroup *g, const ChainItem *last)
{
	HeadTask	task = {.v = v, .own = is_own_chain(g, last), .last = last};

	if (!verify_try(v, read_head, &task))
		verify_finding(v, "unreadable", SEV_ERROR, object_of(v, g, last), -1, -1, "The head of the chain cannot be read: %s", v->fault);
	else if (!task.found)
		verify_finding(v, "head_differs", SEV_WARNING, object_of(v, g, last), last->seq, last->position,
					   "The table of heads does not know this row chain.");
	else if (task.leaf != last->position || (last->hash_good && !pv_hash_equal(&task.hash, &last->hash)))
		verify_finding(v, "head_differs", SEV_WARNING, object_of(v, g, last), last->seq, last->position,
					   "The table of heads has leaf " INT64_FORMAT " as the last of this row chain, or another hash.", task.leaf);
}

static void
report_unrecorded(Verify *v, TableGroup *g, bool since_tag)
{
	verify_unrecorded(v, g->state, g->rows, &g->row, since_tag);
}

static void
next_row(TableGroup *g)
{
	g->have_row = table_rows_next(g->rows, &g->row);
}

static void
compare_row(Verify *v, TableGroup *g, const ChainItem *state)
{
	ShapeState *shape = verify_shape(v, state->shape_id, state->seq);
	ProvEntry	entry;
	char	   *columns;

	if (!state->has_image)
		return;
	if (shape->usable && pv_hash_equal(&shape->shape->digest, &g->state->shape_digest) &&
		memcmp(state->digest, g->row.digest, sizeof(state->digest)) == 0)
		return;
	if (!get_entry(v, state, &entry))
		return;
	columns = table_row_difference(g->rows, &g->row, &entry);
	if (columns != NULL)
		verify_finding(v, "row_differs", SEV_ERROR, verify_object(v, g->state, &entry), state->seq, leaf_of(state),
					   "The row differs from its last entry in: %s.", columns);
}

/* All entries of a row are read. */
static void
end_chain(Verify *v, TableGroup *g, Chain *chain, const ChainItem *last_sealed)
{
	const uint8 *id = chain->last.row_id;
	bool		counts;			/* the last that was recorded of the row still does */
	bool		exists;
	int			cmp = 1;

	if (last_sealed != NULL)
		check_head(v, g, last_sealed);
	if (chain->erased > 0 && Max(chain->last_erase, g->last_erase) < chain->first_erased.position)
		verify_finding(v, "image_missing", SEV_ERROR, object_of(v, g, &chain->last), chain->first_erased.seq,
					   leaf_of(&chain->first_erased),
					   "Image or seed of " INT64_FORMAT " entries of the row are gone, and no entry says that they were erased.",
					   chain->erased);
	if (g->rows == NULL || is_own_chain(g, &chain->last))
		return;
	counts = chain->state.op != 0 && chain->state.position >= g->last_tag &&
		!table_events_truncated(&g->events, chain->state.position, PG_INT64_MAX);
	exists = chain->exists && counts;
	if (counts && !verify_is_final(v, g->state, chain->state.seq))
		verify_not_final(v, object_of(v, g, &chain->state), chain->state.seq, leaf_of(&chain->state));

	while (g->have_row && (cmp = memcmp(g->row.row_id, id, PV_ROW_ID_LEN)) < 0)
	{
		report_unrecorded(v, g, false);
		next_row(g);
	}
	if (g->have_row && cmp == 0)
	{
		if (exists)
			compare_row(v, g, &chain->state);
		else
			report_unrecorded(v, g, chain->last.position > g->last_tag);
		next_row(g);
	}
	else if (exists && g->complete)
		verify_finding(v, "row_missing", SEV_ERROR, object_of(v, g, &chain->state), chain->state.seq, leaf_of(&chain->state),
					   "The row's history says that it exists, the table has no such row.");
}

/* ---- one table ---- */

static int64
last_position(const TableEvents *of, int op)
{
	const TableEvent *event = table_events_last(of, op);

	return event != NULL ? event->position : -1;
}

static void
begin_group(ChainSort *c, TableGroup *g, int32 table_id, bool has_entries)
{
	Verify	   *v = c->v;

	memset(g, 0, sizeof(*g));
	g->state = table_state(v, table_id);
	if (v->identity != NULL)
		g->has_own_id = pv_row_identity(prov_hasher(), v->identity->row_key, (uint32) table_id, NULL, 0, g->own_id) == PV_OK;

	g->events = table_events_of(&c->events, table_id);
	g->last_tag = last_position(&g->events, PV_OP_TAG);
	g->last_erase = last_position(&g->events, PV_OP_ERASE);
	if (g->state->table == NULL)
	{
		verify_finding(v, "registry_missing", SEV_ERROR, psprintf("table %d", table_id), -1, -1,
					   "The ledger has entries of a table that its registry does not know.");
		return;
	}
	verify_registry_row(v, g->state, &g->events);
	if (!g->state->tagged)
		return;
	if (!has_entries)
		verify_finding(v, "entry_missing", SEV_ERROR, g->state->name, -1, -1,
					   "The table is tagged, and there is not one entry of it.");
	verify_table_definition(v, g->state);
	if (OidIsValid(g->state->relid))
		g->rows = table_rows_begin(v, g->state, &g->complete);
	if (g->rows != NULL)
		next_row(g);
}

static void
end_group(Verify *v, TableGroup *g)
{
	if (g->rows == NULL)
		return;
	while (g->have_row)
	{
		report_unrecorded(v, g, false);
		next_row(g);
		MemoryContextReset(v->tmp);
	}
	table_rows_end(g->rows);
}

/* Reads the entries of one table; c->item is the first, and afterwards the next table's. */
static void
check_group(ChainSort *c, int32 table_id, bool has_entries)
{
	Verify	   *v = c->v;
	MemoryContext old;
	TableGroup	g;
	int64		n = 0;

	begin_group(c, &g, table_id, has_entries);
	verify_progress_begin_of(v, "row chains", g.state->name, 0);
	old = MemoryContextSwitchTo(v->tmp);
	while (has_entries && !c->end && c->item.table_id == table_id)
	{
		Chain		chain = {.last_erase = -1};
		ChainItem	sealed;
		bool		any_sealed = false;

		do
		{
			add_to_chain(v, &g, &chain, &c->item);
			if (leaf_of(&c->item) >= 0)
			{
				sealed = c->item;
				any_sealed = true;
			}
			if (++n % 256 == 0)
				verify_progress(v, n);
		} while (next_item(c) && c->item.table_id == table_id &&
				 memcmp(c->item.row_id, chain.last.row_id, PV_ROW_ID_LEN) == 0);
		end_chain(v, &g, &chain, any_sealed ? &sealed : NULL);
		MemoryContextReset(v->tmp);
	}
	end_group(v, &g);
	MemoryContextSwitchTo(old);
}

void
chain_check(ChainSort *c, bool all, int32 only_table)
{
	Verify	   *v = c->v;
	int			nregistry = 1;
	int			done = 0;
	int32		one[1] = {only_table};
	int32	   *registry = all ? verify_registry(v, &nregistry) : one;

	table_events_sort(&c->events);
	tuplesort_performsort(c->sort);

	(void) next_item(c);
	while (!c->end)
	{
		int32		table_id = c->item.table_id;

		for (; done < nregistry && registry[done] < table_id; done++)
			check_group(c, registry[done], false);
		if (done < nregistry && registry[done] == table_id)
			done++;
		check_group(c, table_id, true);
	}
	for (; done < nregistry; done++)
		check_group(c, registry[done], false);
	tuplesort_end(c->sort);
}
