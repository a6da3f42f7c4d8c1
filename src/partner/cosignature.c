/*-------------------------------------------------------------------------
 *
 * cosignature.c
 *	  Witnesses' cosignatures on checkpoints of ours: taken in, and given out
 *	  with the checkpoint.
 *
 * A signature line does not say which checkpoint it is on. It is tried on the
 * newest ones, from the greatest size down; Ed25519 says which. Only keys of
 * the witness policy are taken: whoever may call this would otherwise fill the
 * table with signatures by keys made for the purpose.
 *
 * The line is kept as it came, in the text form of a note (an encoding without
 * U+2014 has it as \x and hex). Of a witness that cosigns a checkpoint again
 * the latest line is kept. Who adds waits for another who adds; who reads or
 * signs does not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/publish.h"
#include "partner/witness.h"

PG_FUNCTION_INFO_V1(provenance_verify_cosignature);
PG_FUNCTION_INFO_V1(provenance_cosignatures);
PG_FUNCTION_INFO_V1(provenance_cosigned_checkpoint);
PG_FUNCTION_INFO_V1(provenance_add_cosignature);

#define TRIED_MAX 1000			/* checkpoints that a line is tried on */

/* --- reading ------------------------------------------------------------ */

bool
prov_own_checkpoint(int incarnation, int64 size, int64 *found_size, Datum *note)
{
	HeapTuple	tup;
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	bool		nulls[2];
	Datum		d;
	const char *bytes;
	size_t		len;

	if (size < 0)
		tup = prov_newest_checkpoint(incarnation);
	else
		tup = prov_fetch2(PROV_CHECKPOINT_NOTE, Int32GetDatum(incarnation), Int64GetDatum(size), NULL);
	if (!HeapTupleIsValid(tup))
		return false;
	d = heap_getattr(tup, A_CP_NOTE, desc, &nulls[0]);
	*found_size = DatumGetInt64(heap_getattr(tup, A_CP_SIZE, desc, &nulls[1]));
	if (nulls[0] || nulls[1])
		return false;
	bytes = checkpoint_bytes(d, &len);
	*note = checkpoint_to_datum(bytes, len);
	heap_freetuple(tup);
	return true;
}

ProvCosignature *
prov_cosignatures(int incarnation, int64 size, int *n)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_COSIGNATURE);
	int			cap = 4;
	ProvCosignature *rows = palloc(sizeof(ProvCosignature) * cap);
	TimestampTz *added = palloc(sizeof(TimestampTz) * cap);
	ProvScan	scan;
	ScanKeyData keys[2];
	HeapTuple	tup;

	*n = 0;
	prov_key_init(&keys[0], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(incarnation));
	prov_key_init(&keys[1], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_SIZE, BTEqualStrategyNumber, Int64GetDatum(size));
	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_COSIGNATURE, NULL, 2, keys);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		nulls[3];
		Datum		witness = heap_getattr(tup, A_COSIG_WITNESS, desc, &nulls[0]);
		Datum		line = heap_getattr(tup, A_COSIG_LINE, desc, &nulls[1]);
		Datum		at = heap_getattr(tup, A_COSIG_ADDED_AT, desc, &nulls[2]);
		char	   *form;
		int			i;

		if (nulls[0] || nulls[1] || nulls[2])
			continue;
		if (*n == cap)
		{
			cap *= 2;
			rows = repalloc(rows, sizeof(ProvCosignature) * cap);
			added = repalloc(added, sizeof(TimestampTz) * cap);
		}
		/* few: sorted as they come */
		for (i = *n; i > 0 && added[i - 1] > DatumGetTimestampTz(at); i--)
		{
			rows[i] = rows[i - 1];
			added[i] = added[i - 1];
		}
		added[i] = DatumGetTimestampTz(at);
		rows[i].witness = TextDatumGetCString(witness);
		form = TextDatumGetCString(line);
		rows[i].line = prov_format_in(form, strlen(form), &rows[i].len);
		if (rows[i].line == NULL)
			rows[i].len = 0;
		(*n)++;
	}
	prov_scan_end(&scan);
	return rows;
}

