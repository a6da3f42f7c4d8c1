/*-------------------------------------------------------------------------
 *
 * witness_request.c
 *	  witness_request(): what a witness of the C2SP kind wants to be sent.
 *
 * The body of a tlog-witness add-checkpoint request: the size that the witness
 * has cosigned last, the consistency path from there, an empty line, the
 * checkpoint. Which size a witness has is the witness's to know: the default
 * is the greatest that anybody has cosigned, and a witness that has another
 * answers 409 with its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "ledger/log.h"
#include "partner/witness.h"
#include "prove/prove.h"

PG_FUNCTION_INFO_V1(provenance_witness_request);

/* The greatest size up to that one with a cosignature, 0 without. */
static int64
last_size(int incarnation, int64 size)
{
	ProvScan	scan;
	ScanKeyData keys[2];
	HeapTuple	tup;
	int64		found = 0;
	bool		isnull;

	prov_key_init(&keys[0], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(incarnation));
	prov_key_init(&keys[1], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_SIZE, BTLessStrategyNumber, Int64GetDatum(size + 1));
	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_COSIGNATURE, NULL, 2, keys);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tup))
		found = DatumGetInt64(heap_getattr(tup, A_COSIG_SIZE, prov_tupdesc(PROV_CHECKPOINT_COSIGNATURE), &isnull));
	prov_scan_end(&scan);
	return Max(found, 0);
}

/* witness_request(size bigint DEFAULT NULL, old_size bigint DEFAULT NULL) */
Datum
provenance_witness_request(PG_FUNCTION_ARGS)
{
	ProvIdentity *identity = prov_identity(false);
	int64		asked = PG_ARGISNULL(0) ? -1 : PG_GETARG_INT64(0);
	int64		size;
	int64		old;
	Datum		note = (Datum) 0;
	const char *bytes;
	size_t		len;
	ProvLog    *log;
	pv_hash		path[PV_MAX_PATH];
	unsigned	npath = 0;
	StringInfoData buf;

	if ((asked < 0 && !PG_ARGISNULL(0)) ||
		!prov_own_checkpoint(identity->incarnation, asked, &size, &note))
	{
		if (PG_ARGISNULL(0))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("this log has no checkpoint yet")));
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("\"%s\" has no checkpoint of size %lld", identity->full_origin, (long long) asked)));
	}
	old = PG_ARGISNULL(1) ? last_size(identity->incarnation, size) : PG_GETARG_INT64(1);
	if (old < 0 || old > size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the old size %lld is not between 0 and %lld", (long long) old, (long long) size)));

	log = prov_log_open(NULL);
	if (prov_log_size(log) < size)
		prove_log_damaged(prov_log_size(log));
	if (old > 0 && old < size)
	{
		pv_status	status = pv_tree_consistency(prov_log_tree(log), old, size, path, &npath);

		if (status == PV_E_STORAGE)
			prove_log_damaged(old);
		prov_check(status);
	}
	prov_log_close(log);

	initStringInfo(&buf);
	appendStringInfo(&buf, "old %lld\n", (long long) old);
	for (unsigned i = 0; i < npath; i++)
	{
		char		line[48];
		pv_buf		b;

		pv_buf_init(&b, line, sizeof(line));
		pv_put_base64(&b, path[i].b, PV_HASH_LEN);
		prov_check(pv_buf_status(&b));
		appendBinaryStringInfo(&buf, line, b.len);
		appendStringInfoChar(&buf, '\n');
	}
	appendStringInfoChar(&buf, '\n');
	bytes = checkpoint_bytes(note, &len);
	appendBinaryStringInfo(&buf, bytes, len);
	PG_RETURN_TEXT_P(cstring_to_text(prov_format_out(buf.data, buf.len)));
}
