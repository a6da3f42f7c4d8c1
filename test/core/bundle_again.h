/*
 * bundle_again.h: the line that a bundle's reader has just taken, written
 * again from what it handed out.
 */
#ifndef BUNDLE_AGAIN_H
#define BUNDLE_AGAIN_H

#include "bundle.h"

static inline void
bu_put_again(const pv_bundle_reader *r, pv_buf *b)
{
	switch (r->kind)
	{
		case PV_BUNDLE_HEADER:
			pv_put_bundle_header(b, &r->header);
			break;
		case PV_BUNDLE_CHECKPOINT:
			pv_put_base64(b, r->note, r->notelen);
			break;
		case PV_BUNDLE_CONSISTENCY:
			pv_put_bundle_consistency(b, r->old_size, r->path, r->npath);
			break;
		case PV_BUNDLE_SHAPE:
			pv_put_bundle_shape(b, r->slot, r->shapes[r->slot].bytes, r->shapes[r->slot].len);
			break;
		case PV_BUNDLE_CONTEXT:
			pv_put_bundle_context(b, r->slot, &r->context_commitment, r->context);
			break;
		case PV_BUNDLE_ENTRY:
			pv_put_bundle_entry(b, &r->entry);
			break;
		case PV_BUNDLE_COUNTERSIGNATURE:
			pv_put_bundle_countersignature(b, r->entry.index, r->public_key, r->signature);
			break;
		case PV_BUNDLE_END:
			pv_put_bundle_end(b, r->nentries, r->last, r->nlast, &r->digest);
			break;
	}
}

#endif							/* BUNDLE_AGAIN_H */
