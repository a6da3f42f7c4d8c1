/*
 * roots.c: of one pass over the log: the tree and the checkpoints. See
 * log_scan.c for how roots decide which of entry and hash was changed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "types/types.h"
#include "verify/log_scan.h"

/* ---- hashes of the upper levels ---- */

typedef struct NodeTask
{
	LogScan    *s;
	unsigned	level;
	int64		index;
	bool		found;
	pv_hash		hash;
} NodeTask;

static void
read_node(void *arg)
{
	NodeTask   *task = arg;
	HeapTuple	tup = prov_fetch2(PROV_TREE_NODE, Int16GetDatum((int16) task->level), Int64GetDatum(task->index),
								  task->s->v->snapshot);
	bool		isnull = true;

	if (HeapTupleIsValid(tup))
	{
		Datum		d = heap_getattr(tup, A_NODE_HASH, prov_tupdesc(PROV_TREE_NODE), &isnull);

		if (!isnull)
			task->hash = *DatumGetHashP(d);
	}
	task->found = !isnull;
}

/* What the two frontiers completed with the last leaf, lower levels first. */
typedef struct Emitted
{
	int			n;
	unsigned	level[8];
	uint64		index[8];
	pv_hash		hash[8];
} Emitted;

static pv_status
emit(void *arg, unsigned level, uint64_t index, const pv_hash *hash)
{
	Emitted    *e = arg;

	if (e->n < (int) lengthof(e->level))
	{
		e->level[e->n] = level;
		e->index[e->n] = index;
		e->hash[e->n++] = *hash;
	}
	return PV_OK;
}

/* Mismatches below a hash of the tree. */
static int
pending_below(LogScan *s, unsigned level, uint64 index)
{
	int64		first = (int64) (index << (level * PV_TILE_HEIGHT));
	int			n = 0;
	int64		i;

	for (i = s->npending - 1; i >= 0 && s->pending[i].leaf >= first; i--)
		n++;
	return n;
}

static void
check_nodes(LogScan *s, const Emitted *a, const Emitted *b)
{
	int			i;

	for (i = 0; i < a->n; i++)
	{
		NodeTask	task = {.s = s, .level = a->level[i], .index = (int64) a->index[i]};
		char	   *object = psprintf("tree_node %u/" UINT64_FORMAT, a->level[i], a->index[i]);

		if (!verify_try(s->v, read_node, &task))
			verify_finding(s->v, "unreadable", SEV_ERROR, object, -1, -1, "The hash cannot be read: %s", s->v->fault);
		else if (!task.found)
			verify_finding(s->v, "tile_differs", SEV_ERROR, object, -1, -1, "A hash of the tree is missing.");
		else if (!pv_hash_equal(&task.hash, &a->hash[i]) && !pv_hash_equal(&task.hash, &b->hash[i]) &&
				 pending_below(s, a->level[i], a->index[i]) < 2)	/* else it may be right: see try_mixed() */
			verify_finding(s->v, "tile_differs", SEV_ERROR, object, -1, -1,
						   "A hash of the tree was changed: the leaves below do not give it.");
	}
}

/* ---- checkpoints ---- */

/*
 * Neither frontier gives the root: in some places the entry was changed, in
 * others the stored hash. Tries which, if there are few.
 */
#define MAX_MIXED 12
#define MAX_MIXED_HASHES 4000000

typedef struct MixedTask
{
	LogScan    *s;
	pv_hash    *hashes;			/* stored, from good.size to stored.size */
	bool		complete;
} MixedTask;

static void
read_stored(void *arg)
{
	MixedTask  *task = arg;
	LogScan    *s = task->s;
	ProvLeafRef ref;
	int64		leaf;

	for (leaf = (int64) s->good.size; leaf < (int64) s->stored.size; leaf++)
	{
		if (!prov_log_leaf(s->v->prev_log, leaf, &ref))
			return;
		task->hashes[leaf - (int64) s->good.size] = ref.hash;
	}
	task->complete = true;
}

