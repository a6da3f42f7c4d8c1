/*
 * cli_sign.c: signs heads of logs, for tests of who reads them.
 *
 *   cli_sign <origin> <size> <root in hexadecimal>
 *
 * prints the checkpoint, signed with the key of RFC 8032's first test and
 * cosigned with that of the second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "note_util.h"

int
main(int argc, char **argv)
{
	uint8_t		note[4096];
	pv_hasher	hasher;
	pv_hash		root;
	pv_vkey		vkey;
	EVP_PKEY   *key = key_from_seed(SEED_1);
	EVP_PKEY   *witness_key = key_from_seed(SEED_2);
	size_t		textlen;
	pv_buf		b;

	must(argc == 4, "usage: cli_sign <origin> <size> <root>");
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	must(pv_hex_decode(argv[3], strlen(argv[3]), root.b, PV_HASH_LEN) == PV_OK, "root");
	pv_buf_init(&b, note, sizeof(note));
	pv_put_checkpoint_text(&b, argv[1], strlen(argv[1]), strtoull(argv[2], NULL, 10), &root);
	textlen = b.len;
	pv_put_u8(&b, '\n');
	vkey_of(&hasher, key, argv[1], PV_SIG_ED25519, &vkey);
	sign_note(&b, textlen, key, &vkey);
	vkey_of(&hasher, witness_key, "witness.example", PV_SIG_COSIGNATURE, &vkey);
	cosign_note(&b, textlen, witness_key, &vkey, 1767225660);
	must(pv_buf_status(&b) == PV_OK && fwrite(note, 1, b.len, stdout) == b.len, "output");
	EVP_PKEY_free(key);
	EVP_PKEY_free(witness_key);
	pv_hasher_free(&hasher);
	return 0;
}
