/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* By kfuncs. */
#include "trait_by_kfunc.h"
#include "trait_packets.h"
