/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Operations by a C form over data_meta: the same in Linux. Include with TRAIT_LAYOUT set, or with names of another form in place of trait_meta_*. */
#include "operations.h"

/* Lengths besides 4 and 8. */
#ifndef META_HAS
#define META_HAS(size) (TRAIT_LAYOUT == (size == 16 ? TRAIT_4_8_16 : TRAIT_0_4_8))
#endif

/* Global functions: the verifier walks each once, and not at every call. */
__noinline int set_0(struct xdp_md *ctx, __u64 key)
{
	__u32 none = 0;

	return trait_meta_set(ctx, key, &none, 0);
}

__noinline int set_4(struct xdp_md *ctx, __u64 key, __u32 value)
{
	return trait_meta_set(ctx, key, &value, 4);
}

__noinline int set_8(struct xdp_md *ctx, __u64 key, __u64 value)
{
	return trait_meta_set(ctx, key, &value, 8);
}

__noinline int set_16(struct xdp_md *ctx, __u64 key, __u64 first, __u64 second)
{
	__u64 value[2] = { first, second };

	return trait_meta_set(ctx, key, value, 16);
}

__noinline int del(struct xdp_md *ctx, __u64 key)
{
	return trait_meta_del(ctx, key);
}

struct room {
	__u64 words[2];
};

__noinline int get(struct xdp_md *ctx, __u64 key, struct room *value, __u32 size)
{
	struct room room = {};
	int result;

	if (!value)
		return TRAIT_EINVAL;
	if (size >= 16)
		result = trait_meta_get(TRAIT_META(ctx), TRAIT_DATA(ctx), key, &room, 16);
	else if (size >= 8)
		result = trait_meta_get(TRAIT_META(ctx), TRAIT_DATA(ctx), key, &room, 8);
	else if (size >= 4)
		result = trait_meta_get(TRAIT_META(ctx), TRAIT_DATA(ctx), key, &room, 4);
	else
		result = trait_meta_get(TRAIT_META(ctx), TRAIT_DATA(ctx), key, &room, 0);
	if (result >= 4)
		*(__u32 *)value = room.words[0];
	if (result >= 8)
		value->words[0] = room.words[0];
	if (result >= 16)
		value->words[1] = room.words[1];
	return result;
}

static __always_inline void run_meta(struct xdp_md *ctx, struct operation *op)
{
	__u32 size = op->size;

	switch (op->kind) {
	case SET:
		if (size == 4)
			op->result = set_4(ctx, op->key, *(__u32 *)op->value);
		else if (size == 8)
			op->result = set_8(ctx, op->key, *(__u64 *)op->value);
		else if (size == 16 && META_HAS(16))
			op->result = set_16(ctx, op->key, ((__u64 *)op->value)[0], ((__u64 *)op->value)[1]);
		else if (size == 0 && META_HAS(0))
			op->result = set_0(ctx, op->key);
		else
			op->result = TRAIT_EINVAL;
		break;
	case GET:
		op->result = get(ctx, op->key, (struct room *)op->value, size);
		break;
	case DEL:
		op->result = del(ctx, op->key);
		break;
	case IS_SET:
		op->result = trait_meta_is_set(TRAIT_META(ctx), TRAIT_DATA(ctx), op->key);
		break;
	}
}

OPERATIONS_PROGRAM(trait_meta, run_meta)

char _license[] SEC("license") = "Dual MIT/GPL";
