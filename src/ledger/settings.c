/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The extension's settings, and what they are for a database.
 *
 * Superuser settings are PGC_SUSET and not PGC_SIGHUP: those could not be
 * set by ALTER DATABASE, and one server may hold many logs. A worker reads
 * them when it connects, and again at a reload of the server's configuration.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_db_role_setting.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "ledger/settings.h"

char	   *prov_actor = NULL;
char	   *prov_purpose = NULL;
char	   *prov_source = NULL;
char	   *prov_source_leaf = NULL;
int			prov_wait_timeout = 60 * 1000;
int			prov_seal_interval = 1000;
int			prov_publish_interval = 60 * 1000;
int			prov_scrub_rate = 0;
char	   *prov_signing_key = NULL;
char	   *prov_previous_signing_key = NULL;
char	   *prov_passphrase_command = NULL;
int			prov_key_overlap = 7 * 24 * 60 * 60;
char	   *prov_state_directory = NULL;
char	   *prov_checkpoint_directory = NULL;
char	   *prov_tsa_ca_file = NULL;
char	   *prov_confirm_drop = NULL;

static bool
check_directory(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || **newval == '\0' || is_absolute_path(*newval))
		return true;
	GUC_check_errdetail("The directory must be an absolute path.");
	return false;
}

static bool
check_file(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || **newval == '\0' || is_absolute_path(*newval))
		return true;
	GUC_check_errdetail("The file must be named by an absolute path.");
	return false;
}

/* It goes into the context as it is, so there is one way to write it. */
static bool
check_leaf_hash(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || **newval == '\0' ||
		(strlen(*newval) == 64 && strspn(*newval, "0123456789abcdef") == 64))
		return true;
	GUC_check_errdetail("A leaf hash has 64 lower-case hexadecimal digits.");
	return false;
}

void
prov_settings_init(void)
{
	DefineCustomStringVariable("provenance.actor",
							   "The application's user, for whom changes are made.",
							   NULL, &prov_actor, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("provenance.purpose",
							   "Why changes are made.",
							   NULL, &prov_purpose, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("provenance.source",
							   "Where the changed data comes from.",
							   NULL, &prov_source, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("provenance.source_leaf",
							   "The leaf hash of the entry elsewhere that the changed data comes from.",
							   NULL, &prov_source_leaf, "", PGC_USERSET, 0, check_leaf_hash, NULL, NULL);
	DefineCustomStringVariable("provenance.confirm_drop",
							   "The origin of the log that DROP EXTENSION may destroy.",
							   NULL, &prov_confirm_drop, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("provenance.wait_timeout",
							"How long a session waits for a worker to seal on its behalf.",
							NULL, &prov_wait_timeout, 60 * 1000, 1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable("provenance.seal_interval",
							"Time between two batches of the sealer.",
							NULL, &prov_seal_interval, 1000, 10, 60 * 60 * 1000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("provenance.publish_interval",
							"Least time between two checkpoints that the timer publishes.",
							NULL, &prov_publish_interval, 60 * 1000, 0, 24 * 60 * 60 * 1000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("provenance.scrub_rate",
							"Entries and rows that are verified in the background each second; 0: none.",
							NULL, &prov_scrub_rate, 0, 0, 1000000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("provenance.signing_key",
							   "File or OSSL_STORE URI of the log's signing key; empty: the one that setup() made.",
							   NULL, &prov_signing_key, "", PGC_SUSET, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("provenance.previous_signing_key",
							   "File or OSSL_STORE URI of the signing key before the last rotation, while both sign.",
							   NULL, &prov_previous_signing_key, "", PGC_SUSET, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("provenance.signing_key_passphrase_command",
							   "Command that gives the passphrase of the signing key, or the PIN of its token.",
							   "A prompt stands for %p.", &prov_passphrase_command, "",
							   PGC_SUSET, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomIntVariable("provenance.key_overlap",
							"How long the old key signs too after a rotation.",
							NULL, &prov_key_overlap, 7 * 24 * 60 * 60, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("provenance.state_directory",
							   "Folder of the signer's state; empty: beside the data directory.",
							   NULL, &prov_state_directory, "", PGC_SUSET, GUC_SUPERUSER_ONLY, check_directory, NULL, NULL);
	DefineCustomStringVariable("provenance.checkpoint_directory",
							   "Folder into which published checkpoints are written; empty: none.",
							   NULL, &prov_checkpoint_directory, "", PGC_SUSET, GUC_SUPERUSER_ONLY, check_directory, NULL, NULL);

	DefineCustomStringVariable("provenance.tsa_ca_file",
							   "PEM file of the certificates that time-stamping authorities are to be traced to; empty: none.",
							   NULL, &prov_tsa_ca_file, "", PGC_SUSET, 0, check_file, NULL, NULL);

	MarkGUCPrefixReserved("provenance");
}

/* name=value in one row of pg_db_role_setting, or NULL. */
static char *
stored_setting(Relation rel, Oid database, Oid role, const char *name)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tup;
	char	   *result = NULL;

	ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(database));
	ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(rel, DbRoleSettingDatidRolidIndexId, true, NULL, 2, keys);
	tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
	{
		bool		isnull;
		Datum		array = heap_getattr(tup, Anum_pg_db_role_setting_setconfig,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
		{
			Datum	   *elems;
			bool	   *nulls;
			int			n;

			deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
							  TYPALIGN_INT, &elems, &nulls, &n);
			for (int i = 0; i < n; i++)
			{
				char	   *s;
				char	   *eq;

				if (nulls[i])
					continue;
				s = TextDatumGetCString(elems[i]);
				eq = strchr(s, '=');
				if (eq == NULL)
					continue;
				*eq = '\0';
				if (pg_strcasecmp(s, name) == 0)
					result = eq + 1;
			}
		}
	}
	systable_endscan(scan);
	return result;
}

char *
prov_setting_of_database(const char *name)
{
	const char *session = GetConfigOption(name, false, false);
	const char *reset = GetConfigOptionResetString(name);
	Relation	rel;
	char	   *stored;

	/* a session value that equals the default is none */
	if (session != NULL && reset != NULL && strcmp(session, reset) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("parameter \"%s\" is set for this session only", name),
				 errdetail("The worker reads the database's settings, never a session's."),
				 errhint("Reset it here, and set it with ALTER DATABASE … SET.")));

	/* the order of precedence of a connection of the bootstrap superuser */
	rel = table_open(DbRoleSettingRelationId, AccessShareLock);
	stored = stored_setting(rel, MyDatabaseId, BOOTSTRAP_SUPERUSERID, name);
	if (stored == NULL)
		stored = stored_setting(rel, InvalidOid, BOOTSTRAP_SUPERUSERID, name);
	if (stored == NULL)
		stored = stored_setting(rel, MyDatabaseId, InvalidOid, name);
	if (stored == NULL)
		stored = stored_setting(rel, InvalidOid, InvalidOid, name);
	table_close(rel, AccessShareLock);

	if (stored == NULL)
		stored = pstrdup(reset ? reset : "");
	return stored;
}
