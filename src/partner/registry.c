/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Partners: whose checkpoints this database believes.
 *
 * A partner is a name of ours for an origin of theirs, with the keys that may
 * sign for it. An origin belongs to one partner for ever, removed or not, so
 * that what was seen of its logs cannot be forgotten by adding it again. That
 * it forked cannot be forgotten that way either: a partner with evidence
 * nobody has decided about is `forked` again when it comes back.
 *
 * Changes are serialised by a lock of the ledger's own kind, because the
 * worker that records a fork makes one too and must not wait for a row that
 * the session it works for has changed. Whoever takes a partner's trust or
 * keys away waits first for the merge of that partner that runs.
 *
 * The pseudonym key can be set and used, not read: no view shows it, and the
 * table is readable for nobody but superusers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/seal.h"
#include "ledger/store.h"
#include "partner/partner.h"

PG_FUNCTION_INFO_V1(provenance_add_partner);
PG_FUNCTION_INFO_V1(provenance_add_partner_witnessed);
PG_FUNCTION_INFO_V1(provenance_remove_partner);
PG_FUNCTION_INFO_V1(provenance_resolve_fork);
PG_FUNCTION_INFO_V1(provenance_set_pseudonym_key);

#define MAX_NAME 255			/* bytes of a partner's name */

static const char *const state_names[] = {
	[PROV_PARTNER_TRUSTED] = "trusted",
	[PROV_PARTNER_FORKED] = "forked",
	[PROV_PARTNER_REMOVED] = "removed",
};

/* --- reading ----------------------------------------------------------- */

static ProvPartner *
partner_from_tuple(HeapTuple tup)
{
	static const AttrNumber needed[] = {A_PARTNER_ID, A_PARTNER_NAME, A_PARTNER_ORIGIN, A_PARTNER_QUORUM, A_PARTNER_VKEYS,
		A_PARTNER_WITNESSES, A_PARTNER_STATE, 0};
	TupleDesc	desc = prov_tupdesc(PROV_PARTNER_REGISTRY);
	Datum		values[N_PARTNER];
	bool		nulls[N_PARTNER];
	ProvPartner *p = palloc0(sizeof(ProvPartner));
	char	   *state;

	heap_deform_tuple(tup, desc, values, nulls);
	prov_refuse_nulls(PROV_PARTNER_REGISTRY, nulls, needed);
	p->partner_id = DatumGetInt32(values[A_PARTNER_ID - 1]);
	p->name = TextDatumGetCString(values[A_PARTNER_NAME - 1]);
	p->origin = TextDatumGetCString(values[A_PARTNER_ORIGIN - 1]);
	p->quorum = DatumGetInt32(values[A_PARTNER_QUORUM - 1]);
	p->keys = prov_vkeys(DatumGetArrayTypeP(values[A_PARTNER_VKEYS - 1]), &p->nkeys);
	p->witnesses = prov_vkeys(DatumGetArrayTypeP(values[A_PARTNER_WITNESSES - 1]), &p->nwitnesses);

	/* a state that is none is not trusted */
	state = TextDatumGetCString(values[A_PARTNER_STATE - 1]);
	p->state = strcmp(state, "trusted") == 0 ? PROV_PARTNER_TRUSTED :
		strcmp(state, "forked") == 0 ? PROV_PARTNER_FORKED : PROV_PARTNER_REMOVED;

	if (!nulls[A_PARTNER_PSEUDONYM_KEY - 1])
	{
		bytea	   *key = DatumGetByteaPP(values[A_PARTNER_PSEUDONYM_KEY - 1]);

		if (VARSIZE_ANY_EXHDR(key) == sizeof(p->pseudonym_key))
		{
			memcpy(p->pseudonym_key, VARDATA_ANY(key), sizeof(p->pseudonym_key));
			p->has_pseudonym_key = true;
		}
	}
	return p;
}

