/*
 * log_parallel.c: the leaves of the log, looked at by several processes.
 *
 * A piece of the log is good if log_scan.c has nothing to say of any of its
 * leaves. What a piece has that concerns the whole log is handed over: bits for
 * sealed seqs and for predecessors, the roots of its tiles, the items for the
 * row chains. The leader then goes through the log in order, passes over good
 * pieces with the roots of their tiles, and reads the others.
 *
 * A seq sealed twice, or a predecessor used twice, is known only when both
 * places are met, in whichever order: then nothing of this counts, and one
 * process reads the log from its beginning.
 *
 * Hashes of predecessors come from a ring of stored leaf hashes, which is filled
 * first, by pieces of its own: the log is done in rounds of half the ring, so
 * that it reaches back that far at least; what is older is looked up. Last come
 * blocks of the table of entries, to see whether all of them are in the log
 * (surplus.c): short pieces, with which the participants end at about the same time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "types/types.h"
#include "verify/chain_store.h"
#include "verify/log_scan.h"
#include "verify/parallel.h"

#define PIECE_BLOCKS 128		/* of entries */

/* ---- a participant ---- */

static void
note_bits(Participant *p, Bitmap *b, int64 room, const int64 *numbers, int n)
{
	int			i;

	for (i = 0; i < n; i++)
		if (numbers[i] < 0 || numbers[i] >= room || bitmap_test_and_set(b, numbers[i]))
		{
			pg_atomic_write_u32(&p->work->failed, 1);
			return;
		}
}

static void
note_tiles(Participant *p, const LeafPiece *piece, int64 from, int64 until)
{
	pv_hash    *tiles = SHARED_AT(p->shared, p->shared->tiles);
	int64		tile;

	for (tile = (from + PV_TILE_WIDTH - 1) / PV_TILE_WIDTH; (tile + 1) * PV_TILE_WIDTH <= until; tile++)
	{
		pv_frontier f;
		int			i;

		pv_frontier_init(&f);
		for (i = 0; i < PV_TILE_WIDTH; i++)
			prov_check(pv_frontier_append(&f, prov_hasher(), &piece->hashes[tile * PV_TILE_WIDTH - from + i], NULL, NULL));
		tiles[tile] = f.peaks[PV_TILE_HEIGHT];
	}
}

typedef struct TileTask
{
	Verify	   *v;
	int64		first;
	int			n;
	pv_hash    *out;
	pv_status	status;
} TileTask;

static void
read_tile(void *arg)
{
	TileTask   *task = arg;
	pv_tree    *tree = prov_log_tree(task->v->prev_log);

	task->status = tree->read(tree->arg, 0, (uint64) task->first, (unsigned) task->n, task->out);
}

/* Stored hashes of [from, until) into the ring; from at the beginning of a tile. */
static void
fill_ring(Participant *p, int64 from, int64 until)
{
	VerifyShared *shared = p->shared;
	pv_hash    *ring = SHARED_AT(shared, shared->ring);
	int64		leaf;

	for (leaf = from; leaf < until; leaf += PV_TILE_WIDTH)
	{
		TileTask	task = {.v = p->v, .first = leaf, .n = (int) Min(PV_TILE_WIDTH, until - leaf)};

		task.out = &ring[leaf % shared->ring_size];
		if (!verify_try(p->v, read_tile, &task) || task.status != PV_OK)
			memset(task.out, 0, task.n * sizeof(pv_hash));
	}
	pg_atomic_fetch_add_u64(&p->work->filled, 1);
}

