/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Copies 128 bytes of the packet to a map value and back from another, by way of the stack. */
#include "bench.h"

struct block {
	__u64 words[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct block);
} blocks SEC(".maps");

SEC("xdp")
int memcpy_struct(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	struct block local, *to, *from;
	__u32 zero = 0, one = 1;
	__u64 sum = 0;

	if (bench_short(packet, ctx, sizeof(struct block)))
		return XDP_ABORTED;
	to = bpf_map_lookup_elem(&blocks, &zero);
	from = bpf_map_lookup_elem(&blocks, &one);
	if (!to || !from)
		return XDP_ABORTED;
	local = *(struct block *)packet->payload;
	/* Keeps the compiler from copying past the stack. */
	asm volatile("" : : "r"(&local) : "memory");
	*to = local;
	local.words[15] += packet->seed;
	asm volatile("" : : "r"(&local) : "memory");
	*from = local;
	asm volatile("" : : "r"(from) : "memory");
#pragma clang loop unroll(full)
	for (int i = 0; i < 16; i++)
		sum += to->words[i] ^ from->words[15 - i];
	packet->result = sum;
	return XDP_PASS;
}

BENCH_LICENSE;
