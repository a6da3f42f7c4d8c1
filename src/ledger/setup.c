/*-------------------------------------------------------------------------
 *
 * setup.c
 *	  setup(): a new log's identity, key and state; verifier_key().
 *
 * Files first, rows after: a transaction that rolls back leaves a state file
 * of size 0 and a key, and the next setup() of the same database uses them
 * again. The state file is made before the key. So a key without a state file
 * is one whose state somebody removed, and is not used: without the state
 * nobody knows what it has signed.
 *
 * setup('<origin>/<n>') begins a successor where the ledger itself is gone, for
 * instance with DROP EXTENSION, and its origin has been signed.
 *
 * Two sessions are kept apart by a lock on log_identity, two databases by the
 * lock of the state directory and the owner in the state file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "ledger/settings.h"
#include "ledger/signer.h"
#include "ledger/stop_point.h"
#include "ledger/store.h"
#include "ledger/worker.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_setup);
PG_FUNCTION_INFO_V1(provenance_verifier_key);

char *
prov_key_vkey(const ProvKey *key, const char *origin)
{
	pv_vkey		vkey;
	char		text[PV_VKEY_MAX];

	prov_check(pv_vkey_make(prov_hasher(), origin, strlen(origin), PV_SIG_ED25519,
							key->public_key, &vkey));
	prov_check(pv_vkey_format(&vkey, text));
	return pstrdup(text);
}

char *
prov_key_location(const char *configured, const ProvStateDir *dir, const char *origin)
{
	if (configured && configured[0] != '\0')
		return pstrdup(configured);
	return prov_state_path(dir, origin, "key");
}

/* Without the incarnation. */
static char *
base_origin(const char *origin)
{
	return pnstrdup(origin, strcspn(origin, "/"));
}

/* The origin after this one, for a hint. */
static char *
successor(const char *origin)
{
	const char *slash = strchr(origin, '/');

	return psprintf("%s/%d", base_origin(origin), slash != NULL ? pg_strtoint32(slash + 1) + 1 : 2);
}

char *
prov_prepare_origin(const char *origin, const char *path)
{
	char	   *configured_key = prov_setting_of_database("provenance.signing_key");
	ProvStateDir dir;
	ProvSignerState state;
	ProvOwner	self;
	char	   *reason = NULL;
	char	   *location;
	ProvKey    *key;
	char	   *vkey;
	struct stat st;

	if (!prov_state_lock(path, &dir, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the signer's state cannot be kept there"),
				 errdetail("%s.", reason)));
	prov_owner_self(&dir, &self);
	location = prov_key_location(configured_key, &dir, origin);

	switch (prov_state_read(&dir, origin, &state, &reason))
	{
		case PROV_STATE_BAD:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the signer's state of origin \"%s\" cannot be used", origin),
					 errdetail("%s.", reason)));
			break;
		case PROV_STATE_ABSENT:
			if (configured_key[0] == '\0' && lstat(location, &st) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("there is a key of origin \"%s\", but no state", origin),
						 errdetail("What the key \"%s\" has signed is not known.", location),
						 errhint("Put back the state file, or choose another origin.")));
			memset(&state, 0, sizeof(state));
			state.origin = pstrdup(origin);
			state.root = pv_empty_root;
			state.owner = self;
			prov_state_write(&dir, &state);
			PROV_STOP_POINT("setup-state");
			break;
		case PROV_STATE_OK:
			reason = prov_owner_difference(&state.owner, &self);
			if (reason != NULL)
			{
				bool		gone = state.owner.system_identifier == self.system_identifier &&
				strcmp(state.owner.data_directory, self.data_directory) == 0 &&
				!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(state.owner.database));

				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("origin \"%s\" is another database's", origin),
						 errdetail("The state in \"%s\" belongs to %s%s; it has signed up to size %llu.",
								   dir.path, reason, gone ? ", which no longer exists" : "",
								   (unsigned long long) state.size),
						 errhint("Choose another origin, or its successor, such as \"%s\".", successor(origin))));
			}
			if (state.size > 0)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("origin \"%s\" has a log already, up to size %llu", origin,
								(unsigned long long) state.size),
						 errdetail("The state in \"%s\" is this database's, but its ledger is gone.", dir.path),
						 errhint("Restore the ledger and continue with new_incarnation(), or set up the successor, such as \"%s\".",
								 successor(origin))));
			break;
	}

	if (configured_key[0] == '\0' && lstat(location, &st) != 0)
		prov_key_create(location);
	key = prov_key_load(location, &reason);
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the signing key cannot be used"),
				 errdetail("%s.", reason)));
	vkey = prov_key_vkey(key, origin);
	prov_key_free(key);
	prov_state_unlock(&dir);
	PROV_STOP_POINT("setup-key");
	return vkey;
}

void
prov_warn_inside(const char *path)
{
	ereport(WARNING,
			(errmsg("the signer's state is kept inside the data directory"),
			 errdetail("It is in \"%s\": base backups carry the key and the state.", path),
			 errhint("Set provenance.state_directory for this database to a lasting folder elsewhere.")));
}

