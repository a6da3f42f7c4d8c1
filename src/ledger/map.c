/*-------------------------------------------------------------------------
 *
 * map.c
 *	  The packed maps of leaf_run and seq_block.
 *
 * Both say, in a few bytes per leaf, which entry stands where. leaf_run maps a
 * leaf to its entry, predecessor and table, seq_block a seq to its leaf. A
 * leaf's seq and transaction are near those of the leaf before, so differences
 * are kept (zigzag, as they may be negative), in varints of base 128; what is
 * nearly always the same (the next seq; rows changed again in the same order;
 * the table) is a bit in the first byte. log.h has the format.
 *
 * Decoding trusts nothing: lengths and range are checked, and that this is how
 * the content would have been encoded. A map that breaks a rule is refused as
 * a whole.
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

/* v, and below it nbits bits of flags: a varint that may have more than 64 bits */
static void
put_flagged(MapWriter *w, int nbits, uint8 flags, uint64 v)
{
	uint64		rest = v >> (7 - nbits);

	put_byte(w, (uint8) (flags | (v << nbits & 0x7F) | (rest != 0 ? 0x80 : 0)));
	if (rest != 0)
		put_varint(w, rest);
}

/* a - b modulo 2^64, small in absolute value more often than not */
static uint64
difference(uint64 a, uint64 b)
{
	uint64		d = a - b;

	return (d << 1) ^ ((d >> 63) ? PG_UINT64_MAX : 0);
}

