/*
 * verify.h: what the files of this folder share.
 *
 * One call of a verifying function is one Verify: its findings, its snapshot,
 * its reader of the log, and caches that live no longer than the call.
 * Verification believes nothing that the ledger's tables say: what is read is
 * read inside verify_try(), so that what cannot be read becomes a finding; what
 * is decoded is decoded by functions that refuse rather than trust.
 */
#ifndef PROV_VERIFY_H
#define PROV_VERIFY_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/hsearch.h"
#include "utils/resowner.h"

#include "core/fingerprint.h"
#include "ledger/log.h"
#include "ledger/progress.h"

/* The severities of findings. */
#define SEV_ERROR "error"		/* something was changed behind the ledger's back */
#define SEV_WARNING "warning"	/* derived data is wrong, or something is suspicious */
#define SEV_NOTICE "notice"

typedef struct Verify
{
	ReturnSetInfo *rsinfo;		/* where findings go, if there is no report */
	void		(*report) (struct Verify *v, const char *code, const char *severity, const char *object,
						   int64 seq, int64 leaf, const char *message);
	MemoryContext cxt;			/* of the call */
	MemoryContext tmp;			/* of one batch or row; reset by whoever loops */
	ResourceOwner owner;		/* of the call: sorts and snapshots belong to it */
	Snapshot	snapshot;
	ProvLog    *log;
	ProvLog    *prev_log;		/* for single leaves, so that log keeps its run */
	int64		log_size;		/* as seal_state says; 0 if that cannot be read (finding made) */
	bool		usable;			/* the ledger's tables are what they are taken for */
	pv_fingerprint_key key;		/* of this call; the same for all that take part */
	ProvIdentity *identity;		/* NULL: none, or not readable (then there is a finding) */
	int64		findings;
	bool		quiet;			/* findings are counted, and not made */
	bool		unsound;		/* since it was reset: an image stands under a shape or context that is not sound */
	bool		dispensable;	/* what is tried is not needed: running out of something is no error */
	struct VerifyParallel *parallel;	/* NULL: one process */
	struct Participant *participant;	/* whose Verify this is; NULL: of the call */

	/* caches: shape id -> ShapeState, context id -> ContextState */
	HTAB	   *shapes;
	MemoryContext shape_cxt;
	HTAB	   *contexts;
	struct ShapeState *last_shape;	/* those found last */
	struct ContextState *last_context;

	/* the image decoded last (entry_check.c): its fields, and what their names are of */
	pv_name    *names;
	pv_value   *values;
	uint8	   *salts;
	int			nnames;
	int			names_op;
	struct ShapeState *names_of;

	/* of a part only: pieces.h */
	TimestampTz deadline;		/* 0: none */
	TimestampTz chain_deadline; /* the same of one chain */
	int64		chain_floor;	/* of a chain, entries before this leaf are left */
	int64		looked;			/* at so many entries and rows */
	bool		countersigned_known;
	bool		countersigned;	/* there are countersignatures, on whatever */
	HTAB	   *waiting;		/* row ids with unsealed entries; NULL: not known, each row looks */
	void		(*tick) (struct Verify *v);	/* every now and then; NULL: nothing */

	/* progress */
	TimestampTz next_notice;
	ProvProgress *progress;
	const char *doing;
	int64		done;
	int64		total;			/* 0: not known */

	/* what the function inside verify_try() failed of */
	char	   *fault;
} Verify;

/* ---- findings.c ---- */

/* What every Verify has: memory contexts, the active snapshot, two readers of the log. */
extern void verify_open(Verify *v);

extern Verify *verify_begin(FunctionCallInfo fcinfo);
extern void verify_end(Verify *v);

/* The same for a worker, under the active snapshot; report gets the findings. */
extern Verify *verify_begin_worker(void (*report) (Verify *v, const char *code, const char *severity, const char *object,
												   int64 seq, int64 leaf, const char *message));

/* seq and leaf -1: not known, or none. */
extern void verify_finding(Verify *v, const char *code, const char *severity, const char *object,
						   int64 seq, int64 leaf, const char *fmt,...) pg_attribute_printf(7, 8);

/*
 * Runs fn(arg) in a subtransaction. False if it failed for a reason that lies
 * in what it read; v->fault then says why. What the user or the server wants
 * (cancel, shutdown, out of memory, …) is thrown on.
 */
extern bool verify_try(Verify *v, void (*fn) (void *), void *arg);

