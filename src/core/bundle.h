/*
 * bundle.h: what partners exchange (doc/format.md, "Bundle"), line by line.
 *
 * A reader takes the lines in order, checks each against the format and
 * against what came before, and hands out what is in it. At the last line it
 * has checked everything that needs no knowledge of the reader's own: form,
 * shapes, contexts, record commitments, row chains, the way to the
 * checkpoint's root, countersignatures, the digest. Whose checkpoint it is,
 * and whether it extends an older one, is the caller's to check, with
 * pv_checkpoint_verify() and pv_verify_consistency().
 *
 * Memory does not grow with the number of lines: a frontier of 64 hashes, 16
 * shapes, 256 context commitments, two sums. That the previous entries named
 * are exactly those marked as having a next one is checked by sums over keyed
 * hashes, under a key that the caller draws at random and that whoever made
 * the bundle cannot know.
 *
 * A writer puts tokens into a pv_buf of the caller and keeps the digest.
 *
 * What a failure of pv_bundle_read() or pv_bundle_reader_done() means:
 *
 *   PV_E_TRUNCATED    of pv_bundle_reader_done(): the last line is missing; of
 *                     pv_bundle_read(): as everything else
 *   PV_E_ORDER        not the line that must follow: its number, its kind, a
 *                     leaf index that does not rise, a line after the last
 *   PV_E_DIGEST       the lines are not those that were written
 *   PV_E_ORIGIN       checkpoint, shape or table of another log or table
 *   PV_E_COMMITMENT   fields do not give a context's or a record commitment
 *   PV_E_CHAIN        a previous entry is missing, another one, or that of two
 *   PV_E_PATH         a gap or path of the wrong length
 *   PV_E_ROOT         leaves and gaps give another root
 *   PV_E_SIGNATURE    a countersignature is wrong
 *   PV_E_CRYPTO, PV_E_STORAGE (keep gave no memory): no fault of the bundle
 *   everything else   a line is not as the format has it
 */
#ifndef PV_BUNDLE_H
#define PV_BUNDLE_H

#include "disclosure.h"
#include "merkle.h"

#define PV_BUNDLE_VERSION "provenance/bundle@v1"
#define PV_BUNDLE_MAX_CONTENT 268435455
#define PV_BUNDLE_SHAPES 16
#define PV_BUNDLE_CONTEXTS 256
#define PV_BUNDLE_MAX_CONSISTENCY 16
#define PV_BUNDLE_MAX_GAP PV_MAX_GAP
#define PV_BUNDLE_KEY_LEN 32
#define PV_PSEUDONYM_LEN 16
#define PV_PSEUDONYM_KEY_LEN 32

typedef enum pv_bundle_kind
{
	PV_BUNDLE_HEADER = 1,
	PV_BUNDLE_CHECKPOINT,
	PV_BUNDLE_CONSISTENCY,
	PV_BUNDLE_SHAPE,
	PV_BUNDLE_CONTEXT,
	PV_BUNDLE_ENTRY,
	PV_BUNDLE_COUNTERSIGNATURE,
	PV_BUNDLE_END
} pv_bundle_kind;

/* The word of a kind; NULL for a number that is none. */
extern const char *pv_bundle_kind_name(unsigned kind);

typedef struct pv_bundle_header
{
	pv_value	origin;
	uint64_t	size;
	uint64_t	since_size;
	uint32_t	table_id;
	pv_value	schema;			/* data NULL: none; then the table is none too */
	pv_value	table;
	bool		all_rows;		/* "all", not "keys" */
	pv_value	recipient;
	pv_value	purpose;
} pv_bundle_header;

