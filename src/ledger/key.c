/*-------------------------------------------------------------------------
 *
 * key.c
 *	  The log's Ed25519 signing key: made, and loaded.
 *
 * A key is created by libcrypto and written once, as PEM PKCS#8, readable by
 * the server alone. It is loaded through OSSL_STORE, so that it may as well
 * live in a token; the first private key found is taken. A passphrase comes
 * from the configured command (passphrase.c), which is run outside of
 * libcrypto, once its first attempt has asked; nobody is prompted: a worker
 * has nobody to ask, and a prompt on the server's terminal would hang it.
 *
 * Loaded keys are libcrypto's memory and are freed by a callback of the
 * memory context, so that no error path keeps one. A file is accepted only if
 * group and others have no right to it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include "storage/fd.h"

#include "ledger/signer.h"

/* --- loading ----------------------------------------------------------- */

/* What libcrypto is told when it asks for a passphrase. */
typedef struct Asked
{
	bool		asked;
	char	   *passphrase;		/* NULL: it is refused; else told once */
} Asked;

static int
answer_passphrase(UI *ui, UI_STRING *uis)
{
	Asked	   *asked = UI_get0_user_data(ui);
	char	   *passphrase;

	if (asked == NULL || (UI_get_string_type(uis) != UIT_PROMPT &&
						  UI_get_string_type(uis) != UIT_VERIFY))
		return 0;
	asked->asked = true;
	passphrase = asked->passphrase;
	asked->passphrase = NULL;
	return passphrase != NULL && UI_set_result(ui, uis, passphrase) == 0;
}

/*
 * The path in a file: URI or plain path, NULL for another URI. A scheme has
 * two letters or more.
 */
static const char *
plain_path(const char *where)
{
	const char *p = where;

	while (isalnum((unsigned char) *p) || *p == '+' || *p == '-' || *p == '.')
		p++;
	if (*p != ':' || p - where < 2 || where[0] == '/')
		return where;
	if (pg_strncasecmp(where, "file:", 5) != 0)
		return NULL;
	p = where + 5;
	if (strncmp(p, "//localhost/", 12) == 0)
		return p + 11;
	if (strncmp(p, "///", 3) == 0)
		return p + 2;
	return p;
}

