/*
 * oracle.h: what the tree must be, for the tests of merkle.h.
 *
 * The recursions of RFC 6962, section 2.1, and of RFC 9162, sections 2.1.3.1
 * and 2.1.4.1, written down as they stand there, without tiles; and a storage
 * in memory that notices a read that the contract of pv_read_hashes forbids.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merkle.h"

static pv_hasher hasher;

static const pv_hash *leaves;	/* the leaf hashes of the tree under test */
static const pv_hash *blocks;	/* NULL, or known roots of each 256 leaves */

/* Stored tile levels. */
typedef struct store
{
	uint64_t	size;
	pv_hash    *level[3];
	uint64_t	count[3];
	long		reads;			/* calls of the callback */
	long		bad_reads;		/* calls that ask for what is not there */
	bool		fail;
} store;

static pv_status
store_read(void *arg, unsigned level, uint64_t first, unsigned count, pv_hash *out)
{
	store	   *s = arg;

	s->reads++;
	if (s->fail)
		return PV_E_STORAGE;
	if (level > 2 || count < 1 || count > 256 || first / 256 != (first + count - 1) / 256 ||
		first + count > (s->size >> (8 * level)) || first + count > s->count[level])
	{
		s->bad_reads++;
		return PV_E_STORAGE;
	}
	memcpy(out, s->level[level] + first, count * sizeof(pv_hash));
	return PV_OK;
}

static uint64_t
split(uint64_t n)
{
	uint64_t	k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

static pv_hash
mth(uint64_t lo, uint64_t hi)
{
	pv_hash		left;
	pv_hash		right;
	uint64_t	k;

	if (lo == hi)
		return pv_empty_root;
	if (hi - lo == 1)
		return leaves[lo];
	if (blocks != NULL && hi - lo == 256 && lo % 256 == 0)
		return blocks[lo / 256];
	k = split(hi - lo);
	left = mth(lo, lo + k);
	right = mth(lo + k, hi);
	if (pv_node_hash(&hasher, &left, &right, &left) != PV_OK)
		abort();
	return left;
}

/* shape[i] is 'L' if path[i] is a left sibling, else 'R'. */
static unsigned
naive_path(uint64_t m, uint64_t lo, uint64_t hi, pv_hash *path, char *shape)
{
	uint64_t	k;
	unsigned	n;

	if (hi - lo == 1)
		return 0;
	k = split(hi - lo);
	if (m < k)
	{
		n = naive_path(m, lo, lo + k, path, shape);
		if (path != NULL)
			path[n] = mth(lo + k, hi);
		shape[n++] = 'R';
	}
	else
	{
		n = naive_path(m - k, lo + k, hi, path, shape);
		if (path != NULL)
			path[n] = mth(lo, lo + k);
		shape[n++] = 'L';
	}
	shape[n] = '\0';
	return n;
}

static unsigned
naive_subproof(uint64_t m, uint64_t lo, uint64_t hi, bool whole, pv_hash *path)
{
	uint64_t	k;
	unsigned	n;

	if (m == hi - lo)
	{
		if (whole)
			return 0;
		path[0] = mth(lo, hi);
		return 1;
	}
	k = split(hi - lo);
	if (m <= k)
	{
		n = naive_subproof(m, lo, lo + k, whole, path);
		path[n++] = mth(lo + k, hi);
	}
	else
	{
		n = naive_subproof(m - k, lo + k, hi, false, path);
		path[n++] = mth(lo, lo + k);
	}
	return n;
}

static pv_hash
hash_leaf(const char *kind, unsigned i)
{
	pv_hash		h;
	char		buf[16];
	int			len;

	if (strcmp(kind, "byte") == 0)
	{
		buf[0] = (char) i;
		len = 1;
	}
	else
		len = snprintf(buf, sizeof buf, "%u", i);
	if (pv_leaf_hash(&hasher, buf, (size_t) len, &h) != PV_OK)
		abort();
	return h;
}

static bool
same_path(const pv_hash *a, unsigned na, const pv_hash *b, unsigned nb)
{
	return na == nb && (na == 0 || memcmp(a, b, na * sizeof *a) == 0);
}

#endif							/* ORACLE_H */
