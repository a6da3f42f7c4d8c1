/*-------------------------------------------------------------------------
 *
 * cosign.c
 *	  cosign(): this database as a witness of a partner's log.
 *
 * A cosignature says: this head extends every head of that origin that this
 * key has cosigned before. What "before" was is read from a file outside the
 * database (doc/format.md, "Witness's state file"), one for each origin, so
 * that a rollback, a restore or a clone does not make the witness forget. The
 * order is that of publish.c:
 *	1. Under the lock of the state directory: the state is read, its owner
 *	   checked, the partner's newest verified checkpoint compared with it.
 *	2. The new head is written and synced, file and folder.
 *	3. The signature is made and checked.
 *	4. The row of `cosigned`, in a transaction of its own.
 * A crash after 2 leaves a head that may be cosigned again: the same size and
 * root, at another time.
 *
 * cosign() takes the partner's newest checkpoint that inbox verified. That it
 * extends the older head is taken from what inbox verified, too, as every
 * checkpoint stored of a log extends the one stored before it: so the head of
 * the state must be among them. Where it is not (a database restored to an
 * earlier time), the caller brings the consistency path. cosign_request()
 * (witness_request.c) is shown a checkpoint and the path, as tlog-witness has
 * it: for a partner whose bundles are merged only once witnesses have cosigned.
 * Two good heads of one size are evidence of a fork, and recorded (fork.c).
 *
 * All of it is done by a request's worker in its own transactions: what the
 * caller gets has left the server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/stop_point.h"
#include "partner/witness.h"

PG_FUNCTION_INFO_V1(provenance_cosign);

#define LINE_MAX_LEN 512		/* of a signature line of ours */

/* What is to be cosigned, and by whom. */
typedef struct Cosigning
{
	ProvIdentity *identity;
	ProvPartner *partner;
	char	   *origin;			/* of the log, with incarnation */
	int32		log_id;
	Datum		note;			/* as verified */
	pv_checkpoint cp;
	int64		old_size;		/* -1: inbox saw the checkpoint; else what it was shown to extend */
	int			npath;			/* -1: none given */
	const pv_hash *path;
	ProvStateDir *locked;		/* NULL before the lock */
} Cosigning;

pg_noreturn static void
refuse(const Cosigning *c, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no checkpoint of partner \"%s\" is cosigned", c->partner->name),
			 errdetail_internal("%s.", detail),
			 hint ? errhint("%s", hint) : 0));
	pg_unreachable();
}

/*
 * The partner has signed two heads of one size. Where both notes are good, that
 * is evidence: recorded here, since this is a worker's transaction.
 */
pg_noreturn static void
refuse_fork(const Cosigning *c, Datum a, Datum b, const char *detail)
{
	char	   *name;

	switch (prov_fork_heads(a, b))
	{
		case PROV_FORK_NONE:
			refuse(c, detail, NULL);
			break;
		case PROV_FORK_DECIDED:
			refuse(c, detail,
				   "An administrator has decided about this evidence: see provenance.fork_evidence. The partner is cosigned again with a log that extends what was merged and cosigned here, or with a successor, which provenance.new_incarnation(reason) makes there.");
			break;
		case PROV_FORK_RECORDED:
			break;
	}
	name = MemoryContextStrdup(TopMemoryContext, c->partner->name);
	detail = MemoryContextStrdup(TopMemoryContext, detail);
	/* a commit, unlike the error of a refusal, does not expect an open folder */
	if (c->locked != NULL)
		prov_state_unlock(c->locked);
	PopActiveSnapshot();
	/* the evidence outlives the call that brought it */
	ForceSyncCommit();
	PROV_STOP_POINT("cosign-fork-row");
	CommitTransactionCommand();
	PROV_STOP_POINT("cosign-fork-done");
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no checkpoint of partner \"%s\" is cosigned", name),
			 errdetail_internal("%s.", detail),
			 errhint("The view provenance.fork_evidence has the evidence. Nothing more of this partner is merged or cosigned until an administrator decides.")));
}

/* --- what is to be cosigned --------------------------------------------- */

/* 1 for an origin without incarnation. */
static uint64
incarnation_of(const char *origin)
{
	const char *slash = strchr(origin, '/');
	uint64		n = 1;

	if (slash != NULL && pv_parse_decimal(slash + 1, strlen(slash + 1), PG_UINT32_MAX, &n) != PV_OK)
		n = 0;
	return n;
}

