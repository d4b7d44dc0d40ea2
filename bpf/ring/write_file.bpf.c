/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Writes a file in blocks, `depth` of them at a time, in the third version of the 2021 interface. The file is registered file 0, the block at address
 * `user_data`; completions come to queue 1. The result is posted to the user's queue, with its bytes or an errno, when the last write has ended.
 */
#define IO_URING_BPF_VERSION 3
#include <sluice/io_uring_bpf.h>

enum { USER_QUEUE = 0, OWN_QUEUE = 1, MAX_DEPTH = 64 };

const volatile __u32 depth = 4;
const volatile __u32 blocks = 16;
const volatile __u32 block_size = 16384;

__u32 in_flight;
__u32 next_block;
__u64 written;
__s32 error;

SEC("iouring/write_file")
int write_file(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_sqe sqe = {};
	struct io_uring_cqe cqe;
	__u32 i;

	for (i = 0; i < MAX_DEPTH && in_flight > 0; i++) {
		if (bpf_io_uring_reap_cqe(ctx, OWN_QUEUE, &cqe, sizeof(cqe)))
			break;
		in_flight--;
		if (cqe.res < 0)
			error = cqe.res;
		else if ((__u32)cqe.res < block_size)
			error = -EIO;
		else
			written += (__u32)cqe.res;
	}
	sqe.opcode = IORING_OP_WRITE;
	sqe.flags = IOSQE_FIXED_FILE;
	sqe.addr = ctx->user_data;
	sqe.len = block_size;
	sqe.cq_idx = OWN_QUEUE;
	for (i = 0; i < MAX_DEPTH; i++) {
		if (error || in_flight >= depth || next_block >= blocks)
			break;
		sqe.off = (__u64)next_block * block_size;
		sqe.user_data = next_block;
		error = (__s32)bpf_io_uring_submit(ctx, &sqe, sizeof(sqe));
		if (error)
			break;
		in_flight++;
		next_block++;
	}
	if (in_flight > 0) {
		ctx->wait_idx = OWN_QUEUE;
		ctx->wait_nr = 1;
		return IORING_BPF_WAIT;
	}
	bpf_io_uring_emit_cqe(ctx, USER_QUEUE, ctx->user_data, error ? error : (__s32)written, 0);
	return IORING_BPF_OK;
}

char _license[] SEC("license") = "Dual MIT/GPL";