/* The row whose text column attno is that text; a copy, or NULL. */
static HeapTuple
find_text(ProvRel rel, AttrNumber attno, const char *s, size_t len)
{
	TupleDesc	desc = prov_tupdesc(rel);
	ProvScan	scan;
	HeapTuple	tup;

	/* few rows: no index needed */
	prov_scan_begin(&scan, rel, InvalidOid, NULL, 0, NULL);
	while ((tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		d = heap_getattr(tup, attno, desc, &isnull);
		text	   *t;

		if (isnull)
			continue;
		t = DatumGetTextPP(d);
		if (VARSIZE_ANY_EXHDR(t) == len && memcmp(VARDATA_ANY(t), s, len) == 0)
		{
			tup = heap_copytuple(tup);
			break;
		}
	}
	prov_scan_end(&scan);
	return tup;
}

static ProvPartner *
partner_or_null(HeapTuple tup)
{
	return tup != NULL ? partner_from_tuple(tup) : NULL;
}

ProvPartner *
prov_partner_by_name(const char *name)
{
	return partner_or_null(find_text(PROV_PARTNER_REGISTRY, A_PARTNER_NAME, name, strlen(name)));
}

ProvPartner *
prov_partner_by_origin(const char *origin, size_t len)
{
	const char *slash = memchr(origin, '/', len);

	return partner_or_null(find_text(PROV_PARTNER_REGISTRY, A_PARTNER_ORIGIN, origin,
									 slash != NULL ? (size_t) (slash - origin) : len));
}

ProvPartner *
prov_partner_by_id(int32 partner_id)
{
	return partner_or_null(prov_fetch1(PROV_PARTNER_REGISTRY, Int32GetDatum(partner_id), NULL));
}

int32
prov_partner_log(int32 partner_id, const char *origin, bool create)
{
	HeapTuple	tup = find_text(PROV_PARTNER_LOG, A_PLOG_ORIGIN, origin, strlen(origin));
	Datum		values[N_PLOG];
	bool		nulls[N_PLOG] = {false};
	ProvWriter	w;
	int32		log_id;

	if (tup != NULL)
	{
		bool		isnull;

		return DatumGetInt32(heap_getattr(tup, A_PLOG_ID, prov_tupdesc(PROV_PARTNER_LOG), &isnull));
	}
	if (!create)
		return 0;
	log_id = (int32) prov_nextval(PROV_PARTNER_SEQ);
	values[A_PLOG_ID - 1] = Int32GetDatum(log_id);
	values[A_PLOG_PARTNER - 1] = Int32GetDatum(partner_id);
	values[A_PLOG_ORIGIN - 1] = CStringGetTextDatum(origin);
	prov_writer_open(&w, PROV_PARTNER_LOG);
	prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
	return log_id;
}

bool
prov_partner_checkpoint(int32 log_id, int64 size, int64 *found_size, pv_hash *root, Datum *note)
{
	ScanKeyData keys[2];
	ProvScan	scan;
	HeapTuple	tup;

	prov_key_init(&keys[0], PROV_PARTNER_CHECKPOINT, A_PCP_LOG, BTEqualStrategyNumber, Int32GetDatum(log_id));
	prov_key_init(&keys[1], PROV_PARTNER_CHECKPOINT, A_PCP_SIZE, BTEqualStrategyNumber, Int64GetDatum(size));
	prov_scan_begin_ordered(&scan, PROV_PARTNER_CHECKPOINT, NULL, size < 0 ? 1 : 2, keys);
	tup = prov_scan_next(&scan, BackwardScanDirection);
	if (tup != NULL)
	{
		*found_size = DatumGetInt64(prov_value(PROV_PARTNER_CHECKPOINT, tup, A_PCP_SIZE));
		*root = *DatumGetHashP(prov_value(PROV_PARTNER_CHECKPOINT, tup, A_PCP_ROOT));
		if (note != NULL)
		{
			size_t		len;
			const char *bytes = checkpoint_bytes(prov_value(PROV_PARTNER_CHECKPOINT, tup, A_PCP_NOTE), &len);

			*note = checkpoint_to_datum(bytes, len);
		}
	}
	prov_scan_end(&scan);
	return tup != NULL;
}

/* Is there evidence against the partner that nobody has decided about? */
static bool
unresolved_fork(int32 partner_id)
{
	TupleDesc	desc = prov_tupdesc(PROV_FORK_RECORD);
	ProvScan	scan;
	HeapTuple	tup;
	bool		found = false;

	prov_scan_begin(&scan, PROV_FORK_RECORD, InvalidOid, NULL, 0, NULL);
	while (!found && (tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		d = heap_getattr(tup, A_FORK_PARTNER, desc, &isnull);

		found = DatumGetInt32(d) == partner_id && heap_attisnull(tup, A_FORK_RESOLVED_AT, desc);
	}
	prov_scan_end(&scan);
	return found;
}

/* --- changing ---------------------------------------------------------- */

/*
 * Waits for the merge of that partner that runs, if there is one; to the end
 * of the transaction. Before the registry's lock, which a worker takes while
 * the merge that it works for waits.
 */
static void
lock_merges(const char *name)
{
	ProvPartner *partner = prov_partner_by_name(name);

	if (partner != NULL)
		prov_lock_merge_xact(partner->partner_id);
}

/* The row of a name that must exist, under the lock. */
static HeapTuple
partner_row(const char *name)
{
	HeapTuple	tup;

	prov_lock_partners_xact();
	tup = find_text(PROV_PARTNER_REGISTRY, A_PARTNER_NAME, name, strlen(name));
	if (tup == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no partner \"%s\"", name)));
	return tup;
}

