/*
 * fuzz_proof.c: pv_proof_parse(). What parses is written again, byte for byte
 * (with the line "extra" put where it was); the checkpoint in it goes to its
 * own parser.
 */
#include "fuzz_note.h"
#include "proof.h"

const char *const fuzz_words[] = {
	"c2sp.org/tlog-proof@v1\n", "extra ", "index ", "index 0\n", "\n\n", "\n", "YQ==\n",
	"rzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4=\n", "9223372036854775806", "9223372036854775807", "\r\n", "=", NULL
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static pv_proof proof;
	static pv_checkpoint cp;
	static const char version[] = "c2sp.org/tlog-proof@v1\n";
	uint8_t    *out;
	size_t		extra;
	pv_buf		b;
	pv_status	status;

	status = pv_proof_parse(data, len, &proof);
	fuzz_seen((unsigned) status);
	if (status != PV_OK)
		return 0;
	fuzz_seen(100 + proof.npath);
	fuzz_seen(200 + (proof.extra != NULL));
	FUZZ_ASSERT(proof.npath <= 63 && proof.index < PV_MAX_TREE && proof.checkpointlen > 0);
	FUZZ_ASSERT(proof.checkpoint + proof.checkpointlen == (const char *) data + len);
	out = malloc(len);
	if (out == NULL)
		exit(2);
	pv_buf_init(&b, out, len);
	pv_put_proof(&b, proof.index, proof.path, proof.npath, proof.checkpoint, proof.checkpointlen);
	FUZZ_ASSERT(pv_buf_status(&b) == PV_OK);
	extra = proof.extra == NULL ? 0 : strlen("extra ") + proof.extralen + 1;
	FUZZ_ASSERT(b.len + extra == len && memcmp(out, data, strlen(version)) == 0);
	FUZZ_ASSERT(memcmp(out + strlen(version), data + strlen(version) + extra, b.len - strlen(version)) == 0);
	free(out);
	fuzz_seen(300 + (unsigned) pv_checkpoint_parse(proof.checkpoint, proof.checkpointlen, &cp));
	return 0;
}
