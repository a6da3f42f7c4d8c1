/*
 * triggers.h: the triggers of tagged tables.
 *
 * A tagged table has a row trigger (which the server copies to partitions) and
 * two for TRUNCATE; each partition with storage has the second of these, since
 * it can be truncated alone:
 *
 *   provenance_capture	   AFTER INSERT OR UPDATE OR DELETE, for each row
 *   !provenance_truncate  AFTER TRUNCATE, the tagged table
 *   ~provenance_truncate  BEFORE TRUNCATE, that and partitions; sorts after
 *						   users' triggers, one of which may still change rows
 *
 * All are ENABLE ALWAYS and run provenance.capture(table id). They are made and
 * dropped as the extension's owner.
 */
#ifndef PROV_TRIGGERS_H
#define PROV_TRIGGERS_H

#include "postgres.h"

#define PROV_ROW_TRIGGER "provenance_capture"
#define PROV_TRUNCATE_TRIGGER "!provenance_truncate"
#define PROV_BEFORE_TRUNCATE_TRIGGER "~provenance_truncate"

/* True while the extension's own DDL runs: the guard has nothing to object. */
extern bool prov_own_ddl;

/* Runs a utility command as the extension's owner, under search_path pg_catalog. */
extern void prov_run_ddl(const char *sql);

/*
 * Makes the triggers of a tagged table, partitions included. The caller holds
 * ShareRowExclusiveLock or more on all of them.
 */
extern void prov_triggers_create(Oid root, int32 table_id);

/* Makes the trigger that a partition with storage needs of its own. */
extern void prov_partition_trigger_create(Oid partition, int32 table_id);

/* Drops whatever triggers of ours are there; AccessExclusiveLock held or taken. */
extern void prov_triggers_drop(Oid root);
extern void prov_partition_trigger_drop(Oid partition);

#endif							/* PROV_TRIGGERS_H */
