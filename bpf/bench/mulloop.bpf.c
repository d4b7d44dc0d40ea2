/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A thousand dependent 64-bit multiplications. */
#include "bench.h"

SEC("xdp")
int mulloop(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 x, step;
	int i;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	x = packet->seed;
	step = packet->n;
	__no_unroll
	for (i = 0; i < 1000; i++)
		x = x * 6364136223846793005ull + step;
	packet->result = x;
	return XDP_PASS;
}

BENCH_LICENSE;
