/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* With a list. */
#include "trait_by_tlv.h"
#include "trait_packets.h"