/* A phase begins; with the object that it is about, which the view does not show. */
extern void verify_progress_begin(Verify *v, const char *doing, int64 total);
extern void verify_progress_begin_of(Verify *v, const char *doing, const char *object, int64 total);
extern void verify_progress(Verify *v, int64 done);

/* UTF-8 text of the ledger as a palloc'd string for a message, whatever is in it. */
extern char *verify_text(const void *s, size_t len);

/* ---- verify.c: is the log's identity there, and of its newest incarnation? ---- */
extern void verify_identity(Verify *v);

/* ---- entry_check.c: shapes, contexts, images ---- */

typedef struct ContextState ContextState;

typedef struct ShapeState
{
	int32		shape_id;		/* hash key */
	bool		usable;			/* it is there and its definition decodes */
	bool		sound;			/* and its definition gives its digest */
	ProvShape  *shape;			/* digest: as recomputed from the definition */
	pv_hash		stored;			/* digest as stored */
} ShapeState;

extern ShapeState *verify_shape(Verify *v, int32 shape_id, int64 seq);

/* What the image of an entry says of its commitment. */
typedef enum ImageState
{
	IMAGE_GOOD,					/* gives the stored commitment */
	IMAGE_OTHER,				/* gives another one, in *given */
	IMAGE_INVALID,				/* does not decode, or does not fit the shape (finding made) */
	IMAGE_UNKNOWN,				/* erased, or shape or context are not there (finding made of the latter) */
} ImageState;

/*
 * With identity, also whether the identity of the row follows from the key in a
 * good image (a finding if not). object NULL: the entry, by its number.
 */
extern ImageState verify_image(Verify *v, const ProvEntry *entry, int64 leaf, const char *object, bool identity,
							   pv_hash *given);

/* The finding that n images of a row chain are gone, of which the first is that of this entry. */
extern void verify_image_missing(Verify *v, const char *object, int64 seq, int64 leaf, int64 n);

/* The entry's values with their names; false if they do not fit. */
extern bool verify_image_values(Verify *v, const ProvEntry *entry, int *n, pv_name **names, pv_value **values);

extern bool verify_is_row_image(int op);	/* insert, update, baseline */

/* ---- ledger_check.c ---- */

/* False, and a finding, if the ledger's tables were altered. */
extern bool verify_ledger_usable(Verify *v);

/* ---- bitmap.c ---- */

typedef struct Bitmap Bitmap;
extern Bitmap *bitmap_create(MemoryContext cxt);
extern Bitmap *bitmap_attach(MemoryContext cxt, void *words, int64 nbits);	/* shared, all zero at first */
extern void bitmap_destroy(Bitmap *b);
extern bool bitmap_test_and_set(Bitmap *b, int64 bit);	/* what it was before */
extern bool bitmap_test(Bitmap *b, int64 bit);

/* ---- log_read.c ---- */

typedef struct LeafItem
{
	ProvLeafRef ref;
	bool		have;			/* entry is there */
	bool		unreadable;		/* a finding was made of that */
	int64		mapped;			/* leaf that seq_block gives for ref.seq; -1: none */
	ProvEntry	entry;
} LeafItem;

#define BATCH_LEAVES 256
#define VERIFY_TMP_SIZES (256 * 1024), (256 * 1024), ALLOCSET_DEFAULT_MAXSIZE	/* as much as a batch needs is kept */

typedef struct LeafBatch
{
	bool		want_image;
	bool		want_map;
	int64		until;			/* no leaf from here on; 0: none */
	int64		next;			/* n 0: where to go on, unless end */
	bool		end;			/* there are no more */
	int			failures;		/* runs in a row that could not be read; 0 at first */
	int64		first;			/* leaf of items[0]; items are consecutive */
	int			n;				/* 0: the end of the log */
	LeafItem	items[BATCH_LEAVES + PROV_RUN_MAX];
} LeafBatch;

/*
 * The next leaves from `from` on, or after a gap (batch->first is then
 * greater). Allocates in v->tmp, which the caller resets. Runs that cannot be
 * read or decoded are skipped, with a finding.
 */
extern void verify_read_batch(Verify *v, int64 from, LeafBatch *batch);

/* ---- checkpoints.c ---- */

typedef struct CheckpointRef
{
	int64		size;
	int32		incarnation;
	pv_hash		root;			/* as the signed note has it */
} CheckpointRef;

/*
 * Every stored checkpoint from a size on: checks its row and its signature and
 * returns those that are validly signed, by rising size.
 */
