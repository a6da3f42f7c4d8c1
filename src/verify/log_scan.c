/*
 * log_scan.c: one pass over the log, from the first leaf asked for to the last.
 *
 * Each leaf is computed from its entry and compared with the stored hash. If
 * they differ, one of the two was changed, and the signed roots know which:
 * two frontiers grow side by side, one of the stored hashes, one of those that
 * the entries give, and the next checkpoint says which of them is the log that
 * was signed. Until then a mismatch waits in a list.
 *
 *   stored hashes give the root     the entry was changed: leaf_differs
 *   entries give the root           the stored hash was changed: tile_differs
 *   neither                         some were, some were: the few combinations
 *									are tried (roots.c); root_differs if none
 *									gives the root
 *
 * A leaf holds its predecessor's hash. Where the stored hash of a predecessor
 * is wrong, its successor is computed with the right one, kept aside for that
 * purpose, so that one changed byte is one finding.
 *
 * After a gap (a run that is gone) no root can be computed until the stored
 * tree gives a frontier again, at the next multiple of 256 leaves.
 *
 * Memory: a ring of recent leaf hashes (maintenance_work_mem), a bit for each
 * sealed seq and each predecessor, the list of mismatches (bounded).
 *
 * What this cannot detect: a log that was rewritten consistently, together
 * with its checkpoints, by somebody who holds the key. That is question 4.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "types/types.h"
#include "verify/log_scan.h"

#define MAX_PENDING 1000000

void
verify_leaf_hash(const ProvEntry *entry, const pv_hash *commitment, const pv_hash *prev, pv_hash *out)
{
	pv_leaf		leaf;
	uint8		bytes[PV_LEAF_LEN];

	prov_entry_leaf(entry, prev, &leaf);
	leaf.commitment = *commitment;
	pv_leaf_encode(&leaf, bytes);
	prov_check(pv_leaf_hash(prov_hasher(), bytes, sizeof(bytes), out));
}

/* ---- hashes of earlier leaves ---- */

typedef struct Override
{
	int64		leaf;			/* hash key */
	pv_hash		hash;
} Override;

static void
remember_hash(LogScan *s, int64 leaf, const pv_hash *stored, const pv_hash *right)
{
	s->ring[leaf % s->ring_size] = *stored;
	s->ring_end = leaf + 1;
	if (!pv_hash_equal(stored, right) && hash_get_num_entries(s->overrides) < MAX_PENDING)
	{
		Override   *o = hash_search(s->overrides, &leaf, HASH_ENTER, NULL);

		o->hash = *right;
	}
}

typedef struct PrevTask
{
	LogScan    *s;
	int64		leaf;
	bool		found;
	pv_hash		hash;
} PrevTask;

/* Not by way of the leaf, whose map may not decode. */
static void
read_prev(void *arg)
{
	PrevTask   *task = arg;
	pv_tree    *tree = prov_log_tree(task->s->v->prev_log);

	task->found = tree->read(tree->arg, 0, (uint64) task->leaf, 1, &task->hash) == PV_OK;
}

/* Stored hash of an earlier leaf. */
static bool
stored_hash(LogScan *s, int64 leaf, pv_hash *out)
{
	PrevTask	task = {.s = s, .leaf = leaf};

	if (s->piece != NULL && leaf >= s->shared->ring_from && leaf < s->shared->ring_to)
	{
		*out = ((pv_hash *) SHARED_AT(s->shared, s->shared->ring))[leaf % s->shared->ring_size];
		if (!pv_hash_is_zero(out))
			return true;
	}
	if (leaf >= s->ring_begin && leaf < s->ring_end && leaf >= s->ring_end - s->ring_size)
	{
		*out = s->ring[leaf % s->ring_size];
		return true;
	}
	if (!verify_try(s->v, read_prev, &task) || !task.found)
		return false;
	*out = task.hash;
	return true;
}

/* ---- mismatches, until a root decides ---- */

static void
report_mismatch(LogScan *s, const Pending *p)
{
	if (p->tile)
		verify_finding(s->v, "tile_differs", SEV_ERROR, psprintf("leaf " INT64_FORMAT, p->leaf), p->seq, p->leaf,
					   "The stored hash of the leaf was changed: the entry gives what the signed checkpoint has.");
	else
		verify_finding(s->v, "leaf_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, p->seq), p->seq, p->leaf,
					   "Operation, time, transaction, predecessor or commitment of the entry were changed: they do not give the hash of its leaf.");
}