void
prov_log_key_insert(int incarnation, int64 since_size, const char *vkey)
{
	Datum		key[N_KEY];
	bool		nulls[N_KEY] = {false};
	ProvWriter	w;

	key[A_KEY_INCARNATION - 1] = Int32GetDatum(incarnation);
	key[A_KEY_SINCE_SIZE - 1] = Int64GetDatum(since_size);
	key[A_KEY_VKEY - 1] = CStringGetTextDatum(vkey);
	key[A_KEY_CREATED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	prov_writer_open(&w, PROV_LOG_KEY);
	prov_insert(&w, key, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

static void
insert_rows(const char *origin, int incarnation, const char *vkey, const char *directory)
{
	ProvWriter	w;
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());
	uint8		row_key[PV_ROW_KEY_LEN];
	bytea	   *row_key_datum = palloc(VARHDRSZ + PV_ROW_KEY_LEN);
	Datum		ident[N_IDENT];
	Datum		ws[N_WS];
	bool		nulls[16];

	if (!pg_strong_random(row_key, PV_ROW_KEY_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not obtain random bytes")));
	SET_VARSIZE(row_key_datum, VARHDRSZ + PV_ROW_KEY_LEN);
	memcpy(VARDATA(row_key_datum), row_key, PV_ROW_KEY_LEN);
	explicit_bzero(row_key, sizeof(row_key));

	memset(nulls, 0, sizeof(nulls));
	ident[A_IDENT_ID - 1] = Int32GetDatum(1);
	ident[A_IDENT_INCARNATION - 1] = Int32GetDatum(incarnation);
	ident[A_IDENT_CREATED_AT - 1] = now;
	ident[A_IDENT_ORIGIN - 1] = CStringGetTextDatum(origin);
	ident[A_IDENT_ROW_KEY - 1] = PointerGetDatum(row_key_datum);
	ident[A_IDENT_STATE_DIRECTORY - 1] = CStringGetTextDatum(directory);
	prov_writer_open(&w, PROV_LOG_IDENTITY);
	prov_insert(&w, ident, nulls);
	prov_writer_close(&w);

	prov_log_key_insert(incarnation, 0, vkey);

	ws[A_WS_ID - 1] = Int32GetDatum(1);
	ws[A_WS_ERROR_AT - 1] = (Datum) 0;
	ws[A_WS_SIGNER - 1] = CStringGetTextDatum("ready");
	ws[A_WS_ERROR - 1] = (Datum) 0;
	ws[A_WS_WANTED - 1] = BoolGetDatum(true);
	ws[A_WS_DATABASE - 1] = ObjectIdGetDatum(MyDatabaseId);
	ws[A_WS_SYSTEM - 1] = Int64GetDatum((int64) GetSystemIdentifier());
	nulls[A_WS_ERROR_AT - 1] = true;
	nulls[A_WS_ERROR - 1] = true;
	prov_writer_open(&w, PROV_WORKER_STATE);
	prov_insert(&w, ws, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

/*
 * The newest head known here of a log whose ledger is gone: an earlier
 * incarnation's than n. NULL if there is no state of any.
 */
static ProvSignerState *
lost_head(const char *origin, int n, const char *path)
{
	ProvSignerState *state = palloc(sizeof(ProvSignerState));
	ProvStateDir dir;
	char	   *reason;

	if (!prov_state_lock(path, &dir, &reason))
		return NULL;
	for (n--; n >= 1; n--)
	{
		char	   *full = n > 1 ? psprintf("%s/%d", origin, n) : pstrdup(origin);

		if (prov_state_read(&dir, full, state, &reason) == PROV_STATE_OK && state->size > 0)
			break;
	}
	prov_state_unlock(&dir);
	return n >= 1 ? state : NULL;
}

void
prov_check_may_sign(const char *what)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s", what),
				 errdetail("Only a superuser may decide about the log's key and state.")));
	PreventCommandDuringRecovery(what);
	PreventCommandIfReadOnly(what);
}

Datum
provenance_setup(PG_FUNCTION_ARGS)
{
	char	   *full_origin = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *origin;
	int			incarnation = 1;
	ProvIdentity *identity;
	char	   *vkey;
	char	   *directory;
	bool		inside;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set up a log"),
				 errdetail("Only a superuser may create a log's identity and key.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("a log cannot be set up on a standby")));
	PreventCommandIfReadOnly("setup()");
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a database with encoding SQL_ASCII cannot have a log"),
				 errdetail("What the bytes of its texts mean is not known, so other databases could not read them alike.")));
	if (!pv_origin_valid(full_origin, strlen(full_origin), true))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid origin: \"%s\"", full_origin),
				 errdetail("An origin is a name like a host's: letters, digits, \".\" and \"-\", at most 200 bytes.")));
	origin = base_origin(full_origin);
	if (full_origin[strlen(origin)] == '/')
		incarnation = pg_strtoint32(full_origin + strlen(origin) + 1);

	LockRelationOid(prov_relid(PROV_LOG_IDENTITY), ShareRowExclusiveLock);
	identity = prov_identity(true);
	if (identity != NULL)
	{
		if (strcmp(identity->origin, full_origin) != 0 && strcmp(identity->full_origin, full_origin) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("this database's log has the origin \"%s\"", identity->full_origin),
					 errdetail("A log keeps its origin.")));
		vkey = prov_log_vkey(identity->incarnation);
		if (vkey == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the log's verifier key is missing")));
		PG_RETURN_TEXT_P(cstring_to_text(vkey));
	}

	directory = prov_state_directory_make(prov_setting_of_database("provenance.state_directory"), &inside);
	if (inside)
		prov_warn_inside(directory);
	vkey = prov_prepare_origin(full_origin, directory);
	insert_rows(origin, incarnation, vkey, directory);
	PROV_STOP_POINT("setup-rows");
	if (incarnation > 1)
		prov_incarnation_record(incarnation, 0, "the ledger before it is gone", vkey,
								lost_head(origin, incarnation, directory));
	prov_start_worker_at_commit();
	PG_RETURN_TEXT_P(cstring_to_text(vkey));
}

Datum
provenance_verifier_key(PG_FUNCTION_ARGS)
{
	ProvIdentity *identity = prov_identity(false);
	char	   *vkey = prov_log_vkey(identity->incarnation);

	if (vkey == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(vkey));
}
