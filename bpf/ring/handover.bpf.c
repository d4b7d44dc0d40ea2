/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One ring accepts connections and hands each to one of the others, which echoes what comes: `accepted` is the callback of a multishot accept into registered files,
 * `serve` the program that those rings have for messages. Connections are slots of registered files in each ring, and no descriptors of the process.
 */
#include <sluice/ring.h>

enum { RINGS = 8, SLOTS = 64, BYTES = 2048 };
enum { MSG_WAITALL = 0x100, MSG_NOSIGNAL = 0x4000 };

/* Numbers of the rings that serve, and how many they are. */
__u32 servers[RINGS];
__u32 count;
__u32 turn;
/* Handed over; refused by the other ring, for want of a slot. */
__u64 passed;
__u64 refused;

/* By number of the ring. */
struct server {
	__u64 connections;
	__u64 bytes;
	__u64 ended;
} __attribute__((aligned(64))) served[RINGS];

/* By ring and slot. */
__u8 buffers[RINGS][SLOTS][BYTES] __attribute__((aligned(64)));

SEC("iouring/accepted")
int accepted(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_sqe sqe;
	__s32 slot = ctx->res;

	if (ctx->opcode == IORING_OP_MSG_RING) {
		if (slot < 0)
			__sync_fetch_and_add(&refused, 1);
		return RING_DONE;
	}
	/* The accept itself has ended. */
	if (slot < 0 || count == 0)
		return RING_POST;
	io_uring_prep_msg_ring_fd(&sqe, servers[turn++ % count & (RINGS - 1)], slot, IORING_FILE_INDEX_ALLOC, passed, 0);
	sqe.callback = ctx->program + 1;
	sqe.flags = IOSQE_IO_HARDLINK;
	bpf_ring_submit(ctx, &sqe, sizeof(sqe));
	/* Theirs alone from then on. */
	io_uring_prep_close_direct(&sqe, slot);
	sqe.extra = RING_HIDDEN | RING_FINALLY;
	bpf_ring_submit(ctx, &sqe, sizeof(sqe));
	passed++;
	return RING_DONE;
}

SEC("iouring/serve")
int serve(struct io_uring_bpf_ctx *ctx)
{
	__u32 ring = ctx->ring & (RINGS - 1);
	struct server *server = &served[ring];
	bool is_new = ctx->opcode == IORING_OP_MSG_RING;
	__u32 slot = is_new ? (__u32)ctx->res : (__u32)ctx->user_data;
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	if (ctx->opcode == IORING_OP_CLOSE) {
		server->ended++;
		return RING_DONE;
	}
	if (is_new)
		server->connections++;
	if (slot >= SLOTS || (!is_new && res <= 0)) {
		io_uring_prep_close_direct(&sqe, slot);
	} else if (ctx->opcode == IORING_OP_RECV) {
		io_uring_prep_send(&sqe, slot, buffers[ring][slot], res & (2 * BYTES - 1), MSG_WAITALL | MSG_NOSIGNAL);
		sqe.flags = IOSQE_FIXED_FILE;
	} else {
		if (!is_new)
			server->bytes += res;
		io_uring_prep_recv(&sqe, slot, buffers[ring][slot], BYTES, 0);
		sqe.flags = IOSQE_FIXED_FILE;
	}
	sqe.user_data = slot;
	sqe.callback = ctx->program + 1;
	bpf_ring_submit(ctx, &sqe, sizeof(sqe));
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
