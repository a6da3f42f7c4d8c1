/*
 * t_proof.c: proof files: what is written reads back, the grammar is kept to
 * the letter, and a file cut short or changed is refused or means another
 * thing, never the same.
 */
#include "harness.h"
#include "proof.h"

#define CP "o\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xE2\x80\x94 o AAAAAAA=\n"
#define V "c2sp.org/tlog-proof@v1\n"
#define H "rzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4=\n"

static pv_status
parse(const char *s, pv_proof *p)
{
	return pv_proof_parse(s, strlen(s), p);
}

static void
round_trip(void)
{
	static uint8_t out[65536];
	pv_hash		path[63];
	pv_proof	p;
	pv_buf		b;

	for (unsigned n = 0; n <= 63; n++)
	{
		uint64_t	index = n == 63 ? PV_MAX_TREE - 1 : n * 1000003;

		memset(path, (int) n, sizeof(path));
		pv_buf_init(&b, out, sizeof(out));
		pv_put_proof(&b, index, path, n, CP, strlen(CP));
		CHECK(pv_buf_status(&b) == PV_OK);
		CHECK(pv_proof_parse(out, b.len, &p) == PV_OK);
		CHECK(p.index == index && p.npath == n && memcmp(p.path, path, n * sizeof(pv_hash)) == 0);
		CHECK(p.extra == NULL && p.checkpointlen == strlen(CP) && memcmp(p.checkpoint, CP, strlen(CP)) == 0);
	}
}

static void
grammar(void)
{
	static const struct
	{
		const char *text;
		pv_status	status;
	}			t[] = {
		{V "index 5\n" H H "\n" CP, PV_OK},
		{V "index 0\n\n" CP, PV_OK},
		{V "extra ZXh0cmE=\nindex 5\n" H "\n" CP, PV_OK},
		{V "index 9223372036854775806\n" H "\n" CP, PV_OK},
		{"", PV_E_TRUNCATED},
		{V, PV_E_TRUNCATED},
		{V "index 5\n" H, PV_E_TRUNCATED},
		{V "index 5\n" H "\n", PV_E_TRUNCATED},
		{V "index 5\n" H "\no\n3", PV_E_TRUNCATED},
		{"c2sp.org/tlog-proof@v2\nindex 5\n\n" CP, PV_E_VERSION},
		{"c2sp.org/tlog-proof@v1 \nindex 5\n\n" CP, PV_E_VERSION},
		{"\n" V "index 5\n\n" CP, PV_E_VERSION},
		{V "\nindex 5\n\n" CP, PV_E_SYNTAX},
		{V "Index 5\n\n" CP, PV_E_SYNTAX},
		{V "index\n\n" CP, PV_E_SYNTAX},
		{V "extra \nindex 5\n\n" CP, PV_E_SYNTAX},
		{V "extra\nindex 5\n\n" CP, PV_E_SYNTAX},
		{V "extra YQ==\nextra YQ==\nindex 5\n\n" CP, PV_E_SYNTAX},
		{V "index 5\nextra YQ==\n\n" CP, PV_E_BASE64},
		{V "extra YR==\nindex 5\n\n" CP, PV_E_BASE64},
		{V "extra YQ\nindex 5\n\n" CP, PV_E_BASE64},
		{V "extra YQ== \nindex 5\n\n" CP, PV_E_BASE64},
		{V "index \n\n" CP, PV_E_NUMBER},
		{V "index 05\n\n" CP, PV_E_NUMBER},
		{V "index +5\n\n" CP, PV_E_NUMBER},
		{V "index -5\n\n" CP, PV_E_NUMBER},
		{V "index  5\n\n" CP, PV_E_NUMBER},
		{V "index 5 \n\n" CP, PV_E_NUMBER},
		{V "index 5\r\n\n" CP, PV_E_NUMBER},
		{V "index 9223372036854775807\n\n" CP, PV_E_NUMBER},
		{V "index 18446744073709551616\n\n" CP, PV_E_NUMBER},
		{V "index 5\nrzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm5=\n\n" CP, PV_E_BASE64},
		{V "index 5\nrzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4\n\n" CP, PV_E_BASE64},
		{V "index 5\nrzFuy5Go7nrpkhBwKy1HWPMM3eO_YePY54fXRoH5Cm4=\n\n" CP, PV_E_BASE64},
		{V "index 5\nrzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm==\n\n" CP, PV_E_BASE64},
		{V "index 5\nrzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4A\n\n" CP, PV_E_BASE64},
		{V "index 5\n\no\r\n", PV_E_SYNTAX},
		{"c2sp.org/tlog-proof@v1\r\nindex 5\r\n\r\n" CP, PV_E_VERSION},
	};
	pv_proof	p;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
	{
		pv_status	status = parse(t[i].text, &p);

		CHECK(status == t[i].status);
		if (status != t[i].status)
			printf("# text %zu: %s\n", i, pv_status_text(status));
	}
	CHECK(parse(V "extra ZXh0cmE=\nindex 5\n" H "\n" CP, &p) == PV_OK);
	CHECK(p.extralen == 8 && memcmp(p.extra, "ZXh0cmE=", 8) == 0 && p.index == 5 && p.npath == 1);
}

