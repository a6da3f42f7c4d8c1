/*
 * catalog.h: where the ledger's relations are, and reading and writing them.
 *
 * The relations of schema provenance are looked up by name once per backend
 * and again after an invalidation. Writing goes through the heap access method
 * (no SPI, no rules, no user-visible triggers); reading through systable scans
 * with a snapshot the caller chooses.
 */
#ifndef PROV_CATALOG_H
#define PROV_CATALOG_H

#include "postgres.h"

#include "access/genam.h"
#include "catalog/indexing.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

typedef enum ProvRel
{
	PROV_LOG_IDENTITY, PROV_LOG_KEY, PROV_REGISTRY, PROV_SHAPE, PROV_CONTEXT, PROV_ENTRY, PROV_BASELINE_PHASE,
	PROV_LEAF_RUN, PROV_SEQ_BLOCK, PROV_TREE_NODE, PROV_HEAD, PROV_TABLE_HEAD,
	PROV_SEAL_STATE, PROV_CHECKPOINT_NOTE, PROV_WORKER_STATE, PROV_SCRUB_STATE, PROV_CHECKPOINT_TIMESTAMP,
	PROV_INCARNATION, PROV_KEY_HANDOVER,
	PROV_PARTNER_REGISTRY, PROV_PARTNER_LOG, PROV_PARTNER_CHECKPOINT, PROV_FORK_RECORD,
	PROV_MERGE, PROV_MERGED_SHAPE, PROV_MERGED_CONTEXT, PROV_MERGED_LEAF, PROV_MERGED_PATH,
	PROV_MERGED_COUNTERSIGNATURE, PROV_DISCLOSURE, PROV_DISCLOSURE_SUBJECT,
	PROV_COUNTERSIGNATURE, PROV_HANDOVER, PROV_CHECKPOINT_COSIGNATURE, PROV_WITNESS_POLICY,
	PROV_COSIGNER_KEY, PROV_COSIGNED,
	PROV_NRELS
} ProvRel;

typedef enum ProvSeq
{
	PROV_REGISTRY_SEQ, PROV_SHAPE_SEQ, PROV_CONTEXT_SEQ, PROV_ENTRY_SEQ, PROV_PARTNER_SEQ,
	PROV_NSEQS
} ProvSeq;

/* True if the extension's tables exist in this database. Needs a transaction. */
extern bool prov_installed(void);

/* OIDs; an ERROR (55000) if the extension is not installed. */
extern Oid	prov_namespace(void);
extern Oid	prov_relid(ProvRel rel);
extern Oid	prov_pkey(ProvRel rel);		/* index of the primary key */
extern Oid	prov_shape_table_index(void);	/* shape (table_id) */
extern Oid	prov_seqid(ProvSeq seq);

/* The extension's owner: whom the extension's own DDL runs as. */
extern Oid	prov_owner(void);

/* Its version in this database, palloc'd, which may be another than the library's; NULL if it is not installed. */
extern char *prov_version(void);

/* nextval without privilege checks. */
extern int64 prov_nextval(ProvSeq seq);

/*
 * The attribute numbers of the tables, in the order of 20_ledger.sql,
 * 26_keys.sql, 61_partner_tables.sql and 65_witness.sql. columns.c has the types.
 * A table is never altered by an upgrade other than by adding columns at the end,
 * and better not at all (doc/architecture.md, "Versions"); the library then has to
 * take both, since a database is upgraded after it.
 */
