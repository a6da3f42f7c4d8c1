/*
 * countersignatures.c: signatures of people and devices on entries.
 *
 * countersign() takes none that is wrong, so one that is was put in or changed
 * behind the ledger's back: countersignature_invalid. Where a table demands
 * them, a row is final once its newest entry has one: countersignature_missing
 * names those that are not, and does not ask whether the one that is there is
 * good, which is the other finding's.
 *
 * An entry that does not give its leaf is a finding of its own; what was signed
 * is then not known, and its countersignatures are passed over.
 *
 * What cannot be detected: that the demand itself, which is in the registry and
 * in no entry, was taken back.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/bundle.h"
#include "types/types.h"
#include "verify/verify.h"

typedef struct SignatureTask
{
	Verify	   *v;
	bool		all;			/* of all tables */
	int32		table_id;		/* else of this one */
	int64		seq;			/* -1: of all entries */
	bool		any;			/* there is one */
} SignatureTask;

static void
check_one(SignatureTask *task, HeapTuple tup)
{
	Verify	   *v = task->v;
	TupleDesc	desc = prov_tupdesc(PROV_COUNTERSIGNATURE);
	bool		null_seq;
	bool		null_hash;
	int64		seq = DatumGetInt64(heap_getattr(tup, A_CSIG_SEQ, desc, &null_seq));
	Datum		hash = heap_getattr(tup, A_CSIG_LEAF_HASH, desc, &null_hash);
	const uint8 *key = prov_bytes(tup, PROV_COUNTERSIGNATURE, A_CSIG_KEY, PV_ED25519_PUBLIC_LEN);
	const uint8 *signature = prov_bytes(tup, PROV_COUNTERSIGNATURE, A_CSIG_SIGNATURE, PV_ED25519_SIGNATURE_LEN);
	int64		index = null_seq ? -1 : prov_log_leaf_of_seq(v->log, seq);
	char	   *object = psprintf("entry " INT64_FORMAT, null_seq ? -1 : seq);
	uint8		bytes[PV_LEAF_LEN];
	uint8		message[PV_COUNTERSIGNATURE_MESSAGE_LEN];
	ProvLeafRef ref;
	ProvLeafRef prev;
	ProvEntry	entry;
	pv_leaf		leaf;
	pv_hash		computed;
	pv_buf		b;

	if (index < 0 || !prov_log_leaf(v->log, index, &ref))
	{
		if (task->all)
			verify_finding(v, "countersignature_invalid", SEV_ERROR, object, null_seq ? -1 : seq, -1,
						   "There is a countersignature on this entry, which is not in the log.");
		return;
	}
	if (!prov_entry_fetch(ref.xid, ref.seq, v->snapshot, false, &entry) ||
		(ref.prev_leaf >= 0 && !prov_log_leaf(v->prev_log, ref.prev_leaf, &prev)) ||
		(!task->all && entry.table_id != task->table_id))
		return;

	prov_entry_leaf(&entry, ref.prev_leaf >= 0 ? &prev.hash : NULL, &leaf);
	pv_leaf_encode(&leaf, bytes);
	prov_check(pv_leaf_hash(prov_hasher(), bytes, PV_LEAF_LEN, &computed));
	pv_buf_init(&b, message, sizeof(message));
	pv_put_countersignature_message(&b, bytes);
	prov_check(pv_buf_status(&b));
	if (key == NULL || signature == NULL || null_hash)
		verify_finding(v, "countersignature_invalid", SEV_ERROR, object, seq, index,
					   "A countersignature on the entry has no key or signature of the right length.");
	else if (!pv_hash_equal(DatumGetHashP(hash), &ref.hash))
		verify_finding(v, "countersignature_invalid", SEV_ERROR, object, seq, index,
					   "A countersignature on the entry is kept with another leaf's hash.");
	else if (pv_hash_equal(&computed, &ref.hash) &&
			 !prov_holds(pv_ed25519_verify(key, message, sizeof(message), signature)))
		verify_finding(v, "countersignature_invalid", SEV_ERROR, object, seq, index,
					   "A countersignature on the entry is not by the key that it is kept with, or is over something else.");
}

