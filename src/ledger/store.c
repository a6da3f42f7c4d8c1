/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The log's identity, the registry of tables, shapes and contexts as C
 *	  structures. Entries are in entry.c.
 *
 * Tables are known to the ledger by an id of its own; the OID in the registry
 * is a cache that pg_restore makes stale. Whoever comes with an OID is
 * therefore answered by OID and name together, see match_table().
 *
 * What is fetched is palloc'd in the current memory context. Column values
 * that the definition forbids to be null are read defensively all the same:
 * whoever can edit the ledger can drop a constraint, and verification has to
 * survive that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "ledger/store.h"
#include "types/types.h"

/* A row taken apart; missing or null values read as zero. */
typedef struct Row
{
	Datum		values[N_ENTRY];
	bool		nulls[N_ENTRY];
} Row;

static void
deform(HeapTuple tup, ProvRel rel, Row *row)
{
	TupleDesc	desc = prov_tupdesc(rel);

	if (desc->natts > N_ENTRY)
		elog(ERROR, "ledger relation %d has %d columns", rel, desc->natts);
	heap_deform_tuple(tup, desc, row->values, row->nulls);
}

static int32
row_int32(const Row *row, int attno)
{
	return row->nulls[attno - 1] ? 0 : DatumGetInt32(row->values[attno - 1]);
}

static char *
row_text(const Row *row, int attno)
{
	return row->nulls[attno - 1] ? pstrdup("") : TextDatumGetCString(row->values[attno - 1]);
}

static void
row_hash(const Row *row, int attno, pv_hash *out)
{
	if (row->nulls[attno - 1])
		memset(out, 0, sizeof(*out));
	else
		*out = *DatumGetHashP(row->values[attno - 1]);
}

/* A copy of a bytea; NULL and 0 if it is null. */
static uint8 *
row_bytes(const Row *row, int attno, Size *len)
{
	struct varlena *v;
	uint8	   *copy;

	*len = 0;
	if (row->nulls[attno - 1])
		return NULL;
	v = PG_DETOAST_DATUM_PACKED(row->values[attno - 1]);
	*len = VARSIZE_ANY_EXHDR(v);
	copy = palloc(*len + 1);
	memcpy(copy, VARDATA_ANY(v), *len);
	if ((Pointer) v != DatumGetPointer(row->values[attno - 1]))
		pfree(v);
	return copy;
}

/* ---- identity ---- */

ProvIdentity *
prov_identity(bool missing_ok)
{
	HeapTuple	tup = prov_fetch1(PROV_LOG_IDENTITY, Int32GetDatum(1), NULL);
	ProvIdentity *id;
	Row			row;
	uint8	   *key;
	Size		len;

	if (!HeapTupleIsValid(tup))
	{
		if (missing_ok)
			return NULL;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database has no log yet"),
				 errhint("Call provenance.setup(origin) first.")));
	}

	deform(tup, PROV_LOG_IDENTITY, &row);
	id = palloc0(sizeof(ProvIdentity));
	id->origin = row_text(&row, A_IDENT_ORIGIN);
	id->incarnation = row_int32(&row, A_IDENT_INCARNATION);
	id->full_origin = id->incarnation > 1 ?
		psprintf("%s/%d", id->origin, id->incarnation) : pstrdup(id->origin);
	id->state_directory = row_text(&row, A_IDENT_STATE_DIRECTORY);
	id->xmin = HeapTupleHeaderGetXmin(tup->t_data);

	key = row_bytes(&row, A_IDENT_ROW_KEY, &len);
	if (key == NULL || len != PV_ROW_KEY_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the row key of the log's identity is malformed"),
				 errdetail("It has %zu bytes instead of %d.", len, PV_ROW_KEY_LEN)));
	memcpy(id->row_key, key, PV_ROW_KEY_LEN);
	pfree(key);
	heap_freetuple(tup);
	return id;
}

/* ---- registry ---- */

