/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the loops of this folder have in common: where the words of the ring are, which user space says before it loads them. */
#ifndef SLUICE_RING_LOOP_H
#define SLUICE_RING_LOOP_H

#include <sluice/io_uring_loop.h>

/* Offsets in the region of the queues (struct io_cqring_offsets), and entries, which are powers of two. These are Linux's for a ring of 8 requests. */
const volatile __u32 cq_head_offset = 8;
const volatile __u32 cq_tail_offset = 12;
const volatile __u32 cqes_offset = 64;
const volatile __u32 cq_entries = 16;
const volatile __u32 sq_entries = 8;

struct loop {
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	__u32 *head;
	__u32 *tail;
};

/* false: the ring is smaller than was said. */
static __always_inline bool loop_begin(struct iou_ctx *ring, struct loop *loop)
{
	__u8 *queues = bpf_io_uring_get_region(ring, IOU_REGION_CQ, cqes_offset + cq_entries * sizeof(struct io_uring_cqe));

	loop->sqes = (void *)bpf_io_uring_get_region(ring, IOU_REGION_SQ, sq_entries * sizeof(struct io_uring_sqe));
	if (!queues || !loop->sqes)
		return false;
	loop->head = (void *)(queues + cq_head_offset);
	loop->tail = (void *)(queues + cq_tail_offset);
	loop->cqes = (void *)(queues + cqes_offset);
	return true;
}

/* The oldest completion, NULL if there is none; it stays until the head is moved on. */
static __always_inline struct io_uring_cqe *loop_completion(struct loop *loop)
{
	return *loop->tail == *loop->head ? NULL : &loop->cqes[*loop->head & (cq_entries - 1)];
}

#endif
