/*
 * ledger_check.c: are the ledger's tables what CREATE EXTENSION made?
 *
 * Everything else here reads their columns as what they are declared to be. A
 * superuser can declare them otherwise, and a text read as a hash is not a
 * finding but a crash; so the declarations are compared first, and nothing is
 * read if they differ.
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "verify/verify.h"

typedef struct CheckTask
{
	const char *altered;
} CheckTask;

static void
check_all(void *arg)
{
	CheckTask  *task = arg;
	int			i;

	for (i = 0; i < PROV_NRELS && task->altered == NULL; i++)
		if (!prov_usable((ProvRel) i))
			task->altered = get_rel_name(prov_relid((ProvRel) i));
}

bool
verify_ledger_usable(Verify *v)
{
	CheckTask	task = {NULL};

	if (!verify_try(v, check_all, &task))
		verify_finding(v, "ledger_altered", SEV_ERROR, "provenance", -1, -1,
					   "The ledger's tables are not those that the extension made: %s", v->fault);
	else if (task.altered != NULL)
		verify_finding(v, "ledger_altered", SEV_ERROR, task.altered, -1, -1,
					   "Kind or columns of this table of the ledger are not those that the extension made; nothing was read.%s",
					   prov_other_version());
	else
		return true;
	return false;
}
