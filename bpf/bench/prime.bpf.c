/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Is n prime? By trial division with every smaller number, as in the conformance suite's prime. Division and branches. */
#include "bench.h"

/* Each round leaves two branches for the verifier, which keeps at most 8192. */
#define MAX 3000

SEC("xdp")
int prime(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 n, i;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	n = packet->n;
	__no_unroll
	for (i = 2; i < MAX; i++) {
		if (i >= n)
			break;
		if (n % i == 0) {
			packet->result = i;
			return XDP_DROP;
		}
	}
	packet->result = n;
	return XDP_PASS;
}

BENCH_LICENSE;
