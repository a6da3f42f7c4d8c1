/*-------------------------------------------------------------------------
 *
 * state_dir.c
 *	  The signer's state directory: where it is, whether it is fit, whose.
 *
 * Default is a sibling of the data directory, so that a base backup or a
 * copy of the data directory does not bring the state along. Where that
 * cannot be (a container whose volume is the data directory itself; then its
 * parent lies on another file system and would be lost with the container),
 * it is a folder in the data directory, and a restored backup is recognised
 * by the owner written into the state file alone: above all by the inode of
 * this directory, which every copy or restore of files changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "ledger/settings.h"
#include "ledger/signer.h"
#include "types/types.h"

#define LOCK_TRIES 200			/* of 50 ms */

/* DataDir without symbolic links. */
static char *
real_data_directory(void)
{
	char		path[PATH_MAX];

	if (realpath(DataDir, path) == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not resolve the data directory's path: %m")));
	return pstrdup(path);
}

static char *
sibling_directory(void)
{
	return psprintf("%s.provenance", real_data_directory());
}

static char *
inner_directory(void)
{
	return psprintf("%s/provenance", real_data_directory());
}

static bool
same_file_system(const char *path)
{
	struct stat a;
	struct stat b;

	return stat(path, &a) == 0 && stat(DataDir, &b) == 0 && a.st_dev == b.st_dev;
}

/* True if path lies in a tablespace. */
static bool
in_tablespace(const char *path)
{
	DIR		   *links = AllocateDir("pg_tblspc");
	struct dirent *de;
	bool		found = false;

	while (!found && (de = ReadDirExtended(links, "pg_tblspc", LOG)) != NULL)
	{
		char		target[PATH_MAX];
		char	   *link;
		size_t		len;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		link = psprintf("pg_tblspc/%s", de->d_name);
		if (realpath(link, target) != NULL)
		{
			len = strlen(target);
			found = strncmp(path, target, len) == 0 && (path[len] == '/' || path[len] == '\0');
		}
		pfree(link);
	}
	FreeDir(links);
	return found;
}

/* What is wrong with the directory, or NULL. */
static char *
directory_fault(const char *path, const struct stat *st)
{
	char		resolved[PATH_MAX];

	if (!S_ISDIR(st->st_mode))
		return psprintf("the state directory \"%s\" is not a directory", path);
	if (st->st_uid != geteuid())
		return psprintf("the state directory \"%s\" belongs to another user than the server's", path);
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return psprintf("the state directory \"%s\" is accessible to group or others", path);
	if (realpath(path, resolved) != NULL && in_tablespace(resolved))
		return psprintf("the state directory \"%s\" lies in a tablespace", path);
	return NULL;
}

/* False and errno if it is not there and cannot be made. */
static bool
make_directory(const char *path)
{
	struct stat st;
	char	   *parent;

	if (mkdir(path, S_IRWXU) != 0)
		return errno == EEXIST && stat(path, &st) == 0;
	/* the entry must last as long as what is put into it */
	fsync_fname(path, true);
	parent = pstrdup(path);
	get_parent_directory(parent);
	fsync_fname(parent, true);
	return true;
}

char *
prov_state_directory_make(const char *configured, bool *inside)
{
	char	   *path;
	struct stat st;
	char	   *fault;

	*inside = false;
	if (configured[0] != '\0')
	{
		path = pstrdup(configured);
		canonicalize_path(path);
	}
	else
	{
		char	   *parent;

		path = sibling_directory();
		parent = pstrdup(path);
		get_parent_directory(parent);
		if (stat(path, &st) == 0 ? same_file_system(path)
			: same_file_system(parent) && make_directory(path))
			 /* a sibling */ ;
		else
		{
			path = inner_directory();
			*inside = true;
		}
	}

	if (!make_directory(path) || stat(path, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create the signer's state directory \"%s\": %m", path),
				 errhint("Create it, owned by the server's user with mode 0700, or set provenance.state_directory for this database.")));
	fault = directory_fault(path, &st);
	if (fault)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the signer's state cannot be kept there"),
				 errdetail("%s.", fault)));
	if (path_is_prefix_of_path(real_data_directory(), path))
		*inside = true;
	return path;
}

