/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the benchmark programs share. Inputs come from the packet, so that no compiler can fold the work away; the result
 * goes to the front of the packet, which is no input, so that repeated runs do the same work.
 */
#ifndef SLUICE_BENCH_H
#define SLUICE_BENCH_H

#include <sluice/bpf.h>
#include <sluice/packet.h>

struct bench_packet {
	/* Where the MAC addresses are. */
	__u64 result;
	__u32 zero;
	__be16 proto;
	__u16 pad;
	/* How often, or up to where; in the byte order of the machine, as is the seed. */
	__u32 n;
	__u32 seed;
	__u8 payload[];
};

/* Does the packet lack `size` bytes of payload? */
static __always_inline bool bench_short(const struct bench_packet *packet, struct xdp_md *ctx, __u32 size)
{
	return (void *)packet->payload + size > xdp_data_end(ctx);
}

/* A cheap step from one pseudo-random number to the next (Marsaglia's xorshift32); never 0 unless `x` is. */
static __always_inline __u32 xorshift(__u32 x)
{
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

#define BENCH_LICENSE char _license[] SEC("license") = "Dual MIT/GPL"

#endif
