/*
 * signer.h: the signing key and the signer's state, both in files.
 *
 * The state (doc/format.md, "Signer's state file") is what keeps a log from
 * being signed twice in two shapes: the greatest size ever signed, its root,
 * and whose it is. It lives outside the database on purpose, so that whatever
 * brings the database back to an earlier time leaves the state where it was.
 *
 * Files are read and written under a lock on the state directory (flock), by
 * workers and by setup(). What stops the signer is returned as a reason, a
 * sentence for people; an ERROR is something that may pass (a full disk).
 * No message, at any level, contains key material or the URI of a token.
 */
#ifndef PROV_SIGNER_H
#define PROV_SIGNER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "core/checkpoint.h"

/* Whose a state file is. The host is reported, not compared. */
typedef struct ProvOwner
{
	uint64		system_identifier;
	uint32		timeline;
	Oid			database;
	uint64		inode;			/* of the state directory */
	char	   *data_directory;
	char	   *host;
} ProvOwner;

typedef struct ProvSignerState
{
	char	   *witness;		/* NULL: the signer's own; else whose state as a witness it is */
	char	   *origin;			/* with incarnation */
	uint64		size;			/* greatest size ever signed */
	pv_hash		root;			/* the root at that size */
	ProvOwner	owner;
	char	   *note;			/* last note signed, or cosigned; NULL before the first */
	Size		notelen;
} ProvSignerState;

/* The state directory, open and locked. */
typedef struct ProvStateDir
{
	char	   *path;
	int			fd;
	uint64		inode;
} ProvStateDir;

/* --- state_dir.c ------------------------------------------------------- */

/*
 * The directory for a new log: made if missing (0700). *inside is set if it
 * had to be put into the data directory. configured: the setting, "" if unset.
 */
extern char *prov_state_directory_make(const char *configured, bool *inside);

/*
 * Where the state of a log is to be looked for by a worker; remembered: what
 * the identity row says. Nothing is created.
 */
extern char *prov_state_directory_find(const char *remembered);

/*
 * Opens, checks and locks the directory, waiting up to 10 s for the lock.
 * False and *reason if it is missing or not fit. The lock ends with
 * prov_state_unlock() or the (sub)transaction.
 */
extern bool prov_state_lock(const char *path, ProvStateDir *dir, char **reason);
extern void prov_state_unlock(ProvStateDir *dir);

/* "<directory>/<hex SHA-256 of origin>.<suffix>" */
extern char *prov_state_path(const ProvStateDir *dir, const char *origin, const char *suffix);

/* Where a witness (a log's full origin) keeps what it has cosigned of an origin. */
extern char *prov_cosigned_path(const ProvStateDir *dir, const char *witness, const char *origin);

/* Who this database is, seen from this directory. */
extern void prov_owner_self(const ProvStateDir *dir, ProvOwner *owner);

/* What differs between the owner of a file and this database, or NULL. */
extern char *prov_owner_difference(const ProvOwner *owner, const ProvOwner *self);

/* --- state_file.c ------------------------------------------------------ */

typedef enum ProvStateStatus
{
	PROV_STATE_OK,
	PROV_STATE_ABSENT,
	PROV_STATE_BAD				/* *reason says why */
} ProvStateStatus;

extern ProvStateStatus prov_state_read(const ProvStateDir *dir, const char *origin,
									   ProvSignerState *out, char **reason);

/* The same for what the witness has cosigned of an origin. */
extern ProvStateStatus prov_cosigned_read(const ProvStateDir *dir, const char *witness, const char *origin,
										  ProvSignerState *out, char **reason);

/* The paths of all its files, and reading one of them. */
extern List *prov_cosigned_files(const ProvStateDir *dir, const char *witness);
extern ProvStateStatus prov_cosigned_read_path(const char *path, const char *witness,
											   ProvSignerState *out, char **reason);

/* Replaces the file atomically and durably. */
extern void prov_state_write(const ProvStateDir *dir, const ProvSignerState *state);

/* --- cosigned.c --------------------------------------------------------- */

/*
 * Every head that this database has cosigned, one ProvSignerState for each
 * origin: of file and ledger the greater. *reason: a file cannot be used.
 */
struct ProvIdentity;
extern List *prov_cosigned_heads(const ProvStateDir *dir, const struct ProvIdentity *identity,
								 const ProvOwner *self, char **reason);

