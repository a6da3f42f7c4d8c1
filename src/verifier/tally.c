/*
 * tally.c: what a bundle holds, counted while it is read.
 *
 * Names are looked up once for each shape, not for each entry: the columns of
 * most entries are those of their shape, in order.
 */
#include "verifier/tally.h"

#include <string.h>

void
tally_reset(Tally *t)
{
	memset(t, 0, sizeof(*t));
}

/* Number of a name, a new one if need be. */
static uint16_t
find_name(Tally *t, pv_name name)
{
	uint64_t	hash = 0xCBF29CE484222325;	/* FNV-1a */
	TallyName  *n;
	unsigned	i;

	for (unsigned k = 0; k < name.len; k++)
		hash = (hash ^ (uint8_t) name.s[k]) * 0x100000001B3;
	for (i = (unsigned) (hash >> 32) & (TALLY_SLOTS - 1); t->slots[i] != 0; i = (i + 1) & (TALLY_SLOTS - 1))
	{
		n = &t->names[t->slots[i] - 1];
		if (n->len == name.len && memcmp(n->name, name.s, name.len) == 0)
			return (uint16_t) (t->slots[i] - 1);
	}
	if (t->nnames == TALLY_NAMES)
		return TALLY_NAMES;
	n = &t->names[t->nnames];
	n->len = name.len;
	memcpy(n->name, name.s, name.len);
	t->slots[i] = (uint16_t) ++t->nnames;
	return (uint16_t) (t->nnames - 1);
}

static void
tally_entry(Tally *t, const pv_bundle_reader *r)
{
	const pv_bundle_entry *e = &r->entry;
	bool		columns = e->leaf.op == PV_OP_INSERT || e->leaf.op == PV_OP_UPDATE || e->leaf.op == PV_OP_BASELINE;

	if (t->entries == 0 || e->leaf.time_us < t->first_time)
		t->first_time = e->leaf.time_us;
	if (t->entries == 0 || e->leaf.time_us > t->last_time)
		t->last_time = e->leaf.time_us;
	t->entries++;
	t->ops[e->leaf.op]++;
	t->pseudonyms += e->has_pseudonym;
	if (e->erased)
	{
		t->erased++;
		return;
	}
	if (e->context_given)
	{
		t->contexts_given++;
		for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
			t->context[i] += t->context_fields[e->context_slot][i];
	}
	if (columns && !t->known[e->shape_slot])
	{
		for (size_t i = 0; i < e->nfields; i++)
			t->columns[e->shape_slot][i] = find_name(t, e->fields[i].name);
		t->known[e->shape_slot] = true;
	}
	for (size_t i = 0; i < e->nfields; i++)
	{
		TallyName  *n = &t->names[columns ? t->columns[e->shape_slot][i] : find_name(t, e->fields[i].name)];

		if (e->fields[i].withheld)
			n->withheld++;
		else
			n->disclosed++;
	}
}

void
tally_line(Tally *t, const pv_bundle_reader *r)
{
	switch (r->kind)
	{
		case PV_BUNDLE_SHAPE:
			t->known[r->slot] = false;
			break;
		case PV_BUNDLE_CONTEXT:
			for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
				t->context_fields[r->slot][i] = !r->context[i].withheld;
			break;
		case PV_BUNDLE_ENTRY:
			tally_entry(t, r);
			break;
		case PV_BUNDLE_COUNTERSIGNATURE:
			t->countersignatures++;
			break;
		default:
			break;
	}
}
