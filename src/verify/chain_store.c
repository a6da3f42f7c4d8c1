/*
 * chain_store.c: items by parts of the row identities (see chain_store.h).
 *
 * A row's identity is a keyed hash, so the parts are about the same size. What
 * does not fit the memory of a part goes to its temporary file. A part is
 * sorted when it is read: in memory if work_mem suffices, else by the server's
 * sort.
 *
 * Where several processes verify, the files are shared, and each process has
 * its own, named after launch, participant and part. A store is written, or
 * once it is exported, read with those of all others.
 *
 * Memory: while the items are gathered BUFFER_ITEMS of each part (2.3 MB in
 * all), and in one process what the hashes of leaves leave of
 * maintenance_work_mem; then work_mem for the part that is read.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/buffile.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "compat.h"
#include "verify/chain_store.h"
#include "verify/parallel.h"

#define BUFFER_ITEMS 320
#define KEY_LEN (PV_ROW_ID_LEN + 4 + 8)

typedef struct StorePart
{
	ChainItem  *buffer;			/* NULL: nothing was put */
	int			nbuffer;
	List	   *full;			/* buffers of BUFFER_ITEMS that were kept */
	BufFile    *file;			/* NULL: nothing was written */
	int64		nfile;
} StorePart;

struct ChainStore
{
	Verify	   *v;
	VerifyShared *shared;		/* NULL: one process */
	int			launch;
	int			participant;
	bool		exported;
	int64		room;			/* for so many full buffers more */
	StorePart	parts[CHAIN_PARTS + 1];
};

/* An item in memory, with what most comparisons need. */
typedef struct SortRef
{
	uint64		prefix;			/* the first bytes of the row identity */
	const ChainItem *item;
} SortRef;

struct ChainReader
{
	ChainStore *store;
	ChainItem  *items;			/* those that were in files */
	int64		nitems;
	SortRef    *refs;
	int64		n;
	int64		next;
	Tuplesortstate *sort;		/* NULL: all in memory */
};

ChainStore *
chain_store_create(Verify *v)
{
	ChainStore *s = MemoryContextAllocZero(v->cxt, sizeof(ChainStore));

	s->v = v;
	if (v->participant != NULL)
	{
		s->shared = v->participant->shared;
		s->launch = v->participant->work->launch;
		s->participant = v->participant->number;
	}
	else if (v->parallel != NULL)
		s->shared = v->parallel->shared;
	else
	{
		int64		hashes = Min(Max(v->log_size, 0), PG_INT32_MAX) * (int64) sizeof(pv_hash);

		s->room = Max((int64) maintenance_work_mem * 1024 - hashes, 0) / (int64) (BUFFER_ITEMS * sizeof(ChainItem));
	}
	return s;
}

static void
file_name(char *name, Size size, int launch, int participant, const ChainStore *s, const StorePart *part)
{
	snprintf(name, size, "%d.%d.%d", launch, participant, (int) (part - s->parts));
}

static void
write_buffer(ChainStore *s, StorePart *part)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old = MemoryContextSwitchTo(s->v->cxt);

	CurrentResourceOwner = s->v->owner; /* the file outlives a subtransaction */
	if (part->file == NULL && s->shared != NULL)
	{
		char		name[64];

		file_name(name, sizeof(name), s->launch, s->participant, s, part);
		part->file = BufFileCreateFileSet(&s->shared->files.fs, name);
	}
	else if (part->file == NULL)
		part->file = BufFileCreateTemp(false);
	BufFileWrite(part->file, part->buffer, part->nbuffer * sizeof(ChainItem));
	part->nfile += part->nbuffer;
	part->nbuffer = 0;
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
}

static void
keep_buffer(ChainStore *s, StorePart *part)
{
	MemoryContext old = MemoryContextSwitchTo(s->v->cxt);

	part->full = lappend(part->full, part->buffer);
	part->buffer = palloc(BUFFER_ITEMS * sizeof(ChainItem));
	part->nbuffer = 0;
	s->room--;
	MemoryContextSwitchTo(old);
}

