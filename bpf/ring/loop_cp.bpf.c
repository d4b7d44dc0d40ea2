/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A loop of Linux 7.1: copies a file, one block at a time. User space sets the descriptors, and a buffer for the block; `result` is 0 when the
 * end of the input was reached, else a negative errno, and `copied` what was written.
 */
#include "loop.h"

enum { READ = 1, WRITE = 2 };

__s32 input;
__s32 output;
__u64 buffer;
__u32 buffer_size;

__u64 copied;
__s32 result = -EAGAIN;
/* Of the block in the buffer: its bytes, and those that are written. */
__u32 block;
__u32 done;
__u32 in_flight;

static __always_inline int fail(__s32 error)
{
	result = error;
	return IOU_LOOP_STOP;
}

static __always_inline int issue(struct iou_ctx *ring, struct io_uring_sqe *sqe, __u32 what)
{
	int submitted;

	__builtin_memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = what == READ ? IORING_OP_READ : IORING_OP_WRITE;
	sqe->fd = what == READ ? input : output;
	sqe->off = copied + done;
	sqe->addr = buffer + done;
	sqe->len = what == READ ? buffer_size : block - done;
	sqe->user_data = what;
	submitted = bpf_io_uring_submit_sqes(ring, 1);
	if (submitted != 1)
		return submitted < 0 ? submitted : -EBUSY;
	in_flight = 1;
	return 0;
}

SEC("struct_ops.s/loop_cp")
int LOOP_STEP(loop_cp, struct iou_ctx *ring, struct iou_loop_params *params)
{
	struct io_uring_cqe *cqe;
	__u32 next = READ;
	struct loop loop;
	int error;

	if (!loop_begin(ring, &loop))
		return fail(-EFAULT);
	cqe = loop_completion(&loop);
	if (cqe) {
		__s32 res = cqe->res;
		__u64 what = cqe->user_data;

		*loop.head += 1;
		in_flight = 0;
		if (res < 0)
			return fail(res);
		if (what == READ) {
			if (res == 0)
				return fail(0);
			block = (__u32)res;
			next = WRITE;
		} else {
			if (res == 0)
				return fail(-EIO);
			done += (__u32)res;
			if (done < block) {
				next = WRITE;
			} else {
				copied += block;
				done = 0;
			}
		}
	}
	if (!in_flight) {
		error = issue(ring, loop.sqes, next);
		if (error)
			return fail(error);
	}
	params->cq_wait_idx = *loop.head + 1;
	return IOU_LOOP_CONTINUE;
}

SEC(".struct_ops.link")
struct io_uring_bpf_ops cp = {
	.loop_step = (void *)loop_cp,
};

char _license[] SEC("license") = "Dual MIT/GPL";