/* Is the stored one good? seconds: the witness's time. */
static bool
stored_good(const ProvCosignature *row, const pv_checkpoint *cp, uint64_t *seconds)
{
	pv_vkey		key;
	size_t		len;
	char	   *vkey = prov_to_utf8(row->witness, strlen(row->witness), &len);

	return row->line != NULL && vkey != NULL &&
		pv_vkey_parse(prov_hasher(), vkey, len, &key) == PV_OK &&
		pv_cosignature_verify_line(cp->note.text, cp->note.textlen, row->line, row->len, &key, seconds) == PV_OK;
}

Datum
prov_cosigned_checkpoint(int incarnation, int64 size)
{
	Datum		note;
	const char *bytes;
	size_t		len;
	pv_checkpoint cp;
	ProvCosignature *rows;
	int			n;
	unsigned	lines;
	StringInfoData buf;

	if (!prov_own_checkpoint(incarnation, size, &size, &note))
		return (Datum) 0;
	bytes = checkpoint_bytes(note, &len);
	checkpoint_get(note, &cp);
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, bytes, len);
	lines = cp.note.nsigs;
	rows = prov_cosignatures(incarnation, size, &n);
	for (int i = 0; i < n; i++)
	{
		uint64_t	seconds;

		if (lines == PV_NOTE_MAX_SIGS || buf.len + rows[i].len + 1 > PV_CHECKPOINT_MAX_LEN)
			break;
		if (!stored_good(&rows[i], &cp, &seconds))
			continue;
		appendBinaryStringInfo(&buf, rows[i].line, rows[i].len);
		appendStringInfoChar(&buf, '\n');
		lines++;
	}
	return checkpoint_to_datum(buf.data, buf.len);
}

/* cosigned_checkpoint(size bigint DEFAULT NULL) */
Datum
provenance_cosigned_checkpoint(PG_FUNCTION_ARGS)
{
	ProvIdentity *identity = prov_identity(false);
	int64		size = PG_ARGISNULL(0) ? -1 : PG_GETARG_INT64(0);
	Datum		note = (Datum) 0;

	if (PG_ARGISNULL(0) || size >= 0)
		note = prov_cosigned_checkpoint(identity->incarnation, size);
	if (note == (Datum) 0)
		PG_RETURN_NULL();
	return note;
}

/* cosignatures(incarnation int, size bigint): as stored */
Datum
provenance_cosignatures(PG_FUNCTION_ARGS)
{
	int			n;
	ProvCosignature *rows = prov_cosignatures(PG_GETARG_INT32(0), PG_GETARG_INT64(1), &n);
	Datum	   *lines = palloc(sizeof(Datum) * (n + 1));
	int			m = 0;

	for (int i = 0; i < n; i++)
		if (rows[i].line != NULL)
			lines[m++] = CStringGetTextDatum(prov_format_out(rows[i].line, rows[i].len));
	PG_RETURN_ARRAYTYPE_P(construct_array(lines, m, TEXTOID, -1, false, TYPALIGN_INT));
}

/* verify_cosignature(cp checkpoint, line text, vkey text) */
Datum
provenance_verify_cosignature(PG_FUNCTION_ARGS)
{
	char	   *given = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *vkey = text_to_cstring(PG_GETARG_TEXT_PP(2));
	pv_checkpoint cp;
	pv_vkey		key;
	char	   *utf8;
	char	   *line;
	size_t		len;
	uint64_t	seconds;
	pv_status	status;

	utf8 = prov_to_utf8(vkey, strlen(vkey), &len);
	status = utf8 ? pv_vkey_parse(prov_hasher(), utf8, len, &key) : PV_E_UTF8;
	if (status == PV_E_CRYPTO)
		prov_check(status);
	if (status != PV_OK || key.type != PV_SIG_COSIGNATURE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid verifier key of a witness"),
				 errdetail("%s.", status != PV_OK ? pv_status_text(status) :
						   "It is a key that signs notes, not one that cosigns")));
	checkpoint_get(PG_GETARG_DATUM(0), &cp);
	line = prov_format_in(given, strlen(given), &len);
	if (line == NULL)
		PG_RETURN_BOOL(false);
	if (len > 0 && line[len - 1] == '\n')
		len--;
	status = pv_cosignature_verify_line(cp.note.text, cp.note.textlen, line, len, &key, &seconds);
	if (status == PV_E_CRYPTO)
		prov_check(status);
	PG_RETURN_BOOL(status == PV_OK);
}

/* --- adding ------------------------------------------------------------- */

