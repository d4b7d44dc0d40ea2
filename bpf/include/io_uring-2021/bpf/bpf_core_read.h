/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <sluice/io_uring_bpf.h>
