/*
 * tiles.c: `tiles`: a whole log as files, as export_tiles() writes it.
 *
 * Every tile and the root are computed from the leaves in tile/entries, and
 * compared; every leaf's form is checked; every predecessor that a leaf names
 * must be an earlier leaf, and none that of two. Memory: a tile of each level,
 * and what chain.h says; a log of more than 4 million leaves is read again for
 * each 4 million, the whole check with it, so that a folder that changes
 * meanwhile cannot pass.
 */
#include "verifier/command.h"

#include <stdlib.h>
#include <string.h>

#include "verifier/chain.h"
#include "verifier/input.h"
#include "verifier/tiles.h"

typedef struct Run
{
	Command    *c;
	const char *dir;
	pv_checkpoint cp;
	Signed		by;
	Chain		chain;
	Fault		fault;
	/* of a pass */
	pv_frontier tree;
	pv_hash		tile[PV_TILE_MAX_LEVEL + 1][PV_TILE_WIDTH];
	bool		since_seen;
	uint64_t	ops[PV_OP_LAST + 1];
	int64_t		first_time;
	int64_t		last_time;
} Run;

/* The file of a tile whose hashes are there. */
static Verdict
check_tile(Run *r, unsigned level, uint64_t index, unsigned width)
{
	static uint8_t data[TILE_FILE_MAX];
	char		name[PV_TILE_PATH_MAX];

	if (pv_tile_path((int) level, index, width, name) != PV_OK)
		return fault_set(&r->fault, VERDICT_FAILS, "there is no such tile");
	if (tile_read(r->dir, name, width * PV_HASH_LEN, data, &r->fault) != VERDICT_HOLDS)
		return r->fault.verdict;
	for (unsigned i = 0; i < width; i++)
	{
		if (memcmp(data + i * PV_HASH_LEN, r->tile[level][i].b, PV_HASH_LEN) != 0)
			return fault_set(&r->fault, VERDICT_FAILS, "hash %u of %s is not what the leaves give", i, name);
	}
	return VERDICT_HOLDS;
}

/* A hash of a tile level is complete. */
static pv_status
put_hash(void *arg, unsigned level, uint64_t index, const pv_hash *hash)
{
	Run		   *r = arg;

	if (level > PV_TILE_MAX_LEVEL)
		return PV_OK;
	r->tile[level][index % PV_TILE_WIDTH] = *hash;
	if (index % PV_TILE_WIDTH != PV_TILE_WIDTH - 1)
		return PV_OK;
	return check_tile(r, level, index / PV_TILE_WIDTH, PV_TILE_WIDTH) == VERDICT_HOLDS ? PV_OK : PV_E_STORAGE;
}

static Verdict
check_chain(Run *r, uint64_t index, const pv_hash *hash, const pv_leaf *leaf)
{
	const char *what;

	switch (chain_leaf(&r->chain, hash, pv_hash_is_zero(&leaf->prev) ? NULL : &leaf->prev))
	{
		case CHAIN_OK:
			return VERDICT_HOLDS;
		case CHAIN_UNKNOWN:
			what = "names a predecessor that is no earlier leaf";
			break;
		case CHAIN_USED:
			what = "names a predecessor that another leaf has named: a row's history splits";
			break;
		case CHAIN_TWICE:
			what = "is the copy of an earlier one";
			break;
		default:
			return fault_set(&r->fault, VERDICT_UNREADABLE, "out of memory");
	}
	return fault_set(&r->fault, VERDICT_FAILS, "leaf %llu %s", (unsigned long long) index, what);
}

static Verdict
check_since(Run *r)
{
	const pv_checkpoint *since = &r->c->trust.since;
	pv_hash		root;

	if (!r->c->trust.since_given || r->since_seen || r->tree.size != since->size)
		return VERDICT_HOLDS;
	r->since_seen = true;
	if (pv_frontier_root(&r->tree, &r->c->trust.hasher, &root) != PV_OK)
		return fault_set(&r->fault, VERDICT_UNREADABLE, "%s", pv_status_text(PV_E_CRYPTO));
	if (!pv_hash_equal(&root, &since->root))
		return fault_set(&r->fault, VERDICT_FAILS,
						 "the log does not extend the kept checkpoint of size %llu: its past was rewritten",
						 (unsigned long long) since->size);
	return VERDICT_HOLDS;
}

