/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* moves.bpf.c whose allocator is not pinned: after a reload there are two. */
#define FRESH
#include "moves.h"
