/*
 * handover.c: handing a record from one database, A, to another, B, so that
 * the log of each holds what the log of the other says of it.
 *
 * Three steps: A gives (a1), B takes and holds a1's record commitment (b1), A
 * closes and holds b1's (a2). Each is a row of a tagged table, written in the
 * caller's transaction. Record commitments and not leaf hashes: those exist as
 * soon as the row is written, these only once it is sealed.
 *
 * The ledger does not carry the transaction over to the other database: that
 * is the caller's, by PREPARE TRANSACTION on both sides, A's committed first,
 * or by an ordinary foreign data wrapper (doc/operations.md, "Handing records
 * over"). Then a close that is committed says that B must commit. `confirm`
 * and `withdraw` say what A found out afterwards.
 *
 * Two sessions with one handover follow each other by an advisory lock, to the
 * end of the transaction, which may be a COMMIT PREPARED; those with different
 * ones do not meet.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/canonical.h"
#include "ledger/log.h"
#include "ledger/own_table.h"
#include "ledger/record.h"
#include "ledger/seal.h"
#include "partner/partner.h"

PG_FUNCTION_INFO_V1(provenance_handover_give);
PG_FUNCTION_INFO_V1(provenance_handover_take);
PG_FUNCTION_INFO_V1(provenance_handover_close);
PG_FUNCTION_INFO_V1(provenance_handover_confirm);
PG_FUNCTION_INFO_V1(provenance_handover_withdraw);
PG_FUNCTION_INFO_V1(provenance_handover_record);

#define PREFIX "handover:"
/* The prepared transactions are named after it, with ":give" and ":take", and have 199 bytes. */
#define MAX_GID 190

static char *
text_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	char	   *s;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	s = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (s[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name)));
	return s;
}

static pv_hash *
hash_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the record commitment must not be null")));
	return PG_GETARG_HASH_P(n);
}

/* Of a step that is to be written: from here on nobody else writes one of this handover. */
static char *
gid_argument(FunctionCallInfo fcinfo)
{
	char	   *gid = text_argument(fcinfo, 0, "gid");

	PreventCommandIfReadOnly("a step of a handover");
	if (strncmp(gid, PREFIX, strlen(PREFIX)) != 0 || gid[strlen(PREFIX)] == '\0' || strlen(gid) > MAX_GID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" does not name a handover", gid),
				 errdetail("Its name begins with \"" PREFIX "\", goes on, and has at most %d bytes.", MAX_GID)));
	(void) prov_identity(false);
	prov_lock_handover(hash_bytes((const unsigned char *) gid, strlen(gid)));
	return gid;
}

static HeapTuple
find_step(const char *gid, const char *step)
{
	return prov_fetch2(PROV_HANDOVER, CStringGetTextDatum(gid), CStringGetTextDatum(step), NULL);
}

/* ERROR if that step has been made. */
static void
check_not(const char *gid, const char *step, const char *what)
{
	if (HeapTupleIsValid(find_step(gid, step)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("handover \"%s\" has been %s", gid, what)));
}

/* Writes a step and returns the record commitment of its entry. */
static Datum
write_step(const char *gid, const char *step, const char *partner, const char *subject, const pv_hash *record)
{
	Datum		values[N_HO];
	bool		nulls[N_HO] = {false};
	pv_hash		commitment;

	values[A_HO_GID - 1] = CStringGetTextDatum(gid);
	values[A_HO_STEP - 1] = CStringGetTextDatum(step);
	values[A_HO_WRITTEN_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_HO_PARTNER - 1] = CStringGetTextDatum(partner);
	nulls[A_HO_SUBJECT - 1] = subject == NULL;
	values[A_HO_SUBJECT - 1] = subject == NULL ? (Datum) 0 : CStringGetTextDatum(subject);
	nulls[A_HO_RECORD - 1] = record == NULL;
	values[A_HO_RECORD - 1] = record == NULL ? (Datum) 0 : hash_to_datum(record);
	prov_own_insert(PROV_HANDOVER, PROV_OWN_HANDOVER, values, nulls);
	if (!prov_last_commitment(&commitment))
		elog(ERROR, "the handover's row was not recorded");
	return hash_to_datum(&commitment);
}

