/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the patterns share. A job is what user space asks for, in memory that it shares with programs; a request of a job names in `user_data` the address of
 * a piece of it: what it is about. Programs copy both, go on, and copy them back. The answer is one completion, when nothing of the job is under way.
 */
#ifndef SLUICE_RING_PATTERNS_JOB_H
#define SLUICE_RING_PATTERNS_JOB_H

#include <sluice/ring.h>

/* Every job begins with it; src/hooks/ring/patterns/job.ts knows it. */
struct job {
	/* Completion queue and user_data of the answer. */
	__u64 answer;
	__u32 queue;
	/* Requests that have not ended, those of user space (start, stop) included. */
	__u32 live;
	/* The first error, negative. */
	__s32 error;
	/* User space wants an end: as soon as it can be. */
	__u32 stop;
	/* The answer is given. */
	__u32 answered;
	__u32 reserved;
};

/* Every piece begins with it. */
struct piece {
	/* Address of the job. */
	__u64 job;
	/* Handle of the request that is under way, 0: none. */
	__u64 request;
};

#define job_read(ctx, address, to) bpf_ring_read((ctx), (address), (to), sizeof(*(to)))
#define job_write(ctx, address, from) bpf_ring_write((ctx), (address), (from), sizeof(*(from)))

/* Memory by address, as requests take it. */
#define at(address) ((void *)(unsigned long)(address))

/* The first error counts. */
static __always_inline void job_fail(struct job *job, __s64 error)
{
	if (job->error == 0)
		job->error = (__s32)error;
}

static __always_inline bool job_ends(const struct job *job)
{
	return job->stop != 0 || job->error != 0;
}

/* A request of the piece at `address`, which runs this program again when it has ended. False: it could not be made, and the job fails. */
static __always_inline bool job_submit(struct io_uring_bpf_ctx *ctx, struct job *job, struct piece *piece, __u64 address,
				       struct io_uring_sqe *sqe)
{
	__s64 handle;

	sqe->user_data = address;
	sqe->callback = (__u16)(ctx->program + 1);
	sqe->extra = RING_HIDDEN;
	handle = bpf_ring_submit(ctx, sqe, sizeof(*sqe));
	if (handle < 0) {
		job_fail(job, handle);
		return false;
	}
	piece->request = (__u64)handle;
	job->live++;
	return true;
}

/* A request to close, whose end matters to nobody but the count. */
static __always_inline bool job_close(struct io_uring_bpf_ctx *ctx, struct job *job, struct piece *piece, __u64 address, __s32 fd)
{
	struct io_uring_sqe sqe;

	io_uring_prep_close(&sqe, fd);
	return job_submit(ctx, job, piece, address, &sqe);
}

/* Asks for the end of what is under way. What the kernel has not got ends at once, without a run. */
static __always_inline void job_cancel(struct io_uring_bpf_ctx *ctx, struct job *job, struct piece *piece)
{
	if (piece->request == 0)
		return;
	if (bpf_ring_cancel(ctx, piece->request) == 0) {
		piece->request = 0;
		job->live--;
	}
}

/* A request of the job has ended: of this piece, unless user space started or stopped the job. */
static __always_inline void job_ended(struct io_uring_bpf_ctx *ctx, struct job *job, struct piece *piece)
{
	if ((ctx->flags & IORING_CQE_F_MORE) != 0)
		return;
	job->live--;
	if (ctx->opcode != IORING_OP_BPF)
		piece->request = 0;
}

/* Answers, if nothing is under way. `result` counts unless something failed. */
static __always_inline void job_answer(struct io_uring_bpf_ctx *ctx, struct job *job, __s32 result)
{
	if (job->live != 0 || job->answered != 0)
		return;
	job->answered = 1;
	if (job->error == 0 && job->stop != 0)
		job->error = -ECANCELED;
	bpf_ring_emit(ctx, job->queue, job->answer, job->error != 0 ? job->error : result, 0);
}

#endif
