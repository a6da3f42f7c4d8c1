/*
 * sample.c: verification under a time budget.
 *
 * Pieces (pieces.h) of each kind are drawn at random, in turns and none of them
 * twice, until the time is used or all are done. Leaves and rows of tables have
 * two turns of three, since most is in them. Names, triggers and shapes of all
 * tagged tables are looked at first, whatever the budget.
 *
 * A piece is left in the middle when the time is over, and the walk along a long
 * row chain too; it counts as done. A NOTICE says what share was covered.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "verify/pieces.h"

/* Numbers 0 .. n-1 in an order that looks random, without memory. */
typedef struct Draw
{
	int64		n;
	int64		done;
	int64		next;
	int64		stride;			/* prime to n */
} Draw;

static int64
greatest_divisor(int64 a, int64 b)
{
	while (b != 0)
	{
		int64		t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static void
draw_begin(Draw *d, int64 n)
{
	memset(d, 0, sizeof(*d));
	d->n = n;
	if (n <= 0)
		return;
	d->next = (int64) pg_prng_uint64_range(&pg_global_prng_state, 0, (uint64) n - 1);
	do
		d->stride = (int64) pg_prng_uint64_range(&pg_global_prng_state, 1, (uint64) n);
	while (greatest_divisor(n, d->stride) != 1);
}

static bool
draw(Draw *d, int64 *number)
{
	if (d->done >= d->n)
		return false;
	*number = d->next;
	d->next = (int64) (((uint64) d->next + (uint64) d->stride) % (uint64) d->n);
	d->done++;
	return true;
}


/* Leaves and rows come again after each of the other kinds. */
static const PieceKind turns[] = {
	PIECE_LEAVES, PIECE_ROWS, PIECE_ENTRIES,
	PIECE_LEAVES, PIECE_ROWS, PIECE_HEADS,
	PIECE_LEAVES, PIECE_ROWS, PIECE_CHECKPOINTS,
	PIECE_LEAVES, PIECE_ROWS, PIECE_MERGED,
	PIECE_LEAVES, PIECE_ROWS, PIECE_NODES,
	PIECE_LEAVES, PIECE_ROWS, PIECE_MERGES,
	PIECE_LEAVES, PIECE_ROWS, PIECE_COSIGNATURES,
	PIECE_LEAVES, PIECE_ROWS, PIECE_COUNTERSIGNATURES,
};

/* "12 of 30 tiles of leaves (40 %), …" of all kinds that there are. */
static char *
coverage(const Draw *draws, const Pieces *p)
{
	StringInfoData s;
	int			kind;

	initStringInfo(&s);
	for (kind = 0; kind < PIECE_KINDS; kind++)
		if (p->count[kind] > 0)
			appendStringInfo(&s, "%s" INT64_FORMAT " of " INT64_FORMAT " %s (%d %%)", s.len == 0 ? "" : ", ",
							 draws[kind].done, p->count[kind], piece_name(kind),
							 (int) (draws[kind].done * 100.0 / p->count[kind]));
	return s.len == 0 ? "nothing, because there is nothing" : s.data;
}

void
verify_sample(Verify *v, int64 since_size, int64 budget_ms)
{
	Pieces		pieces;
	Draw		draws[PIECE_KINDS];
	MemoryContext cxt = piece_context(v->cxt);
	MemoryContext old;
	int64		done = 0;
	int			left = 0;		/* kinds that are not through */
	int			i;

	v->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), budget_ms);
	pieces_begin(&pieces, v, since_size);
	pieces_open_tables(&pieces);
	for (i = 0; i < PIECE_KINDS; i++)
	{
		draw_begin(&draws[i], i == PIECE_ROWS && !pieces.rows ? 0 : pieces.count[i]);
		left += draws[i].n > 0;
	}

	verify_progress_begin(v, "pieces of a sample", 0);
	old = MemoryContextSwitchTo(cxt);
	for (i = 0; left > 0 && GetCurrentTimestamp() < v->deadline; i = (i + 1) % (int) lengthof(turns))
	{
		PieceKind	kind = turns[i];
		int64		n;

		if (!draw(&draws[kind], &n))
			continue;
		piece_check(&pieces, kind, n);
		MemoryContextReset(cxt);
		if (draws[kind].done == draws[kind].n)
			left--;
		verify_progress(v, ++done);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	pieces_end(&pieces);

	ereport(NOTICE,
			(errmsg("verified a sample: %s", coverage(draws, &pieces)),
			 !pieces.rows ? errdetail("Rows were left out, because too many entries wait for the sealer.") :
			 pieces.skip_waiting ? errdetail("Rows with entries that wait for the sealer were left out.") : 0));
}
