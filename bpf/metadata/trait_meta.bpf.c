/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Values of 0, 4 and 8 bytes. */
#include "meta_operations.h"
