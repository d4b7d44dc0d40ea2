/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The way to the traits: a struct in C over data_meta. Each operation is a global function, which the verifier walks once. */
/* Those of the programs. */
#define TRAIT_FIELDS(field) \
	field(0, 8) field(1, 8) field(2, 8) field(3, 8) field(4, 8) field(5, 8) field(6, 8) field(7, 8) \
	field(8, 8) field(9, 8) field(10, 8) field(11, 8) field(12, 8) field(13, 8) field(14, 8) field(15, 8) \
	field(60, 8) field(61, 8) field(62, 8)
#include <sluice/trait_static.h>

__noinline int meta_set(struct xdp_md *ctx, __u64 key, __u64 value)
{
	return trait_static_set(ctx, key, &value, 8);
}

struct room {
	__u64 value;
};

__noinline int meta_get(struct xdp_md *ctx, __u64 key, struct room *room)
{
	return room ? trait_static_get(TRAIT_META(ctx), TRAIT_DATA(ctx), key, &room->value, 8) : TRAIT_EINVAL;
}

__noinline int meta_is_set(struct xdp_md *ctx, __u64 key)
{
	return trait_static_is_set(TRAIT_META(ctx), TRAIT_DATA(ctx), key);
}

__noinline int meta_del(struct xdp_md *ctx, __u64 key)
{
	return trait_static_del(ctx, key);
}

#define TRAIT_SET(ctx, key, value, size) meta_set(ctx, key, *(value))
#define TRAIT_GET(ctx, key, value, size) meta_get(ctx, key, (struct room *)(value))
#define TRAIT_IS_SET(ctx, key) meta_is_set(ctx, key)
#define TRAIT_DEL(ctx, key) meta_del(ctx, key)
/* Takes all of them away. */
#define TRAIT_RESET(ctx) bpf_xdp_adjust_meta(ctx, (ctx)->data - (ctx)->data_meta)
