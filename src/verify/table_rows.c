/*
 * table_rows.c: the rows that a tagged table has now.
 *
 * The table is read directly, below row security and privileges, in chunks of
 * blocks; a chunk that cannot be read is read again block by block, and a block
 * that cannot is a finding and its rows are not missed further. What is kept of
 * a row is its identity, a fingerprint of its image as capture would write it now,
 * and its place.
 *
 * Output functions of user-defined types run as the table's owner, as they do
 * in capture.
 *
 * Memory: the rows of one chunk.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "ledger/row_image.h"
#include "types/types.h"
#include "verify/parallel.h"

#define CHUNK_BLOCKS 128

typedef struct Part
{
	Oid			relid;
	Oid			owner;
	ProvLayout *layout;
	BlockNumber nblocks;
} Part;

struct TableRows
{
	Verify	   *v;
	TableState *state;
	ChainSort  *chains;			/* whom rows are handed to */
	int			nparts;			/* relations with storage */
	Part	   *parts;
	ProvLayout *root;			/* of the table itself */
	Oid			owner;
};

typedef struct ScanTask
{
	TableRows  *rows;
	Part	   *part;
	BlockNumber first;
	BlockNumber last;
	MemoryContext chunk;		/* reset per chunk */
	MemoryContext row;			/* reset per row */
	TableRow   *found;
	int64		nfound;
	int64		cap;
} ScanTask;

static void
open_parts(void *arg)
{
	TableRows  *rows = arg;
	TableState *state = rows->state;
	List	   *relids = get_rel_relkind(state->relid) == RELKIND_PARTITIONED_TABLE ?
		find_all_inheritors(state->relid, AccessShareLock, NULL) : list_make1_oid(state->relid);
	Relation	root = table_open(state->relid, AccessShareLock);
	ListCell   *lc;

	rows->owner = root->rd_rel->relowner;
	rows->root = prov_layout_build(root, state->table, rows->v->cxt);
	table_close(root, NoLock);
	rows->parts = MemoryContextAlloc(rows->v->cxt, sizeof(Part) * list_length(relids));
	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);

		if (rel->rd_rel->relkind == RELKIND_RELATION)
		{
			Part	   *part = &rows->parts[rows->nparts++];

			part->relid = rel->rd_id;
			part->owner = rel->rd_rel->relowner;
			part->layout = prov_layout_build(rel, state->table, rows->v->cxt);
			part->nblocks = RelationGetNumberOfBlocks(rel);
		}
		table_close(rel, NoLock);
	}
}

static void
add_found(ScanTask *task, const TableRow *row)
{
	if (task->nfound == task->cap)
	{
		task->cap = task->cap == 0 ? 1024 : task->cap * 2;
		task->found = task->found == NULL ? MemoryContextAllocHuge(task->chunk, sizeof(TableRow) * task->cap) :
			repalloc_huge(task->found, sizeof(TableRow) * task->cap);
	}
	task->found[task->nfound++] = *row;
}

