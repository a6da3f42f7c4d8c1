/*-------------------------------------------------------------------------
 *
 * subject_changes.c
 *	  subject_changes(): all entries of the rows of one subject in a table.
 *
 * A row is a subject's if any of its images names the subject in the table's
 * subject column. Its whole chain is shown, with the deletes, which have key
 * columns only, and with what happened before or after it was another's.
 *
 * There is no index over subjects: that would cost the sealer a look-up for
 * each entry. The table of entries is read twice from end to end, about a
 * million entries a second; only those of the subject are looked up in the log.
 *
 * Memory: some 100 bytes for each entry of the subject. Locks: none beyond
 * those of reading.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "prove/prove.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_subject_changes);

/* An entry of the subject. place: its leaf, or, unsealed, beyond all leaves. */
typedef struct SubjectEntry
{
	uint8		row_id[PV_ROW_ID_LEN];
	FullTransactionId xid;
	int64		seq;
	uint64		place;
	bool		sealed;
} SubjectEntry;

typedef struct SubjectScan
{
	HistoryOutput out;
	ProvLog    *log;
	pv_name		column;			/* the subject column */
	pv_value	subject;		/* UTF-8 */
	HTAB	   *rows;			/* row ids */
	SubjectEntry *entries;
	int64		n;
	int64		cap;
} SubjectScan;

/* Does the image hold the subject in the subject column? */
static bool
names_subject(SubjectScan *scan, const ProvEntry *entry)
{
	ProveShape *view = history_shape(&scan->out, entry->shape_id);
	ProveImage	image;
	int			i;

	prove_image(entry, view, &image);
	if (!image.valid)
		return false;
	for (i = 0; i < image.n; i++)
		if (image.names[i].len == scan->column.len &&
			memcmp(image.names[i].s, scan->column.s, scan->column.len) == 0)
			return image.values[i].data != NULL && image.values[i].len == scan->subject.len &&
				memcmp(image.values[i].data, scan->subject.data, scan->subject.len) == 0;
	return false;
}

static void
add_entry(SubjectScan *scan, const ProvEntry *entry, uint64 place, bool sealed)
{
	SubjectEntry *e;

	if (scan->n == scan->cap)
	{
		scan->cap = Max(scan->cap * 2, 64);
		scan->entries = scan->entries == NULL ?
			MemoryContextAllocHuge(scan->out.cxt, scan->cap * sizeof(SubjectEntry)) :
			repalloc_huge(scan->entries, scan->cap * sizeof(SubjectEntry));
	}
	e = &scan->entries[scan->n++];
	memcpy(e->row_id, entry->row_id, PV_ROW_ID_LEN);
	e->xid = entry->xid;
	e->seq = entry->seq;
	e->place = place;
	e->sealed = sealed;
}

/* Reads the table's entries: finds the rows, or then the entries of the rows. */
static void
read_entries(SubjectScan *scan, bool find_rows)
{
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	int32		table_id = scan->out.target->table->table_id;
	ProvScan	heap;
	HeapTuple	tup;

	prov_scan_begin(&heap, PROV_ENTRY, InvalidOid, scan->out.snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&heap, ForwardScanDirection)))
	{
		MemoryContext old;
		ProvEntry	entry;
		bool		isnull;
		Datum		d;

		CHECK_FOR_INTERRUPTS();
		d = heap_getattr(tup, A_ENTRY_TABLE, desc, &isnull);
		if (isnull || DatumGetInt32(d) != table_id)
			continue;
		old = MemoryContextSwitchTo(scan->out.row);
		prov_entry_from_tuple(tup, desc, find_rows, &entry);
		if (find_rows)
		{
			if (history_has_row(entry.op) && names_subject(scan, &entry))
				(void) hash_search(scan->rows, entry.row_id, HASH_ENTER, NULL);
		}
		else if (hash_search(scan->rows, entry.row_id, HASH_FIND, NULL) != NULL)
		{
			int64		leaf = prov_log_leaf_of_seq(scan->log, entry.seq);

			if (leaf >= 0)
				add_entry(scan, &entry, (uint64) leaf, true);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(scan->out.row);
	}
	prov_scan_end(&heap);
}

