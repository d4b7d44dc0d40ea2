/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* n updates of a hash map with up to 512 keys, which the first runs insert. */
#include "bench.h"

#define ENTRIES 1024
#define MAX_ROUNDS 512

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

SEC("xdp")
int hash_update(struct xdp_md *ctx)
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
		__u64 value = i;
		__u32 key;

		if (i >= n)
			break;
		x = xorshift(x);
		key = x & 511;
		sum += bpf_map_update_elem(&table, &key, &value, BPF_ANY) + key;
	}
	packet->result = sum;
	return XDP_PASS;
}

BENCH_LICENSE;
