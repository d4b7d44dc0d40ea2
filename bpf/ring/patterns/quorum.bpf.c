/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* N of M: all requests start at once; as soon as so many have succeeded, or too many have failed for that, the others are cancelled. */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

/* src/hooks/ring/patterns/quorum.ts writes and reads these. */
struct quorum {
	struct job job;
	__u64 members;
	__u32 count;
	__u32 needed;
	__u32 succeeded;
	__u32 failed;
	__u32 started;
	__u32 decided;
};

struct member {
	struct piece piece;
	/* Place in the order in which they ended, from 1; 0: it did not. */
	__u32 order;
	__s32 res;
	struct io_uring_sqe sqe;
};

static __always_inline void for_each(struct io_uring_bpf_ctx *ctx, struct quorum *quorum, struct member *running, bool start)
{
	__u32 count = quorum->count, i;
	struct member member;

	bpf_for(i, 0, 1024) {
		__u64 address = quorum->members + i * sizeof(member);

		if (i >= count || (start && job_ends(&quorum->job)))
			break;
		if (address == ctx->user_data || job_read(ctx, address, &member) != 0)
			continue;
		if (start)
			job_submit(ctx, &quorum->job, &member.piece, address, &member.sqe);
		else
			job_cancel(ctx, &quorum->job, &member.piece);
		job_write(ctx, address, &member);
	}
	if (!start)
		job_cancel(ctx, &quorum->job, &running->piece);
	else if (!job_ends(&quorum->job))
		job_submit(ctx, &quorum->job, &running->piece, ctx->user_data, &running->sqe);
}

SEC("iouring")
int sluice_quorum(struct io_uring_bpf_ctx *ctx)
{
	struct member member;
	struct quorum quorum;

	if (job_read(ctx, ctx->user_data, &member) != 0 || job_read(ctx, member.piece.job, &quorum) != 0)
		return RING_DONE;
	job_ended(ctx, &quorum.job, &member.piece);
	if (ctx->opcode == IORING_OP_BPF) {
		if (quorum.job.stop)
			for_each(ctx, &quorum, &member, false);
		else if (!quorum.started) {
			quorum.started = 1;
			for_each(ctx, &quorum, &member, true);
		}
	} else {
		member.res = ctx->res;
		member.order = quorum.succeeded + quorum.failed + 1;
		if (ctx->res >= 0)
			quorum.succeeded++;
		else
			quorum.failed++;
	}
	if (!quorum.decided && !quorum.job.stop &&
	    (quorum.succeeded >= quorum.needed || quorum.failed > quorum.count - quorum.needed || quorum.job.error != 0)) {
		quorum.decided = 1;
		for_each(ctx, &quorum, &member, false);
	}
	/* Enough is enough, whoever wants an end now. */
	if (quorum.succeeded >= quorum.needed)
		quorum.job.stop = 0;
	job_answer(ctx, &quorum.job, (__s32)quorum.succeeded);
	job_write(ctx, ctx->user_data, &member);
	job_write(ctx, member.piece.job, &quorum);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
