/*
 * countersign.c: signatures of people and devices on entries of ours.
 *
 * The key is the signer's own and never here: whoever holds it signs the
 * message that countersignature_message() gives (doc/format.md,
 * "Countersignature"), which is over the leaf, and so over everything that the
 * leaf commits to. Whose key it is, the ledger does not know.
 *
 * A countersignature is a row of a tagged table of the extension, and thereby
 * an entry itself. It is taken only if it is good, and once for each entry and
 * key: a key has nothing to add to its first signature. Those who bring the
 * same one at the same time follow each other by an advisory lock; sessions
 * with different ones do not meet.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "ledger/own_table.h"
#include "ledger/seal.h"
#include "partner/partner.h"
#include "prove/prove.h"

PG_FUNCTION_INFO_V1(provenance_countersignature_message);
PG_FUNCTION_INFO_V1(provenance_countersign);

/* The message over a sealed entry's leaf, whose hash must be the one in the log. */
static void
make_message(int64 seq, ProvEntry *entry, pv_hash *leaf_hash, uint8 message[PV_COUNTERSIGNATURE_MESSAGE_LEN])
{
	ProvLog    *log = prov_log_open(NULL);
	int64		index = prove_sealed_leaf(log, seq);
	ProvLeafRef ref;
	ProvLeafRef prev;
	pv_leaf		leaf;
	uint8		bytes[PV_LEAF_LEN];
	pv_buf		b;

	if (!prov_log_leaf(log, index, &ref) ||
		(ref.prev_leaf >= 0 && !prov_log_leaf(log, ref.prev_leaf, &prev)) ||
		!prov_entry_fetch(ref.xid, ref.seq, NULL, false, entry))
		prove_log_damaged(index);
	prov_log_close(log);
	prov_entry_leaf(entry, ref.prev_leaf >= 0 ? &prev.hash : NULL, &leaf);
	pv_leaf_encode(&leaf, bytes);
	prov_check(pv_leaf_hash(prov_hasher(), bytes, PV_LEAF_LEN, leaf_hash));
	if (!pv_hash_equal(leaf_hash, &ref.hash))
		prove_log_damaged(index);
	pv_buf_init(&b, message, PV_COUNTERSIGNATURE_MESSAGE_LEN);
	pv_put_countersignature_message(&b, bytes);
	prov_check(pv_buf_status(&b));
}

/* countersignature_message(seq bigint) */
Datum
provenance_countersignature_message(PG_FUNCTION_ARGS)
{
	bytea	   *result = palloc(VARHDRSZ + PV_COUNTERSIGNATURE_MESSAGE_LEN);
	ProvEntry	entry;
	pv_hash		leaf_hash;

	make_message(PG_GETARG_INT64(0), &entry, &leaf_hash, (uint8 *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + PV_COUNTERSIGNATURE_MESSAGE_LEN);
	PG_RETURN_BYTEA_P(result);
}

static const uint8 *
get_bytes(bytea *b, const char *what, int len)
{
	if (VARSIZE_ANY_EXHDR(b) != len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an Ed25519 %s has %d bytes", what, len),
				 errdetail("It has %d bytes.", (int) VARSIZE_ANY_EXHDR(b))));
	return (const uint8 *) VARDATA_ANY(b);
}

/* countersign(seq bigint, public_key bytea, signature bytea) */
Datum
provenance_countersign(PG_FUNCTION_ARGS)
{
	Datum		values[N_CSIG];
	bool		nulls[N_CSIG] = {false};
	uint8		message[PV_COUNTERSIGNATURE_MESSAGE_LEN];
	ProvEntry	entry;
	pv_hash		leaf_hash;
	int64		seq;
	bytea	   *key;
	bytea	   *signature;
	const uint8 *public_key;
	HeapTuple	known;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("seq, public key and signature must not be null")));
	PreventCommandIfReadOnly("countersign()");
	seq = PG_GETARG_INT64(0);
	key = PG_GETARG_BYTEA_PP(1);
	signature = PG_GETARG_BYTEA_PP(2);
	public_key = get_bytes(key, "public key", PV_ED25519_PUBLIC_LEN);

	make_message(seq, &entry, &leaf_hash, message);
	(void) prove_entry_target(&entry);
	if (!prov_holds(pv_ed25519_verify(public_key, message, sizeof(message),
									  get_bytes(signature, "signature", PV_ED25519_SIGNATURE_LEN))))
		ereport(ERROR,
				(errcode(ERRCODE_BUNDLE_COUNTERSIGNATURE),
				 errmsg("the countersignature on entry %lld is wrong", (long long) seq),
				 errdetail("It is not a signature by the key given over the message of this entry."),
				 errhint("SELECT provenance.countersignature_message(%lld) gives the bytes to sign.", (long long) seq)));

	prov_lock_countersign(hash_bytes(public_key, PV_ED25519_PUBLIC_LEN) ^ (uint32) seq);
	known = prov_fetch2(PROV_COUNTERSIGNATURE, Int64GetDatum(seq), PointerGetDatum(key), NULL);
	if (HeapTupleIsValid(known))
		PG_RETURN_VOID();

	values[A_CSIG_SEQ - 1] = Int64GetDatum(seq);
	values[A_CSIG_KEY - 1] = PointerGetDatum(key);
	values[A_CSIG_ADDED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_CSIG_ADDED_BY - 1] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	values[A_CSIG_LEAF_HASH - 1] = HashPGetDatum(&leaf_hash);
	values[A_CSIG_SIGNATURE - 1] = PointerGetDatum(signature);
	prov_own_insert(PROV_COUNTERSIGNATURE, PROV_OWN_COUNTERSIGNATURE, values, nulls);
	PG_RETURN_VOID();
}
