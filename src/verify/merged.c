/*
 * merged.c: what was merged of partners, beside what their leaves commit to.
 *
 * The merges themselves are entries of the own log and checked as such. The
 * entries that they brought are not; what is stored of each must give what is
 * in its leaf (ledger/merged.c): merged_invalid. And each merge is of a
 * checkpoint that is kept: partner_checkpoint_missing.
 *
 * What cannot be detected: a merged entry that is gone, or of which less is
 * shown than was disclosed; a pseudonym that was changed. That the leaves are
 * in the partner's log is what prove_merged() shows, each at the price of a
 * walk over its merge.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"

#include "compat.h"
#include "ledger/merged.h"
#include "types/types.h"
#include "verify/verify.h"

static void
check_leaf(Verify *v, ProvMergedCheck *check, HeapTuple tup)
{
	const char *fault = prov_merged_check(check, tup);
	bool		isnull;

	if (fault != NULL)
		verify_finding(v, "merged_invalid", SEV_ERROR,
					   prov_merged_object(DatumGetInt32(heap_getattr(tup, A_MLEAF_LOG, prov_tupdesc(PROV_MERGED_LEAF), &isnull)), v->snapshot),
					   -1, prov_int64(tup, PROV_MERGED_LEAF, A_MLEAF_INDEX),
					   "The merged entry is not what was merged: %s.", fault);
}

void
verify_merged_row(Verify *v, HeapTuple tup)
{
	check_leaf(v, prov_merged_check_begin(v->snapshot), tup);
}

static void
check_leaves(void *arg)
{
	Verify	   *v = arg;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance merged entry", ALLOCSET_DEFAULT_SIZES);
	ProvMergedCheck *check = prov_merged_check_begin(v->snapshot);
	ProvScan	scan;
	HeapTuple	tup;
	int64		n = 0;

	prov_scan_begin(&scan, PROV_MERGED_LEAF, InvalidOid, v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);

		check_leaf(v, check, tup);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
		verify_progress(v, ++n);
	}
	prov_scan_end(&scan);
	MemoryContextDelete(cxt);
}

/* Id of the log with that origin; 0: there is none. */
static int32
log_of_origin(Verify *v, const char *origin)
{
	TupleDesc	desc = prov_tupdesc(PROV_PARTNER_LOG);
	ProvScan	scan;
	HeapTuple	tup;
	int32		found = 0;

	prov_scan_begin(&scan, PROV_PARTNER_LOG, InvalidOid, v->snapshot, 0, NULL);
	while (found == 0 && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		null_origin;
		bool		null_id;
		Datum		d = heap_getattr(tup, A_PLOG_ORIGIN, desc, &null_origin);
		int32		id = DatumGetInt32(heap_getattr(tup, A_PLOG_ID, desc, &null_id));

		if (!null_origin && !null_id && strcmp(TextDatumGetCString(d), origin) == 0)
			found = id;
	}
	prov_scan_end(&scan);
	return found;
}

static void
check_merge(Verify *v, HeapTuple tup)
{
	Datum		values[N_MERGE];
	bool		nulls[N_MERGE];
	char	   *origin;
	int32		log_id;
	HeapTuple	seen;
	bool		isnull = true;
	Datum		root = (Datum) 0;

	heap_deform_tuple(tup, prov_tupdesc(PROV_MERGE), values, nulls);
	if (nulls[A_MERGE_PARTNER - 1] || nulls[A_MERGE_ORIGIN - 1] || nulls[A_MERGE_SIZE - 1] || nulls[A_MERGE_ROOT - 1])
		return;					/* not the row that was recorded, which is another finding */
	origin = TextDatumGetCString(values[A_MERGE_ORIGIN - 1]);
	log_id = log_of_origin(v, origin);
	seen = log_id == 0 ? NULL : prov_fetch2(PROV_PARTNER_CHECKPOINT, Int32GetDatum(log_id), values[A_MERGE_SIZE - 1], v->snapshot);
	if (seen != NULL)
		root = heap_getattr(seen, A_PCP_ROOT, prov_tupdesc(PROV_PARTNER_CHECKPOINT), &isnull);
	if (isnull || !pv_hash_equal(DatumGetHashP(root), DatumGetHashP(values[A_MERGE_ROOT - 1])))
		verify_finding(v, "partner_checkpoint_missing", SEV_ERROR,
					   psprintf("%s/%s", TextDatumGetCString(values[A_MERGE_PARTNER - 1]), origin), -1, -1,
					   "A bundle was merged under the checkpoint of size " INT64_FORMAT ", which is not kept any more, or has another root.",
					   DatumGetInt64(values[A_MERGE_SIZE - 1]));
}

void
verify_merge_row(Verify *v, HeapTuple tup)
{
	check_merge(v, tup);
}

static void
check_merges(void *arg)
{
	Verify	   *v = arg;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance merge", ALLOCSET_DEFAULT_SIZES);
	ProvScan	scan;
	HeapTuple	tup;
	int64		n = 0;

	prov_scan_begin(&scan, PROV_MERGE, InvalidOid, v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);

		check_merge(v, tup);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
		verify_progress(v, ++n);
	}
	prov_scan_end(&scan);
	MemoryContextDelete(cxt);
}

void
verify_merged(Verify *v)
{
	verify_progress_begin(v, "merged entries", 0);
	if (!verify_try(v, check_leaves, v))
		verify_finding(v, "unreadable", SEV_ERROR, "merged_leaf", -1, -1,
					   "The merged entries cannot be read: %s", v->fault);
	verify_progress_begin(v, "merges", 0);
	if (!verify_try(v, check_merges, v))
		verify_finding(v, "unreadable", SEV_ERROR, "merge", -1, -1, "The merges cannot be read: %s", v->fault);
}