static bool
key_file_fit(const char *path, char **reason)
{
	struct stat st;

	if (path[0] != '/')
		*reason = psprintf("the signing key's path \"%s\" is not absolute", path);
	else if (stat(path, &st) != 0)
		*reason = psprintf("the signing key \"%s\" cannot be read: %s", path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		*reason = psprintf("the signing key \"%s\" is a directory", path);
	else if (!S_ISREG(st.st_mode))
		*reason = psprintf("the signing key \"%s\" is not a regular file", path);
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		*reason = psprintf("the signing key \"%s\" belongs to another user than the server's", path);
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		*reason = psprintf("the signing key \"%s\" is accessible to group or others", path);
	else if (access(path, R_OK) != 0)
		*reason = psprintf("the signing key \"%s\" cannot be read: %s", path, strerror(errno));
	else
		return true;
	return false;
}

static void
key_free_callback(void *arg)
{
	ProvKey    *key = arg;

	EVP_PKEY_free(key->pkey);
	key->pkey = NULL;
}

/* The first private key there; NULL if there is none. Throws nothing. */
static EVP_PKEY *
load_first(const char *where, Asked *asked)
{
	UI_METHOD  *ui;
	OSSL_STORE_CTX *store;
	EVP_PKEY   *pkey = NULL;

	ERR_clear_error();
	ui = UI_create_method("passphrase from a command, or none");
	if (ui == NULL)
		return NULL;
	UI_method_set_reader(ui, answer_passphrase);
	store = OSSL_STORE_open(where, ui, asked, NULL, NULL);
	if (store != NULL)
	{
		(void) OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
		while (pkey == NULL && !OSSL_STORE_eof(store))
		{
			OSSL_STORE_INFO *info = OSSL_STORE_load(store);

			if (info == NULL)
			{
				if (OSSL_STORE_error(store))
					break;
				continue;
			}
			if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
				pkey = OSSL_STORE_INFO_get1_PKEY(info);
			OSSL_STORE_INFO_free(info);
		}
		OSSL_STORE_close(store);
	}
	UI_destroy_method(ui);
	ERR_clear_error();			/* its texts may quote the URI */
	return pkey;
}

ProvKey *
prov_key_load(const char *where, char **reason)
{
	const char *path = plain_path(where);
	const char *name = path ? psprintf("\"%s\"", path) : "in the key store";
	EVP_PKEY   *pkey;
	Asked		asked = {false, NULL};
	ProvKey    *key;

	if (path != NULL && !key_file_fit(path, reason))
		return NULL;

	key = palloc0(sizeof(ProvKey));
	pkey = load_first(path ? path : where, &asked);
	if (pkey == NULL && asked.asked)
	{
		char		passphrase[1024];

		if (prov_passphrase(passphrase, sizeof(passphrase), reason))
		{
			asked.passphrase = passphrase;
			pkey = load_first(path ? path : where, &asked);
			explicit_bzero(passphrase, sizeof(passphrase));
			if (pkey == NULL)
				*reason = psprintf("the passphrase that the command gave does not open the signing key %s", name);
		}
		else if (*reason == NULL)
			*reason = psprintf("the signing key %s is encrypted, and the server has no passphrase for it", name);
	}
	if (pkey == NULL)
	{
		if (!asked.asked)
			*reason = psprintf("no private key was found %s%s", path ? "in " : "", name);
		return NULL;
	}

	key->pkey = pkey;
	key->callback.func = key_free_callback;
	key->callback.arg = key;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &key->callback);

	if (pv_ed25519_public(pkey, key->public_key) != PV_OK)
	{
		prov_key_free(key);
		*reason = psprintf("the signing key %s is not an Ed25519 key", name);
		return NULL;
	}
	return key;
}

/* Frees the key now; the callback then finds nothing to do. */
void
prov_key_free(ProvKey *key)
{
	key_free_callback(key);
}

/* --- creating ---------------------------------------------------------- */

/* PEM PKCS#8 of a new key in a memory BIO of libcrypto's, or NULL. */
static BIO *
new_key_pem(void)
{
	EVP_PKEY   *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO		   *bio = NULL;

	if (pkey != NULL)
	{
		bio = BIO_new(BIO_s_secmem());
		if (bio != NULL &&
			PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1)
		{
			BIO_free(bio);		/* clears what it held */
			bio = NULL;
		}
		EVP_PKEY_free(pkey);
	}
	ERR_clear_error();
	return bio;
}

/*
 * Written under another name, synced and renamed, so that a key file is
 * either whole or not there. The caller holds the directory's lock.
 */
void
prov_key_create(const char *path)
{
	char	   *temp = psprintf("%s.tmp", path);
	struct stat st;
	BIO		   *bio;
	char	   *pem;
	long		len;
	int			fd;
	int			failed = 0;		/* errno */

	if (lstat(path, &st) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_FILE),
				 errmsg("file \"%s\" already exists", path)));
	if (unlink(temp) != 0 && errno != ENOENT)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", temp)));
	fd = OpenTransientFilePerm(temp, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY, S_IRUSR | S_IWUSR);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", temp)));

	/* nothing throws while the key is in memory */
	bio = new_key_pem();
	if (bio == NULL)
	{
		unlink(temp);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a signing key"),
				 errdetail("libcrypto failed.")));
	}
	len = BIO_get_mem_data(bio, &pem);
	errno = 0;
	if (write(fd, pem, len) != len)
		failed = errno ? errno : ENOSPC;
	else if (pg_fsync(fd) != 0)
		failed = errno;
	OPENSSL_cleanse(pem, len);
	BIO_free(bio);

	if (CloseTransientFile(fd) != 0 && failed == 0)
		failed = errno;
	if (failed)
	{
		unlink(temp);
		errno = failed;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", temp)));
	}
	(void) durable_rename(temp, path, ERROR);
}
