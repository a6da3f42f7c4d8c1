/*-------------------------------------------------------------------------
 *
 * adopt.c
 *	  adopt(): this database becomes the owner of the signer's state.
 *
 * After a promotion, a restore or a move the state file names another owner,
 * or is not here at all, and the signer is stopped. adopt() goes on where the
 * state ended, or a newer checkpoint that someone kept. What keeps a second
 * log from being signed:
 *	- The log must extend the kept checkpoint and the state, so that it is the
 *	  same log; the kept one must bear a signature of this log's key.
 *	- Nothing below the state's size is accepted.
 *	- The previous owner must not live on: not as another database of this
 *	  cluster, not as a server that runs on this host.
 *	- Without a state, a checkpoint is needed, and no state may lie where it
 *	  used to be.
 * What cannot be seen from here, a copy that goes on elsewhere or a newer
 * checkpoint that was not given, is seen by witnesses and partners.
 *
 * What the database has cosigned as a witness is taken over with it.
 *
 * The state file is replaced first, rows follow: a transaction that rolls back
 * leaves this database the owner, which it is entitled to be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <sys/stat.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "ledger/log.h"
#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/signer.h"
#include "ledger/stop_point.h"
#include "ledger/worker.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_adopt);

#define COPY_HINT "A copy of the database goes on under an origin of its own: provenance.new_incarnation(reason)."

/* A refusal that does not depend on the checkpoint given. */
static void
refuse(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the log cannot be adopted"),
			 errdetail_internal("%s.", detail),
			 hint ? errhint("%s", hint) : 0));
}

/* The kept checkpoint is one of this log's. */
static void
check_kept(const pv_checkpoint *kept, const ProvIdentity *identity)
{
	int			n;
	ProvLogKey *keys = prov_log_keys(identity->incarnation, &n);
	pv_vkey    *vkeys = palloc(sizeof(pv_vkey) * (n + 1));
	unsigned	nvkeys = 0;

	if (kept->originlen != strlen(identity->full_origin) ||
		memcmp(kept->origin, identity->full_origin, kept->originlen) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the checkpoint is not one of origin \"%s\"", identity->full_origin),
				 errdetail("Its origin is \"%s\".", pnstrdup(kept->origin, kept->originlen))));
	for (int i = Max(0, n - PROV_MAX_VKEYS); i < n; i++)
		if (pv_vkey_parse(prov_hasher(), keys[i].vkey, strlen(keys[i].vkey), &vkeys[nvkeys]) == PV_OK)
			nvkeys++;
	if (!prov_holds(pv_checkpoint_verify(kept, vkeys, nvkeys)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the checkpoint has no good signature by a key of this log")));
}

static void
check_extends(ProvLog *log, uint64 size, const pv_hash *root, const char *what)
{
	pv_hash		mine;
	const char *hint = "If what is missing cannot be restored, start the successor: provenance.new_incarnation(reason).";

	if ((uint64) prov_log_size(log) < size)
		refuse(psprintf("The log holds %lld entries, and %s has size %llu",
						(long long) prov_log_size(log), what, (unsigned long long) size), hint);
	prov_check(pv_tree_root(prov_log_tree(log), size, &mine));
	if (!pv_hash_equal(&mine, root))
		refuse(psprintf("The log does not extend %s of size %llu", what, (unsigned long long) size), hint);
}

/* True if a server runs on that data directory, on this host. */
static bool
server_runs(const char *data_directory)
{
	char	   *path = psprintf("%s/postmaster.pid", data_directory);
	FILE	   *file = AllocateFile(path, "r");
	long		pid = 0;

	if (file == NULL)
		return false;
	if (fscanf(file, "%ld", &pid) != 1)
		pid = 0;
	FreeFile(file);
	return pid > 0 && pid != PostmasterPid && (kill((pid_t) pid, 0) == 0 || errno == EPERM);
}

/* The previous owner must be gone. */
static void
check_previous(const ProvOwner *owner, const ProvOwner *self)
{
	if (owner->system_identifier == self->system_identifier && owner->database != self->database &&
		SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(owner->database)))
		refuse(psprintf("The log is that of the database with OID %u, which still exists in this cluster", owner->database),
			   COPY_HINT);
	if (strcmp(owner->data_directory, self->data_directory) != 0 && server_runs(owner->data_directory))
		refuse(psprintf("The log is that of the server with data directory \"%s\", which is running", owner->data_directory),
			   COPY_HINT);
}

/* No state here. May there be a new one? */
static void
check_no_state(const ProvIdentity *identity, const char *path, bool kept)
{
	struct stat st;

	if (strcmp(path, identity->state_directory) != 0)
	{
		ProvStateDir old = {.path = identity->state_directory};

		if (stat(prov_state_path(&old, identity->full_origin, "state"), &st) == 0)
			refuse(psprintf("The signer's state is still in \"%s\", and not in \"%s\"", identity->state_directory, path),
				   "If this is the original that has moved: move the folder, or set provenance.state_directory for this database. " COPY_HINT);
	}
	if (!kept)
		refuse(psprintf("There is no signer's state of origin \"%s\" in \"%s\" (it was in \"%s\")",
						identity->full_origin, path, identity->state_directory),
			   "Bring the folder here, or give adopt() the newest checkpoint that was ever signed: ask witnesses and partners.");
}

