/*
 * context.c: a session's contexts (see context.h).
 *
 * The session keeps the contexts it used last: pools switch between a few
 * actors. One that this transaction wrote may be reused at once, but must be
 * forgotten when the subtransaction that wrote it (or the one that this
 * committed into) is rolled back, and at PREPARE, when its fate is out of the
 * session's hands. There is no unique index over contexts, so sessions never
 * wait for each other here.
 *
 * The usual case, the same context as for the last change, costs a comparison
 * of a few short strings; role names are looked up again only when a role or
 * the catalog of roles changed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "ledger/canonical.h"
#include "ledger/context.h"
#include "ledger/settings.h"
#include "ledger/store.h"
#include "types/types.h"

#define NCACHED 32
#define SEED_BLOCK 128			/* seeds */

typedef struct CachedContext
{
	ProvContextRef ref;
	char	   *values[PV_CONTEXT_FIELDS];	/* server encoding; NULL: none */
	SubTransactionId subid;		/* that wrote it; 0 once committed */
	uint64		used;			/* tick of the last use; 0: free */
} CachedContext;

static CachedContext cache[NCACHED];
static Oid	cache_relid = InvalidOid;	/* table that the cache is about */
static uint64 tick = 0;
static CachedContext *last = NULL;
static bool any_uncommitted = false;	/* has one of them a subid? */

/* Names of the roles that were looked up last. */
#define NROLES 3
static Oid	role_ids[NROLES];
static char role_names[NROLES][NAMEDATALEN];
static bool roles_valid = false;

void
prov_random_seed(uint8 seed[PV_SEED_LEN])
{
	static uint8 block[SEED_BLOCK][PV_SEED_LEN];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(block, sizeof(block)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random bytes")));
		left = SEED_BLOCK;
	}
	left--;
	memcpy(seed, block[left], PV_SEED_LEN);
	memset(block[left], 0, PV_SEED_LEN);
}

static void
forget(CachedContext *c)
{
	int			i;

	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		if (c->values[i] != NULL)
			pfree(c->values[i]);
		c->values[i] = NULL;
	}
	c->used = 0;
	if (last == c)
		last = NULL;
}

static void
at_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			i;

	if (!any_uncommitted)
		return;
	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	for (i = 0; i < NCACHED; i++)
		if (cache[i].used != 0 && cache[i].subid == mine)
		{
			if (event == SUBXACT_EVENT_COMMIT_SUB)
				cache[i].subid = parent;
			else
				forget(&cache[i]);
		}
}

static void
at_xact(XactEvent event, void *arg)
{
	int			i;

	if (!any_uncommitted)
		return;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	any_uncommitted = false;
	for (i = 0; i < NCACHED; i++)
		if (cache[i].used != 0 && cache[i].subid != InvalidSubTransactionId)
		{
			if (event == XACT_EVENT_COMMIT)
				cache[i].subid = InvalidSubTransactionId;
			else
				forget(&cache[i]);
		}
}

static void
at_role_change(Datum arg, int cacheid, uint32 hashvalue)
{
	roles_valid = false;
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(at_xact, NULL);
	RegisterSubXactCallback(at_subxact, NULL);
	CacheRegisterSyscacheCallback(AUTHOID, at_role_change, (Datum) 0);
	registered = true;
}

/*
 * The client's address as text; empty for a local socket or no client at all.
 * By way of the SQL function, whose header needs none of the libraries that
 * libpq-be.h does.
 */
static const char *
client_address(void)
{
	static char host[64];
	static bool known = false;

	if (!known)
	{
		LOCAL_FCINFO(fcinfo, 0);
		Datum		address;

		InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
		address = inet_client_addr(fcinfo);
		if (!fcinfo->isnull)
			strlcpy(host, DatumGetCString(DirectFunctionCall1(inet_out, address)), sizeof(host));
		known = true;
	}
	return host;
}

