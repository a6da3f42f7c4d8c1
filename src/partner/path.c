/*-------------------------------------------------------------------------
 *
 * path.c
 *	  The inclusion path of one leaf, out of leaves and subtrees in order;
 *	  prove_merged().
 *
 * The siblings to the left of a leaf i are peaks of the tree of the first i
 * leaves, one for each bit set in i. Those to the right are the subtrees that
 * begin after it, one for each bit that is not set, rising; each is put
 * together from what goes by, the last one perhaps smaller than its level.
 *
 * The hashes between a merge's entries, which are stored, and the leaf hashes of
 * the entries give every path again. That costs one walk over the merge up to
 * its end (ledger/merge_walk.c); a proof is asked for rarely.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/proof.h"
#include "ledger/merged.h"
#include "partner/inbox.h"

PG_FUNCTION_INFO_V1(provenance_prove_merged);

/* --- collecting -------------------------------------------------------- */

void
prov_path_begin(ProvPath *p, uint64 target, const pv_frontier *before)
{
	memset(p, 0, sizeof(*p));
	p->target = target;
	pv_frontier_init(&p->tree);
	if (before != NULL)
		p->tree = *before;
	p->pos = p->tree.size;
}

/* The next level above `from - 1` at which the sibling is to the right. */
static unsigned
next_level(uint64 target, unsigned from)
{
	while (from < 63 && (target >> from & 1) != 0)
		from++;
	return from;
}

static void
sibling_done(ProvPath *p)
{
	if (p->passed && p->tree.size == UINT64CONST(1) << p->level)
	{
		p->sibling[p->level] = p->tree.peaks[p->level];
		p->have |= UINT64CONST(1) << p->level;
		p->level = next_level(p->target, p->level + 1);
		pv_frontier_init(&p->tree);
	}
}

void
prov_path_gap(ProvPath *p, uint64 to, const pv_hash *hashes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
	{
		unsigned	k = pv_gap_height(p->pos, to);

		prov_check(pv_frontier_append_subtree(&p->tree, prov_hasher(), k, &hashes[i]));
		p->pos += UINT64CONST(1) << k;
		sibling_done(p);
	}
}

void
prov_path_leaf(ProvPath *p, const pv_hash *leaf_hash)
{
	if (p->pos++ != p->target)
	{
		prov_check(pv_frontier_append(&p->tree, prov_hasher(), leaf_hash, NULL, NULL));
		sibling_done(p);
		return;
	}
	for (unsigned k = 0; k < 63; k++)
		if (p->target >> k & 1)
			p->sibling[k] = p->tree.peaks[k];
	p->have = p->target;
	p->passed = true;
	p->level = next_level(p->target, 0);
	pv_frontier_init(&p->tree);
}

unsigned
prov_path_end(ProvPath *p, pv_hash path[PV_MAX_PATH])
{
	unsigned	n = 0;

	if (p->tree.size > 0)
	{
		prov_check(pv_frontier_root(&p->tree, prov_hasher(), &p->sibling[p->level]));
		p->have |= UINT64CONST(1) << p->level;
	}
	for (unsigned k = 0; k < 63; k++)
		if (p->have >> k & 1)
			path[n++] = p->sibling[k];
	return n;
}

/* --- out of the tables -------------------------------------------------- */

static void
walk_gap(void *path, uint64 to, const pv_hash *hashes, unsigned n)
{
	prov_path_gap(path, to, hashes, n);
}

static void
walk_leaf(void *path, const pv_hash *hash)
{
	prov_path_leaf(path, hash);
}

static bool
collect(ProvPath *p, int32 log_id, int64 merge_id, uint64 size)
{
	static const ProvMergeWalker walker = {walk_gap, walk_leaf};

	return prov_merge_walk(log_id, merge_id, size, NULL, &walker, p) && p->passed;
}

