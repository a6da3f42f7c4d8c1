/*
 * chain.c: row chains, and the rows of the tables against their ends.
 *
 * One pass over the log hands every entry to a store (chain_store.c), one over
 * each table every row. Read back part by part, each row's entries stand
 * together in the order of the log, the unsealed ones after them in the order
 * in which the sealer would take them, the row itself last. So each entry's
 * predecessor is known without a look-up, and the last image of each row meets
 * the row; the table of heads is read alongside (chain_heads.c).
 *
 * A truncate ends the row chains of its table: the next entry of a row has no
 * predecessor, and no row is expected that has none after it. Where a table
 * was tagged again, its rows have new baselines; what was not, is not
 * expected, since nothing was recorded in between.
 *
 * An image may be gone if a later entry says so (operation 11): one of its row
 * chain, or one of its table's own.
 *
 * Memory: that of the store; truncates, tags and erasures of tables in a list;
 * a little for each table.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "types/types.h"
#include "verify/chain_row.h"
#include "verify/parallel.h"

struct ChainSort
{
	Verify	   *v;
	ChainStore *store;
	TableEvents events;

	ChainItem  *held;			/* of a participant: those of its piece */
	int			nheld;

	bool		reading;		/* nothing more is put */
	int			ngroups;		/* by table id */
	int			cap_groups;
	TableGroup **groups;
	TableGroup *last;			/* found last */
};

ChainSort *
chain_begin(Verify *v)
{
	ChainSort  *c = MemoryContextAllocZero(v->cxt, sizeof(ChainSort));

	c->v = v;
	c->store = chain_store_create(v);
	return c;
}

static void
put_entry(ChainSort *c, const ChainItem *item)
{
	chain_store_put(c->store, item);
	if (!table_events_is(c->v, item))
		return;
	table_events_add(c->v, &c->events, item);
	chain_store_put_event(c->store, item);
}

void
chain_add(ChainSort *c, const ProvEntry *entry, const LeafItem *leaf, bool hash_good, int64 position)
{
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
		prov_check(pv_fingerprint(&c->v->key, prov_hasher(), entry->image, entry->image_len, item.image));
	if (c->held != NULL)
		c->held[c->nheld++] = item;
	else
		put_entry(c, &item);
}

void
chain_hold(ChainSort *c, int max)
{
	c->held = MemoryContextAlloc(c->v->cxt, sizeof(ChainItem) * max);
}

void
chain_release(ChainSort *c, bool counts)
{
	int			i;

	for (i = 0; counts && i < c->nheld; i++)
		put_entry(c, &c->held[i]);
	c->nheld = 0;
}

void
chain_export(ChainSort *c)
{
	chain_store_export(c->store);
}