static void
read_unsealed(SubjectScan *scan)
{
	ProvUnsealedScan *unsealed = prov_unsealed_open(scan->out.snapshot);
	uint64		place = PG_INT64_MAX;
	ProvEntry	entry;

	while (prov_unsealed_next(unsealed, &entry))
	{
		CHECK_FOR_INTERRUPTS();
		if (entry.table_id == scan->out.target->table->table_id &&
			hash_search(scan->rows, entry.row_id, HASH_FIND, NULL) != NULL)
			add_entry(scan, &entry, place++, false);
	}
	prov_unsealed_close(unsealed);
}

/* Row by row, each in the order of its chain. */
static int
by_row(const void *a, const void *b)
{
	const SubjectEntry *x = a;
	const SubjectEntry *y = b;
	int			c = memcmp(x->row_id, y->row_id, PV_ROW_ID_LEN);

	if (c != 0)
		return c;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void
put_entries(SubjectScan *scan)
{
	MemoryContext images[2];
	ProvEntry	before = {0};
	bool		have_before = false;
	int			turn = 0;
	int64		i;

	images[0] = AllocSetContextCreate(scan->out.cxt, "provenance image", ALLOCSET_DEFAULT_SIZES);
	images[1] = AllocSetContextCreate(scan->out.cxt, "provenance image", ALLOCSET_DEFAULT_SIZES);
	for (i = 0; i < scan->n; i++)
	{
		const SubjectEntry *e = &scan->entries[i];
		MemoryContext old;
		ProvEntry	entry;
		ProvLeafRef ref;
		ProvLeafRef prev;
		bool		found;
		bool		chained = false;

		CHECK_FOR_INTERRUPTS();
		if (i == 0 || memcmp(e->row_id, e[-1].row_id, PV_ROW_ID_LEN) != 0)
			have_before = false;
		MemoryContextReset(images[turn]);
		old = MemoryContextSwitchTo(images[turn]);
		found = prov_entry_fetch(e->xid, e->seq, scan->out.snapshot, true, &entry);
		MemoryContextSwitchTo(old);
		if (!found)
			continue;
		if (e->sealed)
		{
			if (!prov_log_leaf(scan->log, (int64) e->place, &ref) || ref.seq != e->seq)
				prove_log_damaged((int64) e->place);
			chained = ref.prev_leaf >= 0;
			if (chained && !prov_log_leaf(scan->log, ref.prev_leaf, &prev))
				prove_log_damaged(ref.prev_leaf);
		}
		history_put(&scan->out, e->sealed ? &ref : NULL, chained ? &prev.hash : NULL, &entry,
					have_before ? &before : NULL);
		MemoryContextReset(scan->out.row);
		if (history_has_row(entry.op))
		{
			before = entry;
			have_before = true;
			turn = 1 - turn;
		}
	}
}

/* subject_changes(target regclass, subject text) */
Datum
provenance_subject_changes(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot;
	SubjectScan scan = {0};
	ProveTarget *target;
	HASHCTL		ctl = {.keysize = PV_ROW_ID_LEN, .entrysize = PV_ROW_ID_LEN};
	text	   *subject;
	size_t		len;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table and the subject must not be null")));
	snapshot = RegisterSnapshot(GetActiveSnapshot());
	target = prove_target(PG_GETARG_OID(0), snapshot);
	if (target->table->subject == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was tagged without a subject", target->table->table),
				 errhint("Name the column that says whose data a row is: provenance.tag(…, subject => …).")));
	scan.column.s = prov_to_utf8(target->table->subject, strlen(target->table->subject), &len);
	scan.column.len = (uint16_t) len;
	if (!prove_column_visible(target, scan.column))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_COLUMN, target->table->subject);
	subject = PG_GETARG_TEXT_PP(1);
	scan.subject.data = (const uint8_t *) prov_to_utf8(VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject), &len);
	scan.subject.len = (uint32_t) len;

	history_begin(&scan.out, fcinfo, target, snapshot, true);
	ctl.hcxt = scan.out.cxt;
	scan.rows = hash_create("provenance rows of a subject", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	scan.log = prov_log_open(snapshot);
	read_entries(&scan, true);
	if (hash_get_num_entries(scan.rows) > 0)
	{
		read_entries(&scan, false);
		read_unsealed(&scan);
		if (scan.n > 0)
			qsort(scan.entries, scan.n, sizeof(SubjectEntry), by_row);
		put_entries(&scan);
	}
	prov_log_close(scan.log);
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}
