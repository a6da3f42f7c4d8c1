/*-------------------------------------------------------------------------
 *
 * inbox_head.c
 *	  The first lines of a bundle: whose it is, who signed it, and whether it
 *	  extends what was seen of that log.
 *
 * A partner's log is trusted on first use: the first checkpoint seen of it is
 * taken by its signature (and cosignatures) alone. From then on every other
 * one must be connected to the newest one seen.
 *
 * Two checkpoints of one size with different roots are evidence of a fork by
 * themselves. A path that is missing or wrong is no evidence: whoever handed
 * over the file can have spoiled it. Such a bundle is refused, but read to its
 * end first if there is a merged entry that it could contradict (fork.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "ledger/seal.h"
#include "ledger/store.h"
#include "partner/inbox.h"

static void
check_state(ProvInbox *in)
{
	if (in->partner->state == PROV_PARTNER_REMOVED)
		prov_inbox_refuse(in, ERRCODE_BUNDLE_NOT_TRUSTED, "the partner was removed", NULL,
						  "SELECT provenance.add_partner() takes it back.");
	if (in->partner->state == PROV_PARTNER_FORKED)
		prov_inbox_refuse(in, ERRCODE_BUNDLE_NOT_TRUSTED, "the partner signed two different logs", NULL,
						  "The view provenance.fork_evidence has the evidence; SELECT provenance.resolve_fork() trusts the partner again.");
}

void
prov_inbox_header(ProvInbox *in)
{
	const pv_bundle_header *h = &in->reader->header;
	ProvIdentity *own = prov_identity(false);
	const char *slash;
	size_t		len;
	MemoryContext old = MemoryContextSwitchTo(in->cxt);

	in->origin = prov_inbox_text(h->origin.data, h->origin.len);
	slash = strchr(in->origin, '/');
	len = slash != NULL ? (size_t) (slash - in->origin) : strlen(in->origin);
	if (strlen(own->origin) == len && memcmp(own->origin, in->origin, len) == 0)
		prov_inbox_refuse(in, ERRCODE_BUNDLE_OWN, "it is of this database's own log", NULL, NULL);
	in->partner = prov_partner_by_origin(in->origin, strlen(in->origin));
	if (in->partner == NULL)
		prov_inbox_refuse(in, ERRCODE_BUNDLE_UNKNOWN_PARTNER, "no partner has this origin", NULL,
						  "SELECT provenance.add_partner() registers a partner's keys.");
	check_state(in);

	/* what holds now holds to the end: merges of a partner follow each other */
	prov_lock_merge_xact(in->partner->partner_id);
	in->partner = prov_partner_by_id(in->partner->partner_id);
	check_state(in);

	/* … but the lock lets its own session pass, and two heads that extend one need not extend each other */
	for (ProvInbox *outer = in->outer; outer != NULL; outer = outer->outer)
		if (outer->partner != NULL && outer->partner->partner_id == in->partner->partner_id)
			prov_inbox_refuse(in, ERRCODE_BUNDLE_ORDER, "the statement that this one runs in is merging a bundle of the same partner",
							  NULL, NULL);

	in->schema = prov_inbox_text(h->schema.data, h->schema.len);
	in->table = prov_inbox_text(h->table.data, h->table.len);
	in->recipient = prov_inbox_text(h->recipient.data, h->recipient.len);
	in->purpose = prov_inbox_text(h->purpose.data, h->purpose.len);
	in->log_id = prov_partner_log(in->partner->partner_id, in->origin, false);
	MemoryContextSwitchTo(old);

	if (h->size == 0)
		prov_inbox_refuse(in, ERRCODE_BUNDLE_MALFORMED, "an empty log shows nothing", NULL, NULL);
}

static void
check_witnesses(ProvInbox *in)
{
	unsigned	good = 0;

	for (unsigned i = 0; i < in->partner->nwitnesses; i++)
	{
		uint64_t	seconds;
		pv_status	status = pv_cosignature_verify(&in->reader->checkpoint, &in->partner->witnesses[i], &seconds);

		if (prov_holds(status))
			good++;
		else if (status != PV_E_UNKNOWN_KEY)
			prov_inbox_refuse(in, ERRCODE_BUNDLE_WITNESSES, "a cosignature is wrong",
							  psprintf("The witness is \"%s\".", in->partner->witnesses[i].name), NULL);
	}
	if ((int) good < in->partner->quorum)
		prov_inbox_refuse(in, ERRCODE_BUNDLE_WITNESSES, "too few witnesses cosigned the checkpoint",
						  psprintf("%u did, %d must.", good, in->partner->quorum), NULL);
}

