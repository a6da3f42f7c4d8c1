/*
 * bundle_report.c: what is said of a bundle: what is proven, and apart from
 * that what the exporter claims.
 */
#include "verifier/bundle_report.h"

#include <string.h>

#include "verifier/fields.h"

/* "a, b (in 3 of 12)": the fields that are withheld, or those that are not. */
static void
put_tally(const char *label, const Tally *t, bool withheld)
{
	const char *between = "";
	char		count[2][32];

	printf("%s: ", label);
	for (unsigned i = 0; i < t->nnames; i++)
	{
		const TallyName *n = &t->names[i];
		uint64_t	these = withheld ? n->withheld : n->disclosed;
		uint64_t	all = n->withheld + n->disclosed;

		if (these == 0)
			continue;
		fputs(between, stdout);
		put_name(n->name, n->len);
		if (these < all)
			printf(" (in %s of %s)", show_number(these, count[0]), show_number(all, count[1]));
		between = ", ";
	}
	if ((withheld ? t->names[TALLY_NAMES].withheld : t->names[TALLY_NAMES].disclosed) > 0)
		printf("%sand further fields", between);
	puts(*between == '\0' ? "nothing." : ".");
}

static void
put_contexts(const Tally *t)
{
	char		count[2][32];
	const char *between = "";

	if (t->contexts_given == 0)
	{
		puts("Who made them and why is withheld.");
		return;
	}
	fputs("Disclosed of who made them and why: ", stdout);
	for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		if (t->context[i] == 0)
			continue;
		printf("%s%.*s", between, (int) pv_context_names[i].len, pv_context_names[i].s);
		if (t->context[i] < t->entries)
			printf(" (of %s of %s)", show_number(t->context[i], count[0]), show_number(t->entries, count[1]));
		between = ", ";
	}
	puts(".");
}

static void
put_claim(const char *label, const Claim *claim)
{
	if (!claim->given)
		return;
	printf("; %s ", label);
	put_name(claim->text, claim->len);
}

/* Which part of the rows' histories is covered. */
static void
put_coverage(const Bundle *b)
{
	const pv_bundle_header *h = &b->reader->header;
	const Trust *t = &b->c->trust;
	char		count[2][COUNT_MAX];

	fputs("For each row nothing is missing between its first and its last entry here", stdout);
	if (h->since_size > 0)
		printf(", counting from the first %s of the log on", show_count(h->since_size, "entry", "entries", count[0]));
	puts(".");
	if (t->since_given)
		printf("The log extends the kept checkpoint of %s.\n", show_count(t->since.size, "entry", "entries", count[0]));
	if (t->since_given && h->since_size > t->since.size)
		printf("But the bundle counts from a later size than that: what lies between %s and %s is not in it.\n",
			   show_number(t->since.size, count[0]), show_number(h->since_size, count[1]));
}

static void
report_text(const Bundle *b)
{
	const pv_bundle_reader *r = b->reader;
	const Tally *t = &b->tally;
	char		text[SHOW_MAX];
	char		count[COUNT_MAX];
	char		from[TIME_MAX];
	char		to[TIME_MAX];
	const char *between = "";

	printf("%s holds.\n", show(b->file, strlen(b->file), text));
	printf("The log %s had %s when it signed this checkpoint.\n", show(r->header.origin.data, r->header.origin.len, text),
		   show_count(r->checkpoint.size, "entry", "entries", count));
	put_signed(&b->c->trust, &b->by);
	printf("The bundle has %s", show_count(t->entries, "entry", "entries", count));
	if (r->header.schema.data != NULL)
	{
		fputs(" of table ", stdout);
		put_name(r->header.schema.data, r->header.schema.len);
		putchar('.');
		put_name(r->header.table.data, r->header.table.len);
	}
	if (t->entries == 0)
		puts(".");
	else
	{
		printf(", made from %s to %s: ", show_time(t->first_time, false, from), show_time(t->last_time, false, to));
		for (unsigned op = 1; op <= PV_OP_LAST; op++)
		{
			if (t->ops[op] == 0)
				continue;
			printf("%s%s %s", between, show_number(t->ops[op], count), pv_op_name(op));
			between = ", ";
		}
		puts(".");
		put_coverage(b);
		put_tally("Disclosed", t, false);
		put_tally("Withheld", t, true);
		put_contexts(t);
	}
	if (t->erased > 0)
		printf("Erased, and proven to have been there: %s.\n", show_count(t->erased, "entry", "entries", count));
	if (t->countersignatures > 0)
		printf("With %s, which %s good.\n", show_count(t->countersignatures, "countersignature", "countersignatures", count),
			   t->countersignatures == 1 ? "is" : "are");
	printf("Not proven, but said by the exporter: these are %s rows%s", r->header.all_rows ? "all" : "some",
		   t->pseudonyms > 0 ? "; pseudonyms" : "");
	put_claim("recipient", &b->recipient);
	put_claim("purpose", &b->purpose);
	puts(".");
}

static void
json_claim(const char *name, const Claim *claim)
{
	if (claim->given)
		json_text(name, claim->text, claim->len);
	else
		json_null(name);
}

