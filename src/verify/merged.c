/*
 * merged.c: what was merged of partners, beside what their leaves commit to.
 *
 * The merges themselves are entries of the own log and checked as such. What
 * they brought is not; but each merge says how many entries its bundle had, how
 * many of them and of their countersignatures were new, and under which root.
 * So: what is stored of each entry must give what is in its leaf
 * (ledger/merged.c): merged_invalid. A countersignature must be a signature over
 * its entry's leaf: countersignature_invalid. The leaves of each merge and the
 * hashes between them must give its root, and numbers must be as stated, so
 * that none is gone, exchanged or added: merge_incomplete. The checkpoint of
 * each merge is kept: partner_checkpoint_missing. The registry has its partner
 * by that name and origin: partner_differs.
 *
 * What cannot be detected: that less of an entry is shown than was disclosed; a
 * pseudonym or the place of a previous entry that was changed; one
 * countersignature exchanged for another good one; a partner's keys and state.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/bundle.h"
#include "ledger/merged.h"
#include "types/types.h"
#include "verify/verify.h"

/* How many rows there are, by merge or by log. */
typedef struct Count
{
	int64		id;				/* hash key */
	int64		n;
} Count;

typedef struct Merged
{
	Verify	   *v;
	bool		all;			/* not one row out of many */
	HTAB	   *leaves;			/* by the merge that showed them first; NULL: they could not be read */
	HTAB	   *signatures;		/* by log: those that are there, less those that were merged; NULL likewise */
	char	   *differs;		/* origin of the last log found not to be the registry's */

	/* of a walk */
	pv_frontier tree;
	int64		walked;
} Merged;

static HTAB *
counts(Verify *v)
{
	HASHCTL		ctl = {.keysize = sizeof(int64), .entrysize = sizeof(Count), .hcxt = v->cxt};

	return hash_create("provenance verification, merges", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static int64
count(HTAB *table, int64 id, int64 add)
{
	bool		found;
	Count	   *c = hash_search(table, &id, HASH_ENTER, &found);

	if (!found)
		c->n = 0;
	return c->n += add;
}

/* --- entries and countersignatures ------------------------------------- */

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
	Merged	   *m = arg;
	Verify	   *v = m->v;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance merged entry", ALLOCSET_DEFAULT_SIZES);
	ProvMergedCheck *check = prov_merged_check_begin(v->snapshot);
	HTAB	   *leaves = counts(v);
	ProvScan	scan;
	HeapTuple	tup;
	int64		n = 0;

	prov_scan_begin(&scan, PROV_MERGED_LEAF, InvalidOid, v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);

		check_leaf(v, check, tup);
		(void) count(leaves, prov_int64(tup, PROV_MERGED_LEAF, A_MLEAF_MERGE), 1);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
		verify_progress(v, ++n);
	}
	prov_scan_end(&scan);
	MemoryContextDelete(cxt);
	m->leaves = leaves;
}

/* What is wrong with a countersignature, or NULL. */
static const char *
signature_fault(Verify *v, HeapTuple tup, int32 log_id, int64 index)
{
	const uint8 *key = prov_bytes(tup, PROV_MERGED_COUNTERSIGNATURE, A_MCSIG_KEY, PV_ED25519_PUBLIC_LEN);
	const uint8 *signature = prov_bytes(tup, PROV_MERGED_COUNTERSIGNATURE, A_MCSIG_SIGNATURE, PV_ED25519_SIGNATURE_LEN);
	HeapTuple	leaf = prov_fetch2(PROV_MERGED_LEAF, Int32GetDatum(log_id), Int64GetDatum(index), v->snapshot);
	const uint8 *bytes;
	uint8		message[PV_COUNTERSIGNATURE_MESSAGE_LEN];
	pv_buf		b;

	if (key == NULL || signature == NULL)
		return "it has no key or signature of the right length";
	if (leaf == NULL)
		return "its entry is gone";
	bytes = prov_bytes(leaf, PROV_MERGED_LEAF, A_MLEAF_LEAF, PV_LEAF_LEN);
	if (bytes == NULL)
		return NULL;			/* which is another finding */
	pv_buf_init(&b, message, sizeof(message));
	pv_put_countersignature_message(&b, bytes);
	prov_check(pv_buf_status(&b));
	if (!prov_holds(pv_ed25519_verify(key, message, sizeof(message), signature)))
		return "it is not by the key that it is kept with, or is over something else";
	return NULL;
}