static Verdict
check_leaf(Run *r, const char *name, const uint8_t *data)
{
	Trust	   *t = &r->c->trust;
	uint64_t	index = r->tree.size;
	pv_hash		hash;
	pv_leaf		leaf;
	pv_status	status;

	if (data[0] != 0 || data[1] != PV_LEAF_LEN)
		return fault_set(&r->fault, VERDICT_FAILS, "leaf %llu in %s has not %d bytes", (unsigned long long) index, name,
						 PV_LEAF_LEN);
	if ((status = pv_leaf_decode(data + 2, PV_LEAF_LEN, &leaf)) != PV_OK)
		return fault_set(&r->fault, VERDICT_FAILS, "leaf %llu in %s: %s", (unsigned long long) index, name,
						 pv_status_text(status));
	if ((status = pv_leaf_hash(&t->hasher, data + 2, PV_LEAF_LEN, &hash)) != PV_OK)
		return fault_set(&r->fault, VERDICT_UNREADABLE, "%s", pv_status_text(status));
	if (check_chain(r, index, &hash, &leaf) != VERDICT_HOLDS)
		return r->fault.verdict;
	if (put_hash(r, 0, index, &hash) != PV_OK)
		return r->fault.verdict;
	status = pv_frontier_append(&r->tree, &t->hasher, &hash, put_hash, r);
	if (status == PV_E_STORAGE)
		return r->fault.verdict;
	if (status != PV_OK)
		return fault_set(&r->fault, VERDICT_UNREADABLE, "%s", pv_status_text(status));
	r->ops[leaf.op]++;
	if (index == 0 || leaf.time_us < r->first_time)
		r->first_time = leaf.time_us;
	if (index == 0 || leaf.time_us > r->last_time)
		r->last_time = leaf.time_us;
	return check_since(r);
}

/* Everything, once, with the part of the chain that falls to this pass. */
static Verdict
check_all(Run *r, uint64_t pass)
{
	static uint8_t data[TILE_FILE_MAX];
	uint64_t	full = pv_tile_full(r->cp.size, 0);
	unsigned	partial = pv_tile_partial(r->cp.size, 0);
	pv_hash		root;

	pv_frontier_init(&r->tree);
	memset(r->ops, 0, sizeof(r->ops));
	r->since_seen = false;
	chain_start(&r->chain, pass);
	if (check_since(r) != VERDICT_HOLDS)
		return r->fault.verdict;
	for (uint64_t i = 0; i < full + (partial > 0 ? 1 : 0); i++)
	{
		unsigned	width = i < full ? PV_TILE_WIDTH : partial;
		char		name[PV_TILE_PATH_MAX];

		if (pv_tile_path(TILE_ENTRIES, i, width, name) != PV_OK)
			return fault_set(&r->fault, VERDICT_FAILS, "there is no such tile");
		if (tile_read(r->dir, name, width * BUNDLE_STRIDE, data, &r->fault) != VERDICT_HOLDS)
			return r->fault.verdict;
		for (unsigned k = 0; k < width; k++)
		{
			if (check_leaf(r, name, data + k * BUNDLE_STRIDE) != VERDICT_HOLDS)
				return r->fault.verdict;
		}
		progress("leaves", pass * r->cp.size + r->tree.size, r->chain.passes * r->cp.size);
	}
	for (unsigned level = 0; level <= PV_TILE_MAX_LEVEL; level++)
	{
		unsigned	width = pv_tile_partial(r->cp.size, level);

		if (width > 0 && check_tile(r, level, pv_tile_full(r->cp.size, level), width) != VERDICT_HOLDS)
			return r->fault.verdict;
	}
	if (pv_frontier_root(&r->tree, &r->c->trust.hasher, &root) != PV_OK)
		return fault_set(&r->fault, VERDICT_UNREADABLE, "%s", pv_status_text(PV_E_CRYPTO));
	if (!pv_hash_equal(&root, &r->cp.root))
		return fault_set(&r->fault, VERDICT_FAILS, "the leaves do not give the checkpoint's root");
	return VERDICT_HOLDS;
}

