/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A TCP proxy: each connection that is accepted gets one to the upstream, and bytes go both ways by splice, through a pipe for each way, without being copied
 * to user space. The end of one way is passed on by shutdown; when both have ended, or one has failed, everything of the pair is closed.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { DOING_NOTHING, DOING_ACCEPT, DOING_SOCKET, DOING_CONNECT, DOING_PIPE, DOING_IN, DOING_OUT, DOING_SHUTDOWN, DOING_DONE, DOING_CLOSE };
enum { SPLICE_MORE = 4, SHUT_WR = 1, POLLIN = 1, POLLOUT = 4, ECONNABORTED = 103, SOCK_STREAM = 1, SOCK_CLOEXEC = 02000000 };

/* src/hooks/ring/patterns/proxy.ts writes and reads it. */
struct proxy {
	struct job job;
	__s32 fd;
	__u32 pairs;
	__u32 family;
	__u32 address_length;
	/* sockaddr of the upstream. */
	__u64 address;
	/* Pairs, behind one that stands for the listening socket. */
	__u64 pool;
	/* Address of the first free pair, 0: none. */
	__u64 free;
	__u32 chunk;
	__u32 open;
	__u64 accepted;
	__u64 broken;
	/* From clients to the upstream, and back. */
	__u64 bytes[2];
};

struct way {
	/* Handle of the request under way, 0: none; and what it is. */
	struct piece piece;
	/* Address of the pair. */
	__u64 pair;
	__u32 doing;
	/* Bytes in the pipe. */
	__u32 held;
	__u32 direction;
	__u32 reserved;
};

struct pair {
	struct way ways[2];
	__u64 next;
	/* Client, upstream, and the ends of both pipes (read, write); -1: none. */
	__s32 fds[6];
	__u32 closing;
	__u32 reserved;
};

/* Too large for the stack. The pair that the run is about; another one. */
static struct proxy proxy_here;
static struct pair current;
static struct pair other;
/* Of the run; read once, so that the compiler makes no pointer into the context. */
static __u32 opcode;

static __always_inline bool way_submit(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *pair, __u32 which, struct io_uring_sqe *sqe)
{
	__u64 address = pair->ways[0].pair + (which ? sizeof(struct way) : 0);

	return job_submit(ctx, &proxy->job, which ? &pair->ways[1].piece : &pair->ways[0].piece, address, sqe);
}

static __always_inline void accept(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *listener)
{
	struct io_uring_sqe sqe;

	if (job_ends(&proxy->job) || proxy->free == 0 || listener->ways[0].piece.request != 0)
		return;
	listener->ways[0].doing = DOING_ACCEPT;
	io_uring_prep_accept(&sqe, proxy->fd, NULL, NULL, O_CLOEXEC);
	way_submit(ctx, proxy, listener, 0, &sqe);
}

/* One step of a way: from its socket into its pipe, or out of the pipe. */
static __always_inline void move(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *pair, __u32 which)
{
	struct way *way = which ? &pair->ways[1] : &pair->ways[0];
	__s32 from = which ? pair->fds[1] : pair->fds[0], to = which ? pair->fds[0] : pair->fds[1];
	struct io_uring_sqe sqe;

	if (way->held == 0) {
		way->doing = DOING_IN;
		io_uring_prep_splice(&sqe, from, -1, which ? pair->fds[5] : pair->fds[3], -1, proxy->chunk, 0);
	} else {
		way->doing = DOING_OUT;
		io_uring_prep_splice(&sqe, which ? pair->fds[4] : pair->fds[2], -1, to, -1, way->held, 0);
	}
	way_submit(ctx, proxy, pair, which, &sqe);
}

/* A worker of the kernel would wait in splice, and a poll does not: the socket is ready before. */
static __always_inline void wait_ready(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *pair, __u32 which)
{
	struct way *way = which ? &pair->ways[1] : &pair->ways[0];
	bool in = way->held == 0;
	struct io_uring_sqe sqe;

	way->doing = in ? DOING_IN : DOING_OUT;
	io_uring_prep_poll_add(&sqe, (which != 0) == in ? pair->fds[1] : pair->fds[0], in ? POLLIN : POLLOUT);
	way_submit(ctx, proxy, pair, which, &sqe);
}