enum { A_IDENT_ID = 1, A_IDENT_INCARNATION, A_IDENT_CREATED_AT, A_IDENT_ORIGIN, A_IDENT_ROW_KEY, A_IDENT_STATE_DIRECTORY, N_IDENT = 6 };
enum { A_KEY_INCARNATION = 1, A_KEY_SINCE_SIZE, A_KEY_VKEY, A_KEY_CREATED_AT, N_KEY = 4 };
enum { A_REG_TABLE_ID = 1, A_REG_RELID, A_REG_TAGGED_AT, A_REG_UNTAGGED_AT, A_REG_SCHEMA, A_REG_TABLE, A_REG_MODE, A_REG_SUBJECT, A_REG_EXCLUDE, A_REG_COUNTERSIGN, N_REG = 10 };
enum { A_SHAPE_ID = 1, A_SHAPE_TABLE_ID, A_SHAPE_DIGEST, A_SHAPE_DEFINITION, N_SHAPE = 4 };
enum { A_CTX_ID = 1, A_CTX_COMMITMENT, A_CTX_SEED, A_CTX_FIELDS, N_CTX = 4 };
enum { A_ENTRY_XID = 1, A_ENTRY_SEQ, A_ENTRY_CHANGED_AT, A_ENTRY_CONTEXT, A_ENTRY_ORDER, A_ENTRY_TABLE, A_ENTRY_SHAPE, A_ENTRY_ROW_ID, A_ENTRY_COMMITMENT, A_ENTRY_SEED, A_ENTRY_IMAGE, A_ENTRY_OP, N_ENTRY = 12 };
enum { A_PHASE_TABLE = 1, A_PHASE_DATABASE, A_PHASE_SYSTEM, A_PHASE_RELID, A_PHASE_FILENODE, A_PHASE_NEXT, A_PHASE_END, A_PHASE_ROWS, N_PHASE = 8 };
enum { A_RUN_FIRST = 1, A_RUN_COUNT, A_RUN_MAP, A_RUN_HASHES, N_RUN = 4 };
enum { A_BLOCK_BLOCK = 1, A_BLOCK_FIRST, A_BLOCK_MAP, N_BLOCK = 3 };
enum { A_NODE_LEVEL = 1, A_NODE_INDEX, A_NODE_HASH, N_NODE = 3 };
enum { A_HEAD_FROM = 1, A_HEAD_HEADS, N_HEAD = 2 };
enum { A_THEAD_TABLE = 1, A_THEAD_LAST_LEAF, A_THEAD_TRUNCATED, A_THEAD_ENTRIES, A_THEAD_HASH, A_THEAD_TAGGED, N_THEAD = 6 };
enum { A_SEAL_ID = 1, A_SEAL_DATABASE, A_SEAL_SYSTEM, A_SEAL_SIZE, A_SEAL_FLOOR, A_SEAL_AT, A_SEAL_SNAPSHOT, N_SEAL = 7 };
enum { A_CP_INCARNATION = 1, A_CP_SIZE, A_CP_SIGNED_AT, A_CP_ROOT, A_CP_NOTE, N_CP = 5 };
enum { A_STAMP_INCARNATION = 1, A_STAMP_SIZE, A_STAMP_N, A_STAMP_ADDED_AT, A_STAMP_TIME, A_STAMP_TSA, A_STAMP_SERIAL, A_STAMP_VERIFIED_BY, A_STAMP_RESPONSE, N_STAMP = 9 };
enum { A_WS_ID = 1, A_WS_ERROR_AT, A_WS_SIGNER, A_WS_ERROR, A_WS_WANTED, A_WS_DATABASE, A_WS_SYSTEM, N_WS = 7 };
enum { A_SCRUB_ID = 1, A_SCRUB_KIND, A_SCRUB_TABLE, A_SCRUB_DATABASE, A_SCRUB_NEXT, A_SCRUB_END, A_SCRUB_ENTRIES, A_SCRUB_FINDINGS, A_SCRUB_STARTED, A_SCRUB_LAST_ENDED, A_SCRUB_LAST_ENTRIES, A_SCRUB_LAST_FINDINGS, A_SCRUB_SYSTEM, N_SCRUB = 13 };
enum { A_INC_N = 1, A_INC_STARTED_AT, A_INC_SINCE_SIZE, A_INC_REASON, A_INC_VKEY, A_INC_ORIGIN, A_INC_SIZE, A_INC_ROOT, A_INC_NOTE, N_INC = 9 };
enum { A_HAND_NEW = 1, A_HAND_OLD, A_HAND_INCARNATION, A_HAND_SINCE_SIZE, A_HAND_STARTED_AT, N_HAND = 5 };
enum { A_PARTNER_ID = 1, A_PARTNER_ADDED_AT, A_PARTNER_REMOVED_AT, A_PARTNER_QUORUM, A_PARTNER_STATE, A_PARTNER_NAME, A_PARTNER_ORIGIN, A_PARTNER_VKEYS, A_PARTNER_WITNESSES, A_PARTNER_PSEUDONYM_KEY, N_PARTNER = 10 };
enum { A_PLOG_ID = 1, A_PLOG_PARTNER, A_PLOG_ORIGIN, N_PLOG = 3 };
enum { A_PCP_LOG = 1, A_PCP_SIZE, A_PCP_SEEN_AT, A_PCP_ROOT, A_PCP_NOTE, N_PCP = 5 };
enum { A_FORK_ID = 1, A_FORK_PARTNER, A_FORK_FOUND_AT, A_FORK_KIND, A_FORK_ORIGIN, A_FORK_NOTE_A, A_FORK_NOTE_B, A_FORK_PROOF_A, A_FORK_PROOF_B, A_FORK_LEAF_A, A_FORK_LEAF_B, A_FORK_RESOLVED_AT, A_FORK_RESOLVED_BY, A_FORK_REASON, N_FORK = 14 };
enum { A_MERGE_ID = 1, A_MERGE_AT, A_MERGE_BY, A_MERGE_PARTNER, A_MERGE_ORIGIN, A_MERGE_SIZE, A_MERGE_ROOT, A_MERGE_SINCE, A_MERGE_ENTRIES, A_MERGE_NEW, A_MERGE_NEW_SIGNED, A_MERGE_SCHEMA, A_MERGE_TABLE, A_MERGE_RECIPIENT, A_MERGE_PURPOSE, A_MERGE_DIGEST, A_MERGE_NOTE, N_MERGE = 17 };
enum { A_MSHAPE_ID = 1, A_MSHAPE_LOG, A_MSHAPE_DIGEST, A_MSHAPE_DEFINITION, N_MSHAPE = 4 };
enum { A_MCTX_ID = 1, A_MCTX_COMMITMENT, A_MCTX_FIELDS, N_MCTX = 3 };
enum { A_MLEAF_LOG = 1, A_MLEAF_SHAPE, A_MLEAF_INDEX, A_MLEAF_MERGE, A_MLEAF_PREVIOUS, A_MLEAF_CONTEXT, A_MLEAF_OP, A_MLEAF_PSEUDONYM, A_MLEAF_HASH, A_MLEAF_LEAF, A_MLEAF_CONTEXT_SALT, A_MLEAF_CONTEXT_DIGEST, A_MLEAF_FIELDS, N_MLEAF = 13 };
enum { A_MPATH_MERGE = 1, A_MPATH_FIRST, A_MPATH_PATH, N_MPATH = 3 };
enum { A_MCSIG_LOG = 1, A_MCSIG_INDEX, A_MCSIG_KEY, A_MCSIG_SIGNATURE, N_MCSIG = 4 };
enum { A_DISC_ID = 1, A_DISC_AT, A_DISC_BY, A_DISC_RECIPIENT, A_DISC_PURPOSE, A_DISC_SCHEMA, A_DISC_TABLE, A_DISC_COLUMNS, A_DISC_CONTEXT, A_DISC_SINCE, A_DISC_SIZE, A_DISC_ROOT, A_DISC_ENTRIES, A_DISC_LEAVES_ROOT, A_DISC_SUBJECTS, N_DISC = 15 };
enum { A_DSUB_ID = 1, A_DSUB_SUBJECT, N_DSUB = 2 };
enum { A_CSIG_SEQ = 1, A_CSIG_KEY, A_CSIG_ADDED_AT, A_CSIG_ADDED_BY, A_CSIG_LEAF_HASH, A_CSIG_SIGNATURE, N_CSIG = 6 };
enum { A_HO_GID = 1, A_HO_STEP, A_HO_WRITTEN_AT, A_HO_PARTNER, A_HO_SUBJECT, A_HO_RECORD, N_HO = 6 };
enum { A_COSIG_INCARNATION = 1, A_COSIG_SIZE, A_COSIG_WITNESS, A_COSIG_SECONDS, A_COSIG_ADDED_AT, A_COSIG_LINE, N_COSIG = 6 };
enum { A_WPOL_ID = 1, A_WPOL_QUORUM, A_WPOL_WITNESSES, N_WPOL = 3 };
enum { A_CKEY_INCARNATION = 1, A_CKEY_CREATED_AT, A_CKEY_VKEY, N_CKEY = 3 };
enum { A_COSD_INCARNATION = 1, A_COSD_SIZE, A_COSD_AT, A_COSD_ORIGIN, A_COSD_NOTE, N_COSD = 5 };

