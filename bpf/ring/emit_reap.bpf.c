/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Every call of the 2021 interface once (second version: wait_nr says whether the request waits): completions for the user's queue and for one of its own,
 * which it reaps; a request; user memory at `user_data`, a u64 that it doubles. Runs twice: it waits once, for a completion in the user's queue.
 */
#include <sluice/io_uring_bpf.h>

enum { USER_QUEUE = 0, OWN_QUEUE = 1 };

/* What was found; 0 or the value where all is well, else a negative errno. */
struct report {
	__u64 runs;
	__s64 emitted;
	__s64 first;
	__s64 second;
	__s64 empty;
	__s64 bad_queue;
	__s64 bad_size;
	__s64 submitted;
	__s64 read;
	__s64 written;
} report;

static long (*const copy_to_user)(void *user, const void *from, __u32 size) = (void *)167;

static __always_inline __s64 reap(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_cqe cqe;
	long result = bpf_iouring_reap_cqe(ctx, OWN_QUEUE, &cqe, sizeof(cqe));

	return result ? result : (__s64)cqe.user_data;
}

SEC("iouring.s/emit_reap")
int emit_reap(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_sqe sqe = {};
	struct io_uring_cqe cqe;
	void *user = (void *)(long)ctx->user_data;
	__u64 value;

	if (report.runs++)
		return 0;
	report.emitted = bpf_iouring_emit_cqe(ctx, USER_QUEUE, 3, 13, 0);
	bpf_iouring_emit_cqe(ctx, OWN_QUEUE, 4, 17, 0);
	bpf_iouring_emit_cqe(ctx, OWN_QUEUE, 5, 19, 0);
	report.first = reap(ctx);
	report.second = reap(ctx);
	report.empty = reap(ctx);
	report.bad_queue = bpf_iouring_emit_cqe(ctx, 0xffff, 6, 0, 0);
	report.bad_size = bpf_iouring_reap_cqe(ctx, OWN_QUEUE, &cqe, sizeof(cqe) - 4);

	sqe.opcode = IORING_OP_NOP;
	sqe.fd = -1;
	sqe.user_data = 2;
	report.submitted = bpf_iouring_queue_sqe(ctx, &sqe, sizeof(sqe));

	report.read = bpf_copy_from_user(&value, sizeof(value), user);
	if (report.read == 0) {
		value *= 2;
		report.written = copy_to_user(user, &value, sizeof(value));
	}
	ctx->wait_idx = USER_QUEUE;
	ctx->wait_nr = 1;
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
