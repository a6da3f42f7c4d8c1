/*
 * tsa.h: RFC 3161, by libcrypto: writing a request, reading and checking a
 * response (tsa.c). Nothing here throws, and nothing of libcrypto's gets out,
 * so that no error of the server's can pass over memory of libcrypto's.
 */
#ifndef PROV_TSA_H
#define PROV_TSA_H

#include "postgres.h"

#include "core/hash.h"

#define TSA_NONCE_LEN 8
#define TSA_REQUEST_MAX 256		/* bytes of a request */
#define TSA_RESPONSE_MAX 65536	/* bytes of a response that we read */
#define TSA_TEXT_MAX 512

/* DER TimeStampReq over a SHA-256 imprint, certReq TRUE; 0 if libcrypto fails. */
extern Size tsa_request(const pv_hash *imprint, const uint8 nonce[TSA_NONCE_LEN], uint8 out[TSA_REQUEST_MAX]);

typedef struct TsaStamp
{
	int64		time_us;		/* genTime, microseconds since 2000-01-01 UTC */
	char		serial[TSA_TEXT_MAX];	/* hexadecimal */
	char		signer[TSA_TEXT_MAX];	/* subject of its certificate, UTF-8 */
} TsaStamp;

typedef enum TsaResult
{
	TSA_OK,
	TSA_MALFORMED,				/* no TimeStampResp, or something after it */
	TSA_NOT_GRANTED,
	TSA_WRONG_IMPRINT,			/* of other bytes than these */
	TSA_WRONG_NONCE,
	TSA_WRONG_SIGNATURE,		/* signature, signer's certificate or its chain */
	TSA_NO_ANCHORS,				/* ca_file cannot be read */
	TSA_FAILED					/* libcrypto */
} TsaResult;

/*
 * Checks a response: granted, over that imprint, with that nonce, signed by a
 * certificate for time stamping whose chain leads to one of ca_file; ca_file
 * NULL: by one in the token. reason (TSA_TEXT_MAX) says what libcrypto said.
 */
extern TsaResult tsa_check(const uint8 *response, Size len, const pv_hash *imprint,
						   const uint8 nonce[TSA_NONCE_LEN], const char *ca_file,
						   TsaStamp *out, char *reason);

#endif							/* PROV_TSA_H */
