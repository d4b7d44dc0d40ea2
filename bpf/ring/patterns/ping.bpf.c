/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Keeps a connection alive: sends a message, waits for an answer of the same length, rests, and so on. No answer in time is the end, as is an error, or the end
 * of the connection.
 */
#include <sluice/bpf.h>
#include "job.h"

enum { DOING_SEND, DOING_RECV, DOING_REST, MSG_NOSIGNAL = 0x4000, POLLIN = 1, POLLOUT = 4, ECONNRESET = 104 };

/* src/hooks/ring/patterns/ping.ts writes and reads it. */
struct ping {
	struct job job;
	__s32 fd;
	__u32 length;
	/* 0: without end. */
	__u32 rounds;
	__u32 answered;
	__u64 message;
	__u64 answer;
	/* Addresses of struct __kernel_timespec. */
	__u64 patience;
	__u64 rest;
	__u64 sent_at;
	/* Round-trip times in ns. */
	__u64 last;
	__u64 least;
	__u64 most;
	__u64 sum;
	/* Address of the timer's piece. */
	__u64 timer;
	__u32 done;
	__u32 late;
};

struct talk {
	struct piece piece;
	__u32 doing;
	__u32 reserved;
};

static __always_inline void talk_on(struct io_uring_bpf_ctx *ctx, struct ping *ping, struct talk *talk)
{
	struct io_uring_sqe sqe;

	if (talk->doing == DOING_SEND)
		io_uring_prep_send(&sqe, ping->fd, at(ping->message + ping->done), ping->length - ping->done, MSG_NOSIGNAL);
	else
		io_uring_prep_recv(&sqe, ping->fd, at(ping->answer + ping->done), ping->length - ping->done, 0);
	job_submit(ctx, &ping->job, &talk->piece, ctx->user_data, &sqe);
}

static __always_inline void set_timer(struct io_uring_bpf_ctx *ctx, struct ping *ping, struct talk *talk, __u64 time)
{
	struct io_uring_sqe sqe;

	io_uring_prep_timeout(&sqe, at(time), 0, 0);
	job_submit(ctx, &ping->job, &talk->piece, ctx->user_data, &sqe);
}

/* The timer of the round that begins is a piece of its own. */
static __always_inline void begin(struct io_uring_bpf_ctx *ctx, struct ping *ping, struct talk *talk)
{
	struct io_uring_sqe sqe;
	struct talk timer;

	ping->done = 0;
	ping->late = 0;
	ping->sent_at = bpf_ktime_get_ns();
	talk->doing = DOING_SEND;
	if (job_read(ctx, ping->timer, &timer) != 0)
		return;
	io_uring_prep_timeout(&sqe, at(ping->patience), 0, 0);
	if (job_submit(ctx, &ping->job, &timer.piece, ping->timer, &sqe))
		talk_on(ctx, ping, talk);
	job_write(ctx, ping->timer, &timer);
}

static __always_inline void cancel_timer(struct io_uring_bpf_ctx *ctx, struct ping *ping)
{
	struct talk timer;

	if (job_read(ctx, ping->timer, &timer) != 0)
		return;
	job_cancel(ctx, &ping->job, &timer.piece);
	job_write(ctx, ping->timer, &timer);
}

static __always_inline void answered(struct io_uring_bpf_ctx *ctx, struct ping *ping, struct talk *talk)
{
	__u64 time = bpf_ktime_get_ns() - ping->sent_at;

	ping->answered++;
	ping->last = time;
	ping->sum += time;
	if (ping->least == 0 || time < ping->least)
		ping->least = time;
	if (time > ping->most)
		ping->most = time;
	cancel_timer(ctx, ping);
	if (ping->rounds != 0 && ping->answered >= ping->rounds)
		return;
	talk->doing = DOING_REST;
	set_timer(ctx, ping, talk, ping->rest);
}

static __always_inline void talked(struct io_uring_bpf_ctx *ctx, struct ping *ping, struct talk *talk)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	if (job_ends(&ping->job))
		return;
	if (talk->doing == DOING_REST) {
		struct talk timer;

		/* The round before may still have its timer cancelled: then a little later. */
		if (job_read(ctx, ping->timer, &timer) == 0 && timer.piece.request != 0)
			set_timer(ctx, ping, talk, ping->rest);
		else
			begin(ctx, ping, talk);
		return;
	}
	if (ping->late) {
		job_fail(&ping->job, -ETIME);
		return;
	}
	if (res == -EAGAIN) {
		io_uring_prep_poll_add(&sqe, ping->fd, talk->doing == DOING_SEND ? POLLOUT : POLLIN);
		job_submit(ctx, &ping->job, &talk->piece, ctx->user_data, &sqe);
		return;
	}
	if (res == -EINTR || (ctx->opcode == IORING_OP_POLL_ADD && res >= 0)) {
		talk_on(ctx, ping, talk);
		return;
	}
	if (res <= 0) {
		job_fail(&ping->job, res < 0 ? res : -ECONNRESET);
		cancel_timer(ctx, ping);
		return;
	}
	ping->done += (__u32)res;
	if (ping->done < ping->length)
		talk_on(ctx, ping, talk);
	else if (talk->doing == DOING_SEND) {
		ping->done = 0;
		talk->doing = DOING_RECV;
		talk_on(ctx, ping, talk);
	} else
		answered(ctx, ping, talk);
}

SEC("iouring")
int sluice_ping(struct io_uring_bpf_ctx *ctx)
{
	struct talk talk, other;
	struct ping ping;

	if (job_read(ctx, ctx->user_data, &talk) != 0 || job_read(ctx, talk.piece.job, &ping) != 0)
		return RING_DONE;
	job_ended(ctx, &ping.job, &talk.piece);
	if (ctx->opcode == IORING_OP_BPF) {
		if (ping.job.stop) {
			job_cancel(ctx, &ping.job, &talk.piece);
			cancel_timer(ctx, &ping);
		} else {
			begin(ctx, &ping, &talk);
		}
	} else if (ctx->user_data == ping.timer) {
		/* The answer is late: what waits for it is cancelled, and says so. */
		__u64 talks = ping.timer - sizeof(talk);

		if (ctx->res == -ETIME && !job_ends(&ping.job) && job_read(ctx, talks, &other) == 0 && other.doing != DOING_REST) {
			ping.late = 1;
			job_cancel(ctx, &ping.job, &other.piece);
			if (other.piece.request == 0)
				job_fail(&ping.job, -ETIME);
			job_write(ctx, talks, &other);
		}
	} else {
		talked(ctx, &ping, &talk);
	}
	/* To be stopped is how it ends. */
	if (ping.job.live == 0 && ping.job.error == 0)
		ping.job.stop = 0;
	job_answer(ctx, &ping.job, 0);
	job_write(ctx, ctx->user_data, &talk);
	job_write(ctx, talk.piece.job, &ping);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
