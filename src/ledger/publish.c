/*-------------------------------------------------------------------------
 *
 * publish.c
 *	  Signing the head of the log: state, signature, row.
 *
 * The order, and what a crash after each step leaves:
 *	1. The leaf order is committed (prov_seal_batch).
 *	2. Under the lock of the state directory: the state is read, its owner and
 *	   the log checked against it, and the new size and root written, synced,
 *	   file and folder; the note in it is still the one before.
 *	   A crash here: the state is ahead of its note. The next call signs the
 *	   state's head first. Ed25519 is deterministic, so whatever was signed
 *	   before the crash is signed again, byte for byte.
 *	3. The signature is made and checked, the note goes into the state file.
 *	   A crash here: the checkpoint's row is missing; it is written from the
 *	   state file's note.
 *	4. The row, in a transaction of its own. Only from here on does anybody
 *	   get the note.
 *	5. Log line, NOTIFY, files (announce.c).
 * So a signature never leaves for a head that the state does not hold, and
 * the state never moves to a head that does not extend the one before.
 *
 * The caller holds the sealer's lock and is in no transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ledger/publish.h"
#include "ledger/settings.h"
#include "ledger/signer.h"
#include "ledger/stop_point.h"
#include "ledger/worker.h"
#include "types/types.h"

/* What is to be written after signing; at most an old head and a new one. */
typedef struct Outgoing
{
	char	   *origin;
	int			incarnation;
	int			n;
	ProvSigned	heads[2];
} Outgoing;

HeapTuple
prov_newest_checkpoint(int incarnation)
{
	ScanKeyData key;
	ProvScan	scan;
	HeapTuple	tup;

	prov_key_init(&key, PROV_CHECKPOINT_NOTE, A_CP_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(incarnation));
	prov_scan_begin_ordered(&scan, PROV_CHECKPOINT_NOTE, GetLatestSnapshot(), 1, &key);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tup))
		tup = heap_copytuple(tup);
	prov_scan_end(&scan);
	return tup;
}

static int64
checkpoint_size_time(HeapTuple tup, TimestampTz *signed_at)
{
	bool		isnull;

	if (tup == NULL)
	{
		*signed_at = 0;
		return -1;
	}
	*signed_at = DatumGetTimestampTz(heap_getattr(tup, A_CP_SIGNED_AT, prov_tupdesc(PROV_CHECKPOINT_NOTE), &isnull));
	return DatumGetInt64(heap_getattr(tup, A_CP_SIZE, prov_tupdesc(PROV_CHECKPOINT_NOTE), &isnull));
}

int64
prov_last_published(TimestampTz *signed_at)
{
	MemoryContext old = CurrentMemoryContext;
	ProvIdentity *identity;
	int64		size = -1;

	*signed_at = 0;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	identity = prov_identity(true);
	if (identity)
		size = checkpoint_size_time(prov_newest_checkpoint(identity->incarnation), signed_at);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(old);
	return size;
}

/* The note of a head, signed by each key and checked, in context. */
static void
sign_head(const ProvSigners *signers, const char *origin, ProvSigned *head, MemoryContext context)
{
	Size		cap = 4096;
	char	   *note = MemoryContextAlloc(context, cap);
	pv_buf		b;
	Size		textlen;

	pv_buf_init(&b, note, cap);
	pv_put_checkpoint_text(&b, origin, strlen(origin), head->size, &head->root);
	prov_check(pv_buf_status(&b));
	textlen = b.len;
	pv_put_u8(&b, '\n');
	for (int i = 0; i < signers->n; i++)
	{
		const ProvKey *key = signers->keys[i];
		uint8		sig[PV_ED25519_SIGNATURE_LEN];
		pv_vkey		vkey;

		prov_check(pv_vkey_make(prov_hasher(), origin, strlen(origin), PV_SIG_ED25519,
								key->public_key, &vkey));
		prov_check(pv_ed25519_sign(key->pkey, note, textlen, sig));
		/* a token that signs wrongly must not get its signature out */
		prov_check(pv_ed25519_verify(key->public_key, note, textlen, sig));
		pv_put_note_sig(&b, &vkey, sig, sizeof(sig));
	}
	prov_check(pv_buf_status(&b));
	head->note = note;
	head->notelen = b.len;
}

