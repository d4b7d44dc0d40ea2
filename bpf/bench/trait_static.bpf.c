/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The same with a struct. */
#include "trait_by_static.h"
#include "trait.h"
