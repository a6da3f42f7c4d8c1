/*
 * checkpoints.c: the checkpoints that the ledger keeps.
 *
 * They are checked row by row: does the note parse, does the row
 * say what the note says, is the note signed by a key of its incarnation. What
 * passes is returned for the roots to be compared with; a note without a good
 * signature is no witness of anything.
 *
 * A checkpoint that is greater than a key's since_size has to bear the
 * signature of that key or of a later one: a key that was replaced is worth
 * nothing any more, whoever has it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "types/types.h"
#include "verify/verify.h"

struct LogKeys
{
	Verify	   *v;
	int			n;
	int			cap;
	int32	   *incarnations;
	int64	   *sizes;			/* since_size */
	char	  **vkeys;
	bool	   *recorded;		/* by an entry: a handover, or a new incarnation */
};

typedef struct NoteKeys
{
	Verify	   *v;
	int64		since_size;
	int64		n;
	int64		cap;
	CheckpointRef *refs;		/* size and incarnation, as the rows say */
} NoteKeys;

typedef struct FetchNote
{
	Verify	   *v;
	const CheckpointRef *ref;
	bool		found;
	bool		isnull;
	pv_hash		root;
	const char *note;
	size_t		len;
} FetchNote;

static void
collect_keys(void *arg)
{
	LogKeys    *keys = arg;
	TupleDesc	desc = prov_tupdesc(PROV_LOG_KEY);
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin_ordered(&scan, PROV_LOG_KEY, keys->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		null_incarnation,
					null_vkey;
		Datum		incarnation = heap_getattr(tup, A_KEY_INCARNATION, desc, &null_incarnation);
		Datum		vkey = heap_getattr(tup, A_KEY_VKEY, desc, &null_vkey);
		bool		null_size;
		Datum		size = heap_getattr(tup, A_KEY_SINCE_SIZE, desc, &null_size);

		if (null_incarnation || null_vkey || null_size)
			continue;
		if (keys->n == keys->cap)
		{
			keys->cap = keys->cap == 0 ? 16 : keys->cap * 2;
			keys->incarnations = keys->incarnations == NULL ? palloc(sizeof(int32) * keys->cap) :
				repalloc(keys->incarnations, sizeof(int32) * keys->cap);
			keys->sizes = keys->sizes == NULL ? palloc(sizeof(int64) * keys->cap) :
				repalloc(keys->sizes, sizeof(int64) * keys->cap);
			keys->vkeys = keys->vkeys == NULL ? palloc(sizeof(char *) * keys->cap) :
				repalloc(keys->vkeys, sizeof(char *) * keys->cap);
		}
		keys->incarnations[keys->n] = DatumGetInt32(incarnation);
		keys->sizes[keys->n] = DatumGetInt64(size);
		keys->vkeys[keys->n++] = TextDatumGetCString(vkey);
	}
	prov_scan_end(&scan);
}

LogKeys *
verify_read_keys(Verify *v)
{
	LogKeys    *keys = palloc0(sizeof(LogKeys));

	keys->v = v;
	if (!verify_try(v, collect_keys, keys))
	{
		keys->n = 0;
		verify_finding(v, "unreadable", SEV_ERROR, "log_key", -1, -1, "The log's keys cannot be read: %s", v->fault);
	}
	return keys;
}

/*
 * Marks the keys of which the rows of one of the extension's own tables, each
 * an entry, say since when they are the log's.
 */
static void
mark_recorded(LogKeys *keys, ProvRel rel, AttrNumber vkey_attno, AttrNumber incarnation_attno, AttrNumber size_attno)
{
	TupleDesc	desc = prov_tupdesc(rel);
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin_ordered(&scan, rel, keys->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		nulls[3];
		Datum		d = heap_getattr(tup, vkey_attno, desc, &nulls[0]);
		Datum		incarnation = heap_getattr(tup, incarnation_attno, desc, &nulls[1]);
		Datum		size = heap_getattr(tup, size_attno, desc, &nulls[2]);
		char	   *vkey;
		bool		found = false;
		int			i;

		if (nulls[0] || nulls[1] || nulls[2])
			continue;			/* which its own history does not say */
		vkey = TextDatumGetCString(d);
		for (i = 0; i < keys->n; i++)
		{
			if (strcmp(keys->vkeys[i], vkey) != 0)
				continue;
			found = true;
			keys->recorded[i] |= keys->incarnations[i] == DatumGetInt32(incarnation) &&
				keys->sizes[i] == DatumGetInt64(size);
		}
		if (!found)
			verify_finding(keys->v, "key_missing", SEV_ERROR, "log_key", -1, -1,
						   "An entry of the log tells of the key %s, which is not among the log's keys.",
						   verify_text(vkey, strlen(vkey)));
	}
	prov_scan_end(&scan);
}

static void
collect_recorded(void *arg)
{
	mark_recorded(arg, PROV_KEY_HANDOVER, A_HAND_NEW, A_HAND_INCARNATION, A_HAND_SINCE_SIZE);
	mark_recorded(arg, PROV_INCARNATION, A_INC_VKEY, A_INC_N, A_INC_SINCE_SIZE);
}