/* A bigint column of a row; -1 if it is null. */
extern int64 prov_int64(HeapTuple tup, ProvRel rel, AttrNumber attno);

/* A bytea that is to have that length, of a value or of a row's column; NULL if it is anything else. */
extern const uint8 *prov_fixed_bytes(Datum d, bool isnull, Size len);
extern const uint8 *prov_bytes(HeapTuple tup, ProvRel rel, AttrNumber attno, Size len);

/*
 * Writers over several rows of one relation: opens it (RowExclusiveLock kept to
 * the end of the transaction) and its indexes once.
 */
typedef struct ProvWriter
{
	Relation	rel;
	CatalogIndexState indexes;
} ProvWriter;

extern void prov_writer_open(ProvWriter *w, ProvRel rel);

/*
 * ERROR (55000) if a superuser gave the open relation what these writers cannot
 * serve, and would crash on: an index over an expression or a part of the rows;
 * other columns. Looked at once, until an invalidation.
 */
extern void prov_check_writable(ProvRel which, Relation rel);
extern void prov_insert(ProvWriter *w, Datum *values, bool *nulls);
extern void prov_update(ProvWriter *w, HeapTuple oldtup, Datum *values, bool *nulls);
extern void prov_delete(ProvWriter *w, HeapTuple tup);
extern void prov_writer_close(ProvWriter *w);

