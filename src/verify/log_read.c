/*
 * log_read.c: the leaves of the log with their entries, in batches.
 *
 * A batch is read in one subtransaction. Only if that fails is each of its
 * parts read in one of its own, so that a finding names what cannot be read
 * and everything around it is still verified.
 *
 * Entries are read in the order of their primary key, in as few index scans as
 * possible: leaves that are near each other are mostly those of transactions
 * near each other, and an entry met in a scan costs a fifth of one looked up.
 *
 * A batch ends early when its images exceed BATCH_BYTES.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/memutils.h"
#include "utils/xid8.h"

#include "verify/verify.h"

#define BATCH_BYTES (32 * 1024 * 1024)
#define MIN_RANGE 4				/* entries that are worth an index scan of their own */
#define MAX_SKIP 16				/* transactions or seqs between two entries of such a scan */
#define OWN_RANGE 32			/* entries of one transaction that are worth one of their own */
#define MAX_USELESS 64			/* entries met in vain, and 2 for each found, before a scan is given up */
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

static int
compare_items(const void *a, const void *b)
{
	const LeafItem *x = *(LeafItem *const *) a;
	const LeafItem *y = *(LeafItem *const *) b;
	uint64		p = U64FromFullTransactionId(x->ref.xid);
	uint64		q = U64FromFullTransactionId(y->ref.xid);

	if (p != q)
		return p < q ? -1 : 1;
	return x->ref.seq < y->ref.seq ? -1 : x->ref.seq > y->ref.seq;
}

/*
 * Reads entries in the order of the primary key, in one index scan; as many of
 * them as it comes to before too many others, or too many bytes, were met.
 * Returns how many that were: those of them that it did not meet are not there.
 */
static int
read_range(ReadTask *task, LeafItem **items, int n, Size *bytes)
{
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	uint64		first = U64FromFullTransactionId(items[0]->ref.xid);
	uint64		last = U64FromFullTransactionId(items[n - 1]->ref.xid);
	ScanKeyData keys[3];
	ProvScan	scan;
	HeapTuple	tup;
	int			allowance = MAX_USELESS;
	int			nkeys = 0;
	int			i = 0;

	if (first == last)
	{
		prov_key_init(&keys[nkeys++], PROV_ENTRY, A_ENTRY_XID, BTEqualStrategyNumber, FullTransactionIdGetDatum(items[0]->ref.xid));
		prov_key_init(&keys[nkeys++], PROV_ENTRY, A_ENTRY_SEQ, BTGreaterEqualStrategyNumber, Int64GetDatum(items[0]->ref.seq));
		prov_key_init(&keys[nkeys++], PROV_ENTRY, A_ENTRY_SEQ, BTLessStrategyNumber, Int64GetDatum(items[n - 1]->ref.seq + 1));
	}
	else
	{
		prov_key_init(&keys[nkeys++], PROV_ENTRY, A_ENTRY_XID, BTGreaterEqualStrategyNumber, FullTransactionIdGetDatum(items[0]->ref.xid));
		prov_key_init(&keys[nkeys++], PROV_ENTRY, A_ENTRY_XID, BTLessStrategyNumber,
					  FullTransactionIdGetDatum(FullTransactionIdFromU64(last + 1)));
	}
	prov_scan_begin_ordered(&scan, PROV_ENTRY, task->v->snapshot, nkeys, keys);
	for (;;)
	{
		LeafItem	met;
		LeafItem   *key = &met;
		bool		null_xid,
					null_seq;
		int			order = -1;

		if (allowance < 0 || *bytes > BATCH_BYTES)
			break;
		tup = prov_scan_next(&scan, ForwardScanDirection);
		if (!HeapTupleIsValid(tup))
		{
			i = n;
			break;
		}
		met.ref.xid = DatumGetFullTransactionId(heap_getattr(tup, A_ENTRY_XID, desc, &null_xid));
		met.ref.seq = DatumGetInt64(heap_getattr(tup, A_ENTRY_SEQ, desc, &null_seq));
		while (i < n && (order = compare_items(&items[i], &key)) < 0)
			i++;
		if (i == n)
			break;
		if (order != 0)
		{
			allowance--;
			continue;
		}
		items[i]->have = true;
		prov_entry_from_tuple(tup, desc, task->batch->want_image, &items[i]->entry);
		*bytes += items[i]->entry.image_len;
		allowance += 2;
		/* other leaves with the same entry look it up */
		while (++i < n && compare_items(&items[i - 1], &items[i]) == 0)
			read_entry(task, items[i]);
	}
	prov_scan_end(&scan);
	return i;
}

