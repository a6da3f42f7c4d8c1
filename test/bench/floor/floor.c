/*
 * floor.c: the least that a trigger can do which keeps a record of a change.
 *
 * An AFTER ROW trigger in C that appends one row of the same columns and bytes
 * as an entry of the ledger to a table without any index: no text, no hash, no
 * order, no random bytes. What a candidate costs beyond this is its own; what
 * this costs beyond an untagged table, nobody who records changes can save.
 *
 * Trigger arguments: the table to append to, the number of bytes of an image.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/varlena.h"

#include "compat.h"

PG_MODULE_MAGIC;

#define FLOOR_COLUMNS 12
#define FLOOR_HASH 32
#define FLOOR_MAX_IMAGE 16384

PG_FUNCTION_INFO_V1(floor_append);

/* Looked up at the first change of a session. */
static Oid	floor_relid = InvalidOid;

Datum
floor_append(PG_FUNCTION_ARGS)
{
	static int64 number = 0;
	static union
	{
		char		bytes[VARHDRSZ + FLOOR_MAX_IMAGE];
	}			image;
	static union
	{
		struct varlena header;
		char		bytes[VARHDRSZ + FLOOR_HASH];
	}			hash;
	static pg_uuid_t uuid;
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	row;
	HeapTuple	tuple;
	Relation	rel;
	Datum		values[FLOOR_COLUMNS];
	bool		nulls[FLOOR_COLUMNS] = {0};
	Size		len;
	int			image_len;
	char	  **args;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "floor_append is a trigger function");
	args = trigger->tg_trigger->tgargs;
	if (!OidIsValid(floor_relid))
		floor_relid = RangeVarGetRelid(makeRangeVarFromNameList(
										   textToQualifiedNameList(cstring_to_text(args[0]))),
									   AccessShareLock, false);
	image_len = Min(atoi(args[1]), FLOOR_MAX_IMAGE);

	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	/* Bytes that are the row's own, or TOAST would make nothing of them. */
	if (HeapTupleHasExternal(row))
		row = toast_flatten_tuple(row, RelationGetDescr(trigger->tg_relation));
	len = Min(row->t_len - row->t_data->t_hoff, (uint32) image_len);
	SET_VARSIZE(&image, VARHDRSZ + image_len);
	memcpy(image.bytes + VARHDRSZ, (char *) row->t_data + row->t_data->t_hoff, len);
	SET_VARSIZE(&hash, VARHDRSZ + FLOOR_HASH - 1);	/* 32 with its short header */
	number++;

	values[0] = Int64GetDatum((int64) GetTopTransactionId());
	values[1] = Int64GetDatum(number);
	values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[3] = Int64GetDatum((int64) GetCurrentCommandId(true));
	values[4] = Int64GetDatum(1);
	values[5] = Int32GetDatum(1);
	values[6] = Int32GetDatum(1);
	values[7] = Int16GetDatum(2);
	values[8] = UUIDPGetDatum(&uuid);
	values[9] = PointerGetDatum(&hash);
	values[10] = UUIDPGetDatum(&uuid);
	values[11] = PointerGetDatum(&image);

	rel = table_open(floor_relid, RowExclusiveLock);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	heap_insert(rel, tuple, GetCurrentCommandId(true), 0, NULL);
	heap_freetuple(tuple);
	table_close(rel, NoLock);

	return PointerGetDatum(NULL);
}
