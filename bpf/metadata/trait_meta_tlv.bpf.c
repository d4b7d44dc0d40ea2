/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Values of 0, 4, 8 and 16 bytes in a list. */
#include <sluice/trait_tlv.h>

#define trait_meta_set trait_tlv_set
#define trait_meta_get trait_tlv_get
#define trait_meta_del trait_tlv_del
#define trait_meta_is_set trait_tlv_is_set
#define META_HAS(size) 1
#include "meta_operations.h"
