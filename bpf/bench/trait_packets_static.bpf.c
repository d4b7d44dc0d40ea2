/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* With a struct. */
#include "trait_by_static.h"
#include "trait_packets.h"