typedef struct GivenLine
{
	const char *line;
	size_t		len;
	int			key;			/* of the policy; -1: by somebody else */
} GivenLine;

static int
split_lines(const char *data, size_t len, GivenLine *lines)
{
	int			n = 0;

	while (len > 0)
	{
		const char *newline = memchr(data, '\n', len);
		size_t		linelen = newline ? newline - data : len;

		if (linelen > 0)
		{
			if (n == PV_NOTE_MAX_SIGS)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("too many signature lines"),
						 errdetail("At most %d are taken.", PV_NOTE_MAX_SIGS)));
			lines[n].line = data;
			lines[n].len = linelen;
			lines[n++].key = -1;
		}
		linelen += newline != NULL;
		data += linelen;
		len -= linelen;
	}
	return n;
}

/* Which line names which key; the text does not matter for that. */
static void
assign_keys(const pv_checkpoint *cp, const ProvWitnessPolicy *policy, GivenLine *lines, int n)
{
	bool		known = false;

	for (int i = 0; i < n; i++)
	{
		for (unsigned k = 0; k < policy->n && lines[i].key < 0; k++)
		{
			uint64_t	seconds;
			pv_status	status = pv_cosignature_verify_line(cp->note.text, cp->note.textlen, lines[i].line, lines[i].len,
															&policy->keys[k], &seconds);

			if (status == PV_E_CRYPTO)
				prov_check(status);
			if (status == PV_OK || status == PV_E_SIGNATURE)
				lines[i].key = (int) k;
			else if (status != PV_E_UNKNOWN_KEY)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						 errmsg("line %d is not a signature line", i + 1),
						 errdetail("%s.", pv_status_text(status))));
		}
		known |= lines[i].key >= 0;
	}
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the cosignature is by no witness of this log"),
				 errdetail("No line names a key of the witness policy."),
				 errhint("provenance.set_witness_policy() says whose cosignatures are taken.")));
}

/* True if a known key's line is good on that checkpoint. */
static bool
any_good(const pv_checkpoint *cp, const ProvWitnessPolicy *policy, const GivenLine *lines, int n)
{
	for (int i = 0; i < n; i++)
	{
		uint64_t	seconds;

		if (lines[i].key >= 0 &&
			pv_cosignature_verify_line(cp->note.text, cp->note.textlen, lines[i].line, lines[i].len,
									   &policy->keys[lines[i].key], &seconds) == PV_OK)
			return true;
	}
	return false;
}

/* The newest checkpoint that a line is good on; -1 if there is none. */
static int64
find_checkpoint(int incarnation, const ProvWitnessPolicy *policy, GivenLine *lines, int n)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	ProvScan	scan;
	ScanKeyData key;
	HeapTuple	tup;
	int64		size = -1;

	prov_key_init(&key, PROV_CHECKPOINT_NOTE, A_CP_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(incarnation));
	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_NOTE, NULL, 1, &key);
	for (int tried = 0; size < 0 && tried < TRIED_MAX; tried++)
	{
		bool		nulls[2];
		Datum		note;
		Datum		d;
		pv_checkpoint cp;

		CHECK_FOR_INTERRUPTS();
		tup = prov_scan_next(&scan, BackwardScanDirection);
		if (!HeapTupleIsValid(tup))
			break;
		note = heap_getattr(tup, A_CP_NOTE, desc, &nulls[0]);
		d = heap_getattr(tup, A_CP_SIZE, desc, &nulls[1]);
		if (nulls[0] || nulls[1])
			continue;
		checkpoint_get(note, &cp);
		if (any_good(&cp, policy, lines, n))
			size = DatumGetInt64(d);
	}
	prov_scan_end(&scan);
	return size;
}

