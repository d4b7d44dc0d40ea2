/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The Toeplitz hash of receive-side scaling, bit by bit, over 36 bytes (IPv6 addresses and ports). */
#include "bench.h"

#define LENGTH 36

/* The key of Microsoft's RSS verification suite. */
const volatile __u8 key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

SEC("xdp")
int toeplitz36(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u32 hash = 0, window;
	int i, bit;

	if (bench_short(packet, ctx, LENGTH))
		return XDP_ABORTED;
	window = key[0] << 24 | key[1] << 16 | key[2] << 8 | key[3];
	__no_unroll
	for (i = 0; i < LENGTH; i++) {
		__u8 byte = packet->payload[i], next = key[i + 4];

		__no_unroll
		for (bit = 7; bit >= 0; bit--) {
			if (byte >> bit & 1)
				hash ^= window;
			window = window << 1 | (next >> bit & 1);
		}
	}
	packet->result = hash;
	return XDP_PASS;
}

BENCH_LICENSE;
