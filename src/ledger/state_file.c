/*-------------------------------------------------------------------------
 *
 * state_file.c
 *	  The signer's and the witness's state files: their text form, read
 *	  strictly, replaced atomically.
 *
 * doc/format.md, "Signer's state file" and "Witness's state file", has the
 * form: one for the log's own head, one for each head cosigned. A file is accepted only
 * if writing down what was read gives the same bytes again. Replacing: a
 * temporary file in the same folder, synced, renamed, folder synced; so after
 * a crash there is the old state or the new one. The caller holds the lock of
 * the directory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "ledger/signer.h"
#include "ledger/stop_point.h"
#include "ledger/write_file.h"
#include "types/types.h"

#define STATE_VERSION "provenance signer state 1"
#define WITNESS_VERSION "provenance witness state 1"
#define STATE_MAX_LEN (PV_CHECKPOINT_MAX_LEN + 8192)

static void
put_line(pv_buf *b, const char *key, const char *value)
{
	pv_put_str(b, key);
	pv_put_u8(b, ' ');
	pv_put_str(b, value);
	pv_put_u8(b, '\n');
}

static void
put_number(pv_buf *b, const char *key, uint64 value)
{
	pv_put_str(b, key);
	pv_put_u8(b, ' ');
	pv_put_decimal(b, value);
	pv_put_u8(b, '\n');
}

static bool
encode(const ProvSignerState *state, pv_buf *b)
{
	if (strchr(state->owner.data_directory, '\n') || strchr(state->owner.host, '\n'))
		return false;
	pv_put_str(b, state->witness ? WITNESS_VERSION "\n" : STATE_VERSION "\n");
	if (state->witness)
		put_line(b, "witness", state->witness);
	put_line(b, "origin", state->origin);
	put_number(b, "size", state->size);
	pv_put_str(b, "root ");
	pv_put_hex(b, state->root.b, PV_HASH_LEN);
	pv_put_u8(b, '\n');
	put_number(b, "system", state->owner.system_identifier);
	put_number(b, "timeline", state->owner.timeline);
	put_number(b, "database", state->owner.database);
	put_number(b, "inode", state->owner.inode);
	put_line(b, "data_directory", state->owner.data_directory);
	put_line(b, "host", state->owner.host);
	pv_put_u8(b, '\n');
	if (state->note)
		pv_put_bytes(b, state->note, state->notelen);
	return pv_buf_status(b) == PV_OK;
}

/* The value of the next line, which must be that of key; NULL otherwise. */
static char *
get_line(pv_reader *r, const char *key)
{
	const char *line;
	size_t		len;
	size_t		keylen = strlen(key);

	if (!pv_get_line(r, &line, &len) || len <= keylen ||
		memcmp(line, key, keylen) != 0 || line[keylen] != ' ')
		return NULL;
	return pnstrdup(line + keylen + 1, len - keylen - 1);
}

static bool
get_number(pv_reader *r, const char *key, uint64 max, uint64 *out)
{
	char	   *value = get_line(r, key);

	return value != NULL && pv_parse_decimal(value, strlen(value), max, out) == PV_OK;
}

/* What is wrong with the bytes, or NULL. witness: NULL for the signer's own. */
static const char *
decode(const char *data, size_t len, const char *witness, ProvSignerState *state)
{
	const char *version = witness ? WITNESS_VERSION : STATE_VERSION;
	pv_reader	r;
	const char *line;
	size_t		linelen;
	char	   *root;
	uint64		timeline;
	uint64		database;
	pv_buf		b;
	char	   *again;

	memset(state, 0, sizeof(*state));
	pv_reader_init(&r, data, len);
	if (!pv_get_line(&r, &line, &linelen) || linelen != strlen(version) ||
		memcmp(line, version, linelen) != 0)
		return "its version line is unknown";
	if (witness)
	{
		state->witness = get_line(&r, "witness");
		if (state->witness == NULL || strcmp(state->witness, witness) != 0)
			return "it is another witness's";
	}
	state->origin = get_line(&r, "origin");
	if (state->origin == NULL || !pv_key_name_valid(state->origin, strlen(state->origin)))
		return "its origin is malformed";
	if (!get_number(&r, "size", PV_MAX_TREE, &state->size))
		return "its size is malformed";
	root = get_line(&r, "root");
	if (root == NULL || pv_hex_decode(root, strlen(root), state->root.b, PV_HASH_LEN) != PV_OK)
		return "its root is malformed";
	if (!get_number(&r, "system", PG_UINT64_MAX, &state->owner.system_identifier) ||
		!get_number(&r, "timeline", PG_UINT32_MAX, &timeline) ||
		!get_number(&r, "database", PG_UINT32_MAX, &database) ||
		!get_number(&r, "inode", PG_UINT64_MAX, &state->owner.inode))
		return "its owner is malformed";
	state->owner.timeline = (uint32) timeline;
	state->owner.database = (Oid) database;
	state->owner.data_directory = get_line(&r, "data_directory");
	state->owner.host = get_line(&r, "host");
	if (state->owner.data_directory == NULL || state->owner.host == NULL ||
		!pv_get_line(&r, &line, &linelen) || linelen != 0)
		return "its owner is malformed";

	if (r.pos < len)
	{
		pv_checkpoint cp;

		state->notelen = len - r.pos;
		state->note = pnstrdup(data + r.pos, state->notelen);
		if (pv_checkpoint_parse(state->note, state->notelen, &cp) != PV_OK ||
			cp.originlen != strlen(state->origin) ||
			memcmp(cp.origin, state->origin, cp.originlen) != 0 ||
			(witness ? cp.size != state->size : cp.size > state->size))
			return "its note is malformed";
	}
	else if (witness)
		return "its note is missing";

	again = palloc(len + 1);
	pv_buf_init(&b, again, len);
	if (!encode(state, &b) || b.len != len || memcmp(again, data, len) != 0)
		return "it is not in canonical form";
	return NULL;
}

