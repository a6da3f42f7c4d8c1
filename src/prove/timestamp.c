/*
 * timestamp.c: RFC 3161 time stamps on checkpoints: timestamp_request() and
 * add_timestamp().
 *
 * A time-stamping authority (TSA) signs that it has seen certain bytes at a
 * certain time: here the exact bytes of a published note. That dates the head
 * of the log, and everything below it, by somebody who does not hold the log's
 * key. The server talks to nobody: a request goes out, and a response comes
 * in, by whatever way its administrator has.
 *
 * The nonce is computed from the note, so that nothing need be remembered
 * between the two calls, and a response without it is refused. It need not be
 * secret or new each time: a response cannot have been made before the note
 * was, because the imprint holds a signature; and one made earlier than asked
 * for only says more.
 *
 * What is stored besides the response (time, serial number, signer) is what
 * the check at that time found, for people to read; the response is what can
 * be checked again, by anybody: openssl ts -verify.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/settings.h"
#include "prove/prove.h"
#include "prove/tsa.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_timestamp_request);
PG_FUNCTION_INFO_V1(provenance_add_timestamp);

#define NONCE_CONTEXT "provenance time stamp nonce v1\n"

/* The imprint of the checkpoint of that size, and the nonce that goes with it. */
static void
find_note(int64 size, pv_hash *imprint, uint8 nonce[TSA_NONCE_LEN], int *incarnation)
{
	int64		found;
	Datum		note = size < 0 ? (Datum) 0 : prove_checkpoint(size, &found, incarnation);
	const char *bytes;
	size_t		len;
	pv_hash		digest;
	pv_hasher  *h = prov_hasher();

	if (note == (Datum) 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no checkpoint of size %lld", (long long) size),
				 errhint("The view provenance.checkpoints lists them.")));
	bytes = checkpoint_bytes(note, &len);
	prov_check(pv_sha256(h, bytes, len, imprint));

	pv_hash_begin(h);
	pv_hash_add(h, NONCE_CONTEXT, strlen(NONCE_CONTEXT));
	pv_hash_add(h, bytes, len);
	prov_check(pv_hash_end(h, &digest));
	memcpy(nonce, digest.b, TSA_NONCE_LEN);
}

/* timestamp_request(size bigint) */
Datum
provenance_timestamp_request(PG_FUNCTION_ARGS)
{
	bytea	   *result = palloc(VARHDRSZ + TSA_REQUEST_MAX);
	pv_hash		imprint;
	uint8		nonce[TSA_NONCE_LEN];
	Size		len;

	find_note(PG_GETARG_INT64(0), &imprint, nonce, NULL);
	len = tsa_request(&imprint, nonce, (uint8 *) VARDATA(result));
	if (len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("libcrypto could not make a time-stamp request")));
	SET_VARSIZE(result, VARHDRSZ + len);
	PG_RETURN_BYTEA_P(result);
}

static void
report(TsaResult result, int64 size, const char *ca_file, const char *reason)
{
	switch (result)
	{
		case TSA_OK:
			return;
		case TSA_MALFORMED:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("not a time-stamp response"),
					 errdetail("It must be a DER TimeStampResp of RFC 3161, of at most %d bytes, and nothing else.",
							   TSA_RESPONSE_MAX)));
			break;
		case TSA_NOT_GRANTED:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the time stamp was not granted"),
					 errdetail("The response has %s.", reason)));
			break;
		case TSA_WRONG_IMPRINT:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the time stamp is not on the checkpoint of size %lld", (long long) size),
					 errdetail("It is on other bytes than those of the published note.")));
			break;
		case TSA_WRONG_NONCE:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the time stamp does not answer the request for the checkpoint of size %lld", (long long) size),
					 errdetail("Its nonce is missing, or another one."),
					 errhint("Send what timestamp_request(%lld) returns.", (long long) size)));
			break;
		case TSA_WRONG_SIGNATURE:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the time stamp's signature does not verify"),
					 errdetail("%s.", reason)));
			break;
		case TSA_NO_ANCHORS:
			ereport(ERROR,
					(errcode(ERRCODE_CONFIG_FILE_ERROR),
					 errmsg("no certificates could be read from \"%s\"", ca_file),
					 errdetail("%s.", reason),
					 errhint("provenance.tsa_ca_file must name a PEM file of certificates that the server can read.")));
			break;
		case TSA_FAILED:
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("libcrypto could not check the time stamp")));
			break;
	}
}