static bool
try_mixed(LogScan *s, const pv_hash *root)
{
	MixedTask	task = {.s = s};
	int64		n = (int64) (s->stored.size - s->good.size);
	uint32		mask;
	int64		i;

	if (s->npending < 2 || s->npending > MAX_MIXED || n > MAX_MIXED_HASHES >> s->npending)
		return false;
	for (i = 0; i < s->npending; i++)
		if (s->pending[i].leaf < (int64) s->good.size)
			return false;
	task.hashes = MemoryContextAllocHuge(s->v->tmp, n * sizeof(pv_hash));
	if (!verify_try(s->v, read_stored, &task) || !task.complete)
		return false;
	for (mask = 1; mask + 1 < (uint32) 1 << s->npending; mask++)
	{
		pv_frontier f = s->good;
		int			next = 0;
		pv_hash		got;

		CHECK_FOR_INTERRUPTS();
		for (i = 0; i < n; i++)
		{
			const pv_hash *hash = &task.hashes[i];

			if (next < s->npending && s->pending[next].leaf == (int64) f.size)
			{
				if (mask >> next & 1)
					hash = &s->pending[next].computed;
				next++;
			}
			prov_check(pv_frontier_append(&f, prov_hasher(), hash, NULL, NULL));
		}
		prov_check(pv_frontier_root(&f, prov_hasher(), &got));
		if (pv_hash_equal(&got, root))
		{
			for (i = 0; i < s->npending; i++)
				s->pending[i].tile = (mask >> i & 1) != 0;
			log_scan_report(s);
			s->stored = f;
			s->split = false;
			return true;
		}
	}
	return false;
}

static void
check_roots(LogScan *s)
{
	pv_hash		stored;
	pv_hash		computed;
	bool		have = false;

	while (s->next_checkpoint < s->ncheckpoints &&
		   s->checkpoints[s->next_checkpoint].size <= (int64) s->stored.size)
	{
		CheckpointRef *cp = &s->checkpoints[s->next_checkpoint++];

		if (s->broken || cp->size < (int64) s->stored.size)
			continue;
		if (!have)
		{
			prov_check(pv_frontier_root(&s->stored, prov_hasher(), &stored));
			computed = stored;
			if (s->split)
				prov_check(pv_frontier_root(&s->computed, prov_hasher(), &computed));
			have = true;
		}
		if (pv_hash_equal(&stored, &cp->root))
		{
			log_scan_settle(s, false);
			s->split = false;
			computed = stored;
		}
		else if (pv_hash_equal(&computed, &cp->root))
		{
			log_scan_settle(s, true);
			s->stored = s->computed;
			s->split = false;
			stored = computed;
		}
		else if (try_mixed(s, &cp->root))
			stored = computed = cp->root;
		else
		{
			log_scan_settle(s, false);
			verify_finding(s->v, "root_differs", SEV_ERROR, psprintf("checkpoint " INT64_FORMAT, cp->size), -1, -1,
						   "Neither the entries nor the stored hashes give the root of this signed checkpoint.");
			continue;
		}
		s->good = s->stored;
	}
}

typedef struct LoadTask
{
	LogScan    *s;
	int64		size;
	pv_status	status;
} LoadTask;

static void
load_frontier(void *arg)
{
	LoadTask   *task = arg;

	task->status = pv_frontier_load(&task->s->stored, prov_log_tree(task->s->v->prev_log), (uint64) task->size);
}

static bool
frontier_at(LogScan *s, int64 size)
{
	LoadTask	task = {s, size, PV_OK};

	return verify_try(s->v, load_frontier, &task) && task.status == PV_OK;
}

/* After a gap, where the stored tree has a frontier again: where a tile begins. */
static bool
mend(LogScan *s, int64 leaf)
{
	if (leaf % PV_TILE_WIDTH != 0 || !frontier_at(s, leaf))
		return false;
	s->broken = false;
	s->split = false;
	s->good = s->stored;
	while (s->next_checkpoint < s->ncheckpoints && s->checkpoints[s->next_checkpoint].size < leaf)
		s->next_checkpoint++;
	check_roots(s);
	return true;
}