extern CheckpointRef *verify_checkpoints(Verify *v, int64 since_size, int64 *n);

/* The log's keys, checked; for verify_checkpoint_row(), which compares the root with that of the stored tree. */
typedef struct LogKeys LogKeys;
extern LogKeys *verify_read_keys(Verify *v);
extern LogKeys *verify_log_keys(Verify *v);	/* and did each come about as an entry says? */
extern void verify_checkpoint_row(Verify *v, LogKeys *keys, int32 incarnation, int64 size);

/* ---- parallel.c: from here on by several processes, if that is worth while and allowed ---- */
extern void verify_parallel_begin(Verify *v);
extern void verify_parallel_end(Verify *v);

/* ---- cosignatures.c: are those of witnesses, of a size on, good? ---- */
extern void verify_cosignatures(Verify *v, int64 since_size);
extern void verify_cosignature_at(Verify *v, const ItemPointerData *tid);

/* Is the checkpoint signed, and by a key whose time was not over? A finding if not. */
struct pv_checkpoint;
extern pv_status verify_signature(Verify *v, LogKeys *keys, int32 incarnation, const struct pv_checkpoint *cp, const char *object);
extern bool verify_is_origin(const struct pv_checkpoint *cp, const char *origin);

/* ---- kept_checkpoint.c: question 4 ---- */
extern void verify_kept_checkpoint(Verify *v, Datum kept);

/* ---- chain.c: entries by row, against the rows ---- */

typedef struct ChainSort ChainSort;
extern ChainSort *chain_begin(Verify *v);
extern void chain_add(ChainSort *c, const ProvEntry *entry, const LeafItem *item, bool hash_good, int64 position);
extern void chain_add_unsealed(ChainSort *c, bool all, int32 table_id);

/* Checks the chains and tables of all that was added, then frees the sort. */
extern void chain_check(ChainSort *c, bool all, int32 only_table);

/* Of participants: what is added is held until it is known whether it counts; all that does is for the leader to read. */
extern void chain_hold(ChainSort *c, int max);
extern void chain_release(ChainSort *c, bool counts);
extern void chain_export(ChainSort *c);

/* What participants have exported does not count. */
extern void chain_forget(Verify *v);

/* ---- log_scan.c ---- */

typedef struct LogScanOptions
{
	bool		roots;			/* question 3: tiles, roots, signatures, predecessors */
	bool		images;			/* do images give their commitments? */
	bool		all_tables;
	int32		table_id;		/* if not all_tables: this one's only */
	int64		since_size;
	int64		until;			/* 0: the end; else a size at which to stop */
	bool		piece;			/* without roots: report leaves and entries that are missing up to there */
	ChainSort  *chains;			/* NULL: do not collect */
} LogScanOptions;

extern void verify_log_scan(Verify *v, const LogScanOptions *options);

/* Recomputed leaf hash of an entry. */
extern void verify_leaf_hash(const ProvEntry *entry, const pv_hash *commitment, const pv_hash *prev, pv_hash *out);

/* Is this hash what the checkpoints have at this leaf? 1 yes, 0 no, -1 not known. */
extern int verify_hash_in_tree(Verify *v, int64 leaf, const pv_hash *hash);

/* ---- table_rows.c: the rows of a table ---- */

typedef struct TableRow
{
	uint8		row_id[PV_ROW_ID_LEN];
	uint8		image[PV_FINGERPRINT_LEN];	/* as capture would write it */
	Oid			tableoid;
	ItemPointerData tid;
	int32		table_id;
} TableRow;

typedef struct TableRows TableRows;

extern void chain_add_row(ChainSort *c, const TableRow *row);

/* A tagged table as it is in the catalog. */
typedef struct TableState
{
	int32		table_id;
	ProvTable  *table;			/* registry row; NULL: none */
	Oid			relid;			/* InvalidOid: not there */
	char	   *name;			/* schema-qualified, for objects */
	bool		tagged;
	bool		may_see_keys;
	bool		baselines_pending;	/* tagged with baseline => 'later', and not through */
	bool		pending_found;	/* said so */
	pv_hash		shape_digest;	/* of the layout; valid if rows were read */
} TableState;

/* Opens a tagged table without reading it; NULL if that is not possible (findings made). */
extern TableRows *table_rows_open(Verify *v, TableState *state);

/* The layout of the table itself, and its owner. */
extern struct ProvLayout *table_rows_layout(TableRows *rows, Oid *owner);

