/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Random lives of allocators, with maps that hold what programs put into them. */
#include "lifetimes.h"