static Verdict
check_checkpoint(Run *r, const uint8_t *note, size_t len)
{
	const Trust *t = &r->c->trust;
	pv_status	status = pv_checkpoint_parse(note, len, &r->cp);

	if (status != PV_OK)
		return fault_set(&r->fault, VERDICT_FAILS, "the file checkpoint: %s", pv_status_text(status));
	if (trust_checkpoint(t, &r->cp, &r->by, &r->fault) != VERDICT_HOLDS || !t->since_given)
		return r->fault.verdict;
	if (t->since.originlen != r->cp.originlen || memcmp(t->since.origin, r->cp.origin, r->cp.originlen) != 0)
		return fault_set(&r->fault, VERDICT_FAILS, "the kept checkpoint is another log's");
	if (t->since.size > r->cp.size)
		return fault_set(&r->fault, VERDICT_FAILS, "it is older than the kept checkpoint: %llu entries instead of %llu",
						 (unsigned long long) r->cp.size, (unsigned long long) t->since.size);
	return VERDICT_HOLDS;
}

static void
report(const Run *r)
{
	const Command *c = r->c;
	char		text[SHOW_MAX];
	char		number[32];
	char		count[COUNT_MAX];
	char		from[TIME_MAX];
	char		to[TIME_MAX];
	const char *between = "";

	if (c->json)
	{
		json_head("tiles", r->dir, true);
		json_text("origin", r->cp.origin, r->cp.originlen);
		json_number("size", r->cp.size);
		json_hash("root", &r->cp.root);
		json_signed(&c->trust, &r->by);
		if (c->trust.since_given)
			json_number("extends", c->trust.since.size);
		if (r->cp.size > 0)
		{
			json_time("first_time", r->first_time);
			json_time("last_time", r->last_time);
		}
		json_begin("ops", '{');
		for (unsigned op = 1; op <= PV_OP_LAST; op++)
		{
			if (r->ops[op] > 0)
				json_number(pv_op_name(op), r->ops[op]);
		}
		json_end('}');
		json_end('}');
		json_newline();
		return;
	}
	printf("%s holds.\n", show(r->dir, strlen(r->dir), text));
	printf("The log %s had %s when it signed this checkpoint.\n", show(r->cp.origin, r->cp.originlen, text),
		   show_count(r->cp.size, "entry", "entries", count));
	put_signed(&c->trust, &r->by);
	if (c->trust.since_given)
		printf("It extends the kept checkpoint of %s.\n", show_count(c->trust.since.size, "entry", "entries", count));
	if (r->cp.size == 0)
		return;
	puts("All leaves are there. They give every tile and the root; each names as its predecessor an earlier leaf that no\n"
		 "other names, or none.");
	printf("They were made from %s to %s: ", show_time(r->first_time, false, from), show_time(r->last_time, false, to));
	for (unsigned op = 1; op <= PV_OP_LAST; op++)
	{
		if (r->ops[op] == 0)
			continue;
		printf("%s%s %s", between, show_number(r->ops[op], number), pv_op_name(op));
		between = ", ";
	}
	puts(".");
}

Verdict
command_tiles(Command *c)
{
	static Run	r;
	char		path[TILE_PATH_LIMIT];
	uint8_t    *note = NULL;
	size_t		len;

	r.c = c;
	r.dir = c->operands[0];
	if (snprintf(path, sizeof(path), "%s/checkpoint", r.dir) >= (int) sizeof(path))
		fault_set(&r.fault, VERDICT_UNREADABLE, "the path is too long");
	else if ((note = read_small(path, PV_CHECKPOINT_MAX_LEN, &len, &r.fault)) == NULL)
	{
		Fault		why = r.fault;

		fault_set(&r.fault, why.verdict, "the file checkpoint: %s", why.text);
	}
	else
		check_checkpoint(&r, note, len);
	if (r.fault.verdict == VERDICT_HOLDS && !chain_init(&r.chain, r.cp.size))
		fault_set(&r.fault, VERDICT_UNREADABLE, "no random numbers");
	for (uint64_t pass = 0; r.fault.verdict == VERDICT_HOLDS && pass < r.chain.passes; pass++)
		check_all(&r, pass);
	if (r.fault.verdict == VERDICT_HOLDS)
		tile_check_others(r.dir, r.cp.size, &r.fault);
	progress_clear();
	if (r.fault.verdict == VERDICT_HOLDS)
		report(&r);
	else
		report_fault(c, "tiles", r.dir, &r.fault);
	chain_free(&r.chain);
	free(note);
	return r.fault.verdict;
}
