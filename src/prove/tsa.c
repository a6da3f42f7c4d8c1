/*
 * tsa.c: RFC 3161, by libcrypto: writing a request, reading and checking a
 * response.
 *
 * libcrypto checks status, imprint, nonce, the token's signature, the signer's
 * certificate (its purpose must be time stamping, critical and alone; the
 * token must name it by its hash) and its chain, at the present time. Without
 * trust anchors the token's own certificates stand in for them: that finds a
 * token that is not of one piece, and says nothing of who made it. Revocation
 * is not looked at: that would need a network.
 *
 * What libcrypto allocates is freed before a function returns; nothing here
 * throws. libcrypto's error queue is emptied.
 */
#include "postgres.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "prove/tsa.h"

/* Renamed in OpenSSL 3.4. */
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
#define set_store(ctx, store) TS_VERIFY_CTX_set0_store(ctx, store)
#else
#define set_store(ctx, store) ((void) TS_VERIFY_CTX_set_store(ctx, store))
#endif

static TS_REQ *
make_request(const pv_hash *imprint, const uint8 nonce[TSA_NONCE_LEN])
{
	TS_REQ	   *req = TS_REQ_new();
	TS_MSG_IMPRINT *msg = TS_MSG_IMPRINT_new();
	X509_ALGOR *algor = X509_ALGOR_new();
	BIGNUM	   *bn = BN_bin2bn(nonce, TSA_NONCE_LEN, NULL);
	ASN1_INTEGER *number = bn ? BN_to_ASN1_INTEGER(bn, NULL) : NULL;
	bool		ok;

	/* the setters copy what they are given */
	ok = req && msg && algor && number &&
		TS_REQ_set_version(req, 1) &&
		X509_ALGOR_set0(algor, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) &&
		TS_MSG_IMPRINT_set_algo(msg, algor) &&
		TS_MSG_IMPRINT_set_msg(msg, (unsigned char *) imprint->b, PV_HASH_LEN) &&
		TS_REQ_set_msg_imprint(req, msg) &&
		TS_REQ_set_nonce(req, number) &&
		TS_REQ_set_cert_req(req, 1);

	ASN1_INTEGER_free(number);
	BN_free(bn);
	X509_ALGOR_free(algor);
	TS_MSG_IMPRINT_free(msg);
	if (!ok)
	{
		TS_REQ_free(req);
		req = NULL;
	}
	return req;
}

Size
tsa_request(const pv_hash *imprint, const uint8 nonce[TSA_NONCE_LEN], uint8 out[TSA_REQUEST_MAX])
{
	TS_REQ	   *req = make_request(imprint, nonce);
	int			len = req ? i2d_TS_REQ(req, NULL) : 0;

	if (len > 0 && len <= TSA_REQUEST_MAX)
		len = i2d_TS_REQ(req, &out);
	else
		len = 0;
	TS_REQ_free(req);
	ERR_clear_error();
	return len > 0 ? (Size) len : 0;
}

/* The trust anchors: those of a file, or whatever certificates the token has. */
static X509_STORE *
make_store(const char *ca_file, PKCS7 *token)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *certs = NULL;
	bool		ok = store != NULL;

	if (ok && ca_file != NULL)
		ok = X509_STORE_load_file(store, ca_file) == 1;
	else if (ok)
	{
		/* the signer itself may be all there is */
		ok = X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
		if (token != NULL && PKCS7_type_is_signed(token))
			certs = token->d.sign->cert;
		for (int i = 0; ok && certs != NULL && i < sk_X509_num(certs); i++)
			ok = X509_STORE_add_cert(store, sk_X509_value(certs, i)) == 1;
	}
	if (!ok)
	{
		X509_STORE_free(store);
		store = NULL;
	}
	return store;
}

/* GeneralizedTime as RFC 3161 has it: UTC, with a fraction of a second or without. */
static bool
get_time(const ASN1_GENERALIZEDTIME *t, int64 *out)
{
	ASN1_TIME  *epoch = ASN1_TIME_new();
	const char *s = (const char *) ASN1_STRING_get0_data(t);
	int			len = ASN1_STRING_length(t);
	int			days;
	int			seconds;
	int64		fraction = 0;
	int64		unit = INT64CONST(100000);
	bool		ok;

	ok = epoch != NULL && len > 0 && s[len - 1] == 'Z' &&
		ASN1_TIME_set_string_X509(epoch, "20000101000000Z") == 1 &&
		ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;
	ASN1_TIME_free(epoch);
	if (!ok)
		return false;
	for (int i = 15; len > 15 && s[14] == '.' && i < len - 1; i++, unit /= 10)
		fraction += (s[i] - '0') * unit;
	*out = ((int64) days * 86400 + seconds) * INT64CONST(1000000) + fraction;
	return true;
}

static bool
get_serial(const ASN1_INTEGER *serial, char *out)
{
	BIGNUM	   *bn = ASN1_INTEGER_to_BN(serial, NULL);
	char	   *hex = bn ? BN_bn2hex(bn) : NULL;
	bool		ok = hex != NULL && strlen(hex) < TSA_TEXT_MAX;

	if (ok)
		strlcpy(out, hex, TSA_TEXT_MAX);
	OPENSSL_free(hex);
	BN_free(bn);
	return ok;
}

