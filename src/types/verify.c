/*
 * verify.c: checking a proof or a consistency path without a ledger.
 *
 * A boolean answer to a well-formed question: false says that signature, path
 * or leaf do not fit together, and nothing about who is to blame. What is not
 * a question (a malformed key, a NULL in a list) is an error of the caller's.
 * Only keys named like the checkpoint's origin count; signatures by others are
 * ignored, one wrong signature by one of them refuses the checkpoint.
 *
 * Nothing here looks at a table, a setting or a clock: the functions are
 * immutable.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "types/types.h"

PG_FUNCTION_INFO_V1(provenance_leaf_hash);
PG_FUNCTION_INFO_V1(provenance_verify_inclusion);
PG_FUNCTION_INFO_V1(provenance_verify_consistency);

Datum
provenance_leaf_hash(PG_FUNCTION_ARGS)
{
	bytea	   *leaf = PG_GETARG_BYTEA_PP(0);
	pv_hash    *hash = palloc(sizeof(pv_hash));

	prov_check(pv_leaf_hash(prov_hasher(), VARDATA_ANY(leaf), VARSIZE_ANY_EXHDR(leaf), hash));
	PG_RETURN_HASH_P(hash);
}

/* verify_inclusion(p proof, leaf bytea, VARIADIC vkeys text[]) */
Datum
provenance_verify_inclusion(PG_FUNCTION_ARGS)
{
	bytea	   *leaf = PG_GETARG_BYTEA_PP(1);
	unsigned	nkeys;
	pv_vkey    *keys = prov_vkeys(PG_GETARG_ARRAYTYPE_P(2), &nkeys);
	pv_proof	proof;
	pv_checkpoint cp;
	pv_hash		leaf_hash;

	proof_get(PG_GETARG_DATUM(0), &proof, &cp);

	if (!prov_holds(pv_checkpoint_verify(&cp, keys, nkeys)))
		PG_RETURN_BOOL(false);
	prov_check(pv_leaf_hash(prov_hasher(), VARDATA_ANY(leaf), VARSIZE_ANY_EXHDR(leaf), &leaf_hash));
	PG_RETURN_BOOL(prov_holds(pv_verify_inclusion(prov_hasher(), &leaf_hash, proof.index, cp.size,
												  proof.path, proof.npath, &cp.root)));
}

/*
 * verify_consistency(old checkpoint, new checkpoint, path hash[], VARIADIC
 * vkeys text[])
 */
Datum
provenance_verify_consistency(PG_FUNCTION_ARGS)
{
	int			npath;
	pv_hash    *path = hash_array_get(PG_GETARG_ARRAYTYPE_P(2), &npath);
	unsigned	nkeys;
	pv_vkey    *keys = prov_vkeys(PG_GETARG_ARRAYTYPE_P(3), &nkeys);
	pv_checkpoint first,
				second;

	checkpoint_get(PG_GETARG_DATUM(0), &first);
	checkpoint_get(PG_GETARG_DATUM(1), &second);

	if (first.originlen != second.originlen ||
		memcmp(first.origin, second.origin, first.originlen) != 0)
		PG_RETURN_BOOL(false);
	if (!prov_holds(pv_checkpoint_verify(&first, keys, nkeys)) ||
		!prov_holds(pv_checkpoint_verify(&second, keys, nkeys)))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(prov_holds(pv_verify_consistency(prov_hasher(), first.size, &first.root,
													second.size, &second.root, path, npath)));
}