/* The partner's newest incarnation of which there is a checkpoint. */
static bool
newest_log(Cosigning *c)
{
	static const AttrNumber needed[] = {A_PLOG_ID, A_PLOG_PARTNER, A_PLOG_ORIGIN, 0};
	TupleDesc	desc = prov_tupdesc(PROV_PARTNER_LOG);
	ProvScan	scan;
	HeapTuple	tup;
	uint64		newest = 0;

	prov_scan_begin(&scan, PROV_PARTNER_LOG, InvalidOid, NULL, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		Datum		values[N_PLOG];
		bool		nulls[N_PLOG];
		char	   *origin;
		int64		size;
		pv_hash		root;

		heap_deform_tuple(tup, desc, values, nulls);
		prov_refuse_nulls(PROV_PARTNER_LOG, nulls, needed);
		if (DatumGetInt32(values[A_PLOG_PARTNER - 1]) != c->partner->partner_id)
			continue;
		origin = TextDatumGetCString(values[A_PLOG_ORIGIN - 1]);
		if (incarnation_of(origin) <= newest ||
			!prov_partner_checkpoint(DatumGetInt32(values[A_PLOG_ID - 1]), -1, &size, &root, NULL))
			continue;
		newest = incarnation_of(origin);
		c->origin = origin;
		c->log_id = DatumGetInt32(values[A_PLOG_ID - 1]);
	}
	prov_scan_end(&scan);
	return newest > 0;
}

/* One that somebody showed. */
static void
take_head(Cosigning *c, const char *note, Size len)
{
	char		fault[PROV_FAULT_LEN];

	c->note = checkpoint_to_datum(note, len);
	note = checkpoint_bytes(c->note, &len);
	if (!checkpoint_check(note, len, &c->cp, fault))
		elog(ERROR, "malformed request");
	c->origin = pnstrdup(c->cp.origin, c->cp.originlen);
	c->partner = prov_partner_by_origin(c->cp.origin, c->cp.originlen);
	if (c->partner == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no partner has the origin \"%s\"", prov_format_out(c->origin, c->cp.originlen))));
	c->log_id = prov_partner_log(c->partner->partner_id, c->origin, false);
}

/* A head that somebody showed, now known to be signed: is it another one than was merged? */
static void
check_merged(const Cosigning *c)
{
	int64		size;
	pv_hash		root;
	Datum		note;

	if (c->log_id != 0 && prov_partner_checkpoint(c->log_id, (int64) c->cp.size, &size, &root, &note) &&
		!pv_hash_equal(&root, &c->cp.root))
		refuse_fork(c, note, c->note,
					psprintf("A checkpoint of size %lld with another root was merged: the partner has signed two logs", (long long) size));
}

/* The newest that inbox has verified. */
static void
find_head(Cosigning *c, const char *name)
{
	int64		size;
	pv_hash		root;

	c->partner = prov_partner_by_name(name);
	if (c->partner == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no partner \"%s\"", name)));
	if (!newest_log(c))
		refuse(c, "None has been seen yet", "Merge a bundle of that partner: COPY provenance.inbox FROM ….");
	if (!prov_partner_checkpoint(c->log_id, -1, &size, &root, &c->note))
		elog(ERROR, "checkpoint of log %d is gone", c->log_id);

	/* a row can be written by a superuser */
	checkpoint_get(c->note, &c->cp);
	if ((int64) c->cp.size != size || !pv_hash_equal(&c->cp.root, &root) ||
		c->cp.originlen != strlen(c->origin) || memcmp(c->cp.origin, c->origin, c->cp.originlen) != 0)
		refuse(c, psprintf("The row of its checkpoint of size %lld is not what the note says", (long long) size), NULL);
}

/* Is the partner believed, and did it sign? Its keys may have been replaced since. */
static void
check_partner(const Cosigning *c)
{
	if (c->partner->state != PROV_PARTNER_TRUSTED)
		refuse(c, c->partner->state == PROV_PARTNER_FORKED ? "It has signed two logs: see provenance.fork_evidence" :
			   "The partner was removed", NULL);
	if (!prov_holds(pv_checkpoint_verify(&c->cp, c->partner->keys, c->partner->nkeys)))
		refuse(c, psprintf("The checkpoint of size %llu has no good signature by a key that the partner has now",
						   (unsigned long long) c->cp.size), NULL);
}

/* --- what was cosigned -------------------------------------------------- */

