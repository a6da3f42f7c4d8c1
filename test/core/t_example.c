/*
 * t_example.c: the worked example of doc/format.md, recomputed from its inputs
 * by the core. worked_example.t compares the same block with the independent
 * program that printed it.
 */
#include "harness.h"
#include "leaf.h"
#include "shape.h"

#define MAX_ENTRIES 200

/* The block: labels and values, long values joined. */
static struct
{
	char		label[64];
	char		value[1000];
}			entries[MAX_ENTRIES];
static int	nentries;

static void
read_block(void)
{
	const char *top = getenv("TOP");
	char		path[1000];
	char		line[1000];
	bool		inside = false;
	FILE	   *f;

	snprintf(path, sizeof path, "%s/doc/format.md", top != NULL ? top : "../..");
	f = fopen(path, "r");
	CHECK(f != NULL);
	if (f == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL && strcmp(line, "## Worked example\n") != 0)
		;
	while (fgets(line, sizeof line, f) != NULL)
	{
		char	   *colon;

		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "```", 3) == 0)
		{
			if (inside)
				break;
			inside = true;
			continue;
		}
		if (!inside || line[0] == 0)
			continue;
		if (line[0] == ' ' && nentries > 0)
		{
			char	   *value = entries[nentries - 1].value;

			snprintf(value + strlen(value), sizeof entries[0].value - strlen(value), "%s", line + 2);
			continue;
		}
		colon = strchr(line, ':');
		if (colon == NULL || nentries == MAX_ENTRIES)
		{
			CHECK(!"malformed line in the block");
			break;
		}
		*colon = 0;
		snprintf(entries[nentries].label, sizeof entries[0].label, "%.60s", line);
		snprintf(entries[nentries++].value, sizeof entries[0].value, "%s", colon[1] == ' ' ? colon + 2 : "");
	}
	fclose(f);
}

/* The value of a label, i (unless negative) and suffix. NULL if there is none. */
static const char *
find(const char *label, int i, const char *suffix)
{
	char		wanted[64];

	if (i >= 0)
		snprintf(wanted, sizeof wanted, "%s %d%s", label, i, suffix);
	else
		snprintf(wanted, sizeof wanted, "%s%s", label, suffix);
	for (int k = 0; k < nentries; k++)
		if (strcmp(entries[k].label, wanted) == 0)
			return entries[k].value;
	return NULL;
}

static const char *
need(const char *label, int i, const char *suffix)
{
	const char *value = find(label, i, suffix);

	if (value == NULL)
		printf("# no \"%s\" %d \"%s\" in the example\n", label, i, suffix);
	CHECK(value != NULL);
	return value != NULL ? value : "";
}

static pv_name
name_of(const char *label, int i, const char *suffix)
{
	const char *s = need(label, i, suffix);

	return (pv_name) {s, (uint16_t) strlen(s)};
}

static pv_value
value_of(const char *label, int i)
{
	const char *s = need(label, i, "");

	if (strcmp(s, "NULL") == 0)
		return (pv_value) {NULL, 0};
	return (pv_value) {(const uint8_t *) s, (uint32_t) strlen(s)};
}

static uint64_t
number(const char *label, int i, const char *suffix)
{
	const char *s = need(label, i, suffix);
	uint64_t	v = 0;

	CHECK(pv_parse_decimal(s, strlen(s), UINT64_MAX, &v) == PV_OK);
	return v;
}

static void
bytes_of(const char *label, uint8_t *out, size_t len)
{
	const char *s = need(label, -1, "");

	CHECK(pv_hex_decode(s, strlen(s), out, len) == PV_OK);
}

static bool
shown(const char *label, int i, const char *suffix, const void *data, size_t len)
{
	char		hex[1000];
	const char *s = need(label, i, suffix);
	pv_buf		b;

	pv_buf_init(&b, hex, sizeof hex);
	pv_put_hex(&b, data, len);
	return pv_buf_status(&b) == PV_OK && strlen(s) == b.len && memcmp(s, hex, b.len) == 0;
}

