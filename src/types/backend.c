/*
 * backend.c: what the other folders and the type functions share in a backend:
 * hasher and salter, statuses as errors, arrays of hashes, verifier keys.
 *
 * A fetched algorithm with a reused context belongs to one thread; a backend
 * is one. Both are made when first asked for, so that a preloaded library
 * holds no libcrypto object when the postmaster forks.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "types/types.h"

pv_hasher *
prov_hasher(void)
{
	static pv_hasher hasher;
	static bool ready = false;

	if (!ready)
	{
		prov_check(pv_hasher_init(&hasher));
		ready = true;
	}
	return &hasher;
}

pv_salter *
prov_salter(void)
{
	static pv_salter salter;
	static bool ready = false;

	if (!ready)
	{
		prov_check(pv_salter_init(&salter));
		ready = true;
	}
	return &salter;
}

void
prov_check(pv_status status)
{
	if (status == PV_E_STORAGE)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored log is damaged"),
				 errdetail("A stored hash is missing, or cannot be read."),
				 errhint("SELECT * FROM provenance.verify_log() says more.")));
	if (status != PV_OK)
		ereport(ERROR,
				(errcode(status == PV_E_CRYPTO ? ERRCODE_EXTERNAL_ROUTINE_EXCEPTION : ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a hash, signature or path"),
				 errdetail("The reason is: %s.", pv_status_text(status))));
}

bool
prov_holds(pv_status status)
{
	if (status == PV_E_CRYPTO || status == PV_E_STORAGE)
		prov_check(status);
	return status == PV_OK;
}

Oid
hash_type_oid(void)
{
	Oid			namespace = get_namespace_oid(PROV_SCHEMA, false);
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum("hash"), ObjectIdGetDatum(namespace));

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"%s.%s\" does not exist", PROV_SCHEMA, "hash")));
	return type;
}

Datum
hash_array_to_datum(const pv_hash *hashes, int n)
{
	Datum	   *elems = palloc(sizeof(Datum) * (n + 1));
	int			i;

	for (i = 0; i < n; i++)
		elems[i] = HashPGetDatum(unconstify(pv_hash *, &hashes[i]));
	return PointerGetDatum(construct_array(elems, n, hash_type_oid(), PV_HASH_LEN, false, TYPALIGN_CHAR));
}

/* What an array that stands for a list must be. */
static void
check_list(ArrayType *array, const char *what)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array of %s must have one dimension", what)));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array of %s must not contain nulls", what)));
}

pv_hash *
hash_array_get(ArrayType *array, int *n)
{
	pv_hash    *hashes;

	check_list(array, "hashes");
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	hashes = palloc(sizeof(pv_hash) * (*n + 1));
	/* No nulls, no padding: the data area is the hashes. */
	memcpy(hashes, ARR_DATA_PTR(array), sizeof(pv_hash) * *n);
	return hashes;
}

pv_vkey *
prov_vkeys(ArrayType *array, unsigned *n)
{
	Datum	   *elems;
	int			nelems;
	pv_vkey    *keys;
	int			i;

	check_list(array, "verifier keys");
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, NULL, &nelems);
	if (nelems > PROV_MAX_VKEYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many verifier keys"),
				 errdetail("%d keys where at most %d are taken.", nelems, PROV_MAX_VKEYS)));

	keys = palloc0(sizeof(pv_vkey) * (nelems + 1));
	for (i = 0; i < nelems; i++)
	{
		text	   *elem = DatumGetTextPP(elems[i]);
		size_t		len;
		char	   *s = prov_to_utf8(VARDATA_ANY(elem), VARSIZE_ANY_EXHDR(elem), &len);
		pv_status	status = s ? pv_vkey_parse(prov_hasher(), s, len, &keys[i]) : PV_E_UTF8;

		if (status == PV_E_CRYPTO)
			prov_check(status);
		if (status != PV_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid verifier key"),
					 errdetail("Key %d of %d: %s.", i + 1, nelems, pv_status_text(status))));
	}
	*n = nelems;
	return keys;
}
