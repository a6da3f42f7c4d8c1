/*
 * cli_log.c: makes a small log as files, for tests of who reads them.
 *
 *   cli_log <folder> <size> <variant> <fault> [<index>]
 *
 * writes the folder that export_tiles() would (it must exist), signed with the
 * key of RFC 8032's first test as crm.acme.example and cosigned with that of
 * the second, and with an index beside it <folder>.proof and <folder>.leaf,
 * for that leaf. Of two variants no leaf is the same. Faults, all of them signed:
 *
 *   none
 *   unknown   a leaf names a predecessor that does not exist
 *   used      two leaves name one predecessor
 *   twice     two leaves are equal
 *   self      a leaf names one that comes later
 *   form      a leaf of no known operation
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "leaf.h"
#include "note_util.h"
#include "proof.h"
#include "tile.h"

#define ORIGIN "crm.acme.example"

static const char *folder;
static pv_hasher hasher;
static pv_hash *hashes[3];		/* by tile level */
static uint64_t count[3];
static uint8_t (*leaves)[PV_LEAF_LEN];

static void
put_file(const char *name, const void *data, size_t len)
{
	char		path[4096];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s%s", folder, name);
	for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')) != NULL; p++)
	{
		*p = '\0';
		must(mkdir(path, 0777) == 0 || errno == EEXIST, path);
		*p = '/';
	}
	f = fopen(path, "wb");
	must(f != NULL && fwrite(data, 1, len, f) == len && fclose(f) == 0, path);
}

static pv_status
keep(void *arg, unsigned level, uint64_t index, const pv_hash *hash)
{
	(void) arg;
	must(level < 3, "level");
	hashes[level][index] = *hash;
	count[level] = index + 1;
	return PV_OK;
}

static pv_status
get(void *arg, unsigned level, uint64_t first, unsigned n, pv_hash *out)
{
	(void) arg;
	if (level >= 3 || first + n > count[level])
		return PV_E_STORAGE;
	memcpy(out, hashes[level] + first, n * sizeof(pv_hash));
	return PV_OK;
}

/* Rows in turn: 16 of them, so that each leaf follows the one 16 before. */
static void
make_leaf(uint64_t i, unsigned variant, const char *fault, uint64_t size)
{
	pv_leaf		leaf;

	memset(&leaf, 0, sizeof(leaf));
	leaf.op = (uint8_t) (i < 16 ? PV_OP_INSERT : PV_OP_UPDATE);
	leaf.time_us = 1767225600000000 + (int64_t) i * 1000000;
	leaf.xid = 700 + i / 3;
	leaf.commitment.b[0] = (uint8_t) variant;
	for (int k = 0; k < 8; k++)
		leaf.commitment.b[1 + k] = (uint8_t) (i >> (8 * k));
	if (i >= 16)
		leaf.prev = hashes[0][i - 16];
	if (i == size - 1)
	{
		if (strcmp(fault, "unknown") == 0)
			leaf.prev.b[5] ^= 1;
		if (strcmp(fault, "used") == 0)
			leaf.prev = hashes[0][i - 17];
		if (strcmp(fault, "form") == 0)
			leaf.op = PV_OP_LAST + 1;
	}
	pv_leaf_encode(&leaf, leaves[i]);
	if (i == size - 1 && strcmp(fault, "twice") == 0)
		memcpy(leaves[i], leaves[i - 1], PV_LEAF_LEN);
}

