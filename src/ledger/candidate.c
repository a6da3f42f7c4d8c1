/*-------------------------------------------------------------------------
 *
 * candidate.c
 *	  Which candidate baselines count, for readers of what is not sealed yet.
 *
 * The sealer knows by its heads. A reader has the stored heads, as of its
 * snapshot, and the unsealed entries, which it meets in the order that the
 * sealer would give them; both together tell it the same. Only rows that have
 * a candidate are kept track of, so that this costs nothing where there are
 * none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

#include "ledger/candidate.h"
#include "ledger/head_block.h"

#define UNSEALED_PLACE (INT64CONST(1) << 62)

typedef struct Row
{
	uint8		row_id[PV_ROW_ID_LEN];	/* hash key */
	int64		last;			/* place of its last entry; -1: none */
} Row;

typedef struct Table
{
	int32		table_id;		/* hash key */
	int64		tagged;
	int64		truncated;
} Table;

struct ProvCandidates
{
	MemoryContext context;
	HTAB	   *rows;			/* NULL: there are no candidates */
	HTAB	   *tables;
	int64		place;			/* of the entry met last */
};

ProvCandidates *
prov_candidates_begin(void)
{
	ProvCandidates *c = palloc0(sizeof(ProvCandidates));

	c->context = CurrentMemoryContext;
	c->place = UNSEALED_PLACE;
	return c;
}

void
prov_candidates_add(ProvCandidates *c, const ProvEntry *entry)
{
	bool		found;
	Row		   *row;
	Table	   *table;

	if (c->rows == NULL)
	{
		HASHCTL		ctl = {.keysize = PV_ROW_ID_LEN, .entrysize = sizeof(Row), .hcxt = c->context};

		c->rows = hash_create("provenance candidates", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		ctl.keysize = sizeof(int32);
		ctl.entrysize = sizeof(Table);
		c->tables = hash_create("provenance candidates' tables", 8, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	row = hash_search(c->rows, entry->row_id, HASH_ENTER, &found);
	row->last = -1;
	table = hash_search(c->tables, &entry->table_id, HASH_ENTER, &found);
	table->tagged = table->truncated = -1;
}

void
prov_candidates_load(ProvCandidates *c, Snapshot snapshot)
{
	HASH_SEQ_STATUS seq;
	Table	   *table;
	Row		   *row;
	HeapTuple	tup;
	ProvHead	head;

	if (c->rows == NULL)
		return;
	hash_seq_init(&seq, c->tables);
	while ((table = hash_seq_search(&seq)) != NULL)
	{
		tup = prov_fetch1(PROV_TABLE_HEAD, Int32GetDatum(table->table_id), snapshot);
		if (!HeapTupleIsValid(tup))
			continue;
		table->tagged = prov_int64(tup, PROV_TABLE_HEAD, A_THEAD_TAGGED);
		table->truncated = prov_int64(tup, PROV_TABLE_HEAD, A_THEAD_TRUNCATED);
		heap_freetuple(tup);
	}
	hash_seq_init(&seq, c->rows);
	while ((row = hash_seq_search(&seq)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (prov_head_fetch(row->row_id, snapshot, &head))
			row->last = head.last_leaf;
	}
}

bool
prov_candidates_pass(ProvCandidates *c, const ProvEntry *entry)
{
	Table	   *table;
	Row		   *row;

	if (c->rows == NULL)
		return true;
	c->place++;
	table = hash_search(c->tables, &entry->table_id, HASH_FIND, NULL);
	if (table == NULL)
		return true;
	if (entry->op == PV_OP_TAG)
		table->tagged = c->place;
	else if (entry->op == PV_OP_TRUNCATE)
		table->truncated = c->place;
	row = hash_search(c->rows, entry->row_id, HASH_FIND, NULL);
	if (row == NULL)
		return true;
	if (PROV_IS_CANDIDATE(entry) && prov_candidate_surplus(row->last, table->tagged, table->truncated))
		return false;
	row->last = c->place;
	return true;
}