/* Every key but that of setup() came with an entry that names it. */
static void
check_recorded(Verify *v, LogKeys *keys)
{
	bool		first = true;
	int			i;

	keys->recorded = palloc0(sizeof(bool) * (keys->n + 1));
	if (!verify_try(v, collect_recorded, keys))
	{
		verify_finding(v, "unreadable", SEV_ERROR, "key_handover", -1, -1,
					   "How the log's keys came about cannot be read: %s", v->fault);
		return;
	}
	for (i = 0; i < keys->n; i++)
	{
		if (keys->recorded[i])
			continue;
		if (first && keys->incarnations[i] == 1 && keys->sizes[i] == 0)
			first = false;
		else
			verify_finding(v, "key_unrecorded", SEV_ERROR, "log_key", -1, -1,
						   "No entry of the log says that the key %s came about as log_key has it.",
						   verify_text(keys->vkeys[i], strlen(keys->vkeys[i])));
	}
}

/* Is the checkpoint signed, and by a key whose time was not over? */
pv_status
verify_signature(Verify *v, LogKeys *keys, int32 incarnation, const pv_checkpoint *cp, const char *object)
{
	pv_vkey		vkeys[PROV_MAX_VKEYS];
	int64		sizes[PROV_MAX_VKEYS];
	unsigned	n = 0;
	unsigned	i;
	uint64_t	good = 0;
	int64		needed = -1;	/* since_size of the newest key that has begun */
	int64		signed_by = -1;
	pv_status	status;

	for (i = 0; i < keys->n && n < PROV_MAX_VKEYS; i++)
		if (keys->incarnations[i] == incarnation &&
			pv_vkey_parse(prov_hasher(), keys->vkeys[i], strlen(keys->vkeys[i]), &vkeys[n]) == PV_OK)
			sizes[n++] = keys->sizes[i];
	status = pv_checkpoint_verify(cp, vkeys, n);
	if (status == PV_E_CRYPTO)
		prov_check(status);
	if (status != PV_OK)
	{
		verify_finding(v, "signature_invalid", SEV_ERROR, object, -1, -1,
					   "The checkpoint has no good signature by a key of this log: %s.", pv_status_text(status));
		return status;
	}

	prov_check(pv_note_verify(&cp->note, vkeys, n, &good));
	for (i = 0; i < n; i++)
	{
		if (sizes[i] < (int64) cp->size)
			needed = Max(needed, sizes[i]);
		if (good & (UINT64CONST(1) << i))
			signed_by = Max(signed_by, sizes[i]);
	}
	if (signed_by < needed)
		verify_finding(v, "key_ended", SEV_ERROR, object, -1, -1,
					   "The checkpoint is signed only by a key that was replaced at size " INT64_FORMAT ".", needed);
	return PV_OK;
}

static char *
origin_of(const ProvIdentity *identity, int32 incarnation)
{
	return incarnation > 1 ? psprintf("%s/%d", identity->origin, incarnation) : pstrdup(identity->origin);
}

bool
verify_is_origin(const pv_checkpoint *cp, const char *origin)
{
	return cp->originlen == strlen(origin) && memcmp(cp->origin, origin, cp->originlen) == 0;
}

/* ---- those that the ledger keeps ---- */

static void
collect_notes(void *arg)
{
	NoteKeys   *notes = arg;
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	ProvScan	scan;
	HeapTuple	tup;

	notes->n = 0;
	prov_scan_begin(&scan, PROV_CHECKPOINT_NOTE, InvalidOid, notes->v->snapshot, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		null_incarnation,
					null_size;
		Datum		incarnation = heap_getattr(tup, A_CP_INCARNATION, desc, &null_incarnation);
		Datum		size = heap_getattr(tup, A_CP_SIZE, desc, &null_size);

		CHECK_FOR_INTERRUPTS();
		if (null_incarnation || null_size || DatumGetInt64(size) < notes->since_size)
			continue;
		if (notes->n == notes->cap)
		{
			notes->cap = notes->cap == 0 ? 64 : notes->cap * 2;
			notes->refs = notes->refs == NULL ?
				MemoryContextAllocHuge(notes->v->cxt, sizeof(CheckpointRef) * notes->cap) :
				repalloc_huge(notes->refs, sizeof(CheckpointRef) * notes->cap);
		}
		notes->refs[notes->n].incarnation = DatumGetInt32(incarnation);
		notes->refs[notes->n++].size = DatumGetInt64(size);
	}
	prov_scan_end(&scan);
}

static void
fetch_note(void *arg)
{
	FetchNote  *f = arg;
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_NOTE);
	HeapTuple	tup = prov_fetch2(PROV_CHECKPOINT_NOTE, Int32GetDatum(f->ref->incarnation),
								  Int64GetDatum(f->ref->size), f->v->snapshot);
	bool		null_root,
				null_note;
	Datum		root;
	Datum		note;

	f->found = HeapTupleIsValid(tup);
	if (!f->found)
		return;
	root = heap_getattr(tup, A_CP_ROOT, desc, &null_root);
	note = heap_getattr(tup, A_CP_NOTE, desc, &null_note);
	f->isnull = null_root || null_note;
	if (f->isnull)
		return;
	f->root = *DatumGetHashP(root);
	f->note = checkpoint_bytes(note, &f->len);
}