/* Opens it and hands over its rows; NULL if that is not possible (findings made). *complete: all of them. */
extern TableRows *table_rows_begin(Verify *v, TableState *state, ChainSort *chains, bool *complete);

/* False if reading its rows runs code of users, or sets settings. */
extern bool table_rows_plain(const TableRows *rows);

/* Number of blocks, and the rows of one of them (palloc'd). False if it cannot be read (finding made). */
extern int64 table_rows_blocks(TableRows *rows);
extern bool table_rows_block(TableRows *rows, int64 block, TableRow **found, int64 *n);
extern void table_rows_end(TableRows *rows);

/* The row at that place, as values in the order of the layout's names; false if gone. */
extern bool table_row_values(TableRows *rows, const TableRow *row, int *n, const pv_name **names, pv_value **values);
extern char *table_row_object(TableRows *rows, TableState *state, const TableRow *row);

/* Names the columns in which a row differs from an entry's image; NULL: none. */
extern char *table_row_difference(TableRows *rows, const TableRow *row, const ProvEntry *entry);

/* ---- tables.c: registry and catalog, triggers ---- */

extern TableState *table_state(Verify *v, int32 table_id);

/* The identity that the entries of a table's own chain bear; false if the log's is not known. */
extern bool verify_own_id(const Verify *v, int32 table_id, uint8 row_id[PV_ROW_ID_LEN]);
extern bool verify_is_own_id(const Verify *v, int32 table_id, const uint8 *row_id);

extern void verify_table_definition(Verify *v, TableState *state);
extern void verify_guard(Verify *v);	/* are the guard's event triggers enabled? */

/*
 * The table has a row that its history does not have: row_unrecorded. But once
 * for a table baseline_pending, if its rows are still being recorded and this
 * one has no entry since the table was tagged.
 */
extern void verify_unrecorded(Verify *v, TableState *state, TableRows *rows, const TableRow *row, bool since_tag);
extern char *verify_object(Verify *v, TableState *state, const ProvEntry *entry);


/* ---- pieces.c: the parts that sample.c and scrub.c check one by one ---- */

/* Is the rest of the chain, from that leaf on back, to be left? */
extern bool verify_chain_ends(Verify *v, int64 leaf);

/* May entries of the row, or events of its table, wait for the sealer? */
extern bool verify_waits(Verify *v, int32 table_id, const uint8 *row_id);

/* ---- surplus.c: is an entry that is in no leaf still to come? ---- */
typedef struct SealPast
{
	bool		foreign;		/* another database's state: nothing can be said */
	bool		known;
	int64		floor;
	Datum		snapshot;		/* of the last batch */
} SealPast;

extern void verify_seal_past(Verify *v, SealPast *out);	/* may fail: in verify_try() */
extern bool verify_still_to_come(const SealPast *past, FullTransactionId xid, int64 seq);
extern void verify_unsealable(Verify *v, FullTransactionId xid, int64 seq);
extern void verify_node_place(Verify *v, HeapTuple node, int64 size);

/* ---- sample.c ---- */

/* A random sample of everything from a size on, until the time is used. */
extern void verify_sample(Verify *v, int64 since_size, int64 budget_ms);

/* ---- row.c ---- */

/* The same for a row of the table that was met in a scan. */
extern void verify_scanned_row(Verify *v, TableState *state, TableRows *rows, const TableRow *row);

/* Questions 1 and 2 for the row whose key is in the arguments from first_key on. */
extern void verify_one_row(Verify *v, TableState *state, FunctionCallInfo fcinfo, int first_key);

/* ---- countersignatures.c ---- */

/* Those on entries of all tables, or of one, or on one entry: are they good? */
extern void verify_countersignatures(Verify *v, bool all, int32 table_id);
extern void verify_countersignatures_of(Verify *v, const ProvEntry *entry);
extern void verify_countersignature_row(Verify *v, HeapTuple tup);

/* Has a row's newest entry the countersignature that its table demands, if it does? The finding if not. */
extern bool verify_is_final(Verify *v, const TableState *state, int64 seq);
extern void verify_not_final(Verify *v, const char *object, int64 seq, int64 leaf);

/* ---- merged.c: what was merged of partners ---- */
extern void verify_merged(Verify *v);
extern void verify_merged_row(Verify *v, HeapTuple tup);
extern void verify_merge_row(Verify *v, HeapTuple tup);

/* table ids of the registry, in order */
extern int32 *verify_registry(Verify *v, int *n);

#endif							/* PROV_VERIFY_H */
