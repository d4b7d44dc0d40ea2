/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* FNV-1a with 64 bits over 1200 bytes: a load and a dependent multiplication a byte. */
#include "bench.h"

#define LENGTH 1200

SEC("xdp")
int fnv(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 hash = 0xcbf29ce484222325ull;
	int i;

	if (bench_short(packet, ctx, LENGTH))
		return XDP_ABORTED;
	__no_unroll
	for (i = 0; i < LENGTH; i++)
		hash = (hash ^ packet->payload[i]) * 0x100000001b3ull;
	packet->result = hash;
	return XDP_PASS;
}

BENCH_LICENSE;
