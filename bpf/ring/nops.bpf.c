/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Requests that follow each other without JavaScript: each completion issues the next nop, until `left` have been. As many go side by side as user space
 * began; the last of them to end tells queue 0.
 */
#include <sluice/ring.h>

/* `nops` as sqe->callback takes it. */
const volatile __u32 callback = 1;

__u64 left;
__u32 running;

SEC("iouring/nops")
int nops(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_sqe sqe;

	if (left == 0) {
		if (--running == 0)
			bpf_ring_emit(ctx, 0, ctx->user_data, 0, 0);
		return RING_DONE;
	}
	left--;
	io_uring_prep_nop(&sqe);
	sqe.user_data = ctx->user_data;
	sqe.callback = callback;
	bpf_ring_submit(ctx, &sqe, sizeof(sqe));
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