/* How many entries from this one on to try in one scan. */
static int
range_length(LeafItem **items, int n)
{
	int			same = 1;
	int			i;

	for (i = 1; i < n; i++)
	{
		uint64		xid = U64FromFullTransactionId(items[i]->ref.xid);
		uint64		before = U64FromFullTransactionId(items[i - 1]->ref.xid);

		if (xid == before)
		{
			/* the greatest seq has no successor to end a scan with */
			if (items[i]->ref.seq - items[i - 1]->ref.seq > MAX_SKIP || items[i]->ref.seq == PG_INT64_MAX)
				break;
			same++;
			continue;
		}
		/* a transaction with many has a scan of its own, which does not begin at its first entry */
		if (xid - before > MAX_SKIP || xid == PG_UINT64_MAX || same >= OWN_RANGE)
			break;
		same = 1;
	}
	return i;
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
	batch->end = false;
	batch->next = task->from;
	task->bad_run = false;
	while (batch->n < BATCH_LEAVES && prov_run_scan_next(scan, &first, &count, refs, &ok))
	{
		int			i;

		if (batch->until > 0 && first >= batch->until)
		{
			batch->next = first;
			prov_run_scan_close(scan);
			return;
		}
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

			if (leaf < task->from || (batch->n > 0 && leaf < batch->first + batch->n) ||
				(batch->until > 0 && leaf >= batch->until))
				continue;
			if (batch->n == 0)
				batch->first = leaf;
			memset(&batch->items[batch->n], 0, sizeof(LeafItem));
			batch->items[batch->n].ref = refs[i];
			batch->items[batch->n].ref.leaf = leaf;
			batch->n++;
		}
	}
	batch->end = batch->n == 0 && !task->bad_run;
	prov_run_scan_close(scan);
}

/* Each entry by a look-up, in the order of the leaves; n: as many as were read. */
static void
read_singly(ReadTask *task)
{
	LeafBatch  *batch = task->batch;
	Size		bytes = 0;
	int			i;

	for (i = 0; i < batch->n && bytes <= BATCH_BYTES; i++)
	{
		read_entry(task, &batch->items[i]);
		bytes += batch->items[i].entry.image_len;
	}
	batch->n = i;
}

static void
read_all(void *arg)
{
	ReadTask   *task = arg;
	LeafBatch  *batch = task->batch;
	LeafItem   *items[lengthof(batch->items)];
	Size		bytes = 0;
	bool		sorted = true;
	int			i;

	read_runs(task);
	for (i = 0; i < batch->n; i++)
	{
		items[i] = &batch->items[i];
		sorted = sorted && (i == 0 || compare_items(&items[i - 1], &items[i]) < 0);
	}
	if (!sorted)
		qsort(items, batch->n, sizeof(items[0]), compare_items);
	for (i = 0; i < batch->n && bytes <= BATCH_BYTES;)
	{
		int			n = range_length(&items[i], batch->n - i);
		int			done = n < MIN_RANGE ? 0 : read_range(task, &items[i], n, &bytes);

		if (done == 0)
		{
			read_entry(task, items[i]);
			bytes += items[i]->entry.image_len;
			done = 1;
		}
		i += done;
	}
	if (i < batch->n)
	{
		/* few entries have images as large as that */
		for (i = 0; i < batch->n; i++)
		{
			LeafItem   *item = &batch->items[i];

			if (item->entry.image != NULL)
				pfree(item->entry.image);
			item->have = false;
			memset(&item->entry, 0, sizeof(item->entry));
		}
		read_singly(task);
	}
	for (i = 0; i < batch->n; i++)
		batch->items[i].mapped = batch->want_map ? mapped_leaf(task, batch->items[i].ref.seq) : batch->items[i].ref.leaf;
}

void
verify_read_batch(Verify *v, int64 from, LeafBatch *batch)
{
	ReadTask	task = {.v = v, .batch = batch};
	MemoryContext old = MemoryContextSwitchTo(v->tmp);
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
				from += PROV_RUN_MAX;
				batch->n = 0;
				batch->next = from;
				batch->end = from - PROV_RUN_MAX > v->log_size || ++batch->failures == MAX_FAILURES;
				if (batch->end || (batch->until > 0 && from >= batch->until))
					break;
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
	if (batch->n > 0)
		batch->failures = 0;
	MemoryContextSwitchTo(old);
}
