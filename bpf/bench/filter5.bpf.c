/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The smallest useful filter: drops what is not IPv4. */
#include "bench.h"

SEC("xdp")
int filter5(struct xdp_md *ctx)
{
	struct ethhdr *eth = xdp_data(ctx);

	if ((void *)(eth + 1) > xdp_data_end(ctx))
		return XDP_DROP;
	return eth->h_proto == bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_DROP;
}

BENCH_LICENSE;
