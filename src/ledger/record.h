/*
 * record.h: recording changes of rows and events of tables as entries.
 *
 * For the row triggers and for everybody else who records: tag and untag, the
 * guard (schema, attach, detach). A target is what a session remembers of one
 * relation of a tagged table; it is built once and again after an
 * invalidation, and finds, or writes with a `schema` entry, the table's shape.
 */
#ifndef PROV_RECORD_H
#define PROV_RECORD_H

#include "postgres.h"

#include "utils/rel.h"

#include "ledger/baseline.h"
#include "ledger/row_image.h"

typedef struct ProvTarget
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		append_only;
	ProvPhaseMark phase;		/* rows get their baselines later */
	ProvLayout *layout;
	int32		shape_id;		/* 0: to be looked up */
	SubTransactionId shape_subid;	/* that looked it up or wrote it; 0 once committed */
} ProvTarget;

/*
 * The target of a locked relation that is, or is a partition of, the table
 * tagged under that id. ERROR 55000 if it is not. Pointers in it are good
 * until the end of the transaction, whatever happens meanwhile.
 */
extern ProvTarget *prov_target(Relation rel, int32 table_id);

/*
 * The shape id of a layout: found, or written (*is_new then; no entry is).
 */
extern int32 prov_layout_shape(const ProvLayout *layout, bool *is_new);

/*
 * Writes the entry of a row. n values: all columns of the shape in order, or
 * the key columns in key order for PV_OP_DELETE. key: its key values.
 */
extern void prov_record_row(const ProvTarget *target, int op, const pv_value *values,
							const pv_value *key, int64 order_number);

/*
 * While a table is in the phase of baseline => 'later': does a row that is
 * being changed need a candidate baseline first? Not one that this transaction
 * has written, unless it did so before it tagged the table. old: the version
 * that is ended, with its header as it is in the page.
 */
extern bool prov_needs_candidate(const ProvTarget *target, HeapTuple old);

/* Writes it: the row as it was before command cid. */
extern void prov_record_candidate(const ProvTarget *target, Oid owner, TupleTableSlot *slot, CommandId cid);

/*
 * Writes an event to the table's own chain. values are texts in the server's
 * encoding, as many as the operation has fields (pv_op_fields()), NULL for
 * none.
 */
extern void prov_record_event(const ProvLayout *layout, int32 shape_id, int op, const char *const *values);

/*
 * The record commitment of the last entry that this session has recorded in
 * its transaction, and that has not been rolled back since; false if there is
 * none.
 */
extern bool prov_last_commitment(pv_hash *out);

/* For who appends an entry. */
extern void prov_remember_commitment(const pv_hash *commitment);

/*
 * Writes one entry (PV_OP_BASELINE or PV_OP_DELETE) for every row that a
 * relation with storage has now, the latest snapshot seeing it; returns how
 * many; before a delete, in the phase, a candidate. The caller holds a lock
 * that keeps writers out.
 */
extern int64 prov_record_rows(Relation rel, int32 table_id, int op);

#endif							/* PROV_RECORD_H */
