/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Programs on a ring of Sluice: what a completion runs, and requests of their own. A program is SEC("iouring") int name(struct io_uring_bpf_ctx *ctx).
 */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H

#include "io_uring.h"

/* What a program returns: bits. */
enum {
	/* The completion ends here. */
	RING_DONE = 0,
	/* A program request is armed again, to run when queue wait_idx holds wait_nr completions. */
	RING_WAIT = 1,
	/* The completion is posted to its queue as well. */
	RING_POST = 2,
	/* The chain is broken: what follows is cancelled. */
	RING_BREAK = 4,
	/* The request is issued again as it is (bpf_ring_change: as it is then). */
	RING_AGAIN = 8,
};

/* sqe->link_policy of a request with IOSQE_IO_LINK, and the policy of bpf_ring_link: when the next one goes on. */
enum {
	/* As the kernel: not after an error, nor after a short read or write of a file. */
	RING_LINK_KERNEL = 0,
	/* The whole length was done. */
	RING_LINK_EXACT = 1,
	/* No error. */
	RING_LINK_SHORT_OK = 2,
	/* The rest of a short one is issued again until all is done; the end of the file before that is a failure. */
	RING_LINK_RETRY_REST = 3,
	/* The same, and the end of the file is none. */
	RING_LINK_EOF_OK = 4,
	/* Whatever the result. */
	RING_LINK_ALWAYS = 5,
	/* The program of the completion says: unless it returns RING_BREAK. */
	RING_LINK_PROGRAM = 6,
	/* Or-ed in: the result becomes the next request's length, is added to its offset, becomes its descriptor. */
	RING_LINK_PASS_LENGTH = 16,
	RING_LINK_PASS_OFFSET = 32,
	RING_LINK_PASS_FD = 64,
};

/* sqe->extra */
enum {
	/* Runs even if those before it failed or were cancelled. */
	RING_FINALLY = 1,
	/* Its cancellation is not posted. */
	RING_QUIET_CANCEL = 2,
	/* Its completion is not posted; later programs of the chain can read it. */
	RING_HIDDEN = 4,
	/* Of IORING_OP_MSG_RING: fd is the number of a ring (io_uring_prep_msg_ring). */
	RING_TO_RING = 8,
};

/*
 * What becomes of a message in the other ring: it runs a program of that one, by its index from 1 (0: the one that was named for messages), with the data as
 * user_data, the result, and IORING_OP_MSG_RING as opcode; it is posted to a queue; or it ends the request with this user_data. Below 0x800, without
 * IORING_CQE_F_MORE, flags of the completion may be or-ed in.
 */
#define RING_MESSAGE_PROGRAM(index) ((__u32)(index) << 16 | 0x800)
#define RING_MESSAGE_QUEUE(queue) ((__u32)(queue) << 16)
#define RING_MESSAGE_CANCEL 0x1000

/*
 * Calls. They return 0, a count or a handle, or a negative errno. Sizes are those of the struct, and -EINVAL if they are others.
 */

