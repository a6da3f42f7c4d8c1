/*
 * prove.h: proofs and history out of the stored ledger: what the files of this
 * folder share.
 *
 * A target is a table that somebody asks about, resolved (a partition to the
 * tagged table that it is part of), with the answer to who may see what of it.
 * A history output turns entries into rows of history() and changes().
 */
#ifndef PROV_PROVE_H
#define PROV_PROVE_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "ledger/key_args.h"
#include "ledger/log.h"

typedef struct ProveTarget
{
	Oid			relid;			/* the tagged table */
	ProvTable  *table;			/* its newest registry row */
	bool		owner;			/* the caller owns it, or is a superuser */
	bool		all_columns;	/* the caller may SELECT from the table as a whole */
	int			nkeys;
	char	  **key_names;		/* in key order, server encoding */
	AttrNumber *key_attnums;	/* InvalidAttrNumber: no such column any more */
} ProveTarget;

/*
 * Resolves a relation and checks that the caller may see something of its
 * history: 55000 if it was never tagged, 42501 without SELECT on any column or
 * where row security applies to the caller.
 */
extern ProveTarget *prove_target(Oid relid, Snapshot snapshot);

/* 42501 unless the caller may SELECT the key columns. */
extern void prove_check_key_columns(const ProveTarget *target);

/* May the caller see the values of a column of this name (UTF-8)? */
extern bool prove_column_visible(const ProveTarget *target, pv_name name);

/*
 * The row identities that key values (of the second function: in the arguments
 * `first` to the last) may stand for, likeliest first: that of the row in the
 * table whose key equals them by the key's own operators, then that of their
 * text. Returns 1 or 2; 22023 for a wrong number of values, 22004 for a NULL.
 */
extern int	prove_identities(const ProveTarget *target, const ProvArgument *args, int n,
							 uint8 ids[2][PV_ROW_ID_LEN]);
extern int	prove_key_identities(FunctionCallInfo fcinfo, int first, const ProveTarget *target,
								 uint8 ids[2][PV_ROW_ID_LEN]);

/* The head of a row's chain, also of one that a truncate has ended; -1: none. */
extern int64 prove_row_head(const uint8 row_id[PV_ROW_ID_LEN], Snapshot snapshot);

/*
 * Which fields of a context somebody asks to disclose: 42703 and the like for
 * a wrong name, 42501 for a field that is the table owner's to disclose.
 */
extern void prove_choose_context(ArrayType *asked, const ProveTarget *target, bool chosen[PV_CONTEXT_FIELDS]);

/* Text (UTF-8) in the server's encoding, terminated; 22P05 if that cannot be. */
extern char *prove_text(const void *s, size_t len);

/* A shape with what this caller sees of it. */
typedef enum ProveKind
{
	PROVE_STRING, PROVE_BOOL, PROVE_NUMBER, PROVE_JSON
} ProveKind;

typedef struct ProveShape
{
	int32		shape_id;		/* hash key */
	ProvShape  *shape;			/* NULL: not there, or not decodable */
	bool	   *visible;		/* by column */
	ProveKind  *kinds;			/* by column */
} ProveShape;

/* An image taken apart: fields by name. Points into shape and image. */
typedef struct ProveImage
{
	bool		valid;			/* false: erased, or does not fit its shape */
	int			n;
	pv_name    *names;
	pv_value   *values;
	bool	   *visible;
	ProveKind  *kinds;
	bool	   *key;			/* is it a field of the row's key? */
} ProveImage;

extern ProveKind prove_kind_of_type(pv_name type);
extern void prove_shape_view(ProveShape *view, const ProveTarget *target);
extern void prove_image(const ProvEntry *entry, const ProveShape *view, ProveImage *out);

/* The visible fields as an object; only those of the key if so asked. */
extern Jsonb *prove_image_json(const ProveImage *image, bool key_only);

/* text[]: visible fields of `after` whose text differs from `before`. */
extern Datum prove_image_changed(const ProveImage *before, const ProveImage *after);