/* Replaces some columns of a row. */
static void
change_row(ProvRel rel, HeapTuple tup, Datum *values, bool *nulls)
{
	ProvWriter	w;

	prov_writer_open(&w, rel);
	prov_update(&w, tup, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
}

static void
set_state(HeapTuple tup, ProvPartnerState state)
{
	Datum		values[N_PARTNER];
	bool		nulls[N_PARTNER];

	heap_deform_tuple(tup, prov_tupdesc(PROV_PARTNER_REGISTRY), values, nulls);
	values[A_PARTNER_STATE - 1] = CStringGetTextDatum(state_names[state]);
	nulls[A_PARTNER_REMOVED_AT - 1] = state != PROV_PARTNER_REMOVED;
	if (state == PROV_PARTNER_REMOVED)
		values[A_PARTNER_REMOVED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	change_row(PROV_PARTNER_REGISTRY, tup, values, nulls);
}

void
prov_partner_set_forked(int32 partner_id)
{
	HeapTuple	tup;

	prov_lock_partners_xact();
	tup = prov_fetch1(PROV_PARTNER_REGISTRY, Int32GetDatum(partner_id), NULL);
	if (tup != NULL && partner_from_tuple(tup)->state != PROV_PARTNER_REMOVED)
		set_state(tup, PROV_PARTNER_FORKED);
}

static void
bad_key(const char *what, const pv_vkey *key, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", what),
			 errdetail("Key \"%s+%08x\": %s.", key->name, key->key_id, why)));
}

/* The one origin, without incarnation, that all keys sign for. */
static char *
origin_of_keys(const pv_vkey *keys, unsigned n)
{
	ProvIdentity *own = prov_identity(true);
	size_t		len = 0;

	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a partner needs at least one verifier key")));
	for (unsigned i = 0; i < n; i++)
	{
		size_t		this = strcspn(keys[i].name, "/");

		if (keys[i].type != PV_SIG_ED25519)
			bad_key("not a key that signs checkpoints", &keys[i], "its type is that of a witness");
		if (!pv_origin_valid(keys[i].name, strlen(keys[i].name), true))
			bad_key("not a key of a log", &keys[i], "its name is not an origin");
		if (i == 0)
			len = this;
		if (this != len || memcmp(keys[i].name, keys[0].name, len) != 0)
			bad_key("the keys of a partner have one origin", &keys[i], "the first key has another one");
	}
	if (own != NULL && strlen(own->origin) == len && memcmp(own->origin, keys[0].name, len) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is this database's own log", own->origin)));
	return pnstrdup(keys[0].name, len);
}

static void
check_witnesses(const pv_vkey *witnesses, unsigned n, int quorum)
{
	if (quorum < 0 || (unsigned) quorum > n || (quorum == 0 && n > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a quorum of %d among %u witnesses", quorum, n),
				 errdetail("It must be between 1 and their number, or 0 where there are none.")));
	for (unsigned i = 0; i < n; i++)
	{
		if (witnesses[i].type != PV_SIG_COSIGNATURE)
			bad_key("not a key of a witness", &witnesses[i], "its type is that of a log");
		for (unsigned j = 0; j < i; j++)
			if (memcmp(witnesses[i].public_key, witnesses[j].public_key, PV_ED25519_PUBLIC_LEN) == 0)
				bad_key("a witness counts once", &witnesses[i], "its public key is given twice");
	}
}

static void
check_name(const char *name)
{
	size_t		len = strlen(name);

	for (const char *s = name; *s; s++)
		if ((unsigned char) *s < 0x20 || *s == 0x7F)
			len = 0;
	if (len == 0 || len > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("not a name for a partner"),
				 errdetail("It has 1 to %d bytes and no control character.", MAX_NAME)));
}

