/*-------------------------------------------------------------------------
 *
 * log_keys.c
 *	  The log's keys over time: which of them sign, and where they are.
 *
 * log_key has a row for each key. A head greater than a key's since_size bears
 * that key's signature until the next key takes over; during the overlap the
 * key before signs too. So verification needs sizes alone, and no clock.
 *
 * Key files that the extension makes have three names beside the state file:
 *	.key		the current key
 *	.key.next	made by rotate_key(), current as soon as its row is committed
 *	.key.old	the key before, until the overlap is over
 * A key is found by its public half, under whichever name: what a crash leaves
 * between two renamings is read as well as what comes before or after. Tidying
 * up is the signer's, once nothing is left unsigned. A file whose key the
 * ledger does not know (a rolled-back rotation, a restored database) is never
 * destroyed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ledger/settings.h"
#include "ledger/signer.h"
#include "ledger/stop_point.h"
#include "ledger/store.h"
#include "types/types.h"

static const char *const file_suffixes[] = {"key", "key.next", "key.old"};

static int
compare_keys(const void *a, const void *b)
{
	const ProvLogKey *x = a;
	const ProvLogKey *y = b;

	if (x->since_size != y->since_size)
		return x->since_size < y->since_size ? -1 : 1;
	return x->created_at < y->created_at ? -1 : x->created_at > y->created_at;
}

ProvLogKey *
prov_log_keys(int incarnation, int *n)
{
	TupleDesc	desc = prov_tupdesc(PROV_LOG_KEY);
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;
	int			cap = 8;
	ProvLogKey *keys = palloc(sizeof(ProvLogKey) * cap);

	*n = 0;
	prov_key_init(&key, PROV_LOG_KEY, A_KEY_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(incarnation));
	prov_scan_begin(&scan, PROV_LOG_KEY, prov_pkey(PROV_LOG_KEY), GetLatestSnapshot(), 1, &key);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		nulls[3];
		Datum		since = heap_getattr(tup, A_KEY_SINCE_SIZE, desc, &nulls[0]);
		Datum		at = heap_getattr(tup, A_KEY_CREATED_AT, desc, &nulls[1]);
		Datum		vkey = heap_getattr(tup, A_KEY_VKEY, desc, &nulls[2]);

		if (nulls[0] || nulls[1] || nulls[2])
			continue;
		if (*n == cap)
			keys = repalloc(keys, sizeof(ProvLogKey) * (cap *= 2));
		keys[*n].since_size = DatumGetInt64(since);
		keys[*n].created_at = DatumGetTimestampTz(at);
		keys[*n].vkey = TextDatumGetCString(vkey);
		keys[(*n)++].xmin = HeapTupleHeaderGetXmin(tup->t_data);
	}
	prov_scan_end(&scan);
	qsort(keys, *n, sizeof(ProvLogKey), compare_keys);
	return keys;
}

char *
prov_log_vkey(int incarnation)
{
	int			n;
	ProvLogKey *keys = prov_log_keys(incarnation, &n);

	return n > 0 ? keys[n - 1].vkey : NULL;
}

bool
prov_keys_overlap(const ProvLogKey *keys, int n, int overlap)
{
	return n > 1 && GetCurrentTimestamp() - keys[n - 1].created_at < overlap * USECS_PER_SEC;
}

void
prov_key_settings(ProvKeySettings *out)
{
	char	   *overlap = prov_setting_of_database("provenance.key_overlap");

	out->signing_key = prov_setting_of_database("provenance.signing_key");
	out->previous = prov_setting_of_database("provenance.previous_signing_key");
	if (!parse_int(overlap, &out->overlap, GUC_UNIT_S, NULL))
		out->overlap = prov_key_overlap;
}

/* The key in that place if it is that of vkey. */
static ProvKey *
try_place(const char *where, const char *origin, const char *vkey, char **reason)
{
	ProvKey    *key = prov_key_load(where, reason);

	if (key == NULL || strcmp(prov_key_vkey(key, origin), vkey) == 0)
		return key;
	prov_key_free(key);
	*reason = pstrdup("the signing key is not the one of this log");
	return NULL;
}

ProvKey *
prov_key_find(const ProvStateDir *dir, const char *origin, const char *vkey, bool previous,
			  const ProvKeySettings *settings, char **reason)
{
	const char *configured = previous ? settings->previous : settings->signing_key;
	char	   *first = NULL;	/* the reason that counts */
	struct stat st;

	if (configured[0] != '\0')
	{
		ProvKey    *key = try_place(configured, origin, vkey, &first);

		if (key != NULL || !previous)
		{
			*reason = first;
			return key;
		}
	}
	for (int i = 0; i < lengthof(file_suffixes); i++)
	{
		char	   *path = prov_state_path(dir, origin, file_suffixes[i]);
		char	   *why = NULL;
		ProvKey    *key;

		/* of the usual name it is said that it is missing */
		if (i > 0 && lstat(path, &st) != 0)
			continue;
		key = try_place(path, origin, vkey, &why);
		if (key != NULL)
			return key;
		if (first == NULL)
			first = why;
	}
	*reason = first;
	return NULL;
}

