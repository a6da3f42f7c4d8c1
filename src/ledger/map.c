/*-------------------------------------------------------------------------
 *
 * map.c
 *	  The packed maps of leaf_run and seq_block.
 *
 * Both say, in a few bytes per leaf, which entry stands where: a leaf's seq
 * and transaction are near those of the leaf before, so differences are kept
 * (zigzag, as they may be negative), in varints of base 128. leaf_run maps a
 * leaf to its entry and predecessor, seq_block a seq to its leaf.
 *
 * Decoding trusts nothing: lengths, shortest form and range are checked, and a
 * map that breaks a rule is refused as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "ledger/log.h"

typedef struct MapWriter
{
	uint8	   *data;
	Size		cap;
	Size		len;
} MapWriter;

typedef struct MapReader
{
	const uint8 *data;
	Size		len;
	Size		pos;
	bool		bad;
} MapReader;

static void
put_byte(MapWriter *w, uint8 b)
{
	if (w->len >= w->cap)
		elog(ERROR, "packed map exceeds %zu bytes", w->cap);
	w->data[w->len++] = b;
}

static void
put_varint(MapWriter *w, uint64 v)
{
	while (v >= 0x80)
	{
		put_byte(w, (uint8) (v | 0x80));
		v >>= 7;
	}
	put_byte(w, (uint8) v);
}

/* a - b modulo 2^64, small in absolute value more often than not */
static void
put_difference(MapWriter *w, uint64 a, uint64 b)
{
	uint64		d = a - b;

	put_varint(w, (d << 1) ^ ((d >> 63) ? PG_UINT64_MAX : 0));
}

static uint8
get_byte(MapReader *r)
{
	if (r->pos >= r->len)
	{
		r->bad = true;
		return 0;
	}
	return r->data[r->pos++];
}

static uint64
get_varint(MapReader *r)
{
	uint64		v = 0;
	int			shift;

	for (shift = 0; shift < 64; shift += 7)
	{
		uint8		b = get_byte(r);

		/* the tenth byte has room for one bit */
		if (shift == 63 && b > 1)
			break;
		v |= (uint64) (b & 0x7F) << shift;
		if (b < 0x80)
		{
			if (b == 0 && shift > 0)
				break;			/* not the shortest form */
			return v;
		}
	}
	r->bad = true;
	return 0;
}

static uint64
get_difference(MapReader *r, uint64 base)
{
	uint64		z = get_varint(r);

	return base + ((z >> 1) ^ ((z & 1) ? PG_UINT64_MAX : 0));
}

Size
prov_run_encode(const ProvLeafRef *refs, int n, uint8 *map, Size cap)
{
	MapWriter	w = {map, cap, 0};
	uint64		seq = 0;
	uint64		xid = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		put_difference(&w, (uint64) refs[i].seq, seq);
		put_difference(&w, U64FromFullTransactionId(refs[i].xid), xid);
		put_varint(&w, refs[i].prev_leaf < 0 ? 0 : (uint64) (refs[i].leaf - refs[i].prev_leaf));
		seq = (uint64) refs[i].seq;
		xid = U64FromFullTransactionId(refs[i].xid);
	}
	return w.len;
}

bool
prov_run_decode(int64 first_leaf, int n, const uint8 *map, Size len, ProvLeafRef *refs)
{
	MapReader	r = {map, len, 0, false};
	uint64		seq = 0;
	uint64		xid = 0;
	int			i;

	if (n < 0 || n > PROV_RUN_MAX || first_leaf < 0 || first_leaf > PG_INT64_MAX - n)
		return false;
	for (i = 0; i < n; i++)
	{
		ProvLeafRef *ref = &refs[i];
		uint64		back;

		seq = get_difference(&r, seq);
		xid = get_difference(&r, xid);
		back = get_varint(&r);
		ref->leaf = first_leaf + i;
		if (r.bad || back > (uint64) ref->leaf)
			return false;
		ref->seq = (int64) seq;
		ref->xid = FullTransactionIdFromU64(xid);
		ref->prev_leaf = back == 0 ? -1 : ref->leaf - (int64) back;
	}
	return r.pos == r.len;
}

Size
prov_block_encode(int64 first_leaf, const int64 *seqs, const int64 *leaves, int n, uint8 *map, Size cap)
{
	MapWriter	w = {map, cap, 0};
	uint64		leaf = (uint64) first_leaf;
	int			i;

	for (i = 0; i < n; i++)
	{
		put_byte(&w, (uint8) (seqs[i] % PROV_BLOCK_SEQS));
		put_difference(&w, (uint64) leaves[i], leaf);
		leaf = (uint64) leaves[i];
	}
	return w.len;
}

bool
prov_block_decode(int64 first_leaf, const uint8 *map, Size len, int64 leaves[PROV_BLOCK_SEQS])
{
	MapReader	r = {map, len, 0, false};
	uint64		leaf = (uint64) first_leaf;
	int			last = -1;

	while (r.pos < r.len)
	{
		int			seq = get_byte(&r);

		leaf = get_difference(&r, leaf);
		if (r.bad || seq <= last || (int64) leaf < first_leaf)
			return false;
		leaves[seq] = (int64) leaf;
		last = seq;
	}
	return true;
}
