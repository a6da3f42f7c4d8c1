/*-------------------------------------------------------------------------
 *
 * witness_policy.c
 *	  Whose cosignatures count, and whether there are enough: k of n.
 *
 * A witness that cosigned a size has seen that the log extends what it had
 * cosigned before, so it vouches for every smaller size too. "Witnessed" is
 * therefore a question about each witness's greatest size: an index look-up
 * and one signature for each.
 *
 * Nothing stored is believed. The line must be a good cosignature of that
 * witness on the note of the checkpoint's row, and that note must be one of
 * this log's, with the root that the tree has at its size. A row that fails
 * is passed over; verify() reports it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/log.h"
#include "partner/witness.h"

PG_FUNCTION_INFO_V1(provenance_set_witness_policy);
PG_FUNCTION_INFO_V1(provenance_witnessed);
PG_FUNCTION_INFO_V1(provenance_last_cosigned_size);

void
prov_witness_policy(ProvWitnessPolicy *out)
{
	HeapTuple	tup = prov_fetch1(PROV_WITNESS_POLICY, Int32GetDatum(1), NULL);
	TupleDesc	desc = prov_tupdesc(PROV_WITNESS_POLICY);
	bool		isnull;
	Datum		d;
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	memset(out, 0, sizeof(*out));
	if (!HeapTupleIsValid(tup))
		return;
	d = heap_getattr(tup, A_WPOL_QUORUM, desc, &isnull);
	if (!isnull)
		out->quorum = DatumGetInt32(d);
	d = heap_getattr(tup, A_WPOL_WITNESSES, desc, &isnull);
	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(d), TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
	out->keys = palloc(sizeof(pv_vkey) * (n + 1));
	out->vkeys = palloc(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		char	   *vkey = nulls[i] ? NULL : TextDatumGetCString(elems[i]);
		size_t		len;
		char	   *utf8 = vkey ? prov_to_utf8(vkey, strlen(vkey), &len) : NULL;

		if (utf8 == NULL || pv_vkey_parse(prov_hasher(), utf8, len, &out->keys[out->n]) != PV_OK ||
			out->keys[out->n].type != PV_SIG_COSIGNATURE)
			continue;
		out->vkeys[out->n++] = vkey;
	}
}

/* --- setting it --------------------------------------------------------- */

static void
bad_policy(int i, int n, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid witness policy"),
			 errdetail("Key %d of %d %s.", i + 1, n, detail)));
}

/* set_witness_policy(quorum int, witnesses text[]) */
Datum
provenance_set_witness_policy(PG_FUNCTION_ARGS)
{
	int			quorum = PG_GETARG_INT32(0);
	unsigned	n;
	pv_vkey    *keys;
	ProvIdentity *identity;
	size_t		originlen;
	HeapTuple	tup;
	ProvWriter	w;
	Datum		values[N_WPOL];
	bool		nulls[N_WPOL] = {false};

	PreventCommandDuringRecovery("set_witness_policy()");
	PreventCommandIfReadOnly("set_witness_policy()");
	identity = prov_identity(false);
	originlen = strlen(identity->origin);
	keys = prov_vkeys(PG_GETARG_ARRAYTYPE_P(1), &n);
	for (unsigned i = 0; i < n; i++)
	{
		if (keys[i].type != PV_SIG_COSIGNATURE)
			bad_policy(i, n, "is one that signs notes, not one that cosigns");
		if (strncmp(keys[i].name, identity->origin, originlen) == 0 &&
			(keys[i].name[originlen] == '\0' || keys[i].name[originlen] == '/'))
			bad_policy(i, n, "is this log's own: nobody is his own witness");
		for (unsigned j = 0; j < i; j++)
		{
			/* one key under two names, or as two keys, is one witness */
			if (memcmp(keys[i].public_key, keys[j].public_key, PV_ED25519_PUBLIC_LEN) == 0)
				bad_policy(i, n, psprintf("is the same as key %u", j + 1));
			if (keys[i].key_id == keys[j].key_id && strcmp(keys[i].name, keys[j].name) == 0)
				bad_policy(i, n, psprintf("has the name and ID of key %u", j + 1));
		}
	}
	if (quorum < 0 || quorum > (int) n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid witness policy"),
				 errdetail("The quorum is %d, of %u witnesses.", quorum, n)));

	LockRelationOid(prov_relid(PROV_WITNESS_POLICY), ShareRowExclusiveLock);
	tup = prov_fetch1(PROV_WITNESS_POLICY, Int32GetDatum(1), NULL);
	values[A_WPOL_ID - 1] = Int32GetDatum(1);
	values[A_WPOL_QUORUM - 1] = Int32GetDatum(quorum);
	values[A_WPOL_WITNESSES - 1] = PG_GETARG_DATUM(1);
	prov_writer_open(&w, PROV_WITNESS_POLICY);
	if (HeapTupleIsValid(tup))
		prov_update(&w, tup, values, nulls);
	else
		prov_insert(&w, values, nulls);
	prov_writer_close(&w);
	CommandCounterIncrement();
	PG_RETURN_VOID();
}

