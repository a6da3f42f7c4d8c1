/*
 * row_image.h: a tagged relation seen through its shape: which columns, in
 * which order, under which names; their values; the row's identity.
 *
 * A layout belongs to one relation. For a partition the shape is that of the
 * root, and attribute numbers are mapped by name: the same row has the same
 * image and the same identity wherever it lies. Everything of a layout is
 * allocated in a memory context of its own.
 *
 * Covered columns are those that are not dropped, not excluded and not virtual
 * (generated when read). Key columns are those of the primary key, else of the
 * replica identity index.
 */
#ifndef PROV_ROW_IMAGE_H
#define PROV_ROW_IMAGE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/rel.h"

#include "ledger/canonical.h"
#include "ledger/store.h"

typedef struct ProvLayout
{
	MemoryContext cxt;
	Oid			relid;
	Oid			root;			/* relid, or the topmost partitioned table */
	int32		table_id;
	int			ncolumns;
	int			nkeys;
	pv_name    *names;			/* of the columns, UTF-8 */
	pv_name    *key_names;		/* of the key columns, in key order */
	AttrNumber *attnums;		/* of the columns, in the relation itself */
	int		   *keys;			/* indexes of the key columns, in key order */
	int16	   *typlens;
	bool	   *typbyvals;
	ProvOutput *outputs;
	int			needs;			/* of all columns */
	int			key_needs;		/* of the key columns */
	AttrNumber	max_attnum;
	int			ntypes;			/* types that are not built in: */
	uint32	   *type_hashes;	/* their hash values in cache TYPEOID */
	uint8	   *definition;		/* encoded shape */
	Size		definition_len;
	pv_hash		digest;			/* of the shape */
	uint8		row_key[PV_ROW_KEY_LEN];
	char	   *schema;			/* of the root, server encoding */
	char	   *table;
} ProvLayout;

/*
 * The topmost partitioned table that the relation is a partition of, or the
 * relation itself.
 */
extern Oid	prov_root(Relation rel);

/*
 * The index whose columns identify a row: primary key, else replica identity
 * index, else InvalidOid. Says nothing of whether it serves (immediate, …).
 */
extern Oid	prov_key_index(Relation root);

/*
 * The layout of a relation (held with a lock) of a tagged table. ERROR 55000
 * if it has lost its key or a column. The context becomes a child of parent.
 */
extern ProvLayout *prov_layout_build(Relation rel, const ProvTable *table, MemoryContext parent);
extern void prov_layout_free(ProvLayout *layout);

/*
 * Canonical values of a row: of all columns in the shape's order, or of the key
 * columns in key order. values has room for ncolumns, or nkeys; what they point
 * to is in the current memory context or in the slot.
 */
extern void prov_row_values(ProvLayout *layout, Oid owner, TupleTableSlot *slot, pv_value *values);
extern void prov_key_values(ProvLayout *layout, Oid owner, TupleTableSlot *slot, pv_value *values);

/*
 * Compares two versions of a row. False if no covered column changed (then
 * nothing else is set). Else values gets the new row's values, and
 * *key_changed says whether the text of a key column changed, in which case
 * old_key (room for nkeys) gets the old key's values.
 */
extern bool prov_row_changes(ProvLayout *layout, Oid owner, TupleTableSlot *oldslot, TupleTableSlot *newslot,
							 pv_value *values, bool *key_changed, pv_value *old_key);

/* Picks the key values, in key order, out of a row's values. */
extern void prov_pick_key(const ProvLayout *layout, const pv_value *values, pv_value *key);

/* Row identity from key values in key order; n = 0 for the table's own chain. */
extern void prov_layout_row_id(const ProvLayout *layout, const pv_value *key, int n, uint8 out[PV_ROW_ID_LEN]);

/* The stored form of a list of values; ERROR 54000 if it exceeds 1 GB. */
extern uint8 *prov_make_image(const pv_value *values, int n, Size *len);

#endif							/* PROV_ROW_IMAGE_H */
