/*
 * bundle_write.c: the contents of a bundle's lines.
 *
 * Nothing is checked here: a writer hands over what its own ledger holds. What
 * comes out has one spelling, and bundle_read.c takes no other.
 */
#include "bundle.h"

static const char *const kinds[] = {
	[PV_BUNDLE_HEADER] = "bundle",
	[PV_BUNDLE_CHECKPOINT] = "checkpoint",
	[PV_BUNDLE_CONSISTENCY] = "consistency",
	[PV_BUNDLE_SHAPE] = "shape",
	[PV_BUNDLE_CONTEXT] = "context",
	[PV_BUNDLE_ENTRY] = "entry",
	[PV_BUNDLE_COUNTERSIGNATURE] = "countersignature",
	[PV_BUNDLE_END] = "end",
};

const char *
pv_bundle_kind_name(unsigned kind)
{
	return kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[kind] : NULL;
}

static void
put_bar(pv_buf *b)
{
	pv_put_u8(b, '|');
}

static void
put_hashes(pv_buf *b, const pv_hash *hashes, unsigned n)
{
	pv_put_base64(b, hashes, (size_t) n * PV_HASH_LEN);
}

void
pv_put_bundle_header(pv_buf *b, const pv_bundle_header *h)
{
	pv_put_str(b, PV_BUNDLE_VERSION "|");
	pv_put_bytes(b, h->origin.data, h->origin.len);
	put_bar(b);
	pv_put_decimal(b, h->size);
	put_bar(b);
	pv_put_decimal(b, h->since_size);
	put_bar(b);
	pv_put_decimal(b, h->table_id);
	put_bar(b);
	pv_put_bundle_text(b, h->schema);
	put_bar(b);
	pv_put_bundle_text(b, h->table);
	pv_put_str(b, h->all_rows ? "|all|" : "|keys|");
	pv_put_bundle_text(b, h->recipient);
	put_bar(b);
	pv_put_bundle_text(b, h->purpose);
}

void
pv_put_bundle_consistency(pv_buf *b, uint64_t old_size, const pv_hash *path, unsigned n)
{
	pv_put_decimal(b, old_size);
	put_bar(b);
	put_hashes(b, path, n);
}

void
pv_put_bundle_shape(pv_buf *b, unsigned slot, const void *shape, size_t len)
{
	pv_put_decimal(b, slot);
	put_bar(b);
	pv_put_base64(b, shape, len);
}

void
pv_put_bundle_context(pv_buf *b, unsigned slot, const pv_hash *commitment, const pv_disclosed *fields)
{
	pv_put_decimal(b, slot);
	put_bar(b);
	put_hashes(b, commitment, 1);
	for (size_t i = 0; i < PV_CONTEXT_FIELDS; i++)
	{
		put_bar(b);
		pv_put_bundle_field(b, &fields[i]);
	}
}

void
pv_put_bundle_entry(pv_buf *b, const pv_bundle_entry *e)
{
	pv_put_decimal(b, e->index);
	put_bar(b);
	put_hashes(b, e->gap, e->ngap);
	put_bar(b);
	pv_put_base64(b, e->leaf_bytes, PV_LEAF_LEN);
	put_bar(b);
	if (e->has_previous)
		pv_put_decimal(b, e->previous);
	else
		pv_put_u8(b, '-');
	pv_put_str(b, e->next ? "|1|" : "|0|");
	pv_put_decimal(b, e->shape_slot);
	put_bar(b);
	if (e->erased)
		pv_put_u8(b, '-');
	else if (e->context_given)
	{
		pv_put_decimal(b, e->context_slot);
		pv_put_u8(b, ':');
		pv_put_base64(b, e->context_salt, PV_SALT_LEN);
	}
	else
	{
		pv_put_u8(b, '-');
		put_hashes(b, &e->context_digest, 1);
	}
	put_bar(b);
	if (e->has_pseudonym)
		pv_put_base64(b, e->pseudonym, PV_PSEUDONYM_LEN);
	else
		pv_put_u8(b, '-');
	if (e->erased)
		pv_put_str(b, "|!");
	for (size_t i = 0; !e->erased && i < e->nfields; i++)
	{
		put_bar(b);
		pv_put_bundle_field(b, &e->fields[i]);
	}
}

void
pv_put_bundle_countersignature(pv_buf *b, uint64_t index, const uint8_t public_key[PV_ED25519_PUBLIC_LEN],
							   const uint8_t signature[PV_ED25519_SIGNATURE_LEN])
{
	pv_put_decimal(b, index);
	put_bar(b);
	pv_put_base64(b, public_key, PV_ED25519_PUBLIC_LEN);
	put_bar(b);
	pv_put_base64(b, signature, PV_ED25519_SIGNATURE_LEN);
}

void
pv_put_bundle_end(pv_buf *b, uint64_t nentries, const pv_hash *gap, unsigned n, const pv_hash *digest)
{
	pv_put_decimal(b, nentries);
	put_bar(b);
	put_hashes(b, gap, n);
	put_bar(b);
	put_hashes(b, digest, 1);
}