static int
compare_refs(const void *a, const void *b)
{
	const CheckpointRef *x = a;
	const CheckpointRef *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->incarnation < y->incarnation ? -1 : x->incarnation > y->incarnation;
}

/* True if it is signed; ref->root then is the note's. */
static bool
check_note(Verify *v, LogKeys *keys, CheckpointRef *ref)
{
	FetchNote	f = {.v = v, .ref = ref};
	char	   *object = psprintf("checkpoint " INT64_FORMAT, ref->size);
	char		fault[PROV_FAULT_LEN];
	pv_checkpoint cp;

	if (!verify_try(v, fetch_note, &f))
	{
		verify_finding(v, "unreadable", SEV_ERROR, object, -1, -1, "The checkpoint cannot be read: %s", v->fault);
		return false;
	}
	if (!f.found || f.isnull || f.note == NULL)
	{
		verify_finding(v, "checkpoint_invalid", SEV_ERROR, object, -1, -1, "The row has no note or no root, or its index does not find it.");
		return false;
	}
	if (!checkpoint_check(f.note, f.len, &cp, fault))
	{
		verify_finding(v, "checkpoint_invalid", SEV_ERROR, object, -1, -1, "The note is not a checkpoint: %s", fault);
		return false;
	}
	if (cp.size != (uint64) ref->size || !pv_hash_equal(&cp.root, &f.root) ||
		!verify_is_origin(&cp, origin_of(v->identity, ref->incarnation)))
		verify_finding(v, "checkpoint_invalid", SEV_ERROR, object, -1, -1,
					   "Size, root or incarnation of the row are not those of its note.");

	if (verify_signature(v, keys, ref->incarnation, &cp, object) != PV_OK)
		return false;
	ref->size = (int64) cp.size;
	ref->root = cp.root;
	return true;
}

LogKeys *
verify_log_keys(Verify *v)
{
	LogKeys    *keys = verify_read_keys(v);

	check_recorded(v, keys);
	return keys;
}

typedef struct StoredRoot
{
	Verify	   *v;
	uint64		size;
	bool		good;
	pv_hash		root;
} StoredRoot;

static void
read_stored_root(void *arg)
{
	StoredRoot *task = arg;
	pv_frontier f;

	if (pv_frontier_load(&f, prov_log_tree(task->v->prev_log), task->size) != PV_OK)
		return;
	prov_check(pv_frontier_root(&f, prov_hasher(), &task->root));
	task->good = true;
}

void
verify_checkpoint_row(Verify *v, LogKeys *keys, int32 incarnation, int64 size)
{
	CheckpointRef ref = {.size = size, .incarnation = incarnation};
	StoredRoot	stored = {.v = v};
	char	   *object = psprintf("checkpoint " INT64_FORMAT, size);

	if (v->identity == NULL || !check_note(v, keys, &ref))
		return;
	stored.size = (uint64) ref.size;
	if (ref.size > v->log_size)
		verify_finding(v, "checkpoint_beyond_log", SEV_ERROR, object, -1, -1,
					   "The checkpoint has " INT64_FORMAT " leaves, the log only " INT64_FORMAT ": its tail is gone.",
					   ref.size, v->log_size);
	else if (!verify_try(v, read_stored_root, &stored))
		verify_finding(v, "unreadable", SEV_ERROR, object, -1, -1, "The tree cannot be read: %s", v->fault);
	else if (!stored.good || !pv_hash_equal(&stored.root, &ref.root))
		verify_finding(v, "root_differs", SEV_ERROR, object, -1, -1,
					   "The stored hashes do not give the root of this signed checkpoint.");
}

CheckpointRef *
verify_checkpoints(Verify *v, int64 since_size, int64 *n)
{
	NoteKeys	notes = {.v = v, .since_size = since_size};
	LogKeys    *keys;
	int64		i;
	int64		good = 0;

	*n = 0;
	if (v->identity == NULL)
		return NULL;
	keys = verify_log_keys(v);
	if (!verify_try(v, collect_notes, &notes))
		verify_finding(v, "unreadable", SEV_ERROR, "checkpoint_note", -1, -1,
					   "The checkpoints cannot be read: %s", v->fault);
	verify_progress_begin(v, "checkpoints", notes.n);
	for (i = 0; i < notes.n; i++)
	{
		CheckpointRef ref = notes.refs[i];
		MemoryContext old = MemoryContextSwitchTo(v->tmp);

		if (check_note(v, keys, &ref))
			notes.refs[good++] = ref;
		MemoryContextSwitchTo(old);
		MemoryContextReset(v->tmp);
		verify_progress(v, i + 1);
	}
	verify_cosignatures(v, since_size);
	if (good > 1)
		qsort(notes.refs, good, sizeof(CheckpointRef), compare_refs);
	*n = good;
	return notes.refs;
}
