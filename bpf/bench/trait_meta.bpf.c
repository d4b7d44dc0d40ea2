/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Traits in C over data_meta: the same program in Linux. */
#define TRAIT_SET(ctx, key, value, size) trait_meta_set(ctx, key, value, size)
#define TRAIT_GET(ctx, key, value, size) trait_meta_get(TRAIT_META(ctx), TRAIT_DATA(ctx), key, value, size)
#define TRAIT_IS_SET(ctx, key) trait_meta_is_set(TRAIT_META(ctx), TRAIT_DATA(ctx), key)
#define TRAIT_DEL(ctx, key) trait_meta_del(ctx, key)
#include "trait.h"
