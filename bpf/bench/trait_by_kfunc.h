/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The way to the traits: kfuncs. */
#include <sluice/trait.h>

#define TRAIT_SET(ctx, key, value, size) bpf_xdp_trait_set(ctx, key, value, size, 0)
#define TRAIT_GET(ctx, key, value, size) bpf_xdp_trait_get(ctx, key, value, size)
#define TRAIT_IS_SET(ctx, key) bpf_xdp_trait_is_set(ctx, key)
#define TRAIT_DEL(ctx, key) bpf_xdp_trait_del(ctx, key)

struct three {
	struct trait_entry entries[3];
	__u64 values[3];
};

static __always_inline void three_keys(struct three *three)
{
	for (int i = 0; i < 3; i++)
		three->entries[i] = (struct trait_entry){ .key = 2 + 2 * i, .size = 8, .offset = 8 * i };
}

static __always_inline int set_three(struct xdp_md *ctx, __u64 value)
{
	struct three three = { .values = { value, value, value } };

	three_keys(&three);
	return bpf_xdp_trait_set_batch(ctx, three.entries, sizeof(three.entries), three.values, sizeof(three.values));
}

static __always_inline int get_three(struct xdp_md *ctx, __u64 *value)
{
	struct three three = {};
	int found;

	three_keys(&three);
	found = bpf_xdp_trait_get_batch(ctx, three.entries, sizeof(three.entries), three.values, sizeof(three.values));
	*value = three.values[2];
	return found;
}

#define TRAIT_SET_THREE(ctx, value) set_three(ctx, value)
#define TRAIT_GET_THREE(ctx, value) get_three(ctx, value)
