/*-------------------------------------------------------------------------
 *
 * order.c
 *	  The entries not yet in the log, in the order that the log gives them.
 *
 * The order is: transactions by the greatest seq of each; within a transaction
 * by order number, then by seq. For every row this is the order of its
 * versions, which the chain of its leaves has to follow. Why:
 *
 * Between transactions. A transaction that ends or replaces a version made by
 * another one does so after the other's commit (or the lock, or the unique
 * index, makes it wait for that). seq is drawn while the row's lock is held,
 * after that wait; so the later transaction's entry for this row has a seq
 * greater than every seq of the earlier transaction, which drew its last one
 * before it committed. Hence greatest seq against greatest seq decides
 * rightly, for each row that both touched. Deferrable keys would break this
 * (a second row of a key may be written, and its seq drawn, before the first
 * one's deletion commits) and are refused when a table is tagged.
 *
 * Within a transaction, for the changes that end a version (update, delete,
 * the delete half of a key change): their order numbers are (c, 1), c being
 * the command that ended the version. For one key these c rise: a command
 * cannot end a version that it does not see, it sees none made by itself or
 * later, and had it seen two of one key, uniqueness would be broken. The append
 * uses up the command id, so two commands that capture anything never share
 * one.
 *
 * Births are what is displaced. An INSERT takes its command id when it starts;
 * a BEFORE trigger of it, or a function in its SELECT, may run commands with
 * greater ids that delete the row of that very key, and the INSERT then writes
 * its row under the old, smaller id. Neither that id nor the order of the
 * triggers' firing is version order. But a birth's place is fixed by what ends
 * it: if the version had already been ended by command c of this transaction
 * when the trigger fired, the birth's order number is (c, 0), just before its
 * end (c, 1). If it was alive, everything that ended earlier versions of this
 * key is over, and was a command not greater than the one current when the
 * trigger fires; what ends this version will be greater. So (current, 2) puts
 * it after the former and before the latter. Two births of one key have an end
 * between them, hence different order numbers.
 *
 * Candidate baselines (candidate.h) of capture come right before everything of
 * their command; those of the worker stand where its transaction does.
 *
 * Which entries. The sealer keeps the pg_snapshot S of its last batch; an entry
 * waits if it is visible now and its transaction was not over in S, that is, it
 * stands in S's list of running ones or is not below S's xmax. Both are ranges
 * of the primary key (xid, seq), read backwards so that the first row met of a
 * transaction has its greatest seq. A transaction may already be running, with
 * seqs drawn, and yet not be below xmax or in the list: it is in the second
 * range, and found when it commits. Transactions that the present snapshot
 * holds to be running are left out of the ranges, or the uncommitted rows of a
 * long one would be walked over each second.
 *
 * Another cluster's entries. After a restore the xids in the table are another
 * cluster's and S means nothing (system identifier or database OID differ from
 * those stored). Then, once, an entry waits if no seq_block holds its seq. And
 * one thing must not happen later: that such a foreign xid comes to be "not
 * over in S, visible now" when this cluster's counter passes it. A visible
 * entry whose transaction is not over according to the snapshot can only be a
 * foreign one; the greatest seq of all these is stored as the floor, at and
 * below which nothing is ever a candidate again. This cluster's own entries
 * have greater seqs, the sequence having been restored too, even those of
 * transactions still open at the fresh start. Foreign entries that were not
 * sealed might share an xid with a transaction of this cluster and must not be
 * sorted as one with it: those that COPY restored have one xmin, which is also
 * that of the sealed ones, and are grouped apart.
 *
 * Memory: the sort's, work_mem (a worker's: maintenance_work_mem).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"
#include "utils/xid8.h"

#include "compat.h"
#include "ledger/candidate.h"
#include "ledger/log.h"
#include "ledger/order.h"

/* Columns of the sort: the order, then the entry without its image. */
enum
{
	S_GREATEST, S_ORDER, S_SEQ, S_ENTRY, S_NCOLUMNS
};

typedef struct PackedEntry
{
	char		vl_len_[4];
	int32		table_id;
	FullTransactionId xid;
	TimestampTz changed_at;
	int64		context_id;
	int32		shape_id;
	int16		op;
	bool		erased;
	uint8		row_id[PV_ROW_ID_LEN];
	uint8		seed[PV_SEED_LEN];
	pv_hash		commitment;
} PackedEntry;

