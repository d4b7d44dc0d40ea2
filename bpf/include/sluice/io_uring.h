/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * io_uring for BPF programs: requests, completions, opcodes and flags, with names, numbers and layouts of include/uapi/linux/io_uring.h (Linux 6.18), and
 * what Sluice keeps in the last eight bytes of a request. Not to be included together with vmlinux.h, linux/io_uring.h or liburing's header.
 */
#ifndef SLUICE_IO_URING_H
#define SLUICE_IO_URING_H

#include "bpf.h"

/*
 * A request. Addresses are offsets in the memory of programs, such as pointers to map values are; with bit 63 set they are addresses of the process. The
 * last eight bytes, unused in the kernel, say what becomes of the completion; the kernel never sees them.
 */
struct io_uring_sqe {
	__u8 opcode;
	__u8 flags;
	__u16 ioprio;
	__s32 fd;
	union {
		__u64 off;
		__u64 addr2;
		struct {
			__u32 cmd_op;
			__u32 __cmd_pad;
		};
	};
	union {
		__u64 addr;
		__u64 splice_off_in;
		struct {
			__u32 level;
			__u32 optname;
		};
	};
	__u32 len;
	union {
		__u32 rw_flags;
		__u32 fsync_flags;
		__u16 poll_events;
		__u32 poll32_events;
		__u32 sync_range_flags;
		__u32 msg_flags;
		__u32 timeout_flags;
		__u32 accept_flags;
		__u32 cancel_flags;
		__u32 open_flags;
		__u32 statx_flags;
		__u32 fadvise_advice;
		__u32 splice_flags;
		__u32 rename_flags;
		__u32 unlink_flags;
		__u32 hardlink_flags;
		__u32 xattr_flags;
		__u32 msg_ring_flags;
		__u32 uring_cmd_flags;
		__u32 waitid_flags;
		__u32 futex_flags;
		__u32 install_fd_flags;
		__u32 nop_flags;
		__u32 pipe_flags;
	};
	__u64 user_data;
	union {
		struct {
			union {
				__u16 buf_index;
				__u16 buf_group;
			};
			__u16 personality;
			union {
				__s32 splice_fd_in;
				__u32 file_index;
				__u32 zcrx_ifq_idx;
				__u32 optlen;
				struct {
					__u16 addr_len;
					__u16 __addr_pad;
				};
			};
			union {
				__u64 addr3;
				__u64 optval;
				__u64 attr_ptr;
#if defined(IO_URING_BPF_VERSION) && IO_URING_BPF_VERSION >= 3
				__u64 __pad3;
#endif
			};
			/* Queue that the completion is posted to; 0 is the user's. */
			__u16 cq_idx;
			union {
				/* What the completion runs, by its index on the ring from 1; 0: nothing. */
				__u16 callback;
#if defined(IO_URING_BPF_VERSION) && IO_URING_BPF_VERSION >= 3
				__u16 __pad1;
#endif
			};
			union {
				struct {
					/* RING_LINK_: when the next request of a chain goes on. */
					__u8 link_policy;
					/* RING_FINALLY, RING_QUIET_CANCEL, RING_HIDDEN. */
					__u8 extra;
					/* Requests of one group follow each other; 0: none. */
					__u16 group;
				};
#if defined(IO_URING_BPF_VERSION) && IO_URING_BPF_VERSION >= 3
				__u32 __pad2;
#endif
			};
		};
#if defined(IO_URING_BPF_VERSION) && IO_URING_BPF_VERSION < 3
		__u64 __pad2[3];
#endif
	};
};

/* A completion. */
struct io_uring_cqe {
	__u64 user_data;
	__s32 res;
	__u32 flags;
};

/*
 * What a program on a ring is called with. The first three fields are those of 2021; the rest is about the completion that runs the program, and zero in
 * a program request.
 */
struct io_uring_bpf_ctx {
	__u64 user_data;
	/* To be written: the program request runs again when queue `wait_idx` holds `wait_nr` completions. */
	__u32 wait_nr;
	__u32 wait_idx;
	__s32 res;
	__u32 flags;
	__u32 opcode;
	/* Requests of the chain that have ended, this one included. */
	__u32 chain;
	/* Handle of the request, for bpf_ring_link and its like. */
	__u64 request;
	/* Index of the program on its ring, from 0. */
	__u32 program;
	/* Queue of the request. */
	__u32 queue;
	/* Number of the ring among those of its memory. */
	__u32 ring;
	__u32 __reserved[3];
};

