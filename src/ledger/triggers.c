/*
 * triggers.c: the triggers of tagged tables (see triggers.h).
 *
 * Made by commands rather than by catalog calls: the server then does the
 * copying to partitions, the dependencies and the invalidations. Whoever tags
 * a table need not have the right to run capture(), hence the owner's role;
 * the objects named in a command are qualified and quoted here.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "ledger/catalog.h"
#include "ledger/triggers.h"
#include "types/types.h"

bool		prov_own_ddl = false;

void
prov_run_ddl(const char *sql)
{
	Oid			save_user;
	int			save_sec;
	bool		save_own = prov_own_ddl;
	int			nest = NewGUCNestLevel();

	GetUserIdAndSecContext(&save_user, &save_sec);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);

	PG_TRY();
	{
		prov_own_ddl = true;
		SetUserIdAndSecContext(prov_owner(), save_sec | SECURITY_LOCAL_USERID_CHANGE);
		SPI_connect();
		if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "not a utility command: %s", sql);
		SPI_finish();
	}
	PG_FINALLY();
	{
		prov_own_ddl = save_own;
	}
	PG_END_TRY();

	SetUserIdAndSecContext(save_user, save_sec);
	AtEOXact_GUC(false, nest);
}

static char *
qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

static void
create_trigger(Oid relid, const char *name, const char *when, int32 table_id)
{
	char	   *table = qualified_name(relid);

	prov_run_ddl(psprintf("CREATE TRIGGER %s %s ON %s %s EXECUTE FUNCTION %s.capture('%d')",
						  quote_identifier(name), when, table,
						  strstr(when, "TRUNCATE") != NULL ? "FOR EACH STATEMENT" : "FOR EACH ROW",
						  PROV_SCHEMA, table_id));
	prov_run_ddl(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", table, quote_identifier(name)));
}

static void
drop_trigger(Oid relid, const char *name)
{
	if (OidIsValid(get_trigger_oid(relid, name, true)))
		prov_run_ddl(psprintf("DROP TRIGGER %s ON %s", quote_identifier(name), qualified_name(relid)));
}

void
prov_partition_trigger_create(Oid partition, int32 table_id)
{
	create_trigger(partition, PROV_BEFORE_TRUNCATE_TRIGGER, "BEFORE TRUNCATE", table_id);
}

void
prov_partition_trigger_drop(Oid partition)
{
	drop_trigger(partition, PROV_BEFORE_TRUNCATE_TRIGGER);
}

void
prov_triggers_create(Oid root, int32 table_id)
{
	ListCell   *lc;

	create_trigger(root, PROV_ROW_TRIGGER, "AFTER INSERT OR UPDATE OR DELETE", table_id);
	create_trigger(root, PROV_TRUNCATE_TRIGGER, "AFTER TRUNCATE", table_id);
	create_trigger(root, PROV_BEFORE_TRUNCATE_TRIGGER, "BEFORE TRUNCATE", table_id);
	foreach(lc, find_all_inheritors(root, NoLock, NULL))
		if (lfirst_oid(lc) != root && get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION)
			prov_partition_trigger_create(lfirst_oid(lc), table_id);
}

void
prov_triggers_drop(Oid root)
{
	ListCell   *lc;

	drop_trigger(root, PROV_ROW_TRIGGER);
	drop_trigger(root, PROV_TRUNCATE_TRIGGER);
	foreach(lc, find_all_inheritors(root, NoLock, NULL))
		prov_partition_trigger_drop(lfirst_oid(lc));
}