struct ProvUnsealedScan
{
	MemoryContext context;
	ProvSealState state;
	int64		floor;
	const uint8 *row_id;		/* of rows only this one; NULL: all */
	ProvCandidates *candidates; /* NULL: they are not told apart */
	Tuplesortstate *sort;
	TupleTableSlot *put;
	TupleTableSlot *get;
};

/* ---- the state of the last batch ---- */

/* "xmin:xmax:xip,xip,…", the output of type pg_snapshot */
static void
read_snapshot(Datum d, ProvSealState *out)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, d));
	char	   *p = strchr(text, ':');
	int			n = 1;
	char	   *c;

	if (p == NULL)
		elog(ERROR, "malformed pg_snapshot \"%s\"", text);
	out->xmax = FullTransactionIdFromU64(strtoull(p + 1, &p, 10));
	for (c = p; *c != '\0'; c++)
		n += *c == ',';
	out->xip = palloc(sizeof(FullTransactionId) * n);
	while (*p != '\0' && p[1] != '\0')
		out->xip[out->nxip++] = FullTransactionIdFromU64(strtoull(p + 1, &p, 10));
	pfree(text);
}

void
prov_seal_state(Snapshot snapshot, ProvSealState *out)
{
	HeapTuple	tup = prov_fetch1(PROV_SEAL_STATE, Int32GetDatum(1), snapshot);
	Datum		values[N_SEAL];
	bool		nulls[N_SEAL];
	int			i;

	memset(out, 0, sizeof(*out));
	out->floor = -1;
	if (!HeapTupleIsValid(tup))
		return;
	heap_deform_tuple(tup, prov_tupdesc(PROV_SEAL_STATE), values, nulls);
	for (i = 0; i < N_SEAL; i++)
		if (nulls[i] && i != A_SEAL_AT - 1)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the state of the sealer is malformed"),
					 errdetail("Column %d of table \"seal_state\" is null.", i + 1)));
	out->exists = true;
	out->tid = tup->t_self;
	out->database_oid = DatumGetObjectId(values[A_SEAL_DATABASE - 1]);
	out->system_identifier = (uint64) DatumGetInt64(values[A_SEAL_SYSTEM - 1]);
	out->log_size = DatumGetInt64(values[A_SEAL_SIZE - 1]);
	out->floor = DatumGetInt64(values[A_SEAL_FLOOR - 1]);
	read_snapshot(values[A_SEAL_SNAPSHOT - 1], out);
	heap_freetuple(tup);
}

/* ---- candidates ---- */

static int
compare_xid(const void *a, const void *b)
{
	uint64		x = U64FromFullTransactionId(*(const FullTransactionId *) a);
	uint64		y = U64FromFullTransactionId(*(const FullTransactionId *) b);

	return x < y ? -1 : x > y;
}

/* The full form of a 32-bit xid that is not after next. */
static FullTransactionId
widen(TransactionId xid, FullTransactionId next)
{
	uint32		behind = XidFromFullTransactionId(next) - xid;

	return FullTransactionIdFromU64(U64FromFullTransactionId(next) - behind);
}

bool
prov_xid_over(FullTransactionId xid, Snapshot snapshot)
{
	FullTransactionId next = ReadNextFullTransactionId();
	TransactionId narrow = XidFromFullTransactionId(xid);

	if (!FullTransactionIdPrecedes(xid, next))
		return false;
	if (U64FromFullTransactionId(next) - U64FromFullTransactionId(xid) >= PG_INT32_MAX)
		return true;
	if (!TransactionIdIsNormal(narrow) || !IsMVCCSnapshot(snapshot) ||
		TransactionIdIsCurrentTransactionId(narrow))
		return true;
	return !XidInMVCCSnapshot(narrow, snapshot);
}