_Static_assert(sizeof(struct io_uring_sqe) == 64, "struct io_uring_sqe");
_Static_assert(__builtin_offsetof(struct io_uring_sqe, cq_idx) == 56, "io_uring_sqe.cq_idx");
_Static_assert(sizeof(struct io_uring_cqe) == 16, "struct io_uring_cqe");
_Static_assert(sizeof(struct io_uring_bpf_ctx) == 64, "struct io_uring_bpf_ctx");

struct __kernel_timespec {
	__s64 tv_sec;
	__s64 tv_nsec;
};

enum io_uring_op {
	IORING_OP_NOP = 0,
	IORING_OP_READV = 1,
	IORING_OP_WRITEV = 2,
	IORING_OP_FSYNC = 3,
	IORING_OP_READ_FIXED = 4,
	IORING_OP_WRITE_FIXED = 5,
	IORING_OP_POLL_ADD = 6,
	IORING_OP_POLL_REMOVE = 7,
	IORING_OP_SYNC_FILE_RANGE = 8,
	IORING_OP_SENDMSG = 9,
	IORING_OP_RECVMSG = 10,
	IORING_OP_TIMEOUT = 11,
	IORING_OP_TIMEOUT_REMOVE = 12,
	IORING_OP_ACCEPT = 13,
	IORING_OP_ASYNC_CANCEL = 14,
	IORING_OP_LINK_TIMEOUT = 15,
	IORING_OP_CONNECT = 16,
	IORING_OP_FALLOCATE = 17,
	IORING_OP_OPENAT = 18,
	IORING_OP_CLOSE = 19,
	IORING_OP_FILES_UPDATE = 20,
	IORING_OP_STATX = 21,
	IORING_OP_READ = 22,
	IORING_OP_WRITE = 23,
	IORING_OP_FADVISE = 24,
	IORING_OP_MADVISE = 25,
	IORING_OP_SEND = 26,
	IORING_OP_RECV = 27,
	IORING_OP_OPENAT2 = 28,
	IORING_OP_EPOLL_CTL = 29,
	IORING_OP_SPLICE = 30,
	IORING_OP_PROVIDE_BUFFERS = 31,
	IORING_OP_REMOVE_BUFFERS = 32,
	IORING_OP_TEE = 33,
	IORING_OP_SHUTDOWN = 34,
	IORING_OP_RENAMEAT = 35,
	IORING_OP_UNLINKAT = 36,
	IORING_OP_MKDIRAT = 37,
	IORING_OP_SYMLINKAT = 38,
	IORING_OP_LINKAT = 39,
	IORING_OP_MSG_RING = 40,
	IORING_OP_FSETXATTR = 41,
	IORING_OP_SETXATTR = 42,
	IORING_OP_FGETXATTR = 43,
	IORING_OP_GETXATTR = 44,
	IORING_OP_SOCKET = 45,
	IORING_OP_URING_CMD = 46,
	IORING_OP_SEND_ZC = 47,
	IORING_OP_SENDMSG_ZC = 48,
	IORING_OP_READ_MULTISHOT = 49,
	IORING_OP_WAITID = 50,
	IORING_OP_FUTEX_WAIT = 51,
	IORING_OP_FUTEX_WAKE = 52,
	IORING_OP_FUTEX_WAITV = 53,
	IORING_OP_FIXED_FD_INSTALL = 54,
	IORING_OP_FTRUNCATE = 55,
	IORING_OP_BIND = 56,
	IORING_OP_LISTEN = 57,
	IORING_OP_RECV_ZC = 58,
	IORING_OP_EPOLL_WAIT = 59,
	IORING_OP_READV_FIXED = 60,
	IORING_OP_WRITEV_FIXED = 61,
	IORING_OP_PIPE = 62,
	/* A program as a request of its own: `off` is its index on the ring, from 0; `len` and `rw_flags` the first wait_nr and wait_idx. */
	IORING_OP_BPF = 128,
};

enum io_uring_sqe_flags_bit {
	IOSQE_FIXED_FILE_BIT = 0,
	IOSQE_IO_DRAIN_BIT = 1,
	IOSQE_IO_LINK_BIT = 2,
	IOSQE_IO_HARDLINK_BIT = 3,
	IOSQE_ASYNC_BIT = 4,
	IOSQE_BUFFER_SELECT_BIT = 5,
	IOSQE_CQE_SKIP_SUCCESS_BIT = 6,
};

