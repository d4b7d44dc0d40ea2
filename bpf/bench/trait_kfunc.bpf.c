/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Traits by the kfuncs of Sluice, in whatever layout and place the runtime has. */
#include "trait_by_kfunc.h"
#include "trait.h"
