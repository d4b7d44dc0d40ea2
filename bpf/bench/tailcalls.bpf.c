/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A chain of eight programs, each of which changes the result and jumps to the next. */
#include "bench.h"

#define LINKS 8

int link1(struct xdp_md *ctx);
int link2(struct xdp_md *ctx);
int link3(struct xdp_md *ctx);
int link4(struct xdp_md *ctx);
int link5(struct xdp_md *ctx);
int link6(struct xdp_md *ctx);
int link7(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, LINKS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} links SEC(".maps") = {
	.values = {
		[1] = (void *)&link1,
		[2] = (void *)&link2,
		[3] = (void *)&link3,
		[4] = (void *)&link4,
		[5] = (void *)&link5,
		[6] = (void *)&link6,
		[7] = (void *)&link7,
	},
};

static __always_inline int step(struct xdp_md *ctx, __u32 number)
{
	struct bench_packet *packet = xdp_data(ctx);

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	packet->result = (number ? packet->result : packet->seed) * 31 + number;
	if (number + 1 == LINKS)
		return XDP_PASS;
	bpf_tail_call(ctx, &links, number + 1);
	return XDP_ABORTED;
}

#define LINK(number)                              \
	SEC("xdp") int link##number(struct xdp_md *ctx) \
	{                                               \
		return step(ctx, number);               \
	}

SEC("xdp") int tailcalls(struct xdp_md *ctx)
{
	return step(ctx, 0);
}

LINK(1)
LINK(2)
LINK(3)
LINK(4)
LINK(5)
LINK(6)
LINK(7)

BENCH_LICENSE;
