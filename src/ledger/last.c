/*-------------------------------------------------------------------------
 *
 * last.c
 *	  The last entry that this session recorded in its transaction.
 *
 * A subtransaction may be rolled back, and what it recorded with it; then the
 * entry before is the last again. So the last of each open subtransaction that
 * recorded anything is kept, in a stack, innermost on top: as deep as
 * subtransactions are nested, whatever the number of entries.
 *
 * Memory: a few bytes for each level, in TopTransactionContext; with it they
 * go.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/memutils.h"

#include "ledger/record.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_last_commitment);

typedef struct Level
{
	struct Level *outer;
	SubTransactionId subid;
	pv_hash		commitment;
} Level;

static Level *top = NULL;

static void
pop(void)
{
	Level	   *level = top;

	top = level->outer;
	pfree(level);
}

static void
at_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (top == NULL || top->subid != mine)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		pop();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		if (top->outer != NULL && top->outer->subid == parent)
		{
			top->outer->commitment = top->commitment;
			pop();
		}
		else
			top->subid = parent;
	}
}

static void
at_xact(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		top = NULL;
}

void
prov_remember_commitment(const pv_hash *commitment)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	static bool registered = false;

	if (top == NULL || top->subid != subid)
	{
		Level	   *level;

		if (!registered)
		{
			RegisterXactCallback(at_xact, NULL);
			RegisterSubXactCallback(at_subxact, NULL);
			registered = true;
		}
		level = MemoryContextAlloc(TopTransactionContext, sizeof(Level));
		level->outer = top;
		level->subid = subid;
		top = level;
	}
	top->commitment = *commitment;
}

bool
prov_last_commitment(pv_hash *out)
{
	if (top == NULL)
		return false;
	*out = top->commitment;
	return true;
}

/* last_commitment() */
Datum
provenance_last_commitment(PG_FUNCTION_ARGS)
{
	pv_hash		commitment;

	if (!prov_last_commitment(&commitment))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(hash_to_datum(&commitment));
}
