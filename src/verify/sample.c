/*
 * sample.c: verification under a time budget.
 *
 * Two kinds of pieces are drawn at random, in turns and none of them twice,
 * until the time is used or all are done: tiles of 256 leaves, each with its
 * entries, and with the path that binds it to the root of the newest
 * checkpoint; and blocks of tagged tables, each row with its chain from the
 * table of heads on. Names, triggers and shapes of all tagged tables are
 * looked at first, whatever the budget.
 *
 * A NOTICE says what share was covered. What only the whole log shows is not
 * looked for: entries that are in no leaf, predecessors used twice, rows that
 * are gone from the table, checkpoints other than the newest.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "verify/verify.h"

#define MANY_UNSEALED 2000		/* each row looks at those that wait */

/* Numbers 0 .. n-1 in an order that looks random, without memory. */
typedef struct Draw
{
	int64		n;
	int64		done;
	int64		next;
	int64		stride;			/* prime to n */
} Draw;

typedef struct SampleTable
{
	TableState *state;
	TableRows  *rows;
	int64		first;			/* of its blocks, among all tables' */
	int64		blocks;
} SampleTable;

static int64
greatest_divisor(int64 a, int64 b)
{
	while (b != 0)
	{
		int64		t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static void
draw_begin(Draw *d, int64 n)
{
	memset(d, 0, sizeof(*d));
	d->n = n;
	if (n <= 0)
		return;
	d->next = (int64) pg_prng_uint64_range(&pg_global_prng_state, 0, (uint64) n - 1);
	do
		d->stride = (int64) pg_prng_uint64_range(&pg_global_prng_state, 1, (uint64) n);
	while (greatest_divisor(n, d->stride) != 1);
}

static bool
draw(Draw *d, int64 *number)
{
	if (d->done >= d->n)
		return false;
	*number = d->next;
	d->next = (int64) (((uint64) d->next + (uint64) d->stride) % (uint64) d->n);
	d->done++;
	return true;
}

typedef struct CountTask
{
	Verify	   *v;
	int64		n;
} CountTask;

static void
count_unsealed(void *arg)
{
	CountTask  *task = arg;

	task->n = prov_unsealed_count(task->v->snapshot, MANY_UNSEALED, NULL);
}

typedef struct LeafTask
{
	Verify	   *v;
	int64		leaf;
	bool		found;
	ProvLeafRef ref;
} LeafTask;

static void
read_leaf(void *arg)
{
	LeafTask   *task = arg;

	task->found = prov_log_leaf(task->v->log, task->leaf, &task->ref);
}

static void
check_tile(Verify *v, int64 tile, int64 size)
{
	LogScanOptions options = {.images = true, .all_tables = true};
	LeafTask	task = {.v = v, .leaf = tile * PV_TILE_WIDTH};

	options.since_size = tile * PV_TILE_WIDTH;
	options.until = Min(options.since_size + PV_TILE_WIDTH, size);
	if (!verify_try(v, read_leaf, &task) || !task.found)
		verify_finding(v, "leaf_missing", SEV_ERROR, psprintf("leaf " INT64_FORMAT, task.leaf), -1, task.leaf,
					   "The leaf is missing, or its run does not decode.");
	else if (verify_hash_in_tree(v, task.leaf, &task.ref.hash) == 0)
		verify_finding(v, "tile_differs", SEV_ERROR, psprintf("tile " INT64_FORMAT, tile), -1, task.leaf,
					   "The stored hashes of this tile, or those above it, do not lead to the root of the newest checkpoint.");
	verify_log_scan(v, &options);
}

static void
check_block(Verify *v, SampleTable *tables, int n, int64 block, TimestampTz deadline)
{
	TableRow   *found;
	int64		nfound;
	int64		k;
	int			i;

	for (i = 0; i < n - 1 && block >= tables[i].first + tables[i].blocks; i++)
		;
	if (!table_rows_block(tables[i].rows, block - tables[i].first, &found, &nfound))
		return;
	for (k = 0; k < nfound && GetCurrentTimestamp() < deadline; k++)
	{
		CHECK_FOR_INTERRUPTS();
		verify_scanned_row(v, tables[i].state, tables[i].rows, &found[k]);
	}
}

void
verify_sample(Verify *v, int64 budget_ms)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), budget_ms);
	int64		size = v->log_size;
	CountTask	unsealed = {v, 0};
	bool		rows;
	SampleTable *tables;
	MemoryContext old;
	int			ntables = 0;
	int64		blocks = 0;
	int32	   *ids;
	int			nids;
	int			i;
	Draw		tiles;
	Draw		pieces;

	if (!verify_try(v, count_unsealed, &unsealed))
	{
		verify_finding(v, "unreadable", SEV_ERROR, "entry", -1, -1,
					   "The entries not yet in the log cannot be read: %s", v->fault);
		unsealed.n = MANY_UNSEALED;
	}
	rows = unsealed.n < MANY_UNSEALED;
	ids = verify_registry(v, &nids);
	tables = palloc0(sizeof(SampleTable) * (nids + 1));
	for (i = 0; i < nids; i++)
	{
		TableState *state = table_state(v, ids[i]);
		TableRows  *opened;

		if (state->table == NULL || !state->tagged)
			continue;
		verify_table_definition(v, state);
		if (!OidIsValid(state->relid) || (opened = table_rows_open(v, state)) == NULL)
			continue;
		tables[ntables].state = state;
		tables[ntables].rows = opened;
		tables[ntables].first = blocks;
		tables[ntables].blocks = table_rows_blocks(opened);
		blocks += tables[ntables++].blocks;
	}

	draw_begin(&tiles, Min(size, PG_INT64_MAX - PV_TILE_WIDTH) / PV_TILE_WIDTH + (size % PV_TILE_WIDTH > 0 ? 1 : 0));
	draw_begin(&pieces, rows ? blocks : 0);
	verify_progress_begin(v, "pieces of a sample", 0);
	old = MemoryContextSwitchTo(v->cxt);
	while (GetCurrentTimestamp() < deadline)
	{
		int64		piece;
		bool		any = false;

		if (draw(&tiles, &piece))
		{
			check_tile(v, piece, size);
			any = true;
		}
		if (GetCurrentTimestamp() < deadline && draw(&pieces, &piece))
		{
			MemoryContext cxt = AllocSetContextCreate(v->cxt, "provenance verification, block", ALLOCSET_DEFAULT_SIZES);

			MemoryContextSwitchTo(cxt);
			check_block(v, tables, ntables, piece, deadline);
			MemoryContextSwitchTo(v->cxt);
			MemoryContextDelete(cxt);
			any = true;
		}
		if (!any)
			break;
		verify_progress(v, tiles.done + pieces.done);
	}
	MemoryContextSwitchTo(old);
	for (i = 0; i < ntables; i++)
		table_rows_end(tables[i].rows);

	ereport(NOTICE,
			(errmsg("verified a sample: " INT64_FORMAT " of " INT64_FORMAT " tiles of leaves (%d %%), " INT64_FORMAT " of "
					INT64_FORMAT " blocks of tables (%d %%)",
					tiles.done, tiles.n, tiles.n == 0 ? 100 : (int) (tiles.done * 100.0 / tiles.n),
					pieces.done, blocks, blocks == 0 ? 100 : (int) (pieces.done * 100.0 / blocks)),
			 rows ? 0 : errdetail("Rows were left out, because too many entries wait for the sealer.")));
}
