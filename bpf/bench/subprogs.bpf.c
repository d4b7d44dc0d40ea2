/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* 256 rounds of two nested BPF-to-BPF calls. */
#include "bench.h"

static __noinline __u64 mix(__u64 x, __u64 y)
{
	x ^= y;
	return x * 0x9e3779b97f4a7c15ull;
}

static __noinline __u64 round(__u64 x, __u64 i)
{
	return mix(x, i) ^ x >> 29;
}

SEC("xdp")
int subprogs(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 x;
	int i;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	x = packet->seed;
	__no_unroll
	for (i = 0; i < 256; i++)
		x = round(x, i);
	packet->result = x;
	return XDP_PASS;
}

BENCH_LICENSE;
