/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* In C over data_meta. */
#include "trait_by_meta.h"
#include "trait_packets.h"