/* The frontiers have grown. */
static void
check_growth(LogScan *s, const Emitted *a, const Emitted *b)
{
	if (a->n > 0)
		check_nodes(s, a, s->split ? b : a);
	if (s->next_checkpoint < s->ncheckpoints && s->checkpoints[s->next_checkpoint].size <= (int64) s->stored.size)
		check_roots(s);
}

void
roots_add(LogScan *s, int64 leaf, const pv_hash *stored, const pv_hash *computed)
{
	Emitted		a;
	Emitted		b;

	if (s->broken && !mend(s, leaf))
		return;
	if (!s->split && !pv_hash_equal(stored, computed))
	{
		s->computed = s->stored;
		s->split = true;
	}
	a.n = b.n = 0;
	prov_check(pv_frontier_append(&s->stored, prov_hasher(), stored, emit, &a));
	if (s->split)
		prov_check(pv_frontier_append(&s->computed, prov_hasher(), computed, emit, &b));
	check_growth(s, &a, &b);
}

static void
add_tile(LogScan *s, int64 leaf, const pv_hash *root)
{
	Emitted		a;
	Emitted		b;

	if (s->broken && !mend(s, leaf))
		return;
	a.n = b.n = 0;
	prov_check(pv_frontier_append_tile(&s->stored, prov_hasher(), root, emit, &a));
	if (s->split)
		prov_check(pv_frontier_append_tile(&s->computed, prov_hasher(), root, emit, &b));
	check_growth(s, &a, &b);
}

typedef struct HashesTask
{
	LogScan    *s;
	int64		first;
	int			n;
	pv_status	status;
	pv_hash		hashes[PV_TILE_WIDTH];
} HashesTask;

static void
read_hashes(void *arg)
{
	HashesTask *task = arg;
	pv_tree    *tree = prov_log_tree(task->s->v->prev_log);

	task->status = tree->read(tree->arg, 0, (uint64) task->first, (unsigned) task->n, task->hashes);
}

/*
 * Leaves that participants found good: by the roots of their tiles, but leaf by
 * leaf where a checkpoint ends within a tile, and at either end.
 */
void
roots_add_good(LogScan *s, int64 from, int64 until)
{
	const pv_hash *tiles = SHARED_AT(s->shared, s->shared->tiles);
	int64		end;
	int64		leaf;

	for (leaf = from; leaf < until; leaf = end)
	{
		HashesTask	task = {.s = s, .first = leaf};
		int64		checkpoint = s->next_checkpoint < s->ncheckpoints ? s->checkpoints[s->next_checkpoint].size : PG_INT64_MAX;
		int			i;

		CHECK_FOR_INTERRUPTS();
		end = Min((leaf / PV_TILE_WIDTH + 1) * PV_TILE_WIDTH, until);
		if (end - leaf == PV_TILE_WIDTH && (checkpoint <= leaf || checkpoint >= end))
		{
			add_tile(s, leaf, &tiles[leaf / PV_TILE_WIDTH]);
			continue;
		}
		task.n = (int) (end - leaf);
		if (!verify_try(s->v, read_hashes, &task) || task.status != PV_OK)
		{
			verify_finding(s->v, "unreadable", SEV_ERROR, psprintf("leaf " INT64_FORMAT, leaf), -1, leaf,
						   "The hashes of leaves cannot be read a second time.");
			s->broken = true;
			continue;
		}
		for (i = 0; i < task.n; i++)
			roots_add(s, leaf + i, &task.hashes[i], &task.hashes[i]);
	}
}

void
roots_gap(LogScan *s, int64 from, int64 to)
{
	verify_finding(s->v, "leaf_missing", SEV_ERROR, psprintf("leaf " INT64_FORMAT, from), -1, from,
				   INT64_FORMAT " leaves from this one on are missing.", to - from);
	log_scan_settle(s, false);
	s->broken = true;
}

