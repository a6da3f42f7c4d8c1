/*-------------------------------------------------------------------------
 *
 * fork.c
 *	  Evidence that a partner signed two different logs.
 *
 * Evidence stands alone: two good signatures on one size with different roots,
 * or two inclusion proofs under good checkpoints for one index and different
 * leaves. It is found while a bundle is read, in a transaction that will fail,
 * so a request's worker records it and sets the partner's state in a
 * transaction of its own. The worker believes nothing it is given: it verifies
 * the bytes again, with the keys of the partner that the notes' origin names.
 * Without two signatures of the partner nothing comes of it. cosign() compares
 * heads in such a worker, and has what contradicts itself recorded there.
 *
 * A second leaf at an index shows in a bundle whose checkpoint is not, or
 * wrongly, connected with what was seen. Such a bundle is read to its end, and
 * the path of the contradicting leaf collected on the way; until the root has
 * come out nobody knows whether there is anything to it.
 *
 * The same evidence again, once an administrator has decided about it, changes
 * nothing: anybody may have kept the file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/proof.h"
#include "ledger/seal.h"
#include "ledger/stop_point.h"
#include "partner/inbox.h"

#define PARTS 6
enum
{
	NOTE_A, NOTE_B, PROOF_A, PROOF_B, LEAF_A, LEAF_B
};

typedef struct Evidence
{
	bool		of_leaf;
	struct
	{
		const uint8_t *data;
		size_t		len;
	}			part[PARTS];

	/* once it is parsed */
	pv_checkpoint a;
	pv_checkpoint b;
	uint64		index;			/* of_leaf */
} Evidence;

/* --- the worker -------------------------------------------------------- */

pg_noreturn static void
no_evidence(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_BUNDLE_UNPROVEN),
			 errmsg("what looked like a fork of the partner's log is no evidence"),
			 errdetail("The reason is: %s.", why),
			 errhint("A key that the partner has replaced must stay registered for what it signed.")));
}

static void
parse_proof(Evidence *e, int part, pv_checkpoint *cp, int leaf_part, uint64 *index)
{
	pv_proof   *proof = palloc(sizeof(pv_proof));
	pv_hash		hash;

	if (pv_proof_parse(e->part[part].data, e->part[part].len, proof) != PV_OK ||
		pv_checkpoint_parse(proof->checkpoint, proof->checkpointlen, cp) != PV_OK)
		no_evidence("a proof is malformed");
	if (e->part[leaf_part].len != PV_LEAF_LEN)
		no_evidence("a leaf is malformed");
	prov_check(pv_leaf_hash(prov_hasher(), e->part[leaf_part].data, PV_LEAF_LEN, &hash));
	if (!prov_holds(pv_verify_inclusion(prov_hasher(), &hash, proof->index, cp->size, proof->path, proof->npath, &cp->root)))
		no_evidence("a leaf is not in its log");
	if (e->part[part - PROOF_A + NOTE_A].len != proof->checkpointlen ||
		memcmp(e->part[part - PROOF_A + NOTE_A].data, proof->checkpoint, proof->checkpointlen) != 0)
		no_evidence("note and proof differ");
	*index = proof->index;
}

static bool
same_origin(const Evidence *e)
{
	return e->a.originlen == e->b.originlen && memcmp(e->a.origin, e->b.origin, e->a.originlen) == 0;
}

/* Parses two notes; what keeps them from being a contradiction, or NULL. */
static const char *
heads_fault(Evidence *e)
{
	if (pv_checkpoint_parse(e->part[NOTE_A].data, e->part[NOTE_A].len, &e->a) != PV_OK ||
		pv_checkpoint_parse(e->part[NOTE_B].data, e->part[NOTE_B].len, &e->b) != PV_OK)
		return "a note is malformed";
	if (e->a.size != e->b.size)
		return "the checkpoints have different sizes";
	if (pv_hash_equal(&e->a.root, &e->b.root))
		return "the checkpoints have one root";
	if (!same_origin(e))
		return "the checkpoints are of two logs";
	return NULL;
}