static void
report_json(const Bundle *b)
{
	const pv_bundle_reader *r = b->reader;
	const Tally *t = &b->tally;

	json_head("bundle", b->file, true);
	json_string("format", b->format);
	json_text("origin", r->header.origin.data, r->header.origin.len);
	json_number("size", r->checkpoint.size);
	json_hash("root", &r->checkpoint.root);
	json_signed(&b->c->trust, &b->by);
	if (b->c->trust.since_given)
		json_number("extends", b->c->trust.since.size);
	json_number("since_size", r->header.since_size);
	json_number("table_id", r->header.table_id);
	if (r->header.schema.data != NULL)
	{
		json_text("schema", r->header.schema.data, r->header.schema.len);
		json_text("table", r->header.table.data, r->header.table.len);
	}
	json_number("entries", t->entries);
	if (t->entries > 0)
	{
		json_time("first_time", t->first_time);
		json_time("last_time", t->last_time);
	}
	json_begin("ops", '{');
	for (unsigned op = 1; op <= PV_OP_LAST; op++)
	{
		if (t->ops[op] > 0)
			json_number(pv_op_name(op), t->ops[op]);
	}
	json_end('}');
	json_begin("fields", '[');
	for (unsigned i = 0; i < t->nnames; i++)
	{
		json_begin(NULL, '{');
		json_text("name", t->names[i].name, t->names[i].len);
		json_number("disclosed", t->names[i].disclosed);
		json_number("withheld", t->names[i].withheld);
		json_end('}');
	}
	json_end(']');
	json_number("further_fields", t->names[TALLY_NAMES].disclosed + t->names[TALLY_NAMES].withheld);
	json_begin("context", '{');
	for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
		json_number(pv_context_names[i].s, t->context[i]);
	json_end('}');
	json_number("erased", t->erased);
	json_number("countersignatures", t->countersignatures);
	json_begin("claims", '{');
	json_string("rows", r->header.all_rows ? "all" : "keys");
	json_claim("recipient", &b->recipient);
	json_claim("purpose", &b->purpose);
	json_number("pseudonyms", t->pseudonyms);
	json_end('}');
	json_hash("digest", &b->digest);
	json_end('}');
	json_newline();
}

void
report_bundle(const Bundle *b)
{
	if (b->c->json)
		report_json(b);
	else
		report_text(b);
}

static void
put_entry(const pv_bundle_entry *e)
{
	char		number[32];
	char		time[TIME_MAX];

	printf("Entry %s, %s, made %s in transaction %llu", show_number(e->index, number), pv_op_name(e->leaf.op),
		   show_time(e->leaf.time_us, false, time), (unsigned long long) e->leaf.xid);
	if (e->has_previous)
		printf(", after entry %s", show_number(e->previous, number));
	if (e->context_given)
		printf(", under context %u", e->context_slot);
	puts(e->erased ? ": erased." : ":");
	put_values(e->fields, e->nfields);
}

static void
json_entry(const pv_bundle_entry *e)
{
	json_begin(NULL, '{');
	json_string("type", "entry");
	json_number("leaf_index", e->index);
	json_hash("leaf_hash", &e->leaf_hash);
	json_string("op", pv_op_name(e->leaf.op));
	json_time("time", e->leaf.time_us);
	json_number("xid", e->leaf.xid);
	if (e->has_previous)
		json_number("previous", e->previous);
	else
		json_null("previous");
	if (e->context_given)
		json_number("context", e->context_slot);
	else
		json_null("context");
	json_bool("erased", e->erased);
	json_fields("fields", e->fields, e->nfields, true);
	json_end('}');
	json_newline();
}

static void
put_public_key(const uint8_t *key, bool json)
{
	pv_hash		hash;
	char		hex[2 * PV_HASH_LEN + 1];

	memcpy(hash.b, key, PV_HASH_LEN);
	if (json)
		json_hash("public_key", &hash);
	else
		printf("    countersigned with the key %s\n", show_hash(&hash, hex));
}

void
report_line(const Bundle *b, const pv_bundle_reader *r)
{
	switch (r->kind)
	{
		case PV_BUNDLE_CONTEXT:
			if (b->c->json)
			{
				json_begin(NULL, '{');
				json_string("type", "context");
				json_number("context", r->slot);
				json_fields("fields", r->context, PV_CONTEXT_FIELDS, true);
				json_end('}');
				json_newline();
				break;
			}
			printf("Context %u, from here on:\n", r->slot);
			put_values(r->context, PV_CONTEXT_FIELDS);
			break;
		case PV_BUNDLE_ENTRY:
			if (b->c->json)
				json_entry(&r->entry);
			else
				put_entry(&r->entry);
			break;
		case PV_BUNDLE_COUNTERSIGNATURE:
			if (!b->c->json)
			{
				put_public_key(r->public_key, false);
				break;
			}
			json_begin(NULL, '{');
			json_string("type", "countersignature");
			json_number("leaf_index", r->entry.index);
			put_public_key(r->public_key, true);
			json_end('}');
			json_newline();
			break;
		default:
			break;
	}
}
