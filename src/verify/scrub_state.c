/*
 * scrub_state.c: how far the scrubber has come, kept and shown.
 *
 * One row, written by the scrubber alone. It comes along with a dump or a copy
 * of the database, where nothing has been scrubbed yet: so it says whose it is,
 * and counts only there.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "verify/scrub.h"

PG_FUNCTION_INFO_V1(provenance_scrubbed);

void
scrub_load(ScrubState *s)
{
	HeapTuple	tup;
	Datum		values[N_SCRUB];
	bool		nulls[N_SCRUB];
	int			i;

	memset(s, 0, sizeof(*s));
	/* else verification has the finding, and the scrubber does without its row */
	if (!prov_usable(PROV_SCRUB_STATE) || (tup = prov_fetch1(PROV_SCRUB_STATE, Int32GetDatum(1), NULL)) == NULL)
		return;
	heap_deform_tuple(tup, prov_tupdesc(PROV_SCRUB_STATE), values, nulls);
	for (i = 0; i < N_SCRUB; i++)
		if (nulls[i] && i != A_SCRUB_LAST_ENDED - 1)
			return;				/* a constraint was dropped */
	if (DatumGetObjectId(values[A_SCRUB_DATABASE - 1]) != MyDatabaseId ||
		(uint64) DatumGetInt64(values[A_SCRUB_SYSTEM - 1]) != GetSystemIdentifier() ||
		DatumGetInt32(values[A_SCRUB_KIND - 1]) < 0 || DatumGetInt32(values[A_SCRUB_KIND - 1]) >= PIECE_KINDS ||
		DatumGetInt64(values[A_SCRUB_NEXT - 1]) < 0)
		return;
	s->exists = true;
	s->kind = (PieceKind) DatumGetInt32(values[A_SCRUB_KIND - 1]);
	s->table_id = DatumGetInt32(values[A_SCRUB_TABLE - 1]);
	s->next = DatumGetInt64(values[A_SCRUB_NEXT - 1]);
	s->end = DatumGetInt64(values[A_SCRUB_END - 1]);
	s->entries = DatumGetInt64(values[A_SCRUB_ENTRIES - 1]);
	s->findings = DatumGetInt64(values[A_SCRUB_FINDINGS - 1]);
	s->started_at = DatumGetTimestampTz(values[A_SCRUB_STARTED - 1]);
	if (!nulls[A_SCRUB_LAST_ENDED - 1])
		s->last_ended_at = DatumGetTimestampTz(values[A_SCRUB_LAST_ENDED - 1]);
	s->last_entries = DatumGetInt64(values[A_SCRUB_LAST_ENTRIES - 1]);
	s->last_findings = DatumGetInt64(values[A_SCRUB_LAST_FINDINGS - 1]);
}

void
scrub_save(const ScrubState *s)
{
	HeapTuple	tup;
	Datum		values[N_SCRUB];
	bool		nulls[N_SCRUB] = {false};
	ProvWriter	w;

	if (!prov_usable(PROV_SCRUB_STATE))
		return;
	tup = prov_fetch1(PROV_SCRUB_STATE, Int32GetDatum(1), NULL);
	values[A_SCRUB_ID - 1] = Int32GetDatum(1);
	values[A_SCRUB_KIND - 1] = Int32GetDatum((int32) s->kind);
	values[A_SCRUB_TABLE - 1] = Int32GetDatum(s->table_id);
	values[A_SCRUB_DATABASE - 1] = ObjectIdGetDatum(MyDatabaseId);
	values[A_SCRUB_NEXT - 1] = Int64GetDatum(s->next);
	values[A_SCRUB_END - 1] = Int64GetDatum(s->end);
	values[A_SCRUB_ENTRIES - 1] = Int64GetDatum(s->entries);
	values[A_SCRUB_FINDINGS - 1] = Int64GetDatum(s->findings);
	values[A_SCRUB_STARTED - 1] = TimestampTzGetDatum(s->started_at);
	values[A_SCRUB_LAST_ENDED - 1] = TimestampTzGetDatum(s->last_ended_at);
	nulls[A_SCRUB_LAST_ENDED - 1] = s->last_ended_at == 0;
	values[A_SCRUB_LAST_ENTRIES - 1] = Int64GetDatum(s->last_entries);
	values[A_SCRUB_LAST_FINDINGS - 1] = Int64GetDatum(s->last_findings);
	values[A_SCRUB_SYSTEM - 1] = Int64GetDatum((int64) GetSystemIdentifier());
	prov_writer_open(&w, PROV_SCRUB_STATE);
	if (tup != NULL)
		prov_update(&w, tup, values, nulls);
	else
		prov_insert(&w, values, nulls);
	prov_writer_close(&w);
}

/* "block 3 of 20 of crm.contact", "12 of 400 tiles of leaves" */
static char *
doing(const ScrubState *s)
{
	ProvTable  *table = s->kind == PIECE_ROWS ? prov_table_by_id(s->table_id, NULL) : NULL;

	if (s->last_ended_at >= s->started_at)
		return pstrdup("waiting for the next round");
	if (table != NULL)
		return psprintf("block " INT64_FORMAT " of " INT64_FORMAT " of %s", s->next, s->end,
						quote_qualified_identifier(table->schema, table->table));
	return psprintf(INT64_FORMAT " of " INT64_FORMAT " %s", s->next, s->end, piece_name(s->kind));
}

/* scrubbed(OUT doing, entries, findings, started_at, last_ended_at, last_entries, last_findings) */
Datum
provenance_scrubbed(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[7] = {0};
	bool		nulls[7] = {true, true, true, true, true, true, true};
	ScrubState	s;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "the function does not return a row");
	scrub_load(&s);
	if (s.exists)
	{
		values[0] = CStringGetTextDatum(doing(&s));
		values[1] = Int64GetDatum(s.entries);
		values[2] = Int64GetDatum(s.findings);
		values[3] = TimestampTzGetDatum(s.started_at);
		memset(nulls, false, 4);
	}
	if (s.last_ended_at != 0)
	{
		values[4] = TimestampTzGetDatum(s.last_ended_at);
		values[5] = Int64GetDatum(s.last_entries);
		values[6] = Int64GetDatum(s.last_findings);
		memset(nulls + 4, false, 3);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
