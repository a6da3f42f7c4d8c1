/*-------------------------------------------------------------------------
 *
 * module.c
 *	  The library's entry: magic block and _PG_init.
 *
 * Every folder that has something to prepare when the library is loaded
 * (settings, hooks, a static worker) offers one Init function, called here
 * in the order of the folders. This file knows nothing else about them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "ledger/seal.h"
#include "partner/partner.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	prov_ledger_init();
	prov_partner_init();
}