/* A request, which starts when the program has ended; its handle. Requests of one run that have a link flag are linked to the next one of the run. */
extern __s64 bpf_ring_submit(struct io_uring_bpf_ctx *ctx, const struct io_uring_sqe *sqe, __u32 sqe__sz) __ksym;
/* A completion for a queue. */
extern __s64 bpf_ring_emit(struct io_uring_bpf_ctx *ctx, __u32 queue, __u64 user_data, __s32 res, __u32 flags) __ksym;
/* The oldest completion of a queue; -ENOENT and zeros if there is none. */
extern __s64 bpf_ring_reap(struct io_uring_bpf_ctx *ctx, __u32 queue, struct io_uring_cqe *cqe, __u32 cqe__sz) __ksym;
/* Request `to` waits for `from` too. -EBUSY: `to` is on its way; -ENOENT: one of them has ended. */
extern __s64 bpf_ring_link(struct io_uring_bpf_ctx *ctx, __u64 from, __u64 to, __u32 policy) __ksym;
extern __s64 bpf_ring_unlink(struct io_uring_bpf_ctx *ctx, __u64 from, __u64 to) __ksym;
/* Takes back a request that the kernel does not have yet; with flags 1 nobody is told. -EBUSY: the kernel has it. */
extern __s64 bpf_ring_drop(struct io_uring_bpf_ctx *ctx, __u64 request, __u32 flags) __ksym;
/* 0: it has ended; -EALREADY: the kernel was asked to end it. */
extern __s64 bpf_ring_cancel(struct io_uring_bpf_ctx *ctx, __u64 request) __ksym;
/* Completion and request of a member of the chain that has ended: from 0 in the order of the chain, or -1 for the one before this, and so on. */
extern __s64 bpf_ring_chain_cqe(struct io_uring_bpf_ctx *ctx, __s32 index, struct io_uring_cqe *cqe, __u32 cqe__sz) __ksym;
extern __s64 bpf_ring_chain_sqe(struct io_uring_bpf_ctx *ctx, __s32 index, struct io_uring_sqe *sqe, __u32 sqe__sz) __ksym;
/* A request that has not ended; another in its place, before it is issued. */
extern __s64 bpf_ring_request(struct io_uring_bpf_ctx *ctx, __u64 request, struct io_uring_sqe *sqe, __u32 sqe__sz) __ksym;
extern __s64 bpf_ring_change(struct io_uring_bpf_ctx *ctx, __u64 request, const struct io_uring_sqe *sqe, __u32 sqe__sz) __ksym;
/* Number of a new queue that programs alone read. */
extern __s64 bpf_ring_queue_create(struct io_uring_bpf_ctx *ctx, __u32 entries) __ksym;
extern __s64 bpf_ring_queue_destroy(struct io_uring_bpf_ctx *ctx, __u32 queue) __ksym;
/* Completions that a queue holds. */
extern __s64 bpf_ring_queue_ready(struct io_uring_bpf_ctx *ctx, __u32 queue) __ksym;
/* First bytes of a region of memory that user space has given to the ring; NULL if it has fewer. The size is a constant. */
extern __u8 *bpf_ring_region(struct io_uring_bpf_ctx *ctx, __u32 region, const __u64 rdwr_buf_size) __ksym;
extern __s64 bpf_ring_region_size(struct io_uring_bpf_ctx *ctx, __u32 region) __ksym;
/* Memory by address, inside of a region. */
extern __s64 bpf_ring_read(struct io_uring_bpf_ctx *ctx, __u64 address, void *to, __u32 to__sz) __ksym;
extern __s64 bpf_ring_write(struct io_uring_bpf_ctx *ctx, __u64 address, const void *from, __u32 from__sz) __ksym;
/*
 * A message to the ring of this number (ctx->ring is one's own); `what` is RING_MESSAGE_. Its handle. A message that fails is told to queue 0, with the data as
 * user_data: -EBADF where there is no such ring any more. Messages from one ring to another arrive once each, in order.
 */
extern __s64 bpf_ring_message(struct io_uring_bpf_ctx *ctx, __u32 ring, __u32 what, __u64 data, __s32 res) __ksym;
/* Tells user space, with a reason of the program's own. */
extern __s64 bpf_ring_escalate(struct io_uring_bpf_ctx *ctx, __u32 reason) __ksym;

/* Requests, as liburing prepares them; a prepared one has no flags and no user_data. */
static __always_inline void io_uring_prep_rw(__u8 opcode, struct io_uring_sqe *sqe, int fd, const void *addr, __u32 len, __u64 offset)
{
	__builtin_memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->off = offset;
	sqe->addr = (unsigned long)addr;
	sqe->len = len;
}

static __always_inline void io_uring_prep_nop(struct io_uring_sqe *sqe)
{
	io_uring_prep_rw(IORING_OP_NOP, sqe, -1, NULL, 0, 0);
}

/* Program `index` of the ring as a request of its own, with `context` as its user_data: now, or when queue `wait_idx` holds `wait_nr` completions. */
static __always_inline void io_uring_prep_bpf(struct io_uring_sqe *sqe, __u32 index, __u64 context, __u32 wait_nr, __u32 wait_idx)
{
	io_uring_prep_rw(IORING_OP_BPF, sqe, -1, NULL, wait_nr, index);
	sqe->rw_flags = wait_idx;
	sqe->user_data = context;
}

static __always_inline void io_uring_prep_read(struct io_uring_sqe *sqe, int fd, void *to, __u32 bytes, __u64 offset)
{
	io_uring_prep_rw(IORING_OP_READ, sqe, fd, to, bytes, offset);
}

static __always_inline void io_uring_prep_write(struct io_uring_sqe *sqe, int fd, const void *from, __u32 bytes, __u64 offset)
{
	io_uring_prep_rw(IORING_OP_WRITE, sqe, fd, from, bytes, offset);
}

