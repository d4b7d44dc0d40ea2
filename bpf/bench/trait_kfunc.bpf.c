/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Traits by the kfuncs of Sluice, in whatever layout and place the runtime has. */
#define TRAIT_SET(ctx, key, value, size) bpf_xdp_trait_set(ctx, key, value, size, 0)
#define TRAIT_GET(ctx, key, value, size) bpf_xdp_trait_get(ctx, key, value, size)
#define TRAIT_IS_SET(ctx, key) bpf_xdp_trait_is_set(ctx, key)
#define TRAIT_DEL(ctx, key) bpf_xdp_trait_del(ctx, key)
#include "trait.h"