/* origin NULL: whichever the file is of. */
static ProvStateStatus
read_file(const char *path, const char *witness, const char *origin, ProvSignerState *out, char **reason)
{
	char	   *data;
	ssize_t		len;
	const char *fault = NULL;
	struct stat st;
	int			fd;

	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
	{
		if (errno == ENOENT)
			return PROV_STATE_ABSENT;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	}
	if (fstat(fd, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\": %m", path)));
	data = palloc(STATE_MAX_LEN + 1);
	len = read(fd, data, STATE_MAX_LEN + 1);
	if (len < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", path)));
	(void) CloseTransientFile(fd);

	if (!S_ISREG(st.st_mode))
		fault = "it is not a regular file";
	else if (st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		fault = "another user has rights to it";
	else if (len > STATE_MAX_LEN)
		fault = "it is too long";
	else
		fault = decode(data, (size_t) len, witness, out);
	if (fault == NULL && origin != NULL && strcmp(out->origin, origin) != 0)
		fault = "it is another origin's";
	if (fault != NULL)
	{
		*reason = psprintf("the %s's state file \"%s\" cannot be used: %s", witness ? "witness" : "signer", path, fault);
		return PROV_STATE_BAD;
	}
	return PROV_STATE_OK;
}

ProvStateStatus
prov_state_read(const ProvStateDir *dir, const char *origin, ProvSignerState *out, char **reason)
{
	return read_file(prov_state_path(dir, origin, "state"), NULL, origin, out, reason);
}

ProvStateStatus
prov_cosigned_read(const ProvStateDir *dir, const char *witness, const char *origin,
				   ProvSignerState *out, char **reason)
{
	return read_file(prov_cosigned_path(dir, witness, origin), witness, origin, out, reason);
}

/*
 * Gathered before anything is done: what is done may rename files, and a
 * folder that changes is not read reliably.
 */
List *
prov_cosigned_files(const ProvStateDir *dir, const char *witness)
{
	char	   *prefix = prov_state_path(dir, witness, "");
	const char *name = strrchr(prefix, '/') + 1;
	size_t		len = strlen(name);
	DIR		   *d = AllocateDir(dir->path);
	struct dirent *de;
	List	   *files = NIL;

	while ((de = ReadDir(d, dir->path)) != NULL)
	{
		size_t		n = strlen(de->d_name);

		if (n == len + 2 * PV_HASH_LEN + strlen(".cosigned") && strncmp(de->d_name, name, len) == 0 &&
			strcmp(de->d_name + len + 2 * PV_HASH_LEN, ".cosigned") == 0)
			files = lappend(files, psprintf("%s/%s", dir->path, de->d_name));
	}
	FreeDir(d);
	return files;
}

ProvStateStatus
prov_cosigned_read_path(const char *path, const char *witness, ProvSignerState *out, char **reason)
{
	return read_file(path, witness, NULL, out, reason);
}

void
prov_state_write(const ProvStateDir *dir, const ProvSignerState *state)
{
	char	   *path = state->witness ? prov_cosigned_path(dir, state->witness, state->origin) :
	prov_state_path(dir, state->origin, "state");
	char	   *temp = psprintf("%s.tmp", path);
	char	   *data = palloc(STATE_MAX_LEN);
	pv_buf		b;
	int			fd;

	pv_buf_init(&b, data, STATE_MAX_LEN);
	if (!encode(state, &b))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the signer's state cannot be written down"),
				 errdetail("The data directory's path or the host's name is too long or holds a line break.")));
	if (unlink(temp) != 0 && errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", temp)));
	fd = OpenTransientFilePerm(temp, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY, S_IRUSR | S_IWUSR);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", temp)));
	prov_write_and_close(fd, temp, data, b.len, false);
	PROV_STOP_POINT("state-file");
	/* syncs the file before, and file and folder after */
	(void) durable_rename(temp, path, ERROR);
	pfree(data);
}
