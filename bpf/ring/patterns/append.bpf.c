/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A log: appends one behind the other, and one fsync for many of them. An append is answered when it and all before it are on the disk: not before so many
 * are written or some time has passed, and while an fsync is under way those that come meanwhile wait for the next. An error ends the log.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { POLLOUT = 4 };

/* src/hooks/ring/patterns/append-group.ts writes and reads these. */
struct log {
	struct job job;
	__s32 fd;
	/* An fsync begins when so many appends wait for it, or after `time`. */
	__u32 group;
	__u32 datasync;
	/* Appends that are not answered. */
	__u32 waiting;
	/* Where the next append goes. */
	__u64 tail;
	/* Appends in the order of the file: the first and last that are not answered, the last that the fsync under way covers. */
	__u64 first;
	__u64 last;
	__u64 covered;
	/* Addresses of two pieces, for fsync and the timeout, and of its struct __kernel_timespec. */
	__u64 sync;
	__u64 timer;
	__u64 time;
	/* Nobody has to wait any longer: the time is over. */
	__u32 due;
	__u32 closing;
	__u64 syncs;
	__u64 appends;
};

struct append {
	struct piece piece;
	__u64 next;
	__u64 data;
	__u64 offset;
	/* The answer of this append alone. */
	__u64 answer;
	__u32 length;
	__u32 done;
	/* All is written; taken into the list. */
	__u32 written;
	__u32 taken;
};

static __always_inline void write_rest(struct io_uring_bpf_ctx *ctx, struct log *log, struct append *append)
{
	struct io_uring_sqe sqe;

	io_uring_prep_write(&sqe, log->fd, at(append->data + append->done), append->length - append->done, append->offset + append->done);
	job_submit(ctx, &log->job, &append->piece, ctx->user_data, &sqe);
}

/* Answers from the first up to and including `until` (0: all). */
static __always_inline void answer(struct io_uring_bpf_ctx *ctx, struct log *log, __u64 until, __s32 result)
{
	struct append append;
	__u64 address;
	__u32 i;

	bpf_for(i, 0, 65536) {
		address = log->first;
		if (address == 0 || job_read(ctx, address, &append) != 0)
			break;
		/* Its memory is the kernel's until the write has ended. */
		if (append.piece.request != 0)
			break;
		log->first = append.next;
		if (append.next == 0)
			log->last = 0;
		log->waiting--;
		bpf_ring_emit(ctx, log->job.queue, append.answer, result, 0);
		if (address == until)
			break;
	}
}

/* The last append that is written together with all before it; 0: there is none. How many that are: `count`. */
static __always_inline __u64 written_to(struct io_uring_bpf_ctx *ctx, struct log *log, __u32 *number)
{
	__u64 address = log->first, last = 0;
	struct append append;
	__u32 i;

	*number = 0;
	bpf_for(i, 0, 65536) {
		if (address == 0 || job_read(ctx, address, &append) != 0 || !append.written)
			break;
		last = address;
		*number = i + 1;
		address = append.next;
	}
	return last;
}

static __always_inline void start_timer(struct io_uring_bpf_ctx *ctx, struct log *log)
{
	struct io_uring_sqe sqe;
	struct piece timer;

	if (job_ends(&log->job) || job_read(ctx, log->timer, &timer) != 0 || timer.request != 0)
		return;
	io_uring_prep_timeout(&sqe, at(log->time), 0, 0);
	job_submit(ctx, &log->job, &timer, log->timer, &sqe);
	job_write(ctx, log->timer, &timer);
}