static void
scan_chunk(void *arg)
{
	ScanTask   *task = arg;
	Part	   *part = task->part;
	ProvLayout *layout = part->layout;
	Verify	   *v = task->rows->v;
	Relation	rel = table_open(part->relid, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	pv_value   *values = palloc(sizeof(pv_value) * (layout->ncolumns + 1));
	pv_value   *key = palloc(sizeof(pv_value) * (layout->nkeys + 1));
	TableScanDesc scan;
	ItemPointerData min;
	ItemPointerData max;

	ItemPointerSet(&min, task->first, 0);
	ItemPointerSet(&max, task->last, PG_UINT16_MAX);
	scan = table_beginscan_tidrange(rel, v->snapshot, &min, &max);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(task->row);
		TableRow	row;
		uint8	   *image;
		Size		len;

		CHECK_FOR_INTERRUPTS();
		memset(&row, 0, sizeof(row));
		prov_row_values(layout, part->owner, slot, values);
		prov_pick_key(layout, values, key);
		prov_layout_row_id(layout, key, layout->nkeys, row.row_id);
		image = prov_make_image(values, layout->ncolumns, &len);
		prov_check(pv_fingerprint(&v->key, prov_hasher(), image, len, row.image));
		row.tableoid = part->relid;
		row.table_id = task->rows->state->table_id;
		row.tid = slot->tts_tid;
		add_found(task, &row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(task->row);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

static bool
scan_blocks(ScanTask *task, BlockNumber first, BlockNumber last)
{
	int64		i;

	MemoryContextReset(task->row);
	MemoryContextReset(task->chunk);
	task->found = NULL;
	task->nfound = task->cap = 0;
	task->first = first;
	task->last = last;
	if (!verify_try(task->rows->v, scan_chunk, task))
		return false;
	for (i = 0; i < task->nfound; i++)
		chain_add_row(task->rows->chains, &task->found[i]);
	return true;
}

static int64
pieces_of(const Part *part)
{
	return ((int64) part->nblocks + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS;
}

/* Reads all rows of a relation but those of good pieces; false if some could not be. */
static bool
scan_part(TableRows *rows, Part *part, const bool *good, int64 *done)
{
	Verify	   *v = rows->v;
	ScanTask	task = {.rows = rows, .part = part};
	BlockNumber block;
	bool		complete = true;

	task.chunk = AllocSetContextCreate(v->cxt, "provenance verification, rows", ALLOCSET_DEFAULT_SIZES);
	task.row = AllocSetContextCreate(v->cxt, "provenance verification, row", ALLOCSET_DEFAULT_SIZES);
	for (block = 0; block < part->nblocks; block += CHUNK_BLOCKS)
	{
		BlockNumber last = Min(part->nblocks - 1, block + CHUNK_BLOCKS - 1);
		BlockNumber b;

		if (!(good != NULL && good[block / CHUNK_BLOCKS]) && !scan_blocks(&task, block, last))
			for (b = block; b <= last; b++)
				if (!scan_blocks(&task, b, b))
				{
					complete = false;
					verify_finding(v, "unreadable", SEV_ERROR, rows->state->name, -1, -1,
								   "Block %u of relation \"%s\" cannot be read: %s", b, get_rel_name(part->relid), v->fault);
				}
		*done += last - block + 1;
		verify_progress(v, *done);
		if (last == part->nblocks - 1)
			break;
	}
	MemoryContextDelete(task.chunk);
	MemoryContextDelete(task.row);
	return complete;
}

/* ---- by several processes ---- */

typedef struct PartInfo
{
	Oid			relid;
	BlockNumber nblocks;
} PartInfo;

void
verify_work_rows(Participant *p)
{
	Verify	   *v = p->v;
	PartInfo   *info = p->extra;
	TableRows  *rows = table_rows_open(v, table_state(v, p->work->table_id));
	ScanTask	task = {.rows = rows};
	uint64		number;

	if (rows == NULL)
		return;
	rows->chains = chain_begin(v);
	task.chunk = AllocSetContextCreate(v->cxt, "provenance verification, rows", ALLOCSET_DEFAULT_SIZES);
	task.row = AllocSetContextCreate(v->cxt, "provenance verification, row", ALLOCSET_DEFAULT_SIZES);
	while (verify_next_piece(p, &number))
	{
		int64		first = (int64) number * CHUNK_BLOCKS;
		int			i;
		int			k;

		for (i = 0; first >= pieces_of(&(Part) {.nblocks = info[i].nblocks}) * CHUNK_BLOCKS; i++)
			first -= pieces_of(&(Part) {.nblocks = info[i].nblocks}) * CHUNK_BLOCKS;
		task.part = NULL;
		for (k = 0; k < rows->nparts; k++)
			if (rows->parts[k].relid == info[i].relid)
				task.part = &rows->parts[k];
		p->good[number] = task.part != NULL &&
			scan_blocks(&task, (BlockNumber) first, (BlockNumber) Min(first + CHUNK_BLOCKS, info[i].nblocks) - 1);
	}
	chain_export(rows->chains);
}

/* Which pieces of CHUNK_BLOCKS, of all relations, participants have read; NULL: none. */
static bool *
scan_in_parallel(TableRows *rows, int64 total)
{
	Verify	   *v = rows->v;
	VerifyWork	work = {.kind = WORK_ROWS, .table_id = rows->state->table_id};
	PartInfo   *info;
	bool	   *good;
	int			i;

	if (v->parallel == NULL || total == 0 || total < min_parallel_table_scan_size || !table_rows_plain(rows))
		return NULL;
	info = MemoryContextAllocZero(v->cxt, sizeof(PartInfo) * (rows->nparts + 1));
	for (i = 0; i < rows->nparts; i++)
	{
		info[i].relid = rows->parts[i].relid;
		info[i].nblocks = rows->parts[i].nblocks;
		work.npieces += pieces_of(&rows->parts[i]);
	}
	good = MemoryContextAllocZero(v->cxt, work.npieces);
	if (!verify_launch(v, &work, info, sizeof(PartInfo) * rows->nparts, good))
		memset(good, 0, work.npieces);
	pfree(info);
	return good;
}

typedef struct ShapeTask
{
	Verify	   *v;
	int32		table_id;
	ProvShape  *newest;
} ShapeTask;

static void
read_newest_shape(void *arg)
{
	ShapeTask  *task = arg;

	task->newest = prov_shape_newest(task->table_id, task->v->snapshot);
}

/* Are the table's columns those of its newest shape? */
static void
check_shape(TableRows *rows)
{
	Verify	   *v = rows->v;
	ShapeTask	task = {v, rows->state->table_id, NULL};
	pv_hash		digest;

	if (!verify_try(v, read_newest_shape, &task))
		return;					/* found with the entries */
	if (task.newest == NULL)
	{
		verify_finding(v, "shape_missing", SEV_ERROR, rows->state->name, -1, -1, "The table has no shape.");
		return;
	}
	if (task.newest->status == PV_OK)
	{
		prov_check(pv_shape_digest(prov_hasher(), task.newest->definition, task.newest->definition_len, &digest));
		if (pv_hash_equal(&digest, &rows->root->digest))
			return;
	}
	verify_finding(v, "shape_stale", SEV_WARNING, rows->state->name, -1, -1,
				   "Name, columns, types or key of the table are not those of its newest shape.");
}

TableRows *
table_rows_open(Verify *v, TableState *state)
{
	TableRows  *rows = MemoryContextAllocZero(v->cxt, sizeof(TableRows));

	rows->v = v;
	rows->state = state;
	if (!verify_try(v, open_parts, rows))
	{
		verify_finding(v, "shape_stale", SEV_WARNING, state->name, -1, -1,
					   "The table cannot be seen as a tagged table any more: %s", v->fault);
		return NULL;
	}
	state->shape_digest = rows->root->digest;
	check_shape(rows);
	return rows;
}

TableRows *
table_rows_begin(Verify *v, TableState *state, ChainSort *chains, bool *complete)
{
	TableRows  *rows = table_rows_open(v, state);
	int64		done = 0;
	int64		total = 0;
	int64		piece = 0;
	bool	   *good;
	int			i;

	*complete = false;
	if (rows == NULL)
		return NULL;
	rows->chains = chains;
	*complete = true;
	for (i = 0; i < rows->nparts; i++)
		total += rows->parts[i].nblocks;
	verify_progress_begin_of(v, "blocks", state->name, total);
	good = scan_in_parallel(rows, total);
	for (i = 0; i < rows->nparts; i++)
	{
		*complete &= scan_part(rows, &rows->parts[i], good != NULL ? good + piece : NULL, &done);
		piece += pieces_of(&rows->parts[i]);
	}
	return rows;
}

bool
table_rows_plain(const TableRows *rows)
{
	int			needs = rows->root->needs;
	int			types = rows->root->ntypes;
	int			i;

	for (i = 0; i < rows->nparts; i++)
	{
		needs |= rows->parts[i].layout->needs;
		types += rows->parts[i].layout->ntypes;
	}
	return (needs & (PROV_NEEDS_GUC | PROV_NEEDS_OWNER)) == 0 && types == 0;
}

int64
table_rows_blocks(TableRows *rows)
{
	int64		n = 0;
	int			i;

	for (i = 0; i < rows->nparts; i++)
		n += rows->parts[i].nblocks;
	return n;
}

bool
table_rows_block(TableRows *rows, int64 block, TableRow **found, int64 *n)
{
	ScanTask	task = {.rows = rows, .chunk = CurrentMemoryContext};
	int			i;
	bool		ok;

	for (i = 0; block >= rows->parts[i].nblocks; i++)
		block -= rows->parts[i].nblocks;
	task.part = &rows->parts[i];
	task.first = task.last = (BlockNumber) block;
	task.row = AllocSetContextCreate(CurrentMemoryContext, "provenance verification, row", ALLOCSET_DEFAULT_SIZES);
	ok = verify_try(rows->v, scan_chunk, &task);
	if (!ok)
		verify_finding(rows->v, "unreadable", SEV_ERROR, rows->state->name, -1, -1,
					   "Block %u of relation \"%s\" cannot be read: %s", task.first,
					   get_rel_name(task.part->relid), rows->v->fault);
	MemoryContextDelete(task.row);
	*found = task.found;
	*n = ok ? task.nfound : 0;
	return ok;
}

ProvLayout *
table_rows_layout(TableRows *rows, Oid *owner)
{
	*owner = rows->owner;
	return rows->root;
}

void
table_rows_end(TableRows *rows)
{
	int			i;

	for (i = 0; i < rows->nparts; i++)
		prov_layout_free(rows->parts[i].layout);
	prov_layout_free(rows->root);
}

/* ---- one row ---- */

typedef struct RowTask
{
	TableRows  *rows;
	const TableRow *row;
	pv_value   *values;			/* NULL: not there */
} RowTask;

static void
fetch_row(void *arg)
{
	RowTask    *task = arg;
	TableRows  *rows = task->rows;
	Part	   *part = NULL;
	Relation	rel;
	TupleTableSlot *slot;
	ItemPointerData tid = task->row->tid;
	int			i;

	for (i = 0; i < rows->nparts; i++)
		if (rows->parts[i].relid == task->row->tableoid)
			part = &rows->parts[i];
	if (part == NULL)
		return;
	rel = table_open(part->relid, AccessShareLock);
	slot = table_slot_create(rel, NULL);
	if (table_tuple_fetch_row_version(rel, &tid, rows->v->snapshot, slot))
	{
		pv_value   *values = palloc(sizeof(pv_value) * (part->layout->ncolumns + 1));

		prov_row_values(part->layout, part->owner, slot, values);
		for (i = 0; i < part->layout->ncolumns; i++)
			if (values[i].data != NULL)
			{
				uint8	   *copy = palloc(values[i].len + 1);

				memcpy(copy, values[i].data, values[i].len);
				values[i].data = copy;
			}
		task->values = values;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

bool
table_row_values(TableRows *rows, const TableRow *row, int *n, const pv_name **names, pv_value **values)
{
	RowTask		task = {rows, row, NULL};

	if (!verify_try(rows->v, fetch_row, &task) || task.values == NULL)
		return false;
	*n = rows->root->ncolumns;
	*names = rows->root->names;
	*values = task.values;
	return true;
}

char *
table_row_object(TableRows *rows, TableState *state, const TableRow *row)
{
	StringInfoData s;
	const pv_name *names;
	pv_value   *values;
	int			n;
	int			i;

	if (!state->may_see_keys || !table_row_values(rows, row, &n, &names, &values))
		return state->name;
	initStringInfo(&s);
	appendStringInfo(&s, "%s (", state->name);
	for (i = 0; i < rows->root->nkeys; i++)
	{
		pv_value	value = values[rows->root->keys[i]];

		appendStringInfo(&s, "%s%s", i == 0 ? "" : ", ",
						 value.data == NULL ? "NULL" : verify_text(value.data, Min(value.len, 200)));
	}
	appendStringInfoChar(&s, ')');
	return s.data;
}

char *
table_row_difference(TableRows *rows, const TableRow *row, const ProvEntry *entry)
{
	StringInfoData s;
	const pv_name *names;
	pv_value   *values;
	pv_name    *entry_names;
	pv_value   *entry_values;
	int			n;
	int			entry_n;
	int			i;
	int			k;

	if (!verify_image_values(rows->v, entry, &entry_n, &entry_names, &entry_values) ||
		!table_row_values(rows, row, &n, &names, &values))
		return NULL;
	initStringInfo(&s);
	for (i = 0; i < n; i++)
	{
		for (k = 0; k < entry_n; k++)
			if (names[i].len == entry_names[k].len && memcmp(names[i].s, entry_names[k].s, names[i].len) == 0)
				break;
		if (k == entry_n)
			continue;			/* a column that came later */
		if ((values[i].data == NULL) == (entry_values[k].data == NULL) &&
			(values[i].data == NULL ||
			 (values[i].len == entry_values[k].len && memcmp(values[i].data, entry_values[k].data, values[i].len) == 0)))
			continue;
		appendStringInfo(&s, "%s%s", s.len == 0 ? "" : ", ", verify_text(names[i].s, names[i].len));
	}
	return s.len > 0 ? s.data : NULL;
}
