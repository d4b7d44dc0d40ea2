/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* For programs that send a packet back: addresses change places, which leaves checksums over both of them alone. */
#ifndef SLUICE_SWAP_H
#define SLUICE_SWAP_H

#include "bpf.h"

static __always_inline void swap_bytes(__u8 *a, __u8 *b, int length)
{
#pragma clang loop unroll(full)
	for (int i = 0; i < length; i++) {
		__u8 byte = a[i];

		a[i] = b[i];
		b[i] = byte;
	}
}

static __always_inline void swap_words(__be32 *a, __be32 *b, int count)
{
#pragma clang loop unroll(full)
	for (int i = 0; i < count; i++) {
		__be32 word = a[i];

		a[i] = b[i];
		b[i] = word;
	}
}

#endif