/* Ends the pair: cancels what is under way; then closes one descriptor after the other. */
static __always_inline void close_next(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *pair)
{
	struct io_uring_sqe sqe;
	__s32 fd = -1;

	pair->closing = 1;
	job_cancel(ctx, &proxy->job, &pair->ways[0].piece);
	job_cancel(ctx, &proxy->job, &pair->ways[1].piece);
	if (pair->ways[0].piece.request != 0 || pair->ways[1].piece.request != 0)
		return;
#define TAKE(i)                                 \
	if (fd < 0 && pair->fds[i] >= 0) {      \
		fd = pair->fds[i];              \
		pair->fds[i] = -1;              \
	}
	TAKE(0) TAKE(1) TAKE(2) TAKE(3) TAKE(4) TAKE(5)
#undef TAKE
	if (fd >= 0) {
		pair->ways[0].doing = DOING_CLOSE;
		io_uring_prep_close(&sqe, fd);
		/* User space closes what is left in the pair. */
		if (!way_submit(ctx, proxy, pair, 0, &sqe))
			pair->fds[0] = fd;
		return;
	}
	pair->ways[0].doing = DOING_NOTHING;
	pair->ways[1].doing = DOING_NOTHING;
	pair->closing = 0;
	pair->next = proxy->free;
	proxy->free = pair->ways[0].pair;
	proxy->open--;
}

static __always_inline void make_pipe(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *pair, __u32 which)
{
	struct io_uring_sqe sqe;
	__u64 fds = pair->ways[0].pair + __builtin_offsetof(struct pair, fds) + (which ? 16 : 8);

	io_uring_prep_rw(IORING_OP_PIPE, &sqe, 0, at(fds), 0, 0);
	sqe.pipe_flags = O_CLOEXEC;
	pair->ways[0].doing = DOING_PIPE;
	way_submit(ctx, proxy, pair, 0, &sqe);
}

/* What a way of a pair has done. */
static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *pair, __u32 which)
{
	struct way *way = which ? &pair->ways[1] : &pair->ways[0];
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	/* What has been opened is to be closed, whatever comes next. */
	if (way->doing == DOING_SOCKET && res >= 0)
		pair->fds[1] = res;
	if (pair->closing || job_ends(&proxy->job)) {
		close_next(ctx, proxy, pair);
		return;
	}
	if (res == -EINTR || res == -EAGAIN) {
		if (way->doing == DOING_IN || way->doing == DOING_OUT) {
			wait_ready(ctx, proxy, pair, which);
			return;
		}
	}
	if (res < 0) {
		proxy->broken++;
		close_next(ctx, proxy, pair);
		return;
	}
	switch (way->doing) {
	case DOING_SOCKET:
		way->doing = DOING_CONNECT;
		io_uring_prep_connect(&sqe, pair->fds[1], at(proxy->address), proxy->address_length);
		way_submit(ctx, proxy, pair, 0, &sqe);
		return;
	case DOING_CONNECT:
		make_pipe(ctx, proxy, pair, 0);
		return;
	case DOING_PIPE:
		if (pair->fds[4] < 0) {
			make_pipe(ctx, proxy, pair, 1);
			return;
		}
		wait_ready(ctx, proxy, pair, 0);
		wait_ready(ctx, proxy, pair, 1);
		return;
	case DOING_IN:
	case DOING_OUT:
		if (opcode == IORING_OP_POLL_ADD) {
			move(ctx, proxy, pair, which);
			return;
		}
		if (way->doing == DOING_IN && res == 0) {
			/* The end of this way. */
			way->doing = DOING_SHUTDOWN;
			io_uring_prep_shutdown(&sqe, which ? pair->fds[0] : pair->fds[1], SHUT_WR);
			way_submit(ctx, proxy, pair, which, &sqe);
			return;
		}
		if (way->doing == DOING_IN) {
			way->held = (__u32)res;
			move(ctx, proxy, pair, which);
			return;
		}
		way->held -= (__u32)res;
		if (which)
			proxy->bytes[1] += (__u32)res;
		else
			proxy->bytes[0] += (__u32)res;
		if (way->held == 0)
			wait_ready(ctx, proxy, pair, which);
		else
			move(ctx, proxy, pair, which);
		return;
	case DOING_SHUTDOWN:
		way->doing = DOING_DONE;
		if (pair->ways[0].doing == DOING_DONE && pair->ways[1].doing == DOING_DONE)
			close_next(ctx, proxy, pair);
		return;
	}
}

