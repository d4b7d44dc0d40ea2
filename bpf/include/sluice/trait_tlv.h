/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Values by key as a list over data_meta, for comparison with trait_meta_* (trait.h), by the same calls: { u16 bytes of entries, u16 0 }, then entries { u16 key, u16 length,
 * value padded to 4 bytes }, the newest first. What it writes is what a runtime with layout `tlv` and placement `meta` reads, and the other way round, but for values of 1 and 2 bytes.
 * Lengths are constants: 0, 4, 8, 16.
 */
#ifndef SLUICE_TRAIT_TLV_H
#define SLUICE_TRAIT_TLV_H

#include "trait.h"

struct trait_tlv_header {
	__u16 bytes;
	__u16 zero;
};

struct trait_tlv {
	__u16 key;
	__u16 length;
};

/* Entries that fit into the longest metadata. */
enum { TRAIT_TLV_MOST = (TRAIT_META_MAX - 4) / 4 };

/* Offset of the key's entry, -ENOENT. */
static __always_inline int trait_tlv_find(void *meta, void *data, __u64 key)
{
	struct trait_tlv_header *header = meta;
	__u32 offset = sizeof(*header), last, i;

	if ((void *)(header + 1) > data)
		return TRAIT_ENOENT;
	last = sizeof(*header) + header->bytes;
	__no_unroll for (i = 0; i < TRAIT_TLV_MOST; i++) {
		struct trait_tlv *entry;
		__u32 next;

		TRAIT_BOUND(offset);
		entry = meta + offset;
		if ((void *)(entry + 1) > data)
			break;
		next = offset + sizeof(*entry) + ((entry->length + 3) & ~3);
		if (next > last || next > TRAIT_META_MAX)
			break;
		if (entry->key == key)
			return offset;
		offset = next;
	}
	return TRAIT_ENOENT;
}

static __always_inline int trait_tlv_get(void *meta, void *data, __u64 key, void *value, __u32 size)
{
	struct trait_tlv *entry;
	__u32 offset, length;
	int found;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	found = trait_tlv_find(meta, data, key);
	if (found < 0)
		return found;
	offset = found;
	TRAIT_BOUND(offset);
	entry = meta + offset;
	if ((void *)(entry + 1) > data)
		return TRAIT_ENOENT;
	length = entry->length;
	if (length > 16)
		return TRAIT_ENOENT;
	if (length > size)
		return TRAIT_ENOSPC;
	if (length == 4 && size >= 4 && (void *)(entry + 1) + 4 <= data)
		trait_copy(value, entry + 1, 4);
	else if (length == 8 && size >= 8 && (void *)(entry + 1) + 8 <= data)
		trait_copy(value, entry + 1, size < 8 ? 0 : 8);
	else if (length == 16 && size >= 16 && (void *)(entry + 1) + 16 <= data)
		trait_copy(value, entry + 1, size < 16 ? 0 : 16);
	else if (length != 0)
		return TRAIT_ENOENT;
	return length;
}

static __always_inline int trait_tlv_is_set(void *meta, void *data, __u64 key)
{
	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	return trait_tlv_find(meta, data, key) >= 0;
}

static __always_inline int trait_tlv_set(struct xdp_md *ctx, __u64 key, const void *value, __u32 size)
{
	void *meta = TRAIT_META(ctx), *data = TRAIT_DATA(ctx);
	struct trait_tlv_header *header;
	struct trait_tlv *entry;
	__u32 bytes = 0, offset;
	int found;

	if (key >= TRAIT_KEYS || (size != 0 && size != 4 && size != 8 && size != 16))
		return TRAIT_EINVAL;
	found = trait_tlv_find(meta, data, key);
	if (found >= 0) {
		offset = found;
		TRAIT_BOUND(offset);
		entry = meta + offset;
		if ((void *)(entry + 1) > data)
			return TRAIT_ENOSPC;
		if (entry->length != size)
			return TRAIT_EBUSY;
		if ((void *)(entry + 1) + size > data)
			return TRAIT_ENOSPC;
		trait_copy(entry + 1, value, size);
		return 0;
	}
	if (meta == data) {
		if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*header)) != 0)
			return TRAIT_ENOSPC;
	} else {
		header = meta;
		if ((void *)(header + 1) > data)
			return TRAIT_ENOSPC;
		bytes = header->bytes;
		if (bytes > TRAIT_META_MAX || meta + sizeof(*header) + (bytes & 0xff) > data)
			return TRAIT_ENOSPC;
	}
	if (bpf_xdp_adjust_meta(ctx, -(int)(sizeof(*entry) + size)) != 0)
		return TRAIT_ENOSPC;
	meta = TRAIT_META(ctx);
	data = TRAIT_DATA(ctx);
	header = meta;
	entry = (struct trait_tlv *)(header + 1);
	if ((void *)(entry + 1) + size > data)
		return TRAIT_ENOSPC;
	header->bytes = bytes + sizeof(*entry) + size;
	header->zero = 0;
	entry->key = key;
	entry->length = size;
	trait_copy(entry + 1, value, size);
	return 0;
}

static __always_inline int trait_tlv_del(struct xdp_md *ctx, __u64 key)
{
	void *meta = TRAIT_META(ctx), *data = TRAIT_DATA(ctx);
	struct trait_tlv_header *header = meta;
	__u32 offset, length, bytes;
	struct trait_tlv *entry;
	int found;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	found = trait_tlv_find(meta, data, key);
	if (found < 0)
		return found;
	offset = found;
	TRAIT_BOUND(offset);
	entry = meta + offset;
	if ((void *)(entry + 1) > data || (void *)(header + 1) > data)
		return TRAIT_ENOENT;
	bytes = header->bytes;
	length = sizeof(*entry) + ((entry->length + 3) & ~3);
	if (length == 4)
		trait_move_up(meta, data, offset, 4);
	else if (length == 8)
		trait_move_up(meta, data, offset, 8);
	else if (length == 12)
		trait_move_up(meta, data, offset, 12);
	else if (length == 20)
		trait_move_up(meta, data, offset, 20);
	else
		return TRAIT_ENOENT;
	if (bpf_xdp_adjust_meta(ctx, length) != 0)
		return TRAIT_ENOENT;
	meta = TRAIT_META(ctx);
	data = TRAIT_DATA(ctx);
	header = meta;
	if ((void *)(header + 1) > data)
		return TRAIT_ENOENT;
	header->bytes = bytes - length;
	return 0;
}

#endif
