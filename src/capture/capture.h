/*
 * capture.h: what the files of this folder know of each other.
 */
#ifndef PROV_CAPTURE_H
#define PROV_CAPTURE_H

#include "postgres.h"

#include "commands/trigger.h"
#include "utils/rel.h"

#include "ledger/store.h"

/*
 * ERROR unless the relation, and what it consists of, can be tagged: each
 * reason with an SQLSTATE, the name and a hint where there is something to do.
 * The caller has checked ownership and holds the locks.
 */
extern void prov_check_taggable(Relation rel);

/*
 * ERROR unless subject and exclude of the table name columns that they may:
 * existing ones, the subject not excluded, no key column excluded.
 */
extern void prov_check_columns(Relation rel, const ProvTable *table);

/* What capture() does for TRUNCATE, before or after it. */
extern void prov_capture_truncate(TriggerData *td, int32 table_id);

#endif							/* PROV_CAPTURE_H */