/* A further step of the giving side: of whom and to whom are those of `give`. */
static Datum
write_later_step(const char *gid, const char *step, const pv_hash *record)
{
	HeapTuple	give = find_step(gid, "give");
	TupleDesc	desc = prov_tupdesc(PROV_HANDOVER);
	bool		no_partner;
	bool		no_subject;
	Datum		partner;
	Datum		subject;

	if (!HeapTupleIsValid(give))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("handover \"%s\" was not given by this database", gid)));
	partner = heap_getattr(give, A_HO_PARTNER, desc, &no_partner);
	subject = heap_getattr(give, A_HO_SUBJECT, desc, &no_subject);
	return write_step(gid, step, no_partner ? "" : TextDatumGetCString(partner),
					  no_subject ? NULL : TextDatumGetCString(subject), record);
}

/* handover_give(gid text, partner text, subject text DEFAULT NULL) */
Datum
provenance_handover_give(PG_FUNCTION_ARGS)
{
	char	   *gid = gid_argument(fcinfo);
	char	   *partner = text_argument(fcinfo, 1, "partner");

	check_not(gid, "give", "given already");
	PG_RETURN_DATUM(write_step(gid, "give", partner,
							   PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)), NULL));
}

/* handover_take(gid text, partner text, subject text, record hash) */
Datum
provenance_handover_take(PG_FUNCTION_ARGS)
{
	char	   *gid = gid_argument(fcinfo);
	char	   *partner = text_argument(fcinfo, 1, "partner");
	pv_hash    *record = hash_argument(fcinfo, 3);

	check_not(gid, "take", "taken already");
	PG_RETURN_DATUM(write_step(gid, "take", partner,
							   PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)), record));
}

/* handover_close(gid text, record hash) */
Datum
provenance_handover_close(PG_FUNCTION_ARGS)
{
	char	   *gid = gid_argument(fcinfo);
	pv_hash    *record = hash_argument(fcinfo, 1);

	check_not(gid, "close", "closed already");
	check_not(gid, "withdraw", "withdrawn");
	PG_RETURN_DATUM(write_later_step(gid, "close", record));
}

/* handover_confirm(gid text) */
Datum
provenance_handover_confirm(PG_FUNCTION_ARGS)
{
	char	   *gid = gid_argument(fcinfo);

	if (!HeapTupleIsValid(find_step(gid, "close")))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("handover \"%s\" has not been closed", gid)));
	check_not(gid, "confirm", "confirmed already");
	PG_RETURN_DATUM(write_later_step(gid, "confirm", NULL));
}

/* handover_withdraw(gid text) */
Datum
provenance_handover_withdraw(PG_FUNCTION_ARGS)
{
	char	   *gid = gid_argument(fcinfo);

	check_not(gid, "close", "closed already");
	check_not(gid, "withdraw", "withdrawn already");
	PG_RETURN_DATUM(write_later_step(gid, "withdraw", NULL));
}

/* The entry of a row, which is never changed: sealed, or still waiting. */
static bool
find_entry(const uint8 *row_id, ProvEntry *entry)
{
	/* one for both: the sealer may be at work */
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ProvLog    *log = prov_log_open(snapshot);
	int64		leaf = prov_log_head(log, row_id, PROV_OWN_HANDOVER, NULL);
	ProvLeafRef ref;
	bool		found = false;

	if (leaf >= 0)
		found = prov_log_leaf(log, leaf, &ref) && prov_entry_fetch(ref.xid, ref.seq, snapshot, false, entry);
	prov_log_close(log);
	if (leaf < 0)
	{
		ProvUnsealedScan *scan = prov_unsealed_open_row(snapshot, row_id);

		while (!found && prov_unsealed_next(scan, entry))
			found = entry->table_id == PROV_OWN_HANDOVER && memcmp(entry->row_id, row_id, PV_ROW_ID_LEN) == 0;
		prov_unsealed_close(scan);
	}
	UnregisterSnapshot(snapshot);
	return found;
}

/* handover_record(gid text, step text): the record commitment of a step; NULL if it was not made */
Datum
provenance_handover_record(PG_FUNCTION_ARGS)
{
	char	   *gid = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *step = text_to_cstring(PG_GETARG_TEXT_PP(1));
	pv_value	key[2];
	uint8		row_id[PV_ROW_ID_LEN];
	ProvEntry	entry;

	if (!HeapTupleIsValid(find_step(gid, step)))
		PG_RETURN_NULL();
	key[0] = prov_utf8_value(gid);
	key[1] = prov_utf8_value(step);
	prov_check(pv_row_identity(prov_hasher(), prov_identity(false)->row_key, PROV_OWN_HANDOVER, key, 2, row_id));
	if (!find_entry(row_id, &entry))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("step \"%s\" of handover \"%s\" has no entry", step, gid),
				 errhint("SELECT * FROM provenance.verify() says more.")));
	PG_RETURN_DATUM(hash_to_datum(&entry.commitment));
}
