/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Values by key as a struct over data_meta, for comparison with trait_meta_* (trait.h), by the same calls: { u16 bytes of the struct, u16 0, u64 keys that are set }, then
 * fields at places that the compiler knows. What a runtime with layout `static` calls the same, if its packets get the fields in this order.
 *
 * Before it is included: #define TRAIT_FIELDS(field) field(KEY, BYTES) field(KEY, BYTES) …   with 4, 8 or 16 bytes.
 */
#ifndef SLUICE_TRAIT_STATIC_H
#define SLUICE_TRAIT_STATIC_H

#include "trait.h"

struct trait_struct {
	__u16 bytes;
	__u16 zero;
	__u64 set;
} __attribute__((packed));

#define TRAIT_FIELD_ALIGN(bytes) ((bytes) > 8 ? 8 : (bytes))
#define TRAIT_FIELD_AT(offset, bytes) (((offset) + TRAIT_FIELD_ALIGN(bytes) - 1) & ~(TRAIT_FIELD_ALIGN(bytes) - 1))

/* Place of the key's field in the struct, its length in `size`; -ENOENT. */
static __always_inline int trait_field(__u64 key, __u32 *size)
{
	__u32 offset = 0;

#define TRAIT_FIELD_PLACE(known, bytes)                                                                                \
	offset = TRAIT_FIELD_AT(offset, bytes);                                                                        \
	if (key == (known)) {                                                                                          \
		*size = (bytes);                                                                                       \
		return offset;                                                                                         \
	}                                                                                                              \
	offset += (bytes);
	TRAIT_FIELDS(TRAIT_FIELD_PLACE)
	return TRAIT_ENOENT;
}

static __always_inline __u32 trait_struct_bytes(void)
{
	__u32 offset = 0;

#define TRAIT_FIELD_ADD(known, bytes) offset = TRAIT_FIELD_AT(offset, bytes) + (bytes);
	TRAIT_FIELDS(TRAIT_FIELD_ADD)
	return (offset + 3) & ~3;
}

static __always_inline int trait_static_get(void *meta, void *data, __u64 key, void *value, __u32 size)
{
	struct trait_struct *header = meta;
	__u32 length = 0;
	int field;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	field = trait_field(key, &length);
	if (field < 0 || (void *)(header + 1) + trait_struct_bytes() > data || !(header->set >> key & 1))
		return TRAIT_ENOENT;
	if (length > size)
		return TRAIT_ENOSPC;
	trait_copy(value, (void *)(header + 1) + field, length > size ? 0 : length);
	return length;
}

static __always_inline int trait_static_is_set(void *meta, void *data, __u64 key)
{
	struct trait_struct *header = meta;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	return (void *)(header + 1) <= data && (header->set >> key & 1);
}

static __always_inline int trait_static_set(struct xdp_md *ctx, __u64 key, const void *value, __u32 size)
{
	void *meta = TRAIT_META(ctx), *data = TRAIT_DATA(ctx);
	struct trait_struct *header = meta;
	__u32 length = 0;
	int field;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	field = trait_field(key, &length);
	if (field < 0)
		return TRAIT_EINVAL;
	if (length != size)
		return TRAIT_EBUSY;
	if (meta == data) {
		if (bpf_xdp_adjust_meta(ctx, -(int)(sizeof(*header) + trait_struct_bytes())) != 0)
			return TRAIT_ENOSPC;
		meta = TRAIT_META(ctx);
		data = TRAIT_DATA(ctx);
		header = meta;
		if ((void *)(header + 1) > data)
			return TRAIT_ENOSPC;
		header->bytes = trait_struct_bytes();
		header->zero = 0;
		header->set = 0;
	}
	if ((void *)(header + 1) + trait_struct_bytes() > data)
		return TRAIT_ENOSPC;
	trait_copy((void *)(header + 1) + field, value, size);
	header->set |= (__u64)1 << key;
	return 0;
}

/* Its place stays. */
static __always_inline int trait_static_del(struct xdp_md *ctx, __u64 key)
{
	struct trait_struct *header = TRAIT_META(ctx);

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	if ((void *)(header + 1) > TRAIT_DATA(ctx) || !(header->set >> key & 1))
		return TRAIT_ENOENT;
	header->set &= ~((__u64)1 << key);
	return 0;
}

#endif