static __always_inline void io_uring_prep_read_fixed(struct io_uring_sqe *sqe, int fd, void *to, __u32 bytes, __u64 offset, __u16 buffer)
{
	io_uring_prep_rw(IORING_OP_READ_FIXED, sqe, fd, to, bytes, offset);
	sqe->buf_index = buffer;
}

static __always_inline void io_uring_prep_write_fixed(struct io_uring_sqe *sqe, int fd, const void *from, __u32 bytes, __u64 offset,
						      __u16 buffer)
{
	io_uring_prep_rw(IORING_OP_WRITE_FIXED, sqe, fd, from, bytes, offset);
	sqe->buf_index = buffer;
}

static __always_inline void io_uring_prep_fsync(struct io_uring_sqe *sqe, int fd, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_FSYNC, sqe, fd, NULL, 0, 0);
	sqe->fsync_flags = flags;
}

static __always_inline void io_uring_prep_ftruncate(struct io_uring_sqe *sqe, int fd, __u64 length)
{
	io_uring_prep_rw(IORING_OP_FTRUNCATE, sqe, fd, NULL, 0, length);
}

static __always_inline void io_uring_prep_fallocate(struct io_uring_sqe *sqe, int fd, __u32 mode, __u64 offset, __u64 length)
{
	io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, NULL, mode, offset);
	sqe->addr = length;
}

static __always_inline void io_uring_prep_fadvise(struct io_uring_sqe *sqe, int fd, __u64 offset, __u32 length, __u32 advice)
{
	io_uring_prep_rw(IORING_OP_FADVISE, sqe, fd, NULL, length, offset);
	sqe->fadvise_advice = advice;
}

static __always_inline void io_uring_prep_openat(struct io_uring_sqe *sqe, int directory, const char *path, __u32 flags, __u32 mode)
{
	io_uring_prep_rw(IORING_OP_OPENAT, sqe, directory, path, mode, 0);
	sqe->open_flags = flags;
}

/* Into a slot of the ring's registered files; IORING_FILE_INDEX_ALLOC: any. */
static __always_inline void io_uring_prep_openat_direct(struct io_uring_sqe *sqe, int directory, const char *path, __u32 flags, __u32 mode,
							__u32 slot)
{
	io_uring_prep_openat(sqe, directory, path, flags, mode);
	sqe->file_index = slot == IORING_FILE_INDEX_ALLOC ? slot : slot + 1;
}

static __always_inline void io_uring_prep_close(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_rw(IORING_OP_CLOSE, sqe, fd, NULL, 0, 0);
}

static __always_inline void io_uring_prep_close_direct(struct io_uring_sqe *sqe, __u32 slot)
{
	io_uring_prep_close(sqe, 0);
	sqe->file_index = slot + 1;
}

static __always_inline void io_uring_prep_statx(struct io_uring_sqe *sqe, int directory, const char *path, __u32 flags, __u32 mask, void *to)
{
	io_uring_prep_rw(IORING_OP_STATX, sqe, directory, path, mask, (unsigned long)to);
	sqe->statx_flags = flags;
}

static __always_inline void io_uring_prep_unlinkat(struct io_uring_sqe *sqe, int directory, const char *path, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_UNLINKAT, sqe, directory, path, 0, 0);
	sqe->unlink_flags = flags;
}

static __always_inline void io_uring_prep_renameat(struct io_uring_sqe *sqe, int from_directory, const char *from, int to_directory,
						   const char *to, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_RENAMEAT, sqe, from_directory, from, (__u32)to_directory, (unsigned long)to);
	sqe->rename_flags = flags;
}

static __always_inline void io_uring_prep_mkdirat(struct io_uring_sqe *sqe, int directory, const char *path, __u32 mode)
{
	io_uring_prep_rw(IORING_OP_MKDIRAT, sqe, directory, path, mode, 0);
}

/* One of the two is a pipe, whose offset is -1. */
static __always_inline void io_uring_prep_splice(struct io_uring_sqe *sqe, int from, __s64 from_offset, int to, __s64 to_offset, __u32 bytes,
						 __u32 flags)
{
	io_uring_prep_rw(IORING_OP_SPLICE, sqe, to, NULL, bytes, (__u64)to_offset);
	sqe->splice_off_in = (__u64)from_offset;
	sqe->splice_fd_in = from;
	sqe->splice_flags = flags;
}

