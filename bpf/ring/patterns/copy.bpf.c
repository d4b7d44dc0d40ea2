/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Copies from one descriptor to another, with so many blocks under way at once. Each block is read and written by one piece, in as many steps as short
 * reads and writes make of it. Where one of the two is no file or block device, there is one piece, and the position is the descriptor's own.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { FLAG_FSYNC = 1, FLAG_FROM_STREAM = 2, FLAG_TO_STREAM = 4, FLAG_DATASYNC = 8 };
enum { STAGE_NEW, STAGE_FROM, STAGE_TO, STAGE_COPY, STAGE_SYNC };
/* Parts of struct statx. */
enum { STATX_TYPE = 1, STATX_MODE_OFFSET = 28, S_IFMT = 0170000, S_IFREG = 0100000, S_IFBLK = 0060000 };
enum { POLLIN = 1, POLLOUT = 4 };

/* src/hooks/ring/patterns/copy.ts writes and reads it. Positions count from the first byte that is copied. */
struct copy {
	struct job job;
	__s32 from;
	__s32 to;
	__u32 block;
	__u32 depth;
	__u32 flags;
	__u32 stage;
	__u64 from_offset;
	__u64 to_offset;
	/* Of the next block; where the source ends as far as is known; what was asked for; behind the last byte written. */
	__u64 next;
	__u64 end;
	__u64 limit;
	__u64 high;
	/* End at which a source that grew was looked at again. */
	__u64 looked;
	/* Addresses of `depth` pieces, and of 256 bytes for struct statx. */
	__u64 pieces;
	__u64 statx;
};

struct block {
	struct piece piece;
	__u64 position;
	__u64 buffer;
	/* Bytes of the block that are to be copied, that are read and not written, that are written of those. */
	__u32 left;
	__u32 got;
	__u32 put;
	__u32 writing;
};

static __always_inline void ask_type(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *block, __s32 fd)
{
	struct io_uring_sqe sqe;
	/* An empty path, for the descriptor itself: bytes of the job that are always 0. */
	__u64 path = block->piece.job + __builtin_offsetof(struct job, reserved);

	io_uring_prep_statx(&sqe, fd, at(path), AT_EMPTY_PATH, STATX_TYPE, at(copy->statx));
	job_submit(ctx, &copy->job, &block->piece, ctx->user_data, &sqe);
}

/* Nonzero: a file or a block device. */
static __always_inline bool has_positions(struct io_uring_bpf_ctx *ctx, struct copy *copy)
{
	__u16 mode = 0;

	if (bpf_ring_read(ctx, copy->statx + STATX_MODE_OFFSET, &mode, sizeof(mode)) != 0)
		return false;
	return (mode & S_IFMT) == S_IFREG || (mode & S_IFMT) == S_IFBLK;
}

static __always_inline void transfer(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *block, __u64 address)
{
	struct io_uring_sqe sqe;

	if (block->writing)
		io_uring_prep_write(&sqe, copy->to, at(block->buffer + block->put), block->got - block->put,
				    (copy->flags & FLAG_TO_STREAM) ? ~0ull : copy->to_offset + block->position + block->put);
	else
		io_uring_prep_read(&sqe, copy->from, at(block->buffer), block->left,
				   (copy->flags & FLAG_FROM_STREAM) ? ~0ull : copy->from_offset + block->position);
	job_submit(ctx, &copy->job, &block->piece, address, &sqe);
}

/* A descriptor that does not block has nothing, or no room: the transfer follows when it has. */
static __always_inline void wait_ready(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *block)
{
	struct io_uring_sqe sqe;

	io_uring_prep_poll_add(&sqe, block->writing ? copy->to : copy->from, block->writing ? POLLOUT : POLLIN);
	job_submit(ctx, &copy->job, &block->piece, ctx->user_data, &sqe);
}

/* Starts the next block in this piece, if there is one. */
static __always_inline void next_block(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *block, __u64 address)
{
	__u64 left;

	if (job_ends(&copy->job) || copy->next >= copy->end)
		return;
	left = copy->limit - copy->next;
	block->position = copy->next;
	block->left = left < copy->block ? (__u32)left : copy->block;
	block->writing = 0;
	copy->next += block->left;
	transfer(ctx, copy, block, address);
}

/* Gives every piece that rests a block. The running piece is held by the caller, and comes last. */
static __always_inline void fill(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *running)
{
	__u32 depth = copy->depth;
	struct block block;
	__u32 i;

	bpf_for(i, 0, 256) {
		__u64 address = copy->pieces + i * sizeof(block);

		if (i >= depth || job_ends(&copy->job) || copy->next >= copy->end)
			break;
		if (address == ctx->user_data)
			continue;
		if (job_read(ctx, address, &block) != 0 || block.piece.request != 0)
			continue;
		next_block(ctx, copy, &block, address);
		job_write(ctx, address, &block);
	}
	if (running->piece.request == 0)
		next_block(ctx, copy, running, ctx->user_data);
}

