/*
 * record.c: recording changes and events as entries (see record.h).
 *
 * Targets are kept per relation in a hash table under CacheMemoryContext and
 * marked stale by relcache invalidation of the relation or its root, by a
 * change of a type that a column has, and by a change of a schema's name. A
 * stale target is rebuilt at its next use; the old layout then lives on to the
 * end of the transaction, for a caller further up who still works with it
 * (output functions of users may change tagged tables). A layout is built
 * completely before it is entered.
 *
 * The shape of a target may have been written by this very transaction, so a
 * target forgets it when the subtransaction that looked it up is rolled back.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "ledger/context.h"
#include "ledger/record.h"
#include "types/types.h"

static HTAB *targets = NULL;
static uint64 generation = 0;	/* counts invalidations of any target */
static bool shapes_looked_up = false;	/* in this transaction */

static void
at_relcache(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	ProvTarget *t;

	generation++;
	hash_seq_init(&scan, targets);
	while ((t = hash_seq_search(&scan)) != NULL)
		if (!OidIsValid(relid) || t->relid == relid || t->layout->root == relid)
			t->valid = false;
}

static void
at_type_change(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS scan;
	ProvTarget *t;
	int			i;

	generation++;
	hash_seq_init(&scan, targets);
	while ((t = hash_seq_search(&scan)) != NULL)
	{
		if (hashvalue == 0)
			t->valid = false;
		for (i = 0; i < t->layout->ntypes && t->valid; i++)
			if (t->layout->type_hashes[i] == hashvalue)
				t->valid = false;
	}
}

static void
at_schema_change(Datum arg, int cacheid, uint32 hashvalue)
{
	at_relcache((Datum) 0, InvalidOid);
}

static void
at_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	HASH_SEQ_STATUS scan;
	ProvTarget *t;

	if (!shapes_looked_up || (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB))
		return;
	hash_seq_init(&scan, targets);
	while ((t = hash_seq_search(&scan)) != NULL)
		if (t->shape_subid == mine)
		{
			t->shape_subid = parent;
			if (event == SUBXACT_EVENT_ABORT_SUB)
				t->shape_id = 0;
		}
}

static void
at_xact(XactEvent event, void *arg)
{
	HASH_SEQ_STATUS scan;
	ProvTarget *t;

	if (!shapes_looked_up ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	shapes_looked_up = false;
	hash_seq_init(&scan, targets);
	while ((t = hash_seq_search(&scan)) != NULL)
		if (t->shape_subid != InvalidSubTransactionId)
		{
			t->shape_subid = InvalidSubTransactionId;
			if (event != XACT_EVENT_COMMIT)
				t->shape_id = 0;
		}
}

static void
make_cache(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(ProvTarget);
	ctl.hcxt = CacheMemoryContext;
	targets = hash_create("provenance targets", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(at_relcache, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, at_type_change, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, at_schema_change, (Datum) 0);
	RegisterXactCallback(at_xact, NULL);
	RegisterSubXactCallback(at_subxact, NULL);
}

int32
prov_layout_shape(const ProvLayout *layout, bool *is_new)
{
	ProvShape  *newest = prov_shape_newest(layout->table_id, NULL);
	int32		id;

	/* a table that has an earlier shape again gets a row, and an entry, again */
	*is_new = newest == NULL || !pv_hash_equal(&newest->digest, &layout->digest);
	if (!*is_new)
		return newest->shape_id;
	id = prov_shape_insert(layout->table_id, layout->definition, layout->definition_len, &layout->digest);
	CommandCounterIncrement();	/* for the table's partitions to find it */
	return id;
}

static ProvTarget *
build_target(Relation rel, int32 table_id)
{
	uint64		before = generation;
	ProvTable  *table = prov_table_by_id(table_id, NULL);
	ProvPhaseMark phase;
	ProvLayout *layout;
	ProvTarget *t;
	bool		found;

	if (table == NULL || !TIMESTAMP_IS_NOBEGIN(table->untagged_at))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged", RelationGetRelationName(rel)),
				 errdetail("The ledger has no tagged table with the id %d.", table_id),
				 table == NULL ? errhint("If this loads a dump's data: have it disable the triggers (pg_restore --data-only --disable-triggers).") : 0));
	layout = prov_layout_build(rel, table, CurrentMemoryContext);

	/* after a restore the OID differs, after a rename the name */
	if (table->relid != layout->root &&
		(strcmp(table->schema, layout->schema) != 0 || strcmp(table->table, layout->table) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not tagged", RelationGetRelationName(rel)),
				 errdetail("The id %d is that of table \"%s.%s\".", table_id, table->schema, table->table)));

	prov_phase_mark(table_id, &phase);
	t = hash_search(targets, &layout->relid, HASH_ENTER, &found);
	if (found)
		MemoryContextSetParent(t->layout->cxt, TopTransactionContext);
	MemoryContextSetParent(layout->cxt, CacheMemoryContext);
	t->layout = layout;
	t->append_only = table->append_only;
	t->phase = phase;
	t->shape_id = 0;
	t->shape_subid = InvalidSubTransactionId;
	t->valid = before == generation;
	return t;
}

