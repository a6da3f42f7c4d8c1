/*-------------------------------------------------------------------------
 *
 * locks.c
 *	  The sealer's lock, the standing worker's lock, the scrubber's lock, those of
 *	  partners, and those that put writers of one countersignature or one handover
 *	  in a row.
 *
 * All are advisory lock tags of this database with a fourth field that no SQL
 * function makes (those make 1 and 2), so that no user can take them, and not
 * locks on a table, which autovacuum against wraparound could stand in the way
 * of. Workers hold theirs as session locks: these outlive transactions and go
 * with the process. The others belong to a transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "compat.h"
#include "ledger/seal.h"

#define LOCK_CLASS 0x5056		/* "PV" */
#define LOCK_SEALER 1
#define LOCK_STANDING 2
#define LOCK_PARTNERS 3
#define LOCK_MERGE 4			/* one for each partner, in field 2 */
#define LOCK_COUNTERSIGN 8
#define LOCK_HANDOVER 9
#define LOCK_SCRUBBER 10

static void
make_tag(LOCKTAG *tag, uint32 which)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, which, LOCK_CLASS);
}

/* Waits; to the end of the transaction. which also goes by an object, 0: it does not. */
static void
lock_xact(uint32 object, uint32 which)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, object, which, LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

bool
prov_lock_sealer(bool dont_wait)
{
	LOCKTAG		tag;

	make_tag(&tag, LOCK_SEALER);
	return LockAcquire(&tag, ExclusiveLock, true, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
prov_unlock_sealer(void)
{
	LOCKTAG		tag;

	make_tag(&tag, LOCK_SEALER);
	LockRelease(&tag, ExclusiveLock, true);
}

void
prov_lock_sealer_xact(void)
{
	lock_xact(0, LOCK_SEALER);
}

bool
prov_sealer_locked_here(void)
{
	LOCKTAG		tag;

	make_tag(&tag, LOCK_SEALER);
	return prov_lock_held(&tag, ExclusiveLock);
}

/*
 * is_held() holds the lock for an instant when nobody has it; a worker that
 * starts in that instant must not take it for a colleague.
 */
static bool
try_lock(uint32 which)
{
	LOCKTAG		tag;
	int			attempt;

	make_tag(&tag, which);
	for (attempt = 0; attempt < 5; attempt++)
	{
		if (attempt > 0)
			pg_usleep(10000L);
		if (LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
	}
	return false;
}

/* Shared, so that two who look do not see each other. */
static bool
is_held(uint32 which)
{
	LOCKTAG		tag;

	make_tag(&tag, which);
	if (LockAcquire(&tag, ShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, true);
	return false;
}

bool
prov_lock_standing(void)
{
	return try_lock(LOCK_STANDING);
}

void
prov_unlock_standing(void)
{
	LOCKTAG		tag;

	make_tag(&tag, LOCK_STANDING);
	LockRelease(&tag, ExclusiveLock, true);
}

bool
prov_standing_worker_runs(void)
{
	return is_held(LOCK_STANDING);
}

bool
prov_lock_scrubber(void)
{
	return try_lock(LOCK_SCRUBBER);
}

bool
prov_scrubber_runs(void)
{
	return is_held(LOCK_SCRUBBER);
}

void
prov_lock_partners_xact(void)
{
	lock_xact(0, LOCK_PARTNERS);
}

bool
prov_partners_locked_here(void)
{
	LOCKTAG		tag;

	make_tag(&tag, LOCK_PARTNERS);
	return prov_lock_held(&tag, ExclusiveLock);
}

void
prov_lock_merge_xact(int32 partner_id)
{
	lock_xact((uint32) partner_id, LOCK_MERGE);
}

/* Of those whose hashes are equal, one after the other. */
void
prov_lock_countersign(uint32 hash)
{
	lock_xact(hash, LOCK_COUNTERSIGN);
}

void
prov_lock_handover(uint32 hash)
{
	lock_xact(hash, LOCK_HANDOVER);
}
