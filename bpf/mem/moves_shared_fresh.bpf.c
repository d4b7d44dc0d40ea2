/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Both: pinned maps that were made with one allocator, and an object that names another. */
#define SHARED
#define FRESH
#include "moves.h"
