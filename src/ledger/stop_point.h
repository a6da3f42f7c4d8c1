/*
 * stop_point.h: named places at which a test can have a process stop or die.
 *
 * What is promised of a crash at any instant is tested by crashing at each of
 * these places. They are always compiled, so that what is tested is what
 * runs; without the setting provenance.stop_point each costs one comparison.
 * The names are listed in test/tap/crash.pl.
 */
#ifndef PROV_STOP_POINT_H
#define PROV_STOP_POINT_H

#include "postgres.h"

extern char *prov_stop_point;	/* the setting's value, NULL if empty */

extern void prov_stop_point_reached(const char *name);
extern void prov_stop_point_init(void);

#define PROV_STOP_POINT(name) \
	do { \
		if (unlikely(prov_stop_point != NULL)) \
			prov_stop_point_reached(name); \
	} while (0)

#endif							/* PROV_STOP_POINT_H */
