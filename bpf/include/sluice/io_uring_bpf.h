/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The interface of "io_uring BPF requests" (2021), under which programs for its second and third version are compiled as they are: structs, constants and
 * what they took from the headers of a patched kernel. IO_URING_BPF_VERSION, 2 unless it is defined, says which: they differ in the padding of a request,
 * and the third names its helpers in the headers, where programs for the second define them themselves.
 */
#ifndef SLUICE_IO_URING_BPF_H
#define SLUICE_IO_URING_BPF_H

#ifndef IO_URING_BPF_VERSION
#define IO_URING_BPF_VERSION 2
#endif

#include "io_uring.h"

/* An earlier form of the context: what user space sees of it was behind a pointer, `ctx->u`. */
struct io_bpf_ctx {
	struct io_uring_bpf_ctx u[1];
};

/* What a program returns; programs for the second version return 0 and wait if they have set wait_nr. */
enum {
	IORING_BPF_OK = 0,
	IORING_BPF_WAIT = 1,
};

/* Helpers of the second version: 0 or a negative errno. The size is that of the struct, and -EINVAL if it is another. */
static long (*const bpf_iouring_queue_sqe)(void *ctx, const struct io_uring_sqe *sqe, __u32 size) = (void *)164;
static long (*const bpf_iouring_emit_cqe)(void *ctx, __u32 cq_idx, __u64 user_data, __s32 res, __u32 flags) = (void *)165;
/* -ENOENT and zeros if the queue is empty. */
static long (*const bpf_iouring_reap_cqe)(void *ctx, __u32 cq_idx, struct io_uring_cqe *cqe, __u32 size) = (void *)166;
static long (*const bpf_copy_from_user)(void *to, __u32 size, const void *user) = (void *)148;

#if IO_URING_BPF_VERSION >= 3
static long (*const bpf_copy_to_user)(void *user, const void *from, __u32 size) = (void *)167;
static long (*const bpf_io_uring_submit)(void *ctx, const struct io_uring_sqe *sqe, __u32 size) = (void *)170;
static long (*const bpf_io_uring_emit_cqe)(void *ctx, __u32 cq_idx, __u64 user_data, __s32 res, __u32 flags) = (void *)171;
static long (*const bpf_io_uring_reap_cqe)(void *ctx, __u32 cq_idx, struct io_uring_cqe *cqe, __u32 size) = (void *)172;
#endif

/* Maps as they were defined then. */
struct bpf_map_def {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
};

enum { BPF_F_MMAPABLE = 1 << 10 };

/* linux/limits.h, which came with the kernel's header. */
#ifndef NAME_MAX
#define NAME_MAX 255
#define PATH_MAX 4096
#endif

#endif
