/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  Where the ledger's relations are, and reading and writing them.
 *
 * The OIDs of all relations are looked up together, from the schema that
 * pg_extension names, and kept until an invalidation of one of them or of a
 * schema arrives: the extension may be dropped and created again while a
 * backend lives. Indexes are found by the names that 20_ledger.sql gives them.
 * That the extension is absent is not remembered: nothing would tell us of its
 * creation.
 *
 * Reading goes through systable scans, which work with any snapshot, on a
 * standby too. A NULL snapshot means "what is committed now". That would be
 * an MVCC snapshot and thus take predicate locks in a serializable
 * transaction, making writers fail who touched no common row of the user's;
 * there SnapshotSelf stands in, which takes none.
 *
 * Memory: the cache is static, tuple descriptors live in CacheMemoryContext.
 * Locks: AccessShareLock for a scan's duration; writers keep RowExclusiveLock
 * to the end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ledger/catalog.h"

typedef struct RelDef
{
	const char *name;
	AttrNumber	key[2];			/* attributes of the primary key */
} RelDef;

static const RelDef rel_defs[PROV_NRELS] = {
	[PROV_LOG_IDENTITY] = {"log_identity", {A_IDENT_ID, 0}},
	[PROV_LOG_KEY] = {"log_key", {A_KEY_INCARNATION, A_KEY_VKEY}},
	[PROV_REGISTRY] = {"registry", {A_REG_TABLE_ID, 0}},
	[PROV_SHAPE] = {"shape", {A_SHAPE_ID, 0}},
	[PROV_CONTEXT] = {"context", {A_CTX_ID, 0}},
	[PROV_ENTRY] = {"entry", {A_ENTRY_XID, A_ENTRY_SEQ}},
	[PROV_BASELINE_PHASE] = {"baseline_phase", {A_PHASE_TABLE, 0}},
	[PROV_LEAF_RUN] = {"leaf_run", {A_RUN_FIRST, 0}},
	[PROV_SEQ_BLOCK] = {"seq_block", {A_BLOCK_BLOCK, A_BLOCK_FIRST}},
	[PROV_TREE_NODE] = {"tree_node", {A_NODE_LEVEL, A_NODE_INDEX}},
	[PROV_HEAD] = {"head", {A_HEAD_FROM, 0}},
	[PROV_TABLE_HEAD] = {"table_head", {A_THEAD_TABLE, 0}},
	[PROV_SEAL_STATE] = {"seal_state", {A_SEAL_ID, 0}},
	[PROV_CHECKPOINT_NOTE] = {"checkpoint_note", {A_CP_INCARNATION, A_CP_SIZE}},
	[PROV_CHECKPOINT_TIMESTAMP] = {"checkpoint_timestamp", {A_STAMP_INCARNATION, A_STAMP_SIZE}},
	[PROV_WORKER_STATE] = {"worker_state", {A_WS_ID, 0}},
	[PROV_SCRUB_STATE] = {"scrub_state", {A_SCRUB_ID, 0}},
	[PROV_INCARNATION] = {"incarnation", {A_INC_N, 0}},
	[PROV_KEY_HANDOVER] = {"key_handover", {A_HAND_NEW, 0}},
	[PROV_PARTNER_REGISTRY] = {"partner_registry", {A_PARTNER_ID, 0}},
	[PROV_PARTNER_LOG] = {"partner_log", {A_PLOG_ID, 0}},
	[PROV_PARTNER_CHECKPOINT] = {"partner_checkpoint", {A_PCP_LOG, A_PCP_SIZE}},
	[PROV_FORK_RECORD] = {"fork_record", {A_FORK_ID, 0}},
	[PROV_MERGE] = {"merge", {A_MERGE_ID, 0}},
	[PROV_MERGED_SHAPE] = {"merged_shape", {A_MSHAPE_ID, 0}},
	[PROV_MERGED_CONTEXT] = {"merged_context", {A_MCTX_ID, 0}},
	[PROV_MERGED_LEAF] = {"merged_leaf", {A_MLEAF_LOG, A_MLEAF_INDEX}},
	[PROV_MERGED_PATH] = {"merged_path", {A_MPATH_MERGE, A_MPATH_FIRST}},
	[PROV_MERGED_COUNTERSIGNATURE] = {"merged_countersignature", {A_MCSIG_LOG, A_MCSIG_INDEX}},
	[PROV_DISCLOSURE] = {"disclosure", {A_DISC_ID, 0}},
	[PROV_DISCLOSURE_SUBJECT] = {"disclosure_subject", {A_DSUB_ID, A_DSUB_SUBJECT}},
	[PROV_COUNTERSIGNATURE] = {"countersignature", {A_CSIG_SEQ, A_CSIG_KEY}},
	[PROV_HANDOVER] = {"handover", {A_HO_GID, A_HO_STEP}},
	[PROV_CHECKPOINT_COSIGNATURE] = {"checkpoint_cosignature", {A_COSIG_INCARNATION, A_COSIG_SIZE}},
	[PROV_WITNESS_POLICY] = {"witness_policy", {A_WPOL_ID, 0}},
	[PROV_COSIGNER_KEY] = {"cosigner_key", {A_CKEY_INCARNATION, 0}},
	[PROV_COSIGNED] = {"cosigned", {A_COSD_INCARNATION, A_COSD_ORIGIN}},
};

