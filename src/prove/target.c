/*
 * target.c: which table somebody asks about, and what of it they may see.
 *
 * The ledger's tables are nobody's to read, so the functions of this folder
 * read them with the extension's own eyes and answer for the caller. The rules
 * are those of the table itself: SELECT on the table or on single columns,
 * asked of today's catalog by today's column names. A column that exists no
 * more has nobody to say who might read it: only the table's owner does. Row
 * security is about rows as they are; what its policies would have said of an
 * earlier version cannot be asked, so where it applies, nothing is shown.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ledger/row_image.h"
#include "prove/prove.h"
#include "types/types.h"

char *
prove_text(const void *s, size_t len)
{
	size_t		n;
	char	   *t = prov_from_utf8(s, len, &n);

	if (t == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("a recorded text has a character without equivalent in the database's encoding")));
	return pnstrdup(t, n);
}

/*
 * The tagged table that a relation is, or is a partition of: one that is tagged
 * now before one that was, the nearer before the farther.
 */
static ProvTable *
find_tagged(Oid relid, Snapshot snapshot, Oid *found)
{
	List	   *candidates = list_make1_oid(relid);
	ProvTable  *table;
	ListCell   *lc;

	if (get_rel_relispartition(relid))
		candidates = list_concat(candidates, get_partition_ancestors(relid));
	foreach(lc, candidates)
	{
		*found = lfirst_oid(lc);
		table = prov_table_by_relid(*found, snapshot);
		if (table != NULL)
			return table;
	}
	foreach(lc, candidates)
	{
		*found = lfirst_oid(lc);
		table = prov_table_ever(*found, snapshot);
		if (table != NULL)
			return table;
	}
	return NULL;
}

/* The columns of the index that identifies the rows now; false without one. */
static bool
keys_of_index(ProveTarget *target)
{
	Relation	rel = table_open(target->relid, AccessShareLock);
	Oid			indexid = prov_key_index(rel);
	HeapTuple	tup;
	Form_pg_index index;
	int			i;

	table_close(rel, AccessShareLock);
	if (!OidIsValid(indexid))
		return false;
	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	if (!HeapTupleIsValid(tup))
		return false;
	index = (Form_pg_index) GETSTRUCT(tup);
	target->nkeys = index->indnkeyatts;
	target->key_attnums = palloc(sizeof(AttrNumber) * target->nkeys);
	target->key_names = palloc(sizeof(char *) * target->nkeys);
	for (i = 0; i < target->nkeys; i++)
	{
		target->key_attnums[i] = index->indkey.values[i];
		target->key_names[i] = get_attname(target->relid, index->indkey.values[i], false);
	}
	ReleaseSysCache(tup);
	return true;
}

/* The key columns of the newest shape: for a table that has lost its key. */
static bool
keys_of_shape(ProveTarget *target, Snapshot snapshot)
{
	ProvShape  *shape = prov_shape_newest(target->table->table_id, snapshot);
	int			i;

	if (shape == NULL || shape->status != PV_OK || shape->nkeys == 0)
		return false;
	target->nkeys = shape->nkeys;
	target->key_attnums = palloc(sizeof(AttrNumber) * target->nkeys);
	target->key_names = palloc(sizeof(char *) * target->nkeys);
	for (i = 0; i < target->nkeys; i++)
	{
		pv_name		name = shape->columns[shape->key_columns[i]].name;

		target->key_names[i] = prove_text(name.s, name.len);
		target->key_attnums[i] = get_attnum(target->relid, target->key_names[i]);
	}
	return true;
}

ProveTarget *
prove_target(Oid relid, Snapshot snapshot)
{
	ProveTarget *target = palloc0(sizeof(ProveTarget));
	char	   *name = get_rel_name(relid);
	Oid			user = GetUserId();

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	target->table = find_tagged(relid, snapshot, &target->relid);
	if (target->table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was never tagged", name),
				 errhint("provenance.tag() starts recording; it has no history of before.")));
	name = get_rel_name(target->relid);

	target->owner = prov_owns_relation(target->relid, user);
	target->all_columns = pg_class_aclcheck(target->relid, user, ACL_SELECT) == ACLCHECK_OK;
	if (!target->all_columns &&
		pg_attribute_aclcheck_all(target->relid, user, ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, name);
	if (check_enable_rls(target->relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the history of table \"%s\" is not shown to a role that its row security applies to", name),
				 errdetail("The policies cannot be asked about earlier versions of rows.")));

	if (!keys_of_index(target) && !keys_of_shape(target, snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the key of tagged table \"%s\" is not known", name),
				 errhint("Give the table a primary key.")));
	return target;
}

static bool
attribute_visible(const ProveTarget *target, AttrNumber attnum)
{
	if (attnum == InvalidAttrNumber)
		return target->owner;
	return target->all_columns ||
		pg_attribute_aclcheck(target->relid, attnum, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

bool
prove_column_visible(const ProveTarget *target, pv_name name)
{
	return attribute_visible(target, get_attnum(target->relid, prove_text(name.s, name.len)));
}

/*
 * Asking for a row by its key is WHERE key = …, which needs SELECT on the key:
 * without it, the columns of others could be told whose they are.
 */
void
prove_check_key_columns(const ProveTarget *target)
{
	int			i;

	for (i = 0; i < target->nkeys; i++)
		if (!attribute_visible(target, target->key_attnums[i]))
			aclcheck_error_col(ACLCHECK_NO_PRIV, OBJECT_COLUMN, get_rel_name(target->relid),
							   target->key_names[i]);
}
