/*
 * hash.h: SHA-256 and the hashes of the tree.
 *
 * Every hash input of the formats begins with a domain byte, so that no hash
 * of one kind can be presented as another (doc/format.md, "Domains"). 0x00 and
 * 0x01 are those of RFC 6962, section 2.1.
 *
 * A pv_hasher holds a fetched algorithm and one reused context: fetching and
 * allocating per hash costs several times the hash of a short input. It
 * belongs to one thread; libcrypto allocates it, pv_hasher_free() frees it.
 * Where the algorithm fetched is that of libcrypto's default provider, its
 * functions are called without the layer in between, which costs more than
 * hashing a field does; any other provider (FIPS) is used as it is configured.
 */
#ifndef PV_HASH_H
#define PV_HASH_H

#include "bytes.h"

#define PV_HASH_LEN 32

/* Domain bytes. */
#define PV_DOMAIN_LEAF			0x00	/* RFC 6962: leaf of the tree */
#define PV_DOMAIN_NODE			0x01	/* RFC 6962: inner node */
#define PV_DOMAIN_FIELD			0x02	/* field digest of an entry */
#define PV_DOMAIN_RECORD		0x03	/* record commitment */
#define PV_DOMAIN_CONTEXT		0x04	/* context commitment */
#define PV_DOMAIN_SHAPE			0x05	/* shape digest */
#define PV_DOMAIN_CONTEXT_FIELD	0x06	/* field digest of a context */
#define PV_DOMAIN_ROW			0x07	/* row identity */
#define PV_DOMAIN_BUNDLE		0x08	/* bundle digest */

typedef struct pv_hash
{
	uint8_t		b[PV_HASH_LEN];
} pv_hash;

typedef struct pv_hasher
{
	void	   *md;				/* EVP_MD, fetched once */
	void	   *ctx;			/* EVP_MD_CTX, reused */
	bool		failed;			/* since pv_hash_begin() */
	bool		direct;			/* state is used, not ctx */
	uint64_t	state[14];		/* a SHA256_CTX */
	uint64_t	start[14];		/* what it begins with */
} pv_hasher;

/* PV_E_CRYPTO if libcrypto has no SHA-256. Free with pv_hasher_free(). */
extern pv_status pv_hasher_init(pv_hasher *h);
extern void pv_hasher_free(pv_hasher *h);

/*
 * Streaming: begin, any number of adds, end. A failure of libcrypto is
 * remembered and returned by pv_hash_end().
 */
extern void pv_hash_begin(pv_hasher *h);
extern void pv_hash_add(pv_hasher *h, const void *data, size_t len);
extern pv_status pv_hash_end(pv_hasher *h, pv_hash *out);

/* SHA-256 of one piece of memory. */
extern pv_status pv_sha256(pv_hasher *h, const void *data, size_t len, pv_hash *out);

/*
 * The same; behind data there are PV_HASH_ROOM bytes that may be overwritten.
 * Padded there, a short input is hashed where it lies.
 */
#define PV_HASH_ROOM 72
extern pv_status pv_sha256_in_place(pv_hasher *h, uint8_t *data, size_t len, pv_hash *out);

/* SHA-256(0x00 || leaf). RFC 6962, section 2.1. */
extern pv_status pv_leaf_hash(pv_hasher *h, const void *leaf, size_t len, pv_hash *out);

/* SHA-256(0x01 || left || right). out may be left or right. */
extern pv_status pv_node_hash(pv_hasher *h, const pv_hash *left, const pv_hash *right, pv_hash *out);

/* SHA-256 of nothing: the root of the empty tree. */
extern const pv_hash pv_empty_root;

extern bool pv_hash_equal(const pv_hash *a, const pv_hash *b);
extern bool pv_hash_is_zero(const pv_hash *a);

#endif							/* PV_HASH_H */