/*
 * Without a setting, the folder inside the data directory counts only where
 * setup() chose it: anything else must not make a worker change places.
 */
char *
prov_state_directory_find(const char *remembered)
{
	char	   *configured = prov_setting_of_database("provenance.state_directory");
	char	   *inner;

	if (configured[0] != '\0')
	{
		char	   *path = pstrdup(configured);

		canonicalize_path(path);
		return path;
	}
	inner = inner_directory();
	if (remembered && strcmp(remembered, inner) == 0)
		return inner;
	return sibling_directory();
}

bool
prov_state_lock(const char *path, ProvStateDir *dir, char **reason)
{
	struct stat st;
	int			tries = 0;

	dir->path = pstrdup(path);
	dir->fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (dir->fd < 0)
	{
		if (errno == ENOENT)
			*reason = psprintf("there is no state directory \"%s\"", path);
		else
			*reason = psprintf("the state directory \"%s\" cannot be opened: %s", path, strerror(errno));
		return false;
	}
	if (fstat(dir->fd, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat directory \"%s\": %m", path)));
	dir->inode = (uint64) st.st_ino;
	*reason = directory_fault(path, &st);
	if (*reason != NULL)
	{
		prov_state_unlock(dir);
		return false;
	}
	while (flock(dir->fd, LOCK_EX | LOCK_NB) != 0)
	{
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not lock directory \"%s\": %m", path)));
		if (++tries > LOCK_TRIES)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("the state directory \"%s\" is locked by another process", path)));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 50, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

void
prov_state_unlock(ProvStateDir *dir)
{
	if (dir->fd >= 0)
		(void) CloseTransientFile(dir->fd);
	dir->fd = -1;
}

/* Hashed, because an origin may hold what a file name may not. */
static char *
origin_hex(const char *origin)
{
	pv_hash		hash;
	char	   *hex = palloc(2 * PV_HASH_LEN + 1);
	pv_buf		b;

	prov_check(pv_sha256(prov_hasher(), origin, strlen(origin), &hash));
	pv_buf_init(&b, hex, 2 * PV_HASH_LEN + 1);
	pv_put_hex(&b, hash.b, PV_HASH_LEN);
	pv_put_u8(&b, 0);
	return hex;
}

char *
prov_state_path(const ProvStateDir *dir, const char *origin, const char *suffix)
{
	return psprintf("%s/%s.%s", dir->path, origin_hex(origin), suffix);
}

char *
prov_cosigned_path(const ProvStateDir *dir, const char *witness, const char *origin)
{
	return prov_state_path(dir, witness, psprintf("%s.cosigned", origin_hex(origin)));
}

void
prov_owner_self(const ProvStateDir *dir, ProvOwner *owner)
{
	char		host[256];

	memset(host, 0, sizeof(host));
	if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
		strcpy(host, "unknown");
	owner->system_identifier = GetSystemIdentifier();
	owner->timeline = GetWALInsertionTimeLine();
	owner->database = MyDatabaseId;
	owner->inode = dir->inode;
	owner->data_directory = real_data_directory();
	owner->host = pstrdup(host);
}

char *
prov_owner_difference(const ProvOwner *owner, const ProvOwner *self)
{
	if (owner->system_identifier != self->system_identifier)
		return psprintf("the cluster with system identifier %llu (host %s, data directory \"%s\")",
						(unsigned long long) owner->system_identifier, owner->host, owner->data_directory);
	if (strcmp(owner->data_directory, self->data_directory) != 0)
		return psprintf("the server with data directory \"%s\" (host %s)",
						owner->data_directory, owner->host);
	if (owner->timeline != self->timeline)
		return psprintf("timeline %u of this cluster, which is now on timeline %u",
						owner->timeline, self->timeline);
	if (owner->database != self->database)
		return psprintf("the database with OID %u, this one has OID %u",
						owner->database, self->database);
	if (owner->inode != self->inode)
		return psprintf("another copy of the state directory (inode %llu, this one has %llu; host %s)",
						(unsigned long long) owner->inode, (unsigned long long) self->inode, owner->host);
	return NULL;
}