/* A row says that this key has cosigned the origin before. */
static bool
row_exists(const Cosigning *c)
{
	ProvScan	scan;
	ScanKeyData keys[2];
	bool		found;

	prov_key_init(&keys[0], PROV_COSIGNED, A_COSD_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(c->identity->incarnation));
	prov_key_init(&keys[1], PROV_COSIGNED, A_COSD_ORIGIN, BTEqualStrategyNumber, CStringGetTextDatum(c->origin));
	prov_scan_begin_ordered(&scan, PROV_COSIGNED, NULL, 2, keys);
	found = HeapTupleIsValid(prov_scan_next(&scan, ForwardScanDirection));
	prov_scan_end(&scan);
	return found;
}

/*
 * The last head cosigned; false if there is none. Another incarnation of ours
 * cosigned with another key, but what it knew is worth knowing.
 */
static bool
last_head(const Cosigning *c, const ProvStateDir *dir, const ProvOwner *self, ProvSignerState *state)
{
	char	   *reason = NULL;

	switch (prov_cosigned_read(dir, c->identity->full_origin, c->origin, state, &reason))
	{
		case PROV_STATE_BAD:
			refuse(c, psprintf("Here %s", reason), "Restore the file.");
			break;
		case PROV_STATE_OK:
			reason = prov_owner_difference(&state->owner, self);
			if (reason != NULL)
				refuse(c, psprintf("What was cosigned of \"%s\" belongs to %s", c->origin, reason),
					   "After a failover or a move: provenance.adopt(). A copy goes on under an origin of its own: provenance.new_incarnation(reason).");
			return true;
		case PROV_STATE_ABSENT:
			break;
	}
	if (row_exists(c))
		refuse(c, psprintf("There is no file in \"%s\" about what was cosigned of \"%s\", and the ledger says that something was", dir->path, c->origin),
			   "Restore the file, or have it made from the ledger: provenance.adopt().");
	for (int n = c->identity->incarnation - 1; n >= 1; n--)
	{
		char	   *witness = n > 1 ? psprintf("%s/%d", c->identity->origin, n) : c->identity->origin;

		if (prov_cosigned_read(dir, witness, c->origin, state, &reason) == PROV_STATE_OK)
			return true;
	}
	return false;
}

/* The note in the state file against another one of its size. */
pg_noreturn static void
refuse_cosigned(const Cosigning *c, const ProvSignerState *state, Datum note)
{
	const char *detail = psprintf("At size %llu another root was cosigned: the partner has signed two logs",
								  (unsigned long long) state->size);

	if (state->note == NULL)
		refuse(c, detail, NULL);
	refuse_fork(c, checkpoint_to_datum(state->note, state->notelen), note, detail);
}

static void
check_extends(const Cosigning *c, const ProvSignerState *state)
{
	int64		size;
	pv_hash		root;
	Datum		note;

	if (c->old_size >= 0 && (uint64) c->old_size != state->size)
		refuse(c, psprintf("The request goes from size %lld, the last size cosigned is %llu",
						   (long long) c->old_size, (unsigned long long) state->size),
			   psprintf("Ask for provenance.witness_request(old_size => %llu).", (unsigned long long) state->size));
	if (c->cp.size < state->size)
		refuse(c, psprintf("The checkpoint has size %llu, and size %llu was cosigned",
						   (unsigned long long) c->cp.size, (unsigned long long) state->size),
			   c->old_size < 0 ? "Merge a newer bundle of that partner." : NULL);
	if (c->cp.size == state->size)
	{
		if (!pv_hash_equal(&c->cp.root, &state->root))
			refuse_cosigned(c, state, c->note);
		return;
	}
	if (c->npath >= 0)
	{
		if (!prov_holds(pv_verify_consistency(prov_hasher(), state->size, &state->root,
											  c->cp.size, &c->cp.root, c->path, c->npath)))
			refuse(c, psprintf("The path given does not show that size %llu extends size %llu",
							   (unsigned long long) c->cp.size, (unsigned long long) state->size), NULL);
		return;
	}
	if (!prov_partner_checkpoint(c->log_id, (int64) state->size, &size, &root, &note))
		refuse(c, psprintf("Size %llu was cosigned, and is not among the checkpoints seen: that size %llu extends it is not proven",
						   (unsigned long long) state->size, (unsigned long long) c->cp.size),
			   psprintf("Ask the partner for provenance.prove_consistency(%llu, %llu), and give the path to cosign().",
						(unsigned long long) state->size, (unsigned long long) c->cp.size));
	if (!pv_hash_equal(&root, &state->root))
		refuse_cosigned(c, state, note);
}

/* --- signing ------------------------------------------------------------ */