/* Everything but whose keys those are. */
static void
parse_evidence(Evidence *e, const char *question, Size len)
{
	pv_reader	r;
	uint64		index_b;

	pv_reader_init(&r, question, len);
	e->of_leaf = pv_get_u8(&r) != 0;
	for (int i = 0; i < PARTS; i++)
	{
		e->part[i].len = pv_get_u32(&r);
		e->part[i].data = pv_get_bytes(&r, e->part[i].len);
	}
	if (pv_reader_done(&r) != PV_OK)
		elog(ERROR, "malformed request");

	if (e->of_leaf)
	{
		parse_proof(e, PROOF_A, &e->a, LEAF_A, &e->index);
		parse_proof(e, PROOF_B, &e->b, LEAF_B, &index_b);
		if (e->index != index_b)
			no_evidence("the leaves are not at one place");
		if (memcmp(e->part[LEAF_A].data, e->part[LEAF_B].data, PV_LEAF_LEN) == 0)
			no_evidence("the leaves are the same");
	}
	else
	{
		const char *fault = heads_fault(e);

		if (fault != NULL)
			no_evidence(fault);
	}
	if (!same_origin(e))
		no_evidence("the checkpoints are of two logs");
}

static bool
bytes_are(Datum d, bool isnull, const Evidence *e, int part)
{
	bytea	   *b;

	if (isnull)
		return false;
	b = DatumGetByteaPP(d);
	return VARSIZE_ANY_EXHDR(b) == e->part[part].len && memcmp(VARDATA_ANY(b), e->part[part].data, e->part[part].len) == 0;
}

static bool
heads_are(Datum d, const pv_checkpoint *cp)
{
	pv_checkpoint *stored = palloc(sizeof(pv_checkpoint));

	checkpoint_get(d, stored);
	return stored->size == cp->size && pv_hash_equal(&stored->root, &cp->root);
}