/* Until the pieces of the ring are done, which others may have; false: there is nothing to wait for. */
static bool
wait_for_ring(Participant *p)
{
	while (pg_atomic_read_u64(&p->work->filled) < p->work->nfill)
	{
		if (pg_atomic_read_u32(&p->work->failed) != 0 || pg_atomic_read_u32(&p->work->broken) != 0)
			return false;
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	pg_read_barrier();
	return true;
}

typedef struct PieceTask
{
	Participant *p;
	LogScan    *s;
	LeafBatch  *batch;
	int64		from;
	int64		until;
} PieceTask;

static void
look_at_piece(void *arg)
{
	PieceTask  *task = arg;
	LogScan    *s = task->s;
	Verify	   *v = s->v;
	LeafPiece  *piece = s->piece;
	int64		next = task->from;

	while (next < task->until)
	{
		int			i;

		task->batch->until = task->until;
		verify_read_batch(v, next, task->batch);
		if (task->batch->n == 0 || task->batch->first != next)
			piece->bad = true;
		if (task->batch->n == 0)
			break;
		for (i = 0; i < task->batch->n && task->batch->first + i < task->until; i++)
			log_scan_leaf(s, &task->batch->items[i]);
		next = task->batch->first + task->batch->n;
		MemoryContextReset(v->tmp);
		CHECK_FOR_INTERRUPTS();
	}
}

void
verify_work_leaves(Participant *p)
{
	Verify	   *v = p->v;
	VerifyShared *shared = p->shared;
	VerifyWork *work = p->work;
	LogScanOptions options = p->work->leaves;
	LogScan    *s = palloc0(sizeof(LogScan));
	PieceTask	task = {.p = p, .s = s, .batch = palloc(sizeof(LeafBatch))};
	Bitmap	   *seqs = bitmap_attach(v->cxt, SHARED_AT(shared, shared->seqs), shared->nseqs);
	Bitmap	   *predecessors = bitmap_attach(v->cxt, SHARED_AT(shared, shared->predecessors), shared->log_size);
	uint64		number;

	options.chains = p->work->chains ? chain_begin(v) : NULL;
	log_scan_begin(s, v, &options, shared);
	s->piece = palloc(sizeof(LeafPiece));
	task.batch->failures = 0;
	task.batch->want_image = options.images;
	task.batch->want_map = options.roots;
	if (options.chains != NULL)
		chain_hold(options.chains, PIECE_LEAVES);
	while (verify_next_piece(p, &number))
	{
		int64		begin;

		if (number < work->nfill)
		{
			begin = work->fill_from + (int64) number * PIECE_LEAVES;
			fill_ring(p, begin, Min(begin + PIECE_LEAVES, work->fill_until));
			p->good[number] = true;
			continue;
		}
		if (number >= work->nfill + work->nleaves)
		{
			BlockNumber block = (BlockNumber) (number - work->nfill - work->nleaves) * PIECE_BLOCKS;

			p->good[number] = surplus_note(p, block, (BlockNumber) (Min((uint64) block + PIECE_BLOCKS, work->nblocks) - 1));
			continue;
		}
		if (!wait_for_ring(p))
			break;
		begin = (int64) (work->first_piece + number - work->nfill) * PIECE_LEAVES;
		task.from = Max(begin, options.since_size);
		task.until = Min(begin + PIECE_LEAVES, shared->log_size);
		s->piece->from = task.from;
		s->piece->nseqs = s->piece->nprevs = 0;
		s->piece->bad = false;
		v->findings = 0;
		if (!verify_try(v, look_at_piece, &task))
		{
			pg_atomic_write_u32(&p->work->failed, 1);
			break;
		}
		note_bits(p, seqs, shared->nseqs, s->piece->seqs, s->piece->nseqs);
		note_bits(p, predecessors, shared->log_size, s->piece->prevs, s->piece->nprevs);
		p->good[number] = !s->piece->bad && v->findings == 0;
		if (p->good[number] && options.roots)
			note_tiles(p, s->piece, task.from, task.until);
		if (options.chains != NULL)
			chain_release(options.chains, p->good[number]);
		MemoryContextReset(v->tmp);
	}
	if (options.chains != NULL)
		chain_export(options.chains);
}

/* ---- the leader ---- */

static int64
pieces_of(int64 n, int64 size)
{
	return (n + size - 1) / size;
}

static bool
all_good(const bool *good, uint64 from, uint64 until)
{
	while (from < until && good[from])
		from++;
	return from == until;
}

bool *
verify_log_parallel(Verify *v, const LogScanOptions *o)
{
	VerifyShared *shared;
	bool	   *good;
	bool	   *done;
	int64		first = o->since_size / PIECE_LEAVES;
	int64		end = pieces_of(v->log_size, PIECE_LEAVES);
	int64		round;
	int64		piece;

	if (v->parallel == NULL || o->until > 0 || o->since_size >= v->log_size)
		return NULL;
	shared = v->parallel->shared;
	round = shared->ring_size / PIECE_LEAVES;
	if (shared->ring_size < v->log_size)
		round /= 2;
	good = MemoryContextAllocHuge(v->cxt, end - first);
	shared->ring_from = shared->ring_to = Max(0, first * PIECE_LEAVES - shared->ring_size / 2);
	for (piece = first; piece < end; piece += round)
	{
		int64		n = Min(round, end - piece);
		VerifyWork	work = {.kind = WORK_LEAVES, .leaves = *o, .chains = o->chains != NULL, .first_piece = (uint64) piece};
		bool		ok;

		work.fill_from = shared->ring_to;
		work.fill_until = Min((piece + n) * PIECE_LEAVES, v->log_size);
		work.nfill = (uint64) pieces_of(work.fill_until - work.fill_from, PIECE_LEAVES);
		work.nleaves = (uint64) n;
		work.nblocks = o->roots && o->since_size == 0 && piece + n == end ? shared->nblocks : 0;
		work.npieces = work.nfill + work.nleaves + (uint64) pieces_of(work.nblocks, PIECE_BLOCKS);
		shared->ring_from = Max(Max(0, work.fill_until - shared->ring_size), shared->ring_from);
		shared->ring_to = work.fill_until;
		done = MemoryContextAllocZero(v->cxt, work.npieces);
		ok = verify_launch(v, &work, NULL, 0, done);
		memcpy(good + (piece - first), done + work.nfill, n);
		shared->entries_good = ok && work.nblocks > 0 &&
			all_good(done, work.nfill + work.nleaves, work.npieces) && surplus_none(shared);
		pfree(done);
		if (!ok)
		{
			pfree(good);
			if (o->chains != NULL)
				chain_forget(v);
			return NULL;
		}
		verify_progress(v, work.fill_until);
	}
	return good;
}
