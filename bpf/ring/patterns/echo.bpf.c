/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Echo: accepts connections on a listening socket, and sends back what it receives on each, until user space stops it. Connections come from a pool; while it
 * is empty nothing is accepted.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { DOING_NOTHING, DOING_ACCEPT, DOING_RECV, DOING_SEND, DOING_CLOSE };
/* With so many free connections one request accepts many, and is ended when there are fewer than FEW; then each accepts one. */
enum { MANY = 64, FEW = 32 };
enum { MSG_NOSIGNAL = 0x4000, POLLIN = 1, POLLOUT = 4, ENFILE = 23, EMFILE = 24, ECONNABORTED = 103 };

/* src/hooks/ring/patterns/echo.ts writes and reads it. */
struct echo {
	struct job job;
	__s32 fd;
	/* Connections in the pool, at `pool` behind one that stands for the listening socket; each has so many bytes. */
	__u32 connections;
	__u32 buffer;
	__u32 open;
	__u64 pool;
	/* Address of the first free connection, 0: none. */
	__u64 free;
	__u64 accepted;
	__u64 refused;
	__u64 broken;
	__u64 bytes;
	/* Connections in the list of free ones. */
	__u32 left;
	/* The request under way accepts many. */
	__u32 multishot;
};

struct connection {
	struct piece piece;
	__u64 next;
	__u64 buffer;
	__s32 fd;
	__u32 doing;
	__u32 got;
	__u32 put;
};

static __always_inline void receive(struct io_uring_bpf_ctx *ctx, struct echo *echo, struct connection *connection, __u64 address)
{
	struct io_uring_sqe sqe;

	connection->doing = DOING_RECV;
	connection->got = 0;
	connection->put = 0;
	io_uring_prep_recv(&sqe, connection->fd, at(connection->buffer), echo->buffer, 0);
	job_submit(ctx, &echo->job, &connection->piece, address, &sqe);
}

static __always_inline void send_rest(struct io_uring_bpf_ctx *ctx, struct echo *echo, struct connection *connection)
{
	struct io_uring_sqe sqe;

	connection->doing = DOING_SEND;
	io_uring_prep_send(&sqe, connection->fd, at(connection->buffer + connection->put), connection->got - connection->put, MSG_NOSIGNAL);
	job_submit(ctx, &echo->job, &connection->piece, ctx->user_data, &sqe);
}

static __always_inline void hang_up(struct io_uring_bpf_ctx *ctx, struct echo *echo, struct connection *connection, __u64 address)
{
	connection->doing = DOING_CLOSE;
	job_close(ctx, &echo->job, &connection->piece, address, connection->fd);
}

/* The listening socket, if there is room and it is not under way. */
static __always_inline void accept(struct io_uring_bpf_ctx *ctx, struct echo *echo, struct connection *listener)
{
	struct io_uring_sqe sqe;

	if (job_ends(&echo->job) || echo->free == 0 || listener->piece.request != 0)
		return;
	listener->doing = DOING_ACCEPT;
	io_uring_prep_accept(&sqe, echo->fd, NULL, NULL, O_CLOEXEC);
	echo->multishot = echo->left >= MANY;
	if (echo->multishot)
		sqe.ioprio = IORING_ACCEPT_MULTISHOT;
	job_submit(ctx, &echo->job, &listener->piece, echo->pool, &sqe);
}

static __always_inline void accepted(struct io_uring_bpf_ctx *ctx, struct echo *echo, struct connection *listener)
{
	struct connection connection;
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;
	__u64 address;

	if (res >= 0) {
		address = echo->free;
		if (job_ends(&echo->job) || address == 0 || job_read(ctx, address, &connection) != 0) {
			/* Came with the end, or between the last free connection and the cancellation. */
			echo->refused++;
			io_uring_prep_close(&sqe, res);
			sqe.user_data = ctx->user_data;
			sqe.extra = RING_HIDDEN;
			sqe.callback = (__u16)(ctx->program + 1);
			if (bpf_ring_submit(ctx, &sqe, sizeof(sqe)) < 0)
				job_fail(&echo->job, -ENOMEM);
			else
				echo->job.live++;
		} else {
			echo->free = connection.next;
			echo->left--;
			echo->accepted++;
			echo->open++;
			connection.fd = res;
			receive(ctx, echo, &connection, address);
			job_write(ctx, address, &connection);
			if (echo->multishot && echo->left < FEW)
				job_cancel(ctx, &echo->job, &listener->piece);
		}
	} else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		/* Goes on when a connection has ended; with none there is nothing to wait for. */
		if (echo->open == 0)
			job_fail(&echo->job, res);
		return;
	} else if (res != -ECANCELED && res != -EINTR && res != -EAGAIN && res != -ECONNABORTED && !job_ends(&echo->job)) {
		job_fail(&echo->job, res);
		return;
	}
	accept(ctx, echo, listener);
}

