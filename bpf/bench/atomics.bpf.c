/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* 128 rounds of fetch-and-add, exchange, compare-and-exchange and fetch-and-or on a map value that all CPUs share. */
#include "bench.h"

struct cell {
	__u64 sum;
	__u64 last;
	__u64 claim;
	__u64 bits;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cell);
} cells SEC(".maps");

SEC("xdp")
int atomics(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	struct cell *cell;
	__u32 zero = 0;
	__u64 x, before = 0;
	int i;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	cell = bpf_map_lookup_elem(&cells, &zero);
	if (!cell)
		return XDP_ABORTED;
	/* Each run starts from the same values, so that the result does not depend on how often it ran. */
	cell->sum = 0;
	cell->last = 0;
	cell->claim = 0;
	cell->bits = 0;
	x = packet->seed;
	__no_unroll
	for (i = 0; i < 128; i++) {
		x = xorshift(x);
		before += __sync_fetch_and_add(&cell->sum, x);
		before ^= __sync_lock_test_and_set(&cell->last, x);
		before += __sync_val_compare_and_swap(&cell->claim, before & 1, i & 1);
		before ^= __sync_fetch_and_or(&cell->bits, x & x << 5);
	}
	packet->result = before;
	return XDP_PASS;
}

BENCH_LICENSE;