static void
check_signatures(void *arg)
{
	Merged	   *m = arg;
	Verify	   *v = m->v;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance merged countersignature", ALLOCSET_DEFAULT_SIZES);
	HTAB	   *signatures = counts(v);
	ProvScan	scan;
	HeapTuple	tup;
	int64		n = 0;

	prov_scan_begin(&scan, PROV_MERGED_COUNTERSIGNATURE, InvalidOid, v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);
		bool		isnull;
		int32		log_id = DatumGetInt32(heap_getattr(tup, A_MCSIG_LOG, prov_tupdesc(PROV_MERGED_COUNTERSIGNATURE), &isnull));
		int64		index = prov_int64(tup, PROV_MERGED_COUNTERSIGNATURE, A_MCSIG_INDEX);
		const char *fault = signature_fault(v, tup, log_id, index);

		if (fault != NULL)
			verify_finding(v, "countersignature_invalid", SEV_ERROR, prov_merged_object(log_id, v->snapshot), -1, index,
						   "A countersignature on the merged entry is not what was merged: %s.", fault);
		(void) count(signatures, log_id, 1);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
		verify_progress(v, ++n);
	}
	prov_scan_end(&scan);
	MemoryContextDelete(cxt);
	m->signatures = signatures;
}

/* --- merges ------------------------------------------------------------- */

static void
walk_gap(void *arg, uint64 to, const pv_hash *hashes, unsigned n)
{
	Merged	   *m = arg;

	prov_check(pv_frontier_append_gap(&m->tree, prov_hasher(), to, hashes, n));
}

static void
walk_leaf(void *arg, const pv_hash *hash)
{
	Merged	   *m = arg;

	prov_check(pv_frontier_append(&m->tree, prov_hasher(), hash, NULL, NULL));
	m->walked++;
	verify_progress(m->v, m->v->done + 1);
}

/* Is every entry of the bundle there, and each at its place? */
static bool
merge_holds(Merged *m, int32 log_id, const Datum *values)
{
	static const ProvMergeWalker walker = {walk_gap, walk_leaf};
	int64		size = DatumGetInt64(values[A_MERGE_SIZE - 1]);
	pv_hash		root;

	pv_frontier_init(&m->tree);
	m->walked = 0;
	if (size <= 0 || !prov_merge_walk(log_id, DatumGetInt64(values[A_MERGE_ID - 1]), (uint64) size, m->v->snapshot, &walker, m))
		return false;
	prov_check(pv_frontier_root(&m->tree, prov_hasher(), &root));
	return m->walked == DatumGetInt64(values[A_MERGE_ENTRIES - 1]) &&
		pv_hash_equal(&root, DatumGetHashP(values[A_MERGE_ROOT - 1]));
}

/* Does the registry have the log's partner, by the name and origin that the merge says? */
static bool
registered(Verify *v, HeapTuple log, const char *name, const char *origin)
{
	TupleDesc	desc = prov_tupdesc(PROV_PARTNER_REGISTRY);
	bool		null_name;
	bool		null_origin;
	bool		isnull;
	HeapTuple	partner = prov_fetch1(PROV_PARTNER_REGISTRY, heap_getattr(log, A_PLOG_PARTNER, prov_tupdesc(PROV_PARTNER_LOG), &isnull), v->snapshot);
	Datum		d;
	Datum		o;
	char	   *of_partner;
	size_t		len = strcspn(origin, "/");

	if (partner == NULL)
		return false;
	d = heap_getattr(partner, A_PARTNER_NAME, desc, &null_name);
	o = heap_getattr(partner, A_PARTNER_ORIGIN, desc, &null_origin);
	if (null_name || null_origin || strcmp(TextDatumGetCString(d), name) != 0)
		return false;
	of_partner = TextDatumGetCString(o);
	return strlen(of_partner) == len && memcmp(of_partner, origin, len) == 0;
}

/* The log with that origin, a copy; NULL: there is none. */
static HeapTuple
log_of_origin(Verify *v, const char *origin)
{
	TupleDesc	desc = prov_tupdesc(PROV_PARTNER_LOG);
	ProvScan	scan;
	HeapTuple	tup;
	HeapTuple	found = NULL;

	prov_scan_begin(&scan, PROV_PARTNER_LOG, InvalidOid, v->snapshot, 0, NULL);
	while (found == NULL && HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		Datum		d = heap_getattr(tup, A_PLOG_ORIGIN, desc, &isnull);

		if (!isnull && strcmp(TextDatumGetCString(d), origin) == 0)
			found = heap_copytuple(tup);
	}
	prov_scan_end(&scan);
	return found;
}

/* The head of a merge is among those seen of the log? */
static bool
head_kept(Verify *v, int32 log_id, const Datum *values)
{
	HeapTuple	seen = prov_fetch2(PROV_PARTNER_CHECKPOINT, Int32GetDatum(log_id), values[A_MERGE_SIZE - 1], v->snapshot);
	bool		isnull;
	Datum		root;

	if (seen == NULL)
		return false;
	root = heap_getattr(seen, A_PCP_ROOT, prov_tupdesc(PROV_PARTNER_CHECKPOINT), &isnull);
	return !isnull && pv_hash_equal(DatumGetHashP(root), DatumGetHashP(values[A_MERGE_ROOT - 1]));
}

