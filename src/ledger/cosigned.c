/*-------------------------------------------------------------------------
 *
 * cosigned.c
 *	  What this database has cosigned as a witness, when it is adopted.
 *
 * The heads cosigned are in files of the state directory, and in the ledger's
 * table `cosigned`. A failover may bring an older copy of the files, or none;
 * the table came along. Of each origin the greater head is taken over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"

#include "ledger/signer.h"
#include "ledger/store.h"
#include "types/types.h"

static ProvSignerState *
find_origin(List *states, const char *origin)
{
	ListCell   *lc;

	foreach(lc, states)
	{
		ProvSignerState *state = lfirst(lc);

		if (strcmp(state->origin, origin) == 0)
			return state;
	}
	return NULL;
}

/* The row's head, if it is one of that origin. */
static bool
head_of_row(HeapTuple tup, TupleDesc desc, ProvSignerState *state)
{
	Datum		values[N_COSD];
	bool		nulls[N_COSD];
	const char *bytes;
	size_t		len;
	pv_checkpoint cp;
	char		fault[PROV_FAULT_LEN];

	heap_deform_tuple(tup, desc, values, nulls);
	if (nulls[A_COSD_ORIGIN - 1] || nulls[A_COSD_NOTE - 1])
		return false;
	state->origin = TextDatumGetCString(values[A_COSD_ORIGIN - 1]);
	bytes = checkpoint_bytes(values[A_COSD_NOTE - 1], &len);
	if (!checkpoint_check(bytes, len, &cp, fault) || cp.originlen != strlen(state->origin) ||
		memcmp(cp.origin, state->origin, cp.originlen) != 0)
		return false;
	state->size = cp.size;
	state->root = cp.root;
	state->note = pnstrdup(bytes, len);
	state->notelen = len;
	return true;
}

List *
prov_cosigned_heads(const ProvStateDir *dir, const ProvIdentity *identity, const ProvOwner *self, char **reason)
{
	List	   *states = NIL;
	ListCell   *lc;
	TupleDesc	desc = prov_tupdesc(PROV_COSIGNED);
	ProvScan	scan;
	ScanKeyData key;
	HeapTuple	tup;

	*reason = NULL;
	foreach(lc, prov_cosigned_files(dir, identity->full_origin))
	{
		ProvSignerState *state = palloc(sizeof(ProvSignerState));

		switch (prov_cosigned_read_path(lfirst(lc), identity->full_origin, state, reason))
		{
			case PROV_STATE_BAD:
				return NIL;
			case PROV_STATE_ABSENT:
				break;
			case PROV_STATE_OK:
				states = lappend(states, state);
				break;
		}
	}

	prov_key_init(&key, PROV_COSIGNED, A_COSD_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(identity->incarnation));
	prov_scan_begin_ordered(&scan, PROV_COSIGNED, NULL, 1, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		ProvSignerState *row = palloc0(sizeof(ProvSignerState));
		ProvSignerState *state;

		if (!head_of_row(tup, desc, row))
			continue;
		state = find_origin(states, row->origin);
		if (state == NULL)
		{
			row->witness = identity->full_origin;
			row->owner = *self;
			states = lappend(states, row);
		}
		else if (row->size > state->size)
		{
			state->size = row->size;
			state->root = row->root;
			state->note = row->note;
			state->notelen = row->notelen;
		}
	}
	prov_scan_end(&scan);
	return states;
}
