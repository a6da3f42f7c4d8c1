/*
 * row.c: one row: its chain, from the newest entry back to the first, and the
 * row itself against its last image.
 *
 * The newest entry comes from the table of heads, each earlier one from the
 * predecessor that the log's map names; the leaf index falls with every step,
 * so the walk ends whatever the map says. That makes it cheap, and is what it
 * cannot detect: an entry of the row that heads and predecessors both pass
 * over. verify_table() reads the whole log and does not rely on either.
 *
 * An image may be gone if a later entry says so (operation 11): of the row, or of
 * the table's own chain, which is walked back for that as far as needed.
 *
 * Keys are given as values; equal values may have several texts (1.0, 1.00), and
 * the identity of a row is made of texts. So the row is looked for in the table
 * by the key's own operators, and the chain followed is that of the text found
 * there and, where that differs, that of the text given.
 *
 * The look-up runs as the table's owner, below row security, in a
 * security-restricted operation, since the operators may be the users'.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "ledger/key_args.h"
#include "ledger/row_image.h"
#include "types/types.h"
#include "verify/chain_store.h"

/* The key asked for, and where its row is. */
typedef struct RowKey
{
	TableState *state;
	ProvLayout *layout;
	ProvKeyArgs args;
	bool		found;			/* in the table */
	TableRow	row;
} RowKey;

static void
wrong_number(const RowKey *key, int n)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("wrong number of key values for table %s", key->state->name),
			 errdetail("%d given, %d expected.", n, key->layout->nkeys)));
}