static void
put(ChainStore *s, StorePart *part, const ChainItem *item)
{
	Assert(!s->exported);
	if (part->buffer == NULL)
		part->buffer = MemoryContextAlloc(s->v->cxt, BUFFER_ITEMS * sizeof(ChainItem));
	if (part->nbuffer == BUFFER_ITEMS && s->room > 0)
		keep_buffer(s, part);
	else if (part->nbuffer == BUFFER_ITEMS)
		write_buffer(s, part);
	part->buffer[part->nbuffer++] = *item;
}

void
chain_store_put(ChainStore *s, const ChainItem *item)
{
	put(s, &s->parts[chain_part(item->row_id)], item);
}

void
chain_store_put_event(ChainStore *s, const ChainItem *item)
{
	if (s->shared != NULL)
		put(s, &s->parts[CHAIN_EVENTS], item);
}

void
chain_store_export(ChainStore *s)
{
	int			i;

	if (s->shared == NULL || s->exported)
		return;
	for (i = 0; i <= CHAIN_PARTS; i++)
	{
		StorePart  *part = &s->parts[i];

		if (part->nbuffer > 0)
			write_buffer(s, part);
		if (part->file != NULL)
		{
			BufFileExportFileSet(part->file);
			BufFileClose(part->file);
		}
		part->file = NULL;
		part->nfile = 0;
	}
	s->exported = true;
}

void
chain_store_destroy(ChainStore *s)
{
	int			i;

	for (i = 0; i <= CHAIN_PARTS; i++)
	{
		if (s->parts[i].file != NULL)
			BufFileClose(s->parts[i].file);
		if (s->parts[i].buffer != NULL)
			pfree(s->parts[i].buffer);
		list_free_deep(s->parts[i].full);
	}
	pfree(s);
}

/* ---- reading a part ---- */

static uint64
prefix_of(const ChainItem *item)
{
	uint64		prefix;

	memcpy(&prefix, item->row_id, sizeof(prefix));
	return pg_ntoh64(prefix);
}

static inline int
compare_refs(const SortRef *a, const SortRef *b)
{
	int			c;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	c = memcmp(a->item->row_id, b->item->row_id, PV_ROW_ID_LEN);
	if (c != 0)
		return c;
	if (a->item->table_id != b->item->table_id)
		return a->item->table_id < b->item->table_id ? -1 : 1;
	return a->item->position < b->item->position ? -1 : a->item->position > b->item->position;
}

#define ST_SORT sort_refs
#define ST_ELEMENT_TYPE SortRef
#define ST_COMPARE(a, b) compare_refs(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* To the server's sort, behind a key whose bytes are in the order of the items. */
static void
put_sorted(ChainReader *r, const ChainItem *item)
{
	union
	{
		struct varlena v;
		uint8		bytes[VARHDRSZ + KEY_LEN + sizeof(ChainItem)];
	}			datum;
	uint8	   *key = (uint8 *) VARDATA(&datum.v);
	pv_buf		b;

	SET_VARSIZE(&datum.v, sizeof(datum.bytes));
	pv_buf_init(&b, key, KEY_LEN);
	pv_put_bytes(&b, item->row_id, PV_ROW_ID_LEN);
	pv_put_u32(&b, (uint32) item->table_id ^ 0x80000000);	/* in the order of signed numbers */
	pv_put_u64(&b, (uint64) item->position);
	memcpy(key + KEY_LEN, item, sizeof(*item));
	tuplesort_putdatum(r->sort, PointerGetDatum(&datum), false);
}

static void
add_refs(ChainReader *r, const ChainItem *items, int64 n)
{
	int64		i;

	for (i = 0; i < n; i++)
	{
		r->refs[r->n].item = &items[i];
		r->refs[r->n++].prefix = prefix_of(&items[i]);
	}
}

/* Items that stay where they are. */
static void
add_items(ChainReader *r, const ChainItem *items, int n)
{
	int			i;

	if (r->sort == NULL)
		add_refs(r, items, n);
	for (i = 0; r->sort != NULL && i < n; i++)
		put_sorted(r, &items[i]);
}

