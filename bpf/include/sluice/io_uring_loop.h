/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The loop of a ring as Linux 7.1 has it: a program in place of io_uring_enter, a method of struct io_uring_bpf_ops. It reads completions and writes
 * requests in the memory of the ring, and says how long to wait. User space sets `ring_fd` and what the program needs to know of the ring's layout.
 *
 *   SEC("struct_ops.s/step") int LOOP_STEP(step, struct iou_ctx *ring, struct iou_loop_params *params) { ... }
 *   SEC(".struct_ops.link") struct io_uring_bpf_ops ops = {.loop_step = (void *)step};
 */
#ifndef SLUICE_IO_URING_LOOP_H
#define SLUICE_IO_URING_LOOP_H

#include "io_uring.h"

/* The ring; to be handed on, not to be looked into. */
struct iou_ctx {};

struct iou_loop_params {
	/* The step runs again when the completion queue's tail is there; sooner at times. */
	__u32 cq_wait_idx;
};

struct io_uring_bpf_ops {
	int (*loop_step)(struct iou_ctx *, struct iou_loop_params *);
	__u32 ring_fd;
	void *priv;
};

/* What a step returns; anything else ends the loop with -EINVAL. */
enum {
	IOU_LOOP_CONTINUE = 0,
	IOU_LOOP_STOP = 1,
};

/* Memory of a ring: parameters (what user space and program share), both queues with their positions, requests. */
enum {
	IOU_REGION_MEM = 0,
	IOU_REGION_CQ = 1,
	IOU_REGION_SQ = 2,
};

/* Submits the first `nr` requests of the SQ region: how many the kernel took, or a negative errno. */
extern int bpf_io_uring_submit_sqes(struct iou_ctx *ctx, __u32 nr) __weak __ksym;
/* A region's first bytes; NULL if it has fewer. The size is known when the program is loaded. */
extern __u8 *bpf_io_uring_get_region(struct iou_ctx *ctx, __u32 region_id, const __u64 rdwr_buf_size) __weak __ksym;

/* A method with its arguments by name; they come as an array of u64. */
#define LOOP_STEP(name, ring, params)                                                 \
	name(unsigned long long *___ctx);                                             \
	static __always_inline int ____##name(ring, params);                         \
	int name(unsigned long long *___ctx)                                          \
	{                                                                             \
		return ____##name((void *)___ctx[0], (void *)___ctx[1]);              \
	}                                                                             \
	static __always_inline int ____##name(ring, params)

#endif