typedef struct HistoryOutput
{
	ProveTarget *target;
	Snapshot	snapshot;
	ReturnSetInfo *rsinfo;
	bool		with_key;		/* a column "key" */
	bool		countersigned;	/* there are countersignatures at all */
	MemoryContext cxt;			/* of the whole call */
	MemoryContext row;			/* of one row; the caller resets it */
	MemoryContext contexts;		/* of cached contexts */
	HTAB	   *shapes;			/* shape id -> ProveShape */
	HTAB	   *context_table;	/* context id -> CachedContext */
} HistoryOutput;

extern void history_begin(HistoryOutput *out, FunctionCallInfo fcinfo, ProveTarget *target, Snapshot snapshot, bool with_key);
extern ProveShape *history_shape(HistoryOutput *out, int32 shape_id);

/*
 * Writes one row. ref: the entry's place in the log, NULL if it has none yet;
 * prev: hash of the leaf before, NULL for zeros; entry: NULL if the log knows
 * it and the table of entries does not; before: the last entry of the row that
 * held an image, for `changed`, NULL if there is none.
 */
extern void history_put(HistoryOutput *out, const ProvLeafRef *ref, const pv_hash *prev,
						const ProvEntry *entry, const ProvEntry *before);

/* Does this operation leave an image of the whole row? */
extern bool history_has_row(int op);

/* What the calls of prove() in one statement keep, see kept.c. */
typedef struct ProveKept ProveKept;

/* NULL: nothing is kept, or not yet. */
extern ProveKept *prove_kept(FunctionCallInfo fcinfo);

/*
 * The log as it is now. prove_kept_end() makes
 * what was read available to the next call; without it, all is forgotten.
 */
extern ProvLog *prove_kept_begin(ProveKept *kept);
extern void prove_kept_end(ProveKept *kept);

/* As prove_checkpoint(); the value lives as long as what is kept. After prove_kept_begin(). */
extern Datum prove_kept_checkpoint(ProveKept *kept, int64 size, int64 *found_size);

/*
 * The inclusion proof (a tlog-proof) of an entry in the checkpoint of that
 * size, or in the newest; palloc'd. An error of the caller's if there is no
 * such entry or checkpoint, or not yet. kept may be NULL.
 */
#define PROVE_NEWEST PG_INT64_MIN
extern char *prove_make_proof(ProveKept *kept, int64 seq, int64 size, size_t *prooflen);

/* The leaf index of an entry; an error of the caller's if there is no such entry, or if it is not sealed. */
extern int64 prove_sealed_leaf(ProvLog *log, int64 seq);

/*
 * The table that an entry is of, which may be gone (then relid is invalid, and
 * this is for superusers), and whether the caller may see something of it.
 */
extern ProveTarget *prove_entry_target(const ProvEntry *entry);

/* The owner of a relation that is locked. */
extern Oid prove_owner_of(Oid relid);

/* An ERROR for a log that does not hold together. */
pg_noreturn extern void prove_log_damaged(int64 leaf);

/*
 * The note of the newest checkpoint, or of that size (size >= 0), and its size;
 * 0 if there is none. The same tree may have been signed at one size by two
 * incarnations: then the newer one's. incarnation may be NULL.
 */
extern Datum prove_checkpoint(int64 size, int64 *found_size, int *incarnation);

/* The same as that snapshot sees it; NULL: the latest. */
extern Datum prove_checkpoint_seen(Snapshot snapshot, int64 size, int64 *found_size, int *incarnation);

/* 22023 for a tile that the log does not have, or not in that width. */
extern void prove_check_tile(ProvLog *log, int level, int64 index, int width);

#define PROVE_BUNDLE_MAX (PV_TILE_WIDTH * (2 + PV_LEAF_LEN))

/*
 * The entry bundle of a tile, which the log must have; returns its length.
 * previous is a second reader of the same log. Leaves something behind in the
 * current memory context. An ERROR for an entry that is not what was sealed.
 */
extern Size prove_bundle(ProvLog *log, ProvLog *previous, int64 index, int width, uint8 *out);

#endif							/* PROV_PROVE_H */
