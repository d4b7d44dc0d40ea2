/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The same with a list. */
#include "trait_by_tlv.h"
#include "trait.h"