static void
mutilated(void)
{
	static const char good[] = V "extra ZXh0cmE=\nindex 5\n" H "\n" CP;
	const size_t len = sizeof(good) - 1;
	const size_t cp = len - strlen(CP);
	pv_proof	was,
				p;
	char		copy[sizeof(good)];

	CHECK(parse(good, &was) == PV_OK);
	for (size_t n = 0; n <= cp; n++)
		CHECK(pv_proof_parse(good, n, &p) != PV_OK);

	/* From there on only a cut behind a newline leaves a proof: of less. */
	for (size_t n = cp + 1; n < len; n++)
	{
		if (pv_proof_parse(good, n, &p) == PV_OK)
			CHECK(good[n - 1] == '\n' && p.checkpointlen == n - cp);
		else
			CHECK(good[n - 1] != '\n');
	}
	for (size_t bit = 0; bit < 8 * len; bit++)
	{
		memcpy(copy, good, sizeof(good));
		copy[bit / 8] ^= (char) (1 << bit % 8);
		if (pv_proof_parse(copy, len, &p) != PV_OK)
			continue;
		CHECK(p.index != was.index || p.npath != was.npath || p.extralen != was.extralen ||
			  memcmp(p.extra, was.extra, was.extralen) != 0 ||
			  memcmp(p.path, was.path, was.npath * sizeof(pv_hash)) != 0 ||
			  p.checkpointlen != was.checkpointlen ||
			  memcmp(p.checkpoint, was.checkpoint, was.checkpointlen) != 0);
	}
}

static void
limits(void)
{
	static char big[PV_PROOF_MAX_LEN + 8];
	const char *head = V "index 5\n\n";
	pv_proof	p;
	size_t		n = 0;

	memset(big, 'x', sizeof(big));
	memcpy(big, head, strlen(head));
	big[strlen(head) + PV_CHECKPOINT_MAX_LEN - 1] = '\n';
	CHECK(pv_proof_parse(big, strlen(head) + PV_CHECKPOINT_MAX_LEN, &p) == PV_OK);
	big[strlen(head) + PV_CHECKPOINT_MAX_LEN - 1] = 'x';
	big[strlen(head) + PV_CHECKPOINT_MAX_LEN] = '\n';
	CHECK(pv_proof_parse(big, strlen(head) + PV_CHECKPOINT_MAX_LEN + 1, &p) == PV_E_TOO_LONG);
	CHECK(pv_proof_parse(big, PV_PROOF_MAX_LEN + 1, &p) == PV_E_TOO_LONG);

	head = V "index 5\n";
	memcpy(big, head, strlen(head));
	n = strlen(head);
	for (int i = 0; i < 64; i++)
	{
		memcpy(big + n, H, strlen(H));
		n += strlen(H);
	}
	memcpy(big + n, "\nx\n", 3);
	CHECK(pv_proof_parse(big, n + 3, &p) == PV_E_PATH);
	n -= strlen(H);
	memcpy(big + n, "\nx\n", 3);
	CHECK(pv_proof_parse(big, n + 3, &p) == PV_OK && p.npath == 63);
}

int
main(void)
{
	CASE("what is written reads back, paths of 0 to 63 hashes");
	round_trip();
	CASE("the grammar");
	grammar();
	CASE("every truncation and every flipped bit: refused, or another meaning");
	mutilated();
	CASE("lengths");
	limits();
	return harness_end();
}