void
log_scan_report(LogScan *s)
{
	int64		i;

	for (i = 0; i < s->npending; i++)
		report_mismatch(s, &s->pending[i]);
	s->npending = 0;
}

void
log_scan_settle(LogScan *s, bool tile)
{
	int64		i;

	for (i = 0; i < s->npending; i++)
		s->pending[i].tile = tile;
	log_scan_report(s);
}

static void
add_pending(LogScan *s, int64 leaf, int64 seq, const pv_hash *computed)
{
	if (s->npending == MAX_PENDING)
		log_scan_settle(s, false);
	if (s->npending == s->cap_pending)
	{
		s->cap_pending = s->cap_pending == 0 ? 64 : s->cap_pending * 2;
		s->pending = s->pending == NULL ? MemoryContextAlloc(s->v->cxt, sizeof(Pending) * s->cap_pending) :
			repalloc(s->pending, sizeof(Pending) * s->cap_pending);
	}
	s->pending[s->npending].leaf = leaf;
	s->pending[s->npending].computed = *computed;
	s->pending[s->npending++].seq = seq;
}

/* ---- one leaf ---- */

/*
 * That a predecessor is an earlier leaf is a matter of the map, which does not
 * decode otherwise.
 */
static void
check_predecessor(LogScan *s, const LeafItem *item)
{
	int64		prev = item->ref.prev_leaf;

	Assert(prev < item->ref.leaf);
	if (prev < 0 || !s->o->roots || item->ref.leaf < s->noted)
		return;
	if (s->piece != NULL)
		s->piece->prevs[s->piece->nprevs++] = prev;
	else if (bitmap_test_and_set(s->predecessors, prev))
		verify_finding(s->v, "predecessor_reused", SEV_ERROR, psprintf("leaf " INT64_FORMAT, item->ref.leaf),
					   item->ref.seq, item->ref.leaf,
					   "Leaf " INT64_FORMAT " is the predecessor of another leaf already: the row chain forks.", prev);
}

static void
check_sealed(LogScan *s, const LeafItem *item)
{
	if (!item->have || !s->o->roots || s->o->since_size > 0 || item->ref.leaf < s->noted)
		return;
	if (s->piece != NULL)
		s->piece->seqs[s->piece->nseqs++] = item->ref.seq;
	else if (bitmap_test_and_set(s->sealed, item->ref.seq))
		verify_finding(s->v, "sealed_twice", SEV_ERROR, psprintf("entry " INT64_FORMAT, item->ref.seq),
					   item->ref.seq, item->ref.leaf, "The entry has two places in the log.");
}

typedef struct ImageTask
{
	Verify	   *v;
	LeafItem	item;
} ImageTask;

static void
fetch_with_image(void *arg)
{
	ImageTask  *t = arg;

	(void) prov_entry_fetch(t->item.ref.xid, t->item.ref.seq, t->v->snapshot, true, &t->item.entry);
}