typedef struct pv_bundle_entry
{
	uint64_t	index;
	unsigned	ngap;
	pv_hash		gap[PV_BUNDLE_MAX_GAP];
	uint8_t		leaf_bytes[PV_LEAF_LEN];
	pv_leaf		leaf;			/* filled by reading; not read by writing */
	pv_hash		leaf_hash;		/* the same */
	bool		has_previous;
	uint64_t	previous;
	bool		next;
	unsigned	shape_slot;
	bool		context_given;
	unsigned	context_slot;	/* if given */
	uint8_t		context_salt[PV_SALT_LEN];	/* if given */
	pv_hash		context_digest; /* if not */
	bool		has_pseudonym;
	uint8_t		pseudonym[PV_PSEUDONYM_LEN];
	bool		erased;			/* fields "!", context none; nfields is then 0 */
	size_t		nfields;
	pv_disclosed fields[PV_MAX_FIELDS]; /* names are filled by reading, not read by writing */
	const char *field_tokens;	/* reading: the fields as they stand in the content */
	size_t		field_tokens_len;
} pv_bundle_entry;

/*
 * Memory for what a slot keeps, aligned for anything and good until that
 * slot's next call; at most some 70 kB for a shape of 1664 columns and the
 * bytes of the shape. NULL: none to be had.
 */
typedef void *(*pv_bundle_keep) (void *arg, unsigned slot, size_t len);

/* The digest of what was written or read so far; it belongs to one thread. */
typedef struct pv_bundle_digest
{
	pv_hasher	hasher;
} pv_bundle_digest;

typedef struct pv_bundle_shape
{
	bool		used;
	pv_hash		digest;
	const uint8_t *bytes;		/* in what keep gave */
	size_t		len;
	pv_shape	shape;
} pv_bundle_shape;

/*
 * Large (some 200 kB) and not to be moved: what it hands out points into it,
 * into the content of the line just read, or into scratch, and lives until the
 * next line unless it says otherwise.
 */
typedef struct pv_bundle_reader
{
	/* of the caller */
	pv_hasher  *hasher;
	pv_bundle_keep keep;
	void	   *keep_arg;
	uint8_t		key[PV_BUNDLE_KEY_LEN];

	/* what the last line held */
	pv_bundle_kind kind;
	pv_bundle_header header;	/* stays, but for recipient and purpose: good for the header line only */
	const char *note;			/* checkpoint line: the note, in scratch */
	size_t		notelen;
	pv_checkpoint checkpoint;	/* origin and note good for the checkpoint line only; size and root stay */
	uint64_t	old_size;		/* consistency line */
	unsigned	npath;
	pv_hash		path[PV_MAX_PATH];
	unsigned	slot;			/* shape and context lines */
	pv_hash		context_commitment;	/* context line */
	pv_disclosed context[PV_CONTEXT_FIELDS];
	const char *context_tokens; /* its fields as they stand */
	size_t		context_tokens_len;
	pv_bundle_entry entry;		/* index, leaf and leaf hash stay until the next entry */
	const uint8_t *public_key;	/* countersignature line, of that entry: 32 and 64 bytes */
	const uint8_t *signature;
	unsigned	nlast;			/* end line: its gap */
	pv_hash		last[PV_BUNDLE_MAX_GAP];
	pv_hash		digest;			/* end line: of the bundle */
	uint64_t	nentries;		/* so far */

	/* what it knows */
	uint64_t	line;			/* lines read */
	pv_bundle_shape shapes[PV_BUNDLE_SHAPES];
	bool		context_used[PV_BUNDLE_CONTEXTS];
	pv_hash		contexts[PV_BUNDLE_CONTEXTS];

	/* the rest is the reader's own */
	pv_frontier tree;			/* up to the last entry */
	uint64_t	previous_sum[4];	/* of the previous entries named */
	uint64_t	next_sum[4];	/* of the entries marked as having a next one */
	unsigned	nconsistency;
	bool		shapes_seen;
	bool		names_seen;		/* a shape has had the header's schema and table */
	bool		failed;
	bool		finished;
	char		origin[PV_ORIGIN_MAX];	/* what the header points at */
	char		schema[PV_MAX_NAME];
	char		table[PV_MAX_NAME];
	uint8_t		last_public_key[PV_ED25519_PUBLIC_LEN];
	pv_bundle_digest written;
} pv_bundle_reader;

