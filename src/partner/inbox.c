/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  The view inbox: a bundle, line by line, by COPY or INSERT.
 *
 * A BEFORE STATEMENT trigger begins a ProvInbox, an INSTEAD OF trigger gives
 * it a line, an AFTER STATEMENT trigger insists that the last line was there.
 * Statements can be nested (a function in the SELECT of an INSERT that itself
 * inserts), so there is a stack; an error drops what belongs to the
 * (sub)transaction that it ends. Each line is read by the core
 * (core/bundle.h); who it comes from and what it adds is for inbox_head.c and
 * merge.c.
 *
 * Under session_replication_role = replica none of these triggers would fire
 * and the lines would be dropped in silence. So the column `line` has a domain
 * whose check refuses in that mode. A statement whose last trigger does not
 * fire for another reason is caught before the commit.
 *
 * A refusal is an ERROR, and a line in the server's log, without the context
 * that COPY adds: that would show values of the bundle.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "ledger/store.h"
#include "partner/inbox.h"

PG_FUNCTION_INFO_V1(provenance_inbox_open);
PG_FUNCTION_INFO_V1(provenance_inbox_begin);
PG_FUNCTION_INFO_V1(provenance_inbox_take);
PG_FUNCTION_INFO_V1(provenance_inbox_end);

#define INBOX_COLUMNS 3			/* of the view */

/* The innermost statement. */
static ProvInbox *current = NULL;

/* --- the stack --------------------------------------------------------- */

static void
pop(void)
{
	ProvInbox  *in = current;

	current = in->outer;
	MemoryContextDelete(in->cxt);
}

/* libcrypto's memory is not in a context. */
static void
free_reader(void *arg)
{
	pv_bundle_reader_free(arg);
}

static void
at_xact(XactEvent event, void *arg)
{
	if (current == NULL)
		return;
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		ereport(ERROR,
				(errcode(ERRCODE_BUNDLE_INCOMPLETE),
				 errmsg("a bundle was inserted into the inbox and not taken"),
				 errdetail("The view's triggers did not all fire.")));
	if (event == XACT_EVENT_ABORT)
		while (current != NULL)
			pop();
}

static void
at_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (current != NULL && current->level >= level)
			pop();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (ProvInbox *in = current; in != NULL && in->level >= level; in = in->outer)
			in->level = level - 1;
}

static void *
keep_shape(void *arg, unsigned slot, size_t len)
{
	ProvInbox  *in = arg;

	if (in->kept[slot] != NULL)
		pfree(in->kept[slot]);
	in->kept[slot] = MemoryContextAlloc(in->cxt, Max(len, 1));
	return in->kept[slot];
}

static void
push(void)
{
	static bool registered = false;
	MemoryContext cxt;
	ProvInbox  *in;
	MemoryContextCallback *callback;
	uint8		key[PV_BUNDLE_KEY_LEN];

	if (!registered)
	{
		RegisterXactCallback(at_xact, NULL);
		RegisterSubXactCallback(at_subxact, NULL);
		registered = true;
	}
	if (!pg_strong_random(key, sizeof(key)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));

	cxt = AllocSetContextCreate(TopTransactionContext, "provenance inbox", ALLOCSET_DEFAULT_SIZES);
	in = MemoryContextAllocZero(cxt, sizeof(ProvInbox));
	in->cxt = cxt;
	in->line_cxt = AllocSetContextCreate(cxt, "provenance inbox line", ALLOCSET_DEFAULT_SIZES);
	in->level = GetCurrentTransactionNestLevel();
	in->known_size = -1;
	in->reader = MemoryContextAllocZero(cxt, sizeof(pv_bundle_reader));
	callback = MemoryContextAlloc(cxt, sizeof(*callback));
	callback->func = free_reader;
	callback->arg = in->reader;
	MemoryContextRegisterResetCallback(cxt, callback);
	prov_check(pv_bundle_reader_init(in->reader, prov_hasher(), key, keep_shape, in));
	in->outer = current;
	current = in;
}

/* --- refusing ---------------------------------------------------------- */

