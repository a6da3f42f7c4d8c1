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

/*
 * Soft errors (16): before, an input function's error is an ERROR, whoever
 * calls it.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else
#define errsave(context, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#define ereturn(context, dummy_value, ...) \
	do { \
		errsave(context, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#endif

/* Is it well-formed JSON? In the lexer's memory: a context of the caller's (17: the lexer may be the caller's). */
#include "common/jsonapi.h"
static inline bool
prov_json_valid(char *s, size_t len, int encoding)
{
#if PG_VERSION_NUM >= 170000
	JsonLexContext *lex = makeJsonLexContextCstringLen(NULL, s, len, encoding, true);
#else
	JsonLexContext *lex = makeJsonLexContextCstringLen(s, (int) len, encoding, true);
#endif

	return pg_parse_json(lex, &nullSemAction) == JSON_SUCCESS;
}

/* Ownership checks by class of object (16). */
#if PG_VERSION_NUM >= 160000
#define prov_owns_relation(relid, role) object_ownercheck(RelationRelationId, relid, role)
#define prov_owns_schema(nspid, role) object_ownercheck(NamespaceRelationId, nspid, role)
#else
#define prov_owns_relation(relid, role) pg_class_ownercheck(relid, role)
#define prov_owns_schema(nspid, role) pg_namespace_ownercheck(nspid, role)
#endif

/* Instrumentation of index scans (18). */
#if PG_VERSION_NUM >= 180000
#define prov_index_beginscan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys)
#else
#define prov_index_beginscan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#endif

/* transaction_timeout came with 17. */
#if PG_VERSION_NUM >= 170000
#define prov_disable_transaction_timeout() \
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE)
#else
#define prov_disable_transaction_timeout() ((void) 0)
#endif

/*
 * Ends a read of a page that an error interrupted, as the end of a subtransaction
 * does. From 16 on it belongs to the resource owner; 18 may have more under way.
 */
#if PG_VERSION_NUM >= 180000
#include "storage/aio_subsys.h"
#define prov_abort_io() pgaio_error_cleanup()
#elif PG_VERSION_NUM >= 160000
#define prov_abort_io() ((void) 0)
#else
#define prov_abort_io() AbortBufferIO()
#endif

/* "Or stronger" (17). */
#if PG_VERSION_NUM >= 170000
#define prov_lock_held(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define prov_lock_held(tag, mode) LockHeldByMe(tag, mode)
#endif

/* Datums out of a sort, copied for the caller (16 asks whether to). */
#if PG_VERSION_NUM >= 160000
#define prov_tuplesort_getdatum(state, forward, val, isnull) \
	tuplesort_getdatum(state, forward, true, val, isnull, NULL)
#else
#define prov_tuplesort_getdatum(state, forward, val, isnull) \
	tuplesort_getdatum(state, forward, val, isnull, NULL)
#endif

/* A read that has to give all that was asked for is an error otherwise (16). */
#if PG_VERSION_NUM >= 160000
#define prov_buffile_read(file, ptr, size) BufFileReadExact(file, ptr, size)
#else
#define prov_buffile_read(file, ptr, size) \
	do { \
		if (BufFileRead(file, ptr, size) != (size)) \
			ereport(ERROR, \
					(errcode_for_file_access(), \
					 errmsg("could not read a temporary file"))); \
	} while (0)
#endif

/*
 * Which indexes need an entry of the new version: none, all, or those that only
 * summarize (16; before, the tuple knew, and such an index was like any other).
 */
#if PG_VERSION_NUM >= 160000
#define prov_heap_update(rel, old, tup, which) simple_heap_update(rel, old, tup, which)
#define prov_index_summarizing(info) ((info)->ii_Summarizing)
#else
typedef enum TU_UpdateIndexes
{
	TU_None, TU_All, TU_Summarizing
} TU_UpdateIndexes;
#define prov_heap_update(rel, old, tup, which) \
	do { \
		simple_heap_update(rel, old, tup); \
		*(which) = HeapTupleIsHeapOnly(tup) ? TU_None : TU_All; \
	} while (0)
#define prov_index_summarizing(info) false
#endif

/* A specifier in front of the declaration (18). */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#endif							/* PROVENANCE_COMPAT_H */