ProvTarget *
prov_target(Relation rel, int32 table_id)
{
	Oid			relid = RelationGetRelid(rel);
	ProvTarget *t;

	if (unlikely(targets == NULL))
		make_cache();

	t = hash_search(targets, &relid, HASH_FIND, NULL);
	if (t == NULL || !t->valid || t->layout->table_id != table_id)
		t = build_target(rel, table_id);
	if (t->shape_id == 0)
	{
		bool		is_new;

		shapes_looked_up = true;
		t->shape_subid = GetCurrentSubTransactionId();
		t->shape_id = prov_layout_shape(t->layout, &is_new);
		if (is_new)
		{
			const char *values[3];
			char		hex[2 * PV_HASH_LEN + 1];
			pv_buf		b;

			pv_buf_init(&b, hex, sizeof(hex));
			pv_put_hex(&b, t->layout->digest.b, PV_HASH_LEN);
			hex[2 * PV_HASH_LEN] = '\0';
			values[0] = t->layout->schema;
			values[1] = t->layout->table;
			values[2] = hex;
			prov_record_event(t->layout, t->shape_id, PV_OP_SCHEMA, values);
		}
	}
	return t;
}

/* Commits to the values and appends the entry. */
static void
append(const ProvLayout *layout, int32 shape_id, int op, const pv_name *names, const pv_value *values, int n,
	   const pv_value *key, int nkeys, int64 order_number)
{
	const ProvContextRef *context = prov_current_context();
	ProvEntry	entry;
	uint8		few_salts[33 * PV_SALT_LEN];
	uint8	   *salts = (n + 1) * PV_SALT_LEN <= sizeof(few_salts) ? few_salts : palloc((n + 1) * PV_SALT_LEN);

	entry.changed_at = GetCurrentTimestamp();
	entry.order_number = order_number;
	entry.context_id = context->id;
	entry.table_id = layout->table_id;
	entry.shape_id = shape_id;
	entry.op = op;
	entry.erased = false;
	prov_layout_row_id(layout, key, nkeys, entry.row_id);
	prov_random_seed(entry.seed);
	prov_check(pv_commit_record(prov_hasher(), prov_salter(), &layout->digest, &context->commitment,
								entry.seed, names, values, n, salts, NULL, &entry.commitment));
	entry.image = prov_make_image(values, n, &entry.image_len);
	prov_entry_append(&entry);
	prov_remember_commitment(&entry.commitment);
	pfree(entry.image);
	if (salts != few_salts)
		pfree(salts);
}

void
prov_record_row(const ProvTarget *target, int op, const pv_value *values, const pv_value *key, int64 order_number)
{
	const ProvLayout *layout = target->layout;

	if (op == PV_OP_DELETE)
		append(layout, target->shape_id, op, layout->key_names, values, layout->nkeys,
			   key, layout->nkeys, order_number);
	else
		append(layout, target->shape_id, op, layout->names, values, layout->ncolumns,
			   key, layout->nkeys, order_number);
}

bool
prov_needs_candidate(const ProvTarget *target, HeapTuple old)
{
	const ProvPhaseMark *phase = &target->phase;

	if (likely(!phase->running))
		return false;
	if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(old->t_data)))
		return true;
	return TransactionIdIsCurrentTransactionId(phase->xid) && HeapTupleHeaderGetCmin(old->t_data) < phase->cid;
}

void
prov_record_candidate(const ProvTarget *target, Oid owner, TupleTableSlot *slot, CommandId cid)
{
	ProvLayout *layout = target->layout;
	pv_value   *values = palloc(sizeof(pv_value) * layout->ncolumns);
	pv_value   *key = palloc(sizeof(pv_value) * layout->nkeys);

	prov_row_values(layout, owner, slot, values);
	prov_pick_key(layout, values, key);
	prov_record_row(target, PV_OP_BASELINE, values, key, PROV_ORDER_CANDIDATE(cid));
}

void
prov_record_event(const ProvLayout *layout, int32 shape_id, int op, const char *const *values)
{
	size_t		n;
	const pv_name *names = pv_op_fields(op, &n);
	pv_value	fields[8];
	size_t		i;

	Assert(names != NULL && n <= lengthof(fields));
	for (i = 0; i < n; i++)
	{
		fields[i].data = NULL;
		fields[i].len = 0;
		if (values[i] != NULL)
			fields[i] = prov_utf8_value(values[i]);
	}
	append(layout, shape_id, op, names, fields, n, NULL, 0,
		   PROV_ORDER(GetCurrentCommandId(false), op == PV_OP_TRUNCATE ? 1 : 2));
}

int64
prov_record_rows(Relation rel, int32 table_id, int op)
{
	ProvTarget	target = *prov_target(rel, table_id);
	Oid			owner = rel->rd_rel->relowner;
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "provenance row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	CommandId	cid = GetCurrentCommandId(false);
	int64		order_number = PROV_ORDER(cid, op == PV_OP_DELETE ? 1 : 2);
	int64		n = 0;

	old = MemoryContextSwitchTo(row);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		pv_value   *values = palloc(sizeof(pv_value) * target.layout->ncolumns);
		pv_value   *key = palloc(sizeof(pv_value) * target.layout->nkeys);

		CHECK_FOR_INTERRUPTS();
		if (op == PV_OP_DELETE)
		{
			if (target.phase.running && prov_needs_candidate(&target, ExecFetchSlotHeapTuple(slot, false, NULL)))
				prov_record_candidate(&target, owner, slot, cid);
			prov_key_values(target.layout, owner, slot, key);
			prov_record_row(&target, op, key, key, order_number);
		}
		else
		{
			prov_row_values(target.layout, owner, slot, values);
			prov_pick_key(target.layout, values, key);
			prov_record_row(&target, op, values, key, order_number);
		}
		n++;
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);

	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(row);
	return n;
}
