/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Work that goes from ring to ring, each on a CPU of its own. A message that runs `relay` has the hops that are left as its result: each ring counts it, looks
 * whether those of its sender come in order, and sends it on to the next one; the last ring tells its queue 0. Data: number of the token in the upper half.
 */
#include <sluice/ring.h>

enum { RINGS = 8 };

/* By number of the ring: the one that follows. */
__u32 next[RINGS];
/* Number of `relay` on every ring, from 1. */
const volatile __u32 program = 1;

struct station {
	__u64 received;
	__u64 sent;
	/* Messages that came out of order, or twice. */
	__u64 disordered;
	/* The last number that came, by sender; each sender counts what it sends. */
	__u32 last[RINGS];
} __attribute__((aligned(64))) stations[RINGS];

/* sender (8 bits), its count (24 bits), token (32 bits). */
static __always_inline int send(struct io_uring_bpf_ctx *ctx, struct station *station, __u32 token, __s32 hops)
{
	__u64 count = ++station->sent & 0xffffff;
	__u64 data = (__u64)token << 32 | (__u64)(ctx->ring & 0xff) << 24 | count;

	return bpf_ring_message(ctx, next[ctx->ring & (RINGS - 1)], RING_MESSAGE_PROGRAM(program), data, hops) < 0;
}

SEC("iouring/relay")
int relay(struct io_uring_bpf_ctx *ctx)
{
	struct station *station = &stations[ctx->ring & (RINGS - 1)];
	__u64 data = ctx->user_data;
	__u32 count = data & 0xffffff;
	__u32 from = (data >> 24) & (RINGS - 1);

	if (ctx->opcode == IORING_OP_MSG_RING) {
		station->received++;
		/* User space sends with a count of 0. */
		if (count != 0) {
			if (count != ((station->last[from] + 1) & 0xffffff))
				station->disordered++;
			station->last[from] = count;
		}
	}
	if (ctx->res == 0) {
		bpf_ring_emit(ctx, 0, data, (__s32)ctx->ring, 0);
		return RING_DONE;
	}
	if (send(ctx, station, data >> 32, ctx->res - 1))
		bpf_ring_escalate(ctx, 1);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
