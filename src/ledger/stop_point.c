/*-------------------------------------------------------------------------
 *
 * stop_point.c
 *	  The setting provenance.stop_point, for tests of crashes.
 *
 * "name": whoever reaches that point says so in the server log and waits
 * until it is killed or terminated. "name:kill": it kills itself, as kill -9
 * would. "name:error": it fails with an ERROR, as a full disk would have it.
 * For superusers only: a worker that waits holds the sealer's lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

#include "ledger/stop_point.h"

char	   *prov_stop_point = NULL;

static char *setting = NULL;

static void
assign_stop_point(const char *newval, void *extra)
{
	prov_stop_point = newval != NULL && newval[0] != '\0' ? unconstify(char *, newval) : NULL;
}

void
prov_stop_point_init(void)
{
	DefineCustomStringVariable("provenance.stop_point",
							   "For tests: where a process is to stop.",
							   "A point's name, alone or with \":kill\" or \":error\".",
							   &setting, "", PGC_SUSET, GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE,
							   NULL, assign_stop_point, NULL);
}

void
prov_stop_point_reached(const char *name)
{
	size_t		len = strlen(name);
	const char *what;

	if (strncmp(prov_stop_point, name, len) != 0)
		return;
	what = prov_stop_point + len;
	if (strcmp(what, ":kill") == 0)
		(void) kill(getpid(), SIGKILL);
	if (strcmp(what, ":error") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("stop point \"%s\"", name)));
	if (what[0] != '\0')
		return;					/* another point, whose name begins alike */
	ereport(LOG, (errmsg("process %d waits at stop point \"%s\"", MyProcPid, name)));
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}