static const char *const seq_names[PROV_NSEQS] = {
	[PROV_REGISTRY_SEQ] = "registry_table_id_seq",
	[PROV_SHAPE_SEQ] = "shape_id_seq",
	[PROV_CONTEXT_SEQ] = "context_id_seq",
	[PROV_ENTRY_SEQ] = "entry_seq",
	[PROV_PARTNER_SEQ] = "partner_seq",
};

typedef struct RelCache
{
	Oid			namespace;
	Oid			owner;
	Oid			relid[PROV_NRELS];
	Oid			pkey[PROV_NRELS];
	Oid			shape_table_index;
	Oid			seqid[PROV_NSEQS];
} RelCache;

static RelCache cache;
static bool cache_valid = false;
static uint64 cache_generation = 0;	/* counts invalidations */
static bool callbacks_registered = false;

/* Kept over invalidations; desc_fresh says whether it was compared since. */
static TupleDesc descs[PROV_NRELS];
static bool desc_fresh[PROV_NRELS];

static bool writable[PROV_NRELS];	/* looked at since the last invalidation */

static void
forget_all(void)
{
	memset(writable, 0, sizeof(writable));
	cache_valid = false;
	cache_generation++;
	memset(desc_fresh, 0, sizeof(desc_fresh));
}

static void
relcache_callback(Datum arg, Oid relid)
{
	if (!cache_valid)
	{
		memset(writable, 0, sizeof(writable));
		memset(desc_fresh, 0, sizeof(desc_fresh));
		cache_generation++;
		return;
	}
	if (OidIsValid(relid))
	{
		bool		ours = false;
		int			i;

		for (i = 0; i < PROV_NRELS && !ours; i++)
			ours = relid == cache.relid[i] || relid == cache.pkey[i];
		for (i = 0; i < PROV_NSEQS && !ours; i++)
			ours = relid == cache.seqid[i];
		if (!ours && relid != cache.shape_table_index)
			return;
	}
	forget_all();
}

static void
namespace_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	forget_all();
}

