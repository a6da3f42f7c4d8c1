/*-------------------------------------------------------------------------
 *
 * rotate.c
 *	  rotate_key(): one signing key after another.
 *
 * A row of log_key makes the new key the log's from the next checkpoint on, a
 * row of key_handover makes the handover an entry, both in the caller's
 * transaction. The old key goes on signing beside the new one during
 * provenance.key_overlap. log_keys.c says where the files are; the new key's
 * is written first, and what a rollback leaves is taken by the next call.
 *
 * With provenance.signing_key set, the administrator makes the key and points
 * the setting at it (and provenance.previous_signing_key at the old one);
 * until rotate_key() takes it over, the signer is stopped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "fmgr.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "ledger/log.h"
#include "ledger/own_table.h"
#include "ledger/seal.h"
#include "ledger/signer.h"
#include "ledger/settings.h"
#include "ledger/stop_point.h"
#include "ledger/worker.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_rotate_key);

typedef struct Rotation
{
	ProvIdentity *identity;
	ProvStateDir dir;
	ProvKeySettings settings;
	int			nkeys;
	ProvLogKey *keys;
} Rotation;

static void
refuse(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the key cannot be rotated"),
			 errdetail_internal("%s.", detail),
			 hint ? errhint("%s", hint) : 0));
}

/* The state is ours, and the rotation before this one is over. */
static void
check_state(const Rotation *r)
{
	const char *origin = r->identity->full_origin;
	const ProvLogKey *newest = &r->keys[r->nkeys - 1];
	ProvSignerState state;
	ProvOwner	self;
	char	   *reason = NULL;

	if (prov_state_read(&r->dir, origin, &state, &reason) != PROV_STATE_OK)
		refuse(reason ? psprintf("Here %s", reason) :
			   psprintf("There is no signer's state of origin \"%s\" in \"%s\"", origin, r->dir.path), NULL);
	prov_owner_self(&r->dir, &self);
	reason = prov_owner_difference(&state.owner, &self);
	if (reason != NULL)
		refuse(psprintf("The signer's state belongs to %s", reason), "Call provenance.adopt() first.");
	if (TransactionIdIsCurrentTransactionId(newest->xmin))
		refuse("The log's key is of this very transaction", "Commit first.");
	if (r->nkeys == 1)
		return;
	if (state.size <= (uint64) newest->since_size)
		refuse("The newest key has not signed anything yet", "Call provenance.seal() first.");
	if (prov_keys_overlap(r->keys, r->nkeys, r->settings.overlap))
		refuse("The key before the newest still signs",
			   "Wait for the end of provenance.key_overlap, or make it shorter with ALTER DATABASE … SET.");
}

/* In the file that becomes the current one; one that a rollback left is taken. */
static char *
new_key_in_file(const Rotation *r)
{
	const char *origin = r->identity->full_origin;
	char	   *path = prov_state_path(&r->dir, origin, "key.next");
	char	   *reason = NULL;
	struct stat st;
	ProvKey    *key;
	char	   *vkey;

	key = prov_key_find(&r->dir, origin, r->keys[r->nkeys - 1].vkey, false, &r->settings, &reason);
	if (key == NULL)
		refuse(psprintf("Of the log's signing key, %s", reason),
			   "If it is lost, start the successor: provenance.new_incarnation(reason).");
	prov_key_free(key);

	if (lstat(path, &st) != 0)
		prov_key_create(path);
	key = prov_key_load(path, &reason);
	if (key == NULL)
		refuse(psprintf("Of the new key, %s", reason), "Remove that file.");
	vkey = prov_key_vkey(key, origin);
	prov_key_free(key);
	for (int i = 0; i < r->nkeys; i++)
		if (strcmp(r->keys[i].vkey, vkey) == 0)
			refuse(psprintf("The file \"%s\" holds a key that the log has, or had, already", path),
				   "The next checkpoint gives it its name: make a change, and call provenance.seal().");
	return vkey;
}

/* That which the setting names. */
static char *
new_key_configured(const Rotation *r)
{
	const char *origin = r->identity->full_origin;
	char	   *reason = NULL;
	ProvKey    *key = prov_key_load(r->settings.signing_key, &reason);
	char	   *vkey;

	if (key == NULL)
		refuse(psprintf("Of the new key, %s", reason), NULL);
	vkey = prov_key_vkey(key, origin);
	prov_key_free(key);

	for (int i = 0; i < r->nkeys; i++)
		if (strcmp(r->keys[i].vkey, vkey) == 0)
			refuse("provenance.signing_key names a key that the log has, or had, already",
				   "Make a new key, ALTER DATABASE … SET provenance.signing_key to it and provenance.previous_signing_key to the old one, then call rotate_key().");

	key = prov_key_find(&r->dir, origin, r->keys[r->nkeys - 1].vkey, true, &r->settings, &reason);
	if (key == NULL)
		ereport(NOTICE,
				(errmsg("the new key alone will sign"),
				 errdetail("Of the old key, %s.", reason),
				 errhint("To have both sign for a while, set provenance.previous_signing_key for this database.")));
	else
		prov_key_free(key);
	return vkey;
}

Datum
provenance_rotate_key(PG_FUNCTION_ARGS)
{
	Rotation	r;
	ProvLog    *log;
	int64		size;
	char	   *vkey;
	char	   *reason = NULL;
	Datum		values[N_HAND];
	bool		nulls[N_HAND] = {false};

	prov_check_may_sign("rotate_key()");
	LockRelationOid(prov_relid(PROV_LOG_IDENTITY), ShareRowExclusiveLock);
	r.identity = prov_identity(false);
	prov_lock_sealer_xact();
	prov_key_settings(&r.settings);
	r.keys = prov_log_keys(r.identity->incarnation, &r.nkeys);
	if (r.nkeys == 0)
		refuse("The log's verifier key is missing", NULL);

	if (!prov_state_lock(prov_state_directory_find(r.identity->state_directory), &r.dir, &reason))
		refuse(psprintf("Of the signer's state, %s", reason), NULL);
	check_state(&r);
	if (r.settings.signing_key[0] != '\0')
		vkey = new_key_configured(&r);
	else
		vkey = new_key_in_file(&r);
	prov_state_unlock(&r.dir);
	PROV_STOP_POINT("rotate-key");

	log = prov_log_open(NULL);
	size = prov_log_size(log);
	prov_log_close(log);
	prov_log_key_insert(r.identity->incarnation, size, vkey);
	values[A_HAND_NEW - 1] = CStringGetTextDatum(vkey);
	values[A_HAND_OLD - 1] = CStringGetTextDatum(r.keys[r.nkeys - 1].vkey);
	values[A_HAND_INCARNATION - 1] = Int32GetDatum(r.identity->incarnation);
	values[A_HAND_SINCE_SIZE - 1] = Int64GetDatum(size);
	values[A_HAND_STARTED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	prov_own_insert(PROV_KEY_HANDOVER, PROV_OWN_KEY_HANDOVER, values, nulls);
	PROV_STOP_POINT("rotate-rows");
	prov_start_worker_at_commit();
	ereport(LOG,
			(errmsg("log \"%s\" has a new key from size %lld on", r.identity->full_origin, (long long) size),
			 errdetail("The verifier key is %s.", vkey)));
	PG_RETURN_TEXT_P(cstring_to_text(vkey));
}
