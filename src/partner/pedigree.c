/*-------------------------------------------------------------------------
 *
 * pedigree.c
 *	  merged_of_subject(): what partners proved of a subject.
 *
 * A merged entry is a subject's if
 *	- it bears the pseudonym that the partner's key gives for the subject;
 *	- or, from a partner without such a key, its disclosed fields hold the
 *	  subject in the column that the table's `tag` entry names;
 *	- or it is the entry that an own row says it came from (source_leaf), or
 *	  stands before that one in its row chain.
 *
 * Pseudonyms are the exporter's claims; the other two are proven.
 *
 * Whoever may not SELECT from merged_entry sees nothing: the function reads
 * with the extension's rights and so asks for the caller's first. It does not
 * fail, because a timeline of the own tables is an answer too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "compat.h"
#include "ledger/result.h"
#include "partner/partner.h"

PG_FUNCTION_INFO_V1(provenance_merged_of_subject);

/* Origin and table id at a shape's head: a table keeps them when it is renamed. An origin has at most 200 bytes. */
#define TABLE_OF(shape) "pg_catalog.substr(" shape ".definition, 1, 7 + pg_catalog.get_byte(" shape ".definition, 2))"

/* Types of the query's columns, which are the attributes of type merged_change. */
#define MERGED_TYPES "ztttjtjjTlHtB"
#define MERGED_COLUMNS (lengthof(MERGED_TYPES) - 1)

/*
 * $1 partner ids with, in $2, the subject's pseudonym under each one's key;
 * $3 leaf hashes; $4 the subject; $5 is its text written as it is in tokens?
 */
static const char *const query =
	"WITH RECURSIVE hit (log_id, leaf_index, previous) AS ("
	"	SELECT m.log_id, m.leaf_index, -1::bigint"
	"		FROM unnest($1, $2) AS k (partner_id, pseudonym)"
	"			JOIN provenance.merged_leaf AS m ON m.pseudonym = k.pseudonym"
	"			JOIN provenance.partner_log AS l ON l.log_id = m.log_id AND l.partner_id = k.partner_id"
	"	UNION SELECT m.log_id, m.leaf_index, m.previous"
	"		FROM unnest($3) AS w (leaf_hash) JOIN provenance.merged_leaf AS m ON m.leaf_hash = w.leaf_hash"
	"	UNION SELECT m.log_id, m.leaf_index, -1::bigint"
	"		FROM provenance.merged_leaf AS m"
	"			JOIN provenance.partner_log AS l ON l.log_id = m.log_id"
	"			JOIN provenance.partner_registry AS p ON p.partner_id = l.partner_id AND p.pseudonym_key IS NULL"
	"			JOIN provenance.merged_shape AS s ON s.shape_id = m.shape_id"
	"			CROSS JOIN LATERAL provenance.merged_image(s.definition, m.leaf, m.fields) AS i"
	"			JOIN ("
	"				SELECT DISTINCT t.log_id, " TABLE_OF("ts") " AS in_table, x.fields ->> 'subject' AS subject"
	"					FROM provenance.merged_leaf AS t"
	"						JOIN provenance.merged_shape AS ts ON ts.shape_id = t.shape_id"
	"						CROSS JOIN LATERAL provenance.merged_image(ts.definition, t.leaf, t.fields) AS x"
	"					WHERE t.op = 6) AS tag"	/* PV_OP_TAG */
	"				ON tag.log_id = m.log_id AND tag.in_table = " TABLE_OF("s")
	"		WHERE m.op < 5"			/* of a row */
	"			AND (NOT $5 OR pg_catalog.strpos(m.fields, $4) > 0)"
	"			AND i.fields ->> tag.subject = $4"
	"	UNION SELECT m.log_id, m.leaf_index, m.previous"
	"		FROM hit AS h JOIN provenance.merged_leaf AS m"
	"			ON m.log_id = h.log_id AND m.leaf_index = h.previous)"
	"SELECT e.changed_at, e.partner, e.origin, pg_catalog.format('%I.%I', e.schema_name, e.table_name), e.key, e.op,"
	"		e.context, e.fields, e.withheld, e.leaf_index, e.leaf_hash, e.source_leaf, e.countersigned_by"
	"	FROM (SELECT DISTINCT log_id, leaf_index FROM hit) AS h"
	"		JOIN provenance.partner_log AS l ON l.log_id = h.log_id"
	"		JOIN provenance.merged_entry AS e ON e.origin = l.origin AND e.leaf_index = h.leaf_index";

