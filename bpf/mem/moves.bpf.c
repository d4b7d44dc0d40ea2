/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The case that the discussion of 2022 turned on: one program allocates, another one moves objects between maps, a third one frees them; only the first
 * says which allocator. The maps are pinned by name, so that the three can be loaded apart and in any order.
 */
#include "moves.h"