static __always_inline void stop(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *running)
{
	__u32 depth = copy->depth;
	struct block block;
	__u32 i;

	bpf_for(i, 0, 256) {
		__u64 address = copy->pieces + i * sizeof(block);

		if (i >= depth)
			break;
		if (address == ctx->user_data || job_read(ctx, address, &block) != 0)
			continue;
		job_cancel(ctx, &copy->job, &block.piece);
		job_write(ctx, address, &block);
	}
	job_cancel(ctx, &copy->job, &running->piece);
}

static __always_inline void ended_transfer(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *block)
{
	__s32 res = ctx->res;
	__u64 position;

	if (ctx->opcode == IORING_OP_POLL_ADD) {
		if (res < 0)
			job_fail(&copy->job, res);
		else
			transfer(ctx, copy, block, ctx->user_data);
		return;
	}
	if (res == -EINTR) {
		transfer(ctx, copy, block, ctx->user_data);
		return;
	}
	if (res == -EAGAIN) {
		wait_ready(ctx, copy, block);
		return;
	}
	if (res < 0 || (res == 0 && block->writing)) {
		job_fail(&copy->job, res < 0 ? res : -EIO);
		return;
	}
	if (!block->writing) {
		if (res == 0) {
			if (block->position < copy->end)
				copy->end = block->position;
			return;
		}
		block->got = (__u32)res;
		block->put = 0;
		block->writing = 1;
		transfer(ctx, copy, block, ctx->user_data);
		return;
	}
	block->put += (__u32)res;
	position = block->position + block->put;
	if (copy->high < position)
		copy->high = position;
	if (block->put < block->got) {
		transfer(ctx, copy, block, ctx->user_data);
		return;
	}
	block->position = position;
	block->left -= block->got;
	block->writing = 0;
	if (block->left > 0)
		transfer(ctx, copy, block, ctx->user_data);
}

static __always_inline void step(struct io_uring_bpf_ctx *ctx, struct copy *copy, struct block *block)
{
	struct io_uring_sqe sqe;

	if (ctx->opcode == IORING_OP_BPF) {
		if (copy->job.stop)
			stop(ctx, copy, block);
		else if (copy->stage == STAGE_NEW) {
			copy->stage = STAGE_FROM;
			ask_type(ctx, copy, block, copy->from);
		}
		return;
	}
	if (job_ends(&copy->job)) {
		/* What ends now has been written nevertheless. */
		if (block->writing && ctx->opcode == IORING_OP_WRITE && ctx->res > 0 && copy->high < block->position + block->put + ctx->res)
			copy->high = block->position + block->put + ctx->res;
		return;
	}
	switch (copy->stage) {
	case STAGE_FROM:
		if (ctx->res < 0) {
			job_fail(&copy->job, ctx->res);
			return;
		}
		if (!has_positions(ctx, copy))
			copy->flags |= FLAG_FROM_STREAM;
		copy->stage = STAGE_TO;
		ask_type(ctx, copy, block, copy->to);
		return;
	case STAGE_TO:
		if (ctx->res < 0) {
			job_fail(&copy->job, ctx->res);
			return;
		}
		if (!has_positions(ctx, copy))
			copy->flags |= FLAG_TO_STREAM;
		if (copy->flags & (FLAG_FROM_STREAM | FLAG_TO_STREAM))
			copy->depth = 1;
		copy->stage = STAGE_COPY;
		break;
	case STAGE_COPY:
		ended_transfer(ctx, copy, block);
		break;
	case STAGE_SYNC:
		if (ctx->res < 0)
			job_fail(&copy->job, ctx->res);
		return;
	}
	if (copy->next < copy->end)
		fill(ctx, copy, block);
	if (copy->job.live != 0 || job_ends(&copy->job))
		return;
	/* A source that grew while it was copied leaves a hole where its end was: that place once more. */
	if (copy->end < copy->high && copy->looked != copy->end && !(copy->flags & FLAG_FROM_STREAM)) {
		copy->looked = copy->end;
		copy->next = copy->end;
		copy->end = copy->limit;
		fill(ctx, copy, block);
		return;
	}
	if (copy->flags & FLAG_FSYNC) {
		copy->stage = STAGE_SYNC;
		io_uring_prep_fsync(&sqe, copy->to, (copy->flags & FLAG_DATASYNC) ? IORING_FSYNC_DATASYNC : 0);
		job_submit(ctx, &copy->job, &block->piece, ctx->user_data, &sqe);
	}
}

SEC("iouring")
int sluice_copy(struct io_uring_bpf_ctx *ctx)
{
	struct block block;
	struct copy copy;

	if (job_read(ctx, ctx->user_data, &block) != 0 || job_read(ctx, block.piece.job, &copy) != 0)
		return RING_DONE;
	job_ended(ctx, &copy.job, &block.piece);
	step(ctx, &copy, &block);
	job_answer(ctx, &copy.job, 0);
	job_write(ctx, ctx->user_data, &block);
	job_write(ctx, block.piece.job, &copy);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