bool
roots_begin(LogScan *s)
{
	Verify	   *v = s->v;

	pv_frontier_init(&s->stored);
	if (s->o->since_size > s->log_size)
	{
		verify_finding(v, "checkpoint_beyond_log", SEV_ERROR, psprintf("size " INT64_FORMAT, s->o->since_size), -1, -1,
					   "The log has only " INT64_FORMAT " leaves.", s->log_size);
		return false;
	}
	if (s->o->since_size > 0)
	{
		if (!frontier_at(s, s->o->since_size))
		{
			verify_finding(v, "tile_differs", SEV_ERROR, psprintf("size " INT64_FORMAT, s->o->since_size), -1, -1,
						   "The stored tree does not give a root at this size.");
			s->broken = true;
		}
	}
	s->good = s->stored;
	s->checkpoints = verify_checkpoints(v, s->o->since_size, &s->ncheckpoints);
	check_roots(s);
	return true;
}

void
roots_end(LogScan *s, int64 size)
{
	Verify	   *v = s->v;

	log_scan_settle(s, false);
	if (size < s->log_size)
		verify_finding(v, "leaf_missing", SEV_ERROR, psprintf("leaf " INT64_FORMAT, size), -1, size,
					   "The log ends here; it should have " INT64_FORMAT " leaves.", s->log_size);
	else if (size > s->log_size)
		verify_finding(v, "size_differs", SEV_ERROR, "seal_state", -1, s->log_size,
					   "The log should have " INT64_FORMAT " leaves; there are " INT64_FORMAT ".", s->log_size, size);
	for (; s->next_checkpoint < s->ncheckpoints; s->next_checkpoint++)
		if (s->checkpoints[s->next_checkpoint].size > size)
			verify_finding(v, "checkpoint_beyond_log", SEV_ERROR,
						   psprintf("checkpoint " INT64_FORMAT, s->checkpoints[s->next_checkpoint].size), -1, -1,
						   "The checkpoint has " INT64_FORMAT " leaves, the log only " INT64_FORMAT ": its tail is gone.",
						   s->checkpoints[s->next_checkpoint].size, size);

	surplus_nodes(v, size);
	if (s->o->since_size == 0 && !(s->shared != NULL && s->shared->entries_good))
		surplus_entries(s);
}

/* ---- one leaf ---- */

typedef struct PathTask
{
	Verify	   *v;
	int64		leaf;
	const pv_hash *hash;
	int			answer;
} PathTask;

/* With the newest stored checkpoint's root, whose signature verify_log() checks. */
static void
check_path(void *arg)
{
	PathTask   *task = arg;
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	ProvScan	scan;
	HeapTuple	tup;
	pv_hash		path[PV_MAX_PATH];
	pv_hash		root;
	int64		size = 0;
	unsigned	n;

	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_NOTE, task->v->snapshot, 0, NULL);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tup))
	{
		bool		null_size,
					null_root;
		Datum		d_size = heap_getattr(tup, A_CP_SIZE, desc, &null_size);
		Datum		d_root = heap_getattr(tup, A_CP_ROOT, desc, &null_root);

		if (!null_size && !null_root)
		{
			size = DatumGetInt64(d_size);
			root = *DatumGetHashP(d_root);
		}
	}
	prov_scan_end(&scan);
	if (size <= task->leaf ||
		pv_tree_inclusion(prov_log_tree(task->v->prev_log), (uint64) task->leaf, (uint64) size, path, &n) != PV_OK)
		return;
	task->answer = pv_verify_inclusion(prov_hasher(), task->hash, (uint64) task->leaf, (uint64) size, path, n, &root) == PV_OK;
}

int
verify_hash_in_tree(Verify *v, int64 leaf, const pv_hash *hash)
{
	PathTask	task = {v, leaf, hash, -1};

	(void) verify_try(v, check_path, &task);
	return task.answer;
}