/* witnesses NULL: as they are, none for a new partner */
static void
add_partner(const char *name, ArrayType *vkeys, ArrayType *witnesses, int quorum)
{
	unsigned	nkeys;
	pv_vkey    *keys = prov_vkeys(vkeys, &nkeys);
	char	   *origin;
	HeapTuple	tup;
	ProvPartner *known;
	ProvPartnerState state = PROV_PARTNER_TRUSTED;
	Datum		values[N_PARTNER];
	bool		nulls[N_PARTNER] = {false};

	PreventCommandIfReadOnly("add_partner()");
	check_name(name);
	origin = origin_of_keys(keys, nkeys);
	if (witnesses != NULL)
	{
		unsigned	n;
		pv_vkey    *witness_keys = prov_vkeys(witnesses, &n);

		check_witnesses(witness_keys, n, quorum);
	}

	lock_merges(name);
	prov_lock_partners_xact();
	tup = find_text(PROV_PARTNER_REGISTRY, A_PARTNER_ORIGIN, origin, strlen(origin));
	known = prov_partner_by_name(name);
	if (known != NULL && strcmp(known->origin, origin) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("partner \"%s\" has another origin", name),
				 errdetail("It is \"%s\", that of the keys \"%s\".", known->origin, origin)));
	if (tup != NULL && known == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("origin \"%s\" is that of partner \"%s\"", origin, partner_from_tuple(tup)->name)));

	if (tup != NULL)
	{
		heap_deform_tuple(tup, prov_tupdesc(PROV_PARTNER_REGISTRY), values, nulls);
		if (unresolved_fork(known->partner_id))
			state = PROV_PARTNER_FORKED;
	}
	else
	{
		values[A_PARTNER_ID - 1] = Int32GetDatum((int32) prov_nextval(PROV_PARTNER_SEQ));
		values[A_PARTNER_ADDED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[A_PARTNER_NAME - 1] = CStringGetTextDatum(name);
		values[A_PARTNER_ORIGIN - 1] = CStringGetTextDatum(origin);
		values[A_PARTNER_PSEUDONYM_KEY - 1] = (Datum) 0;
		nulls[A_PARTNER_PSEUDONYM_KEY - 1] = true;
		if (witnesses == NULL)
			witnesses = construct_empty_array(TEXTOID);
	}
	values[A_PARTNER_REMOVED_AT - 1] = (Datum) 0;
	nulls[A_PARTNER_REMOVED_AT - 1] = true;
	values[A_PARTNER_STATE - 1] = CStringGetTextDatum(state_names[state]);
	values[A_PARTNER_VKEYS - 1] = PointerGetDatum(vkeys);
	if (witnesses != NULL)
	{
		values[A_PARTNER_QUORUM - 1] = Int32GetDatum(quorum);
		values[A_PARTNER_WITNESSES - 1] = PointerGetDatum(witnesses);
	}

	if (tup != NULL)
		change_row(PROV_PARTNER_REGISTRY, tup, values, nulls);
	else
	{
		ProvWriter	w;

		prov_writer_open(&w, PROV_PARTNER_REGISTRY);
		prov_insert(&w, values, nulls);
		prov_writer_close(&w);
		CommandCounterIncrement();
	}
	if (state == PROV_PARTNER_FORKED)
		ereport(WARNING,
				(errmsg("partner \"%s\" stays forked", name),
				 errdetail("The view provenance.fork_evidence has the evidence."),
				 errhint("SELECT provenance.resolve_fork(name, reason) trusts it again.")));
}