/* The subject's pseudonym with each partner that has a key: $1 and $2. */
static void
pseudonyms(const char *subject, size_t len, Datum *ids, Datum *names)
{
	ArrayBuildState *id_state = initArrayResult(INT4OID, CurrentMemoryContext, false);
	ArrayBuildState *name_state = initArrayResult(UUIDOID, CurrentMemoryContext, false);
	ProvScan	scan;
	HeapTuple	tup;

	prov_scan_begin(&scan, PROV_PARTNER_REGISTRY, InvalidOid, NULL, 0, NULL);
	while (HeapTupleIsValid(tup = prov_scan_next(&scan, ForwardScanDirection)))
	{
		bool		isnull;
		Datum		id = heap_getattr(tup, A_PARTNER_ID, prov_tupdesc(PROV_PARTNER_REGISTRY), &isnull);
		ProvPartner *partner = prov_partner_by_id(DatumGetInt32(id));
		pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

		if (partner == NULL || !partner->has_pseudonym_key)
			continue;
		prov_check(pv_pseudonym(prov_hasher(), partner->pseudonym_key, subject, len, uuid->data));
		explicit_bzero(partner->pseudonym_key, sizeof(partner->pseudonym_key));
		accumArrayResult(id_state, id, false, INT4OID, CurrentMemoryContext);
		accumArrayResult(name_state, UUIDPGetDatum(uuid), false, UUIDOID, CurrentMemoryContext);
	}
	prov_scan_end(&scan);
	*ids = makeArrayResult(id_state, CurrentMemoryContext);
	*names = makeArrayResult(name_state, CurrentMemoryContext);
}

/* merged_of_subject(subject text, leaves hash[]) */
Datum
provenance_merged_of_subject(PG_FUNCTION_ARGS)
{
	text	   *subject = PG_GETARG_TEXT_PP(0);
	ReturnSetInfo *rsinfo;
	Oid			view = get_relname_relid("merged_entry", prov_namespace());
	Oid			types[5] = {INT4ARRAYOID, UUIDARRAYOID, get_array_type(hash_type_oid()), TEXTOID, BOOLOID};
	Datum		args[5];
	const char *utf8;
	size_t		len;
	Oid			user;
	int			context;
	uint64		i;

	rsinfo = prov_result_begin(fcinfo, MERGED_TYPES);
	if (!OidIsValid(view) || pg_class_aclcheck(view, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return (Datum) 0;

	utf8 = prov_to_utf8(VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject), &len);
	pseudonyms(utf8, len, &args[0], &args[1]);
	args[2] = PG_GETARG_DATUM(1);
	args[3] = PointerGetDatum(subject);
	args[4] = BoolGetDatum(pv_text_plain((const uint8_t *) utf8, len) && memchr(utf8, '|', len) == NULL);

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(prov_owner(), context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(query, lengthof(types), types, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed");
	prov_check_view(SPI_tuptable->tupdesc, MERGED_TYPES, "provenance.merged_entry");
	for (i = 0; i < SPI_processed; i++)
	{
		Datum		values[MERGED_COLUMNS];
		bool		nulls[MERGED_COLUMNS];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		prov_result_put(rsinfo, MERGED_COLUMNS, values, nulls);
	}
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	return (Datum) 0;
}
