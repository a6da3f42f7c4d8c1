/*
 * guard.h: what the files of this folder know of each other.
 *
 * The guard looks at states rather than at commands: after each DDL command it
 * examines the tagged tables that the transaction holds a self-exclusive lock
 * on, whichever command took it and however deep it was nested.
 */
#ifndef PROV_GUARD_H
#define PROV_GUARD_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "ledger/store.h"

typedef struct GuardTable
{
	ProvTable  *table;
	Oid			relid;			/* the table as it is now; the registry's may be stale */
	List	   *rels;			/* OIDs: itself and, below it, its partitions */
	bool		locked;			/* by this transaction, in a self-exclusive mode */
} GuardTable;

/*
 * True if the log is this database's own. In a restored or copied database the
 * guard is passive until the log has been adopted.
 */
extern bool guard_active(void);

/* True while commands of the extension's own code, or script, run. */
extern bool guard_is_own_ddl(void);

/* All tagged tables that exist, as GuardTable, without taking locks. */
extern List *guard_tables(void);

/* The tagged table that relid is, or is a partition of; NULL if none. */
extern GuardTable *guard_table_of(Oid relid);

/* Does this transaction hold a self-exclusive lock on the relation? */
extern bool guard_holds_lock(Oid relid);

/* One of our triggers, as the catalog has it. */
typedef struct GuardTrigger
{
	char		enabled;		/* pg_trigger.tgenabled */
	int32		table_id;		/* its argument; 0: it does not run capture() */
	bool		whole;			/* for every row or TRUNCATE, at once and whatever the row holds */
} GuardTrigger;

extern bool guard_trigger(Oid relid, const char *name, GuardTrigger *out);

/* True for the name of a trigger that a tagged table or its partitions have. */
extern bool guard_is_trigger_name(const char *name);

extern char *guard_qualified_name(Oid relid);

/* What the command that has just ended says of a table, beyond its state. */
typedef struct GuardCommand
{
	Node	   *stmt;			/* may be NULL */
	Oid			relid;			/* of the table that stmt alters, or InvalidOid */
	List	   *rewritten;		/* OIDs of tables whose rows were computed anew */
} GuardCommand;

/*
 * Follows, or refuses, what became of a tagged table. ERROR if it is no longer
 * one that can be recorded.
 */
extern void guard_follow(GuardTable *g, const GuardCommand *command);

/* A `baseline` entry for each row; waits for writers, keeps them out. */
extern void guard_record_baselines(GuardTable *g);

/* Follows, or refuses, a change of a type that tagged tables have columns of. */
extern void guard_follow_types(List *tables, const GuardCommand *command);

/* Puts the triggers of tagged and ledger tables back into their mode. */
extern void guard_restore_triggers(GuardTable *g, const GuardCommand *command);
extern void guard_restore_unregistered(const List *tables, const GuardCommand *command);
extern void guard_restore_ledger_triggers(void);

/*
 * Partitions: `detach` and `delete` entries before a command takes some away;
 * trigger, `attach` and `baseline` entries after one brought some.
 */
extern void guard_partitions_before(Node *stmt);
extern void guard_partitions_after(GuardTable *g, const GuardCommand *command);

/* Was the relation announced by guard_partitions_before()? */
extern bool guard_partition_departs(const char *schema, const char *table);

/* ERROR if the command would drop the ledger, and that is not confirmed. */
extern void guard_confirm_drop(Node *stmt);

#endif							/* PROV_GUARD_H */
