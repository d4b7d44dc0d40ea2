/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* n lookups in a trie of 512 IPv4 prefixes of 8 to 32 bits, which fill() makes; most addresses match one. */
#include "bench.h"

#define ENTRIES 512
#define MAX_ROUNDS 512

struct key {
	__u32 prefix_length;
	/* The first byte on the wire is the lowest. */
	__u32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct key);
	__type(value, __u64);
} table SEC(".maps");

/* Run once before the other. */
SEC("xdp")
int fill(struct xdp_md *ctx)
{
	struct key key = {};
	__u32 x = 12345;
	__u64 value;
	__u32 i;

	__no_unroll
	for (i = 0; i < ENTRIES; i++) {
		x = xorshift(x);
		/* 4 prefixes of 8 bits, then longer ones below them. */
		key.prefix_length = i < 4 ? 8 : 9 + i % 24;
		key.address = i < 4 ? 10 + i : (x & 0xffffff00) | (10 + (x & 3));
		value = i + 1;
		bpf_map_update_elem(&table, &key, &value, BPF_ANY);
	}
	return XDP_PASS;
}

SEC("xdp")
int lpm_lookup(struct xdp_md *ctx)
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
		struct key key = { .prefix_length = 32 };
		__u64 *value;

		if (i >= n)
			break;
		x = xorshift(x);
		/* A first byte of 10 to 13, where the prefixes are. */
		key.address = (x & 0xffffff00) | (10 + (x & 3));
		value = bpf_map_lookup_elem(&table, &key);
		if (value)
			sum += *value;
	}
	packet->result = sum;
	return XDP_PASS;
}

BENCH_LICENSE;
