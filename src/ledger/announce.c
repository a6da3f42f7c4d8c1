/*-------------------------------------------------------------------------
 *
 * announce.c
 *	  Telling the world of a new checkpoint: server log, NOTIFY, files.
 *
 * A checkpoint exists once its row is committed. Everything here is a step
 * of its own; if one fails that is logged, and nothing is undone. NOTIFY has
 * a transaction of its own, because a full queue makes its commit fail.
 *
 * In provenance.checkpoint_directory, "latest" always holds the newest note
 * and is replaced atomically; "checkpoints-YYYY-MM-DD" (UTC) gets each note
 * of that day appended, with an empty line after it. Checkpoints are public:
 * the files are readable by everybody who can reach the folder.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/xact.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "ledger/publish.h"
#include "ledger/settings.h"
#include "ledger/stop_point.h"
#include "ledger/worker.h"
#include "ledger/write_file.h"

#define PUBLIC_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH)

typedef void (*announce_step) (const ProvSigned *head);

static char *
root_hex(const ProvSigned *head)
{
	char	   *hex = palloc(2 * PV_HASH_LEN + 1);
	pv_buf		b;

	pv_buf_init(&b, hex, 2 * PV_HASH_LEN + 1);
	pv_put_hex(&b, head->root.b, PV_HASH_LEN);
	pv_put_u8(&b, 0);
	return hex;
}

static void
notify(const ProvSigned *head)
{
	Async_Notify("provenance_checkpoint",
				 psprintf("%lld %s", (long long) head->size, root_hex(head)));
	PROV_STOP_POINT("announce-notify");
}

/* True if the file, which is not empty, does not end with an empty line. */
static bool
ends_torn(int fd, off_t size)
{
	char		end[2];

	return size < 2 || pread(fd, end, 2, size - 2) != 2 || end[0] != '\n' || end[1] != '\n';
}

/*
 * Writes note (and an empty line, if appending) to a file. Others may be able
 * to write to the folder: what they put there must not lead us elsewhere. Of a
 * note that could not be appended whole nothing stays; one that a crash cut
 * short gets an end, so that the next one stands by itself.
 */
static void
write_note(const char *path, int flags, const ProvSigned *head, bool append)
{
	StringInfoData data;
	struct stat st;
	int			fd;

	fd = OpenTransientFilePerm(path, (append ? O_RDWR : O_WRONLY) | O_CREAT | O_NOFOLLOW | O_NONBLOCK | PG_BINARY | flags,
							   PUBLIC_MODE);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	if (fstat(fd, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\": %m", path)));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a file of the server's own", path)));
	/* the server's umask keeps others out */
	if (fchmod(fd, PUBLIC_MODE) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not set permissions of file \"%s\": %m", path)));
	initStringInfo(&data);
	if (append && st.st_size > 0 && ends_torn(fd, st.st_size))
		appendStringInfoString(&data, "\n\n");
	appendBinaryStringInfo(&data, head->note, head->notelen);
	if (append)
		appendStringInfoChar(&data, '\n');
	PG_TRY();
	{
		prov_write_and_close(fd, path, data.data, data.len, true);
	}
	PG_CATCH();
	{
		if (append && ftruncate(fd, st.st_size) != 0)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not truncate file \"%s\": %m", path)));
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
write_files(const ProvSigned *head)
{
	char	   *latest;
	char	   *temp;
	char		day[32];
	time_t		now = time(NULL);
	struct tm	tm;

	if (prov_checkpoint_directory == NULL || prov_checkpoint_directory[0] == '\0')
		return;
	gmtime_r(&now, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	write_note(psprintf("%s/checkpoints-%s", prov_checkpoint_directory, day), O_APPEND, head, true);
	PROV_STOP_POINT("announce-day");

	latest = psprintf("%s/latest", prov_checkpoint_directory);
	temp = psprintf("%s.tmp", latest);
	if (unlink(temp) != 0 && errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", temp)));
	write_note(temp, O_EXCL, head, false);
	PROV_STOP_POINT("announce-latest");
	(void) durable_rename(temp, latest, ERROR);
}

/* In a transaction of its own; an error becomes a WARNING in the server log, and status has it. */
static void
step(announce_step what, const ProvSigned *head, const char *failure)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *volatile message = NULL;

	PG_TRY();
	{
		StartTransactionCommand();
		what(head);
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		message = CopyErrorData()->message;
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	if (message == NULL)
		return;
	ereport(WARNING,
			(errmsg("%s", failure),
			 errdetail_internal("%s", message)));
	prov_report_error(psprintf("%s: %s", failure, message));
}

void
prov_announce(const char *origin, const ProvSigned *head)
{
	ereport(LOG,
			(errmsg("published checkpoint of size %lld, root %s, origin %s",
					(long long) head->size, root_hex(head), origin)));
	PROV_STOP_POINT("announce-log");
	step(notify, head, "no notification of the checkpoint could be sent");
	step(write_files, head, "the checkpoint could not be written to provenance.checkpoint_directory");
	PROV_STOP_POINT("announce-done");
}
