/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Values of 4, 8 and 16 bytes. */
#define TRAIT_LAYOUT TRAIT_4_8_16
#include "meta_operations.h"
