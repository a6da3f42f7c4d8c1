/*
 * parallel.c: launching the server's parallel workers for a verification.
 *
 * One segment of dynamic shared memory lasts for the whole call: hashes of
 * leaves, bitmaps, the set of temporary files. Each kind of work launches
 * workers anew, with the pieces' counter and their results in the launch's own
 * segment: between launches the leader is not in parallel mode, and so can read
 * in subtransactions (verify_try()), which parallel mode forbids.
 *
 * How many: max_parallel_maintenance_workers, of max_parallel_workers of the
 * server; none if the table of entries is smaller than
 * min_parallel_table_scan_size, in single-user mode, and below another parallel
 * operation. If none is to be had, the leader does all the pieces.
 *
 * Workers have the leader's snapshot, transaction, role and settings. They
 * write nothing but temporary files.
 *
 * Memory: leaf hashes of up to maintenance_work_mem; four bits and an eighth of
 * a byte for each leaf.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "verify/chain_store.h"
#include "verify/parallel.h"

#define KEY_WORK UINT64CONST(0x50560001)
#define KEY_GOOD UINT64CONST(0x50560002)
#define KEY_EXTRA UINT64CONST(0x50560003)

/* ---- one launch ---- */

bool
verify_next_piece(Participant *p, uint64 *piece)
{
	CHECK_FOR_INTERRUPTS();
	if (pg_atomic_read_u32(&p->work->failed) != 0)
		return false;
	*piece = pg_atomic_fetch_add_u64(&p->work->next, 1);
	if (*piece >= p->work->npieces)
		return false;
	p->done++;
	return true;
}

bool
verify_participant_failed(Participant *p)
{
	if (p->number > 0)
		return false;
	/* a message may have been the last of a worker, and taken for an error of what was read */
	ParallelMessagePending = true;
	InterruptPending = true;
	return pg_atomic_read_u32(&p->work->broken) != 0;
}

/* A Verify that says nothing of what it finds, and counts it. */
static Verify *
begin_quiet(const VerifyShared *shared)
{
	Verify	   *v = palloc0(sizeof(Verify));

	v->quiet = true;
	v->usable = true;
	verify_open(v);
	v->log_size = shared->log_size;
	v->key = shared->key;
	if (shared->has_identity)
	{
		v->identity = palloc0(sizeof(ProvIdentity));
		memcpy(v->identity->row_key, shared->row_key, PV_ROW_KEY_LEN);
	}
	return v;
}

static void
take_part(VerifyWork *work, VerifyShared *shared, bool *good, void *extra, int number)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance verification, participant", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Participant p = {.work = work, .shared = shared, .good = good, .extra = extra, .number = number};

	p.v = begin_quiet(shared);
	p.v->participant = &p;
	switch (work->kind)
	{
		case WORK_LEAVES:
			verify_work_leaves(&p);
			break;
		case WORK_ROWS:
			verify_work_rows(&p);
			break;
		case WORK_CHAINS:
			verify_work_chains(&p);
			break;
	}
	if (number > 0)
		pg_atomic_fetch_add_u64(&work->by_workers, p.done);
	prov_log_close(p.v->prev_log);
	prov_log_close(p.v->log);
	UnregisterSnapshot(p.v->snapshot);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