/* Visits the visible entries with from <= xid < until; false to stop. */
static bool
visit_range(FullTransactionId from, FullTransactionId until, int64 floor, Snapshot snapshot,
			ProvVisit visit, void *arg)
{
	TupleDesc	desc = prov_tupdesc(PROV_ENTRY);
	FullTransactionId current = InvalidFullTransactionId;
	int64		greatest = 0;
	ScanKeyData keys[2];
	ProvScan	scan;
	HeapTuple	tup;
	bool		go_on = true;

	if (!FullTransactionIdPrecedes(from, until))
		return true;
	prov_key_init(&keys[0], PROV_ENTRY, A_ENTRY_XID, BTGreaterEqualStrategyNumber, FullTransactionIdGetDatum(from));
	prov_key_init(&keys[1], PROV_ENTRY, A_ENTRY_XID, BTLessStrategyNumber, FullTransactionIdGetDatum(until));
	prov_scan_begin_ordered(&scan, PROV_ENTRY, snapshot, 2, keys);
	while (go_on && HeapTupleIsValid(tup = prov_scan_next(&scan, BackwardScanDirection)))
	{
		bool		isnull;
		FullTransactionId xid = DatumGetFullTransactionId(heap_getattr(tup, A_ENTRY_XID, desc, &isnull));
		int64		seq = DatumGetInt64(heap_getattr(tup, A_ENTRY_SEQ, desc, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (seq <= floor)
			continue;
		if (!FullTransactionIdEquals(xid, current))
		{
			current = xid;
			greatest = seq;
		}
		go_on = visit(arg, tup, desc, greatest);
	}
	prov_scan_end(&scan);
	return go_on;
}

static FullTransactionId
after(FullTransactionId xid)
{
	FullTransactionIdAdvance(&xid);
	return xid;
}

/* The ordinary case: by the snapshot of the last batch. */
static void
visit_since(const ProvSealState *state, Snapshot snapshot, ProvVisit visit, void *arg)
{
	FullTransactionId next = ReadNextFullTransactionId();
	FullTransactionId from = state->xmax;
	FullTransactionId own = GetTopFullTransactionIdIfAny();
	FullTransactionId *running;
	int			nrunning = 0;
	int			i;

	for (i = 0; i < state->nxip; i++)
		if (prov_xid_over(state->xip[i], snapshot) &&
			!visit_range(state->xip[i], after(state->xip[i]), state->floor, snapshot, visit, arg))
			return;

	/*
	 * A snapshot taken during recovery keeps its transactions elsewhere, mixed
	 * with subtransactions; a standby then reads the whole range.
	 */
	if (!IsMVCCSnapshot(snapshot) || snapshot->takenDuringRecovery)
	{
		visit_range(from, next, state->floor, snapshot, visit, arg);
		return;
	}

	running = palloc(sizeof(FullTransactionId) * (snapshot->xcnt + 1));
	for (i = 0; i < snapshot->xcnt; i++)
	{
		FullTransactionId xid = widen(snapshot->xip[i], next);

		if (!FullTransactionIdPrecedes(xid, from))
			running[nrunning++] = xid;
	}
	/* what began after the snapshot was taken ends the last range */
	running[nrunning++] = widen(snapshot->xmax, next);
	qsort(running, nrunning, sizeof(FullTransactionId), compare_xid);
	for (i = 0; i < nrunning; i++)
	{
		if (!visit_range(from, running[i], state->floor, snapshot, visit, arg))
			return;
		from = after(running[i]);
	}
	/* a reader's own changes */
	if (FullTransactionIdIsValid(own) && !FullTransactionIdPrecedes(own, running[nrunning - 1]))
		visit_range(own, after(own), state->floor, snapshot, visit, arg);
	pfree(running);
}

bool
prov_fresh_start(const ProvSealState *state)
{
	return !state->exists || state->database_oid != MyDatabaseId ||
		state->system_identifier != GetSystemIdentifier();
}

/* Returns the floor to store with the batch. */
static int64
visit_unsealed(const ProvSealState *state, Snapshot snapshot, ProvVisit visit, void *arg)
{
	if (prov_fresh_start(state))
		return prov_visit_unmapped(state, snapshot, visit, arg);
	visit_since(state, snapshot, visit, arg);
	return state->floor;
}

/* ---- the sorted scan ---- */

int
prov_sort_memory(void)
{
	return MyBgworkerEntry != NULL ? maintenance_work_mem : work_mem;
}

static bool
put_entry(void *arg, HeapTuple tup, TupleDesc desc, int64 greatest)
{
	ProvUnsealedScan *scan = arg;
	TupleTableSlot *slot = scan->put;
	ProvEntry	e;
	PackedEntry p;

	prov_entry_from_tuple(tup, desc, false, &e);
	if (scan->row_id != NULL && e.op >= 0 && pv_op_is_row(e.op) && memcmp(e.row_id, scan->row_id, PV_ROW_ID_LEN) != 0)
		return true;
	SET_VARSIZE(&p, sizeof(p));
	p.table_id = e.table_id;
	p.xid = e.xid;
	p.changed_at = e.changed_at;
	p.context_id = e.context_id;
	p.shape_id = e.shape_id;
	p.op = (int16) e.op;
	p.erased = e.erased;
	memcpy(p.row_id, e.row_id, PV_ROW_ID_LEN);
	memcpy(p.seed, e.seed, PV_SEED_LEN);
	p.commitment = e.commitment;
	if (scan->candidates != NULL && PROV_IS_CANDIDATE(&e))
		prov_candidates_add(scan->candidates, &e);

	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, S_NCOLUMNS * sizeof(bool));
	slot->tts_values[S_GREATEST] = Int64GetDatum(greatest);
	slot->tts_values[S_ORDER] = Int64GetDatum(e.order_number);
	slot->tts_values[S_SEQ] = Int64GetDatum(e.seq);
	slot->tts_values[S_ENTRY] = PointerGetDatum(&p);
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(scan->sort, slot);
	return true;
}

Tuplesortstate *
prov_sort_begin(TupleDesc desc, int nkeys)
{
	AttrNumber	attnos[3] = {1, 2, 3};
	Oid			operators[3] = {Int8LessOperator, Int8LessOperator, Int8LessOperator};
	Oid			collations[3] = {InvalidOid, InvalidOid, InvalidOid};
	bool		nulls_first[3] = {false, false, false};

	Assert(nkeys <= 3);
	return tuplesort_begin_heap(desc, nkeys, attnos, operators, collations, nulls_first,
								prov_sort_memory(), NULL, TUPLESORT_NONE);
}

/*
 * A sort whose result is read backwards. Entries come out of the primary key
 * in descending order (visit_range), so that those of one transaction, which a
 * bulk statement makes many, are in order as they come: the sort notices, and
 * compares each with its neighbour only.
 */
static Tuplesortstate *
sort_begin_reverse(TupleDesc desc)
{
	Oid			greater = lookup_type_cache(INT8OID, TYPECACHE_GT_OPR)->gt_opr;
	AttrNumber	attnos[3] = {1, 2, 3};
	Oid			operators[3] = {greater, greater, greater};
	Oid			collations[3] = {InvalidOid, InvalidOid, InvalidOid};
	bool		nulls_first[3] = {false, false, false};

	return tuplesort_begin_heap(desc, 3, attnos, operators, collations, nulls_first,
								prov_sort_memory(), NULL, TUPLESORT_RANDOMACCESS);
}

static ProvUnsealedScan *
open_scan(Snapshot snapshot, bool all, const uint8 *row_id)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "provenance unsealed",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ProvUnsealedScan *scan = palloc0(sizeof(ProvUnsealedScan));
	TupleDesc	desc = CreateTemplateTupleDesc(S_NCOLUMNS);

	if (snapshot == NULL)
		snapshot = prov_latest_snapshot();
	if (IsMVCCSnapshot(snapshot))
		snapshot = RegisterSnapshot(snapshot);

	scan->context = context;
	scan->row_id = row_id;
	if (!all)
		scan->candidates = prov_candidates_begin();
	prov_seal_state(snapshot, &scan->state);
	TupleDescInitEntry(desc, S_GREATEST + 1, "greatest", INT8OID, -1, 0);
	TupleDescInitEntry(desc, S_ORDER + 1, "order", INT8OID, -1, 0);
	TupleDescInitEntry(desc, S_SEQ + 1, "seq", INT8OID, -1, 0);
	TupleDescInitEntry(desc, S_ENTRY + 1, "entry", BYTEAOID, -1, 0);
	scan->put = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	scan->get = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	scan->sort = sort_begin_reverse(desc);
	scan->floor = visit_unsealed(&scan->state, snapshot, put_entry, scan);
	tuplesort_performsort(scan->sort);
	/* to the end, from where it is read backwards */
	while (tuplesort_skiptuples(scan->sort, PG_INT32_MAX, true))
		;
	if (!all)
		prov_candidates_load(scan->candidates, snapshot);

	if (IsMVCCSnapshot(snapshot))
		UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(old);
	return scan;
}

