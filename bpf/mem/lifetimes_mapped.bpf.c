/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* lifetimes.bpf.c with maps that name an allocator. */
#define MAPPED
#include "lifetimes.h"