/* Begins an fsync, if enough have come or waited. */
static __always_inline void sync(struct io_uring_bpf_ctx *ctx, struct log *log)
{
	struct io_uring_sqe sqe;
	struct piece piece;
	__u32 number;
	__u64 last;

	if (log->covered != 0 || log->first == 0 || log->job.error != 0)
		return;
	last = written_to(ctx, log, &number);
	if (last == 0 || (number < log->group && !log->due && !log->closing))
		return;
	if (job_read(ctx, log->sync, &piece) != 0)
		return;
	io_uring_prep_fsync(&sqe, log->fd, log->datasync ? IORING_FSYNC_DATASYNC : 0);
	if (!job_submit(ctx, &log->job, &piece, log->sync, &sqe))
		return;
	job_write(ctx, log->sync, &piece);
	log->covered = last;
	log->due = 0;
	log->syncs++;
}

static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct log *log, struct append *append)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	if (ctx->opcode == IORING_OP_TIMEOUT) {
		log->due = 1;
		return;
	}
	if (ctx->opcode == IORING_OP_FSYNC) {
		__u64 covered = log->covered;

		log->covered = 0;
		if (res == -EINTR)
			log->due = 1;
		else if (res < 0)
			job_fail(&log->job, res);
		else
			answer(ctx, log, covered, 0);
		/* Those that came meanwhile begin to wait. */
		if (log->first != 0)
			start_timer(ctx, log);
		return;
	}
	if (job_ends(&log->job))
		return;
	if (res == -EAGAIN) {
		io_uring_prep_poll_add(&sqe, log->fd, POLLOUT);
		job_submit(ctx, &log->job, &append->piece, ctx->user_data, &sqe);
		return;
	}
	if (res == -EINTR || (ctx->opcode == IORING_OP_POLL_ADD && res >= 0)) {
		write_rest(ctx, log, append);
		return;
	}
	if (res <= 0) {
		job_fail(&log->job, res < 0 ? res : -EIO);
		return;
	}
	append->done += (__u32)res;
	if (append->done < append->length)
		write_rest(ctx, log, append);
	else
		append->written = 1;
}

/* A new append goes to the end of the list. */
static __always_inline void take(struct io_uring_bpf_ctx *ctx, struct log *log, struct append *append)
{
	struct append last;

	append->taken = 1;
	append->offset = log->tail;
	log->tail += append->length;
	log->appends++;
	log->waiting++;
	if (log->last == 0)
		log->first = ctx->user_data;
	else if (job_read(ctx, log->last, &last) == 0) {
		last.next = ctx->user_data;
		job_write(ctx, log->last, &last);
	}
	log->last = ctx->user_data;
	if (append->length == 0)
		append->written = 1;
	else if (!job_ends(&log->job))
		write_rest(ctx, log, append);
	start_timer(ctx, log);
}

SEC("iouring")
int sluice_append(struct io_uring_bpf_ctx *ctx)
{
	struct append append;
	struct piece timer;
	struct log log;

	if (job_read(ctx, ctx->user_data, &append) != 0 || job_read(ctx, append.piece.job, &log) != 0)
		return RING_DONE;
	job_ended(ctx, &log.job, &append.piece);
	/* To be stopped: everything that waits is synced and answered first. */
	if (log.job.stop) {
		log.job.stop = 0;
		log.closing = 1;
	}
	if (ctx->opcode != IORING_OP_BPF)
		ended(ctx, &log, &append);
	else if (ctx->user_data != log.sync && !append.taken)
		take(ctx, &log, &append);
	if (ctx->user_data != log.sync && ctx->user_data != log.timer)
		job_write(ctx, ctx->user_data, &append);
	else
		bpf_ring_write(ctx, ctx->user_data, &append.piece, sizeof(append.piece));
	if (log.job.error != 0)
		answer(ctx, &log, 0, log.job.error);
	else
		sync(ctx, &log);
	if ((log.closing || log.job.error != 0) && log.first == 0 && job_read(ctx, log.timer, &timer) == 0) {
		job_cancel(ctx, &log.job, &timer);
		job_write(ctx, log.timer, &timer);
	}
	/* The log itself is over when user space has closed it. */
	if (log.closing && log.first == 0)
		job_answer(ctx, &log.job, 0);
	job_write(ctx, append.piece.job, &log);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