/* Is this contradiction, in either order, on record? *decided: and all such rows have been decided about. */
static bool
on_record(const Evidence *e, int32 partner_id, bool *decided)
{
	static const AttrNumber needed[] = {A_FORK_PARTNER, A_FORK_NOTE_A, A_FORK_NOTE_B, 0};
	TupleDesc	desc = prov_tupdesc(PROV_FORK_RECORD);
	ProvScan	scan;
	HeapTuple	tup;
	bool		found = false;

	*decided = true;
	prov_scan_begin(&scan, PROV_FORK_RECORD, InvalidOid, NULL, 0, NULL);
	while ((tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
	{
		Datum		v[N_FORK];
		bool		n[N_FORK];
		bool		same;

		heap_deform_tuple(tup, desc, v, n);
		prov_refuse_nulls(PROV_FORK_RECORD, n, needed);
		if (DatumGetInt32(v[A_FORK_PARTNER - 1]) != partner_id)
			continue;
		if (e->of_leaf)
			same = (bytes_are(v[A_FORK_LEAF_A - 1], n[A_FORK_LEAF_A - 1], e, LEAF_A) &&
					bytes_are(v[A_FORK_LEAF_B - 1], n[A_FORK_LEAF_B - 1], e, LEAF_B)) ||
				(bytes_are(v[A_FORK_LEAF_A - 1], n[A_FORK_LEAF_A - 1], e, LEAF_B) &&
				 bytes_are(v[A_FORK_LEAF_B - 1], n[A_FORK_LEAF_B - 1], e, LEAF_A));
		else
			same = (heads_are(v[A_FORK_NOTE_A - 1], &e->a) && heads_are(v[A_FORK_NOTE_B - 1], &e->b)) ||
				(heads_are(v[A_FORK_NOTE_A - 1], &e->b) && heads_are(v[A_FORK_NOTE_B - 1], &e->a));
		if (same)
		{
			found = true;
			*decided &= !n[A_FORK_RESOLVED_AT - 1];
		}
	}
	prov_scan_end(&scan);
	return found;
}

static Datum
part_bytea(const Evidence *e, int part)
{
	bytea	   *b = palloc(VARHDRSZ + e->part[part].len);

	SET_VARSIZE(b, VARHDRSZ + e->part[part].len);
	memcpy(VARDATA(b), e->part[part].data, e->part[part].len);
	return PointerGetDatum(b);
}

static void
write_evidence(const Evidence *e, int32 partner_id)
{
	Datum		values[N_FORK] = {0};
	bool		nulls[N_FORK];
	ProvWriter	w;

	memset(nulls, true, sizeof(nulls));
	for (int i = A_FORK_ID; i <= (e->of_leaf ? A_FORK_LEAF_B : A_FORK_NOTE_B); i++)
		nulls[i - 1] = false;
	values[A_FORK_ID - 1] = Int32GetDatum((int32) prov_nextval(PROV_PARTNER_SEQ));
	values[A_FORK_PARTNER - 1] = Int32GetDatum(partner_id);
	values[A_FORK_FOUND_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[A_FORK_KIND - 1] = CStringGetTextDatum(e->of_leaf ? "leaf" : "checkpoint");
	values[A_FORK_ORIGIN - 1] = PointerGetDatum(cstring_to_text_with_len(e->a.origin, e->a.originlen));
	values[A_FORK_NOTE_A - 1] = checkpoint_to_datum(e->part[NOTE_A].data, e->part[NOTE_A].len);
	values[A_FORK_NOTE_B - 1] = checkpoint_to_datum(e->part[NOTE_B].data, e->part[NOTE_B].len);
	if (e->of_leaf)
	{
		values[A_FORK_PROOF_A - 1] = proof_to_datum(e->part[PROOF_A].data, e->part[PROOF_A].len);
		values[A_FORK_PROOF_B - 1] = proof_to_datum(e->part[PROOF_B].data, e->part[PROOF_B].len);
		values[A_FORK_LEAF_A - 1] = part_bytea(e, LEAF_A);
		values[A_FORK_LEAF_B - 1] = part_bytea(e, LEAF_B);
	}
	prov_writer_open(&w, PROV_FORK_RECORD);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

/*
 * By any of its keys, each asked alone. A wrong line for another one says
 * nothing here: it may have been put there before that key was registered, by
 * a partner that meant to contradict itself later.
 */
static bool
signed_by(const pv_checkpoint *cp, const ProvPartner *partner)
{
	for (unsigned i = 0; i < partner->nkeys; i++)
		if (prov_holds(pv_checkpoint_verify(cp, &partner->keys[i], 1)))
			return true;
	return false;
}

/* In the worker's transaction: the row, unless it is there, and the partner's state. */
static ProvForkOutcome
record_evidence(const Evidence *e, const ProvPartner *partner)
{
	bool		decided;
	bool		known = on_record(e, partner->partner_id, &decided);

	if (known && decided)
		return PROV_FORK_DECIDED;
	if (!known)
		write_evidence(e, partner->partner_id);
	prov_partner_set_forked(partner->partner_id);
	if (!known)
		ereport(LOG,
				(errmsg("partner \"%s\" signed two different logs", partner->name),
				 errdetail("The view provenance.fork_evidence has the evidence.")));
	return PROV_FORK_RECORDED;
}

ProvForkOutcome
prov_fork_heads(Datum a, Datum b)
{
	Evidence	e = {0};
	ProvPartner *partner;

	e.part[NOTE_A].data = (const uint8_t *) checkpoint_bytes(a, &e.part[NOTE_A].len);
	e.part[NOTE_B].data = (const uint8_t *) checkpoint_bytes(b, &e.part[NOTE_B].len);
	if (heads_fault(&e) != NULL)
		return PROV_FORK_NONE;
	partner = prov_partner_by_origin(e.a.origin, e.a.originlen);
	if (partner == NULL || !signed_by(&e.a, partner) || !signed_by(&e.b, partner))
		return PROV_FORK_NONE;
	return record_evidence(&e, partner);
}

static void
fork_handler(const char *question, Size len, StringInfo answer)
{
	Evidence	e = {0};
	ProvPartner *partner;

	parse_evidence(&e, question, len);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	partner = prov_partner_by_origin(e.a.origin, e.a.originlen);
	if (partner == NULL)
		no_evidence("no partner has this origin");
	if (!signed_by(&e.a, partner) || !signed_by(&e.b, partner))
		no_evidence("a note is not signed by a key of the partner");

	appendStringInfoChar(answer, (char) record_evidence(&e, partner));
	PopActiveSnapshot();
	/* the evidence outlives the COPY that brought it */
	ForceSyncCommit();
	PROV_STOP_POINT("fork-row");
	CommitTransactionCommand();
	PROV_STOP_POINT("fork-done");
}

void
prov_fork_init(void)
{
	prov_request_register(PROV_REQUEST_FORK, "record the fork", fork_handler);
}

/* --- the session -------------------------------------------------------- */

static void
put_part(pv_buf *b, const void *data, size_t len)
{
	pv_put_u32(b, (uint32) len);
	pv_put_bytes(b, data, len);
}

/* Has the evidence recorded, and refuses the bundle. */
pg_noreturn static void
record_and_refuse(ProvInbox *in, bool of_leaf, const void *const *data, const size_t *len, const char *detail)
{
	size_t		cap = 1;
	char	   *question;
	pv_buf		b;
	StringInfo	outcome;

	/* the worker would wait for us, and cannot see what we have changed */
	if (prov_partners_locked_here())
		prov_inbox_refuse(in, ERRCODE_BUNDLE_FORK_UNRECORDED,
						  "the partner signed two different logs, which cannot be recorded now",
						  "This very transaction has changed the registry of partners.",
						  "Commit or roll back, then COPY this bundle again: that leaves the evidence.");
	for (int i = 0; i < PARTS; i++)
		cap += 4 + len[i];
	question = palloc(cap);
	pv_buf_init(&b, question, cap);
	pv_put_u8(&b, of_leaf);
	for (int i = 0; i < PARTS; i++)
		put_part(&b, data[i], len[i]);
	prov_check(pv_buf_status(&b));
	outcome = prov_request(PROV_REQUEST_FORK, question, b.len, 1);
	prov_inbox_refuse(in, ERRCODE_BUNDLE_FORKED, "the partner signed two different logs", detail,
					  outcome->data[0] == PROV_FORK_DECIDED ?
					  "An administrator has decided about this evidence: see provenance.fork_evidence. The partner's bundles of the log that was seen before are merged as ever." :
					  "The view provenance.fork_evidence has the evidence. Nothing more is merged of this partner until an administrator decides.");
}

void
prov_fork_checkpoint(ProvInbox *in, Datum known_note)
{
	const void *data[PARTS] = {"", "", "", "", "", ""};
	size_t		len[PARTS] = {0};

	data[NOTE_A] = checkpoint_bytes(known_note, &len[NOTE_A]);
	data[NOTE_B] = in->note;
	len[NOTE_B] = in->notelen;
	record_and_refuse(in, false, data, len,
					  psprintf("A checkpoint of the same size, " UINT64_FORMAT ", was seen with another root.", in->reader->checkpoint.size));
}

void
prov_fork_look(ProvInbox *in)
{
	const pv_bundle_entry *e = &in->reader->entry;
	HeapTuple	tup = in->log_id != 0 ? prov_merged_leaf(in->log_id, (int64) e->index) : NULL;

	if (tup == NULL ||
		pv_hash_equal(DatumGetHashP(prov_value(PROV_MERGED_LEAF, tup, A_MLEAF_HASH)), &e->leaf_hash))
		return;
	in->contradicted = true;
	memcpy(in->leaf_b, e->leaf_bytes, PV_LEAF_LEN);
	prov_path_begin(&in->path, e->index, &in->before);
}

void
prov_fork_follow(ProvInbox *in)
{
	const pv_bundle_reader *r = in->reader;

	if (!in->contradicted)
		return;
	if (r->kind == PV_BUNDLE_END)
	{
		prov_path_gap(&in->path, r->checkpoint.size, r->last, r->nlast);
		return;
	}
	prov_path_gap(&in->path, r->entry.index, r->entry.gap, r->entry.ngap);
	prov_path_leaf(&in->path, &r->entry.leaf_hash);
}

void
prov_fork_leaf(ProvInbox *in)
{
	const void *data[PARTS];
	size_t		len[PARTS];
	uint8		leaf_a[PV_LEAF_LEN];
	pv_hash		hashes[PV_MAX_PATH];
	pv_proof	proof;
	unsigned	n = prov_path_end(&in->path, hashes);
	size_t		cap = in->notelen + 128 + n * 48;
	char	   *proof_b = palloc(cap);
	pv_buf		b;

	data[PROOF_A] = prov_merged_proof(in->log_id, (int64) in->path.target, &len[PROOF_A], leaf_a);
	if (data[PROOF_A] == NULL)
		return;					/* without it nothing stands alone */
	prov_check(pv_proof_parse(data[PROOF_A], len[PROOF_A], &proof));
	data[NOTE_A] = proof.checkpoint;
	len[NOTE_A] = proof.checkpointlen;
	data[LEAF_A] = leaf_a;
	data[LEAF_B] = in->leaf_b;
	len[LEAF_A] = len[LEAF_B] = PV_LEAF_LEN;

	pv_buf_init(&b, proof_b, cap);
	pv_put_proof(&b, in->path.target, hashes, n, in->note, in->notelen);
	prov_check(pv_buf_status(&b));
	data[PROOF_B] = proof_b;
	len[PROOF_B] = b.len;
	data[NOTE_B] = in->note;
	len[NOTE_B] = in->notelen;
	record_and_refuse(in, true, data, len,
					  psprintf("Another entry was merged at leaf index " UINT64_FORMAT ".", in->path.target));
}