char *
prov_merged_proof(int32 log_id, int64 leaf_index, size_t *prooflen, uint8 leaf[PV_LEAF_LEN])
{
	HeapTuple	tup = prov_merged_leaf(log_id, leaf_index);
	HeapTuple	merge;
	Datum		merge_id;
	bytea	   *bytes;
	size_t		notelen;
	const char *note;
	pv_checkpoint cp;
	ProvPath	path;
	pv_hash		hashes[PV_MAX_PATH];
	pv_hash		leaf_hash;
	unsigned	n;
	size_t		cap;
	char	   *proof;
	pv_buf		b;

	if (tup == NULL)
		return NULL;
	merge_id = prov_value(PROV_MERGED_LEAF, tup, A_MLEAF_MERGE);
	bytes = DatumGetByteaPP(prov_value(PROV_MERGED_LEAF, tup, A_MLEAF_LEAF));
	if (VARSIZE_ANY_EXHDR(bytes) != PV_LEAF_LEN)
		return NULL;
	memcpy(leaf, VARDATA_ANY(bytes), PV_LEAF_LEN);
	merge = prov_fetch1(PROV_MERGE, merge_id, NULL);
	if (merge == NULL)
		return NULL;
	note = checkpoint_bytes(prov_value(PROV_MERGE, merge, A_MERGE_NOTE), &notelen);
	if (pv_checkpoint_parse(note, notelen, &cp) != PV_OK || (uint64) leaf_index >= cp.size)
		return NULL;

	prov_path_begin(&path, leaf_index, NULL);
	if (!collect(&path, log_id, DatumGetInt64(merge_id), cp.size))
		return NULL;
	n = prov_path_end(&path, hashes);
	prov_check(pv_leaf_hash(prov_hasher(), leaf, PV_LEAF_LEN, &leaf_hash));
	if (!prov_holds(pv_verify_inclusion(prov_hasher(), &leaf_hash, leaf_index, cp.size, hashes, n, &cp.root)))
		return NULL;

	/* the two lines at the head, then 44 digits of base64 and a newline per hash */
	cap = notelen + 128 + n * 48;
	proof = palloc(cap);
	pv_buf_init(&b, proof, cap);
	pv_put_proof(&b, leaf_index, hashes, n, note, notelen);
	prov_check(pv_buf_status(&b));
	*prooflen = b.len;
	return proof;
}

/* The newest log of a partner that has the leaf; 0: none. */
static int32
log_with_leaf(int32 partner_id, int64 leaf_index)
{
	TupleDesc	desc = prov_tupdesc(PROV_PARTNER_LOG);
	ProvScan	scan;
	HeapTuple	tup;
	int32		found = 0;

	prov_scan_begin_ordered(&scan, PROV_PARTNER_LOG, NULL, 0, NULL);
	while (found == 0 && (tup = prov_scan_next(&scan, BackwardScanDirection)) != NULL)
	{
		bool		isnull;
		int32		log_id = DatumGetInt32(heap_getattr(tup, A_PLOG_ID, desc, &isnull));

		if (DatumGetInt32(heap_getattr(tup, A_PLOG_PARTNER, desc, &isnull)) == partner_id &&
			prov_merged_leaf(log_id, leaf_index) != NULL)
			found = log_id;
	}
	prov_scan_end(&scan);
	return found;
}

/* prove_merged(partner text, leaf_index bigint) */
Datum
provenance_prove_merged(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64		leaf_index = PG_GETARG_INT64(1);
	ProvPartner *partner = prov_partner_by_name(name);
	int32		log_id;
	const char *fault;
	char	   *proof;
	size_t		len;
	uint8		leaf[PV_LEAF_LEN];

	if (partner == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no partner \"%s\"", name)));
	log_id = log_with_leaf(partner->partner_id, leaf_index);
	if (log_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("no entry with leaf index %lld was merged of partner \"%s\"", (long long) leaf_index, name)));
	fault = prov_merged_check(prov_merged_check_begin(NULL), prov_merged_leaf(log_id, leaf_index));
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("what is stored of leaf %lld of partner \"%s\" is not what was merged", (long long) leaf_index, name),
				 errdetail("Of this entry: %s.", fault),
				 errhint("Have the bundle merged again in a database of its own, or ask the partner for a disclosure.")));
	proof = prov_merged_proof(log_id, leaf_index, &len, leaf);
	if (proof == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored proof of leaf %lld of partner \"%s\" does not hold", (long long) leaf_index, name),
				 errhint("Have the bundle merged again in a database of its own, or ask the partner for the proof.")));
	PG_RETURN_DATUM(proof_to_datum(proof, len));
}
