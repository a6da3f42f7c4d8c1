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

#include "utils/memutils.h"

#include "verify/verify.h"

#define BATCH_BYTES (32 * 1024 * 1024)
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
} ReadTask;

static void
read_entry(ReadTask *task, LeafItem *item)
{
	Verify	   *v = task->v;

	item->have = prov_entry_fetch(item->ref.xid, item->ref.seq, v->snapshot, task->batch->want_image, &item->entry);
	item->mapped = task->batch->want_map ? prov_log_leaf_of_seq(v->log, item->ref.seq) : item->ref.leaf;
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

static void
read_all(void *arg)
{
	ReadTask   *task = arg;
	LeafBatch  *batch = task->batch;
	Size		bytes = 0;
	int			i;

	read_runs(task);
	for (i = 0; i < batch->n; i++)
	{
		read_entry(task, &batch->items[i]);
		bytes += batch->items[i].entry.image_len;
		if (bytes > BATCH_BYTES)
			batch->n = i + 1;
	}
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
				if (from > prov_log_size(v->log) || ++failures == MAX_FAILURES)
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