ProvUnsealedScan *
prov_unsealed_open(Snapshot snapshot)
{
	return open_scan(snapshot, false, NULL);
}

ProvUnsealedScan *
prov_unsealed_open_all(Snapshot snapshot)
{
	return open_scan(snapshot, true, NULL);
}

ProvUnsealedScan *
prov_unsealed_open_row(Snapshot snapshot, const uint8 row_id[PV_ROW_ID_LEN])
{
	return open_scan(snapshot, false, row_id);
}

static bool
next_entry(ProvUnsealedScan *scan, ProvEntry *out)
{
	struct varlena *v;
	PackedEntry p;

	if (!tuplesort_gettupleslot(scan->sort, false, false, scan->get, NULL))
		return false;
	slot_getallattrs(scan->get);
	v = (struct varlena *) DatumGetPointer(scan->get->tts_values[S_ENTRY]);
	memset(out, 0, sizeof(*out));
	memcpy((char *) &p + VARHDRSZ, VARDATA_ANY(v), sizeof(p) - VARHDRSZ);
	out->xid = p.xid;
	out->seq = DatumGetInt64(scan->get->tts_values[S_SEQ]);
	out->changed_at = p.changed_at;
	out->order_number = DatumGetInt64(scan->get->tts_values[S_ORDER]);
	out->context_id = p.context_id;
	out->table_id = p.table_id;
	out->shape_id = p.shape_id;
	out->op = p.op;
	out->erased = p.erased;
	memcpy(out->row_id, p.row_id, PV_ROW_ID_LEN);
	memcpy(out->seed, p.seed, PV_SEED_LEN);
	out->commitment = p.commitment;
	return true;
}

