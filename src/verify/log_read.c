/*
 * log_read.c: the leaves of the log with their entries, in batches.
 *
 * A batch is read in one subtransaction. Only if that fails is each of its
 * parts read in one of its own, so that a finding names what cannot be read
 * and everything around it is still verified.
 *
 * A batch ends early when its images exceed BATCH_BYTES.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/memutils.h"
#include "utils/xid8.h"

#include "verify/verify.h"

#define BATCH_BYTES (32 * 1024 * 1024)
#define MIN_RANGE 4				/* leaves that are worth an index scan of their own */
#define MAX_SKIP 16				/* seqs between two leaves of such a scan */
#define MAX_FAILURES 1000		/* unreadable runs in a row, before giving up */

typedef struct ReadTask
{
	Verify	   *v;
	LeafBatch  *batch;
	int64		from;
	int			one;			/* careful: this item only */
	/* the first run read does not decode: it is of these leaves, as far as it says */
	bool		bad_run;
	int64		bad_first;
	int64		bad_end;

	/* the block of seq_block read last */
	bool		have_block;
	int64		block;
	int64		leaves[PROV_BLOCK_SEQS];
} ReadTask;

/*
 * The leaf of a seq, from seq_block; -1: none. Not by prov_log_leaf_of_seq(),
 * whose block others ask for in between.
 */
static int64
mapped_leaf(ReadTask *task, int64 seq)
{
	if (seq < 0)
		return -1;
	if (!task->have_block || task->block != seq / PROV_BLOCK_SEQS)
	{
		task->have_block = false;
		task->block = seq / PROV_BLOCK_SEQS;
		prov_seq_block_read(task->block, task->v->snapshot, task->leaves);
		task->have_block = true;
	}
	return task->leaves[seq % PROV_BLOCK_SEQS];
}

static void
read_entry(ReadTask *task, LeafItem *item)
{
	Verify	   *v = task->v;

	item->have = prov_entry_fetch(item->ref.xid, item->ref.seq, v->snapshot, task->batch->want_image, &item->entry);
	item->mapped = task->batch->want_map ? mapped_leaf(task, item->ref.seq) : item->ref.leaf;
}

/*
 * The entries of leaves of one transaction with rising seqs, as bulk statements
 * leave them, in one index scan; not all of them if the images become too many.
 */
static void
read_range(ReadTask *task, LeafItem *items, int n, Size *bytes)
{
	Verify	   *v = task->v;
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	ScanKeyData keys[3];
	ProvScan	scan;
	HeapTuple	tup;
	int			i = 0;

	prov_key_init(&keys[0], PROV_ENTRY, A_ENTRY_XID, BTEqualStrategyNumber, FullTransactionIdGetDatum(items[0].ref.xid));
	prov_key_init(&keys[1], PROV_ENTRY, A_ENTRY_SEQ, BTGreaterEqualStrategyNumber, Int64GetDatum(items[0].ref.seq));
	prov_key_init(&keys[2], PROV_ENTRY, A_ENTRY_SEQ, BTLessStrategyNumber, Int64GetDatum(items[n - 1].ref.seq + 1));
	prov_scan_begin_ordered(&scan, PROV_ENTRY, v->snapshot, 3, keys);
	while (i < n && *bytes <= BATCH_BYTES && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		int64		seq = DatumGetInt64(heap_getattr(tup, A_ENTRY_SEQ, desc, &isnull));

		while (i < n && items[i].ref.seq < seq)
			i++;
		if (i == n || items[i].ref.seq != seq)
			continue;
		items[i].have = true;
		prov_entry_from_tuple(tup, desc, task->batch->want_image, &items[i].entry);
		*bytes += items[i].entry.image_len;
	}
	prov_scan_end(&scan);
}

static void
read_one_entry(void *arg)
{
	ReadTask   *task = arg;

	read_entry(task, &task->batch->items[task->one]);
}

