/*-------------------------------------------------------------------------
 *
 * witness_key.c
 *	  The key that this database cosigns with.
 *
 * A key of its own, never the log's: the log's key says "this is my head", and
 * under one key the two statements would have to be kept apart by their form
 * alone. Its name is the log's origin with its incarnation. A copy of the
 * database that goes on as another incarnation must not cosign with the key of
 * the original, which goes on too; and whoever believes the successor of a log
 * has to be told its keys anyway.
 *
 * The private half is the file "<hex SHA-256 of the origin>.witness" in the
 * signer's state directory, the public half a row. The file comes first; one
 * that a rollback left is taken by the next call. It may have cosigned: what
 * it has is in files of its own beside it.
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

#include "ledger/stop_point.h"
#include "partner/witness.h"

PG_FUNCTION_INFO_V1(provenance_setup_witness);
PG_FUNCTION_INFO_V1(provenance_witness_key);

char *
prov_witness_vkey(int incarnation)
{
	HeapTuple	tup = prov_fetch1(PROV_COSIGNER_KEY, Int32GetDatum(incarnation), NULL);
	bool		isnull;
	Datum		d;

	if (!HeapTupleIsValid(tup))
		return NULL;
	d = heap_getattr(tup, A_CKEY_VKEY, prov_tupdesc(PROV_COSIGNER_KEY), &isnull);
	return isnull ? NULL : TextDatumGetCString(d);
}

static void
make_vkey(const ProvKey *key, const char *origin, pv_vkey *vkey, char out[PV_VKEY_MAX])
{
	prov_check(pv_vkey_make(prov_hasher(), origin, strlen(origin), PV_SIG_COSIGNATURE,
							key->public_key, vkey));
	prov_check(pv_vkey_format(vkey, out));
}

ProvKey *
prov_witness_key_load(const ProvStateDir *dir, const ProvIdentity *identity, pv_vkey *vkey, char **reason)
{
	char	   *expected = prov_witness_vkey(identity->incarnation);
	ProvKey    *key;
	char		name[PV_VKEY_MAX];

	if (expected == NULL)
	{
		*reason = pstrdup("there is none yet");
		return NULL;
	}
	key = prov_key_load(prov_state_path(dir, identity->full_origin, "witness"), reason);
	if (key == NULL)
		return NULL;
	make_vkey(key, identity->full_origin, vkey, name);
	if (strcmp(name, expected) == 0)
		return key;
	prov_key_free(key);
	*reason = pstrdup("the file holds another one than witness_key() names");
	return NULL;
}

static void
refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no key to cosign with can be made"),
			 errdetail_internal("%s.", detail)));
}

/* setup_witness() */
Datum
provenance_setup_witness(PG_FUNCTION_ARGS)
{
	ProvIdentity *identity;
	ProvStateDir dir;
	ProvSignerState state;
	ProvOwner	self;
	ProvKey    *key;
	ProvWriter	w;
	Datum		values[N_CKEY];
	bool		nulls[N_CKEY] = {false};
	pv_vkey		vkey;
	char		name[PV_VKEY_MAX];
	char	   *existing;
	char	   *path;
	char	   *reason = NULL;
	struct stat st;

	prov_check_may_sign("setup_witness()");
	identity = prov_identity(false);
	LockRelationOid(prov_relid(PROV_COSIGNER_KEY), ShareRowExclusiveLock);
	existing = prov_witness_vkey(identity->incarnation);
	if (existing != NULL)
		PG_RETURN_TEXT_P(cstring_to_text(existing));

	/* the files beside the state are the state's owner's */
	if (!prov_state_lock(prov_state_directory_find(identity->state_directory), &dir, &reason))
		refuse(reason);
	switch (prov_state_read(&dir, identity->full_origin, &state, &reason))
	{
		case PROV_STATE_BAD:
			refuse(reason);
			break;
		case PROV_STATE_ABSENT:
			refuse(psprintf("There is no signer's state of origin \"%s\" in \"%s\"", identity->full_origin, dir.path));
			break;
		case PROV_STATE_OK:
			break;
	}
	prov_owner_self(&dir, &self);
	reason = prov_owner_difference(&state.owner, &self);
	if (reason != NULL)
		refuse(psprintf("The signer's state belongs to %s", reason));

	path = prov_state_path(&dir, identity->full_origin, "witness");
	if (lstat(path, &st) != 0)
		prov_key_create(path);
	key = prov_key_load(path, &reason);
	if (key == NULL)
		refuse(reason);
	make_vkey(key, identity->full_origin, &vkey, name);
	prov_key_free(key);
	prov_state_unlock(&dir);
	PROV_STOP_POINT("witness-key");

	values[A_CKEY_INCARNATION - 1] = Int32GetDatum(identity->incarnation);
	values[A_CKEY_CREATED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_CKEY_VKEY - 1] = CStringGetTextDatum(name);
	prov_writer_open(&w, PROV_COSIGNER_KEY);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/* witness_key() */
Datum
provenance_witness_key(PG_FUNCTION_ARGS)
{
	ProvIdentity *identity = prov_identity(false);
	char	   *vkey = prov_witness_vkey(identity->incarnation);

	if (vkey == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(vkey));
}
