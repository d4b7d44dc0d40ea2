/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* moves.bpf.c with maps that share an allocator. */
#define SHARED
#include "moves.h"
