/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The Internet checksum over a payload of any length up to 2048, word by word, each word checked against the packet's end. */
#include "bench.h"

#define MAX_WORDS 1024

SEC("xdp")
int checksum(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	void *end = xdp_data_end(ctx);
	__u64 sum = 0;
	__u16 *word;
	int i;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	word = (__u16 *)packet->payload;
	__no_unroll
	for (i = 0; i < MAX_WORDS; i++, word++) {
		if ((void *)(word + 1) > end)
			break;
		sum += *word;
	}
	if ((void *)word + 1 <= end)
		sum += *(__u8 *)word;
	packet->result = csum_fold(sum);
	return XDP_PASS;
}

BENCH_LICENSE;
