/*
 * export_tiles.c: export_tiles(): the newest published checkpoint and all tiles
 * below it as files (C2SP tlog-tiles), for a web server or a mirror.
 *
 * Nothing is written that the checkpoint does not commit to: its root must be
 * that of the stored tree, the root of each full tile the hash that stands for
 * it one level up, and each leaf of a bundle gives its leaf hash.
 *
 * The checkpoint comes last, after everything before it has been synced, so a
 * reader who has it finds its tiles, and a crash leaves the old checkpoint with
 * its tiles or the new one with its. That makes the checkpoint in the folder
 * the memory of what is there: a file wholly below its size is settled, and
 * written again only if it is missing or has another length; every other file
 * is written. The folder is refused if its checkpoint is another log's, or one
 * that this log does not extend.
 *
 * Reads only, so it works in a read-only transaction and on a standby. Memory:
 * one tile. May be cancelled between two files.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "prove/export_dir.h"
#include "prove/prove.h"
#include "types/types.h"

#include "core/tile.h"

PG_FUNCTION_INFO_V1(provenance_export_tiles);

#define BUNDLES (-1)			/* the "level" of entry bundles */

typedef struct Export
{
	ExportDir	dir;
	ProvLog    *log;
	ProvLog    *previous;
	MemoryContext tile_cxt;		/* reset for each file */
	int64		size;			/* of the checkpoint to export */
	int64		settled;		/* of the one that is there; 0: none */
	int64		written;
} Export;

/* A path as the server's caller gave it, or an error. */
static char *
target_directory(text *arg)
{
	char	   *path = text_to_cstring(arg);

	if (!superuser() && !has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to write files on the server"),
				 errdetail("Only superusers and members of role pg_write_server_files may export tiles.")));
	canonicalize_path(path);
	if (!is_absolute_path(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the directory of an export must be an absolute path")));
	return path;
}

/*
 * The size of the checkpoint in the folder, 0 without one. It must be one of
 * this log's past; *same is set if it is this very note.
 */
static int64
settled_size(Export *ex, const char *note, size_t len, bool *same)
{
	char	   *old = palloc(PV_CHECKPOINT_MAX_LEN + 1);
	const char *origin = prov_identity(false)->origin;
	Size		origin_len = strlen(origin);
	bool		exists;
	Size		old_len;
	pv_checkpoint cp;
	pv_hash		root;

	*same = false;
	old_len = export_dir_get(&ex->dir, "checkpoint", old, PV_CHECKPOINT_MAX_LEN + 1, &exists);
	if (!exists)
		return 0;
	*same = old_len == len && memcmp(old, note, len) == 0;
	if (pv_checkpoint_parse(old, old_len, &cp) != PV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s/checkpoint\" is not a checkpoint", ex->dir.path),
				 errhint("Export to an empty directory.")));
	/* every incarnation has the same tree */
	if (cp.originlen < origin_len || memcmp(cp.origin, origin, origin_len) != 0 ||
		(cp.originlen > origin_len && cp.origin[origin_len] != '/'))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("directory \"%s\" holds another log", ex->dir.path),
				 errhint("Export to an empty directory.")));
	if (cp.size > (uint64) ex->size)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("directory \"%s\" holds a newer checkpoint than this database", ex->dir.path),
				 errdetail("Its size is %llu, that of the newest published checkpoint %lld.",
						   (unsigned long long) cp.size, (long long) ex->size)));
	if (pv_tree_root(prov_log_tree(ex->log), cp.size, &root) != PV_OK)
		prove_log_damaged(cp.size);
	if (!pv_hash_equal(&root, &cp.root))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the log does not extend the checkpoint in directory \"%s\"", ex->dir.path),
				 errdetail("Its size is %llu. One of the two is not this log's true past.", (unsigned long long) cp.size),
				 errhint("Keep that checkpoint, and see SELECT * FROM provenance.verify_checkpoint(…).")));
	return (int64) cp.size;
}

/* The root of a full tile, in place. */
static void
check_full_tile(Export *ex, int level, int64 index, const pv_hash *tile)
{
	pv_tree    *tree = prov_log_tree(ex->log);
	pv_hash		h[PV_TILE_WIDTH];
	pv_hash		above;
	int			n;
	int			i;

	memcpy(h, tile, sizeof(h));
	for (n = PV_TILE_WIDTH / 2; n > 0; n /= 2)
		for (i = 0; i < n; i++)
			prov_check(pv_node_hash(prov_hasher(), &h[2 * i], &h[2 * i + 1], &h[i]));
	if (tree->read(tree->arg, level + 1, index, 1, &above) != PV_OK || !pv_hash_equal(&h[0], &above))
		prove_log_damaged(index << (PV_TILE_HEIGHT * (level + 1)));
}

