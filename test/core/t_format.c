/*
 * t_format.c: the worked example of a proof in doc/format.md, made again from
 * the leaf hash of the worked example before it and the keys of RFC 8032.
 */
#include "harness.h"
#include "note_util.h"
#include "proof.h"

#define DOCUMENT "../../doc/format.md"
#define ORIGIN "crm.acme.example"

static char doc[1 << 20];

int
main(void)
{
	static uint8_t note[1024],
				file[2048];
	static pv_proof proof;
	static pv_checkpoint cp;
	char		line[PV_VKEY_MAX + 32],
				vkey[PV_VKEY_MAX];
	const char *hex;
	FILE	   *f = fopen(DOCUMENT, "r");
	EVP_PKEY   *log_key = key_from_seed(SEED_1);
	EVP_PKEY   *witness_key = key_from_seed(SEED_2);
	pv_vkey		log_vkey,
				witness_vkey;
	pv_hasher	hasher;
	pv_hash		root;
	uint64_t	seconds;
	size_t		textlen;
	pv_buf		b,
				p;

	must(f != NULL && fread(doc, 1, sizeof(doc) - 1, f) > 0, "cannot read " DOCUMENT " (run in test/core)");
	fclose(f);
	must(pv_hasher_init(&hasher) == PV_OK, "hasher");
	vkey_of(&hasher, log_key, ORIGIN, PV_SIG_ED25519, &log_vkey);
	vkey_of(&hasher, witness_key, "witness.example", PV_SIG_COSIGNATURE, &witness_vkey);

	CASE("doc/format.md: the keys of the example");
	CHECK(pv_vkey_format(&log_vkey, vkey) == PV_OK);
	snprintf(line, sizeof(line), "\nlog: %s\n", vkey);
	CHECK(strstr(doc, line) != NULL);
	CHECK(pv_vkey_format(&witness_vkey, vkey) == PV_OK);
	snprintf(line, sizeof(line), "\nwitness: %s\n", vkey);
	CHECK(strstr(doc, line) != NULL);

	CASE("doc/format.md: the proof of the example, made again");
	hex = strstr(doc, "\nleaf hash: ");
	must(hex != NULL && pv_hex_decode(hex + 12, 64, root.b, PV_HASH_LEN) == PV_OK, "leaf hash of the example");
	pv_buf_init(&b, note, sizeof(note));
	pv_put_checkpoint_text(&b, ORIGIN, strlen(ORIGIN), 1, &root);
	textlen = b.len;
	pv_put_u8(&b, '\n');
	sign_note(&b, textlen, log_key, &log_vkey);
	cosign_note(&b, textlen, witness_key, &witness_vkey, 1767225660);
	pv_buf_init(&p, file, sizeof(file) - 1);
	pv_put_str(&p, "\n```text\n");
	pv_put_proof(&p, 0, NULL, 0, note, b.len);
	pv_put_str(&p, "```\n");
	CHECK(pv_buf_status(&b) == PV_OK && pv_buf_status(&p) == PV_OK);
	CHECK(strstr(doc, (char *) file) != NULL);

	CASE("doc/format.md: the proof of the example verifies");
	CHECK(pv_proof_parse(file + 9, p.len - 13, &proof) == PV_OK);
	CHECK(pv_checkpoint_parse(proof.checkpoint, proof.checkpointlen, &cp) == PV_OK);
	CHECK(pv_checkpoint_verify(&cp, &log_vkey, 1) == PV_OK);
	CHECK(pv_cosignature_verify(&cp, &witness_vkey, &seconds) == PV_OK && seconds == 1767225660);
	CHECK(pv_verify_inclusion(&hasher, &root, proof.index, cp.size, proof.path, proof.npath, &cp.root) == PV_OK);

	EVP_PKEY_free(log_key);
	EVP_PKEY_free(witness_key);
	pv_hasher_free(&hasher);
	return harness_end();
}