/* Schema, owner and (where asked for) version of the extension; false if it is not installed. */
static bool
find_extension(Oid *namespace, Oid *owner, char **version)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tup;
	bool		found = false;
	bool		isnull;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("provenance"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
	{
		Form_pg_extension ext = (Form_pg_extension) GETSTRUCT(tup);

		*namespace = ext->extnamespace;
		*owner = ext->extowner;
		if (version != NULL)
			*version = TextDatumGetCString(heap_getattr(tup, Anum_pg_extension_extversion, RelationGetDescr(rel), &isnull));
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Fills the cache. NULL if all is well, else the name of what is missing
 * ("" for the extension itself).
 */
static const char *
load_cache(void)
{
	RelCache	c;
	uint64		generation;
	int			i;

	if (!callbacks_registered)
	{
		CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, namespace_callback, (Datum) 0);
		callbacks_registered = true;
	}

	do
	{
		generation = cache_generation;
		memset(&c, 0, sizeof(c));
		if (!find_extension(&c.namespace, &c.owner, NULL))
			return "";
		for (i = 0; i < PROV_NRELS; i++)
		{
			char		index_name[NAMEDATALEN];

			c.relid[i] = get_relname_relid(rel_defs[i].name, c.namespace);
			snprintf(index_name, sizeof(index_name), "%s_pkey", rel_defs[i].name);
			c.pkey[i] = get_relname_relid(index_name, c.namespace);
			if (!OidIsValid(c.relid[i]) || !OidIsValid(c.pkey[i]))
				return rel_defs[i].name;
		}
		for (i = 0; i < PROV_NSEQS; i++)
		{
			c.seqid[i] = get_relname_relid(seq_names[i], c.namespace);
			if (!OidIsValid(c.seqid[i]))
				return seq_names[i];
		}
		c.shape_table_index = get_relname_relid("shape_table_id_idx", c.namespace);
		if (!OidIsValid(c.shape_table_index))
			return "shape_table_id_idx";
	} while (generation != cache_generation);

	cache = c;
	cache_valid = true;
	return NULL;
}

bool
prov_installed(void)
{
	return cache_valid || load_cache() == NULL;
}

static const RelCache *
get_cache(void)
{
	if (unlikely(!cache_valid))
	{
		const char *missing = load_cache();

		if (missing != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("extension \"provenance\" is not installed in this database"),
					 missing[0] != '\0' ? errdetail("Its relation \"%s\" does not exist.", missing) : 0));
	}
	return &cache;
}

Oid
prov_namespace(void)
{
	return get_cache()->namespace;
}

Oid
prov_owner(void)
{
	return get_cache()->owner;
}

char *
prov_version(void)
{
	Oid			ignored;
	char	   *version = NULL;

	(void) find_extension(&ignored, &ignored, &version);
	return version;
}

Oid
prov_relid(ProvRel rel)
{
	return get_cache()->relid[rel];
}

Oid
prov_pkey(ProvRel rel)
{
	return get_cache()->pkey[rel];
}

Oid
prov_shape_table_index(void)
{
	return get_cache()->shape_table_index;
}

Oid
prov_seqid(ProvSeq seq)
{
	return get_cache()->seqid[seq];
}

int64
prov_nextval(ProvSeq seq)
{
	return nextval_internal(prov_seqid(seq), false);
}

/*
 * The descriptor outlives an invalidation that changed nothing of it (most of
 * them come from VACUUM and ANALYZE); one that did change is left to whoever
 * still holds it.
 */
TupleDesc
prov_tupdesc(ProvRel rel)
{
	if (!cache_valid || !desc_fresh[rel] || descs[rel] == NULL)
	{
		Relation	r = table_open(prov_relid(rel), AccessShareLock);

		prov_check_usable(rel, r);
		if (descs[rel] == NULL || !equalTupleDescs(descs[rel], RelationGetDescr(r)))
		{
			MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);

			descs[rel] = CreateTupleDescCopyConstr(RelationGetDescr(r));
			MemoryContextSwitchTo(old);
		}
		desc_fresh[rel] = true;
		table_close(r, AccessShareLock);
	}
	return descs[rel];
}

Relation
prov_open(ProvRel rel, LOCKMODE lockmode)
{
	Relation	r = table_open(prov_relid(rel), lockmode);

	(void) prov_tupdesc(rel);
	return r;
}

/* ---- writing ---- */

/*
 * May the writers maintain this index? They evaluate no expression and no
 * predicate, but that of merged leaves leaves out rows without a key.
 */
