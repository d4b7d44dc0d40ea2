/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Traits in C over data_meta: the same program in Linux. */
#include "trait_by_meta.h"
#include "trait.h"
