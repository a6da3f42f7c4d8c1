/*
 * export_record.c: the record of what a bundle gives away.
 *
 * A request's worker writes it, in transactions of its own, so that it stands
 * whatever becomes of the caller's: first the subjects, in chunks of one
 * question, each in the sort's order and so no subject twice; then, with the
 * last chunk, the row of `disclosure` itself. Subjects without such a row are
 * of an export that failed before anything left.
 *
 * A question: u64 id of the disclosure (0: to be drawn; the answer has it),
 * u32 number of subjects, the subjects; then, in the last one, the row. A text
 * is u32 length and bytes, 0xFFFFFFFF for NULL. Both sides are this file, and
 * the server's encoding is that of both.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

#include "ledger/own_table.h"
#include "ledger/stop_point.h"
#include "partner/export.h"

#include "compat.h"

#define QUESTION_MAX (1024 * 1024)
#define SUBJECT_MAX 1000		/* bytes; the key of disclosure_subject must fit into an index row */
#define NO_TEXT 0xFFFFFFFF

/* The subjects of an export, each once. */
struct ExportSubjects
{
	Tuplesortstate *sort;
	struct varlena *last;		/* added last, with its header */
	size_t		cap;
};

ExportSubjects *
export_subjects_begin(void)
{
	ExportSubjects *s = palloc0(sizeof(ExportSubjects));

	s->cap = 256;
	s->last = palloc(VARHDRSZ + s->cap);
	SET_VARSIZE(s->last, VARHDRSZ);
	s->sort = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);
	return s;
}

void
export_subjects_add(ExportSubjects *s, pv_value subject)
{
	if (VARSIZE(s->last) == VARHDRSZ + subject.len && subject.len > 0 &&
		memcmp(VARDATA(s->last), subject.data, subject.len) == 0)
		return;
	if (subject.len > s->cap)
	{
		s->cap = subject.len;
		s->last = repalloc(s->last, VARHDRSZ + s->cap);
	}
	SET_VARSIZE(s->last, VARHDRSZ + subject.len);
	memcpy(VARDATA(s->last), subject.data, subject.len);
	tuplesort_putdatum(s->sort, PointerGetDatum(s->last), false);
}

/* ---- the caller ---- */

static void
put_text(StringInfo q, const char *s)
{
	if (s == NULL)
		pq_sendint32(q, NO_TEXT);
	else
	{
		pq_sendint32(q, strlen(s));
		appendBinaryStringInfo(q, s, strlen(s));
	}
}

/* As it is recorded: a long one by its hash. */
static char *
subject_text(const struct varlena *subject)
{
	pv_hash		hash;
	char	   *s;
	size_t		len = VARSIZE_ANY_EXHDR(subject);

	if (len <= SUBJECT_MAX)
		return prove_text(VARDATA_ANY(subject), len);
	prov_check(pv_sha256(prov_hasher(), VARDATA_ANY(subject), len, &hash));
	s = palloc0(7 + 2 * PV_HASH_LEN + 1);
	memcpy(s, "sha256:", 7);
	hex_encode((const char *) hash.b, PV_HASH_LEN, s + 7);
	return s;
}

static void
begin_question(StringInfo q, uint64 id)
{
	resetStringInfo(q);
	pq_sendint64(q, id);
	pq_sendint32(q, 0);			/* subjects, patched below */
}

static uint64
ask(StringInfo q, uint32 nsubjects)
{
	uint32		n = pg_hton32(nsubjects);
	StringInfo	answer;
	uint64		id;

	memcpy(q->data + 8, &n, 4);
	answer = prov_request(PROV_REQUEST_DISCLOSURE, q->data, q->len, 8);
	memcpy(&id, answer->data, 8);
	return id;
}

static void
put_disclosure(Export *x, const char *schema, const char *table, int64 nsubjects, StringInfo q)
{
	pv_hash		root;
	ListCell   *lc;
	int			n = 0;
	int			i;

	prov_check(pv_frontier_root(&x->leaves, prov_hasher(), &root));
	put_text(q, GetUserNameFromId(GetSessionUserId(), false));
	put_text(q, x->recipient);
	put_text(q, x->purpose);
	put_text(q, schema);
	put_text(q, table);
	pq_sendint32(q, list_length(x->columns));
	foreach(lc, x->columns)
		put_text(q, lfirst(lc));
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
		n += x->context[i];
	pq_sendint32(q, n);
	for (i = 0; i < PV_CONTEXT_FIELDS; i++)
		if (x->context[i])
			put_text(q, pv_context_names[i].s);
	pq_sendint64(q, x->since);
	pq_sendint64(q, x->size);
	appendBinaryStringInfo(q, (char *) x->root.b, PV_HASH_LEN);
	pq_sendint64(q, x->entries);
	appendBinaryStringInfo(q, (char *) root.b, PV_HASH_LEN);
	pq_sendint64(q, nsubjects);
}

