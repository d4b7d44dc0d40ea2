/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A loop of Linux 7.1: `to_run` nops, at most `depth` of them at a time. `in_flight` is 0 and `result` 0 when all have ended. */
#include "loop.h"

enum { TOKEN = 0x5175, MAX_DEPTH = 128 };

const volatile __u32 depth = 8;

__u32 to_run;
__u32 in_flight;
__u32 completed;
__u32 steps;
__s32 result;

static __always_inline int fail(__s32 error)
{
	result = error;
	return IOU_LOOP_STOP;
}

SEC("struct_ops.s/loop_nops")
int LOOP_STEP(loop_nops, struct iou_ctx *ring, struct iou_loop_params *params)
{
	struct loop loop;
	__u32 i, count;
	int submitted;

	steps++;
	if (!loop_begin(ring, &loop))
		return fail(-EFAULT);
	for (i = 0; i < MAX_DEPTH; i++) {
		struct io_uring_cqe *cqe = loop_completion(&loop);

		if (!cqe)
			break;
		if (cqe->user_data != TOKEN || cqe->res != 0)
			return fail(-EINVAL);
		*loop.head += 1;
		in_flight--;
		completed++;
	}
	count = in_flight < depth ? depth - in_flight : 0;
	if (count > to_run)
		count = to_run;
	if (count > 0) {
		for (i = 0; i < count && i < sq_entries; i++) {
			struct io_uring_sqe *sqe = &loop.sqes[i];

			__builtin_memset(sqe, 0, sizeof(*sqe));
			sqe->opcode = IORING_OP_NOP;
			sqe->fd = -1;
			sqe->user_data = TOKEN;
		}
		submitted = bpf_io_uring_submit_sqes(ring, i);
		if (submitted < 0)
			return fail(submitted);
		in_flight += (__u32)submitted;
		to_run -= (__u32)submitted;
	}
	if (in_flight == 0)
		return IOU_LOOP_STOP;
	params->cq_wait_idx = *loop.head + (loop_completion(&loop) ? 0 : in_flight);
	return IOU_LOOP_CONTINUE;
}

SEC(".struct_ops.link")
struct io_uring_bpf_ops nops = {
	.loop_step = (void *)loop_nops,
};

char _license[] SEC("license") = "Dual MIT/GPL";
