/*
 * types.h: the SQL types hash, checkpoint and proof, for the other folders.
 *
 * A hash is 32 bytes, passed by reference, a pv_hash as it stands. A
 * checkpoint and a proof are varlenas that hold the exact bytes of their
 * format, UTF-8 whatever the database's encoding; whatever is inside one has
 * been parsed once, on its way in. The functions below that make a datum out
 * of bytes do not parse again: they are for bytes that the caller has written
 * or parsed itself.
 *
 * Memory: what returns a Datum or a pointer pallocs in the current context,
 * unless it points into its argument. The hasher and the salter live as long
 * as the backend and are never in use between two calls into the core.
 */
#ifndef PROV_TYPES_H
#define PROV_TYPES_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "core/checkpoint.h"
#include "core/commitment.h"
#include "core/hash.h"
#include "core/merkle.h"
#include "core/proof.h"
#include "core/signature.h"

#define PROV_SCHEMA "provenance"

/* hash */
#define DatumGetHashP(X) ((pv_hash *) DatumGetPointer(X))
#define HashPGetDatum(X) PointerGetDatum(X)
#define PG_GETARG_HASH_P(n) DatumGetHashP(PG_GETARG_DATUM(n))
#define PG_RETURN_HASH_P(x) return HashPGetDatum(x)

/* A palloc'd copy. */
extern Datum hash_to_datum(const pv_hash *hash);

/* OID of the type hash, for array elements and descriptors. */
extern Oid	hash_type_oid(void);

extern Datum hash_array_to_datum(const pv_hash *hashes, int n);

/*
 * The elements, palloc'd; *n gets their number. An error of the caller's
 * (22004, 2202E) for a NULL element or more than one dimension.
 */
extern pv_hash *hash_array_get(ArrayType *array, int *n);

/* checkpoint */
extern Datum checkpoint_to_datum(const void *note, size_t len);

/* The note's bytes, detoasted where necessary, not terminated. */
extern const char *checkpoint_bytes(Datum checkpoint, size_t *len);

/* Parses a value of type checkpoint. The parts point into its bytes. */
extern void checkpoint_get(Datum checkpoint, pv_checkpoint *out);

/* proof */
extern Datum proof_to_datum(const void *proof, size_t len);
extern const char *proof_bytes(Datum proof, size_t *len);

/* Parses a value of type proof, and the checkpoint in it. */
extern void proof_get(Datum proof, pv_proof *out, pv_checkpoint *checkpoint);

/*
 * Parsing with a sentence for people: true, or false and in fault what is
 * wrong where, fit for an errdetail. Nothing is thrown.
 */
#define PROV_FAULT_LEN 200
extern bool checkpoint_check(const char *data, size_t len, pv_checkpoint *out, char fault[PROV_FAULT_LEN]);
extern bool proof_check(const char *data, size_t len, pv_proof *out, pv_checkpoint *checkpoint,
						char fault[PROV_FAULT_LEN]);

/*
 * Text in the database's encoding to UTF-8 and back. The result may be the
 * argument itself, and need not be terminated; NULL if a character has no
 * equivalent.
 */
extern char *prov_to_utf8(const char *s, size_t len, size_t *outlen);
extern char *prov_from_utf8(const char *s, size_t len, size_t *outlen);

/*
 * The text form of a format's bytes, as the types' output gives it: in the
 * database's encoding, or \x and hex. And back: NULL if it is none.
 */
extern char *prov_format_out(const char *data, size_t len);
extern char *prov_format_in(const char *text, size_t textlen, size_t *len);

/*
 * The verifier keys of a text[]: an error of the caller's for a malformed or
 * unsupported one (22023), for a NULL (22004), for more than 64.
 */
#define PROV_MAX_VKEYS 64
extern pv_vkey *prov_vkeys(ArrayType *array, unsigned *n);

/*
 * True for PV_OK, false for what a signature or path says when it does not
 * hold. Throws if the answer is unknown, because libcrypto failed.
 */
extern bool prov_holds(pv_status status);

/* An ERROR for a status that a call into the core was not to return. */
extern void prov_check(pv_status status);

/* One per backend, made when first asked for. */
extern pv_hasher *prov_hasher(void);
extern pv_salter *prov_salter(void);

#endif							/* PROV_TYPES_H */
