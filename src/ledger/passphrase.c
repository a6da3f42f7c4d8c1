/*-------------------------------------------------------------------------
 *
 * passphrase.c
 *	  provenance.signing_key_passphrase_command: the passphrase of an encrypted
 *	  key file, or the PIN of a token.
 *
 * Like the server's own ssl_passphrase_command: a shell command whose first
 * line of output is the passphrase; %p stands for a prompt, %% for %. It is
 * the server's administrator's command, run as the server's user, without a
 * terminal. Neither its output nor the command itself goes into any message.
 *
 * It is waited for with the sealer's lock held, so not for long, and a
 * shutdown or a DROP DATABASE need not wait for it. popen() would do neither:
 * it does not tell whom to kill, and pclose() waits. The command is a process
 * group of its own, killed as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/signer.h"
#include "ledger/worker.h"

#define PROMPT "Passphrase of the signing key: "
#define LIMIT_MS 10000
#define WANTED_MS 500			/* look whether the database is wanted */
#define EXIT_MS 10				/* look whether the command is over */

extern char **environ;

typedef struct Command
{
	pid_t		pid;			/* 0: none, or over */
	int			fd;				/* its output; -1: closed */
	TimestampTz deadline;
	int			status;			/* of waitpid() */
} Command;

static char *
expand(const char *command)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *p = command; *p; p++)
	{
		if (p[0] == '%' && p[1] == 'p')
		{
			appendStringInfoString(&buf, PROMPT);
			p++;
		}
		else if (p[0] == '%' && p[1] == '%')
		{
			appendStringInfoChar(&buf, '%');
			p++;
		}
		else
			appendStringInfoChar(&buf, *p);
	}
	return buf.data;
}

/* Starts the command; an errno if that fails. */
static int
start(Command *c, const char *shell)
{
	char	   *argv[] = {"sh", "-c", (char *) shell, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t	all;
	sigset_t	none;
	int			fds[2];
	int			rc;

	if (pipe(fds) != 0)
		return errno;
	(void) fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void) fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	(void) fcntl(fds[0], F_SETFL, O_NONBLOCK);
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	rc = posix_spawn(&c->pid, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (rc != 0)
	{
		c->pid = 0;
		close(fds[0]);
		return rc;
	}
	c->fd = fds[0];
	return 0;
}

/* Whatever is left of it ends. Also as an error or an exit passes. */
static void
stop(int code, Datum arg)
{
	Command    *c = (Command *) DatumGetPointer(arg);

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (c->pid > 0)
	{
		(void) kill(-c->pid, SIGKILL);
		while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
			;
	}
	c->pid = 0;
	ReleaseExternalFD();
}

/* Waits for output, or at most ms; a reason if there is to be no more waiting. */
static char *
wait_command(Command *c, long ms)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), c->deadline);

	if (left <= 0)
		return psprintf("the passphrase command took longer than %d s, and was killed", LIMIT_MS / 1000);
	if (prov_in_worker && prov_database_wanted())
		return pstrdup("the passphrase command was killed, because another session waited for the database");
	ms = Min(ms, left);
	if (c->fd >= 0)
		(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								 c->fd, ms, PG_WAIT_EXTENSION);
	else
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return NULL;
}

/* The first line of the output, then the end of it and of the command. */
static char *
read_line(Command *c, char *buf, Size cap)
{
	Size		len = 0;
	bool		line = false;
	char	   *reason;

	for (;;)
	{
		char		rest[256];
		ssize_t		n = line ? read(c->fd, rest, sizeof(rest)) : read(c->fd, buf + len, 1);

		if (n == 0)
			break;
		/* a command that says more must not be ended by a signal */
		if (n > 0 && !line)
			line = buf[len++] == '\n' || len == cap - 1;
		else if (n > 0 ? GetCurrentTimestamp() >= c->deadline : errno == EAGAIN || errno == EWOULDBLOCK)
		{
			if ((reason = wait_command(c, WANTED_MS)) != NULL)
				return reason;
		}
		else if (n < 0 && errno != EINTR)
			return psprintf("the output of the passphrase command could not be read: %s", strerror(errno));
		CHECK_FOR_INTERRUPTS();
	}
	buf[len] = '\0';
	close(c->fd);
	c->fd = -1;
	while (waitpid(c->pid, &c->status, WNOHANG) != c->pid)
		if ((reason = wait_command(c, EXIT_MS)) != NULL)
			return reason;
	c->pid = 0;
	return NULL;
}

bool
prov_passphrase(char *buf, Size cap, char **reason)
{
	const char *command = prov_setting_of_database("provenance.signing_key_passphrase_command");
	Command		c = {0, -1, 0, 0};
	char	   *shell;
	Size		len;
	int			rc;

	buf[0] = '\0';
	*reason = NULL;
	if (command[0] == '\0')
		return false;
	shell = expand(command);
	c.deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LIMIT_MS);
	ReserveExternalFD();
	PG_ENSURE_ERROR_CLEANUP(stop, PointerGetDatum(&c));
	{
		rc = start(&c, shell);
		*reason = rc != 0 ? psprintf("the passphrase command could not be run: %s", strerror(rc)) :
			read_line(&c, buf, cap);
	}
	PG_END_ENSURE_ERROR_CLEANUP(stop, PointerGetDatum(&c));
	stop(0, PointerGetDatum(&c));
	if (*reason == NULL && c.status != 0)
		*reason = psprintf("the passphrase command failed: %s", wait_result_to_str(c.status));
	if (*reason == NULL && buf[0] == '\0')
		*reason = pstrdup("the passphrase command gave no passphrase");
	if (*reason != NULL)
	{
		explicit_bzero(buf, cap);
		return false;
	}
	len = strlen(buf);
	while (len > 0 && (buf[len - 1] == '\n' || buf[len - 1] == '\r'))
		buf[--len] = '\0';
	return true;
}