bool
prov_signers_load(const ProvStateDir *dir, const char *origin, int incarnation, int64 size,
				  const ProvKeySettings *settings, ProvSigners *out, char **reason)
{
	int			n;
	ProvLogKey *keys = prov_log_keys(incarnation, &n);
	ProvKey    *key;
	char	   *ignored = NULL;

	out->n = 0;
	/* a head that a crash left unsigned is signed as it would have been then */
	while (n > 1 && keys[n - 1].since_size >= size)
		n--;
	if (n == 0)
	{
		*reason = pstrdup("the log's verifier key is missing");
		return false;
	}
	if (prov_keys_overlap(keys, n, settings->overlap))
	{
		key = prov_key_find(dir, origin, keys[n - 2].vkey, true, settings, &ignored);
		if (key != NULL)
			out->keys[out->n++] = key;
	}
	key = prov_key_find(dir, origin, keys[n - 1].vkey, false, settings, reason);
	if (key == NULL)
	{
		prov_signers_free(out);
		return false;
	}
	out->keys[out->n++] = key;
	return true;
}

void
prov_signers_free(ProvSigners *signers)
{
	for (int i = 0; i < signers->n; i++)
		prov_key_free(signers->keys[i]);
	signers->n = 0;
}

/* --- files after a rotation -------------------------------------------- */

/* Overwritten, then removed; what the file system keeps besides is its own. */
static void
destroy_file(const char *path)
{
	struct stat st;
	char		zeros[4096];
	int			fd = OpenTransientFile(path, O_WRONLY | PG_BINARY);
	off_t		done = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	memset(zeros, 0, sizeof(zeros));
	while (done < st.st_size)
	{
		ssize_t		n = write(fd, zeros, Min(st.st_size - done, (off_t) sizeof(zeros)));

		if (n <= 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write file \"%s\": %m", path)));
		done += n;
	}
	if (pg_fsync(fd) != 0 || CloseTransientFile(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not fsync file \"%s\": %m", path)));
	PROV_STOP_POINT("tidy-overwritten");
	(void) durable_unlink(path, ERROR);
	ereport(LOG,
			(errmsg("destroyed the key file \"%s\", whose time is over", path)));
}

/* A crash may have come between overwriting and removing. */
static bool
is_overwritten(const char *path)
{
	char		data[4096];
	int			fd = OpenTransientFile(path, O_RDONLY | O_NOFOLLOW | PG_BINARY);
	ssize_t		n;

	if (fd < 0)
		return false;
	n = read(fd, data, sizeof(data));
	(void) CloseTransientFile(fd);
	for (ssize_t i = 0; i < n; i++)
		if (data[i] != '\0')
			return false;
	return n > 0;
}

/* Which of the keys is in the file; -1: none of them, or no file. */
static int
key_in_file(const char *path, const char *origin, const ProvLogKey *keys, int n)
{
	struct stat st;
	ProvKey    *key;
	char	   *reason;
	char	   *vkey;

	if (lstat(path, &st) != 0 || (key = prov_key_load(path, &reason)) == NULL)
		return -1;
	vkey = prov_key_vkey(key, origin);
	prov_key_free(key);
	for (int i = 0; i < n; i++)
		if (strcmp(keys[i].vkey, vkey) == 0)
			return i;
	return -1;
}

void
prov_keys_tidy(const ProvStateDir *dir, const char *origin, int incarnation,
			   const ProvKeySettings *settings)
{
	int			n;
	ProvLogKey *keys = prov_log_keys(incarnation, &n);
	int			needed = prov_keys_overlap(keys, n, settings->overlap) ? n - 2 : n - 1;
	char	   *current = prov_state_path(dir, origin, "key");
	char	   *next = prov_state_path(dir, origin, "key.next");
	char	   *old = prov_state_path(dir, origin, "key.old");
	struct stat st;

	if (n < 2)
		return;
	for (int i = 0; i < lengthof(file_suffixes); i++)
	{
		char	   *path = prov_state_path(dir, origin, file_suffixes[i]);
		int			which = key_in_file(path, origin, keys, n);

		if ((which >= 0 && which < needed) || is_overwritten(path))
			destroy_file(path);
	}
	if (key_in_file(next, origin, keys, n) != n - 1)
		return;
	if (lstat(current, &st) == 0)
	{
		/* keep what nobody knows rather than overwrite it */
		if (lstat(old, &st) == 0)
			return;
		(void) durable_rename(current, old, ERROR);
	}
	PROV_STOP_POINT("tidy-renamed");
	(void) durable_rename(next, current, ERROR);
	PROV_STOP_POINT("tidy-done");
}