static void
root_at(ProvLog *log, uint64 size, pv_hash *root)
{
	pv_status	status = pv_tree_root(prov_log_tree(log), size, root);

	if (status == PV_E_STORAGE)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the log's tree cannot be read up to size %llu", (unsigned long long) size)));
	prov_check(status);
}

/* The size that the state's note signs; -1 without a note. */
static int64
note_size(const ProvSignerState *state)
{
	pv_checkpoint cp;

	if (state->note == NULL)
		return -1;
	prov_check(pv_checkpoint_parse(state->note, state->notelen, &cp));
	return (int64) cp.size;
}

/* Signs a head that the state holds already, and puts the note into it. */
static void
finish_state(const ProvStateDir *dir, ProvSignerState *state, const ProvSigners *signers,
			 Outgoing *pub, MemoryContext context)
{
	ProvSigned *head = &pub->heads[pub->n++];

	head->size = state->size;
	head->root = state->root;
	sign_head(signers, state->origin, head, context);
	PROV_STOP_POINT("publish-signature");
	state->note = head->note;
	state->notelen = head->notelen;
	prov_state_write(dir, state);
	PROV_STOP_POINT("publish-note");
}

/* The size at which the incarnation began. */
static int64
incarnation_since(int incarnation)
{
	int			n;
	ProvLogKey *keys = prov_log_keys(incarnation, &n);

	return n > 0 ? keys[0].since_size : 0;
}

/* Steps 2 and 3, the directory being locked. False and *reason: stopped. */
static bool
sign_locked(const ProvStateDir *dir, const ProvIdentity *identity, ProvLog *log, int64 size,
			Outgoing *pub, MemoryContext context, char **reason)
{
	const char *origin = identity->full_origin;
	ProvSignerState state;
	ProvOwner	self;
	char	   *other;
	ProvKeySettings settings;
	ProvSigners before = {0};
	ProvSigners signers = {0};
	pv_hash		root;
	int64		noted;

	switch (prov_state_read(dir, origin, &state, reason))
	{
		case PROV_STATE_BAD:
			return false;
		case PROV_STATE_ABSENT:
			*reason = psprintf("there is no signer's state of origin \"%s\" in \"%s\"", origin, dir->path);
			return false;
		case PROV_STATE_OK:
			break;
	}
	prov_owner_self(dir, &self);
	other = prov_owner_difference(&state.owner, &self);
	if (other != NULL)
	{
		*reason = psprintf("the signer's state belongs to %s", other);
		return false;
	}
	if ((uint64) size < state.size)
	{
		*reason = psprintf("the log holds %lld entries, but was signed at size %llu",
						   (long long) size, (unsigned long long) state.size);
		return false;
	}
	root_at(log, state.size, &root);
	if (!pv_hash_equal(&root, &state.root))
	{
		*reason = psprintf("the log does not extend the one that was signed at size %llu",
						   (unsigned long long) state.size);
		return false;
	}
	/* the entry that names the head given up has to be under every signature */
	if (identity->incarnation > 1 && size <= incarnation_since(identity->incarnation))
		return true;

	/* the keys, before the state is moved */
	prov_key_settings(&settings);
	if (!prov_signers_load(dir, origin, identity->incarnation, size, &settings, &signers, reason))
		return false;

	/* what a crash left unfinished; at size 0 nothing can have been signed */
	noted = note_size(&state);
	if (noted >= 0 && noted == (int64) state.size)
	{
		ProvSigned *head = &pub->heads[pub->n++];

		head->size = state.size;
		head->root = state.root;
		head->note = MemoryContextAlloc(context, state.notelen);
		head->notelen = state.notelen;
		memcpy(head->note, state.note, state.notelen);
	}
	else if (state.size > 0 || size == 0)
	{
		char	   *ignored;

		/* by the keys of then; if they are gone, the newest will do */
		if (prov_signers_load(dir, origin, identity->incarnation, state.size, &settings, &before, &ignored))
			finish_state(dir, &state, &before, pub, context);
		else
			finish_state(dir, &state, &signers, pub, context);
	}

	if ((uint64) size > state.size)
	{
		root_at(log, size, &root);
		state.size = size;
		state.root = root;
		state.owner.host = self.host;
		PROV_STOP_POINT("publish-begin");
		prov_state_write(dir, &state);
		PROV_STOP_POINT("publish-state");
		finish_state(dir, &state, &signers, pub, context);
	}
	prov_signers_free(&before);
	prov_signers_free(&signers);
	prov_keys_tidy(dir, origin, identity->incarnation, &settings);
	return true;
}

