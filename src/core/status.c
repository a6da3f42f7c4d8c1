/*
 * status.c: a phrase for every status.
 *
 * The phrases end up in an errdetail of the server or in a message of the
 * verifier program, which is why they name the fault and not the function that
 * found it. The switch has no default, so that the compiler reports a status
 * without a phrase.
 */
#include "status.h"

const char *
pv_status_text(pv_status status)
{
	switch (status)
	{
		case PV_OK:
			return "no error";
		case PV_E_TRUNCATED:
			return "input ends too early";
		case PV_E_TRAILING:
			return "bytes left over at the end";
		case PV_E_TOO_LONG:
			return "longer than allowed";
		case PV_E_VERSION:
			return "unknown version";
		case PV_E_NUMBER:
			return "number not in its canonical form or out of range";
		case PV_E_BASE64:
			return "not canonical base64";
		case PV_E_HEX:
			return "not lower-case hexadecimal of the right length";
		case PV_E_UTF8:
			return "not valid UTF-8, or a control character";
		case PV_E_SYNTAX:
			return "malformed text";
		case PV_E_NAME:
			return "malformed name or origin";
		case PV_E_KEY:
			return "malformed key, or key ID that does not match the key";
		case PV_E_KEY_TYPE:
			return "key of an unsupported algorithm";
		case PV_E_UNKNOWN_KEY:
			return "no signature by a known key";
		case PV_E_SIGNATURE:
			return "signature does not verify";
		case PV_E_ORIGIN:
			return "origin differs from the name of the key";
		case PV_E_INDEX:
			return "index or size out of range";
		case PV_E_PATH:
			return "path of the wrong length";
		case PV_E_ROOT:
			return "path leads to another root";
		case PV_E_DUPLICATE:
			return "two fields of the same name";
		case PV_E_COUNT:
			return "wrong number of fields or digests";
		case PV_E_VALUE:
			return "value out of range";
		case PV_E_COMMITMENT:
			return "fields and digests give another commitment";
		case PV_E_ORDER:
			return "out of order";
		case PV_E_CHAIN:
			return "not in line with the entry before";
		case PV_E_DIGEST:
			return "another digest";
		case PV_E_STORAGE:
			return "stored data could not be read";
		case PV_E_CRYPTO:
			return "the cryptographic library failed";
	}
	return "unknown status";
}
