/*
 * table_events.c: the events of tables that bear on their rows, and the registry's
 * row against them.
 *
 * The registry says that a table is tagged, how, and whose data its rows are; so
 * does the table's last `tag` entry, which cannot be changed unseen. A subject
 * column that was renamed since has another name in the registry; then a `schema`
 * entry follows the `tag`, and only whether there is a subject is compared.
 *
 * Memory: a list, as long as there are such events.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ledger/own_table.h"
#include "types/types.h"
#include "verify/table_events.h"

bool
table_events_is(const Verify *v, const ChainItem *item)
{
	if (item->op == PV_OP_ERASE)
		return verify_is_own_id(v, item->table_id, item->row_id);	/* others are of a row */
	return item->op == PV_OP_TRUNCATE || item->op == PV_OP_TAG || item->op == PV_OP_UNTAG || item->op == PV_OP_SCHEMA;
}

void
table_events_add(Verify *v, TableEvents *e, const ChainItem *item)
{
	TableEvent *event;

	if (!table_events_is(v, item))
		return;
	if (e->n == e->cap)
	{
		e->cap = e->cap == 0 ? 64 : e->cap * 2;
		e->items = e->items == NULL ? MemoryContextAllocHuge(v->cxt, sizeof(TableEvent) * e->cap) :
			repalloc_huge(e->items, sizeof(TableEvent) * e->cap);
	}
	event = &e->items[e->n++];
	event->table_id = item->table_id;
	event->op = item->op;
	event->position = item->position;
	event->xid = item->xid;
	event->seq = item->seq;
}

static int
compare_events(const void *a, const void *b)
{
	const TableEvent *x = a;
	const TableEvent *y = b;

	if (x->table_id != y->table_id)
		return x->table_id < y->table_id ? -1 : 1;
	return x->position < y->position ? -1 : x->position > y->position;
}

void
table_events_sort(TableEvents *e)
{
	if (e->n > 1)
		qsort(e->items, e->n, sizeof(TableEvent), compare_events);
}

TableEvents
table_events_of(const TableEvents *e, int32 table_id)
{
	TableEvents of = {e->items, 0, 0};

	while (of.items < e->items + e->n && of.items->table_id != table_id)
		of.items++;
	while (of.items + of.n < e->items + e->n && of.items[of.n].table_id == table_id)
		of.n++;
	return of;
}

const TableEvent *
table_events_last(const TableEvents *of, int op)
{
	for (int64 i = of->n - 1; i >= 0; i--)
		if (of->items[i].op == op)
			return &of->items[i];
	return NULL;
}

bool
table_events_truncated(const TableEvents *of, int64 after, int64 before)
{
	int64		low = 0;
	int64		high = of->n;

	while (low < high)
	{
		int64		mid = low + (high - low) / 2;

		if (of->items[mid].position <= after)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < of->n && of->items[low].position < before; low++)
		if (of->items[low].op == PV_OP_TRUNCATE)
			return true;
	return false;
}

/* ---- the registry ---- */

typedef struct TagTask
{
	Verify	   *v;
	const TableEvent *tag;
	char	   *mode;			/* NULL: not known */
	char	   *subject;		/* NULL: none */
} TagTask;

static char *
value_text(const pv_value *value)
{
	return value->data == NULL ? NULL :
		pg_any_to_server(pnstrdup((const char *) value->data, value->len), value->len, PG_UTF8);
}

static void
read_tag(void *arg)
{
	TagTask    *task = arg;
	ProvEntry	entry;
	pv_name    *names;
	pv_value   *values;
	int			n;

	/* schema, table, subject, mode, exclude */
	if (prov_entry_fetch(FullTransactionIdFromU64(task->tag->xid), task->tag->seq, task->v->snapshot, true, &entry) &&
		entry.op == PV_OP_TAG && verify_image_values(task->v, &entry, &n, &names, &values) && n == 5)
	{
		MemoryContext old = MemoryContextSwitchTo(task->v->cxt);

		task->subject = value_text(&values[2]);
		task->mode = value_text(&values[3]);
		MemoryContextSwitchTo(old);
	}
}

/* The last `tag` says what the registry must say. */
static void
compare_with_tag(Verify *v, const TableState *state, const TableEvents *of, const TableEvent *tag)
{
	TagTask		task = {v, tag, NULL, NULL};
	const char *mode = state->table->append_only ? "append_only" : "track";
	const char *subject = state->table->subject;
	const TableEvent *schema = table_events_last(of, PV_OP_SCHEMA);
	bool		renamed = schema != NULL && schema->position > tag->position;

	/* what is wrong with the entry is reported where it is read */
	if (!verify_try(v, read_tag, &task) || task.mode == NULL)
		return;
	if (strcmp(mode, task.mode) != 0)
		verify_finding(v, "registry_differs", SEV_ERROR, state->name, tag->seq, -1,
					   "The registry says that the table's mode is %s, its tag entry says %s.", mode, verify_text(task.mode, strlen(task.mode)));
	if ((subject == NULL) != (task.subject == NULL) ||
		(subject != NULL && !renamed && strcmp(subject, task.subject) != 0))
		verify_finding(v, "registry_differs", SEV_ERROR, state->name, tag->seq, -1,
					   "The registry has another subject column than the table's tag entry.");
}

/* A table that is tagged according to its entries is compared, whatever the registry says. */
void
verify_registry_row(Verify *v, TableState *state, const TableEvents *of)
{
	const TableEvent *tag = table_events_last(of, PV_OP_TAG);
	const TableEvent *untag = table_events_last(of, PV_OP_UNTAG);
	bool		tagged = tag != NULL && (untag == NULL || tag->position > untag->position);

	if (tag == NULL)
		return;
	if (state->table_id < PROV_OWN_TABLES && tagged != state->tagged)
	{
		verify_finding(v, "registry_differs", SEV_ERROR, state->name, -1, -1, tagged ?
					   "The registry says that the table is not tagged any more, and no entry says so." :
					   "The registry says that the table is tagged, and its entries that it is not any more.");
		state->tagged = tagged;
	}
	if (tagged)
		compare_with_tag(v, state, of, tag);
}
