/*
 * chain_store.c: items by parts of the row identities (see chain_store.h).
 *
 * A row's identity is a keyed hash, so the parts are about the same size. What
 * does not fit the memory of a part goes to a temporary file. A part is
 * sorted when it is read: in memory if work_mem suffices, else by the server's
 * sort.
 *
 * A large log has a file for each part, which is read from its beginning to its
 * end. A smaller one has one file for all parts, which the system's cache can be
 * expected to hold: to create and remove some hundred files is a good part of a
 * short verification, the more so where many have just been removed (ext4 looks at
 * each of those before it takes a free place).
 *
 * Where several processes verify, the files are shared, and each process has
 * its own, named after launch, participant and number, with the list of its
 * blocks at the end. A store is written, or once it is exported, read with those
 * of all others.
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
#define ONE_FILE 4				/* times maintenance_work_mem, for an item of each leaf */
#define KEY_LEN (PV_ROW_ID_LEN + 4 + 8)

typedef struct StorePart
{
	ChainItem  *buffer;			/* NULL: nothing was put */
	int			nbuffer;
	List	   *full;			/* buffers of BUFFER_ITEMS that were kept */
} StorePart;

/* A buffer in a file. */
typedef struct StoreBlock
{
	int32		part;
	int32		nitems;
	int64		offset;
} StoreBlock;

typedef struct StoreFile
{
	BufFile    *file;			/* NULL: nothing was written */
	bool		moved;			/* its position is not the end */
	int64		end;
	StoreBlock *blocks;
	int64		nblocks;
	int64		cap;
} StoreFile;

struct ChainStore
{
	Verify	   *v;
	VerifyShared *shared;		/* NULL: one process */
	int			launch;
	int			participant;
	bool		exported;
	int64		room;			/* for so many full buffers more */
	StorePart	parts[CHAIN_PARTS + 1];
	bool		one_file;
	StoreFile	files[CHAIN_PARTS + 1];
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

bool
chain_one_file(const Verify *v)
{
	return v->log_size <= ONE_FILE * (int64) maintenance_work_mem * 1024 / (int64) sizeof(ChainItem);
}

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
	/* of all that read each other's files the same, whatever the setting of each */
	s->one_file = s->shared != NULL ? s->shared->one_file : chain_one_file(v);
	return s;
}

static int
file_number(const ChainStore *s, int part)
{
	return s->one_file ? 0 : part;
}

static void
file_name(char *name, Size size, int launch, int participant, int number)
{
	snprintf(name, size, "%d.%d.%d", launch, participant, number);
}