static void
check_merge(Merged *m, HeapTuple tup)
{
	Verify	   *v = m->v;
	Datum		values[N_MERGE];
	bool		nulls[N_MERGE];
	char	   *name;
	char	   *origin;
	char	   *object;
	HeapTuple	log;
	int32		log_id = 0;
	int64		merge_id;
	int64		fresh;
	int64		kept;
	bool		isnull;

	heap_deform_tuple(tup, prov_tupdesc(PROV_MERGE), values, nulls);
	for (int i = A_MERGE_ID; i <= A_MERGE_NEW_SIGNED; i++)
		if (nulls[i - 1])
			return;				/* not the row that was recorded, which is another finding */
	merge_id = DatumGetInt64(values[A_MERGE_ID - 1]);
	name = TextDatumGetCString(values[A_MERGE_PARTNER - 1]);
	origin = TextDatumGetCString(values[A_MERGE_ORIGIN - 1]);
	object = psprintf("%s/%s", name, origin);
	log = log_of_origin(v, origin);
	if (log != NULL)
		log_id = DatumGetInt32(heap_getattr(log, A_PLOG_ID, prov_tupdesc(PROV_PARTNER_LOG), &isnull));
	if (log == NULL || !head_kept(v, log_id, values))
		verify_finding(v, "partner_checkpoint_missing", SEV_ERROR, object, -1, -1,
					   "A bundle was merged under the checkpoint of size " INT64_FORMAT ", which is not kept any more, or has another root.",
					   DatumGetInt64(values[A_MERGE_SIZE - 1]));
	if (log == NULL)
		return;

	if (!registered(v, log, name, origin) && (m->differs == NULL || strcmp(m->differs, origin) != 0))
	{
		m->differs = MemoryContextStrdup(v->cxt, origin);
		verify_finding(v, "partner_differs", SEV_ERROR, object, -1, -1,
					   "Bundles of this partner were merged, and the registry of partners does not have it, or by another name or origin.");
	}
	if (!m->all)
		return;
	if (!merge_holds(m, log_id, values))
		verify_finding(v, "merge_incomplete", SEV_ERROR, object, -1, -1,
					   "Of merge " INT64_FORMAT ", of " INT64_FORMAT " entries, something is gone or was exchanged: leaves and the hashes between them do not give the root of its checkpoint.",
					   merge_id, DatumGetInt64(values[A_MERGE_ENTRIES - 1]));
	fresh = DatumGetInt64(values[A_MERGE_NEW - 1]);
	kept = m->leaves == NULL ? fresh : count(m->leaves, merge_id, 0);
	if (kept != fresh)
		verify_finding(v, "merge_incomplete", SEV_ERROR, object, -1, -1,
					   "Merge " INT64_FORMAT " brought " INT64_FORMAT " new entries, and " INT64_FORMAT " are kept of it.", merge_id, fresh, kept);
	if (m->signatures != NULL)
		(void) count(m->signatures, log_id, -DatumGetInt64(values[A_MERGE_NEW_SIGNED - 1]));
}

void
verify_merge_row(Verify *v, HeapTuple tup)
{
	Merged		m = {.v = v};

	check_merge(&m, tup);
}

static void
check_merges(void *arg)
{
	Merged	   *m = arg;
	Verify	   *v = m->v;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance merge", ALLOCSET_DEFAULT_SIZES);
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin(&scan, PROV_MERGE, InvalidOid, v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);

		check_merge(m, tup);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
	}
	prov_scan_end(&scan);
	MemoryContextDelete(cxt);

	if (m->signatures != NULL)
	{
		HASH_SEQ_STATUS status;
		Count	   *c;

		hash_seq_init(&status, m->signatures);
		while ((c = hash_seq_search(&status)) != NULL)
			if (c->n != 0)
				verify_finding(v, "merge_incomplete", SEV_ERROR, prov_merged_object((int32) c->id, v->snapshot), -1, -1,
							   "Of the countersignatures that were merged of this log, " INT64_FORMAT " are %s.",
							   c->n < 0 ? -c->n : c->n, c->n < 0 ? "gone" : "of no merge");
	}
}

void
verify_merged(Verify *v)
{
	Merged		m = {.v = v, .all = true};

	verify_progress_begin(v, "merged entries", 0);
	if (!verify_try(v, check_leaves, &m))
		verify_finding(v, "unreadable", SEV_ERROR, "merged_leaf", -1, -1,
					   "The merged entries cannot be read: %s", v->fault);
	verify_progress_begin(v, "merged countersignatures", 0);
	if (!verify_try(v, check_signatures, &m))
		verify_finding(v, "unreadable", SEV_ERROR, "merged_countersignature", -1, -1,
					   "The merged countersignatures cannot be read: %s", v->fault);
	verify_progress_begin(v, "merges", 0);
	if (!verify_try(v, check_merges, &m))
		verify_finding(v, "unreadable", SEV_ERROR, "merge", -1, -1, "The merges cannot be read: %s", v->fault);
}