static bool
index_writable(ProvRel which, HeapTuple index)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(index);
	bool		whole;
	Datum		pred = SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indpred, &whole);
	NullTest   *test;

	if (!heap_attisnull(index, Anum_pg_index_indexprs, NULL))
		return false;
	if (whole)
		return true;
	if (which != PROV_MERGED_LEAF || form->indnkeyatts != 1)
		return false;
	test = stringToNode(TextDatumGetCString(pred));
	return IsA(test, NullTest) && test->nulltesttype == IS_NOT_NULL && IsA(test->arg, Var) &&
		((Var *) test->arg)->varattno == form->indkey.values[0];
}

void
prov_check_writable(ProvRel which, Relation rel)
{
	ListCell   *lc;

	if (likely(writable[which]))
		return;
	prov_check_usable(which, rel);
	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tup))
			continue;
		if (((Form_pg_index) GETSTRUCT(tup))->indisready && !index_writable(which, tup))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot write ledger table \"%s\"", RelationGetRelationName(rel)),
					 errdetail("Its index \"%s\" has an expression or a predicate.", get_rel_name(lfirst_oid(lc))),
					 errhint("Drop the index.")));
		ReleaseSysCache(tup);
	}
	writable[which] = true;
}

void
prov_writer_open(ProvWriter *w, ProvRel rel)
{
	w->rel = table_open(prov_relid(rel), RowExclusiveLock);
	prov_check_writable(rel, w->rel);
	w->indexes = CatalogOpenIndexes(w->rel);
}

void
prov_insert(ProvWriter *w, Datum *values, bool *nulls)
{
	HeapTuple	tup = heap_form_tuple(RelationGetDescr(w->rel), values, nulls);

	CatalogTupleInsertWithInfo(w->rel, tup, w->indexes);
	heap_freetuple(tup);
}

void
prov_update(ProvWriter *w, HeapTuple oldtup, Datum *values, bool *nulls)
{
	HeapTuple	tup = heap_form_tuple(RelationGetDescr(w->rel), values, nulls);

	CatalogTupleUpdateWithInfo(w->rel, &oldtup->t_self, tup, w->indexes);
	heap_freetuple(tup);
}

void
prov_delete(ProvWriter *w, HeapTuple tup)
{
	simple_heap_delete(w->rel, &tup->t_self);
}

void
prov_writer_close(ProvWriter *w)
{
	CatalogCloseIndexes(w->indexes);
	table_close(w->rel, NoLock);
}

/* ---- reading ---- */

Snapshot
prov_latest_snapshot(void)
{
	if (IsolationIsSerializable())
		return SnapshotSelf;
	if (IsInParallelMode())
		return GetActiveSnapshot();
	return GetLatestSnapshot();
}

void
prov_key_init(ScanKey key, ProvRel rel, AttrNumber attno, StrategyNumber strategy, Datum value)
{
	static const struct
	{
		Oid			type;
		RegProcedure eq,
					ge,
					lt,
					le;
	}			ops[] = {
		{INT2OID, F_INT2EQ, F_INT2GE, F_INT2LT, F_INT2LE},
		{INT4OID, F_INT4EQ, F_INT4GE, F_INT4LT, F_INT4LE},
		{INT8OID, F_INT8EQ, F_INT8GE, F_INT8LT, F_INT8LE},
		{XID8OID, F_XID8EQ, F_XID8GE, F_XID8LT, F_XID8LE},
		{UUIDOID, F_UUID_EQ, F_UUID_GE, F_UUID_LT, F_UUID_LE},
		{BYTEAOID, F_BYTEAEQ, F_BYTEAGE, F_BYTEALT, F_BYTEALE},
		{TEXTOID, F_TEXTEQ, F_TEXT_GE, F_TEXT_LT, F_TEXT_LE},
	};
	Form_pg_attribute att = TupleDescAttr(prov_tupdesc(rel), attno - 1);
	Oid			type = att->atttypid;
	int			i;

	for (i = 0; i < lengthof(ops); i++)
	{
		if (ops[i].type == type)
		{
			RegProcedure proc = strategy == BTEqualStrategyNumber ? ops[i].eq :
				strategy == BTGreaterEqualStrategyNumber ? ops[i].ge :
				strategy == BTLessEqualStrategyNumber ? ops[i].le : ops[i].lt;

			ScanKeyInit(key, attno, strategy, proc, value);
			key->sk_collation = att->attcollation;	/* the index's, too */
			return;
		}
	}
	elog(ERROR, "no comparison for attribute %d of ledger relation %d", attno, rel);
}

