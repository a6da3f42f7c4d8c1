/*
 * inbox.h: a bundle on its way in: what the files share that read, check and
 * merge it.
 *
 * One ProvInbox belongs to one statement that inserts into the view inbox. All
 * that it writes is of the statement's transaction; nothing is held open
 * between two lines, so that it can be dropped at any moment.
 */
#ifndef PROV_INBOX_H
#define PROV_INBOX_H

#include "partner/partner.h"

#include "executor/tuptable.h"
#include "lib/stringinfo.h"

#include "compat.h"

/*
 * Collects the inclusion path of one leaf while the leaves of a tree, and the
 * roots of subtrees between them, go by in order (path.c).
 */
typedef struct ProvPath
{
	uint64		target;
	uint64		pos;			/* the next leaf */
	bool		passed;			/* the target has been */
	unsigned	level;			/* of the right sibling being put together */
	pv_frontier tree;			/* before the target: the tree; after it: that sibling */
	uint64		have;			/* levels with a sibling */
	pv_hash		sibling[64];
} ProvPath;

extern void prov_path_begin(ProvPath *p, uint64 target, const pv_frontier *before);
extern void prov_path_gap(ProvPath *p, uint64 to, const pv_hash *hashes, unsigned n);
extern void prov_path_leaf(ProvPath *p, const pv_hash *leaf_hash);
extern unsigned prov_path_end(ProvPath *p, pv_hash path[PV_MAX_PATH]);

typedef struct ProvScattered ProvScattered;

/* Rows gathered for one table, and written together. */
typedef struct ProvBatch
{
	ProvRel		rel;
	MemoryContext cxt;			/* of the rows */
	int			n;
	TupleTableSlot **slots;
	int			nscattered;
	ProvScattered *scattered[2];	/* entries of indexes with random keys */
} ProvBatch;

typedef struct ProvMerge ProvMerge;

/* Why a bundle that is still read will be refused at its end (see fork.c). */
typedef struct ProvRefusal
{
	int			sqlstate;		/* 0: not to be refused so far */
	uint64		line;
	const char *reason;
	const char *detail;
	const char *hint;
} ProvRefusal;

typedef struct ProvInbox
{
	struct ProvInbox *outer;	/* of a statement that runs this one */
	int			level;			/* (sub)transaction that owns it */
	MemoryContext cxt;			/* of the statement */
	MemoryContext line_cxt;		/* of one line */
	uint64		line;			/* being read */
	pv_bundle_reader *reader;
	void	   *kept[PV_BUNDLE_SHAPES];

	/* the header; texts in the server's encoding */
	char	   *origin;			/* with incarnation */
	char	   *schema;
	char	   *table;
	char	   *recipient;
	char	   *purpose;

	/* who and what is known */
	ProvPartner *partner;
	int32		log_id;			/* 0: nothing was seen of this log */
	int64		known_size;		/* of the newest checkpoint seen; -1: none */
	char	   *note;			/* the bundle's checkpoint */
	size_t		notelen;
	bool		extends;		/* that it extends what is known has been shown */
	bool		head_done;

	ProvMerge  *merge;
	ProvRefusal deferred;

	/* a leaf that contradicts a merged one, and its path, while it is looked for */
	pv_frontier before;			/* the reader's tree before the line */
	bool		contradicted;
	ProvPath	path;
	uint8		leaf_b[PV_LEAF_LEN];
} ProvInbox;

/* Ends the statement: an ERROR with that SQLSTATE, and a line in the server's log. Strings are constants or live long enough. */
pg_noreturn extern void prov_inbox_refuse(ProvInbox *in, int sqlstate, const char *reason,
										  const char *detail, const char *hint);

/* The server's encoding; an ERROR where a character has no equivalent. NULL for a value that is none. */
extern char *prov_inbox_text(const void *s, size_t len);
extern Datum prov_inbox_text_datum(const void *s, size_t len);	/* of a value that is one */

/* inbox_head.c: the first lines. */
extern void prov_inbox_header(ProvInbox *in);
extern void prov_inbox_checkpoint(ProvInbox *in);
extern void prov_inbox_consistency(ProvInbox *in);
extern void prov_inbox_head_done(ProvInbox *in);

/* merge.c: what the rest of the lines show. */
extern void prov_merge_begin(ProvInbox *in);
extern void prov_merge_shape(ProvInbox *in);
extern void prov_merge_context(ProvInbox *in);
extern void prov_merge_entry(ProvInbox *in);
extern void prov_merge_countersignature(ProvInbox *in);
extern void prov_merge_end(ProvInbox *in);

/* merge_write.c */
extern void prov_batch_init(ProvBatch *b, ProvRel rel, MemoryContext parent);
extern void prov_batch_add(ProvBatch *b, Datum *values, bool *nulls);
extern void prov_batch_flush(ProvBatch *b);

/*
 * A btree index over that column of fixed length, and no other, has random
 * keys: its entries are sorted before they are inserted, the last ones by
 * prov_batch_end(). One index only, if there are several such. In the current
 * memory context, work_mem at most.
 */
extern void prov_batch_scattered(ProvBatch *b, AttrNumber attno);
extern void prov_batch_end(ProvBatch *b);

/* The tokens of both; NULL if the second has nothing that the first has not. */
extern char *prov_unite_fields(const char *old, const char *new);

/* The row of a merged leaf, a copy; NULL if there is none. Another version of it. */
extern HeapTuple prov_merged_leaf(int32 log_id, int64 leaf_index);
extern void prov_merged_leaf_update(HeapTuple old, Datum *values, bool *nulls);

/* path.c: the proof of a merged entry, verified; NULL if it cannot be rebuilt. */
extern char *prov_merged_proof(int32 log_id, int64 leaf_index, size_t *prooflen, uint8 leaf[PV_LEAF_LEN]);

/* fork.c: evidence, before the statement fails. */
extern void prov_fork_checkpoint(ProvInbox *in, Datum known_note);
extern void prov_fork_look(ProvInbox *in);
extern void prov_fork_follow(ProvInbox *in);
extern void prov_fork_leaf(ProvInbox *in);
extern void prov_fork_init(void);

#endif							/* PROV_INBOX_H */
