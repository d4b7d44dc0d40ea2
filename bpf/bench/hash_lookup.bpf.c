/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* n lookups in a hash map of 512 entries, every one of them found. fill() makes the entries. */
#include "bench.h"

#define ENTRIES 512
#define MAX_ROUNDS 512

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

/* Run once before the other. */
SEC("xdp")
int fill(struct xdp_md *ctx)
{
	__u32 i;

	__no_unroll
	for (i = 0; i < 512; i++) {
		__u64 value = i * 3;
		__u32 key = i;

		bpf_map_update_elem(&table, &key, &value, BPF_ANY);
	}
	return XDP_PASS;
}

SEC("xdp")
int hash_lookup(struct xdp_md *ctx)
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
			sum += *value;
	}
	packet->result = sum;
	return XDP_PASS;
}

BENCH_LICENSE;