/* The line, with its newline. */
static void
sign_line(const Cosigning *c, const ProvKey *key, const pv_vkey *vkey, pv_buf *line)
{
	uint8		message[PV_CHECKPOINT_MAX_LEN + 64];
	uint8		blob[PV_COSIGNATURE_BLOB_LEN];
	uint64		seconds = (uint64) time(NULL);
	uint64_t	verified;
	pv_buf		b;

	pv_buf_init(&b, message, sizeof(message));
	pv_put_cosignature_message(&b, seconds, c->cp.note.text, c->cp.note.textlen);
	prov_check(pv_buf_status(&b));
	for (int i = 0; i < 8; i++)
		blob[i] = (uint8) (seconds >> (56 - 8 * i));
	prov_check(pv_ed25519_sign(key->pkey, message, b.len, blob + 8));
	pv_put_note_sig(line, vkey, blob, sizeof(blob));
	prov_check(pv_buf_status(line));
	/* nothing that does not verify gets out */
	prov_check(pv_cosignature_verify_line(c->cp.note.text, c->cp.note.textlen, (const char *) line->data, line->len - 1,
										  vkey, &verified));
}

static void
sign_locked(const Cosigning *c, const ProvStateDir *dir, pv_buf *line)
{
	ProvSignerState own;
	ProvSignerState state;
	ProvOwner	self;
	ProvKey    *key;
	pv_vkey		vkey;
	char	   *reason = NULL;
	const char *bytes;
	size_t		len;
	bool		known;

	/* who may not sign for the log may not cosign in its name either */
	prov_owner_self(dir, &self);
	switch (prov_state_read(dir, c->identity->full_origin, &own, &reason))
	{
		case PROV_STATE_BAD:
			refuse(c, psprintf("Here %s", reason), "Restore the file.");
			break;
		case PROV_STATE_ABSENT:
			refuse(c, psprintf("There is no signer's state of origin \"%s\" in \"%s\"", c->identity->full_origin, dir->path), NULL);
			break;
		case PROV_STATE_OK:
			reason = prov_owner_difference(&own.owner, &self);
			if (reason != NULL)
				refuse(c, psprintf("The signer's state belongs to %s", reason),
					   "After a failover or a move: provenance.adopt(). A copy goes on under an origin of its own: provenance.new_incarnation(reason).");
			break;
	}
	known = last_head(c, dir, &self, &state);
	if (!known && c->old_size >= 0)
	{
		/* nothing was cosigned: from size 0 on there is nothing to prove */
		memset(&state, 0, sizeof(state));
		state.root = pv_empty_root;
	}
	if (known || c->old_size >= 0)
		check_extends(c, &state);
	key = prov_witness_key_load(dir, c->identity, &vkey, &reason);
	if (key == NULL)
		refuse(c, psprintf("Of this database's key to cosign with, %s", reason),
			   prov_witness_vkey(c->identity->incarnation) ? NULL : "SELECT provenance.setup_witness() makes one.");

	if (!known || state.size != c->cp.size || strcmp(state.witness, c->identity->full_origin) != 0)
	{
		memset(&state, 0, sizeof(state));
		bytes = checkpoint_bytes(c->note, &len);
		state.witness = c->identity->full_origin;
		state.origin = c->origin;
		state.size = c->cp.size;
		state.root = c->cp.root;
		state.owner = self;
		state.note = unconstify(char *, bytes);
		state.notelen = len;
		prov_state_write(dir, &state);
		PROV_STOP_POINT("cosign-state");
	}
	sign_line(c, key, &vkey, line);
	PROV_STOP_POINT("cosign-signature");
	prov_key_free(key);
}