void
prov_inbox_refuse(ProvInbox *in, int sqlstate, const char *reason, const char *detail, const char *hint)
{
	const char *who = in->partner != NULL ? in->partner->name : in->origin;
	char	   *from = who == NULL ? "" :
		psprintf(in->partner != NULL ? " of partner \"%s\"" : " of \"%s\"", who);

	/* the error's own log line may be switched off, and has other parts */
	ereport(LOG_SERVER_ONLY,
			(errcode(sqlstate),
			 errmsg("bundle%s refused at line " UINT64_FORMAT ": %s", from, in->line, reason),
			 errhidestmt(true),
			 errhidecontext(true)));
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("bundle%s refused at line " UINT64_FORMAT ": %s", from, in->line, reason),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 hint != NULL ? errhint("%s", hint) : 0,
			 errhidestmt(true),
			 errhidecontext(true)));
	pg_unreachable();
}

/* What is wrong is already known from an earlier line. */
pg_noreturn static void
refuse_deferred(ProvInbox *in)
{
	in->line = in->deferred.line;
	prov_inbox_refuse(in, in->deferred.sqlstate, in->deferred.reason, in->deferred.detail, in->deferred.hint);
}

pg_noreturn static void
refuse_status(ProvInbox *in, pv_status status, const char *what)
{
	static const struct
	{
		pv_status	status;
		int			sqlstate;
	}			map[] = {
		{PV_E_TRUNCATED, ERRCODE_BUNDLE_MALFORMED},
		{PV_E_ORDER, ERRCODE_BUNDLE_ORDER},
		{PV_E_DIGEST, ERRCODE_BUNDLE_ORDER},
		{PV_E_ORIGIN, ERRCODE_BUNDLE_FOREIGN},
		{PV_E_COMMITMENT, ERRCODE_BUNDLE_COMMITMENT},
		{PV_E_CHAIN, ERRCODE_BUNDLE_CHAIN},
		{PV_E_PATH, ERRCODE_BUNDLE_PATH},
		{PV_E_ROOT, ERRCODE_BUNDLE_PATH},
		{PV_E_SIGNATURE, ERRCODE_BUNDLE_COUNTERSIGNATURE},
	};
	int			sqlstate = ERRCODE_BUNDLE_MALFORMED;

	if (status == PV_E_CRYPTO || status == PV_E_STORAGE)
		prov_check(status);
	if (in->deferred.sqlstate != 0)
		refuse_deferred(in);
	for (int i = 0; i < lengthof(map); i++)
		if (map[i].status == status)
			sqlstate = map[i].sqlstate;
	/* what it is about, and what is wrong with it: constants both */
	prov_inbox_refuse(in, sqlstate, psprintf("%s: %s", what, pv_status_text(status)), NULL, NULL);
}

static const char *
server_text(const void *s, size_t len, size_t *n)
{
	const char *text = prov_from_utf8(s, len, n);

	if (text == NULL)
		prov_inbox_refuse(current, ERRCODE_UNTRANSLATABLE_CHARACTER,
						  "a text has a character that this database's encoding lacks", NULL, NULL);
	return text;
}

char *
prov_inbox_text(const void *s, size_t len)
{
	size_t		n;
	const char *text;

	if (s == NULL)
		return NULL;
	text = server_text(s, len, &n);
	return pnstrdup(text, n);
}

Datum
prov_inbox_text_datum(const void *s, size_t len)
{
	size_t		n;
	const char *text = server_text(s, len, &n);

	return PointerGetDatum(cstring_to_text_with_len(text, n));
}

/* --- a line ------------------------------------------------------------ */

static void
take(ProvInbox *in)
{
	switch (in->reader->kind)
	{
		case PV_BUNDLE_HEADER:
			prov_inbox_header(in);
			break;
		case PV_BUNDLE_CHECKPOINT:
			prov_inbox_checkpoint(in);
			break;
		case PV_BUNDLE_CONSISTENCY:
			prov_inbox_consistency(in);
			break;
		default:
			break;
	}
	if (in->reader->kind > PV_BUNDLE_CONSISTENCY && !in->head_done)
	{
		prov_inbox_head_done(in);
		in->head_done = true;
		if (in->deferred.sqlstate == 0)
			prov_merge_begin(in);
	}

	/* evidence of a fork is all that such a bundle can still be good for */
	if (in->deferred.sqlstate != 0)
	{
		if (in->reader->kind == PV_BUNDLE_ENTRY || in->reader->kind == PV_BUNDLE_END)
			prov_fork_follow(in);
		if (in->reader->kind == PV_BUNDLE_END)
		{
			if (in->contradicted)
				prov_fork_leaf(in);
			refuse_deferred(in);
		}
		return;
	}

	switch (in->reader->kind)
	{
		case PV_BUNDLE_SHAPE:
			prov_merge_shape(in);
			break;
		case PV_BUNDLE_CONTEXT:
			prov_merge_context(in);
			break;
		case PV_BUNDLE_ENTRY:
			prov_merge_entry(in);
			break;
		case PV_BUNDLE_COUNTERSIGNATURE:
			prov_merge_countersignature(in);
			break;
		case PV_BUNDLE_END:
			prov_merge_end(in);
			break;
		default:
			break;
	}
}

