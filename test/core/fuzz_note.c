/*
 * fuzz_note.c: pv_note_parse() and pv_note_verify(). What parses is written
 * again from its parts, byte for byte; the key of the example of C2SP
 * signed-note has signed one text, so no other may verify.
 */
#include "fuzz_note.h"

const char *const fuzz_words[] = {
	"\n\n", "\n", "\xE2\x80\x94 ", "\xE2\x80\x94 a AAAAAAA=\n", "example.com/foo", " ", "AAAA", "AAA=", "AA==", "+",
	"\xC2\xA0", "\xE3\x80\x80", "\xF0\x9F\x98\x80", "\xED\xA0\x80", "\r\n", "Uw2QOk", NULL
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char signed_text[] = "This is an example message.\n";
	static pv_note note;
	pv_vkey		key;
	uint64_t	good;
	pv_status	status;

	status = pv_note_parse(data, len, &note);
	fuzz_seen(status == PV_OK ? 100 + note.nsigs : (unsigned) status);
	if (status != PV_OK)
		return 0;
	fuzz_note_again(data, len, &note);
	fuzz_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", &key);
	status = pv_note_verify(&note, &key, 1, &good);
	fuzz_seen(300 + (unsigned) status);
	FUZZ_ASSERT((status == PV_OK) == (good == 1));
	if (status == PV_OK)
		FUZZ_ASSERT(note.textlen == sizeof(signed_text) - 1 && memcmp(note.text, signed_text, note.textlen) == 0);
	return 0;
}