/* The signing key must be here. */
static void
check_key(const ProvStateDir *dir, const ProvIdentity *identity)
{
	ProvKeySettings settings;
	char	   *vkey = prov_log_vkey(identity->incarnation);
	char	   *reason = NULL;
	ProvKey    *key = NULL;

	prov_key_settings(&settings);
	if (vkey == NULL)
		refuse("The log's verifier key is missing", NULL);
	key = prov_key_find(dir, identity->full_origin, vkey, false, &settings, &reason);
	if (key == NULL)
		refuse(psprintf("Of the log's signing key, %s", reason),
			   psprintf("Copy the key file to \"%s\" (mode 0600), or set provenance.signing_key for this database; if the key is lost, start the successor: provenance.new_incarnation(reason).",
						prov_state_path(dir, identity->full_origin, "key")));
	prov_key_free(key);
}

/* The directory where the state is or, for a new one, is to be. */
static char *
state_directory(const ProvIdentity *identity, bool may_make)
{
	char	   *path = prov_state_directory_find(identity->state_directory);
	struct stat st;
	bool		inside;

	if (stat(path, &st) != 0)
	{
		check_no_state(identity, path, may_make);
		path = prov_state_directory_make(prov_setting_of_database("provenance.state_directory"), &inside);
		if (inside)
			prov_warn_inside(path);
	}
	return path;
}

/* log_identity says where the state was last. */
static void
remember_directory(const char *path)
{
	HeapTuple	tup = prov_fetch1(PROV_LOG_IDENTITY, Int32GetDatum(1), NULL);
	Datum		values[N_IDENT];
	bool		nulls[N_IDENT];
	ProvWriter	w;

	heap_deform_tuple(tup, prov_tupdesc(PROV_LOG_IDENTITY), values, nulls);
	values[A_IDENT_STATE_DIRECTORY - 1] = CStringGetTextDatum(path);
	prov_writer_open(&w, PROV_LOG_IDENTITY);
	prov_update(&w, tup, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

Datum
provenance_adopt(PG_FUNCTION_ARGS)
{
	bool		have_kept = !PG_ARGISNULL(0);
	pv_checkpoint kept;
	ProvIdentity *identity;
	ProvStateDir dir;
	ProvSignerState state;
	ProvOwner	self;
	ProvLog    *log;
	char	   *path;
	char	   *reason = NULL;
	List	   *cosigned;
	ListCell   *lc;

	prov_check_may_sign("adopt()");
	LockRelationOid(prov_relid(PROV_LOG_IDENTITY), ShareRowExclusiveLock);
	identity = prov_identity(false);
	prov_lock_sealer_xact();
	if (have_kept)
	{
		checkpoint_get(PG_GETARG_DATUM(0), &kept);
		check_kept(&kept, identity);
	}

	path = state_directory(identity, have_kept);
	if (!prov_state_lock(path, &dir, &reason))
		refuse(psprintf("Of the signer's state, %s", reason), NULL);
	prov_owner_self(&dir, &self);
	log = prov_log_open(NULL);
	switch (prov_state_read(&dir, identity->full_origin, &state, &reason))
	{
		case PROV_STATE_BAD:
			refuse(psprintf("Here %s", reason), "Restore the file.");
			break;
		case PROV_STATE_ABSENT:
			check_no_state(identity, path, have_kept);
			memset(&state, 0, sizeof(state));
			state.origin = pstrdup(identity->full_origin);
			state.root = pv_empty_root;
			break;
		case PROV_STATE_OK:
			check_previous(&state.owner, &self);
			check_extends(log, state.size, &state.root, "the signer's state");
			break;
	}
	if (have_kept)
	{
		size_t		len;
		const char *bytes = checkpoint_bytes(PG_GETARG_DATUM(0), &len);

		if (kept.size < state.size)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the checkpoint is not the newest"),
					 errdetail("It has size %llu, the signer's state has size %llu.",
							   (unsigned long long) kept.size, (unsigned long long) state.size)));
		check_extends(log, kept.size, &kept.root, "the checkpoint");
		if (kept.size > state.size || state.note == NULL)
		{
			state.size = kept.size;
			state.root = kept.root;
			state.note = pnstrdup(bytes, len);
			state.notelen = len;
		}
	}
	prov_log_close(log);
	check_key(&dir, identity);

	/* what was cosigned as a witness goes with the log */
	cosigned = prov_cosigned_heads(&dir, identity, &self, &reason);
	if (reason != NULL)
		refuse(psprintf("Here %s", reason), "Restore the file.");
	foreach(lc, cosigned)
		check_previous(&((ProvSignerState *) lfirst(lc))->owner, &self);

	state.owner = self;
	prov_state_write(&dir, &state);
	PROV_STOP_POINT("adopt-state");
	foreach(lc, cosigned)
	{
		ProvSignerState *head = lfirst(lc);

		head->owner = self;
		prov_state_write(&dir, head);
	}
	prov_state_unlock(&dir);
	PROV_STOP_POINT("adopt-files");

	if (strcmp(path, identity->state_directory) != 0)
		remember_directory(path);
	prov_signer_settled();
	prov_start_worker_at_commit();
	PROV_STOP_POINT("adopt-rows");
	ereport(LOG,
			(errmsg("log \"%s\" was adopted at size %llu", identity->full_origin, (unsigned long long) state.size)));
	PG_RETURN_TEXT_P(cstring_to_text(prov_log_vkey(identity->incarnation)));
}
