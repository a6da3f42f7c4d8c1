/*-------------------------------------------------------------------------
 *
 * incarnation.c
 *	  new_incarnation(): the same tree goes on under a new origin.
 *
 * For a log that does not extend what was signed for it (restored to an
 * earlier time), a copy beside the original, a lost key. The origin becomes
 * "<origin>/<n>", with a state and a key of its own; the old origin's files
 * are left as they are, they may be somebody else's.
 *
 * An entry, the row of table incarnation, says why and names the head that is
 * given up: the newest known here, from the state file or the ledger. The
 * sealer's lock is held until the commit, and nothing is signed at or below
 * the size of then, so that the first checkpoint of the successor covers that
 * entry.
 *
 * Files first, rows after: what a rollback leaves is a state of size 0 and a
 * key that signed nothing, which the next call takes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "ledger/log.h"
#include "ledger/own_table.h"
#include "ledger/publish.h"
#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/signer.h"
#include "ledger/stop_point.h"
#include "ledger/worker.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_new_incarnation);

void
prov_incarnation_record(int n, int64 since_size, const char *reason, const char *vkey,
						const ProvSignerState *abandoned)
{
	Datum		values[N_INC] = {0};
	bool		nulls[N_INC] = {false};

	values[A_INC_N - 1] = Int32GetDatum(n);
	values[A_INC_STARTED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_INC_SINCE_SIZE - 1] = Int64GetDatum(since_size);
	values[A_INC_REASON - 1] = CStringGetTextDatum(reason);
	values[A_INC_VKEY - 1] = CStringGetTextDatum(vkey);
	nulls[A_INC_ORIGIN - 1] = nulls[A_INC_SIZE - 1] = nulls[A_INC_ROOT - 1] = abandoned == NULL;
	nulls[A_INC_NOTE - 1] = abandoned == NULL || abandoned->note == NULL;
	if (abandoned != NULL)
	{
		pv_hash    *root = palloc(sizeof(pv_hash));

		*root = abandoned->root;
		values[A_INC_ORIGIN - 1] = CStringGetTextDatum(abandoned->origin);
		values[A_INC_SIZE - 1] = Int64GetDatum((int64) abandoned->size);
		values[A_INC_ROOT - 1] = HashPGetDatum(root);
		if (abandoned->note != NULL)
			values[A_INC_NOTE - 1] = checkpoint_to_datum(abandoned->note, abandoned->notelen);
	}
	prov_own_insert(PROV_INCARNATION, PROV_OWN_INCARNATION, values, nulls);
}

/* The newest head that this incarnation is known to have signed. */
static void
abandoned_head(const ProvIdentity *identity, const ProvStateDir *dir, ProvSignerState *out)
{
	HeapTuple	tup = prov_newest_checkpoint(identity->incarnation);
	char	   *reason;

	if (prov_state_read(dir, identity->full_origin, out, &reason) != PROV_STATE_OK)
	{
		memset(out, 0, sizeof(*out));
		out->origin = pstrdup(identity->full_origin);
		out->root = pv_empty_root;
	}
	if (tup != NULL)
	{
		bool		isnull;
		Datum		note = heap_getattr(tup, A_CP_NOTE, prov_tupdesc(PROV_CHECKPOINT_NOTE), &isnull);
		pv_checkpoint cp;

		if (!isnull)
		{
			checkpoint_get(note, &cp);
			if (cp.size > out->size)
			{
				size_t		len;
				const char *bytes = checkpoint_bytes(note, &len);

				out->size = cp.size;
				out->root = cp.root;
				out->note = pnstrdup(bytes, len);
				out->notelen = len;
			}
		}
	}
}

/* True if the origin has been used, as far as can be seen here. */
static bool
origin_used(const ProvStateDir *dir, const char *origin)
{
	ProvSignerState state;
	ProvOwner	self;
	char	   *reason;

	switch (prov_state_read(dir, origin, &state, &reason))
	{
		case PROV_STATE_ABSENT:
			return false;
		case PROV_STATE_BAD:
			return true;
		case PROV_STATE_OK:
			break;
	}
	prov_owner_self(dir, &self);
	return state.size > 0 || prov_owner_difference(&state.owner, &self) != NULL;
}

static void
update_identity(int incarnation, const char *path)
{
	HeapTuple	tup = prov_fetch1(PROV_LOG_IDENTITY, Int32GetDatum(1), NULL);
	Datum		values[N_IDENT];
	bool		nulls[N_IDENT];
	ProvWriter	w;

	heap_deform_tuple(tup, prov_tupdesc(PROV_LOG_IDENTITY), values, nulls);
	values[A_IDENT_INCARNATION - 1] = Int32GetDatum(incarnation);
	values[A_IDENT_STATE_DIRECTORY - 1] = CStringGetTextDatum(path);
	prov_writer_open(&w, PROV_LOG_IDENTITY);
	prov_update(&w, tup, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

/* The directory in use, or a new one where this is another server. */
static char *
state_directory(const ProvIdentity *identity)
{
	char	   *path = prov_state_directory_find(identity->state_directory);
	struct stat st;
	bool		inside;

	if (stat(path, &st) == 0)
		return path;
	path = prov_state_directory_make(prov_setting_of_database("provenance.state_directory"), &inside);
	if (inside)
		prov_warn_inside(path);
	return path;
}

Datum
provenance_new_incarnation(PG_FUNCTION_ARGS)
{
	char	   *why = NULL;
	ProvIdentity *identity;
	ProvStateDir dir;
	ProvSignerState abandoned;
	ProvLog    *log;
	int64		size;
	int			n;
	char	   *path;
	char	   *origin;
	char	   *vkey;
	char	   *reason = NULL;

	prov_check_may_sign("new_incarnation()");
	if (!PG_ARGISNULL(0))
		why = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (why == NULL || why[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a reason must be given"),
				 errdetail("It becomes part of the log.")));
	LockRelationOid(prov_relid(PROV_LOG_IDENTITY), ShareRowExclusiveLock);
	identity = prov_identity(false);
	if (TransactionIdIsCurrentTransactionId(identity->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the log's incarnation was begun by this very transaction"),
				 errhint("Commit first.")));
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) <= identity->incarnation)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the successor's number must be greater than %d", identity->incarnation)));
	prov_lock_sealer_xact();

	path = state_directory(identity);
	if (!prov_state_lock(path, &dir, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the signer's state cannot be kept there"),
				 errdetail("%s.", reason)));
	abandoned_head(identity, &dir, &abandoned);
	n = PG_ARGISNULL(1) ? identity->incarnation + 1 : PG_GETARG_INT32(1);
	for (;; n++)
	{
		origin = psprintf("%s/%d", identity->origin, n);
		if (!PG_ARGISNULL(1) || !origin_used(&dir, origin))
			break;
	}
	prov_state_unlock(&dir);

	log = prov_log_open(NULL);
	size = prov_log_size(log);
	prov_log_close(log);

	vkey = prov_prepare_origin(origin, path);
	PROV_STOP_POINT("incarnation-files");
	update_identity(n, path);
	prov_log_key_insert(n, size, vkey);
	prov_incarnation_record(n, size, why, vkey, &abandoned);
	PROV_STOP_POINT("incarnation-rows");
	prov_signer_settled();
	prov_start_worker_at_commit();
	ereport(LOG,
			(errmsg("log \"%s\" goes on as \"%s\" from size %lld on", identity->full_origin, origin, (long long) size)));
	PG_RETURN_TEXT_P(cstring_to_text(vkey));
}
