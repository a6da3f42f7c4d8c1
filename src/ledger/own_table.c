/*-------------------------------------------------------------------------
 *
 * own_table.c
 *	  Rows of the extension's own tagged tables (see own_table.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "ledger/own_table.h"
#include "ledger/record.h"

/* Registry row, shape and `tag` entry, as tag() writes them. */
static void
tag_own(Relation rel, int32 table_id)
{
	Datum		values[N_REG];
	bool		nulls[N_REG] = {false};
	NameData	schema;
	NameData	name;
	ProvWriter	w;
	ProvLayout *layout;
	const char *event[5];
	int32		shape_id;
	bool		is_new;

	namestrcpy(&schema, get_namespace_name(RelationGetNamespace(rel)));
	namestrcpy(&name, RelationGetRelationName(rel));
	values[A_REG_TABLE_ID - 1] = Int32GetDatum(table_id);
	values[A_REG_RELID - 1] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[A_REG_TAGGED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_REG_UNTAGGED_AT - 1] = (Datum) 0;
	nulls[A_REG_UNTAGGED_AT - 1] = true;
	values[A_REG_SCHEMA - 1] = NameGetDatum(&schema);
	values[A_REG_TABLE - 1] = NameGetDatum(&name);
	values[A_REG_MODE - 1] = CStringGetTextDatum("append_only");
	values[A_REG_SUBJECT - 1] = (Datum) 0;
	nulls[A_REG_SUBJECT - 1] = true;
	values[A_REG_EXCLUDE - 1] = PointerGetDatum(construct_empty_array(NAMEOID));
	values[A_REG_COUNTERSIGN - 1] = BoolGetDatum(false);
	prov_writer_open(&w, PROV_REGISTRY);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();

	layout = prov_layout_build(rel, prov_table_by_id(table_id, NULL), CurrentMemoryContext);
	shape_id = prov_layout_shape(layout, &is_new);
	event[0] = NameStr(schema);
	event[1] = NameStr(name);
	event[2] = NULL;
	event[3] = "append_only";
	event[4] = "{}";
	prov_record_event(layout, shape_id, PV_OP_TAG, event);
	prov_layout_free(layout);
	CommandCounterIncrement();
}

struct ProvOwnWriter
{
	Relation	rel;
	ProvTarget	target;
	ProvWriter	rows;
	TupleTableSlot *slot;
	pv_value   *fields;
	pv_value   *key;
};

ProvOwnWriter *
prov_own_open(ProvRel prov_rel, int32 table_id)
{
	ProvOwnWriter *w = palloc(sizeof(ProvOwnWriter));
	bool		tagged = prov_table_by_id(table_id, NULL) != NULL;

	w->rel = table_open(prov_relid(prov_rel), tagged ? RowExclusiveLock : ShareRowExclusiveLock);
	/* under the lock: another session may have been first */
	if (!tagged && prov_table_by_id(table_id, NULL) == NULL)
		tag_own(w->rel, table_id);
	w->target = *prov_target(w->rel, table_id);
	prov_writer_open(&w->rows, prov_rel);
	w->slot = MakeSingleTupleTableSlot(RelationGetDescr(w->rel), &TTSOpsVirtual);
	w->fields = palloc(sizeof(pv_value) * w->target.layout->ncolumns);
	w->key = palloc(sizeof(pv_value) * w->target.layout->nkeys);
	return w;
}

void
prov_own_put(ProvOwnWriter *w, Datum *values, bool *nulls)
{
	int			natts = RelationGetDescr(w->rel)->natts;

	prov_insert(&w->rows, values, nulls);

	ExecClearTuple(w->slot);
	memcpy(w->slot->tts_values, values, natts * sizeof(Datum));
	memcpy(w->slot->tts_isnull, nulls, natts * sizeof(bool));
	ExecStoreVirtualTuple(w->slot);
	prov_row_values(w->target.layout, w->rel->rd_rel->relowner, w->slot, w->fields);
	prov_pick_key(w->target.layout, w->fields, w->key);
	prov_record_row(&w->target, PV_OP_INSERT, w->fields, w->key, PROV_ORDER(GetCurrentCommandId(false), 2));
}

void
prov_own_close(ProvOwnWriter *w)
{
	ExecDropSingleTupleTableSlot(w->slot);
	prov_writer_close(&w->rows);
	table_close(w->rel, NoLock);
	pfree(w->key);
	pfree(w->fields);
	pfree(w);
	CommandCounterIncrement();
}

void
prov_own_insert(ProvRel rel, int32 table_id, Datum *values, bool *nulls)
{
	ProvOwnWriter *w = prov_own_open(rel, table_id);

	prov_own_put(w, values, nulls);
	prov_own_close(w);
}