/* The map of up to BATCH_LEAVES leaves from task->from on. */
static void
read_runs(void *arg)
{
	ReadTask   *task = arg;
	LeafBatch  *batch = task->batch;
	ProvLeafRef refs[PROV_RUN_MAX];
	ProvRunScan *scan = prov_run_scan_open(task->v->log, task->from);
	int64		first;
	int			count;
	bool		ok;

	batch->n = 0;
	task->bad_run = false;
	while (batch->n < BATCH_LEAVES && prov_run_scan_next(scan, &first, &count, refs, &ok))
	{
		int			i;

		if (first > PG_INT64_MAX - PROV_RUN_MAX)
			ok = false;
		if (!ok)
		{
			int64		end = Min(first, PG_INT64_MAX - PROV_RUN_MAX) +
			(count > 0 && count <= PROV_RUN_MAX ? count : 1);

			/* a finding of its own, once what lies before it is through */
			if (end <= task->from)
				continue;
			if (batch->n == 0)
			{
				task->bad_run = true;
				task->bad_first = first;
				task->bad_end = end;
			}
			break;
		}
		if (batch->n > 0 && first > batch->first + batch->n)
			break;
		for (i = 0; i < count; i++)
		{
			int64		leaf = first + i;

			if (leaf < task->from || (batch->n > 0 && leaf < batch->first + batch->n))
				continue;
			if (batch->n == 0)
				batch->first = leaf;
			memset(&batch->items[batch->n], 0, sizeof(LeafItem));
			batch->items[batch->n].ref = refs[i];
			batch->items[batch->n].ref.leaf = leaf;
			batch->n++;
		}
	}
	prov_run_scan_close(scan);
}

/* How many leaves from this one on can be read in one index scan. */
static int
range_length(const LeafItem *items, int n)
{
	int			i;

	for (i = 1; i < n; i++)
		if (!FullTransactionIdEquals(items[i].ref.xid, items[0].ref.xid) ||
			items[i].ref.seq <= items[i - 1].ref.seq ||
			items[i].ref.seq - items[i - 1].ref.seq > MAX_SKIP)
			break;
	return i;
}

static void
read_all(void *arg)
{
	ReadTask   *task = arg;
	LeafBatch  *batch = task->batch;
	Size		bytes = 0;
	int			i;
	int			k;

	read_runs(task);
	for (i = 0; i < batch->n && bytes <= BATCH_BYTES;)
	{
		int			n = range_length(&batch->items[i], batch->n - i);

		if (n < MIN_RANGE || batch->items[i + n - 1].ref.seq == PG_INT64_MAX)
		{
			read_entry(task, &batch->items[i]);
			bytes += batch->items[i++].entry.image_len;
			continue;
		}
		read_range(task, &batch->items[i], n, &bytes);
		if (bytes > BATCH_BYTES)
		{
			/* those that were not reached are read next */
			for (k = n; k > 1 && !batch->items[i + k - 1].have; k--)
				;
			n = k;
		}
		for (k = i; k < i + n; k++)
			batch->items[k].mapped = batch->want_map ? mapped_leaf(task, batch->items[k].ref.seq) : batch->items[k].ref.leaf;
		i += n;
	}
	batch->n = i;
}

void
verify_read_batch(Verify *v, int64 from, LeafBatch *batch)
{
	ReadTask	task = {.v = v, .batch = batch};
	MemoryContext old = MemoryContextSwitchTo(v->tmp);
	int			failures = 0;
	int			i;

	for (;;)
	{
		task.from = from;
		if (!verify_try(v, read_all, &task))
		{
			if (!verify_try(v, read_runs, &task))
			{
				verify_finding(v, "unreadable", SEV_ERROR, psprintf("leaf " INT64_FORMAT, from), -1, from,
							   "The run of leaves cannot be read: %s", v->fault);
				if (from > v->log_size || ++failures == MAX_FAILURES)
				{
					batch->n = 0;
					break;
				}
				from += PROV_RUN_MAX;
				continue;
			}
			for (i = 0; i < batch->n; i++)
			{
				task.one = i;
				if (!verify_try(v, read_one_entry, &task))
				{
					batch->items[i].have = false;
					batch->items[i].unreadable = true;
					batch->items[i].mapped = batch->items[i].ref.leaf;
					verify_finding(v, "unreadable", SEV_ERROR, "entry", batch->items[i].ref.seq,
								   batch->items[i].ref.leaf, "The entry cannot be read: %s", v->fault);
				}
			}
		}
		if (!task.bad_run)
			break;
		verify_finding(v, "run_invalid", SEV_ERROR, psprintf("leaf_run " INT64_FORMAT, task.bad_first), -1, task.bad_first,
					   "The map or the hashes of a run of leaves do not decode.");
		from = task.bad_end;	/* greater than from was */
	}
	MemoryContextSwitchTo(old);
}