void
chain_forget(Verify *v)
{
	VerifyShared *shared = v->parallel->shared;
	int			i;

	for (i = 1; i < shared->nlaunches; i++)
		shared->participants[i] = 0;
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

/* ---- one table ---- */

static int64
last_position(const TableEvents *of, int op)
{
	const TableEvent *event = table_events_last(of, op);

	return event != NULL ? event->position : -1;
}

void
chain_add_row(ChainSort *c, const TableRow *row)
{
	ChainItem	item;

	memset(&item, 0, sizeof(item));
	memcpy(item.row_id, row->row_id, PV_ROW_ID_LEN);
	memcpy(item.image, row->image, sizeof(item.image));
	item.table_id = row->table_id;
	item.position = ROW_POSITION;
	item.xid = row->tableoid;
	item.seq = (int64) ItemPointerGetBlockNumberNoCheck(&row->tid) << 16 | ItemPointerGetOffsetNumberNoCheck(&row->tid);
	chain_store_put(c->store, &item);
}

/* A group with what is known from the entries and the registry. */
static TableGroup *
new_group(ChainSort *c, int32 table_id)
{
	Verify	   *v = c->v;
	TableGroup *g = MemoryContextAllocZero(v->cxt, sizeof(TableGroup));
	int			i;

	g->state = table_state(v, table_id);
	g->has_own_id = verify_own_id(v, table_id, g->own_id);
	g->events = table_events_of(&c->events, table_id);
	g->last_tag = last_position(&g->events, PV_OP_TAG);
	g->last_erase = last_position(&g->events, PV_OP_ERASE);

	if (c->ngroups == c->cap_groups)
	{
		c->cap_groups = c->cap_groups == 0 ? 64 : c->cap_groups * 2;
		c->groups = c->groups == NULL ? MemoryContextAllocHuge(v->cxt, sizeof(TableGroup *) * c->cap_groups) :
			repalloc_huge(c->groups, sizeof(TableGroup *) * c->cap_groups);
	}
	for (i = c->ngroups++; i > 0 && c->groups[i - 1]->state->table_id > table_id; i--)
		c->groups[i] = c->groups[i - 1];
	c->groups[i] = g;
	return g;
}

/* Looks at a table as such, and puts its rows to the entries. */
static TableGroup *
add_group(ChainSort *c, int32 table_id)
{
	Verify	   *v = c->v;
	TableGroup *g = new_group(c, table_id);

	if (g->state->table == NULL || v->quiet)
	{
		verify_finding(v, "registry_missing", SEV_ERROR, psprintf("table %d", table_id), -1, -1,
					   "The ledger has entries of a table that its registry does not know.");
		return g;
	}
	verify_registry_row(v, g->state, &g->events);
	if (!g->state->tagged)
		return g;
	verify_table_definition(v, g->state);
	/* read already: a table of a registry that cannot be read as a whole */
	if (OidIsValid(g->state->relid) && !c->reading)
		g->rows = table_rows_begin(v, g->state, c, &g->complete);
	return g;
}

/* The group of a table; one that the registry does not know is added when first met. */
static TableGroup *
find_group(ChainSort *c, int32 table_id)
{
	int			low = 0;
	int			high = c->ngroups;

	if (c->last != NULL && c->last->state->table_id == table_id)
		return c->last;
	while (low < high)
	{
		int			mid = low + (high - low) / 2;

		if (c->groups[mid]->state->table_id < table_id)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < c->ngroups && c->groups[low]->state->table_id == table_id)
		c->last = c->groups[low];
	else
		c->last = add_group(c, table_id);
	return c->last;
}

/* Reads the rows of a part of the store. */
static void
check_part(ChainSort *c, int part, int64 *done)
{
	Verify	   *v = c->v;
	MemoryContext old = MemoryContextSwitchTo(v->tmp);
	ChainReader *reader = chain_reader_open(c->store, part);
	ChainHeads *heads = chain_heads_open(v);
	ChainItem	item;
	bool		more = chain_reader_next(reader, &item);

	while (more)
	{
		TableGroup *g = find_group(c, item.table_id);
		Chain		chain = {0};
		ChainItem	sealed;
		TableRow	row;
		uint8		row_id[PV_ROW_ID_LEN];
		bool		any_sealed = false;
		bool		any_row = false;

		memcpy(row_id, item.row_id, PV_ROW_ID_LEN);
		do
		{
			if (item.position != ROW_POSITION)
			{
				chain_row_entry(v, g, &chain, &item);
				if (chain_leaf_of(&item) >= 0)
				{
					sealed = item;
					any_sealed = true;
				}
			}
			else if (any_row)
			{
				TableRow	other = chain_row_of(&item);

				verify_unrecorded(v, g->state, g->rows, &other, false);
			}
			else
			{
				row = chain_row_of(&item);
				any_row = true;
			}
			if (++*done % 256 == 0)
				verify_progress(v, *done);
			more = chain_reader_next(reader, &item);
		} while (more && item.table_id == g->state->table_id && memcmp(item.row_id, row_id, PV_ROW_ID_LEN) == 0);
		chain_row_end(v, g, heads, &chain, any_sealed ? &sealed : NULL, any_row ? &row : NULL);
		g->any = g->any || chain.any;
		MemoryContextReset(v->tmp);
		if (v->quiet && v->findings > 0)
			break;				/* the leader will say which */
	}
	chain_heads_close(heads);
	chain_reader_close(reader);
	MemoryContextSwitchTo(old);
}

/* Those that participants met, to the leader's; or all, for a participant. */
static void
load_events(ChainSort *c, ChainReader *reader)
{
	ChainItem	item;

	while (chain_reader_next(reader, &item))
		table_events_add(c->v, &c->events, &item);
	chain_reader_close(reader);
	table_events_sort(&c->events);
}

/* ---- by several processes ---- */

/* What the leader has found out of a table. */
typedef struct GroupInfo
{
	int32		table_id;
	bool		tagged;
	bool		rows;
	bool		complete;
	bool		any;			/* set by whoever meets an entry */
} GroupInfo;

typedef struct PartTask
{
	ChainSort  *c;
	int			part;
	int64		done;
} PartTask;

static void
try_part(void *arg)
{
	PartTask   *task = arg;

	check_part(task->c, task->part, &task->done);
}

void
verify_work_chains(Participant *p)
{
	Verify	   *v = p->v;
	GroupInfo  *info = p->extra;
	ChainSort  *c = chain_begin(v);
	PartTask	task = {.c = c};
	bool		usable = true;
	uint64		number;
	int			i;

	chain_export(c);
	load_events(c, chain_reader_open(c->store, CHAIN_EVENTS));
	for (i = 0; i < p->work->ngroups; i++)
	{
		TableGroup *g = new_group(c, info[i].table_id);

		g->state->tagged = info[i].tagged;
		g->complete = info[i].complete;
		if (info[i].rows)
			g->rows = table_rows_open(v, g->state);
		usable = usable && (g->rows != NULL) == info[i].rows;
	}
	while (verify_next_piece(p, &number))
	{
		v->findings = 0;
		task.part = (int) number;
		p->good[number] = usable && verify_try(v, try_part, &task) && v->findings == 0;
		MemoryContextReset(v->tmp);
	}
	for (i = 0; i < p->work->ngroups; i++)
		if (c->groups[i]->any)
			info[i].any = true;
}

/* Which parts are good: those that participants found so. */
static void
check_parallel(ChainSort *c, bool *good)
{
	VerifyWork	work = {.kind = WORK_CHAINS, .npieces = CHAIN_PARTS, .ngroups = c->ngroups};
	Size		length = sizeof(GroupInfo) * (c->ngroups + 1);
	GroupInfo  *info = MemoryContextAllocZero(c->v->cxt, length);
	int			i;

	for (i = 0; i < c->ngroups; i++)
	{
		TableGroup *g = c->groups[i];

		info[i].table_id = g->state->table_id;
		info[i].tagged = g->state->tagged;
		info[i].rows = g->rows != NULL;
		info[i].complete = g->complete;
	}
	if (!verify_launch(c->v, &work, info, length, good))
		memset(good, 0, CHAIN_PARTS);
	for (i = 0; i < c->ngroups; i++)
		c->groups[i]->any = c->groups[i]->any || info[i].any;
	pfree(info);
}

void
chain_check(ChainSort *c, bool all, int32 only_table)
{
	Verify	   *v = c->v;
	int			nregistry = 1;
	int32		one[1] = {only_table};
	int32	   *registry = all ? verify_registry(v, &nregistry) : one;
	bool		good[CHAIN_PARTS] = {false};
	int64		done = 0;
	int			i;

	load_events(c, chain_reader_open_others(c->store, CHAIN_EVENTS));
	for (i = 0; i < nregistry; i++)
		(void) find_group(c, registry[i]);
	c->reading = true;
	chain_store_export(c->store);
	verify_progress_begin(v, "row chains", 0);
	if (v->parallel != NULL)
		check_parallel(c, good);
	for (i = 0; i < CHAIN_PARTS; i++)
		if (!good[i])
			check_part(c, i, &done);
	for (i = 0; i < c->ngroups; i++)
	{
		TableGroup *g = c->groups[i];

		if (g->state->tagged && !g->any)
			verify_finding(v, "entry_missing", SEV_ERROR, g->state->name, -1, -1,
						   "The table is tagged, and there is not one entry of it.");
		if (g->rows != NULL)
			table_rows_end(g->rows);
	}
	chain_store_destroy(c->store);
}
