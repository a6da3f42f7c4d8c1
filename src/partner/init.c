/*-------------------------------------------------------------------------
 *
 * init.c
 *	  What the folder has to prepare when the library is loaded: the requests
 *	  that a worker carries out for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "partner/export.h"
#include "partner/inbox.h"
#include "partner/witness.h"

void
prov_partner_init(void)
{
	export_record_init();
	prov_fork_init();
	prov_request_register(PROV_REQUEST_COSIGN, "cosign the checkpoint", prov_cosign_handler);
}
