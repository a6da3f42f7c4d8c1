/*
 * kept.c: what the calls of prove() in one statement keep for each other.
 *
 * Nearly all that a proof costs is folding the tiles on its way to the root;
 * the next proof needs most of them again, the same checkpoint, and often the
 * same block of the map from entries to leaves. They are kept with the call's
 * FmgrInfo, in a memory context of their own, a little over 1 MB, from the
 * second call on, so that a single proof does not pay for it.
 *
 * A proof speaks of the newest checkpoint, and one expression of a function's
 * body may be called for hours, also of a log that was dropped and set up
 * again. So what is kept counts only while the latest snapshot is the same:
 * no transaction has ended since by the server's own count of them, and ours
 * has come to no further command. Between calls no snapshot, lock or relation
 * is held, and an error leaves what is kept invalid.
 *
 * A serializable transaction reads under a snapshot that takes no predicate
 * locks and has no such count: nothing is kept there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "prove/prove.h"
#include "types/types.h"

struct ProveKept
{
	MemoryContext context;		/* of the rest; a child of the FmgrInfo's; NULL: none yet */
	bool		valid;

	/* of the snapshot */
	uint64		completed;
	TransactionId xmin;
	TransactionId xmax;
	CommandId	curcid;

	ProvLog    *log;			/* paused between calls */
	int64		asked;			/* of the checkpoint; PROVE_NEWEST: none read */
	int64		size;
	Datum		note;
};

ProveKept *
prove_kept(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo == NULL || IsolationIsSerializable() || IsInParallelMode())
		return NULL;
	if (flinfo->fn_extra == NULL)
	{
		flinfo->fn_extra = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(ProveKept));
		return NULL;
	}
	if (((ProveKept *) flinfo->fn_extra)->context == NULL)
		((ProveKept *) flinfo->fn_extra)->context =
			AllocSetContextCreate(flinfo->fn_mcxt, "provenance proofs", ALLOCSET_DEFAULT_SIZES);
	return flinfo->fn_extra;
}

ProvLog *
prove_kept_begin(ProveKept *kept)
{
	Snapshot	latest = GetLatestSnapshot();
	bool		same = kept->valid && kept->completed != 0 &&
		kept->completed == latest->snapXactCompletionCount &&
		kept->xmin == latest->xmin && kept->xmax == latest->xmax && kept->curcid == latest->curcid;

	kept->valid = false;
	if (same)
		prov_log_resume(kept->log, latest);
	else
	{
		MemoryContext old;

		/* before anything that could take another latest snapshot */
		kept->completed = latest->snapXactCompletionCount;
		kept->xmin = latest->xmin;
		kept->xmax = latest->xmax;
		kept->curcid = latest->curcid;

		MemoryContextReset(kept->context);
		old = MemoryContextSwitchTo(kept->context);
		kept->log = prov_log_open(latest);
		prov_log_keep_tiles(kept->log);
		MemoryContextSwitchTo(old);
		kept->asked = PROVE_NEWEST;
	}
	return kept->log;
}

void
prove_kept_end(ProveKept *kept)
{
	prov_log_pause(kept->log);
	kept->valid = true;
}

Datum
prove_kept_checkpoint(ProveKept *kept, int64 size, int64 *found_size)
{
	if (kept->asked != size)
	{
		Datum		note;
		MemoryContext old;

		if (kept->asked != PROVE_NEWEST && kept->note != (Datum) 0)
			pfree(DatumGetPointer(kept->note));
		kept->asked = PROVE_NEWEST;
		kept->note = (Datum) 0;
		note = prove_checkpoint_seen(prov_log_snapshot(kept->log), size, &kept->size, NULL);
		old = MemoryContextSwitchTo(kept->context);
		if (note != (Datum) 0)
			kept->note = datumCopy(note, false, -1);
		MemoryContextSwitchTo(old);
		kept->asked = size;
	}
	*found_size = kept->size;
	return kept->note;
}