/* --- asking ------------------------------------------------------------- */

/* Is that line a cosignature on this log as it is? */
static bool
counts(const ProvIdentity *identity, ProvLog *log, const pv_vkey *key, int64 size, const char *text)
{
	Datum		note;
	pv_checkpoint cp;
	const char *bytes;
	char		fault[PROV_FAULT_LEN];
	char	   *line;
	size_t		len;
	uint64_t	seconds;
	pv_hash		root;

	if (!prov_own_checkpoint(identity->incarnation, size, &size, &note))
		return false;
	bytes = checkpoint_bytes(note, &len);
	if (!checkpoint_check(bytes, len, &cp, fault) || (int64) cp.size != size || size > prov_log_size(log) ||
		cp.originlen != strlen(identity->full_origin) ||
		memcmp(cp.origin, identity->full_origin, cp.originlen) != 0)
		return false;
	line = prov_format_in(text, strlen(text), &len);
	return line != NULL &&
		pv_cosignature_verify_line(cp.note.text, cp.note.textlen, line, len, key, &seconds) == PV_OK &&
		pv_tree_root(prov_log_tree(log), cp.size, &root) == PV_OK &&
		pv_hash_equal(&root, &cp.root);
}

/* The greatest size, not below min, that a witness has cosigned; -1 if none. */
static int64
cosigned_by(const ProvIdentity *identity, ProvLog *log, const pv_vkey *key, const char *vkey, int64 min)
{
	TupleDesc	desc = prov_tupdesc(PROV_CHECKPOINT_COSIGNATURE);
	Relation	rel = table_open(prov_relid(PROV_CHECKPOINT_COSIGNATURE), AccessShareLock);
	Relation	index = index_open(get_relname_relid("checkpoint_cosignature_witness_idx", prov_namespace()), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tup;
	int64		found = -1;

	prov_key_init(&keys[0], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_WITNESS, BTEqualStrategyNumber, CStringGetTextDatum(vkey));
	prov_key_init(&keys[1], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_INCARNATION, BTEqualStrategyNumber, Int32GetDatum(identity->incarnation));
	prov_key_init(&keys[2], PROV_CHECKPOINT_COSIGNATURE, A_COSIG_SIZE, BTGreaterEqualStrategyNumber, Int64GetDatum(min));
	scan = systable_beginscan_ordered(rel, index, snapshot, 3, keys);
	while (found < 0 && HeapTupleIsValid(tup = systable_getnext_ordered(scan, BackwardScanDirection)))
	{
		bool		nulls[2];
		Datum		size = heap_getattr(tup, A_COSIG_SIZE, desc, &nulls[0]);
		Datum		line = heap_getattr(tup, A_COSIG_LINE, desc, &nulls[1]);

		CHECK_FOR_INTERRUPTS();
		if (!nulls[0] && !nulls[1] && counts(identity, log, key, DatumGetInt64(size), TextDatumGetCString(line)))
			found = DatumGetInt64(size);
	}
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return found;
}

/* witnessed(size bigint) */
Datum
provenance_witnessed(PG_FUNCTION_ARGS)
{
	int64		size = PG_GETARG_INT64(0);
	ProvIdentity *identity = prov_identity(false);
	ProvWitnessPolicy policy;
	ProvLog    *log;
	int			good = 0;

	prov_witness_policy(&policy);
	if (policy.quorum <= 0)
		PG_RETURN_NULL();
	log = prov_log_open(NULL);
	for (unsigned i = 0; i < policy.n && good < policy.quorum; i++)
		good += cosigned_by(identity, log, &policy.keys[i], policy.vkeys[i], size) >= 0;
	prov_log_close(log);
	PG_RETURN_BOOL(good >= policy.quorum);
}

static int
descending(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x > y ? -1 : x < y;
}

/*
 * last_cosigned_size(): with the witnesses' greatest sizes in descending
 * order, the one that as many as the quorum have reached.
 */
Datum
provenance_last_cosigned_size(PG_FUNCTION_ARGS)
{
	ProvIdentity *identity = prov_identity(true);
	ProvWitnessPolicy policy;
	ProvLog    *log;
	int64	   *sizes;
	unsigned	quorum;

	if (identity == NULL)
		PG_RETURN_NULL();
	prov_witness_policy(&policy);
	quorum = Max(policy.quorum, 1);
	if (policy.n < quorum)
		PG_RETURN_NULL();
	sizes = palloc(sizeof(int64) * policy.n);
	log = prov_log_open(NULL);
	for (unsigned i = 0; i < policy.n; i++)
		sizes[i] = cosigned_by(identity, log, &policy.keys[i], policy.vkeys[i], 0);
	prov_log_close(log);
	qsort(sizes, policy.n, sizeof(int64), descending);
	if (sizes[quorum - 1] < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(sizes[quorum - 1]);
}