/* The number for a new stamp of that checkpoint; 0 if this very one is there. */
static int
next_number(int incarnation, int64 size, bytea *response)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_TIMESTAMP);
	ScanKeyData keys[2];
	ProvScan	scan;
	HeapTuple	tup;
	int			last = 0;
	bool		there = false;

	prov_key_init(&keys[0], PROV_CHECKPOINT_TIMESTAMP, A_STAMP_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(incarnation));
	prov_key_init(&keys[1], PROV_CHECKPOINT_TIMESTAMP, A_STAMP_SIZE, BTEqualStrategyNumber, Int64GetDatum(size));
	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_TIMESTAMP, SnapshotSelf, 2, keys);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		bytea	   *stored;

		last = DatumGetInt32(heap_getattr(tup, A_STAMP_N, desc, &isnull));
		stored = DatumGetByteaPP(heap_getattr(tup, A_STAMP_RESPONSE, desc, &isnull));
		if (VARSIZE_ANY_EXHDR(stored) == VARSIZE_ANY_EXHDR(response) &&
			memcmp(VARDATA_ANY(stored), VARDATA_ANY(response), VARSIZE_ANY_EXHDR(response)) == 0)
			there = true;
	}
	prov_scan_end(&scan);
	return there ? 0 : last + 1;
}

/* add_timestamp(size bigint, response bytea) */
Datum
provenance_add_timestamp(PG_FUNCTION_ARGS)
{
	int64		size = PG_GETARG_INT64(0);
	bytea	   *response = PG_GETARG_BYTEA_PP(1);
	const char *ca_file = prov_tsa_ca_file && prov_tsa_ca_file[0] ? prov_tsa_ca_file : NULL;
	char	   *verified_by = ca_file ? "tsa_ca_file" : "token";
	pv_hash		imprint;
	uint8		nonce[TSA_NONCE_LEN];
	int			incarnation;
	TsaStamp	stamp;
	char		reason[TSA_TEXT_MAX];
	char	   *signer;
	size_t		signer_len;
	int			n;
	ProvWriter	w;
	Datum		values[N_STAMP];
	bool		nulls[N_STAMP];

	if (!superuser() && !has_privs_of_role(GetUserId(), prov_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to add a time stamp"),
				 errdetail("Only superusers and members of the role that owns the extension may.")));
	PreventCommandIfReadOnly("add_timestamp()");
	PreventCommandDuringRecovery("add_timestamp()");

	find_note(size, &imprint, nonce, &incarnation);
	report(tsa_check((const uint8 *) VARDATA_ANY(response), VARSIZE_ANY_EXHDR(response), &imprint, nonce,
					 ca_file, &stamp, reason),
		   size, ca_file, reason);
	signer = prov_from_utf8(stamp.signer, strlen(stamp.signer), &signer_len);
	if (signer == NULL)
	{
		signer = "?";			/* what this encoding cannot say; the response has it */
		signer_len = 1;
	}

	/* numbers are given one by one */
	LockRelationOid(prov_relid(PROV_CHECKPOINT_TIMESTAMP), ShareRowExclusiveLock);
	n = next_number(incarnation, size, response);
	if (n > 0)
	{
		memset(nulls, 0, sizeof(nulls));
		values[A_STAMP_INCARNATION - 1] = Int32GetDatum(incarnation);
		values[A_STAMP_SIZE - 1] = Int64GetDatum(size);
		values[A_STAMP_N - 1] = Int32GetDatum(n);
		values[A_STAMP_ADDED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[A_STAMP_TIME - 1] = TimestampTzGetDatum(stamp.time_us);
		values[A_STAMP_TSA - 1] = PointerGetDatum(cstring_to_text_with_len(signer, signer_len));
		values[A_STAMP_SERIAL - 1] = CStringGetTextDatum(stamp.serial);
		values[A_STAMP_VERIFIED_BY - 1] = CStringGetTextDatum(verified_by);
		values[A_STAMP_RESPONSE - 1] = PointerGetDatum(response);
		prov_writer_open(&w, PROV_CHECKPOINT_TIMESTAMP);
		prov_insert(&w, values, nulls);
		prov_writer_close(&w);
		CommandCounterIncrement();
	}
	if (ca_file == NULL)
		ereport(WARNING,
				(errmsg("nobody vouches for the time stamp's signer"),
				 errdetail("Only the certificates in the response itself were at hand."),
				 errhint("Set provenance.tsa_ca_file to a file with the authority's root certificate.")));
	PG_RETURN_TEXT_P(cstring_to_text(verified_by));
}