static __always_inline void accepted(struct io_uring_bpf_ctx *ctx, struct proxy *proxy, struct pair *listener)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;
	__u64 address;

	if (res >= 0) {
		address = proxy->free;
		if (job_ends(&proxy->job) || address == 0 || job_read(ctx, address, &other) != 0) {
			listener->ways[0].doing = DOING_CLOSE;
			io_uring_prep_close(&sqe, res);
			if (!way_submit(ctx, proxy, listener, 0, &sqe))
				listener->fds[0] = res;
			return;
		}
		proxy->free = other.next;
		proxy->accepted++;
		proxy->open++;
		other.fds[0] = res;
		other.closing = 0;
		other.ways[0].held = 0;
		other.ways[1].held = 0;
		other.ways[1].doing = DOING_NOTHING;
		other.ways[0].doing = DOING_SOCKET;
		io_uring_prep_socket(&sqe, (__s32)proxy->family, SOCK_STREAM | SOCK_CLOEXEC, 0, 0);
		way_submit(ctx, proxy, &other, 0, &sqe);
		job_write(ctx, address, &other);
	} else if (res != -ECANCELED && res != -EINTR && res != -EAGAIN && res != -ECONNABORTED && !job_ends(&proxy->job)) {
		job_fail(&proxy->job, res);
		return;
	}
	accept(ctx, proxy, listener);
}

static __always_inline void stop(struct io_uring_bpf_ctx *ctx, struct proxy *proxy)
{
	__u32 pairs = proxy->pairs, i;

	bpf_for(i, 0, 16385) {
		__u64 address = proxy->pool + i * sizeof(other);

		if (i > pairs || job_read(ctx, address, &other) != 0)
			break;
		if (i == 0) {
			if (other.ways[0].doing == DOING_ACCEPT)
				job_cancel(ctx, &proxy->job, &other.ways[0].piece);
		} else if (!other.closing && other.fds[0] >= 0)
			close_next(ctx, proxy, &other);
		job_write(ctx, address, &other);
	}
}

SEC("iouring")
int sluice_proxy(struct io_uring_bpf_ctx *ctx)
{
	struct proxy *proxy = &proxy_here;
	struct way way;
	__s32 before;

	if (job_read(ctx, ctx->user_data, &way) != 0 || job_read(ctx, way.piece.job, proxy) != 0 || job_read(ctx, way.pair, &current) != 0)
		return RING_DONE;
	before = proxy->job.error;
	opcode = ctx->opcode;
	proxy->job.live--;
	if (opcode != IORING_OP_BPF) {
		if (way.direction)
			current.ways[1].piece.request = 0;
		else
			current.ways[0].piece.request = 0;
	}
	if (opcode == IORING_OP_BPF) {
		if (!proxy->job.stop)
			accept(ctx, proxy, &current);
		job_write(ctx, way.pair, &current);
	} else if (way.pair == proxy->pool) {
		if (current.ways[0].doing == DOING_ACCEPT)
			accepted(ctx, proxy, &current);
		job_write(ctx, way.pair, &current);
	} else {
		__u64 free = proxy->free;

		ended(ctx, proxy, &current, way.direction);
		job_write(ctx, way.pair, &current);
		if (proxy->free != free && !job_ends(&proxy->job) && job_read(ctx, proxy->pool, &other) == 0) {
			accept(ctx, proxy, &other);
			job_write(ctx, proxy->pool, &other);
		}
	}
	if ((opcode == IORING_OP_BPF && proxy->job.stop) || proxy->job.error != before)
		stop(ctx, proxy);
	/* To be stopped is how it ends. */
	if (proxy->job.live == 0 && proxy->job.error == 0)
		proxy->job.stop = 0;
	job_answer(ctx, &proxy->job, 0);
	job_write(ctx, way.piece.job, proxy);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
