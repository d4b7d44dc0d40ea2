/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Set bits of 256 bytes, eight bytes at a time, without a table. */
#include "bench.h"

#define WORDS 32

SEC("xdp")
int popcount(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 bits = 0, *words;
	int i;

	if (bench_short(packet, ctx, WORDS * 8))
		return XDP_ABORTED;
	words = (__u64 *)packet->payload;
	__no_unroll
	for (i = 0; i < WORDS; i++) {
		__u64 x = words[i];

		x -= x >> 1 & 0x5555555555555555ull;
		x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
		x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
		bits += x * 0x0101010101010101ull >> 56;
	}
	packet->result = bits;
	return XDP_PASS;
}

BENCH_LICENSE;
