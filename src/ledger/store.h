/*
 * store.h: the ledger's rows as C structures: identity, registry, shapes,
 * contexts, entries.
 *
 * Everything fetched is allocated in the current memory context. A snapshot
 * argument of NULL means GetLatestSnapshot(): the writer's side must see what
 * is committed now, whatever the caller's isolation level. What cannot be
 * decoded (a tampered row) is reported through the return value, never as an
 * ERROR: callers make a finding or an error of it.
 */
#ifndef PROV_STORE_H
#define PROV_STORE_H

#include "ledger/catalog.h"

#include "access/transam.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "core/commitment.h"
#include "core/leaf.h"
#include "core/shape.h"

typedef struct ProvIdentity
{
	char	   *origin;			/* without incarnation */
	int			incarnation;	/* 1: the first */
	char	   *full_origin;	/* "<origin>" or "<origin>/<n>": the checkpoint's first line */
	uint8		row_key[PV_ROW_KEY_LEN];
	char	   *state_directory;
	TransactionId xmin;			/* of the row: created by this very transaction? */
} ProvIdentity;

/* NULL if setup() has not been called (missing_ok), else ERROR 55000 with a hint. */
extern ProvIdentity *prov_identity(bool missing_ok);

typedef struct ProvTable
{
	int32		table_id;
	Oid			relid;			/* a cache: the registry's, which a restore makes stale */
	char	   *schema;
	char	   *table;
	bool		append_only;
	char	   *subject;		/* NULL: none */
	int			nexclude;
	char	  **exclude;
	TimestampTz tagged_at;
	TimestampTz untagged_at;	/* DT_NOBEGIN: still tagged */
	bool		require_countersignature;
} ProvTable;

/* By ledger table id; NULL if there is none. */
extern ProvTable *prov_table_by_id(int32 table_id, Snapshot snapshot);

/*
 * By relation, tagged now (untagged_at null): by OID, and if that finds no row
 * whose name agrees, by schema-qualified name (restore). NULL if not tagged.
 * A partition is not resolved to its root here.
 */
extern ProvTable *prov_table_by_relid(Oid relid, Snapshot snapshot);

/* The newest registry row ever of that relation, tagged or not; NULL if none. */
extern ProvTable *prov_table_ever(Oid relid, Snapshot snapshot);

typedef struct ProvShape
{
	int32		shape_id;
	int32		table_id;
	pv_hash		digest;			/* as stored */
	uint8	   *definition;		/* as stored */
	Size		definition_len;
	pv_status	status;			/* of decoding; the rest is valid if PV_OK */
	pv_shape	shape;
	pv_column  *columns;
	int			nkeys;
	uint16	   *key_columns;	/* indexes into columns, in key order */
} ProvShape;

extern ProvShape *prov_shape_fetch(int32 shape_id, Snapshot snapshot);	/* NULL: no such row */

/* The newest shape of table_id; NULL if it has none. */
extern ProvShape *prov_shape_newest(int32 table_id, Snapshot snapshot);

/* Writes a new shape row and returns its id. */
extern int32 prov_shape_insert(int32 table_id, const void *definition, Size len, const pv_hash *digest);

/*
 * The names of an entry's fields in order: columns of the shape for insert,
 * update, baseline; its key columns in key order for delete; the event's own
 * list otherwise. Returns their number; names (room for PV_MAX_FIELDS) point
 * into the shape.
 */
extern int	prov_entry_names(const ProvShape *shape, int op, pv_name *names);

typedef struct ProvContext
{
	int64		context_id;
	pv_hash		commitment;		/* as stored */
	bool		erased;			/* seed and fields gone */
	uint8		seed[PV_SEED_LEN];
	pv_status	status;			/* of decoding fields */
	uint8	   *fields;			/* value list as stored */
	Size		fields_len;
	pv_value	values[PV_CONTEXT_FIELDS];
} ProvContext;

extern ProvContext *prov_context_fetch(int64 context_id, Snapshot snapshot);	/* NULL: no such row */
extern int64 prov_context_insert(const pv_hash *commitment, const uint8 *seed, const void *fields, Size len);

typedef struct ProvEntry
{
	FullTransactionId xid;
	int64		seq;
	TimestampTz changed_at;
	int64		order_number;
	int64		context_id;
	int32		table_id;
	int32		shape_id;
	int			op;				/* as stored; may be no operation at all */
	uint8		row_id[PV_ROW_ID_LEN];
	pv_hash		commitment;
	bool		erased;			/* seed or image is NULL */
	uint8		seed[PV_SEED_LEN];
	uint8	   *image;			/* value list, detoasted; NULL if erased */
	Size		image_len;
} ProvEntry;

/* Microseconds between 1970-01-01 and 2000-01-01. */
#define PROV_EPOCH_DIFF_US INT64CONST(946684800000000)

/* time_us of a leaf for a timestamptz */
#define PROV_UNIX_US(t) ((int64) (t) + PROV_EPOCH_DIFF_US)

/* Order number of an entry: design, "Capture". */
#define PROV_ORDER(cid, class) (((int64) (cid)) * 4 + (class))

/*
 * A candidate: a baseline of which the sealer decides whether it is one, or
 * surplus (candidate.h). It has the class 3 of the command before, and so comes
 * before everything of its own command.
 */
#define PROV_ORDER_CANDIDATE(cid) PROV_ORDER(cid, -1)
#define PROV_IS_CANDIDATE(entry) ((entry)->op == PV_OP_BASELINE && ((entry)->order_number & 3) == 3)

/* Reads a tuple of table entry; want_image false leaves image NULL (and erased by seed alone). */
extern void prov_entry_from_tuple(HeapTuple tup, TupleDesc desc, bool want_image, ProvEntry *out);

/* By primary key; false if there is no such row. */
extern bool prov_entry_fetch(FullTransactionId xid, int64 seq, Snapshot snapshot, bool want_image, ProvEntry *out);

/*
 * Appends an entry: fills in xid (of the top-level transaction) and seq, makes
 * one heap insert and its index entry. Everything else must be set. For hot
 * use: relations are opened with NoLock-cheap repeated RowExclusiveLock.
 * Calls GetCurrentCommandId(true).
 */
extern void prov_entry_append(ProvEntry *entry);

/* Fills a leaf from an entry; prev may be NULL for none (zeros). */
extern void prov_entry_leaf(const ProvEntry *entry, const pv_hash *prev, pv_leaf *leaf);

/*
 * Recomputes the record commitment of an entry from image, seed, shape and
 * context commitment. PV_E_COUNT and the like if the image does not fit the
 * shape. The entry must not be erased.
 */
extern pv_status prov_entry_commitment(const ProvEntry *entry, const ProvShape *shape,
									   const pv_hash *context_commitment, pv_hash *out);

#endif							/* PROV_STORE_H */