bool
prov_unsealed_next(ProvUnsealedScan *scan, ProvEntry *out)
{
	while (next_entry(scan, out))
		if (scan->candidates == NULL || prov_candidates_pass(scan->candidates, out))
			return true;
	return false;
}

void
prov_unsealed_close(ProvUnsealedScan *scan)
{
	tuplesort_end(scan->sort);
	ExecDropSingleTupleTableSlot(scan->put);
	ExecDropSingleTupleTableSlot(scan->get);
	MemoryContextDelete(scan->context);
}

const ProvSealState *
prov_unsealed_state(ProvUnsealedScan *scan)
{
	return &scan->state;
}

int64
prov_unsealed_floor(ProvUnsealedScan *scan)
{
	return scan->floor;
}

/* ---- without the order ---- */

typedef struct Search
{
	int64		cap;
	int64		count;
	TimestampTz oldest;
	int64		seq;
	bool		want_image;
	bool		found;
	ProvEntry  *out;
} Search;

static bool
count_entry(void *arg, HeapTuple tup, TupleDesc desc, int64 greatest)
{
	Search	   *s = arg;
	bool		isnull;
	TimestampTz t = DatumGetTimestampTz(heap_getattr(tup, A_ENTRY_CHANGED_AT, desc, &isnull));

	if (s->count == 0 || t < s->oldest)
		s->oldest = t;
	s->count++;
	return s->count < s->cap;
}

static bool
find_entry(void *arg, HeapTuple tup, TupleDesc desc, int64 greatest)
{
	Search	   *s = arg;
	bool		isnull;

	if (DatumGetInt64(heap_getattr(tup, A_ENTRY_SEQ, desc, &isnull)) != s->seq)
		return true;
	prov_entry_from_tuple(tup, desc, s->want_image, s->out);
	s->found = true;
	return false;
}

static void
search(Snapshot snapshot, ProvVisit visit, Search *s)
{
	ProvSealState state;

	if (snapshot == NULL)
		snapshot = prov_latest_snapshot();
	if (IsMVCCSnapshot(snapshot))
		snapshot = RegisterSnapshot(snapshot);
	prov_seal_state(snapshot, &state);
	visit_unsealed(&state, snapshot, visit, s);
	if (IsMVCCSnapshot(snapshot))
		UnregisterSnapshot(snapshot);
}

int64
prov_unsealed_count(Snapshot snapshot, int64 cap, TimestampTz *oldest)
{
	Search		s = {0};

	s.cap = cap;
	search(snapshot, count_entry, &s);
	if (oldest != NULL)
		*oldest = s.oldest;
	return s.count;
}

bool
prov_unsealed_find(Snapshot snapshot, int64 seq, bool want_image, ProvEntry *out)
{
	Search		s = {0};

	s.seq = seq;
	s.want_image = want_image;
	s.out = out;
	search(snapshot, find_entry, &s);
	return s.found;
}
