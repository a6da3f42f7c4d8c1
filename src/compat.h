/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between the server versions that the extension builds
 *	  against, 15 to 18.
 *
 * PG_VERSION_NUM appears in this file and in no other; the rest of the tree
 * is written for the newest interface, and older servers get it from here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PROVENANCE_COMPAT_H
#define PROVENANCE_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "provenance needs PostgreSQL 15 or later"
#endif

#endif							/* PROVENANCE_COMPAT_H */
