/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Many files into one descriptor, one behind the other: open, read and write to the end, close, and the next. */
#include <sluice/bpf.h>
#include "job.h"

enum { DOING_NOTHING, DOING_OPEN, DOING_READ, DOING_WRITE, DOING_CLOSE, POLLIN = 1, POLLOUT = 4 };

/* src/hooks/ring/patterns/concat.ts writes and reads it. */
struct concat {
	struct job job;
	/* Addresses of the paths' addresses. */
	__u64 paths;
	__u32 count;
	__u32 next;
	__s32 to;
	__s32 directory;
	/* In `to`; all ones: its own position. */
	__u64 offset;
	__u64 buffer;
	__u32 block;
	__u32 got;
	__u32 put;
	__s32 fd;
	__u32 doing;
	/* Files that are done. */
	__u32 files;
	__u64 bytes;
};

static __always_inline void open_next(struct io_uring_bpf_ctx *ctx, struct concat *concat, struct piece *piece)
{
	struct io_uring_sqe sqe;
	__u64 path = 0;

	concat->doing = DOING_NOTHING;
	if (job_ends(&concat->job) || concat->next >= concat->count)
		return;
	if (job_read(ctx, concat->paths + (__u64)concat->next * sizeof(path), &path) != 0) {
		job_fail(&concat->job, -EFAULT);
		return;
	}
	concat->doing = DOING_OPEN;
	io_uring_prep_openat(&sqe, concat->directory, at(path), O_CLOEXEC, 0);
	job_submit(ctx, &concat->job, piece, ctx->user_data, &sqe);
}

static __always_inline void transfer(struct io_uring_bpf_ctx *ctx, struct concat *concat, struct piece *piece)
{
	struct io_uring_sqe sqe;

	if (concat->doing == DOING_READ)
		io_uring_prep_read(&sqe, concat->fd, at(concat->buffer), concat->block, ~0ull);
	else
		io_uring_prep_write(&sqe, concat->to, at(concat->buffer + concat->put), concat->got - concat->put,
				    concat->offset == ~0ull ? ~0ull : concat->offset + concat->bytes);
	job_submit(ctx, &concat->job, piece, ctx->user_data, &sqe);
}

static __always_inline void close(struct io_uring_bpf_ctx *ctx, struct concat *concat, struct piece *piece)
{
	concat->doing = DOING_CLOSE;
	job_close(ctx, &concat->job, piece, ctx->user_data, concat->fd);
}

static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct concat *concat, struct piece *piece)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	if (concat->doing == DOING_CLOSE) {
		concat->fd = -1;
		open_next(ctx, concat, piece);
		return;
	}
	if (concat->doing == DOING_OPEN) {
		if (res >= 0) {
			concat->fd = res;
			concat->next++;
			concat->doing = DOING_READ;
			if (job_ends(&concat->job))
				close(ctx, concat, piece);
			else
				transfer(ctx, concat, piece);
		} else if (res == -EINTR || res == -EAGAIN)
			open_next(ctx, concat, piece);
		else if (!job_ends(&concat->job))
			job_fail(&concat->job, res);
		return;
	}
	if (ctx->opcode == IORING_OP_WRITE && res > 0) {
		concat->put += (__u32)res;
		concat->bytes += (__u32)res;
	}
	if (job_ends(&concat->job)) {
		close(ctx, concat, piece);
		return;
	}
	if (res == -EAGAIN) {
		bool reads = concat->doing == DOING_READ;

		io_uring_prep_poll_add(&sqe, reads ? concat->fd : concat->to, reads ? POLLIN : POLLOUT);
		job_submit(ctx, &concat->job, piece, ctx->user_data, &sqe);
		return;
	}
	if (res == -EINTR || (ctx->opcode == IORING_OP_POLL_ADD && res >= 0)) {
		transfer(ctx, concat, piece);
		return;
	}
	if (res < 0 || (res == 0 && concat->doing == DOING_WRITE)) {
		job_fail(&concat->job, res < 0 ? res : -EIO);
		close(ctx, concat, piece);
		return;
	}
	if (concat->doing == DOING_READ) {
		if (res == 0) {
			concat->files++;
			close(ctx, concat, piece);
			return;
		}
		concat->got = (__u32)res;
		concat->put = 0;
		concat->doing = DOING_WRITE;
	} else if (concat->put >= concat->got) {
		concat->doing = DOING_READ;
	}
	transfer(ctx, concat, piece);
}

SEC("iouring")
int sluice_concat(struct io_uring_bpf_ctx *ctx)
{
	struct concat concat;
	struct piece piece;

	if (job_read(ctx, ctx->user_data, &piece) != 0 || job_read(ctx, piece.job, &concat) != 0)
		return RING_DONE;
	job_ended(ctx, &concat.job, &piece);
	if (ctx->opcode != IORING_OP_BPF)
		ended(ctx, &concat, &piece);
	else if (!concat.job.stop)
		open_next(ctx, &concat, &piece);
	else if (concat.doing != DOING_CLOSE) {
		job_cancel(ctx, &concat.job, &piece);
		if (piece.request == 0 && concat.fd >= 0)
			close(ctx, &concat, &piece);
	}
	job_answer(ctx, &concat.job, 0);
	job_write(ctx, ctx->user_data, &piece);
	job_write(ctx, piece.job, &concat);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