void
provenance_verify_worker(dsm_segment *seg, shm_toc *toc)
{
	VerifyWork *work = shm_toc_lookup(toc, KEY_WORK, false);
	bool	   *good = shm_toc_lookup(toc, KEY_GOOD, false);
	void	   *extra = shm_toc_lookup(toc, KEY_EXTRA, true);
	dsm_segment *segment = dsm_attach(work->segment);
	VerifyShared *shared;

	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment")));
	shared = dsm_segment_address(segment);
	SharedFileSetAttach(&shared->files, segment);
	PG_TRY();
	{
		take_part(work, shared, good, extra, ParallelWorkerNumber + 1);
	}
	PG_CATCH();
	{
		pg_atomic_write_u32(&work->broken, 1);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dsm_detach(segment);
}

bool
verify_launch(Verify *v, VerifyWork *work, void *extra, Size extra_len, bool *good)
{
	VerifyParallel *par = v->parallel;
	VerifyShared *shared = par->shared;
	ParallelContext *pcxt;
	VerifyWork *w;
	bool	   *g;
	void	   *e = NULL;
	bool		ok;

	if (shared->nlaunches == MAX_LAUNCHES)
		return false;
	PushActiveSnapshot(v->snapshot);	/* which the workers get */
	EnterParallelMode();
	pcxt = CreateParallelContext("$libdir/provenance", "provenance_verify_worker",
								 (int) Min((uint64) par->nworkers, work->npieces));
	shm_toc_estimate_chunk(&pcxt->estimator, sizeof(VerifyWork));
	shm_toc_estimate_chunk(&pcxt->estimator, work->npieces);
	shm_toc_estimate_chunk(&pcxt->estimator, extra_len);
	shm_toc_estimate_keys(&pcxt->estimator, 3);
	InitializeParallelDSM(pcxt);

	w = shm_toc_allocate(pcxt->toc, sizeof(VerifyWork));
	*w = *work;
	w->segment = dsm_segment_handle(par->segment);
	w->launch = shared->nlaunches;
	pg_atomic_init_u64(&w->next, 0);
	pg_atomic_init_u64(&w->by_workers, 0);
	pg_atomic_init_u64(&w->filled, 0);
	pg_atomic_init_u32(&w->failed, 0);
	pg_atomic_init_u32(&w->broken, 0);
	shm_toc_insert(pcxt->toc, KEY_WORK, w);
	g = shm_toc_allocate(pcxt->toc, work->npieces);
	memset(g, 0, work->npieces);
	shm_toc_insert(pcxt->toc, KEY_GOOD, g);
	if (extra_len > 0)
	{
		e = shm_toc_allocate(pcxt->toc, extra_len);
		memcpy(e, extra, extra_len);
		shm_toc_insert(pcxt->toc, KEY_EXTRA, e);
	}
	shared->participants[shared->nlaunches++] = pcxt->nworkers + 1;

	LaunchParallelWorkers(pcxt);
	take_part(w, shared, g, e, 0);	/* meanwhile they start: to wait for that would keep a processor busy */
	WaitForParallelWorkersToFinish(pcxt);	/* one that could not start is an error here */
	ok = pg_atomic_read_u32(&w->failed) == 0;
	memcpy(good, g, work->npieces);
	if (extra_len > 0)
		memcpy(extra, e, extra_len);
	ereport(DEBUG1,
			(errmsg_internal("verification: %d parallel workers did " UINT64_FORMAT " of " UINT64_FORMAT " pieces",
							 pcxt->nworkers_launched, pg_atomic_read_u64(&w->by_workers), work->npieces)));
	DestroyParallelContext(pcxt);
	ExitParallelMode();
	PopActiveSnapshot();
	return ok;
}

/* ---- the call ---- */

typedef struct BeginTask
{
	Verify	   *v;
	BlockNumber nblocks;		/* of the entries */
	bool		complete;		/* the last leaf is where the log's size says */
	int64		seq;			/* about the greatest */
	Size		size;
	dsm_segment *segment;
} BeginTask;

static void
look_at_entries(void *arg)
{
	BeginTask  *task = arg;
	/* the lock is kept: participants read parts, which must be parts of one table */
	Relation	rel = table_open(prov_relid(PROV_ENTRY), AccessShareLock);
	ProvLeafRef ref;
	ProvScan	scan;
	HeapTuple	tup;

	task->nblocks = RelationGetNumberOfBlocks(rel);
	table_close(rel, NoLock);
	task->complete = prov_log_leaf(task->v->log, task->v->log_size - 1, &ref);
	if (task->complete)
		task->seq = Max(task->seq, ref.seq);
	prov_scan_begin_ordered(&scan, PROV_ENTRY, task->v->snapshot, 0, NULL);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tup))
		task->seq = Max(task->seq, prov_int64(tup, PROV_ENTRY, A_ENTRY_SEQ));
	prov_scan_end(&scan);
}