static void
read_line(ProvInbox *in, int64 line, text *kind, text *content)
{
	MemoryContext old = MemoryContextSwitchTo(in->line_cxt);
	size_t		kindlen = VARSIZE_ANY_EXHDR(kind);
	size_t		len;
	char	   *s = prov_to_utf8(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), &len);
	pv_status	status;
	const char *what = NULL;

	if (s == NULL)
		prov_inbox_refuse(in, ERRCODE_BUNDLE_MALFORMED, "content that is not text", NULL, NULL);
	if (in->deferred.sqlstate != 0)
		in->before = in->reader->tree;
	status = pv_bundle_read(in->reader, (uint64) line, VARDATA_ANY(kind), kindlen, s, len,
							palloc_extended(Max(len, 1), MCXT_ALLOC_HUGE), len, &what);
	if (status != PV_OK)
		refuse_status(in, status, what);
	if (in->deferred.sqlstate != 0 && in->reader->kind == PV_BUNDLE_ENTRY && !in->contradicted)
		prov_fork_look(in);
	take(in);
	MemoryContextSwitchTo(old);
	MemoryContextReset(in->line_cxt);
}

/* --- SQL --------------------------------------------------------------- */

/* inbox_open(line bigint): the check of the view's domain */
Datum
provenance_inbox_open(PG_FUNCTION_ARGS)
{
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		ereport(ERROR,
				(errcode(ERRCODE_INBOX_DISABLED),
				 errmsg("the inbox takes nothing while session_replication_role is \"replica\""),
				 errdetail("The triggers that verify a bundle do not fire in this mode.")));
	PG_RETURN_BOOL(true);
}

static TriggerData *
trigger_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		RelationGetDescr(((TriggerData *) fcinfo->context)->tg_relation)->natts != INBOX_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this function can only be called as a trigger of the view inbox")));
	return (TriggerData *) fcinfo->context;
}

/* BEFORE INSERT, FOR EACH STATEMENT */
Datum
provenance_inbox_begin(PG_FUNCTION_ARGS)
{
	(void) trigger_data(fcinfo);
	(void) prov_identity(false);	/* the merge will be an entry of the log */
	push();
	return PointerGetDatum(NULL);
}

/* INSTEAD OF INSERT, FOR EACH ROW */
Datum
provenance_inbox_take(PG_FUNCTION_ARGS)
{
	TriggerData *td = trigger_data(fcinfo);
	TupleDesc	desc = RelationGetDescr(td->tg_relation);
	Datum		values[INBOX_COLUMNS];
	bool		nulls[INBOX_COLUMNS];

	if (current == NULL)
		elog(ERROR, "a line outside of a statement on the inbox");
	heap_deform_tuple(td->tg_trigtuple, desc, values, nulls);
	current->line++;
	if (nulls[0] || nulls[1] || nulls[2])
		prov_inbox_refuse(current, ERRCODE_BUNDLE_MALFORMED, "a column is null", NULL, NULL);
	if (DatumGetInt64(values[0]) < 0)
		prov_inbox_refuse(current, ERRCODE_BUNDLE_ORDER, "its number is negative", NULL, NULL);
	read_line(current, DatumGetInt64(values[0]), DatumGetTextPP(values[1]), DatumGetTextPP(values[2]));

	/* a copy: the server frees the tuple it made only if it gets another one back */
	return PointerGetDatum(heap_copytuple(td->tg_trigtuple));
}

/* AFTER INSERT, FOR EACH STATEMENT */
Datum
provenance_inbox_end(PG_FUNCTION_ARGS)
{
	const char *what = NULL;

	(void) trigger_data(fcinfo);
	if (current == NULL)
		elog(ERROR, "the end of a statement on the inbox that did not begin");
	if (pv_bundle_reader_done(current->reader, &what) != PV_OK)
	{
		if (current->deferred.sqlstate != 0)
			refuse_deferred(current);
		current->line++;
		prov_inbox_refuse(current, ERRCODE_BUNDLE_INCOMPLETE,
						  current->line == 1 ? "there is no line at all" : "the last line is missing", NULL, NULL);
	}
	pop();
	return PointerGetDatum(NULL);
}