/* Checks a leaf that has its entry; right gets the hash that the entry gives. */
static void
check_entry(LogScan *s, LeafItem *item, bool has_prev, pv_hash *right)
{
	Verify	   *v = s->v;
	ProvEntry  *entry = &item->entry;
	int64		leaf = item->ref.leaf;
	pv_hash		prev;
	pv_hash		prev_right;
	pv_hash		given;
	pv_hash		computed;
	bool		has_right = false;
	bool		matches;
	ImageState	image = IMAGE_UNKNOWN;
	if (has_prev && !stored_hash(s, item->ref.prev_leaf, &prev))
		memset(&prev, 0, sizeof(prev));
	if (has_prev && hash_get_num_entries(s->overrides) > 0)
	{
		Override   *o = hash_search(s->overrides, &item->ref.prev_leaf, HASH_FIND, NULL);

		has_right = o != NULL;
		if (has_right)
			prev_right = o->hash;
	}

	verify_leaf_hash(entry, &entry->commitment, has_prev ? &prev : NULL, &computed);
	matches = pv_hash_equal(&computed, &item->ref.hash);
	if (!matches && has_right)
	{
		verify_leaf_hash(entry, &entry->commitment, &prev_right, &computed);
		matches = pv_hash_equal(&computed, &item->ref.hash);
	}

	if (s->o->images)
		image = verify_image(v, entry, leaf, NULL, true, &given);
	else if (!matches && s->piece == NULL)
	{
		/* only to tell an edited commitment from the rest */
		ImageTask	full = {v, *item};

		if (verify_try(v, fetch_with_image, &full))
			image = verify_image(v, &full.item.entry, leaf, NULL, false, &given);
	}
	else if (entry->op < 1 || entry->op > PV_OP_LAST)
		matches = false;

	*right = item->ref.hash;
	if (s->piece != NULL && (!matches || image == IMAGE_OTHER || v->unsound))
	{
		s->piece->bad = true;
		v->unsound = false;
		return;
	}
	if (matches)
	{
		if (image == IMAGE_OTHER)
			verify_finding(v, "image_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, entry->seq), entry->seq, leaf,
						   "Image, seed, shape or context of the entry were changed: they do not give its commitment, which is the one in the log.");
		return;
	}

	if (image == IMAGE_OTHER)
	{
		pv_hash		other;

		verify_leaf_hash(entry, &given, has_prev ? (has_right ? &prev_right : &prev) : NULL, &other);
		if (pv_hash_equal(&other, &item->ref.hash))
		{
			verify_finding(v, "commitment_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, entry->seq), entry->seq, leaf,
						   "The stored commitment of the entry was changed: its image gives the one in the log.");
			return;
		}
		if (s->o->images)
			verify_finding(v, "image_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, entry->seq), entry->seq, leaf,
						   "Image, seed, shape or context of the entry do not give its commitment.");
	}
	*right = computed;
	if (s->o->roots)
		add_pending(s, leaf, entry->seq, &computed);
	else
	{
		Pending		p = {.leaf = leaf, .seq = entry->seq};

		p.tile = verify_hash_in_tree(v, leaf, &computed) == 1;
		report_mismatch(s, &p);
	}
}

void
log_scan_leaf(LogScan *s, LeafItem *item)
{
	Verify	   *v = s->v;
	int64		leaf = item->ref.leaf;
	bool		ours = s->o->all_tables || (item->have && item->entry.table_id == s->o->table_id);
	bool		has_prev = ours && item->ref.prev_leaf >= 0;
	pv_hash		right = item->ref.hash;

	check_sealed(s, item);
	if (ours)
		check_predecessor(s, item);
	if (s->piece != NULL)
	{
		s->piece->hashes[leaf - s->piece->from] = item->ref.hash;
		if (s->piece->bad || v->findings > 0)
			return;				/* the leader will say what else there is */
	}
	if (!item->have)
	{
		if (!item->unreadable && (s->o->roots || s->o->piece))
			verify_finding(v, "entry_missing", SEV_ERROR, psprintf("entry " INT64_FORMAT, item->ref.seq),
						   item->ref.seq, leaf, "The log has a leaf for this entry, and the entry is not there.");
	}
	else if (ours)
	{
		check_entry(s, item, has_prev, &right);
		if (s->o->chains != NULL)
			chain_add(s->o->chains, &item->entry, item, pv_hash_equal(&right, &item->ref.hash), leaf);
	}
	if (s->o->roots && item->mapped != leaf)
		verify_finding(v, "map_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, item->ref.seq), item->ref.seq, leaf,
					   "The map from entries to leaves does not lead to this leaf.");

	if (item->have && item->ref.table_id != item->entry.table_id &&
		(ours || item->ref.table_id == s->o->table_id))
		verify_finding(v, "map_differs", SEV_ERROR, psprintf("entry " INT64_FORMAT, item->ref.seq), item->ref.seq, leaf,
					   "The log files the leaf under table %d, the entry is one of table %d.",
					   item->ref.table_id, item->entry.table_id);

	if (s->piece != NULL)
		return;
	remember_hash(s, leaf, &item->ref.hash, &right);
	if (s->o->roots)
		roots_add(s, leaf, &item->ref.hash, &right);
}

/* ---- the pass ---- */