static void
read_file(ChainReader *r, BufFile *file, int64 n)
{
	int64		i;

	if (BufFileSeek(file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rewind a temporary file")));
	if (r->sort == NULL)
	{
		prov_buffile_read(file, &r->items[r->nitems], n * sizeof(ChainItem));
		add_refs(r, &r->items[r->nitems], n);
		r->nitems += n;
		return;
	}
	for (i = 0; i < n; i++)
	{
		ChainItem	item;

		prov_buffile_read(file, &item, sizeof(ChainItem));
		put_sorted(r, &item);
	}
}

/* The exported files of a part. */
static List *
open_files(ChainStore *s, StorePart *part, int launch)
{
	List	   *files = NIL;
	int			participant;

	for (; launch < s->shared->nlaunches; launch++)
		for (participant = 0; participant < s->shared->participants[launch]; participant++)
		{
			char		name[64];
			BufFile    *file;

			file_name(name, sizeof(name), launch, participant, s, part);
			file = BufFileOpenFileSet(&s->shared->files.fs, name, O_RDONLY, true);
			if (file != NULL)
				files = lappend(files, file);
		}
	return files;
}

/* first_launch -1: only what is in the store itself */
static ChainReader *
open_reader(ChainStore *s, StorePart *part, int first_launch)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old = MemoryContextSwitchTo(s->v->cxt);
	ChainReader *r = palloc0(sizeof(ChainReader));
	bool		own = first_launch < 0;
	int64		nfiles = 0;
	int64		n = own ? part->nbuffer + (int64) list_length(part->full) * BUFFER_ITEMS : 0;
	List	   *files;
	ListCell   *lc;

	r->store = s;
	if (!s->v->quiet)
		CurrentResourceOwner = s->v->owner;
	if (own)
		files = part->file != NULL ? list_make1(part->file) : NIL;
	else
		files = open_files(s, part, first_launch);
	foreach(lc, files)
		nfiles += !own ? BufFileSize(lfirst(lc)) / (int64) sizeof(ChainItem) : part->nfile;
	n += nfiles;
	if (n <= (int64) work_mem * 1024 / (int64) (sizeof(ChainItem) + sizeof(SortRef)))
	{
		r->items = MemoryContextAllocHuge(s->v->cxt, (nfiles + 1) * sizeof(ChainItem));
		r->refs = MemoryContextAllocHuge(s->v->cxt, (n + 1) * sizeof(SortRef));
	}
	else
		r->sort = tuplesort_begin_datum(BYTEAOID, ByteaLessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);

	foreach(lc, files)
	{
		BufFile    *file = lfirst(lc);

		read_file(r, file, !own ? BufFileSize(file) / (int64) sizeof(ChainItem) : part->nfile);
		if (!own)
			BufFileClose(file);
	}
	list_free(files);
	if (own)
	{
		foreach(lc, part->full)
			add_items(r, lfirst(lc), BUFFER_ITEMS);
		add_items(r, part->buffer, part->nbuffer);
	}

	if (r->sort == NULL)
		sort_refs(r->refs, r->n);
	else
		tuplesort_performsort(r->sort);
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
	return r;
}

ChainReader *
chain_reader_open(ChainStore *s, int part)
{
	return open_reader(s, &s->parts[part], s->exported ? 0 : -1);
}

ChainReader *
chain_reader_open_others(ChainStore *s, int part)
{
	return open_reader(s, &s->parts[part], s->shared != NULL ? 1 : -1);
}

bool
chain_reader_next(ChainReader *r, ChainItem *item)
{
	Datum		d;
	bool		isnull;

	if (r->sort == NULL)
	{
		if (r->next == r->n)
			return false;
		*item = *r->refs[r->next++].item;
		return true;
	}
	if (!prov_tuplesort_getdatum(r->sort, true, &d, &isnull))
		return false;
	memcpy(item, (uint8 *) VARDATA(DatumGetPointer(d)) + KEY_LEN, sizeof(ChainItem));
	pfree(DatumGetPointer(d));
	return true;
}

void
chain_reader_close(ChainReader *r)
{
	if (r->sort != NULL)
		tuplesort_end(r->sort);
	else
	{
		pfree(r->refs);
		pfree(r->items);
	}
	pfree(r);
}