/* add_partner(name text, VARIADIC vkeys text[]) */
Datum
provenance_add_partner(PG_FUNCTION_ARGS)
{
	add_partner(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_ARRAYTYPE_P(1), NULL, 0);
	PG_RETURN_VOID();
}

/* add_partner(name text, vkeys text[], witnesses text[], quorum int) */
Datum
provenance_add_partner_witnessed(PG_FUNCTION_ARGS)
{
	add_partner(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_ARRAYTYPE_P(1), PG_GETARG_ARRAYTYPE_P(2),
				PG_GETARG_INT32(3));
	PG_RETURN_VOID();
}

/* remove_partner(name text) */
Datum
provenance_remove_partner(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PreventCommandIfReadOnly("remove_partner()");
	lock_merges(name);
	set_state(partner_row(name), PROV_PARTNER_REMOVED);
	PG_RETURN_VOID();
}

/* Notes on all evidence against the partner who decided, when, and why. */
static void
resolve_evidence(int32 partner_id, Datum reason)
{
	TupleDesc	desc = prov_tupdesc(PROV_FORK_RECORD);
	ProvScan	scan;
	HeapTuple	tup;
	List	   *rows = NIL;
	ListCell   *lc;

	prov_scan_begin(&scan, PROV_FORK_RECORD, InvalidOid, NULL, 0, NULL);
	while ((tup = prov_scan_next(&scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;

		if (DatumGetInt32(heap_getattr(tup, A_FORK_PARTNER, desc, &isnull)) == partner_id &&
			heap_attisnull(tup, A_FORK_RESOLVED_AT, desc))
			rows = lappend(rows, heap_copytuple(tup));
	}
	prov_scan_end(&scan);

	foreach(lc, rows)
	{
		Datum		values[N_FORK];
		bool		nulls[N_FORK];

		heap_deform_tuple(lfirst(lc), desc, values, nulls);
		values[A_FORK_RESOLVED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[A_FORK_RESOLVED_BY - 1] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
		values[A_FORK_REASON - 1] = reason;
		nulls[A_FORK_RESOLVED_AT - 1] = nulls[A_FORK_RESOLVED_BY - 1] = nulls[A_FORK_REASON - 1] = false;
		change_row(PROV_FORK_RECORD, lfirst(lc), values, nulls);
	}
}

/* resolve_fork(name text, reason text) */
Datum
provenance_resolve_fork(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	HeapTuple	tup = partner_row(name);
	ProvPartner *partner = partner_from_tuple(tup);

	PreventCommandIfReadOnly("resolve_fork()");
	if (partner->state != PROV_PARTNER_FORKED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partner \"%s\" is not forked", name),
				 errdetail("Its state is \"%s\".", state_names[partner->state])));
	resolve_evidence(partner->partner_id, PG_GETARG_DATUM(1));
	set_state(tup, PROV_PARTNER_TRUSTED);
	PG_RETURN_VOID();
}

/* set_pseudonym_key(name text, key bytea) */
Datum
provenance_set_pseudonym_key(PG_FUNCTION_ARGS)
{
	HeapTuple	tup;
	Datum		values[N_PARTNER];
	bool		nulls[N_PARTNER];

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PreventCommandIfReadOnly("set_pseudonym_key()");
	tup = partner_row(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	heap_deform_tuple(tup, prov_tupdesc(PROV_PARTNER_REGISTRY), values, nulls);
	nulls[A_PARTNER_PSEUDONYM_KEY - 1] = PG_ARGISNULL(1);
	if (!PG_ARGISNULL(1))
	{
		bytea	   *key = PG_GETARG_BYTEA_PP(1);

		if (VARSIZE_ANY_EXHDR(key) != sizeof(((ProvPartner *) NULL)->pseudonym_key))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a pseudonym key has 32 bytes"),
					 errdetail("This one has %d.", (int) VARSIZE_ANY_EXHDR(key)),
					 errhint("Let one side draw it at random, and hand it over in secret.")));
		values[A_PARTNER_PSEUDONYM_KEY - 1] = PointerGetDatum(key);
	}
	change_row(PROV_PARTNER_REGISTRY, tup, values, nulls);
	PG_RETURN_VOID();
}