void
log_scan_begin(LogScan *s, Verify *v, const LogScanOptions *o, VerifyShared *shared)
{
	HASHCTL		ctl = {0};

	s->v = v;
	s->o = o;
	s->shared = shared;
	ctl.keysize = sizeof(int64);
	ctl.entrysize = sizeof(Override);
	ctl.hcxt = v->cxt;
	s->overrides = hash_create("provenance verification, hashes", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	s->log_size = v->log_size;
}

/* What only the leader needs; good: the pieces that participants found good, if they looked. */
static void
begin(LogScan *s, Verify *v, const LogScanOptions *o, const bool *good)
{
	log_scan_begin(s, v, o, good != NULL ? v->parallel->shared : NULL);
	s->ring_size = Max((int64) maintenance_work_mem * 1024 / (int64) sizeof(pv_hash), 1024);
	s->ring_size = Min(s->ring_size, Max((o->until > 0 ? o->until - o->since_size : v->log_size) + 1, 1024));
	s->ring = MemoryContextAllocHuge(v->cxt, s->ring_size * sizeof(pv_hash));
	s->ring_begin = s->ring_end = o->since_size;
	if (good != NULL)
	{
		s->noted = v->log_size;
		s->sealed = bitmap_attach(v->cxt, SHARED_AT(s->shared, s->shared->seqs), s->shared->nseqs);
		s->predecessors = bitmap_attach(v->cxt, SHARED_AT(s->shared, s->shared->predecessors), s->shared->log_size);
	}
	else
	{
		s->sealed = bitmap_create(v->cxt);
		s->predecessors = bitmap_create(v->cxt);
	}
}

static void
report_gap(Verify *v, int64 from, int64 to)
{
	verify_finding(v, "leaf_missing", SEV_ERROR, psprintf("leaf " INT64_FORMAT, from), -1, from,
				   INT64_FORMAT " leaves from this one on are missing.", to - from);
}

static void
gap(LogScan *s, int64 from, int64 to)
{
	if (s->o->roots)
		roots_gap(s, from, to);
	s->ring_begin = to;
}

void
verify_log_scan(Verify *v, const LogScanOptions *o)
{
	LogScan    *s = palloc0(sizeof(LogScan));
	LeafBatch  *batch = palloc(sizeof(LeafBatch));
	int64		next = o->since_size;	/* the leaf that is due */
	int64		pos = o->since_size;	/* and that to read; greater where some are missing */
	bool	   *good;

	if (o->until == 0)
		verify_progress_begin(v, "leaves", v->log_size);
	good = verify_log_parallel(v, o);
	begin(s, v, o, good);
	if (o->roots && !roots_begin(s))
		return;
	if (o->until == 0)
		verify_progress_begin(v, "leaves", v->log_size);
	batch->failures = 0;
	batch->want_image = o->images;
	batch->want_map = o->roots;
	while (o->until == 0 || next < o->until)
	{
		int64		piece = pos / PIECE_LEAVES;
		int			i;

		/* the same pieces whether there are participants or not: the same findings */
		batch->until = o->until == 0 && pos < v->log_size ? Min((piece + 1) * PIECE_LEAVES, v->log_size) : 0;
		if (good != NULL && batch->until > 0 && good[piece - o->since_size / PIECE_LEAVES] &&
			pos == Max(piece * PIECE_LEAVES, o->since_size))
		{
			if (pos > next)
				gap(s, next, pos);
			if (o->roots)
				roots_add_good(s, pos, batch->until);
			next = pos = s->ring_begin = s->ring_end = batch->until;
			continue;
		}
		verify_read_batch(v, pos, batch);
		if (batch->n == 0)
		{
			if (batch->end)
				break;
			pos = Max(batch->until, batch->next);
			continue;
		}
		if (o->until > 0 && batch->first + batch->n > o->until)
			batch->n = (int) Max(o->until - batch->first, 0);
		if (batch->first > next)
		{
			if (o->roots)
				roots_gap(s, next, batch->first);
			else if (o->piece)
				report_gap(v, next, Min(batch->first, o->until));
			s->ring_begin = batch->first;
		}
		for (i = 0; i < batch->n; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(v->tmp);

			log_scan_leaf(s, &batch->items[i]);
			MemoryContextSwitchTo(old);
			if (i % 32 == 31)
				CHECK_FOR_INTERRUPTS();
		}
		next = pos = batch->first + batch->n;
		MemoryContextReset(v->tmp);
		if (o->until == 0)
			verify_progress(v, next);
	}
	if (o->roots)
		roots_end(s, next);
	else if (o->piece && next < o->until)
		report_gap(v, next, o->until);
	pfree(batch);
	pfree(s->ring);
	hash_destroy(s->overrides);
	bitmap_destroy(s->sealed);
	bitmap_destroy(s->predecessors);
}
