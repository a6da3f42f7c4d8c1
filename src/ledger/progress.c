/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  What running verifications have come to (see progress.h).
 *
 * A fixed number of slots in shared memory, one for each running call. A slot
 * is written by the backend that took it and read by whoever looks at the
 * view, under a spinlock of its own that is held for a few assignments; nobody
 * waits for anybody's work. Verification goes on without a slot when all are
 * taken.
 *
 * A slot is given back at the end of the call, when the call's memory goes (an
 * error, a cancel), and at the latest when the process exits; after a crash
 * shared memory is made anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/progress.h"

#define NSLOTS 64
#define WHAT_LEN 64

typedef struct Slot
{
	slock_t		mutex;
	int			pid;			/* 0: free */
	Oid			database;
	TimestampTz started_at;
	int64		done;
	int64		total;			/* 0: not known */
	char		what[WHAT_LEN];
} Slot;

/* A backend's hold on its slot, in the memory context of the call. */
struct ProvProgress
{
	Slot	   *slot;			/* NULL: given back */
	MemoryContextCallback at_reset;
};

static Slot *slots = NULL;
static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

PG_FUNCTION_INFO_V1(provenance_running_verifications);

static void
request_memory(void)
{
	if (next_request_hook != NULL)
		next_request_hook();
	RequestAddinShmemSpace(NSLOTS * sizeof(Slot));
}

static void
make_slots(void)
{
	bool		found;
	int			i;

	if (next_startup_hook != NULL)
		next_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	slots = ShmemInitStruct("provenance progress", NSLOTS * sizeof(Slot), &found);
	if (!found)
	{
		memset(slots, 0, NSLOTS * sizeof(Slot));
		for (i = 0; i < NSLOTS; i++)
			SpinLockInit(&slots[i].mutex);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
prov_progress_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_slots;
}

static void
give_back(Slot *slot)
{
	SpinLockAcquire(&slot->mutex);
	slot->pid = 0;
	SpinLockRelease(&slot->mutex);
}

static void
at_exit(int code, Datum arg)
{
	int			i;

	for (i = 0; i < NSLOTS; i++)
		if (slots[i].pid == MyProcPid)
			give_back(&slots[i]);
}

static void
at_reset(void *arg)
{
	prov_progress_end(arg);
}

static Slot *
take(void)
{
	static int	registered_by = 0;
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	if (registered_by != MyProcPid)
	{
		before_shmem_exit(at_exit, (Datum) 0);
		registered_by = MyProcPid;
	}
	for (i = 0; i < NSLOTS; i++)
	{
		Slot	   *slot = &slots[i];
		bool		mine;

		SpinLockAcquire(&slot->mutex);
		mine = slot->pid == 0;
		if (mine)
		{
			slot->pid = MyProcPid;
			slot->database = MyDatabaseId;
			slot->started_at = now;
			slot->done = slot->total = 0;
			slot->what[0] = '\0';
		}
		SpinLockRelease(&slot->mutex);
		if (mine)
			return slot;
	}
	return NULL;
}

ProvProgress *
prov_progress_begin(void)
{
	ProvProgress *p;

	if (slots == NULL)
		return NULL;
	/* first what may fail */
	p = palloc0(sizeof(ProvProgress));
	p->at_reset.func = at_reset;
	p->at_reset.arg = p;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &p->at_reset);
	p->slot = take();
	return p;
}

void
prov_progress_phase(ProvProgress *p, const char *what, int64 total)
{
	Slot	   *slot = p == NULL ? NULL : p->slot;
	char		copy[WHAT_LEN];

	if (slot == NULL)
		return;
	strlcpy(copy, what, WHAT_LEN);
	SpinLockAcquire(&slot->mutex);
	memcpy(slot->what, copy, WHAT_LEN);
	slot->done = 0;
	slot->total = total;
	SpinLockRelease(&slot->mutex);
}

void
prov_progress_done(ProvProgress *p, int64 done)
{
	Slot	   *slot = p == NULL ? NULL : p->slot;

	if (slot == NULL)
		return;
	SpinLockAcquire(&slot->mutex);
	slot->done = done;
	SpinLockRelease(&slot->mutex);
}

void
prov_progress_end(ProvProgress *p)
{
	if (p == NULL || p->slot == NULL)
		return;
	give_back(p->slot);
	p->slot = NULL;
}

/* running_verifications(): the slots that are taken */
Datum
provenance_running_verifications(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	for (i = 0; slots != NULL && i < NSLOTS; i++)
	{
		Slot		copy;
		Datum		values[6];
		bool		nulls[6] = {false};

		SpinLockAcquire(&slots[i].mutex);
		copy = slots[i];
		SpinLockRelease(&slots[i].mutex);
		if (copy.pid == 0)
			continue;
		values[0] = Int32GetDatum(copy.pid);
		values[1] = ObjectIdGetDatum(copy.database);
		values[2] = CStringGetTextDatum(copy.what);
		nulls[2] = copy.what[0] == '\0';
		values[3] = Int64GetDatum(copy.done);
		values[4] = Int64GetDatum(copy.total);
		nulls[4] = copy.total == 0;
		values[5] = TimestampTzGetDatum(copy.started_at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
