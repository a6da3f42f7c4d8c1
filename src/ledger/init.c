/*-------------------------------------------------------------------------
 *
 * init.c
 *	  What this folder prepares when the library is loaded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/progress.h"
#include "ledger/request.h"
#include "ledger/seal.h"
#include "ledger/settings.h"
#include "ledger/stop_point.h"
#include "ledger/worker.h"

void
prov_ledger_init(void)
{
	prov_stop_point_init();
	prov_settings_init();
	prov_request_init();
	prov_launcher_init();
	prov_progress_init();
}
