/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Two program requests that wake each other through two queues, in the third version of the 2021 interface. Each has the address of a u32 as its
 * `user_data`: its side, 0 or 1. Side n waits for queue n + 1, and answers in the other's with one more, up to `limit`. A completion in queue 1 or 2 (a
 * request with that cq_idx) sets them off.
 */
#define IO_URING_BPF_VERSION 3
#include <sluice/io_uring_bpf.h>

const volatile __u32 limit = 20;

/* By side: whether it has begun, how often it was woken, and the number that it ended with. */
struct player {
	__u32 begun;
	__u32 woken;
	__u64 last;
} players[2];

SEC("iouring/pingpong")
int pingpong(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_cqe cqe;
	struct player *player;
	__u32 side;

	if (bpf_copy_from_user(&side, sizeof(side), (void *)(long)ctx->user_data) || side > 1)
		return IORING_BPF_OK;
	player = &players[side];
	if (player->begun) {
		player->woken++;
		if (bpf_io_uring_reap_cqe(ctx, side + 1, &cqe, sizeof(cqe)) == 0) {
			player->last = cqe.user_data;
			bpf_io_uring_emit_cqe(ctx, (side ^ 1) + 1, cqe.user_data + 1, 0, 0);
			if (cqe.user_data >= limit)
				return IORING_BPF_OK;
		}
	}
	player->begun = 1;
	ctx->wait_idx = side + 1;
	ctx->wait_nr = 1;
	return IORING_BPF_WAIT;
}

char _license[] SEC("license") = "Dual MIT/GPL";
