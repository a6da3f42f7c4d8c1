/*
 * ledger_check.c: are the ledger's tables what CREATE EXTENSION made?
 *
 * Everything else here reads their columns as what they are declared to be. A
 * superuser can declare them otherwise, and a text read as a hash is not a
 * finding but a crash; so the declarations are compared first, and nothing is
 * read if they differ.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "verify/verify.h"

/* A column's type by a letter. Capitals are our own. */
typedef struct RelTypes
{
	ProvRel		rel;
	const char *name;
	const char *types;
} RelTypes;

static const RelTypes expected[] = {
	{PROV_LOG_IDENTITY, "log_identity", "iiztbt"},
	{PROV_LOG_KEY, "log_key", "iltz"},
	{PROV_REGISTRY, "registry", "iozznnttaf"},
	{PROV_SHAPE, "shape", "iiHb"},
	{PROV_CONTEXT, "context", "lHub"},
	{PROV_ENTRY, "entry", "xlzliiiuHubs"},
	{PROV_BASELINE_PHASE, "baseline_phase", "ioloolll"},
	{PROV_LEAF_RUN, "leaf_run", "lsbb"},
	{PROV_SEQ_BLOCK, "seq_block", "llb"},
	{PROV_TREE_NODE, "tree_node", "slH"},
	{PROV_HEAD, "head", "ub"},
	{PROV_TABLE_HEAD, "table_head", "illlHl"},
	{PROV_SEAL_STATE, "seal_state", "iolllzp"},
	{PROV_CHECKPOINT_NOTE, "checkpoint_note", "ilzHC"},
	{PROV_INCARNATION, "incarnation", "izltttlHC"},
	{PROV_COUNTERSIGNATURE, "countersignature", "lbztHb"},
};

static Oid
own_type(const char *name)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
						   ObjectIdGetDatum(prov_namespace()));
}

static Oid
type_of(char letter)
{
	switch (letter)
	{
		case 'i':
			return INT4OID;
		case 'l':
			return INT8OID;
		case 's':
			return INT2OID;
		case 'x':
			return XID8OID;
		case 't':
			return TEXTOID;
		case 'n':
			return NAMEOID;
		case 'a':
			return NAMEARRAYOID;
		case 'o':
			return OIDOID;
		case 'z':
			return TIMESTAMPTZOID;
		case 'b':
			return BYTEAOID;
		case 'f':
			return BOOLOID;
		case 'u':
			return UUIDOID;
		case 'p':
			return PG_SNAPSHOTOID;
		case 'H':
			return own_type("hash");
		case 'C':
			return own_type("checkpoint");
	}
	return InvalidOid;
}

static bool
as_expected(const RelTypes *e)
{
	Relation	rel = table_open(prov_relid(e->rel), AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	bool		ok = rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		desc->natts >= (int) strlen(e->types);
	int			i;

	for (i = 0; ok && e->types[i] != '\0'; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		ok = !att->attisdropped && OidIsValid(att->atttypid) && att->atttypid == type_of(e->types[i]);
	}
	table_close(rel, AccessShareLock);
	return ok;
}

typedef struct CheckTask
{
	const char *altered;
} CheckTask;

static void
check_all(void *arg)
{
	CheckTask  *task = arg;
	int			i;

	for (i = 0; i < lengthof(expected) && task->altered == NULL; i++)
		if (!as_expected(&expected[i]))
			task->altered = expected[i].name;
}

bool
verify_ledger_usable(Verify *v)
{
	CheckTask	task = {NULL};

	if (!verify_try(v, check_all, &task))
		verify_finding(v, "ledger_altered", SEV_ERROR, "provenance", -1, -1,
					   "The ledger's tables are not those that the extension made: %s", v->fault);
	else if (task.altered != NULL)
		verify_finding(v, "ledger_altered", SEV_ERROR, task.altered, -1, -1,
					   "Kind or columns of this table of the ledger are not those that the extension made; nothing was read.");
	else
		return true;
	return false;
}