/* Subject of the certificate that signed, as RFC 2253 writes names, in UTF-8. */
static bool
get_signer(PKCS7 *token, char *out)
{
	STACK_OF(X509) *signers = PKCS7_get0_signers(token, NULL, 0);
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *text;
	long		len;
	bool		ok;

	ok = signers != NULL && bio != NULL && sk_X509_num(signers) == 1 &&
		X509_NAME_print_ex(bio, X509_get_subject_name(sk_X509_value(signers, 0)), 0,
						   XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0;
	if (ok)
	{
		len = BIO_get_mem_data(bio, &text);
		ok = len >= 0 && len < TSA_TEXT_MAX;
		if (ok)
		{
			memcpy(out, text, len);
			out[len] = '\0';
		}
	}
	BIO_free(bio);
	sk_X509_free(signers);
	return ok;
}

/* What the innermost of libcrypto's errors says. */
static void
get_reason(char *reason)
{
	const char *data = NULL;
	int			flags = 0;
	unsigned long err = ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);
	const char *text = err ? ERR_reason_error_string(err) : NULL;

	snprintf(reason, TSA_TEXT_MAX, "%s%s%s", text ? text : "no reason given",
			 (flags & ERR_TXT_STRING) && data && data[0] ? ": " : "",
			 (flags & ERR_TXT_STRING) && data ? data : "");
}

static TsaResult
verify(TS_RESP *resp, const pv_hash *imprint, const uint8 nonce[TSA_NONCE_LEN], const char *ca_file, char *reason)
{
	TS_REQ	   *req = make_request(imprint, nonce);
	TS_VERIFY_CTX *ctx = req ? TS_REQ_to_TS_VERIFY_CTX(req, NULL) : NULL;
	X509_STORE *store = make_store(ca_file, TS_RESP_get_token(resp));
	TsaResult	result = TSA_OK;

	if (ctx == NULL)
		result = TSA_FAILED;
	else if (store == NULL)
	{
		get_reason(reason);
		result = ca_file != NULL ? TSA_NO_ANCHORS : TSA_FAILED;
	}
	else
	{
		set_store(ctx, store);
		store = NULL;			/* the context's now */
		TS_VERIFY_CTX_add_flags(ctx, TS_VFY_SIGNATURE);
		ERR_clear_error();
		if (TS_RESP_verify_response(ctx, resp) != 1)
		{
			unsigned long err = ERR_peek_last_error();

			get_reason(reason);
			result = TSA_WRONG_SIGNATURE;
			if (ERR_GET_LIB(err) == ERR_LIB_TS &&
				(ERR_GET_REASON(err) == TS_R_NONCE_MISMATCH || ERR_GET_REASON(err) == TS_R_NONCE_NOT_RETURNED))
				result = TSA_WRONG_NONCE;
			else if (ERR_GET_LIB(err) == ERR_LIB_TS && ERR_GET_REASON(err) == TS_R_MESSAGE_IMPRINT_MISMATCH)
				result = TSA_WRONG_IMPRINT;
		}
	}
	X509_STORE_free(store);
	TS_VERIFY_CTX_free(ctx);
	TS_REQ_free(req);
	return result;
}

TsaResult
tsa_check(const uint8 *response, Size len, const pv_hash *imprint,
		  const uint8 nonce[TSA_NONCE_LEN], const char *ca_file, TsaStamp *out, char *reason)
{
	const unsigned char *p = response;
	TS_RESP    *resp;
	TS_TST_INFO *info;
	TsaResult	result;
	long		status;

	reason[0] = '\0';
	if (len == 0 || len > TSA_RESPONSE_MAX)
		return TSA_MALFORMED;
	ERR_clear_error();
	resp = d2i_TS_RESP(NULL, &p, (long) len);
	if (resp == NULL || p != response + len)
	{
		TS_RESP_free(resp);
		ERR_clear_error();
		return TSA_MALFORMED;
	}

	status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(resp)));
	info = TS_RESP_get_tst_info(resp);
	if (status != TS_STATUS_GRANTED && status != TS_STATUS_GRANTED_WITH_MODS)
	{
		snprintf(reason, TSA_TEXT_MAX, "status %ld", status);
		result = TSA_NOT_GRANTED;
	}
	else if (info == NULL || TS_RESP_get_token(resp) == NULL)
		result = TSA_MALFORMED;
	else
		result = verify(resp, imprint, nonce, ca_file, reason);

	if (result == TSA_OK &&
		(!get_time(TS_TST_INFO_get_time(info), &out->time_us) ||
		 !get_serial(TS_TST_INFO_get_serial(info), out->serial) ||
		 !get_signer(TS_RESP_get_token(resp), out->signer)))
	{
		strlcpy(reason, "time, serial number or signer cannot be read", TSA_TEXT_MAX);
		result = TSA_WRONG_SIGNATURE;
	}
	TS_RESP_free(resp);
	ERR_clear_error();
	return result;
}