static void
seek_file(StoreFile *f, int64 offset)
{
	if (BufFileSeek(f->file, 0, (off_t) offset, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in a temporary file")));
	f->moved = true;
}

static void
write_file(StoreFile *f, void *data, Size size)
{
	if (f->moved)
		seek_file(f, f->end);
	f->moved = false;
	BufFileWrite(f->file, data, size);
	f->end += (int64) size;
}

static void
write_buffer(ChainStore *s, StorePart *part)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old = MemoryContextSwitchTo(s->v->cxt);
	int			number = (int) (part - s->parts);
	StoreFile  *f = &s->files[file_number(s, number)];

	CurrentResourceOwner = s->v->owner; /* the file outlives a subtransaction */
	if (f->file == NULL && s->shared != NULL)
	{
		char		name[64];

		file_name(name, sizeof(name), s->launch, s->participant, file_number(s, number));
		f->file = BufFileCreateFileSet(&s->shared->files.fs, name);
	}
	else if (f->file == NULL)
		f->file = BufFileCreateTemp(false);
	if (f->nblocks == f->cap)
	{
		f->cap = Max(f->cap * 2, 64);
		f->blocks = f->blocks == NULL ? palloc(f->cap * sizeof(StoreBlock)) :
			repalloc_huge(f->blocks, f->cap * sizeof(StoreBlock));
	}
	f->blocks[f->nblocks].part = number;
	f->blocks[f->nblocks].nitems = part->nbuffer;
	f->blocks[f->nblocks].offset = f->end;
	write_file(f, part->buffer, part->nbuffer * sizeof(ChainItem));
	f->nblocks++;
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
		if (s->parts[i].nbuffer > 0)
			write_buffer(s, &s->parts[i]);
	for (i = 0; i <= CHAIN_PARTS; i++)
	{
		StoreFile  *f = &s->files[i];

		if (f->file == NULL)
			continue;
		write_file(f, f->blocks, f->nblocks * sizeof(StoreBlock));
		write_file(f, &f->nblocks, sizeof(f->nblocks));
		BufFileExportFileSet(f->file);
		BufFileClose(f->file);
		pfree(f->blocks);
		memset(f, 0, sizeof(*f));
	}
	s->exported = true;
}

void
chain_store_destroy(ChainStore *s)
{
	int			i;

	for (i = 0; i <= CHAIN_PARTS; i++)
	{
		if (s->files[i].file != NULL)
			BufFileClose(s->files[i].file);
		if (s->files[i].blocks != NULL)
			pfree(s->files[i].blocks);
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
read_block(ChainReader *r, StoreFile *f, const StoreBlock *b)
{
	int			i;

	seek_file(f, b->offset);
	if (r->sort == NULL)
	{
		prov_buffile_read(f->file, &r->items[r->nitems], b->nitems * sizeof(ChainItem));
		add_refs(r, &r->items[r->nitems], b->nitems);
		r->nitems += b->nitems;
		return;
	}
	for (i = 0; i < b->nitems; i++)
	{
		ChainItem	item;

		prov_buffile_read(f->file, &item, sizeof(ChainItem));
		put_sorted(r, &item);
	}
}

/* An exported file, with its blocks. */
static StoreFile *
open_file(BufFile *file)
{
	StoreFile  *f = palloc0(sizeof(StoreFile));
	int64		size = BufFileSize(file) - (int64) sizeof(f->nblocks);

	f->file = file;
	seek_file(f, size);
	prov_buffile_read(file, &f->nblocks, sizeof(f->nblocks));
	f->end = size - f->nblocks * (int64) sizeof(StoreBlock);
	if (f->nblocks < 0 || f->end < 0)
		elog(ERROR, "a temporary file has no list of its blocks");
	f->blocks = MemoryContextAllocHuge(CurrentMemoryContext, (f->nblocks + 1) * sizeof(StoreBlock));
	seek_file(f, f->end);
	prov_buffile_read(file, f->blocks, f->nblocks * sizeof(StoreBlock));
	return f;
}

static void
close_file(StoreFile *f)
{
	BufFileClose(f->file);
	pfree(f->blocks);
	pfree(f);
}

/* The exported files with a part. */
static List *
open_files(ChainStore *s, int part, int launch)
{
	List	   *files = NIL;
	int			participant;

	for (; launch < s->shared->nlaunches; launch++)
		for (participant = 0; participant < s->shared->participants[launch]; participant++)
		{
			char		name[64];
			BufFile    *file;

			file_name(name, sizeof(name), launch, participant, file_number(s, part));
			file = BufFileOpenFileSet(&s->shared->files.fs, name, O_RDONLY, true);
			if (file != NULL)
				files = lappend(files, open_file(file));
		}
	return files;
}

/* first_launch -1: only what is in the store itself */
static ChainReader *
open_reader(ChainStore *s, int number, int first_launch)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old = MemoryContextSwitchTo(s->v->cxt);
	ChainReader *r = palloc0(sizeof(ChainReader));
	StorePart  *part = &s->parts[number];
	StoreFile  *mine = &s->files[file_number(s, number)];
	bool		own = first_launch < 0;
	int64		nfiles = 0;
	int64		n = own ? part->nbuffer + (int64) list_length(part->full) * BUFFER_ITEMS : 0;
	List	   *files;
	ListCell   *lc;
	int64		i;

	r->store = s;
	if (!s->v->quiet)
		CurrentResourceOwner = s->v->owner;
	if (own)
		files = mine->file != NULL ? list_make1(mine) : NIL;
	else
		files = open_files(s, number, first_launch);
	foreach(lc, files)
	{
		StoreFile  *f = lfirst(lc);

		for (i = 0; i < f->nblocks; i++)
			nfiles += f->blocks[i].part == number ? f->blocks[i].nitems : 0;
	}
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
		StoreFile  *f = lfirst(lc);

		for (i = 0; i < f->nblocks; i++)
			if (f->blocks[i].part == number)
				read_block(r, f, &f->blocks[i]);
		if (!own)
			close_file(f);
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
	return open_reader(s, part, s->exported ? 0 : -1);
}

ChainReader *
chain_reader_open_others(ChainStore *s, int part)
{
	return open_reader(s, part, s->shared != NULL ? 1 : -1);
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