static __always_inline void io_uring_prep_tee(struct io_uring_sqe *sqe, int from, int to, __u32 bytes, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_TEE, sqe, to, NULL, bytes, 0);
	sqe->splice_fd_in = from;
	sqe->splice_flags = flags;
}

static __always_inline void io_uring_prep_poll_add(struct io_uring_sqe *sqe, int fd, __u32 events)
{
	io_uring_prep_rw(IORING_OP_POLL_ADD, sqe, fd, NULL, 0, 0);
	sqe->poll32_events = events;
}

static __always_inline void io_uring_prep_poll_multishot(struct io_uring_sqe *sqe, int fd, __u32 events)
{
	io_uring_prep_poll_add(sqe, fd, events);
	sqe->len = IORING_POLL_ADD_MULTI;
}

/* Ends after the time, or after `count` completions of the kernel's; 0: the time alone. */
static __always_inline void io_uring_prep_timeout(struct io_uring_sqe *sqe, const struct __kernel_timespec *time, __u32 count, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_TIMEOUT, sqe, -1, time, 1, count);
	sqe->timeout_flags = flags;
}

static __always_inline void io_uring_prep_link_timeout(struct io_uring_sqe *sqe, const struct __kernel_timespec *time, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_LINK_TIMEOUT, sqe, -1, time, 1, 0);
	sqe->timeout_flags = flags;
}

static __always_inline void io_uring_prep_accept(struct io_uring_sqe *sqe, int fd, void *address, __u32 *length, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_ACCEPT, sqe, fd, address, 0, (unsigned long)length);
	sqe->accept_flags = flags;
}

static __always_inline void io_uring_prep_multishot_accept(struct io_uring_sqe *sqe, int fd, void *address, __u32 *length, __u32 flags)
{
	io_uring_prep_accept(sqe, fd, address, length, flags);
	sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
}

static __always_inline void io_uring_prep_connect(struct io_uring_sqe *sqe, int fd, const void *address, __u32 length)
{
	io_uring_prep_rw(IORING_OP_CONNECT, sqe, fd, address, 0, length);
}

static __always_inline void io_uring_prep_socket(struct io_uring_sqe *sqe, int domain, int type, int protocol, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_SOCKET, sqe, domain, NULL, (__u32)protocol, (__u64)type);
	sqe->rw_flags = flags;
}

static __always_inline void io_uring_prep_send(struct io_uring_sqe *sqe, int fd, const void *from, __u32 bytes, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_SEND, sqe, fd, from, bytes, 0);
	sqe->msg_flags = flags;
}

static __always_inline void io_uring_prep_recv(struct io_uring_sqe *sqe, int fd, void *to, __u32 bytes, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_RECV, sqe, fd, to, bytes, 0);
	sqe->msg_flags = flags;
}

static __always_inline void io_uring_prep_shutdown(struct io_uring_sqe *sqe, int fd, int how)
{
	io_uring_prep_rw(IORING_OP_SHUTDOWN, sqe, fd, NULL, (__u32)how, 0);
}

/* As bpf_ring_message, as a request that can be linked and has a completion of its own. */
static __always_inline void io_uring_prep_msg_ring(struct io_uring_sqe *sqe, __u32 ring, __u32 what, __s32 res, __u64 data)
{
	io_uring_prep_rw(IORING_OP_MSG_RING, sqe, (int)ring, NULL, (__u32)res, data);
	sqe->file_index = what;
	sqe->extra = RING_TO_RING;
}

/*
 * The file of slot `from` of this ring becomes that of slot `to` of the other one too; IORING_FILE_INDEX_ALLOC: any, and the result is its number. The other ring's
 * program for messages runs, or its queue 0 has a completion, with 63 bits of data; not with IORING_MSG_RING_CQE_SKIP in msg_ring_flags.
 */
static __always_inline void io_uring_prep_msg_ring_fd(struct io_uring_sqe *sqe, __u32 ring, __u32 from, __u32 to, __u64 data, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_MSG_RING, sqe, (int)ring, (const void *)(long)IORING_MSG_SEND_FD, 0, data);
	sqe->addr3 = from;
	sqe->file_index = to == IORING_FILE_INDEX_ALLOC ? to : to + 1;
	sqe->msg_ring_flags = flags;
	sqe->extra = RING_TO_RING;
}

/* By user_data. */
static __always_inline void io_uring_prep_cancel64(struct io_uring_sqe *sqe, __u64 user_data, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, sqe, -1, NULL, 0, 0);
	sqe->addr = user_data;
	sqe->cancel_flags = flags;
}

#endif