int
main(void)
{
	pv_hasher	h;
	pv_salter	salter;
	pv_column	columns[16];
	pv_shape	shape;
	pv_name		names[16];
	pv_value	values[16];
	uint8_t		mem[1000];
	uint8_t		seed[PV_SEED_LEN],
				salts[17 * PV_SALT_LEN],
				row_key[PV_ROW_KEY_LEN],
				row_id[PV_ROW_ID_LEN];
	pv_hash		shape_digest,
				context,
				digests[17],
				out;
	pv_leaf		leaf;
	pv_buf		b;
	size_t		n = 0;

	CASE("shape");
	CHECK(pv_hasher_init(&h) == PV_OK && pv_salter_init(&salter) == PV_OK);
	read_block();
	shape = (pv_shape) {name_of("origin", -1, ""), (uint32_t) number("table id", -1, ""), name_of("schema", -1, ""),
	name_of("table", -1, ""), 0, 0, columns};
	for (; n < 16 && find("column", (int) n, " name") != NULL; n++)
	{
		columns[n] = (pv_column) {name_of("column", (int) n, " name"), name_of("column", (int) n, " type"),
		(uint16_t) number("column", (int) n, " key position")};
		shape.nkeys += columns[n].key_pos > 0;
	}
	CHECK(n > 2);
	shape.ncolumns = (uint16_t) n;
	pv_buf_init(&b, mem, sizeof mem);
	CHECK(pv_shape_encode(&shape, &b) == PV_OK && shown("shape bytes", -1, "", mem, b.len));
	CHECK(pv_shape_digest(&h, mem, b.len, &shape_digest) == PV_OK);
	CHECK(shown("shape digest", -1, "", shape_digest.b, PV_HASH_LEN));

	CASE("context");
	bytes_of("context seed", seed, sizeof seed);
	CHECK(pv_salts(&salter, seed, PV_CONTEXT_FIELDS, salts) == PV_OK);
	for (int i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		char		label[64];

		snprintf(label, sizeof label, "context %.*s", pv_context_names[i].len, pv_context_names[i].s);
		values[i] = value_of(label, -1);
		CHECK(shown(label, -1, " salt", salts + i * PV_SALT_LEN, PV_SALT_LEN));
		CHECK(pv_field_digest(&h, PV_DOMAIN_CONTEXT_FIELD, salts + i * PV_SALT_LEN, pv_context_names[i], values[i],
							  &out) == PV_OK);
		CHECK(shown(label, -1, " digest", out.b, PV_HASH_LEN));
	}
	pv_buf_init(&b, mem, sizeof mem);
	pv_put_values(&b, values, PV_CONTEXT_FIELDS);
	CHECK(shown("context stored", -1, "", mem, b.len));
	CHECK(pv_commit_context(&h, &salter, seed, pv_context_names, values, PV_CONTEXT_FIELDS, &context) == PV_OK);
	CHECK(shown("context commitment", -1, "", context.b, PV_HASH_LEN));

	CASE("record");
	bytes_of("seed", seed, sizeof seed);
	for (size_t i = 0; i < n; i++)
	{
		names[i] = columns[i].name;
		values[i] = value_of("value", (int) i);
	}
	leaf.op = (uint8_t) number("operation", -1, "");
	CHECK(leaf.op == PV_OP_INSERT);
	CHECK(pv_commit_record(&h, &salter, &shape_digest, &context, seed, names, values, n, salts, digests,
						   &leaf.commitment) == PV_OK);
	for (size_t i = 0; i <= n; i++)
	{
		CHECK(shown("salt", (int) i, "", salts + i * PV_SALT_LEN, PV_SALT_LEN));
		CHECK(shown("digest", (int) i, "", digests[i].b, PV_HASH_LEN));
	}
	pv_buf_init(&b, mem, sizeof mem);
	pv_put_values(&b, values, n);
	CHECK(shown("image stored", -1, "", mem, b.len));
	CHECK(shown("record commitment", -1, "", leaf.commitment.b, PV_HASH_LEN));

	CASE("leaf and row identity");
	leaf.time_us = (int64_t) number("time", -1, "");
	leaf.xid = number("transaction id", -1, "");
	bytes_of("previous", leaf.prev.b, PV_HASH_LEN);
	pv_leaf_encode(&leaf, mem);
	CHECK(shown("leaf", -1, "", mem, PV_LEAF_LEN));
	CHECK(pv_leaf_hash(&h, mem, PV_LEAF_LEN, &out) == PV_OK && shown("leaf hash", -1, "", out.b, PV_HASH_LEN));
	bytes_of("row key", row_key, sizeof row_key);
	CHECK(pv_row_identity(&h, row_key, shape.table_id, values, 1, row_id) == PV_OK);
	CHECK(shown("row identity", -1, "", row_id, sizeof row_id));
	pv_salter_free(&salter);
	pv_hasher_free(&h);
	return harness_end();
}