/* Refuses, now or, where the bundle may hold evidence, when it has been read. */
static void
defer(ProvInbox *in, int sqlstate, const char *reason, const char *detail, const char *hint)
{
	if (in->deferred.sqlstate != 0)
		return;
	in->deferred.sqlstate = sqlstate;
	in->deferred.line = in->line;
	in->deferred.reason = reason;
	in->deferred.detail = detail != NULL ? MemoryContextStrdup(in->cxt, detail) : NULL;
	in->deferred.hint = hint != NULL ? MemoryContextStrdup(in->cxt, hint) : NULL;
}

static void
unproven(ProvInbox *in, const char *reason)
{
	defer(in, ERRCODE_BUNDLE_UNPROVEN, reason,
		  psprintf("The newest checkpoint seen of this log has size %lld.", (long long) in->known_size),
		  psprintf("Ask for a bundle of the partner's newest checkpoint, exported with since_size => %lld.",
				   (long long) in->known_size));
}

void
prov_inbox_checkpoint(ProvInbox *in)
{
	pv_bundle_reader *r = in->reader;
	pv_status	status = pv_checkpoint_verify(&r->checkpoint, in->partner->keys, in->partner->nkeys);
	int64		size = (int64) r->checkpoint.size;
	int64		found;
	bool		known;
	pv_hash		root;
	Datum		note;

	if (!prov_holds(status))
		prov_inbox_refuse(in, ERRCODE_BUNDLE_SIGNATURE, "the checkpoint is not signed by a key of the partner",
						  psprintf("The reason is: %s.", pv_status_text(status)), NULL);
	in->note = MemoryContextAlloc(in->cxt, r->notelen);
	memcpy(in->note, r->note, r->notelen);
	in->notelen = r->notelen;

	/* two heads of one size are a fork, whoever else signed them */
	known = in->log_id != 0 && prov_partner_checkpoint(in->log_id, size, &found, &root, &note);
	if (known && !pv_hash_equal(&root, &r->checkpoint.root))
		prov_fork_checkpoint(in, note);
	check_witnesses(in);

	if (in->log_id == 0 || !prov_partner_checkpoint(in->log_id, -1, &in->known_size, &root, NULL))
	{
		/* nothing seen: on first use the signature must do */
		in->known_size = -1;
		in->extends = true;
		if (r->header.since_size > 0)
			prov_inbox_refuse(in, ERRCODE_BUNDLE_UNPROVEN, "it begins after a checkpoint, and none was seen of this log", NULL,
							  "Ask for a bundle that was exported without since_size.");
		return;
	}
	if (known)
	{
		if (size < in->known_size)
			prov_inbox_refuse(in, ERRCODE_BUNDLE_STALE, "its checkpoint is older than the newest one seen",
							  psprintf("It has size %lld, the newest one seen %lld.", (long long) size, (long long) in->known_size),
							  NULL);
		in->extends = true;
	}
	else if (size < in->known_size)
		unproven(in, "its checkpoint is smaller than the newest one seen, and not known");

	if (r->header.since_size > 0 &&
		!prov_partner_checkpoint(in->log_id, (int64) r->header.since_size, &found, &root, NULL))
		unproven(in, "it begins after a checkpoint that was not seen");
}

void
prov_inbox_consistency(ProvInbox *in)
{
	pv_bundle_reader *r = in->reader;
	int64		found;
	pv_hash		root;

	if (in->log_id == 0 || !prov_partner_checkpoint(in->log_id, (int64) r->old_size, &found, &root, NULL))
		return;					/* of a size that was not seen: nothing to compare with */
	if (!prov_holds(pv_verify_consistency(prov_hasher(), r->old_size, &root, r->checkpoint.size,
										  &r->checkpoint.root, r->path, r->npath)))
		defer(in, ERRCODE_BUNDLE_INCONSISTENT, "the path from a checkpoint seen earlier does not lead to this one",
			  psprintf("The earlier checkpoint has size %lld.", (long long) found),
			  "The bundle was spoiled on its way, or the partner's log was rewritten.");
	else if (found == in->known_size)
		in->extends = true;
}

void
prov_inbox_head_done(ProvInbox *in)
{
	if (in->extends || in->deferred.sqlstate != 0)
		return;
	in->line--;					/* of the checkpoint, or of the last path */
	unproven(in, "nothing connects its checkpoint with the newest one seen");
	in->line++;
}