/*
 * key: 32 random bytes, of this reading alone. PV_E_CRYPTO. Free with
 * pv_bundle_reader_free(), also after a failure.
 */
extern pv_status pv_bundle_reader_init(pv_bundle_reader *r, pv_hasher *hasher,
									   const uint8_t key[PV_BUNDLE_KEY_LEN],
									   pv_bundle_keep keep, void *keep_arg);
extern void pv_bundle_reader_free(pv_bundle_reader *r);

/*
 * Takes one line. scratch gets what base64 stands for: len bytes are always
 * enough. After PV_OK r->kind says what it was and the members for that kind
 * are filled; after an END everything has been checked. On failure *what is a
 * constant phrase that says what does not hold, and the reader is of no use
 * any more.
 */
extern pv_status pv_bundle_read(pv_bundle_reader *r, uint64_t line, const char *kind, size_t kindlen,
								const char *content, size_t len, uint8_t *scratch, size_t cap,
								const char **what);

/* Has the last line been read? PV_E_TRUNCATED if not; for the end of the input. */
extern pv_status pv_bundle_reader_done(const pv_bundle_reader *r, const char **what);

/* --- writing ----------------------------------------------------------- */

/*
 * Each writes the content of one line into b; pv_buf_status() says whether it
 * fitted. The checkpoint line's is pv_put_base64() of the note. The digest is
 * kept by pv_bundle_digest_line(), over all lines but the last.
 */
extern void pv_put_bundle_text(pv_buf *b, pv_value text);
extern void pv_put_bundle_field(pv_buf *b, const pv_disclosed *field);
extern void pv_put_bundle_header(pv_buf *b, const pv_bundle_header *header);
extern void pv_put_bundle_consistency(pv_buf *b, uint64_t old_size, const pv_hash *path, unsigned n);
extern void pv_put_bundle_shape(pv_buf *b, unsigned slot, const void *shape, size_t len);
extern void pv_put_bundle_context(pv_buf *b, unsigned slot, const pv_hash *commitment, const pv_disclosed *fields);
extern void pv_put_bundle_entry(pv_buf *b, const pv_bundle_entry *entry);
extern void pv_put_bundle_countersignature(pv_buf *b, uint64_t index, const uint8_t public_key[PV_ED25519_PUBLIC_LEN],
										   const uint8_t signature[PV_ED25519_SIGNATURE_LEN]);
extern void pv_put_bundle_end(pv_buf *b, uint64_t nentries, const pv_hash *gap, unsigned n, const pv_hash *digest);

/* PV_E_CRYPTO. Free with pv_bundle_digest_free(), also after a failure. */
extern pv_status pv_bundle_digest_init(pv_bundle_digest *d);
extern void pv_bundle_digest_free(pv_bundle_digest *d);
extern pv_status pv_bundle_digest_line(pv_bundle_digest *d, uint64_t line, const char *kind,
									   const char *content, size_t len);
extern pv_status pv_bundle_digest_end(pv_bundle_digest *d, pv_hash *out);

/*
 * Fields of a content's tokens (what field_tokens points at), for who stored
 * them: no names. scratch as in pv_bundle_read(). PV_E_COUNT above max.
 */
extern pv_status pv_bundle_fields_parse(const char *tokens, size_t len, uint8_t *scratch, size_t cap,
										pv_disclosed *fields, size_t max, size_t *n, bool *erased);

/* Message of a countersignature over a leaf (doc/format.md, "Countersignature"). */
#define PV_COUNTERSIGNATURE_MESSAGE_LEN (31 + PV_LEAF_LEN)
extern void pv_put_countersignature_message(pv_buf *b, const uint8_t leaf[PV_LEAF_LEN]);

/* doc/format.md, "Pseudonym". */
extern pv_status pv_pseudonym(pv_hasher *h, const uint8_t key[PV_PSEUDONYM_KEY_LEN], const void *subject, size_t len,
							  uint8_t out[PV_PSEUDONYM_LEN]);

#endif							/* PV_BUNDLE_H */
