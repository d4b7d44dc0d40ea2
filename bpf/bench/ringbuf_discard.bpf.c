/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * n records of 32 bytes reserved, written and discarded. Discarded records too take room until a reader has passed them:
 * the ring holds those of 800 runs with n = 128, then the reader must be at work or the result drops to 0.
 */
#include "bench.h"

#define MAX_ROUNDS 128

struct record {
	__u64 words[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} ring SEC(".maps");

SEC("xdp")
int ringbuf_discard(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 reserved = 0;
	__u32 n, i;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	n = packet->n;
	__no_unroll
	for (i = 0; i < MAX_ROUNDS; i++) {
		struct record *record;

		if (i >= n)
			break;
		record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
		if (!record)
			break;
		record->words[0] = i;
		record->words[3] = packet->seed;
		bpf_ringbuf_discard(record, 0);
		reserved++;
	}
	packet->result = reserved;
	return XDP_PASS;
}

BENCH_LICENSE;