/* Keeps a line unless a good one, not older, is there. */
static void
keep_line(int incarnation, int64 size, const pv_checkpoint *cp, const char *vkey, uint64_t seconds,
		  const GivenLine *given)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_COSIGNATURE);
	ProvScan	scan;
	ScanKeyData keys[3];
	HeapTuple	tup;
	ProvWriter	w;
	Datum		values[N_COSIG];
	bool		nulls[N_COSIG] = {false};

	prov_key_init(&keys[0], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(incarnation));
	prov_key_init(&keys[1], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_SIZE, BTEqualStrategyNumber, Int64GetDatum(size));
	prov_key_init(&keys[2], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_WITNESS, BTEqualStrategyNumber, CStringGetTextDatum(vkey));
	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_COSIGNATURE, NULL, 3, keys);
	tup = prov_scan_next(&scan, ForwardScanDirection);
	if (HeapTupleIsValid(tup))
		tup = heap_copytuple(tup);
	prov_scan_end(&scan);

	if (HeapTupleIsValid(tup))
	{
		bool		isnull;
		Datum		line = heap_getattr(tup, A_COSIG_LINE, desc, &isnull);
		ProvCosignature row = {.witness = unconstify(char *, vkey)};
		char	   *form = isnull ? NULL : TextDatumGetCString(line);
		uint64_t	then;

		if (form != NULL)
			row.line = prov_format_in(form, strlen(form), &row.len);
		if (stored_good(&row, cp, &then) && then >= seconds)
			return;
	}
	values[A_COSIG_INCARNATION - 1] = Int32GetDatum(incarnation);
	values[A_COSIG_SIZE - 1] = Int64GetDatum(size);
	values[A_COSIG_WITNESS - 1] = CStringGetTextDatum(vkey);
	values[A_COSIG_SECONDS - 1] = Int64GetDatum((int64) seconds);
	values[A_COSIG_ADDED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_COSIG_LINE - 1] = CStringGetTextDatum(prov_format_out(given->line, given->len));
	prov_writer_open(&w, PROV_CHECKPOINT_COSIGNATURE);
	if (HeapTupleIsValid(tup))
		prov_update(&w, tup, values, nulls);
	else
		prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

/* add_cosignature(line text, size bigint DEFAULT NULL) */
Datum
provenance_add_cosignature(PG_FUNCTION_ARGS)
{
	ProvIdentity *identity;
	ProvWitnessPolicy policy;
	GivenLine	lines[PV_NOTE_MAX_SIGS];
	int			n;
	char	   *given;
	char	   *data;
	size_t		len;
	int64		size;
	Datum		note;
	pv_checkpoint cp;

	PreventCommandDuringRecovery("add_cosignature()");
	PreventCommandIfReadOnly("add_cosignature()");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	identity = prov_identity(false);
	prov_witness_policy(&policy);

	given = text_to_cstring(PG_GETARG_TEXT_PP(0));
	data = prov_format_in(given, strlen(given), &len);
	if (data == NULL || len > PV_CHECKPOINT_MAX_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("the cosignature is malformed"),
				 errdetail("%s.", data ? "It is too long" : "It cannot be read as UTF-8")));
	n = split_lines(data, len, lines);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("the cosignature is malformed"),
				 errdetail("There is no signature line.")));

	LockRelationOid(prov_relid(PROV_CHECKPOINT_COSIGNATURE), ShareRowExclusiveLock);
	if (!prov_own_checkpoint(identity->incarnation, -1, &size, &note))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this log has no checkpoint yet")));
	checkpoint_get(note, &cp);
	assign_keys(&cp, &policy, lines, n);

	size = PG_ARGISNULL(1) ? find_checkpoint(identity->incarnation, &policy, lines, n) : PG_GETARG_INT64(1);
	if (size < 0 && PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the cosignature is not good on any checkpoint of this log"),
				 errdetail("The newest %d were tried.", TRIED_MAX),
				 errhint("For an older one, give its size.")));
	if (size < 0 || !prov_own_checkpoint(identity->incarnation, size, &size, &note))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("\"%s\" has no checkpoint of size %lld", identity->full_origin, (long long) size)));
	checkpoint_get(note, &cp);

	/* a known key's wrong line refuses all, as in a note */
	for (int i = 0; i < n; i++)
	{
		uint64_t	seconds;
		pv_status	status;

		if (lines[i].key < 0)
			continue;
		status = pv_cosignature_verify_line(cp.note.text, cp.note.textlen, lines[i].line, lines[i].len,
											&policy.keys[lines[i].key], &seconds);
		if (status == PV_E_CRYPTO)
			prov_check(status);
		if (status != PV_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the cosignature of \"%s\" is not good on the checkpoint of size %lld",
							prov_format_out(policy.keys[lines[i].key].name, strlen(policy.keys[lines[i].key].name)), (long long) size)));
		keep_line(identity->incarnation, size, &cp, policy.vkeys[lines[i].key], seconds, &lines[i]);
	}
	return prov_cosigned_checkpoint(identity->incarnation, size);
}