static void
look_up_roles(const Oid *ids)
{
	int			i;

	if (roles_valid && memcmp(ids, role_ids, sizeof(role_ids)) == 0)
		return;
	/* set first: an invalidation during the look-ups must not be lost */
	roles_valid = true;
	for (i = 0; i < NROLES; i++)
	{
		char	   *name = GetUserNameFromId(ids[i], true);

		role_ids[i] = ids[i];
		strlcpy(role_names[i], name != NULL ? name : "", NAMEDATALEN);
		if (name != NULL)
			pfree(name);
	}
}

static bool
same_values(const CachedContext *c, const char *const *values)
{
	int			i;

	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		if (c->values[i] == NULL || values[i] == NULL)
		{
			if (c->values[i] != NULL || values[i] != NULL)
				return false;
		}
		else if (strcmp(c->values[i], values[i]) != 0)
			return false;
	}
	return true;
}

/* Writes a context row and puts it in the place of the one used longest ago. */
static CachedContext *
new_context(const char *const *values)
{
	CachedContext *c = &cache[0];
	char	   *copies[PV_CONTEXT_FIELDS];
	pv_value	fields[PV_CONTEXT_FIELDS];
	ProvContextRef ref;
	uint8		seed[PV_SEED_LEN];
	uint8	   *image;
	size_t		size;
	pv_buf		b;
	int			i;

	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		fields[i].data = NULL;
		fields[i].len = 0;
		if (values[i] != NULL)
			fields[i] = prov_utf8_value(values[i]);
	}
	prov_random_seed(seed);
	prov_check(pv_commit_context(prov_hasher(), prov_salter(), seed, pv_context_names, fields,
								 PV_CONTEXT_FIELDS, &ref.commitment));
	size = pv_values_size(fields, PV_CONTEXT_FIELDS);
	image = palloc(size);
	pv_buf_init(&b, image, size);
	pv_put_values(&b, fields, PV_CONTEXT_FIELDS);
	prov_check(pv_buf_status(&b));
	ref.id = prov_context_insert(&ref.commitment, seed, image, b.len);
	pfree(image);

	for (i = 1; i < NCACHED && c->used != 0; i++)
		if (cache[i].used < c->used)
			c = &cache[i];
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
		copies[i] = values[i] == NULL ? NULL : MemoryContextStrdup(TopMemoryContext, values[i]);
	forget(c);
	memcpy(c->values, copies, sizeof(copies));
	c->ref = ref;
	c->subid = GetCurrentSubTransactionId();
	any_uncommitted = true;
	c->used = ++tick;
	return c;
}

const ProvContextRef *
prov_current_context(void)
{
	const char *values[PV_CONTEXT_FIELDS];
	Oid			roles[NROLES];
	int			i;

	register_callbacks();
	if (cache_relid != prov_relid(PROV_CONTEXT))
	{
		/* the extension was dropped and created again */
		for (i = 0; i < NCACHED; i++)
			forget(&cache[i]);
		cache_relid = prov_relid(PROV_CONTEXT);
	}

	roles[0] = GetOuterUserId();
	roles[1] = GetSessionUserId();
	roles[2] = GetUserId();
	look_up_roles(roles);

	values[PV_CTX_ACTOR] = prov_actor;
	values[PV_CTX_PURPOSE] = prov_purpose;
	values[PV_CTX_SOURCE] = prov_source;
	values[PV_CTX_DB_USER] = role_names[0];
	values[PV_CTX_SESSION_USER] = role_names[1];
	values[PV_CTX_CURRENT_USER] = role_names[2];
	values[PV_CTX_APPLICATION] = application_name;
	values[PV_CTX_CLIENT_ADDR] = client_address();
	values[PV_CTX_SOURCE_LEAF] = prov_source_leaf;
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
		if (values[i] != NULL && values[i][0] == '\0')
			values[i] = NULL;

	if (last == NULL || !same_values(last, values))
	{
		last = NULL;
		for (i = 0; i < NCACHED && last == NULL; i++)
			if (cache[i].used != 0 && same_values(&cache[i], values))
				last = &cache[i];
		if (last == NULL)
			last = new_context(values);
		last->used = ++tick;
	}
	return &last->ref;
}
