/*
 * cli_notes.c: the parsers and verifiers of notes for a script.
 *
 * Each line of the input is a request of words separated by spaces, bytes in
 * hexadecimal ("-" for none); each gets one line "<status> [values]", status
 * being the number of a pv_status, 0 for success.
 *
 *   vkey <vkey>                         -> 0 <type> <vkey written again>
 *   note <note> <vkey>...               -> 0 <mask of good keys>
 *   checkpoint <note> <vkey>...         -> 0 <origin> <size> <root>
 *   cosignature <note> <vkey>           -> 0 <seconds>
 *   proof <document>                    -> 0 <index> <number of hashes>
 *   ed25519 <public key> <msg> <sig>    -> 0
 *
 * vkeys too are in hexadecimal. One that is not accepted is left out, as a
 * verifier would that does not know the algorithm; "refused <n>" at the end of
 * the line says how many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cosignature.h"
#include "proof.h"

#define MAX_LINE (4 * 1024 * 1024)
#define MAX_WORDS 16

static pv_hasher hasher;

/* Decodes a word in place; the result is never longer than the word. */
static size_t
unhex(char *word)
{
	size_t		n = strlen(word) / 2;

	if (strcmp(word, "-") == 0)
		return 0;
	if (pv_hex_decode(word, strlen(word), (uint8_t *) word, n) != PV_OK)
	{
		fprintf(stderr, "cli_notes: not hexadecimal\n");
		exit(2);
	}
	return n;
}

static void
print_hex(const void *data, size_t len)
{
	const uint8_t *p = data;

	putchar(' ');
	if (len == 0)
		putchar('-');
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
}

static void
request(char **w, unsigned nw)
{
	static pv_checkpoint cp;
	static pv_proof proof;
	pv_vkey		keys[MAX_WORDS];
	unsigned	nkeys = 0;
	unsigned	refused = 0;
	size_t		len = unhex(w[1]);
	pv_status	status;

	if (strcmp(w[0], "vkey") == 0)
	{
		char		text[PV_VKEY_MAX];

		status = pv_vkey_parse(&hasher, w[1], len, &keys[0]);
		printf("%d", status);
		if (status == PV_OK && pv_vkey_format(&keys[0], text) == PV_OK)
		{
			printf(" %u", keys[0].type);
			print_hex(text, strlen(text));
		}
		putchar('\n');
		return;
	}
	if (strcmp(w[0], "proof") == 0)
	{
		status = pv_proof_parse(w[1], len, &proof);
		if (status == PV_OK)
			printf("0 %llu %u\n", (unsigned long long) proof.index, proof.npath);
		else
			printf("%d\n", status);
		return;
	}
	if (strcmp(w[0], "ed25519") == 0 && nw == 4)
	{
		size_t		msglen = unhex(w[2]);
		size_t		siglen = unhex(w[3]);

		/* The interface takes whole signatures only. */
		if (len != PV_ED25519_PUBLIC_LEN || siglen != PV_ED25519_SIGNATURE_LEN)
			status = PV_E_SIGNATURE;
		else
			status = pv_ed25519_verify((uint8_t *) w[1], w[2], msglen, (uint8_t *) w[3]);
		printf("%d\n", status);
		return;
	}

	for (unsigned i = 2; i < nw; i++)
	{
		size_t		keylen = unhex(w[i]);

		if (pv_vkey_parse(&hasher, w[i], keylen, &keys[nkeys]) == PV_OK)
			nkeys++;
		else
			refused++;
	}
	if (strcmp(w[0], "note") == 0)
	{
		uint64_t	good = 0;

		status = pv_note_parse(w[1], len, &cp.note);
		if (status == PV_OK)
			status = pv_note_verify(&cp.note, keys, nkeys, &good);
		printf("%d %llu", status, (unsigned long long) good);
	}
	else if (strcmp(w[0], "checkpoint") == 0)
	{
		status = pv_checkpoint_parse(w[1], len, &cp);
		if (status == PV_OK)
			status = pv_checkpoint_verify(&cp, keys, nkeys);
		printf("%d", status);
		if (status == PV_OK || status == PV_E_ORIGIN)
		{
			print_hex(cp.origin, cp.originlen);
			printf(" %llu", (unsigned long long) cp.size);
			print_hex(cp.root.b, PV_HASH_LEN);
		}
	}
	else if (strcmp(w[0], "cosignature") == 0)
	{
		uint64_t	seconds = 0;

		status = pv_checkpoint_parse(w[1], len, &cp);
		if (status == PV_OK)
			status = nkeys == 0 ? PV_E_UNKNOWN_KEY : pv_cosignature_verify(&cp, &keys[0], &seconds);
		printf("%d %llu", status, (unsigned long long) seconds);
	}
	else
	{
		fprintf(stderr, "cli_notes: unknown request\n");
		exit(2);
	}
	if (refused > 0)
		printf(" refused %u", refused);
	putchar('\n');
}

int
main(void)
{
	char	   *line = malloc(MAX_LINE);

	if (line == NULL || pv_hasher_init(&hasher) != PV_OK)
		return 2;
	while (fgets(line, MAX_LINE, stdin) != NULL)
	{
		char	   *words[MAX_WORDS];
		unsigned	n = 0;

		for (char *w = strtok(line, " \n"); w != NULL && n < MAX_WORDS; w = strtok(NULL, " \n"))
			words[n++] = w;
		if (n < 2)
			return 2;
		request(words, n);
		fflush(stdout);
	}
	pv_hasher_free(&hasher);
	free(line);
	return 0;
}