/* True if the row was not there yet. */
static bool
write_row(int incarnation, const ProvSigned *head)
{
	ProvWriter	w;
	Datum		values[N_CP];
	bool		nulls[N_CP];
	bool		written = false;
	MemoryContext old = CurrentMemoryContext;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (prov_fetch2(PROV_CHECKPOINT_NOTE, Int32GetDatum(incarnation), Int64GetDatum(head->size), NULL) == NULL)
	{
		memset(nulls, 0, sizeof(nulls));
		values[A_CP_INCARNATION - 1] = Int32GetDatum(incarnation);
		values[A_CP_SIZE - 1] = Int64GetDatum(head->size);
		values[A_CP_SIGNED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[A_CP_ROOT - 1] = hash_to_datum(&head->root);
		values[A_CP_NOTE - 1] = checkpoint_to_datum(head->note, head->notelen);
		prov_writer_open(&w, PROV_CHECKPOINT_NOTE);
		prov_insert(&w, values, nulls);
		prov_writer_close(&w);
		written = true;
	}
	PopActiveSnapshot();
	PROV_STOP_POINT("publish-row");
	CommitTransactionCommand();
	PROV_STOP_POINT("publish-row-done");
	MemoryContextSwitchTo(old);
	return written;
}

bool
prov_publish(char **reason)
{
	static bool checked = false;	/* looked at the state in this process? */
	MemoryContext outer = CurrentMemoryContext;
	ProvIdentity *identity;
	ProvLog    *log;
	int64		size;
	TimestampTz signed_at;
	Outgoing pub;
	bool		ok = true;
	char	   *why = NULL;

	memset(&pub, 0, sizeof(pub));
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	identity = prov_identity(false);
	pub.incarnation = identity->incarnation;
	pub.origin = MemoryContextStrdup(outer, identity->full_origin);
	log = prov_log_open(NULL);
	size = prov_log_size(log);
	if (!checked || checkpoint_size_time(prov_newest_checkpoint(identity->incarnation), &signed_at) != size)
	{
		ProvStateDir dir;
		char	   *directory = prov_state_directory_find(identity->state_directory);

		ok = prov_state_lock(directory, &dir, &why);
		if (ok)
		{
			ok = sign_locked(&dir, identity, log, size, &pub, outer, &why);
			prov_state_unlock(&dir);
		}
		if (!ok && strcmp(directory, identity->state_directory) != 0)
			why = psprintf("%s (it was in \"%s\")", why, identity->state_directory);
		if (!ok)
			*reason = MemoryContextStrdup(outer, why);
	}
	prov_log_close(log);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(outer);

	for (int i = 0; i < pub.n; i++)
	{
		if (write_row(pub.incarnation, &pub.heads[i]))
			prov_announce(pub.origin, &pub.heads[i]);
	}
	checked = ok;
	return ok;
}

bool
prov_publish_and_report(char **reason)
{
	bool		ok = prov_publish(reason);

	prov_report_signer(ok ? NULL : *reason);
	return ok;
}