static void
check_signatures(void *arg)
{
	SignatureTask *task = arg;
	Verify	   *v = task->v;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance countersignature", ALLOCSET_DEFAULT_SIZES);
	ProvScan	scan;
	ScanKeyData key;
	HeapTuple	tup;
	int64		n = 0;

	if (task->seq >= 0)
		prov_key_init(&key, PROV_COUNTERSIGNATURE, A_CSIG_SEQ, BTEqualStrategyNumber, Int64GetDatum(task->seq));
	prov_scan_begin_ordered(&scan, PROV_COUNTERSIGNATURE, v->snapshot, task->seq >= 0 ? 1 : 0, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);

		check_one(task, tup);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
		if (task->seq < 0)
			verify_progress(v, ++n);
	}
	prov_scan_end(&scan);
	MemoryContextDelete(cxt);
}

static void
try_signatures(SignatureTask *task)
{
	if (!verify_try(task->v, check_signatures, task))
		verify_finding(task->v, "unreadable", SEV_ERROR, "countersignature", -1, -1,
					   "The countersignatures cannot be read: %s", task->v->fault);
}

void
verify_countersignatures(Verify *v, bool all, int32 table_id)
{
	SignatureTask task = {.v = v, .all = all, .table_id = table_id, .seq = -1};

	verify_progress_begin(v, "countersignatures", 0);
	try_signatures(&task);
}

void
verify_countersignature_row(Verify *v, HeapTuple tup)
{
	SignatureTask task = {.v = v, .all = true, .seq = -1};

	check_one(&task, tup);
}

static void
look_for_any(void *arg)
{
	Verify	   *v = arg;
	ProvScan	scan;

	prov_scan_begin(&scan, PROV_COUNTERSIGNATURE, InvalidOid, v->snapshot, 0, NULL);
	v->countersigned = HeapTupleIsValid(prov_scan_next(&scan, ForwardScanDirection));
	prov_scan_end(&scan);
}

void
verify_countersignatures_of(Verify *v, const ProvEntry *entry)
{
	SignatureTask task = {.v = v, .table_id = entry->table_id, .seq = entry->seq};

	if (!v->countersigned_known && !verify_try(v, look_for_any, v))
		v->countersigned = true;	/* which then is a finding */
	v->countersigned_known = true;
	if (v->countersigned)
		try_signatures(&task);
}

static void
look_for_one(void *arg)
{
	SignatureTask *task = arg;
	ProvScan	scan;
	ScanKeyData key;

	prov_key_init(&key, PROV_COUNTERSIGNATURE, A_CSIG_SEQ, BTEqualStrategyNumber, Int64GetDatum(task->seq));
	prov_scan_begin(&scan, PROV_COUNTERSIGNATURE, prov_pkey(PROV_COUNTERSIGNATURE), task->v->snapshot, 1, &key);
	task->any = HeapTupleIsValid(prov_scan_next(&scan, ForwardScanDirection));
	prov_scan_end(&scan);
}

bool
verify_is_final(Verify *v, const TableState *state, int64 seq)
{
	SignatureTask task = {.v = v, .seq = seq, .any = true};

	if (state->table == NULL || !state->table->require_countersignature)
		return true;
	if (!verify_try(v, look_for_one, &task))
		verify_finding(v, "unreadable", SEV_ERROR, "countersignature", seq, -1,
					   "The countersignatures cannot be read: %s", v->fault);
	return task.any;
}

void
verify_not_final(Verify *v, const char *object, int64 seq, int64 leaf)
{
	verify_finding(v, "countersignature_missing", SEV_WARNING, object, seq, leaf,
				   "The table demands a countersignature, and the newest entry of the row has none.");
}
