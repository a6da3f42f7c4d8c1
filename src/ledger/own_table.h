/*
 * own_table.h: tables of the extension whose rows are entries of the log.
 *
 * They are tagged like a user's table (registry, shape, `tag` entry) under a
 * fixed id, but have no triggers: only the code here inserts into them, and a
 * trigger that comes with CREATE EXTENSION would record the rows of a dump
 * again as they are loaded. They are tagged when their first row is written.
 */
#ifndef PROV_OWN_TABLE_H
#define PROV_OWN_TABLE_H

#include "ledger/catalog.h"

/* Ids from here on are never given to a user's table. */
#define PROV_OWN_TABLES 2000000000

#define PROV_OWN_INCARNATION (PROV_OWN_TABLES + 1)
#define PROV_OWN_KEY_HANDOVER (PROV_OWN_TABLES + 2)
#define PROV_OWN_MERGE (PROV_OWN_TABLES + 3)
#define PROV_OWN_DISCLOSURE (PROV_OWN_TABLES + 4)
#define PROV_OWN_DISCLOSURE_SUBJECT (PROV_OWN_TABLES + 5)
#define PROV_OWN_COUNTERSIGNATURE (PROV_OWN_TABLES + 6)
#define PROV_OWN_HANDOVER (PROV_OWN_TABLES + 7)

/*
 * Inserts a row and records it, in the caller's transaction. Keeps
 * RowExclusiveLock on the table until its end; for the first row, which has
 * the table tagged, ShareRowExclusiveLock.
 */
extern void prov_own_insert(ProvRel rel, int32 table_id, Datum *values, bool *nulls);

/* The same for many rows. What putting one leaves behind is in the current memory context. */
typedef struct ProvOwnWriter ProvOwnWriter;

extern ProvOwnWriter *prov_own_open(ProvRel rel, int32 table_id);
extern void prov_own_put(ProvOwnWriter *w, Datum *values, bool *nulls);
extern void prov_own_close(ProvOwnWriter *w);

#endif							/* PROV_OWN_TABLE_H */
