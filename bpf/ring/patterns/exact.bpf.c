/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Transfers exactly so many bytes: what is short goes on with its rest, what is interrupted or not ready is tried again. The end of the source is an error. */
#include <sluice/bpf.h>
#include "job.h"

enum { EXACT_WRITE = 1, EXACT_SOCKET = 2, ENODATA = 61, MSG_NOSIGNAL = 0x4000, POLLIN = 1, POLLOUT = 4 };

/* src/hooks/ring/patterns/exact.ts writes and reads it. */
struct exact {
	struct job job;
	__s32 fd;
	__u32 flags;
	/* In the file; all ones: its own position. */
	__u64 offset;
	__u64 address;
	__u64 length;
	__u64 done;
	__u64 piece;
};

static __always_inline void go_on(struct io_uring_bpf_ctx *ctx, struct exact *exact, struct piece *piece)
{
	__u64 left = exact->length - exact->done, offset = exact->offset == ~0ull ? ~0ull : exact->offset + exact->done;
	__u32 bytes = left < 0x40000000 ? (__u32)left : 0x40000000;
	void *address = at(exact->address + exact->done);
	struct io_uring_sqe sqe;

	if (exact->flags & EXACT_SOCKET) {
		if (exact->flags & EXACT_WRITE)
			io_uring_prep_send(&sqe, exact->fd, address, bytes, MSG_NOSIGNAL);
		else
			io_uring_prep_recv(&sqe, exact->fd, address, bytes, 0);
	} else if (exact->flags & EXACT_WRITE)
		io_uring_prep_write(&sqe, exact->fd, address, bytes, offset);
	else
		io_uring_prep_read(&sqe, exact->fd, address, bytes, offset);
	job_submit(ctx, &exact->job, piece, ctx->user_data, &sqe);
}

static __always_inline void step(struct io_uring_bpf_ctx *ctx, struct exact *exact, struct piece *piece)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	if (ctx->opcode == IORING_OP_BPF) {
		if (exact->job.stop)
			job_cancel(ctx, &exact->job, piece);
		else if (piece->request == 0 && exact->done < exact->length)
			go_on(ctx, exact, piece);
		return;
	}
	if (ctx->opcode != IORING_OP_POLL_ADD && res > 0)
		exact->done += (__u32)res;
	if (exact->done >= exact->length) {
		/* Done is done, whoever wants an end now. */
		exact->job.stop = 0;
		return;
	}
	if (job_ends(&exact->job))
		return;
	if (res == -EAGAIN) {
		io_uring_prep_poll_add(&sqe, exact->fd, (exact->flags & EXACT_WRITE) ? POLLOUT : POLLIN);
		job_submit(ctx, &exact->job, piece, ctx->user_data, &sqe);
	} else if (res > 0 || res == -EINTR || (ctx->opcode == IORING_OP_POLL_ADD && res >= 0))
		go_on(ctx, exact, piece);
	else
		job_fail(&exact->job, res < 0 ? res : (exact->flags & EXACT_WRITE) ? -EIO : -ENODATA);
}

SEC("iouring")
int sluice_exact(struct io_uring_bpf_ctx *ctx)
{
	struct piece piece;
	struct exact exact;

	if (job_read(ctx, ctx->user_data, &piece) != 0 || job_read(ctx, piece.job, &exact) != 0)
		return RING_DONE;
	job_ended(ctx, &exact.job, &piece);
	step(ctx, &exact, &piece);
	job_answer(ctx, &exact.job, 0);
	job_write(ctx, ctx->user_data, &piece);
	job_write(ctx, piece.job, &exact);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
