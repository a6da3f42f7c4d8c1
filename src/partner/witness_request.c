/*-------------------------------------------------------------------------
 *
 * witness_request.c
 *	  witness_request(): what a witness of the C2SP kind wants to be sent;
 *	  cosign_request(): being one.
 *
 * The body of a tlog-witness add-checkpoint request: the size that the witness
 * has cosigned last, the consistency path from there, an empty line, the
 * checkpoint. Which size a witness has is the witness's to know: the default
 * is the greatest that anybody has cosigned, and a witness that has another
 * answers 409 with its own.
 *
 * cosign_request() takes such a body for a partner's log. It is read strictly:
 * only what writing its parts would give again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "ledger/log.h"
#include "partner/witness.h"
#include "prove/prove.h"

PG_FUNCTION_INFO_V1(provenance_witness_request);
PG_FUNCTION_INFO_V1(provenance_cosign_request);

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

static void
malformed(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("malformed add-checkpoint request"),
			 errdetail("%s", detail)));
}

/* cosign_request(request text) */
Datum
provenance_cosign_request(PG_FUNCTION_ARGS)
{
	char	   *given = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *data;
	size_t		len;
	pv_reader	r;
	const char *line;
	size_t		linelen;
	uint64_t	old;
	pv_hash		path[PV_MAX_PATH];
	int			npath = 0;
	pv_checkpoint cp;
	char		fault[PROV_FAULT_LEN];

	PreventCommandDuringRecovery("cosign_request()");
	data = prov_format_in(given, strlen(given), &len);
	if (data == NULL)
		malformed("It cannot be read as UTF-8.");
	pv_reader_init(&r, data, len);
	if (!pv_get_line(&r, &line, &linelen) || linelen < 5 || memcmp(line, "old ", 4) != 0 ||
		pv_parse_decimal(line + 4, linelen - 4, PV_MAX_TREE, &old) != PV_OK)
		malformed("The first line is not \"old <size>\".");
	for (;;)
	{
		uint8_t		hash[PV_HASH_LEN + 2];
		size_t		n;

		if (!pv_get_line(&r, &line, &linelen))
			malformed("There is no empty line before the checkpoint.");
		if (linelen == 0)
			break;
		if (npath == PV_MAX_PATH)
			malformed("The path is too long.");
		if (linelen != 44 || pv_base64_decode(line, linelen, hash, sizeof(hash), &n) != PV_OK || n != PV_HASH_LEN)
			malformed(psprintf("Line %d is not the base64 of a hash.", npath + 2));
		memcpy(path[npath++].b, hash, PV_HASH_LEN);
	}
	/* a path from size 0, or to the same size, is empty: that is checked with the rest */
	if (!checkpoint_check(data + r.pos, len - r.pos, &cp, fault))
		malformed(psprintf("Of the checkpoint: %s", fault));
	if (old > cp.size)
		malformed("The old size is greater than the checkpoint's.");
	if (old == cp.size && npath > 0)
		malformed("There is a path between equal sizes.");
	PG_RETURN_TEXT_P(cstring_to_text(prov_cosign((int64) old, path, npath, data + r.pos, len - r.pos)));
}
