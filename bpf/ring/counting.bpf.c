/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Timeouts one after another, in the third version of the 2021 interface: each run arms the next and waits for its completion in queue 1, `rounds` times.
 * `user_data` is the address of the struct __kernel_timespec.
 */
#define IO_URING_BPF_VERSION 3
#include <sluice/io_uring_bpf.h>

enum { OWN_QUEUE = 1 };

const volatile __u32 rounds = 11;

__u32 started;
/* Timeouts that ended by the time running out. */
__u32 expired;

SEC("iouring/counting")
int counting(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_sqe sqe = {};
	struct io_uring_cqe cqe;

	if (started > 0 && bpf_io_uring_reap_cqe(ctx, OWN_QUEUE, &cqe, sizeof(cqe)) == 0 && cqe.res == -ETIME)
		expired++;
	if (started >= rounds)
		return IORING_BPF_OK;
	started++;
	sqe.opcode = IORING_OP_TIMEOUT;
	sqe.fd = -1;
	sqe.addr = ctx->user_data;
	sqe.len = 1;
	sqe.user_data = started;
	sqe.cq_idx = OWN_QUEUE;
	if (bpf_io_uring_submit(ctx, &sqe, sizeof(sqe)) < 0)
		return IORING_BPF_OK;
	ctx->wait_idx = OWN_QUEUE;
	ctx->wait_nr = 1;
	return IORING_BPF_WAIT;
}

char _license[] SEC("license") = "Dual MIT/GPL";