/*
 * One row by its primary key's first column(s), as a copied tuple in the
 * current memory context (free with heap_freetuple), or NULL. snapshot NULL:
 * what is committed now, prov_latest_snapshot().
 */
extern HeapTuple prov_fetch1(ProvRel rel, Datum key1, Snapshot snapshot);
extern HeapTuple prov_fetch2(ProvRel rel, Datum key1, Datum key2, Snapshot snapshot);

/*
 * Scans with other conditions. index InvalidOid reads the heap in physical
 * order; an ordered scan runs over the primary key in either direction. A
 * tuple belongs to the scan and lives until the next call.
 */
typedef struct ProvScan
{
	Relation	rel;
	Relation	index;			/* ordered scans only */
	SysScanDesc scan;
	Snapshot	snapshot;		/* registered */
} ProvScan;

/* Equal, greater-or-equal, less or less-or-equal strategy of btree, by the column's type. */
extern void prov_key_init(ScanKey key, ProvRel rel, AttrNumber attno, StrategyNumber strategy, Datum value);
extern void prov_scan_begin(ProvScan *s, ProvRel rel, Oid index, Snapshot snapshot, int nkeys, ScanKey keys);
extern void prov_scan_begin_ordered(ProvScan *s, ProvRel rel, Snapshot snapshot, int nkeys, ScanKey keys);
extern HeapTuple prov_scan_next(ProvScan *s, ScanDirection direction);
extern void prov_scan_end(ProvScan *s);

/* What a NULL snapshot stands for; not registered. */
extern Snapshot prov_latest_snapshot(void);

/*
 * The tuple descriptor of a ledger relation, for rows fetched. ERROR (55000), as
 * for keys and scans, if its columns are not those that the extension made: so
 * arrays of N_… elements hold a row. Looked at once, until an invalidation.
 */
extern TupleDesc prov_tupdesc(ProvRel rel);

/* table_open(), for reading without a ProvScan, and the same ERROR. */
extern Relation prov_open(ProvRel rel, LOCKMODE lockmode);

/* ---- columns.c ---- */

/*
 * If the extension's version in this database is not the library's, a sentence
 * that names both, with a space before it; else an empty string.
 */
extern const char *prov_other_version(void);

/* The type that a letter of columns.c stands for. */
extern Oid	prov_type_of(char letter);

/* ERROR (55000) if the open relation is no table with exactly the columns that the extension made. */
extern void prov_check_usable(ProvRel which, Relation rel);

/* The same as a question, of a relation that is not open. */
extern bool prov_usable(ProvRel which);

/*
 * A column that is declared NOT NULL. Where that was dropped, and the row has
 * no value: ERROR (XX001).
 */
extern Datum prov_value(ProvRel rel, HeapTuple tup, AttrNumber attno);

/* The same of a row taken apart; columns: their numbers, and 0. */
extern void prov_refuse_nulls(ProvRel rel, const bool *nulls, const AttrNumber *columns);

#endif							/* PROV_CATALOG_H */