static ProvTable *
table_from_tuple(HeapTuple tup)
{
	ProvTable  *t = palloc0(sizeof(ProvTable));
	Row			row;

	deform(tup, PROV_REGISTRY, &row);
	t->table_id = row_int32(&row, A_REG_TABLE_ID);
	t->relid = row.nulls[A_REG_RELID - 1] ? InvalidOid : DatumGetObjectId(row.values[A_REG_RELID - 1]);
	t->schema = row.nulls[A_REG_SCHEMA - 1] ? pstrdup("") :
		pstrdup(NameStr(*DatumGetName(row.values[A_REG_SCHEMA - 1])));
	t->table = row.nulls[A_REG_TABLE - 1] ? pstrdup("") :
		pstrdup(NameStr(*DatumGetName(row.values[A_REG_TABLE - 1])));
	t->append_only = strcmp(row_text(&row, A_REG_MODE), "append_only") == 0;
	t->subject = row.nulls[A_REG_SUBJECT - 1] ? NULL : row_text(&row, A_REG_SUBJECT);
	t->tagged_at = row.nulls[A_REG_TAGGED_AT - 1] ? 0 : DatumGetTimestampTz(row.values[A_REG_TAGGED_AT - 1]);
	if (row.nulls[A_REG_UNTAGGED_AT - 1])
		TIMESTAMP_NOBEGIN(t->untagged_at);
	else
		t->untagged_at = DatumGetTimestampTz(row.values[A_REG_UNTAGGED_AT - 1]);
	t->require_countersignature = !row.nulls[A_REG_COUNTERSIGN - 1] && DatumGetBool(row.values[A_REG_COUNTERSIGN - 1]);

	if (!row.nulls[A_REG_EXCLUDE - 1])
	{
		ArrayType  *array = DatumGetArrayTypeP(row.values[A_REG_EXCLUDE - 1]);
		Datum	   *elems;
		bool	   *nulls;
		int			n;
		int			i;

		deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elems, &nulls, &n);
		t->exclude = palloc0(sizeof(char *) * (n + 1));
		for (i = 0; i < n; i++)
			if (!nulls[i])
				t->exclude[t->nexclude++] = pstrdup(NameStr(*DatumGetName(elems[i])));
	}
	return t;
}

ProvTable *
prov_table_by_id(int32 table_id, Snapshot snapshot)
{
	HeapTuple	tup = prov_fetch1(PROV_REGISTRY, Int32GetDatum(table_id), snapshot);
	ProvTable  *t;

	if (!HeapTupleIsValid(tup))
		return NULL;
	t = table_from_tuple(tup);
	heap_freetuple(tup);
	return t;
}

/*
 * How well a registry row fits a relation: 3 by OID and name, 2 by name (a
 * restore gave the table another OID), 1 by OID where the name in the registry
 * is nobody's now (a rename that the registry has not followed yet), 0 not at
 * all (after a restore the OID may be another table's).
 */
static int
match_table(const ProvTable *t, Oid relid, const char *schema, const char *table)
{
	bool		same_name = strcmp(t->schema, schema) == 0 && strcmp(t->table, table) == 0;
	Oid			nsp;

	if (same_name)
		return t->relid == relid ? 3 : 2;
	if (t->relid != relid)
		return 0;
	nsp = get_namespace_oid(t->schema, true);
	return OidIsValid(nsp) && OidIsValid(get_relname_relid(t->table, nsp)) ? 0 : 1;
}

/*
 * The best match; among equals the newest. The registry has a row per tagging:
 * it is small, and whoever looks here often keeps the result.
 */
static ProvTable *
find_table(Oid relid, bool tagged_only, Snapshot snapshot)
{
	char	   *table = get_rel_name(relid);
	char	   *schema = table == NULL ? NULL : get_namespace_name(get_rel_namespace(relid));
	ProvTable  *best = NULL;
	int			best_match = 0;
	ProvScan	scan;
	HeapTuple	tup;

	if (schema == NULL)
		return NULL;
	prov_scan_begin(&scan, PROV_REGISTRY, InvalidOid, snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		ProvTable  *t = table_from_tuple(tup);
		int			match;

		if (tagged_only && !TIMESTAMP_IS_NOBEGIN(t->untagged_at))
			continue;
		match = match_table(t, relid, schema, table);
		if (match > best_match ||
			(match > 0 && match == best_match && t->table_id > best->table_id))
		{
			best = t;
			best_match = match;
		}
	}
	prov_scan_end(&scan);
	return best;
}

ProvTable *
prov_table_by_relid(Oid relid, Snapshot snapshot)
{
	return find_table(relid, true, snapshot);
}

ProvTable *
prov_table_ever(Oid relid, Snapshot snapshot)
{
	return find_table(relid, false, snapshot);
}

/* ---- shapes ---- */

ProvShape *
prov_shape_fetch(int32 shape_id, Snapshot snapshot)
{
	HeapTuple	tup = prov_fetch1(PROV_SHAPE, Int32GetDatum(shape_id), snapshot);
	ProvShape  *s;
	Row			row;
	int			i;

	if (!HeapTupleIsValid(tup))
		return NULL;
	deform(tup, PROV_SHAPE, &row);
	s = palloc0(sizeof(ProvShape));
	s->shape_id = shape_id;
	s->table_id = row_int32(&row, A_SHAPE_TABLE_ID);
	row_hash(&row, A_SHAPE_DIGEST, &s->digest);
	s->definition = row_bytes(&row, A_SHAPE_DEFINITION, &s->definition_len);
	heap_freetuple(tup);
	if (s->definition == NULL)
	{
		s->status = PV_E_TRUNCATED;
		return s;
	}

	s->columns = palloc(sizeof(pv_column) * PV_MAX_FIELDS);
	s->status = pv_shape_decode(s->definition, s->definition_len, &s->shape, s->columns, PV_MAX_FIELDS);
	if (s->status != PV_OK)
		return s;
	s->columns = repalloc(s->columns, sizeof(pv_column) * Max(s->shape.ncolumns, 1));
	s->shape.columns = s->columns;
	s->nkeys = s->shape.nkeys;
	s->key_columns = palloc0(sizeof(uint16) * (s->nkeys + 1));
	for (i = 0; i < s->shape.ncolumns; i++)
		if (s->columns[i].key_pos > 0)
			s->key_columns[s->columns[i].key_pos - 1] = i;
	return s;
}