/* In the caller's transaction, which is the worker's. */
static void
write_row(const Cosigning *c, const pv_buf *line)
{
	ProvScan	scan;
	ScanKeyData keys[3];
	bool		exists;
	const char *bytes;
	size_t		len;
	StringInfoData note;
	ProvWriter	w;
	Datum		values[N_COSD];
	bool		nulls[N_COSD] = {false};

	prov_key_init(&keys[0], PROV_COSIGNED, A_COSD_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(c->identity->incarnation));
	prov_key_init(&keys[1], PROV_COSIGNED, A_COSD_ORIGIN, BTEqualStrategyNumber, CStringGetTextDatum(c->origin));
	prov_key_init(&keys[2], PROV_COSIGNED, A_COSD_SIZE, BTEqualStrategyNumber, Int64GetDatum((int64) c->cp.size));
	prov_scan_begin_ordered(&scan, PROV_COSIGNED, NULL, 3, keys);
	exists = HeapTupleIsValid(prov_scan_next(&scan, ForwardScanDirection));
	prov_scan_end(&scan);
	if (exists)
		return;

	bytes = checkpoint_bytes(c->note, &len);
	initStringInfo(&note);
	appendBinaryStringInfo(&note, bytes, len);
	if (c->cp.note.nsigs < PV_NOTE_MAX_SIGS && len + line->len <= PV_CHECKPOINT_MAX_LEN)
		appendBinaryStringInfo(&note, (const char *) line->data, line->len);
	values[A_COSD_INCARNATION - 1] = Int32GetDatum(c->identity->incarnation);
	values[A_COSD_SIZE - 1] = Int64GetDatum((int64) c->cp.size);
	values[A_COSD_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_COSD_ORIGIN - 1] = CStringGetTextDatum(c->origin);
	values[A_COSD_NOTE - 1] = checkpoint_to_datum(note.data, note.len);
	prov_writer_open(&w, PROV_COSIGNED);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
}

/* The question: this, the hashes, then a partner's name or a note. */
typedef struct Question
{
	int64		old_size;
	int32		npath;			/* -1: none were given */
} Question;

void
prov_cosign_handler(const char *question, Size len, StringInfo answer)
{
	MemoryContext outer = CurrentMemoryContext;
	Cosigning	c;
	ProvStateDir dir;
	char	   *reason = NULL;
	uint8		data[LINE_MAX_LEN];
	pv_buf		line;
	Question	q;
	Size		skip;

	memset(&c, 0, sizeof(c));
	memcpy(&q, question, sizeof(q));
	skip = sizeof(q) + Max(q.npath, 0) * sizeof(pv_hash);
	Assert(len >= skip);
	c.old_size = q.old_size;
	c.npath = q.npath;
	c.path = memcpy(palloc(skip), question + sizeof(q), skip - sizeof(q));

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	c.identity = prov_identity(false);
	if (c.old_size < 0)
		find_head(&c, pnstrdup(question + skip, len - skip));
	else
		take_head(&c, question + skip, len - skip);
	check_partner(&c);
	check_merged(&c);
	if (!prov_state_lock(prov_state_directory_find(c.identity->state_directory), &dir, &reason))
		refuse(&c, psprintf("Of the signer's state, %s", reason), NULL);
	c.locked = &dir;
	pv_buf_init(&line, data, sizeof(data));
	sign_locked(&c, &dir, &line);
	prov_state_unlock(&dir);
	write_row(&c, &line);
	ereport(LOG,
			(errmsg("cosigned the checkpoint of size %llu of \"%s\"", (unsigned long long) c.cp.size, c.origin)));
	PopActiveSnapshot();
	PROV_STOP_POINT("cosign-row");
	CommitTransactionCommand();
	PROV_STOP_POINT("cosign-done");
	MemoryContextSwitchTo(outer);
	appendBinaryStringInfo(answer, (const char *) data, line.len);
}

char *
prov_cosign(int64 old_size, const pv_hash *path, int npath, const char *what, Size len)
{
	StringInfoData question;
	StringInfo	answer;
	Question	q;

	memset(&q, 0, sizeof(q));
	q.old_size = old_size;
	q.npath = npath;
	initStringInfo(&question);
	appendBinaryStringInfo(&question, (char *) &q, sizeof(q));
	if (npath > 0)
		appendBinaryStringInfo(&question, (const char *) path, npath * sizeof(pv_hash));
	appendBinaryStringInfo(&question, what, len);
	answer = prov_request(PROV_REQUEST_COSIGN, question.data, question.len, LINE_MAX_LEN);
	/* without its newline */
	return prov_format_out(answer->data, answer->len - 1);
}

/* cosign(partner text, path hash[] DEFAULT NULL) */
Datum
provenance_cosign(PG_FUNCTION_ARGS)
{
	char	   *name;
	int			npath = -1;
	pv_hash    *path = NULL;

	PreventCommandDuringRecovery("cosign()");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
	{
		path = hash_array_get(PG_GETARG_ARRAYTYPE_P(1), &npath);
		if (npath > PV_MAX_PATH)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the path is too long"),
					 errdetail("It has %d hashes, at most %d are possible.", npath, PV_MAX_PATH)));
	}
	PG_RETURN_TEXT_P(cstring_to_text(prov_cosign(-1, path, npath, name, strlen(name))));
}
