/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* n increments of counters in a per-CPU array. */
#include "bench.h"

#define ENTRIES 64
#define MAX_ROUNDS 512

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

SEC("xdp")
int percpu_counter(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u32 n, x;
	__u64 sum = 0;
	__u32 i;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	n = packet->n;
	x = packet->seed;
	__no_unroll
	for (i = 0; i < MAX_ROUNDS; i++) {
		__u32 key;
		__u64 *value;

		if (i >= n)
			break;
		x = xorshift(x);
		key = x & (ENTRIES - 1);
		value = bpf_map_lookup_elem(&table, &key);
		if (value)
			++*value;
		sum += key;
	}
	packet->result = sum;
	return XDP_PASS;
}

BENCH_LICENSE;