int
main(int argc, char **argv)
{
	uint64_t	size;
	unsigned	variant;
	pv_frontier f;
	pv_tree		tree = {&hasher, get, NULL, NULL};
	pv_hash		root;
	pv_vkey		vkey,
				witness;
	EVP_PKEY   *key,
			   *witness_key;
	uint8_t		note[4096];
	size_t		textlen;
	size_t		notelen;
	pv_buf		b;

	must(argc == 5 || argc == 6, "usage: cli_log <folder> <size> <variant> <fault> [<index>]");
	folder = argv[1];
	size = strtoull(argv[2], NULL, 10);
	variant = (unsigned) atoi(argv[3]);
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	leaves = calloc(size + 1, PV_LEAF_LEN);
	for (int l = 0; l < 3; l++)
		hashes[l] = calloc(size + 1, sizeof(pv_hash));

	pv_frontier_init(&f);
	for (uint64_t i = 0; i < size; i++)
	{
		make_leaf(i, variant, argv[4], size);
		if (i == 20 && strcmp(argv[4], "self") == 0)
		{
			/* leaf 20 is to follow leaf 21, which is made first */
			pv_leaf		leaf;

			make_leaf(21, variant, argv[4], size);
			must(pv_leaf_decode(leaves[20], PV_LEAF_LEN, &leaf) == PV_OK, "leaf");
			must(pv_leaf_hash(&hasher, leaves[21], PV_LEAF_LEN, &leaf.prev) == PV_OK, "leaf hash");
			pv_leaf_encode(&leaf, leaves[20]);
		}
		must(pv_leaf_hash(&hasher, leaves[i], PV_LEAF_LEN, &root) == PV_OK, "leaf hash");
		must(keep(NULL, 0, i, &root) == PV_OK && pv_frontier_append(&f, &hasher, &root, keep, NULL) == PV_OK, "tree");
	}
	must(pv_frontier_root(&f, &hasher, &root) == PV_OK, "root");

	for (int level = -1; level <= 2; level++)
	{
		unsigned	base = level < 0 ? 0 : (unsigned) level;
		uint64_t	full = pv_tile_full(size, base);
		unsigned	partial = pv_tile_partial(size, base);

		for (uint64_t n = 0; n < full + (partial > 0); n++)
		{
			unsigned	width = n < full ? PV_TILE_WIDTH : partial;
			char		name[PV_TILE_PATH_MAX + 1] = "/";
			uint8_t		data[PV_TILE_WIDTH * (2 + PV_LEAF_LEN)];

			must(pv_tile_path(level, n, width, name + 1) == PV_OK, "path");
			pv_buf_init(&b, data, sizeof(data));
			for (uint64_t i = n * PV_TILE_WIDTH; i < n * PV_TILE_WIDTH + width; i++)
			{
				if (level < 0)
				{
					pv_put_u16(&b, PV_LEAF_LEN);
					pv_put_bytes(&b, leaves[i], PV_LEAF_LEN);
				}
				else
					pv_put_bytes(&b, hashes[level][i].b, PV_HASH_LEN);
			}
			put_file(name, data, b.len);
		}
	}

	key = key_from_seed(SEED_1);
	witness_key = key_from_seed(SEED_2);
	vkey_of(&hasher, key, ORIGIN, PV_SIG_ED25519, &vkey);
	vkey_of(&hasher, witness_key, "witness.example", PV_SIG_COSIGNATURE, &witness);
	pv_buf_init(&b, note, sizeof(note));
	pv_put_checkpoint_text(&b, ORIGIN, strlen(ORIGIN), size, &root);
	textlen = b.len;
	pv_put_u8(&b, '\n');
	sign_note(&b, textlen, key, &vkey);
	cosign_note(&b, textlen, witness_key, &witness, 1767225660);
	notelen = b.len;
	put_file("/checkpoint", note, notelen);

	if (argc == 6)
	{
		uint64_t	index = strtoull(argv[5], NULL, 10);
		uint8_t		proof[16384];
		pv_hash		path[PV_MAX_PATH];
		unsigned	n;

		must(pv_tree_inclusion(&tree, index, size, path, &n) == PV_OK, "inclusion");
		pv_buf_init(&b, proof, sizeof(proof));
		pv_put_proof(&b, index, path, n, note, notelen);
		put_file(".proof", proof, b.len);
		put_file(".leaf", leaves[index], PV_LEAF_LEN);
	}
	EVP_PKEY_free(key);
	EVP_PKEY_free(witness_key);
	for (int l = 0; l < 3; l++)
		free(hashes[l]);
	free(leaves);
	pv_hasher_free(&hasher);
	return 0;
}