static void
get_key(FunctionCallInfo fcinfo, int first, Oid owner, RowKey *key)
{
	Oid			relid = key->state->relid;
	ProvArgument *args;
	int			n = prov_arguments(fcinfo, first, &args);
	int			i;

	if (n < 0)
		wrong_number(key, 0);
	if (n != key->layout->nkeys)
		wrong_number(key, n);
	prov_key_args_init(&key->args, relid, owner);
	for (i = 0; i < n; i++)
	{
		AttrNumber	attnum = key->layout->attnums[key->layout->keys[i]];

		if (args[i].isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a key value must not be null")));
		prov_key_args_add(&key->args, attnum, get_attname(relid, attnum, false), &args[i]);
	}
}

/* Where the row is in the table. */
static void
find_row(void *arg)
{
	RowKey	   *key = arg;
	Datum		place[2];
	Oid			save_user;
	int			save_sec;

	GetUserIdAndSecContext(&save_user, &save_sec);
	SetUserIdAndSecContext(key->args.owner, save_sec | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	key->found = prov_key_args_find(&key->args, "t.tableoid, t.ctid", 2, place);
	if (key->found)
	{
		key->row.tableoid = DatumGetObjectId(place[0]);
		key->row.tid = *(ItemPointer) DatumGetPointer(place[1]);
	}
	SetUserIdAndSecContext(save_user, save_sec);
}

/* ---- the chain ---- */

typedef struct Walk
{
	Verify	   *v;
	TableState *state;
	uint8		id[PV_ROW_ID_LEN];

	int64		leaf;			/* to be read */
	pv_hash		head_hash;
	bool		found_leaf;
	bool		found_entry;
	bool		found_prev;
	ProvLeafRef ref;
	ProvEntry	entry;
	pv_hash		prev;

	bool		any_state;		/* what the row is, as its newest entry says */
	bool		exists;
	bool		counts;			/* not tagged again, not truncated since */
	int64		state_leaf;		/* -1: not sealed */
	ProvEntry	last;

	bool		erasure;		/* an entry of operation 11 was met; backwards, so it is a later one */
	struct Walk *table;			/* through the table's own chain, as far as needed; NULL: not yet */
	int64		until;			/* of that: this leaf and those before are not */
	int64		erase_leaf;		/* of that: the last entry of operation 11; -1: none yet */
	int64		missing;		/* images that are gone, and no later entry says so */
	int64		missing_seq;	/* of the first of them */
	int64		missing_leaf;
} Walk;

static void
read_head(void *arg)
{
	Walk	   *w = arg;

	w->leaf = prov_log_head(w->v->log, w->id, w->state->table_id, &w->head_hash);
}

static void
read_step(void *arg)
{
	Walk	   *w = arg;
	ProvLeafRef prev;

	w->found_entry = w->found_prev = false;
	w->found_leaf = prov_log_leaf(w->v->log, w->leaf, &w->ref);
	if (!w->found_leaf)
		return;
	w->found_entry = prov_entry_fetch(w->ref.xid, w->ref.seq, w->v->snapshot, true, &w->entry);
	if (w->ref.prev_leaf >= 0 && w->ref.prev_leaf < w->leaf &&
		prov_log_leaf(w->v->prev_log, w->ref.prev_leaf, &prev))
	{
		w->found_prev = true;
		w->prev = prev.hash;
	}
}

static void
take_entry(Walk *w, int64 leaf)
{
	if (verify_is_row_image(w->entry.op) || w->entry.op == PV_OP_DELETE)
	{
		w->any_state = true;
		w->exists = w->entry.op != PV_OP_DELETE;
		w->counts = true;
		w->state_leaf = leaf;
		w->last = w->entry;
	}
}

/* ---- images that are gone ---- */

static bool
image_is_gone(const ProvEntry *entry)
{
	return entry->image == NULL || entry->erased;
}

/* Is the entry that was read the one that its leaf commits to? */
static bool
is_in_leaf(const Walk *w)
{
	bool		has_prev = w->ref.prev_leaf >= 0;
	pv_hash		computed;

	if (has_prev && !w->found_prev)
		return false;
	verify_leaf_hash(&w->entry, &w->entry.commitment, has_prev ? &w->prev : NULL, &computed);
	return pv_hash_equal(&computed, &w->ref.hash);
}

/* Goes on through the table's own chain, until an erasure is found or none can be that is late enough. */
static void
seek_erasure(void *arg)
{
	Walk	   *t = arg;

	while (t->erase_leaf < 0 && t->leaf > t->until)
	{
		int64		leaf = t->leaf;

		CHECK_FOR_INTERRUPTS();
		read_step(t);
		t->leaf = t->found_leaf && t->ref.prev_leaf < leaf ? t->ref.prev_leaf : -1;
		if (t->found_leaf && t->found_entry && t->entry.op == PV_OP_ERASE && t->entry.table_id == t->state->table_id &&
			memcmp(t->entry.row_id, t->id, PV_ROW_ID_LEN) == 0 && is_in_leaf(t))
			t->erase_leaf = leaf;
	}
}

/* Is there an erasure in the table's own chain after the leaf? Asked of falling leaves. */
static bool
erased_by_table(Walk *w, int64 leaf)
{
	Verify	   *v = w->v;
	Walk	   *t = w->table;
	bool		ok = true;

	if (t == NULL)
	{
		ChainHead	head;

		t = w->table = palloc0(sizeof(Walk));
		t->v = v;
		t->state = w->state;
		t->leaf = t->erase_leaf = -1;
		if (verify_own_id(v, w->state->table_id, t->id) && chain_own_head(v, w->state->table_id, &head, &ok))
			t->leaf = head.leaf;
	}
	t->until = leaf;
	if (!ok || !verify_try(v, seek_erasure, t))
	{
		t->leaf = -1;
		verify_finding(v, "unreadable", SEV_ERROR, w->state->name, -1, -1, "The events of the table cannot be read: %s", v->fault);
	}
	return t->erase_leaf > leaf;
}

/* Backwards: the first is the one met last. */
static void
note_sealed_image(Walk *w)
{
	if (image_is_gone(&w->entry) && !w->erasure && !erased_by_table(w, w->leaf))
	{
		w->missing++;
		w->missing_seq = w->entry.seq;
		w->missing_leaf = w->leaf;
	}
	w->erasure = w->erasure || w->entry.op == PV_OP_ERASE;
}

static void
note_unsealed_image(Walk *w)
{
	if (image_is_gone(&w->entry) && w->missing++ == 0)
	{
		w->missing_seq = w->entry.seq;
		w->missing_leaf = -1;
	}
}

static void
check_image(Walk *w, int64 leaf, const char *object, ImageState *image, pv_hash *given)
{
	*image = verify_image(w->v, &w->entry, leaf, object, true, given);
}

static void
check_step(Walk *w)
{
	Verify	   *v = w->v;
	char	   *object = verify_object(v, w->state, &w->entry);
	bool		has_prev = w->ref.prev_leaf >= 0;
	ImageState	image;
	pv_hash		given;
	pv_hash		computed;

	if (w->entry.table_id != w->state->table_id || memcmp(w->entry.row_id, w->id, PV_ROW_ID_LEN) != 0)
		verify_finding(v, "chain_differs", SEV_ERROR, object, w->entry.seq, w->leaf,
					   "The chain of the row leads to an entry of another row.");
	check_image(w, w->leaf, object, &image, &given);
	verify_leaf_hash(&w->entry, &w->entry.commitment, has_prev ? &w->prev : NULL, &computed);
	if (pv_hash_equal(&computed, &w->ref.hash))
	{
		if (image == IMAGE_OTHER)
			verify_finding(v, "image_differs", SEV_ERROR, object, w->entry.seq, w->leaf,
						   "Image, seed, shape or context of the entry were changed: they do not give its commitment, which is the one in the log.");
		return;
	}
	if (image == IMAGE_OTHER)
	{
		pv_hash		other;

		verify_leaf_hash(&w->entry, &given, has_prev ? &w->prev : NULL, &other);
		if (pv_hash_equal(&other, &w->ref.hash))
		{
			verify_finding(v, "commitment_differs", SEV_ERROR, object, w->entry.seq, w->leaf,
						   "The stored commitment of the entry was changed: its image gives the one in the log.");
			return;
		}
	}
	if (verify_hash_in_tree(v, w->leaf, &computed) == 1)
		verify_finding(v, "tile_differs", SEV_ERROR, object, w->entry.seq, w->leaf,
					   "The stored hash of the leaf was changed: the entry gives what the signed checkpoint has.");
	else
		verify_finding(v, "leaf_differs", SEV_ERROR, object, w->entry.seq, w->leaf,
					   "Operation, time, transaction, predecessor or commitment of the entry were changed, or its predecessor's hash: they do not give the hash of its leaf.");
}

static void
walk_sealed(Walk *w)
{
	Verify	   *v = w->v;
	const char *name = w->state->name;
	int64		n = 0;
	bool		newest = true;

	if (!verify_try(v, read_head, w))
	{
		verify_finding(v, "unreadable", SEV_ERROR, name, -1, -1, "The head of the row's chain cannot be read: %s", v->fault);
		return;
	}
	while (w->leaf >= 0 && !(w->any_state && verify_chain_ends(v, w->leaf)))
	{
		if (!verify_try(v, read_step, w))
		{
			verify_finding(v, "unreadable", SEV_ERROR, name, -1, w->leaf, "An entry of the row cannot be read: %s", v->fault);
			return;
		}
		if (!w->found_leaf)
		{
			verify_finding(v, "leaf_missing", SEV_ERROR, name, -1, w->leaf, "A leaf of the row's chain is missing, or its run does not decode.");
			return;
		}
		if (newest && !pv_hash_equal(&w->head_hash, &w->ref.hash))
			verify_finding(v, "head_differs", SEV_WARNING, name, w->ref.seq, w->leaf,
						   "The table of heads has another hash for the last leaf of this row chain.");
		newest = false;
		Assert(w->ref.prev_leaf < w->leaf); /* or the map would not decode: this loop ends */
		if (!w->found_entry)
			verify_finding(v, "entry_missing", SEV_ERROR, name, w->ref.seq, w->leaf,
						   "The log has a leaf for this entry, and the entry is not there.");
		else
		{
			bool		had_state = w->any_state;
			ProvEntry	last = w->last;
			bool		exists = w->exists;
			int64		state_leaf = w->state_leaf;

			if (w->ref.prev_leaf >= 0 && !w->found_prev)
				memset(&w->prev, 0, sizeof(w->prev));
			check_step(w);
			verify_countersignatures_of(v, &w->entry);
			note_sealed_image(w);
			take_entry(w, w->leaf);
			if (had_state)
			{
				/* backwards: the newest counts */
				w->last = last;
				w->exists = exists;
				w->state_leaf = state_leaf;
			}
		}
		w->leaf = w->ref.prev_leaf;
		v->looked++;
		verify_progress(v, ++n);
	}
}

/* Events of the table after the newest sealed entry: was it tagged again? */
static void
walk_table_chain(void *arg)
{
	Walk	   *w = arg;
	HeapTuple	tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(w->state->table_id), w->v->snapshot);
	bool		isnull = true;
	int64		leaf = -1;

	if (HeapTupleIsValid(tup))
		leaf = DatumGetInt64(heap_getattr(tup, A_THEAD_LAST_LEAF, prov_tupdesc(PROV_TABLE_HEAD), &isnull));
	while (!isnull && leaf > w->state_leaf)
	{
		ProvLeafRef ref;
		ProvEntry	event;

		CHECK_FOR_INTERRUPTS();
		if (!prov_log_leaf(w->v->log, leaf, &ref))
			return;
		if (prov_entry_fetch(ref.xid, ref.seq, w->v->snapshot, false, &event) && event.op == PV_OP_TAG)
			w->exists = w->counts = false;
		if (ref.prev_leaf >= leaf)
			return;
		leaf = ref.prev_leaf;
	}
}

static void
walk_unsealed(void *arg)
{
	Walk	   *w = arg;
	ProvUnsealedScan *scan = prov_unsealed_open_row(w->v->snapshot, w->id);
	ProvEntry	entry;

	while (prov_unsealed_next(scan, &entry))
	{
		ImageState	image;
		pv_hash		given;
		char	   *object;

		CHECK_FOR_INTERRUPTS();
		if (entry.table_id != w->state->table_id)
			continue;
		if (entry.op == PV_OP_TRUNCATE || entry.op == PV_OP_TAG)
			w->exists = w->counts = false;
		if (entry.op == PV_OP_ERASE && (memcmp(entry.row_id, w->id, PV_ROW_ID_LEN) == 0 ||
										verify_is_own_id(w->v, entry.table_id, entry.row_id)))
			w->missing = 0;		/* it speaks of those before it */
		if (memcmp(entry.row_id, w->id, PV_ROW_ID_LEN) != 0 ||
			!prov_entry_fetch(entry.xid, entry.seq, w->v->snapshot, true, &w->entry))
			continue;
		object = verify_object(w->v, w->state, &w->entry);
		check_image(w, -1, object, &image, &given);
		if (image == IMAGE_OTHER)
			verify_finding(w->v, "image_differs", SEV_ERROR, object, w->entry.seq, -1,
						   "Image, seed, shape or context of the entry, which is not sealed yet, do not give its commitment.");
		note_unsealed_image(w);
		take_entry(w, -1);
	}
	prov_unsealed_close(scan);
}

static Walk *
walk_chain(Verify *v, TableState *state, const uint8 *id)
{
	Walk	   *w = palloc0(sizeof(Walk));

	w->v = v;
	w->state = state;
	w->state_leaf = -1;
	memcpy(w->id, id, PV_ROW_ID_LEN);
	walk_sealed(w);
	if (w->counts && !verify_try(v, walk_table_chain, w))
		verify_finding(v, "unreadable", SEV_ERROR, state->name, -1, -1, "The events of the table cannot be read: %s", v->fault);
	if (verify_waits(v, state->table_id, id) && !verify_try(v, walk_unsealed, w))
		verify_finding(v, "unreadable", SEV_ERROR, state->name, -1, -1,
					   "The entries not yet in the log cannot be read: %s", v->fault);
	if (w->missing > 0)
		verify_image_missing(v, w->any_state ? verify_object(v, state, &w->last) : state->name,
							 w->missing_seq, w->missing_leaf, w->missing);
	return w;
}

/* row NULL: the table has none */
static void
compare(Verify *v, TableState *state, TableRows *rows, const TableRow *row, const Walk *w)
{
	char	   *columns;

	if (w->counts && !verify_is_final(v, state, w->last.seq))
		verify_not_final(v, verify_object(v, state, &w->last), w->last.seq, w->state_leaf);
	if (row == NULL)
	{
		if (w->exists)
			verify_finding(v, "row_missing", SEV_ERROR, verify_object(v, state, &w->last), w->last.seq, w->state_leaf,
						   "The row's history says that it exists, the table has no such row.");
		return;
	}
	if (!w->exists)
	{
		verify_unrecorded(v, state, rows, row, w->counts);
		return;
	}
	if (w->last.image == NULL)
		return;
	columns = table_row_difference(rows, row, &w->last);
	if (columns != NULL)
		verify_finding(v, "row_differs", SEV_ERROR, verify_object(v, state, &w->last), w->last.seq, w->state_leaf,
					   "The row differs from its last entry in: %s.", columns);
}

static bool
identity_of(Verify *v, TableState *state, const pv_value *texts, int n, uint8 id[PV_ROW_ID_LEN])
{
	return pv_row_identity(prov_hasher(), v->identity->row_key, (uint32) state->table_id, texts, n, id) == PV_OK;
}

void
verify_one_row(Verify *v, TableState *state, FunctionCallInfo fcinfo, int first_key)
{
	RowKey		key = {.state = state};
	TableRows  *rows;
	uint8		given[PV_ROW_ID_LEN];
	uint8		found[PV_ROW_ID_LEN];
	Oid			owner;
	Walk	   *w;

	if (v->identity == NULL || state->table == NULL)
		return;
	if (state->tagged)
		verify_table_definition(v, state);
	if (!OidIsValid(state->relid) || (rows = table_rows_open(v, state)) == NULL)
		return;					/* there is a finding */
	verify_progress_begin(v, "entries of the row", 0);
	key.layout = table_rows_layout(rows, &owner);
	get_key(fcinfo, first_key, owner, &key);
	prov_key_args_texts(&key.args);
	if (!identity_of(v, state, key.args.texts, key.args.n, given))
		return;
	if (!verify_try(v, find_row, &key))
	{
		verify_finding(v, "unreadable", SEV_ERROR, state->name, -1, -1, "The row cannot be looked up: %s", v->fault);
		return;
	}

	memcpy(found, given, PV_ROW_ID_LEN);
	if (key.found)
	{
		const pv_name *names;
		pv_value   *values;
		pv_value	texts[INDEX_MAX_KEYS];
		int			n;

		if (!table_row_values(rows, &key.row, &n, &names, &values))
		{
			verify_finding(v, "unreadable", SEV_ERROR, state->name, -1, -1, "The row cannot be read.");
			return;
		}
		prov_pick_key(key.layout, values, texts);
		(void) identity_of(v, state, texts, key.args.n, found);
	}
	w = walk_chain(v, state, found);
	if (state->tagged)
		compare(v, state, rows, key.found ? &key.row : NULL, w);
	if (memcmp(found, given, PV_ROW_ID_LEN) != 0)
	{
		/* no row bears this text of the key any more */
		w = walk_chain(v, state, given);
		if (state->tagged)
			compare(v, state, rows, NULL, w);
	}
	table_rows_end(rows);
}

void
verify_scanned_row(Verify *v, TableState *state, TableRows *rows, const TableRow *row)
{
	compare(v, state, rows, row, walk_chain(v, state, row->row_id));
}