static void
put_tile(Export *ex, int level, int64 index, int width)
{
	pv_tree    *tree = prov_log_tree(ex->log);
	char		name[PV_TILE_PATH_MAX];
	uint8		data[PROVE_BUNDLE_MAX];
	pv_hash		hashes[PV_TILE_WIDTH];
	Size		len = width * (level == BUNDLES ? 2 + PV_LEAF_LEN : PV_HASH_LEN);
	int64		end = (index * PV_TILE_WIDTH + width) << (PV_TILE_HEIGHT * Max(level, 0));

	CHECK_FOR_INTERRUPTS();
	prov_check(pv_tile_path(level, index, width, name));
	if (end <= ex->settled && export_dir_size(&ex->dir, name) == (int64) len)
		return;

	if (level == BUNDLES)
		len = prove_bundle(ex->log, ex->previous, index, width, data);
	else
	{
		if (tree->read(tree->arg, level, index * PV_TILE_WIDTH, width, hashes) != PV_OK)
			prove_log_damaged((index * PV_TILE_WIDTH) << (PV_TILE_HEIGHT * level));
		if (width == PV_TILE_WIDTH)
			check_full_tile(ex, level, index, hashes);
		memcpy(data, hashes, len);
	}
	export_dir_put(&ex->dir, name, data, len);
	ex->written++;
}

static void
put_all(Export *ex, const char *note, size_t len)
{
	pv_checkpoint cp;
	pv_hash		root;
	bool		same;
	int			level;

	prov_check(pv_checkpoint_parse(note, len, &cp));
	ex->size = (int64) cp.size;
	if (pv_tree_root(prov_log_tree(ex->log), cp.size, &root) != PV_OK || !pv_hash_equal(&root, &cp.root))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the stored log does not give the root of its newest checkpoint"),
				 errhint("SELECT * FROM provenance.verify_log() says more.")));

	export_dir_open(&ex->dir);
	ex->settled = settled_size(ex, note, len, &same);

	for (level = BUNDLES; level <= PV_TILE_MAX_LEVEL; level++)
	{
		int64		full = (int64) pv_tile_full(cp.size, Max(level, 0));
		int			partial = (int) pv_tile_partial(cp.size, Max(level, 0));
		int64		index;

		for (index = 0; index < full + (partial > 0 ? 1 : 0); index++)
		{
			MemoryContext old = MemoryContextSwitchTo(ex->tile_cxt);

			put_tile(ex, level, index, index < full ? PV_TILE_WIDTH : partial);
			MemoryContextSwitchTo(old);
			MemoryContextReset(ex->tile_cxt);
		}
	}
	export_dir_sync(&ex->dir);

	if (!same)
	{
		export_dir_put(&ex->dir, "checkpoint", note, len);
		export_dir_sync(&ex->dir);
		ex->written++;
	}
}

/* export_tiles(directory text) */
Datum
provenance_export_tiles(PG_FUNCTION_ARGS)
{
	char	   *path = target_directory(PG_GETARG_TEXT_PP(0));
	Export	   *ex = palloc0(sizeof(Export));
	int64		size;
	Datum		note = prove_checkpoint(-1, &size, NULL);
	const char *bytes;
	size_t		len;

	if (note == (Datum) 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no checkpoint has been published yet"),
				 errhint("SELECT provenance.seal() publishes a checkpoint.")));
	bytes = checkpoint_bytes(note, &len);

	/* after the checkpoint: the log then has all its leaves */
	ex->log = prov_log_open(NULL);
	ex->previous = prov_log_open(NULL);
	ex->tile_cxt = AllocSetContextCreate(CurrentMemoryContext, "provenance tile export", ALLOCSET_DEFAULT_SIZES);
	export_dir_init(&ex->dir, path);
	PG_TRY();
	{
		put_all(ex, bytes, len);
	}
	PG_FINALLY();
	{
		export_dir_close(&ex->dir);
	}
	PG_END_TRY();
	prov_log_close(ex->previous);
	prov_log_close(ex->log);
	PG_RETURN_INT64(ex->written);
}