/* What difference() made of a and base, back to a. */
static uint64
add_difference(uint64 base, uint64 z)
{
	return base + ((z >> 1) ^ ((z & 1) ? PG_UINT64_MAX : 0));
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
get_flagged(MapReader *r, int nbits, uint8 *flags)
{
	uint8		b = get_byte(r);
	uint64		rest;

	*flags = b & ((1 << nbits) - 1);
	if (b < 0x80)
		return b >> nbits;
	rest = get_varint(r);
	if (rest == 0 || rest > PG_UINT64_MAX >> (7 - nbits))
		r->bad = true;
	return rest << (7 - nbits) | (b & 0x7F) >> nbits;
}

/* ---- leaf_run ---- */

#define RUN_OTHER_SEQ 1
#define RUN_OTHER_DISTANCE 2
#define RUN_OTHER_TABLE 4
#define RUN_FLAGS 3				/* bits */

static uint64
distance(const ProvLeafRef *ref)
{
	return ref->prev_leaf < 0 ? 0 : (uint64) (ref->leaf - ref->prev_leaf);
}

static void
put_leaf(MapWriter *w, const ProvLeafRef *ref, const ProvLeafRef *before)
{
	uint64		seq = before != NULL ? (uint64) before->seq : 0;
	uint64		xid = before != NULL ? U64FromFullTransactionId(before->xid) : 0;
	uint64		back = before != NULL ? distance(before) : 0;
	uint64		table = before != NULL ? (uint64) before->table_id : 0;
	bool		other_seq = (uint64) ref->seq != seq + 1;
	bool		other_distance = distance(ref) != back;
	bool		other_table = (uint64) ref->table_id != table;

	put_flagged(w, RUN_FLAGS,
				(other_seq ? RUN_OTHER_SEQ : 0) | (other_distance ? RUN_OTHER_DISTANCE : 0) |
				(other_table ? RUN_OTHER_TABLE : 0),
				difference(U64FromFullTransactionId(ref->xid), xid));
	if (other_seq)
		put_varint(w, difference((uint64) ref->seq, seq));
	if (other_distance)
		put_varint(w, distance(ref));
	if (other_table)
		put_varint(w, difference((uint64) ref->table_id, table));
}

Size
prov_run_encode(const ProvLeafRef *refs, int n, uint8 *map, Size cap)
{
	MapWriter	w = {map, cap, 0};
	int			i;

	for (i = 0; i < n; i++)
		put_leaf(&w, &refs[i], i > 0 ? &refs[i - 1] : NULL);
	return w.len;
}

Size
prov_run_leaf_size(const ProvLeafRef *ref, const ProvLeafRef *before)
{
	uint8		map[PROV_RUN_LEAF_MAX];
	MapWriter	w = {map, sizeof(map), 0};

	put_leaf(&w, ref, before);
	return w.len;
}

bool
prov_run_decode(int64 first_leaf, int n, const uint8 *map, Size len, ProvLeafRef *refs)
{
	MapReader	r = {map, len, 0, false};
	uint64		seq = 0;
	uint64		xid = 0;
	uint64		back = 0;
	uint64		table = 0;
	int			i;

	if (n < 0 || n > PROV_RUN_MAX || first_leaf < 0 || first_leaf > PG_INT64_MAX - n)
		return false;
	for (i = 0; i < n; i++)
	{
		ProvLeafRef *ref = &refs[i];
		uint8		flags;

		xid = add_difference(xid, get_flagged(&r, RUN_FLAGS, &flags));
		if (flags & RUN_OTHER_SEQ)
		{
			uint64		other = add_difference(seq, get_varint(&r));

			if (other == seq + 1)
				return false;
			seq = other;
		}
		else
			seq++;
		if (flags & RUN_OTHER_DISTANCE)
		{
			uint64		other = get_varint(&r);

			if (other == back)
				return false;
			back = other;
		}
		if (flags & RUN_OTHER_TABLE)
		{
			uint64		other = add_difference(table, get_varint(&r));

			if (other == table || (int64) other != (int32) other)
				return false;
			table = other;
		}
		ref->leaf = first_leaf + i;
		if (r.bad || back > (uint64) ref->leaf)
			return false;
		ref->seq = (int64) seq;
		ref->xid = FullTransactionIdFromU64(xid);
		ref->table_id = (int32) table;
		ref->prev_leaf = back == 0 ? -1 : ref->leaf - (int64) back;
	}
	return r.pos == r.len;
}

/* ---- seq_block ---- */

#define BLOCK_SEVERAL 1

Size
prov_block_encode(int64 first_leaf, const int64 *seqs, const int64 *leaves, int n, uint8 *map, Size cap)
{
	MapWriter	w = {map, cap, 0};
	int64		expected = first_leaf;
	int			i;
	int			len;

	for (i = 0; i < n; i += len)
	{
		for (len = 1; i + len < n && seqs[i + len] == seqs[i] + len && leaves[i + len] == leaves[i] + len; len++)
			;
		put_byte(&w, (uint8) (seqs[i] % PROV_BLOCK_SEQS));
		put_flagged(&w, 1, len > 1 ? BLOCK_SEVERAL : 0, difference((uint64) leaves[i], (uint64) expected));
		if (len > 1)
			put_byte(&w, (uint8) (len - 1));
		expected = leaves[i] + len;
	}
	return w.len;
}

bool
prov_block_decode(int64 first_leaf, const uint8 *map, Size len, int64 leaves[PROV_BLOCK_SEQS])
{
	MapReader	r = {map, len, 0, false};
	uint64		expected = (uint64) first_leaf;
	int			next = 0;		/* the least seq that may follow */

	if (first_leaf < 0)
		return false;
	while (r.pos < r.len)
	{
		int			seq = get_byte(&r);
		uint8		several;
		uint64		leaf = add_difference(expected, get_flagged(&r, 1, &several));
		int			more = several ? get_byte(&r) : 0;

		if (r.bad || seq < next || seq + more >= PROV_BLOCK_SEQS || (several && more == 0) ||
			(next > 0 && seq == next && leaf == expected) ||
			(int64) leaf < first_leaf || (int64) leaf > PG_INT64_MAX - PROV_BLOCK_SEQS)
			return false;
		for (; more >= 0; more--)
			leaves[seq++] = (int64) leaf++;
		next = seq;
		expected = leaf;
	}
	return true;
}