/* --- key.c ------------------------------------------------------------- */

/* A private key in libcrypto's memory; freed with the memory context it was loaded in. */
typedef struct ProvKey
{
	void	   *pkey;			/* EVP_PKEY */
	uint8		public_key[PV_ED25519_PUBLIC_LEN];
	MemoryContextCallback callback;
} ProvKey;

/*
 * Loads the Ed25519 private key of a path or OSSL_STORE URI; NULL and *reason
 * if there is none that can be used.
 */
extern ProvKey *prov_key_load(const char *where, char **reason);
extern void prov_key_free(ProvKey *key);

/* Makes a new key file; an ERROR if there is one. */
extern void prov_key_create(const char *path);

/* The verifier key of a signing key under an origin. */
extern char *prov_key_vkey(const ProvKey *key, const char *origin);

/* The setting, or the file that setup() made. */
extern char *prov_key_location(const char *configured, const ProvStateDir *dir, const char *origin);

/* --- passphrase.c ------------------------------------------------------ */

/*
 * The passphrase that provenance.signing_key_passphrase_command gives. False
 * and *reason if it fails, false and NULL if there is none. Wipe buf.
 */
extern bool prov_passphrase(char *buf, Size cap, char **reason);

/* --- log_keys.c -------------------------------------------------------- */

/* A row of log_key. */
typedef struct ProvLogKey
{
	int64		since_size;		/* greater checkpoints bear its signature */
	TimestampTz created_at;
	char	   *vkey;
	TransactionId xmin;
} ProvLogKey;

/* The keys of an incarnation, in the order in which they came. */
extern ProvLogKey *prov_log_keys(int incarnation, int *n);

/* The log's newest verifier key, as text; NULL if there is none. */
extern char *prov_log_vkey(int incarnation);

/*
 * True while the key before the newest still signs too. keys: n of them, as
 * prov_log_keys() gives them; overlap in seconds.
 */
extern bool prov_keys_overlap(const ProvLogKey *keys, int n, int overlap);

/* The settings that say where keys are. */
typedef struct ProvKeySettings
{
	const char *signing_key;
	const char *previous;
	int			overlap;
} ProvKeySettings;

/* As the database has them now: a standing worker may have connected long ago. */
extern void prov_key_settings(ProvKeySettings *out);

/* The keys that sign a head, the older first. */
typedef struct ProvSigners
{
	int			n;
	ProvKey    *keys[2];
} ProvSigners;

/*
 * Loads the keys that have to sign a head of that size now. False and *reason
 * without the newest; a previous key that is not there any more signs nothing.
 */
extern bool prov_signers_load(const ProvStateDir *dir, const char *origin, int incarnation, int64 size,
							  const ProvKeySettings *settings, ProvSigners *out, char **reason);
extern void prov_signers_free(ProvSigners *signers);

/* Loads the private key of a verifier key. */
extern ProvKey *prov_key_find(const ProvStateDir *dir, const char *origin, const char *vkey, bool previous,
							  const ProvKeySettings *settings, char **reason);

/*
 * After a rotation: the new key's file gets the usual name, and a key file
 * whose time is over is destroyed. Only once the state is signed.
 */
extern void prov_keys_tidy(const ProvStateDir *dir, const char *origin, int incarnation,
						   const ProvKeySettings *settings);

/* --- setup.c ----------------------------------------------------------- */

/*
 * State file (of size 0) and key of a new origin, in that directory; refuses
 * those that have been used. Returns the verifier key.
 */
extern char *prov_prepare_origin(const char *origin, const char *path);

/* Superuser, no standby, not read only. */
extern void prov_check_may_sign(const char *what);

/* The WARNING that the state lies in the data directory. */
extern void prov_warn_inside(const char *path);

/* Adds a row of log_key. */
extern void prov_log_key_insert(int incarnation, int64 since_size, const char *vkey);

/* --- incarnation.c ----------------------------------------------------- */

/*
 * Records the beginning of an incarnation, with the head that it gives up;
 * abandoned NULL: unknown.
 */
extern void prov_incarnation_record(int n, int64 since_size, const char *reason, const char *vkey,
									const ProvSignerState *abandoned);

#endif							/* PROV_SIGNER_H */