void
export_record(Export *x, const char *schema, const char *table)
{
	StringInfoData q;
	uint64		id = 0;
	uint32		n = 0;
	int64		total = 0;
	MemoryContext old;
	struct varlena *before = NULL;
	Datum		d;
	bool		isnull;

	initStringInfo(&q);
	begin_question(&q, 0);
	tuplesort_performsort(x->subjects->sort);
	while (prov_tuplesort_getdatum(x->subjects->sort, true, &d, &isnull))
	{
		struct varlena *subject = (struct varlena *) DatumGetPointer(d);

		if (before != NULL && VARSIZE_ANY_EXHDR(before) == VARSIZE_ANY_EXHDR(subject) &&
			memcmp(VARDATA_ANY(before), VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject)) == 0)
		{
			pfree(subject);
			continue;
		}
		if (before != NULL)
			pfree(before);
		before = subject;
		if (q.len > QUESTION_MAX - SUBJECT_MAX * MAX_CONVERSION_GROWTH)
		{
			id = ask(&q, n);
			begin_question(&q, id);
			n = 0;
		}
		old = MemoryContextSwitchTo(x->row);
		put_text(&q, subject_text(subject));
		MemoryContextSwitchTo(old);
		MemoryContextReset(x->row);
		n++;
		total++;
	}
	tuplesort_end(x->subjects->sort);
	put_disclosure(x, schema, table, total, &q);
	(void) ask(&q, n);
	pfree(q.data);
}

/* ---- the worker ---- */

static Datum
get_text(pv_reader *r, bool *isnull)
{
	uint32		len = pv_get_u32(r);
	const uint8_t *bytes;

	*isnull = len == NO_TEXT;
	if (*isnull)
		return (Datum) 0;
	bytes = pv_get_bytes(r, len);
	if (bytes == NULL)
		elog(ERROR, "malformed disclosure");
	return PointerGetDatum(cstring_to_text_with_len((const char *) bytes, len));
}

static Datum
get_texts(pv_reader *r)
{
	uint32		n = pv_get_u32(r);
	Datum	   *texts = palloc(sizeof(Datum) * (n + 1));
	bool		isnull;
	uint32		i;

	for (i = 0; i < n; i++)
		texts[i] = get_text(r, &isnull);
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
get_hash(pv_reader *r)
{
	const uint8_t *bytes = pv_get_bytes(r, PV_HASH_LEN);
	pv_hash		hash;

	if (bytes == NULL)
		elog(ERROR, "malformed disclosure");
	memcpy(hash.b, bytes, PV_HASH_LEN);
	return hash_to_datum(&hash);
}

static void
write_subjects(pv_reader *r, uint64 id, uint32 n)
{
	ProvOwnWriter *w = prov_own_open(PROV_DISCLOSURE_SUBJECT, PROV_OWN_DISCLOSURE_SUBJECT);
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "provenance subject", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);
	Datum		values[N_DSUB];
	bool		nulls[N_DSUB] = {false};

	values[A_DSUB_ID - 1] = Int64GetDatum((int64) id);
	while (n-- > 0)
	{
		CHECK_FOR_INTERRUPTS();
		values[A_DSUB_SUBJECT - 1] = get_text(r, &nulls[A_DSUB_SUBJECT - 1]);
		prov_own_put(w, values, nulls);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
	prov_own_close(w);
}

static void
write_disclosure(pv_reader *r, uint64 id)
{
	Datum		values[N_DISC];
	bool		nulls[N_DISC] = {false};

#define TEXT(attno) values[(attno) - 1] = get_text(r, &nulls[(attno) - 1])
#define INT64(attno) values[(attno) - 1] = Int64GetDatum((int64) pv_get_u64(r))
	values[A_DISC_ID - 1] = Int64GetDatum((int64) id);
	values[A_DISC_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	TEXT(A_DISC_BY);
	TEXT(A_DISC_RECIPIENT);
	TEXT(A_DISC_PURPOSE);
	TEXT(A_DISC_SCHEMA);
	TEXT(A_DISC_TABLE);
	values[A_DISC_COLUMNS - 1] = get_texts(r);
	values[A_DISC_CONTEXT - 1] = get_texts(r);
	INT64(A_DISC_SINCE);
	INT64(A_DISC_SIZE);
	values[A_DISC_ROOT - 1] = get_hash(r);
	INT64(A_DISC_ENTRIES);
	values[A_DISC_LEAVES_ROOT - 1] = get_hash(r);
	INT64(A_DISC_SUBJECTS);
#undef TEXT
#undef INT64
	if (pv_reader_done(r) != PV_OK)
		elog(ERROR, "malformed disclosure");
	prov_own_insert(PROV_DISCLOSURE, PROV_OWN_DISCLOSURE, values, nulls);
}

static void
disclosure_handler(const char *question, Size len, StringInfo answer)
{
	MemoryContext context = CurrentMemoryContext;
	pv_reader	r;
	uint64		id;
	uint32		n;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pv_reader_init(&r, question, len);
	id = pv_get_u64(&r);
	n = pv_get_u32(&r);
	if (id == 0)
		id = (uint64) prov_nextval(PROV_PARTNER_SEQ);
	if (n > 0)
		write_subjects(&r, id, n);
	PROV_STOP_POINT("disclosure-subjects");
	if (pv_reader_done(&r) != PV_OK)
		write_disclosure(&r, id);
	PopActiveSnapshot();
	/* what leaves next must be on disk, whatever the database's setting */
	ForceSyncCommit();
	PROV_STOP_POINT("disclosure-row");
	CommitTransactionCommand();
	PROV_STOP_POINT("disclosure-done");
	MemoryContextSwitchTo(context);
	appendBinaryStringInfo(answer, (char *) &id, sizeof(id));
}

void
export_record_init(void)
{
	prov_request_register(PROV_REQUEST_DISCLOSURE, "record the disclosure", disclosure_handler);
}