static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct echo *echo, struct connection *connection)
{
	struct connection listener;
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	if (connection->doing == DOING_CLOSE) {
		connection->fd = -1;
		connection->doing = DOING_NOTHING;
		connection->next = echo->free;
		echo->free = ctx->user_data;
		echo->left++;
		echo->open--;
		if (job_ends(&echo->job) || job_read(ctx, echo->pool, &listener) != 0)
			return;
		accept(ctx, echo, &listener);
		job_write(ctx, echo->pool, &listener);
		return;
	}
	if (job_ends(&echo->job)) {
		hang_up(ctx, echo, connection, ctx->user_data);
		return;
	}
	if (res == -EAGAIN) {
		io_uring_prep_poll_add(&sqe, connection->fd, connection->doing == DOING_SEND ? POLLOUT : POLLIN);
		job_submit(ctx, &echo->job, &connection->piece, ctx->user_data, &sqe);
		return;
	}
	if (res == -EINTR || (ctx->opcode == IORING_OP_POLL_ADD && res >= 0)) {
		if (connection->doing == DOING_SEND)
			send_rest(ctx, echo, connection);
		else
			receive(ctx, echo, connection, ctx->user_data);
		return;
	}
	if (res <= 0) {
		if (res < 0)
			echo->broken++;
		hang_up(ctx, echo, connection, ctx->user_data);
		return;
	}
	if (connection->doing == DOING_RECV) {
		connection->got = (__u32)res;
		send_rest(ctx, echo, connection);
		return;
	}
	connection->put += (__u32)res;
	echo->bytes += (__u32)res;
	if (connection->put < connection->got)
		send_rest(ctx, echo, connection);
	else
		receive(ctx, echo, connection, ctx->user_data);
}

/* Ends what is under way; connections are closed when that has ended, those that have nothing under way at once. */
static __always_inline void stop(struct io_uring_bpf_ctx *ctx, struct echo *echo, struct connection *listener)
{
	__u32 connections = echo->connections;
	struct connection connection;
	__u32 i;

	job_cancel(ctx, &echo->job, &listener->piece);
	bpf_for(i, 1, 65537) {
		__u64 address = echo->pool + i * sizeof(connection);

		if (i > connections)
			break;
		if (job_read(ctx, address, &connection) != 0 || connection.fd < 0 || connection.doing == DOING_CLOSE)
			continue;
		job_cancel(ctx, &echo->job, &connection.piece);
		if (connection.piece.request == 0)
			hang_up(ctx, echo, &connection, address);
		job_write(ctx, address, &connection);
	}
}

SEC("iouring")
int sluice_echo(struct io_uring_bpf_ctx *ctx)
{
	struct connection connection;
	struct echo echo;
	bool refused;
	__s32 before;

	if (job_read(ctx, ctx->user_data, &connection) != 0 || job_read(ctx, connection.piece.job, &echo) != 0)
		return RING_DONE;
	before = echo.job.error;
	/* The end of a refused connection is not that of the request that accepts. */
	refused = ctx->user_data == echo.pool && ctx->opcode == IORING_OP_CLOSE;
	if (refused)
		echo.job.live--;
	else
		job_ended(ctx, &echo.job, &connection.piece);
	if (refused) {
		/* Nothing but the count. */
	} else if (ctx->opcode != IORING_OP_BPF) {
		if (ctx->user_data == echo.pool)
			accepted(ctx, &echo, &connection);
		else
			ended(ctx, &echo, &connection);
	} else if (!echo.job.stop) {
		accept(ctx, &echo, &connection);
	}
	job_write(ctx, ctx->user_data, &connection);
	/* What ends one connection for good ends all. */
	if ((ctx->opcode == IORING_OP_BPF && echo.job.stop) || echo.job.error != before) {
		struct connection listener;

		if (job_read(ctx, echo.pool, &listener) == 0) {
			stop(ctx, &echo, &listener);
			job_write(ctx, echo.pool, &listener);
		}
	}
	/* To be stopped is how it ends. */
	if (echo.job.live == 0 && echo.job.error == 0)
		echo.job.stop = 0;
	job_answer(ctx, &echo.job, 0);
	job_write(ctx, connection.piece.job, &echo);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