static void
create_segment(void *arg)
{
	BeginTask  *task = arg;

	task->segment = dsm_create(task->size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (task->segment != NULL)
		dsm_pin_mapping(task->segment); /* not to end with the subtransaction */
}

static Size
add_room(Size *size, Size length)
{
	Size		at = *size;

	*size = add_size(*size, MAXALIGN(length));
	return at;
}

void
verify_parallel_begin(Verify *v)
{
	const int64 step = 2 * PIECE_LEAVES;
	BeginTask	task = {.v = v};
	VerifyShared s;
	VerifyParallel *par;

	if (!v->usable || v->log_size <= 0 || max_parallel_maintenance_workers <= 0 || !IsUnderPostmaster ||
		IsInParallelMode() || !IsMVCCSnapshot(v->snapshot))
		return;
	if (!verify_try(v, look_at_entries, &task) || !task.complete || task.nblocks < (BlockNumber) min_parallel_table_scan_size)
		return;
	/* numbers that cannot be: whoever reads the log alone knows what to do */
	if (v->log_size / MaxHeapTuplesPerPage > task.nblocks || task.seq < 0 || task.seq > PG_INT64_MAX / 2)
		return;

	memset(&s, 0, sizeof(s));
	s.log_size = v->log_size;
	s.one_file = chain_one_file(v);
	s.nblocks = task.nblocks;
	s.nlaunches = 1;
	s.participants[0] = 1;
	s.key = v->key;
	s.has_identity = v->identity != NULL;
	if (s.has_identity)
		memcpy(s.row_key, v->identity->row_key, PV_ROW_KEY_LEN);
	s.ring_size = (v->log_size + step - 1) / step * step;
	s.ring_size = Min(s.ring_size, Max((int64) maintenance_work_mem * 1024 / (int64) sizeof(pv_hash) / step, 1) * step);
	/* writers draw further ones, and what was rolled back leaves gaps */
	s.nseqs = task.seq + task.seq / 4 + 1024 * 1024;
	if (s.nseqs / 64 > v->log_size + 1024 * 1024)
		return;					/* something is wrong with them: whoever reads them alone knows what to do */

	s.length = MAXALIGN(sizeof(VerifyShared));
	s.ring = add_room(&s.length, s.ring_size * sizeof(pv_hash));
	s.tiles = add_room(&s.length, v->log_size / PV_TILE_WIDTH * sizeof(pv_hash));
	s.seqs = add_room(&s.length, (s.nseqs + 63) / 64 * 8);
	s.predecessors = add_room(&s.length, (v->log_size + 63) / 64 * 8);
	s.entries = add_room(&s.length, (s.nseqs + 63) / 64 * 8);
	s.coming = add_room(&s.length, (s.nseqs + 63) / 64 * 8);
	task.size = s.length;
	v->dispensable = true;		/* too little shared memory is no reason to fail */
	if (!verify_try(v, create_segment, &task))
		task.segment = NULL;
	v->dispensable = false;
	if (task.segment == NULL)
		return;
	dsm_unpin_mapping(task.segment);

	par = MemoryContextAllocZero(v->cxt, sizeof(VerifyParallel));
	par->segment = task.segment;
	par->nworkers = max_parallel_maintenance_workers;
	par->shared = dsm_segment_address(task.segment);
	*par->shared = s;
	memset(SHARED_AT(par->shared, s.seqs), 0, s.length - s.seqs);
	SharedFileSetInit(&par->shared->files, task.segment);
	v->parallel = par;
}

void
verify_parallel_end(Verify *v)
{
	if (v->parallel != NULL)
		dsm_detach(v->parallel->segment);
	v->parallel = NULL;
}