ProvShape *
prov_shape_newest(int32 table_id, Snapshot snapshot)
{
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	int32		newest = 0;

	prov_key_init(&key, PROV_SHAPE, A_SHAPE_TABLE_ID, BTEqualStrategyNumber, Int32GetDatum(table_id));
	prov_scan_begin(&scan, PROV_SHAPE, prov_shape_table_index(), snapshot, 1, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		Row			row;

		deform(tup, PROV_SHAPE, &row);
		newest = Max(newest, row_int32(&row, A_SHAPE_ID));
	}
	prov_scan_end(&scan);
	return newest == 0 ? NULL : prov_shape_fetch(newest, snapshot);
}

static Datum
make_bytea(const void *data, Size len)
{
	bytea	   *b = palloc(VARHDRSZ + len);

	SET_VARSIZE(b, VARHDRSZ + len);
	memcpy(VARDATA(b), data, len);
	return PointerGetDatum(b);
}

int32
prov_shape_insert(int32 table_id, const void *definition, Size len, const pv_hash *digest)
{
	int32		id = (int32) prov_nextval(PROV_SHAPE_SEQ);
	Datum		values[N_SHAPE];
	bool		nulls[N_SHAPE] = {false};
	ProvWriter	w;

	values[A_SHAPE_ID - 1] = Int32GetDatum(id);
	values[A_SHAPE_TABLE_ID - 1] = Int32GetDatum(table_id);
	values[A_SHAPE_DIGEST - 1] = HashPGetDatum(unconstify(pv_hash *, digest));
	values[A_SHAPE_DEFINITION - 1] = make_bytea(definition, len);
	prov_writer_open(&w, PROV_SHAPE);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	pfree(DatumGetPointer(values[A_SHAPE_DEFINITION - 1]));
	return id;
}

int
prov_entry_names(const ProvShape *shape, int op, pv_name *names)
{
	int			i;

	if (op == PV_OP_DELETE)
	{
		for (i = 0; i < shape->nkeys; i++)
			names[i] = shape->columns[shape->key_columns[i]].name;
		return shape->nkeys;
	}
	if (op >= 0 && pv_op_is_row(op))
	{
		for (i = 0; i < shape->shape.ncolumns; i++)
			names[i] = shape->columns[i].name;
		return shape->shape.ncolumns;
	}
	else
	{
		size_t		n = 0;
		const pv_name *fields = op >= 0 ? pv_op_fields(op, &n) : NULL;

		for (i = 0; i < (int) n; i++)
			names[i] = fields[i];
		return (int) n;
	}
}

/* ---- contexts ---- */

ProvContext *
prov_context_fetch(int64 context_id, Snapshot snapshot)
{
	HeapTuple	tup = prov_fetch1(PROV_CONTEXT, Int64GetDatum(context_id), snapshot);
	ProvContext *c;
	Row			row;
	size_t		n = 0;

	if (!HeapTupleIsValid(tup))
		return NULL;
	deform(tup, PROV_CONTEXT, &row);
	c = palloc0(sizeof(ProvContext));
	c->context_id = context_id;
	row_hash(&row, A_CTX_COMMITMENT, &c->commitment);
	c->fields = row_bytes(&row, A_CTX_FIELDS, &c->fields_len);
	c->erased = c->fields == NULL || row.nulls[A_CTX_SEED - 1];
	if (!row.nulls[A_CTX_SEED - 1])
		memcpy(c->seed, DatumGetUUIDP(row.values[A_CTX_SEED - 1])->data, PV_SEED_LEN);
	if (c->fields != NULL)
	{
		c->status = pv_get_values(c->fields, c->fields_len, c->values, PV_CONTEXT_FIELDS, &n);
		if (c->status == PV_OK && n != PV_CONTEXT_FIELDS)
			c->status = PV_E_COUNT;
	}
	heap_freetuple(tup);
	return c;
}

int64
prov_context_insert(const pv_hash *commitment, const uint8 *seed, const void *fields, Size len)
{
	int64		id = prov_nextval(PROV_CONTEXT_SEQ);
	Datum		values[N_CTX];
	bool		nulls[N_CTX] = {false};
	ProvWriter	w;

	values[A_CTX_ID - 1] = Int64GetDatum(id);
	values[A_CTX_COMMITMENT - 1] = HashPGetDatum(unconstify(pv_hash *, commitment));
	values[A_CTX_SEED - 1] = PointerGetDatum(seed);
	values[A_CTX_FIELDS - 1] = make_bytea(fields, len);
	prov_writer_open(&w, PROV_CONTEXT);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	pfree(DatumGetPointer(values[A_CTX_FIELDS - 1]));
	return id;
}