/* Static snapshots need, and stand, no registering. */
static Snapshot
hold_snapshot(Snapshot snapshot)
{
	if (snapshot == NULL)
		snapshot = prov_latest_snapshot();
	return IsMVCCSnapshot(snapshot) ? RegisterSnapshot(snapshot) : snapshot;
}

int64
prov_int64(HeapTuple tup, ProvRel rel, AttrNumber attno)
{
	bool		isnull;
	Datum		d = heap_getattr(tup, attno, prov_tupdesc(rel), &isnull);

	return isnull ? -1 : DatumGetInt64(d);
}

const uint8 *
prov_fixed_bytes(Datum d, bool isnull, Size len)
{
	bytea	   *b = isnull ? NULL : DatumGetByteaPP(d);

	return b != NULL && VARSIZE_ANY_EXHDR(b) == len ? (const uint8 *) VARDATA_ANY(b) : NULL;
}

const uint8 *
prov_bytes(HeapTuple tup, ProvRel rel, AttrNumber attno, Size len)
{
	bool		isnull;
	Datum		d = heap_getattr(tup, attno, prov_tupdesc(rel), &isnull);

	return prov_fixed_bytes(d, isnull, len);
}

void
prov_scan_begin(ProvScan *s, ProvRel rel, Oid index, Snapshot snapshot, int nkeys, ScanKey keys)
{
	s->snapshot = hold_snapshot(snapshot);
	s->rel = prov_open(rel, AccessShareLock);
	s->index = NULL;
	s->scan = systable_beginscan(s->rel, index, OidIsValid(index), s->snapshot, nkeys, keys);
}

void
prov_scan_begin_ordered(ProvScan *s, ProvRel rel, Snapshot snapshot, int nkeys, ScanKey keys)
{
	s->snapshot = hold_snapshot(snapshot);
	s->rel = prov_open(rel, AccessShareLock);
	s->index = index_open(prov_pkey(rel), AccessShareLock);
	s->scan = systable_beginscan_ordered(s->rel, s->index, s->snapshot, nkeys, keys);
}

HeapTuple
prov_scan_next(ProvScan *s, ScanDirection direction)
{
	if (s->index == NULL)
		return systable_getnext(s->scan);
	return systable_getnext_ordered(s->scan, direction);
}

void
prov_scan_end(ProvScan *s)
{
	if (s->index == NULL)
		systable_endscan(s->scan);
	else
	{
		systable_endscan_ordered(s->scan);
		index_close(s->index, AccessShareLock);
	}
	table_close(s->rel, AccessShareLock);
	if (IsMVCCSnapshot(s->snapshot))
		UnregisterSnapshot(s->snapshot);
}

static HeapTuple
fetch_row(ProvRel rel, int nkeys, Datum key1, Datum key2, Snapshot snapshot)
{
	ScanKeyData keys[2];
	ProvScan	scan;
	HeapTuple	tup;

	prov_key_init(&keys[0], rel, rel_defs[rel].key[0], BTEqualStrategyNumber, key1);
	if (nkeys == 2)
		prov_key_init(&keys[1], rel, rel_defs[rel].key[1], BTEqualStrategyNumber, key2);
	prov_scan_begin(&scan, rel, prov_pkey(rel), snapshot, nkeys, keys);
	tup = prov_scan_next(&scan, ForwardScanDirection);
	if (HeapTupleIsValid(tup))
		tup = heap_copytuple(tup);
	prov_scan_end(&scan);
	return tup;
}

HeapTuple
prov_fetch1(ProvRel rel, Datum key1, Snapshot snapshot)
{
	return fetch_row(rel, 1, key1, (Datum) 0, snapshot);
}

HeapTuple
prov_fetch2(ProvRel rel, Datum key1, Datum key2, Snapshot snapshot)
{
	return fetch_row(rel, 2, key1, key2, snapshot);
}
