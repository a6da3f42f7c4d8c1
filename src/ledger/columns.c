/*
 * columns.c: are the ledger's tables what CREATE EXTENSION made?
 *
 * Everything else reads and writes their columns as what they are declared to
 * be, as many of them as there were. A superuser can declare them otherwise, past
 * the guard, and a text read as a hash, or a row with a column more than the
 * array it is read into, is not an error but a crash. So the declarations are
 * compared before anything is read or written: by catalog.c, which keeps the
 * result until an invalidation, and by verification, which makes a finding of it.
 *
 * A column more is refused even where a later version of the extension may have
 * made it, and this library is of an earlier one: what it would write into such a
 * table nobody can say, and a superuser can change the version as well. The error
 * says that the versions differ.
 *
 * Constraints are not compared: who relies on a column that is declared NOT
 * NULL asks for it with prov_value(), or names it to prov_refuse_nulls().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "ledger/catalog.h"

/* A column's type by a letter. Capitals are our own, and arrays. */
static const struct
{
	const char *types;
	int			n;				/* of arrays that hold a row */
}			expected[PROV_NRELS] = {
	[PROV_LOG_IDENTITY] = {"iiztbt", N_IDENT},
	[PROV_LOG_KEY] = {"iltz", N_KEY},
	[PROV_REGISTRY] = {"iozznnttaf", N_REG},
	[PROV_SHAPE] = {"iiHb", N_SHAPE},
	[PROV_CONTEXT] = {"lHub", N_CTX},
	[PROV_ENTRY] = {"xlzliiiuHubs", N_ENTRY},
	[PROV_BASELINE_PHASE] = {"ioloolll", N_PHASE},
	[PROV_LEAF_RUN] = {"lsbb", N_RUN},
	[PROV_SEQ_BLOCK] = {"llb", N_BLOCK},
	[PROV_TREE_NODE] = {"slH", N_NODE},
	[PROV_HEAD] = {"ub", N_HEAD},
	[PROV_TABLE_HEAD] = {"illlHl", N_THEAD},
	[PROV_SEAL_STATE] = {"iolllzp", N_SEAL},
	[PROV_CHECKPOINT_NOTE] = {"ilzHC", N_CP},
	[PROV_WORKER_STATE] = {"izttfol", N_WS},
	[PROV_SCRUB_STATE] = {"iiiollllzzlll", N_SCRUB},
	[PROV_CHECKPOINT_TIMESTAMP] = {"ilizztttb", N_STAMP},
	[PROV_INCARNATION] = {"izltttlHC", N_INC},
	[PROV_KEY_HANDOVER] = {"ttilz", N_HAND},
	[PROV_PARTNER_REGISTRY] = {"izzitttTTb", N_PARTNER},
	[PROV_PARTNER_LOG] = {"iit", N_PLOG},
	[PROV_PARTNER_CHECKPOINT] = {"ilzHC", N_PCP},
	[PROV_FORK_RECORD] = {"iizttCCPPbbztt", N_FORK},
	[PROV_MERGE] = {"lztttlHllllttttHC", N_MERGE},
	[PROV_MERGED_SHAPE] = {"iiHb", N_MSHAPE},
	[PROV_MERGED_CONTEXT] = {"lHt", N_MCTX},
	[PROV_MERGED_LEAF] = {"iillllsuHbbHt", N_MLEAF},
	[PROV_MERGED_PATH] = {"llb", N_MPATH},
	[PROV_MERGED_COUNTERSIGNATURE] = {"ilbb", N_MCSIG},
	[PROV_DISCLOSURE] = {"lztttttTTllHlHl", N_DISC},
	[PROV_DISCLOSURE_SUBJECT] = {"lt", N_DSUB},
	[PROV_COUNTERSIGNATURE] = {"lbztHb", N_CSIG},
	[PROV_HANDOVER] = {"ttzttH", N_HO},
	[PROV_CHECKPOINT_COSIGNATURE] = {"iltlzt", N_COSIG},
	[PROV_WITNESS_POLICY] = {"iiT", N_WPOL},
	[PROV_COSIGNER_KEY] = {"izt", N_CKEY},
	[PROV_COSIGNED] = {"ilztC", N_COSD},
};

static Oid
own_type(const char *name)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
						   ObjectIdGetDatum(prov_namespace()));
}

Oid
prov_type_of(char letter)
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
		case 'T':
			return TEXTARRAYOID;
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
		case 'B':
			return BYTEAARRAYOID;
		case 'j':
			return JSONBOID;
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
		case 'P':
			return own_type("proof");
	}
	return InvalidOid;
}

static bool
as_made(ProvRel which, Relation rel)
{
	const char *types = expected[which].types;
	int			n = expected[which].n;
	TupleDesc	desc = RelationGetDescr(rel);
	bool		ok = rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		desc->natts == n && (int) strlen(types) == n;
	int			i;

	for (i = 0; ok && i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		ok = !att->attisdropped && OidIsValid(att->atttypid) && att->atttypid == prov_type_of(types[i]);
	}
	return ok;
}

const char *
prov_other_version(void)
{
	const char *installed = prov_version();

	if (installed == NULL || strcmp(installed, PROVENANCE_VERSION) == 0)
		return "";
	return psprintf(" The extension in this database is of version %s, this process has the library of version %s.",
					installed, PROVENANCE_VERSION);
}

void
prov_check_usable(ProvRel which, Relation rel)
{
	if (!as_made(which, rel))
	{
		const char *other = prov_other_version();

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot use ledger table \"%s\"", RelationGetRelationName(rel)),
				 errdetail("Its columns are not those that the extension made.%s", other),
				 other[0] != '\0' ? errhint("Connect anew. If the server preloads the library, restart it.") : 0));
	}
}

bool
prov_usable(ProvRel which)
{
	Relation	rel = table_open(prov_relid(which), AccessShareLock);
	bool		result = as_made(which, rel);

	table_close(rel, AccessShareLock);
	return result;
}

static void
refuse_null(ProvRel rel, AttrNumber attno)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a row of ledger table \"%s\" has no value in column \"%s\"", get_rel_name(prov_relid(rel)),
					NameStr(TupleDescAttr(prov_tupdesc(rel), attno - 1)->attname)),
			 errhint("SELECT * FROM provenance.verify() says more.")));
}

Datum
prov_value(ProvRel rel, HeapTuple tup, AttrNumber attno)
{
	bool		isnull;
	Datum		d = heap_getattr(tup, attno, prov_tupdesc(rel), &isnull);

	if (isnull)
		refuse_null(rel, attno);
	return d;
}

void
prov_refuse_nulls(ProvRel rel, const bool *nulls, const AttrNumber *columns)
{
	for (; *columns != 0; columns++)
		if (nulls[*columns - 1])
			refuse_null(rel, *columns);
}
