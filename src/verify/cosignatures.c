/*
 * cosignatures.c: the cosignatures of witnesses that the ledger keeps.
 *
 * Each row has to hold a good cosignature, by the witness that it names, on
 * the note of the checkpoint that it names. What that note says is compared
 * with the log elsewhere; a cosignature is over the note's text, so that who
 * changes one has to leave the other behind.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/cosignature.h"
#include "types/types.h"
#include "verify/verify.h"

/* A row; index order would trust the index, so rows are taken as they lie. */
typedef struct Refs
{
	Verify	   *v;
	int64		since_size;
	int64		n;
	int64		cap;
	ItemPointerData *tids;
} Refs;

typedef struct Row
{
	Verify	   *v;
	ItemPointerData tid;
	bool		found;
	int32		incarnation;
	int64		size;
	char	   *witness;		/* NULL: a column is missing */
	char	   *line;
	bool		has_note;
	const char *note;
	size_t		notelen;
} Row;

static void
collect_refs(void *arg)
{
	Refs	   *refs = arg;
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_COSIGNATURE);
	ProvScan	scan;
	HeapTuple	tup;

	refs->n = 0;
	prov_scan_begin(&scan, PROV_CHECKPOINT_COSIGNATURE, InvalidOid, refs->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		Datum		size = heap_getattr(tup, A_COSIG_SIZE, desc, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull && DatumGetInt64(size) >= 0 && DatumGetInt64(size) < refs->since_size)
			continue;
		if (refs->n == refs->cap)
		{
			refs->cap = refs->cap == 0 ? 64 : refs->cap * 2;
			refs->tids = refs->tids == NULL ?
				MemoryContextAllocHuge(refs->v->cxt, sizeof(ItemPointerData) * refs->cap) :
				repalloc_huge(refs->tids, sizeof(ItemPointerData) * refs->cap);
		}
		refs->tids[refs->n++] = tup->t_self;
	}
	prov_scan_end(&scan);
}

static void
fetch_row(void *arg)
{
	Row		   *row = arg;
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	Relation	rel = prov_open(PROV_CHECKPOINT_COSIGNATURE, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	HeapTuple	tup;
	bool		nulls[N_COSIG];
	Datum		values[N_COSIG];

	row->found = table_tuple_fetch_row_version(rel, &row->tid, row->v->snapshot, slot);
	if (row->found)
	{
		slot_getallattrs(slot);
		memcpy(values, slot->tts_values, sizeof(values));
		memcpy(nulls, slot->tts_isnull, sizeof(nulls));
		row->incarnation = nulls[A_COSIG_INCARNATION - 1] ? 0 : DatumGetInt32(values[A_COSIG_INCARNATION - 1]);
		row->size = nulls[A_COSIG_SIZE - 1] ? -1 : DatumGetInt64(values[A_COSIG_SIZE - 1]);
		if (!nulls[A_COSIG_WITNESS - 1] && !nulls[A_COSIG_LINE - 1])
		{
			row->witness = TextDatumGetCString(values[A_COSIG_WITNESS - 1]);
			row->line = TextDatumGetCString(values[A_COSIG_LINE - 1]);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	if (!row->found)
		return;

	tup = prov_fetch2(PROV_CHECKPOINT_NOTE, Int32GetDatum(row->incarnation), Int64GetDatum(row->size), row->v->snapshot);
	if (HeapTupleIsValid(tup))
	{
		bool		isnull;
		Datum		note = heap_getattr(tup, A_CP_NOTE, desc, &isnull);

		row->has_note = !isnull;
		if (!isnull)
			row->note = checkpoint_bytes(note, &row->notelen);
	}
}

/* What is wrong with a row, or NULL. */
static char *
row_fault(const Row *row)
{
	pv_checkpoint cp;
	pv_vkey		key;
	char		fault[PROV_FAULT_LEN];
	char	   *vkey;
	char	   *line;
	size_t		len;
	uint64_t	seconds;
	pv_status	status;

	if (row->witness == NULL)
		return pstrdup("The row lacks the witness or the line.");
	if (!row->has_note)
		return pstrdup("There is no such checkpoint.");
	if (!checkpoint_check(row->note, row->notelen, &cp, fault))
		return psprintf("The note is not a checkpoint: %s", fault);
	vkey = prov_to_utf8(row->witness, strlen(row->witness), &len);
	status = vkey ? pv_vkey_parse(prov_hasher(), vkey, len, &key) : PV_E_UTF8;
	if (status != PV_OK)
		return psprintf("The witness's key is none: %s.", pv_status_text(status));
	line = prov_format_in(row->line, strlen(row->line), &len);
	status = line ? pv_cosignature_verify_line(cp.note.text, cp.note.textlen, line, len, &key, &seconds) : PV_E_UTF8;
	if (status == PV_E_CRYPTO)
		prov_check(status);
	if (status != PV_OK)
		return psprintf("The line is no good cosignature by %s: %s.", verify_text(key.name, strlen(key.name)),
						pv_status_text(status));
	return NULL;
}

void
verify_cosignature_at(Verify *v, const ItemPointerData *tid)
{
	Row			row = {.v = v, .tid = *tid};
	char	   *fault;

	if (!verify_try(v, fetch_row, &row))
		verify_finding(v, "unreadable", SEV_ERROR, "checkpoint_cosignature", -1, -1,
					   "A cosignature cannot be read: %s", v->fault);
	else if (row.found && (fault = row_fault(&row)) != NULL)
		verify_finding(v, "cosignature_invalid", SEV_ERROR, psprintf("checkpoint " INT64_FORMAT, row.size), -1, -1,
					   "%s", fault);
}

void
verify_cosignatures(Verify *v, int64 since_size)
{
	Refs		refs = {.v = v, .since_size = since_size};

	if (!verify_try(v, collect_refs, &refs))
		verify_finding(v, "unreadable", SEV_ERROR, "checkpoint_cosignature", -1, -1,
					   "The cosignatures cannot be read: %s", v->fault);
	verify_progress_begin(v, "cosignatures", refs.n);
	for (int64 i = 0; i < refs.n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(v->tmp);

		verify_cosignature_at(v, &refs.tids[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(v->tmp);
		verify_progress(v, i + 1);
	}
}