enum {
	IOSQE_FIXED_FILE = 1 << 0,
	IOSQE_IO_DRAIN = 1 << 1,
	IOSQE_IO_LINK = 1 << 2,
	IOSQE_IO_HARDLINK = 1 << 3,
	IOSQE_ASYNC = 1 << 4,
	IOSQE_BUFFER_SELECT = 1 << 5,
	IOSQE_CQE_SKIP_SUCCESS = 1 << 6,
};

/* cqe->flags; with BUFFER the upper 16 bits are the number of the buffer. */
enum {
	IORING_CQE_F_BUFFER = 1 << 0,
	IORING_CQE_F_MORE = 1 << 1,
	IORING_CQE_F_SOCK_NONEMPTY = 1 << 2,
	IORING_CQE_F_NOTIF = 1 << 3,
	IORING_CQE_F_BUF_MORE = 1 << 4,
	IORING_CQE_BUFFER_SHIFT = 16,
};

enum {
	/* nop_flags: `len` is the result. */
	IORING_NOP_INJECT_RESULT = 1 << 0,
	/* fsync_flags */
	IORING_FSYNC_DATASYNC = 1 << 0,
	/* timeout_flags */
	IORING_TIMEOUT_ABS = 1 << 0,
	IORING_TIMEOUT_UPDATE = 1 << 1,
	IORING_TIMEOUT_BOOTTIME = 1 << 2,
	IORING_TIMEOUT_REALTIME = 1 << 3,
	IORING_LINK_TIMEOUT_UPDATE = 1 << 4,
	IORING_TIMEOUT_ETIME_SUCCESS = 1 << 5,
	IORING_TIMEOUT_MULTISHOT = 1 << 6,
	/* len of POLL_ADD and POLL_REMOVE */
	IORING_POLL_ADD_MULTI = 1 << 0,
	IORING_POLL_UPDATE_EVENTS = 1 << 1,
	IORING_POLL_UPDATE_USER_DATA = 1 << 2,
	IORING_POLL_ADD_LEVEL = 1 << 3,
	/* cancel_flags */
	IORING_ASYNC_CANCEL_ALL = 1 << 0,
	IORING_ASYNC_CANCEL_FD = 1 << 1,
	IORING_ASYNC_CANCEL_ANY = 1 << 2,
	IORING_ASYNC_CANCEL_FD_FIXED = 1 << 3,
	IORING_ASYNC_CANCEL_USERDATA = 1 << 4,
	IORING_ASYNC_CANCEL_OP = 1 << 5,
	/* ioprio of sends, receives and accepts */
	IORING_RECVSEND_POLL_FIRST = 1 << 0,
	IORING_RECV_MULTISHOT = 1 << 1,
	IORING_RECVSEND_FIXED_BUF = 1 << 2,
	IORING_SEND_ZC_REPORT_USAGE = 1 << 3,
	IORING_RECVSEND_BUNDLE = 1 << 4,
	IORING_ACCEPT_MULTISHOT = 1 << 0,
	IORING_ACCEPT_DONTWAIT = 1 << 1,
	IORING_ACCEPT_POLL_FIRST = 1 << 2,
};

/* file_index of a direct descriptor: the kernel picks the slot, and completes with its number. */
#define IORING_FILE_INDEX_ALLOC (~0U)

/* IORING_OP_MSG_RING: `addr`, and msg_ring_flags. */
#define IORING_MSG_DATA 0
#define IORING_MSG_SEND_FD 1
#define IORING_MSG_RING_CQE_SKIP (1U << 0)
#define IORING_MSG_RING_FLAGS_PASS (1U << 1)
/* splice_flags: `splice_fd_in` is a registered file. */
#define SPLICE_F_FD_IN_FIXED (1U << 31)

/* Of system calls, as on x86-64 and arm64; not where the system's own headers came first. */
#ifndef AT_FDCWD
#define AT_FDCWD -100
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR 0x200
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef O_RDONLY
#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_NONBLOCK 04000
#define O_CLOEXEC 02000000
#endif

/* Negated in results. */
#ifndef ENOENT
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EFAULT 14
#define EBUSY 16
#define EINVAL 22
#define ERANGE 34
#define ETIME 62
#define ENOBUFS 105
#define EALREADY 114
#define ECANCELED 125
#endif

#endif
