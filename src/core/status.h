/*
 * status.h: what a core function says of its work.
 *
 * Every core function that can fail returns a pv_status. PV_OK is zero; each
 * other value names one reason. pv_status_text() gives a short English phrase,
 * lower case, without a full stop, fit for an errdetail or a program's
 * message. Core functions never print, log or exit.
 */
#ifndef PV_STATUS_H
#define PV_STATUS_H

typedef enum pv_status
{
	PV_OK = 0,
	PV_E_TRUNCATED,				/* input ends too early */
	PV_E_TRAILING,				/* bytes left over after the value */
	PV_E_TOO_LONG,				/* longer than the format or the buffer allows */
	PV_E_VERSION,				/* version byte or line unknown */
	PV_E_NUMBER,				/* not a number in its one canonical form */
	PV_E_BASE64,				/* not canonical base64 */
	PV_E_HEX,					/* not lower-case hexadecimal */
	PV_E_UTF8,					/* not UTF-8, or a control character */
	PV_E_SYNTAX,				/* a line or part is not where it must be */
	PV_E_NAME,					/* key name or origin malformed */
	PV_E_KEY,					/* verifier key malformed, or its ID is wrong */
	PV_E_KEY_TYPE,				/* key of an algorithm not supported */
	PV_E_UNKNOWN_KEY,			/* no signature by a known key */
	PV_E_SIGNATURE,				/* a known key's signature is wrong */
	PV_E_ORIGIN,				/* origin differs from the key's name */
	PV_E_INDEX,					/* index or size out of range */
	PV_E_PATH,					/* path of the wrong length */
	PV_E_ROOT,					/* path leads to another root */
	PV_E_DUPLICATE,				/* two fields of one name */
	PV_E_COUNT,					/* wrong number of fields or digests */
	PV_E_VALUE,					/* a value out of its range */
	PV_E_COMMITMENT,			/* fields and digests give another commitment */
	PV_E_ORDER,					/* a line of a bundle is not the one that must follow */
	PV_E_CHAIN,					/* an entry and the one before it do not fit together */
	PV_E_DIGEST,				/* the digest of a bundle is another one */
	PV_E_STORAGE,				/* the storage callback failed */
	PV_E_CRYPTO					/* libcrypto failed */
} pv_status;

/* A phrase for a status, never NULL. The text is a constant. */
extern const char *pv_status_text(pv_status status);

#endif							/* PV_STATUS_H */
