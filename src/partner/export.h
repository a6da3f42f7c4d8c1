/*
 * export.h: what the files of export_bundle() share.
 *
 *	export.c			the call: what is asked for, the lines around the entries
 *	export_shapes.c		which columns, and who may
 *	export_leaves.c		which leaves, in the order of the log: those of some rows
 *	export_all.c		those of all rows
 *	export_tree.c		hashes between them
 *	export_entry.c		a leaf as a line
 *	export_record.c		the record of what was given away
 */
#ifndef PROV_EXPORT_H
#define PROV_EXPORT_H

#include "postgres.h"

#include "funcapi.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "partner/partner.h"
#include "prove/prove.h"

#define EXPORT_CONTENT_START 65536

/* A shape of the table, with what is disclosed of it. */
typedef struct ExportShape
{
	int32		shape_id;		/* hash key */
	ProvShape  *shape;
	bool	   *chosen;			/* by column */
	int			subject;		/* column; -1: none */
	int			slot;			/* that it was given last; -1: none yet */
} ExportShape;

/* What the bundle said last under a context's slot. */
typedef struct ExportContext
{
	int64		context_id;		/* 0: nothing yet */
	bool		given;
	pv_hash		commitment;
} ExportContext;

typedef struct ExportSubjects ExportSubjects;
typedef struct ExportLeaves ExportLeaves;

typedef struct Export
{
	/* what is asked for */
	ProveTarget *target;
	int64		size;			/* of the checkpoint */
	int64		since;
	int			incarnation;
	pv_hash		root;
	ArrayType  *keys;			/* NULL: all rows */
	char	   *recipient;		/* NULL: none */
	char	   *purpose;
	bool		context[PV_CONTEXT_FIELDS];
	bool		has_pseudonym_key;
	uint8		pseudonym_key[32];

	/* reading */
	MemoryContext cxt;			/* of the call */
	MemoryContext row;			/* of one entry */
	Snapshot	snapshot;
	ProvLog    *log;			/* from leaf to leaf */
	ProvLog    *jumps;			/* single leaves elsewhere, so that log keeps its run */
	HTAB	   *shapes;			/* all of the table */
	int32		slots[PV_BUNDLE_SHAPES];	/* shape ids; 0: free */
	int			next_slot;
	ExportContext contexts[PV_BUNDLE_CONTEXTS];
	bool		has_countersignatures;

	/* writing */
	ReturnSetInfo *rsinfo;
	struct varlena *content;	/* with room for content_cap bytes behind its header */
	size_t		content_cap;
	pv_buf		b;				/* into content */
	int64		lines;
	int64		leaf;			/* in hand, for messages; -1: none */
	Datum		kinds[PV_BUNDLE_END + 1];
	pv_bundle_digest digest;
	pv_bundle_entry *entry;
	pv_name    *names;			/* of its fields */
	pv_value   *values;
	uint8	   *salts;
	pv_hash    *digests;

	/* what is recorded */
	List	   *columns;		/* names of those disclosed, server encoding */
	int64		entries;
	pv_frontier leaves;			/* over their hashes */
	ExportSubjects *subjects;
} Export;

/* --- export.c --- */

/*
 * A line: do { pv_put_bundle_…(export_line(x), …); } while (!export_put(x, kind));
 * the second round has a buffer that fits.
 */
extern pv_buf *export_line(Export *x);
extern bool export_put(Export *x, pv_bundle_kind kind);

/* --- export_shapes.c --- */

/* Every shape of the table, and what of its columns is disclosed. asked: NULL for all. */
extern void export_load_shapes(Export *x, ArrayType *asked);

/* The shape of a leaf's entry; an ERROR if it is not one of the table's. */
extern ExportShape *export_shape(Export *x, int32 shape_id, int64 leaf);

/* --- export_leaves.c --- */

typedef struct ExportLeaf
{
	ProvLeafRef ref;
	bool		next;			/* it is the previous one of another in the bundle */
	ItemPointerData tid;		/* of its entry; invalid: not known */
} ExportLeaf;

extern ExportLeaves *export_leaves_begin(Export *x);
extern bool export_leaves_next(ExportLeaves *l, ExportLeaf *leaf);

/* The greatest leaf, -1 if there is none; before the first is read. Of all rows it takes a pass of its own. */
extern int64 export_leaves_newest(ExportLeaves *l);
extern void export_leaves_end(ExportLeaves *l);

/* The entry of a leaf, with its image, in the current memory context; an ERROR if it is not there. */
extern void export_fetch(ExportLeaves *l, const ExportLeaf *leaf, ProvEntry *entry);

/* --- export_all.c --- */

/* entries: the table of entries, open. Otherwise as those of export_leaves.c, which calls them. */
typedef struct ExportAll ExportAll;
extern ExportAll *export_all_begin(Export *x, Relation entries);
extern bool export_all_next(ExportAll *a, ExportLeaf *leaf);
extern int64 export_all_newest(ExportAll *a);
extern void export_all_end(ExportAll *a);

/* --- export_tree.c --- */

/* The stored tree of the log, read a tile at a time. */
extern pv_tree *export_tree(ProvLog *log, int64 size);

/* --- export_entry.c --- */

/* prev: hash of the previous leaf, NULL for zeros. from: the first leaf of the gap before. */
extern void export_entry(Export *x, ExportLeaves *l, const ExportLeaf *leaf, const pv_hash *prev,
						 const pv_tree *tree, int64 from);

/* --- export_record.c --- */

extern ExportSubjects *export_subjects_begin(void);
extern void export_subjects_add(ExportSubjects *s, pv_value subject);

/* Has it all written down, committed when this returns. */
extern void export_record(Export *x, const char *schema, const char *table);
extern void export_record_init(void);

#endif							/* PROV_EXPORT_H */
