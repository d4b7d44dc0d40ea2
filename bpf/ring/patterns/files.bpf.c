/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Reads whole files: open, status, read to the end, close; so many of them at once. Bytes go one file behind the other into the job's memory. A file that has
 * no room there, or has grown beyond what it had when it was asked for, is closed and left to user space, which knows its size then and comes again.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { DOING_NOTHING, DOING_OPEN, DOING_STATX, DOING_READ, DOING_CLOSE };
enum { STATX_BASIC = 0x201, STATX_MODE_OFFSET = 28, STATX_SIZE_OFFSET = 40, S_IFMT = 0170000, S_IFREG = 0100000, S_IFDIR = 0040000 };
enum { EISDIR = 21, EFBIG = 27, POLLIN = 1, LEAST = 4096, MOST = 0x40000000 };

/* src/hooks/ring/patterns/files.ts writes and reads these. */
struct files {
	struct job job;
	/* Addresses of `count` entries and of `workers` readers; the next entry that nobody has taken. */
	__u64 entries;
	__u64 readers;
	__u32 count;
	__u32 workers;
	__u32 next;
	__u32 started;
	/* Room for contents. */
	__u64 room;
	__u64 room_end;
	/* Bytes that one file may have. */
	__u64 most;
};

struct entry {
	__u64 path;
	__s32 directory;
	__u32 flags;
	/* Result: where the bytes lie, how many there are; with error -ENOBUFS how many there are to be. */
	__u64 data;
	__u64 length;
	__s32 error;
	__u32 done;
	/* At least so much room, whatever its status says. */
	__u64 room;
};

struct reader {
	struct piece piece;
	__u64 entry;
	__u64 statx;
	__s32 fd;
	__u32 doing;
};

static __always_inline void begin(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, __u64 address)
{
	struct io_uring_sqe sqe;
	struct entry entry;

	if (job_ends(&files->job) || files->next >= files->count)
		return;
	reader->entry = files->entries + (__u64)files->next * sizeof(entry);
	if (job_read(ctx, reader->entry, &entry) != 0) {
		job_fail(&files->job, -EFAULT);
		return;
	}
	files->next++;
	reader->doing = DOING_OPEN;
	reader->fd = -1;
	io_uring_prep_openat(&sqe, entry.directory, at(entry.path), entry.flags, 0);
	job_submit(ctx, &files->job, &reader->piece, address, &sqe);
}

/* Gives every reader a file; the running one comes last, as the caller holds it. */
static __always_inline void start(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *running)
{
	__u32 workers = files->workers;
	struct reader reader;
	__u32 i;

	bpf_for(i, 0, 1024) {
		__u64 address = files->readers + i * sizeof(reader);

		if (i >= workers || files->next >= files->count || job_ends(&files->job))
			break;
		if (address == ctx->user_data || job_read(ctx, address, &reader) != 0)
			continue;
		begin(ctx, files, &reader, address);
		job_write(ctx, address, &reader);
	}
	begin(ctx, files, running, ctx->user_data);
}

static __always_inline void stop(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *running)
{
	__u32 workers = files->workers;
	struct reader reader;
	__u32 i;

	bpf_for(i, 0, 1024) {
		__u64 address = files->readers + i * sizeof(reader);

		if (i >= workers)
			break;
		if (address == ctx->user_data || job_read(ctx, address, &reader) != 0 || reader.doing == DOING_CLOSE)
			continue;
		job_cancel(ctx, &files->job, &reader.piece);
		/* A request that has ended without a run has nobody else to close what is open. */
		if (reader.piece.request == 0 && reader.fd >= 0 && reader.doing != DOING_NOTHING) {
			reader.doing = DOING_CLOSE;
			job_close(ctx, &files->job, &reader.piece, address, reader.fd);
		}
		job_write(ctx, address, &reader);
	}
	if (running->doing == DOING_CLOSE)
		return;
	job_cancel(ctx, &files->job, &running->piece);
	if (running->piece.request == 0 && running->fd >= 0 && running->doing != DOING_NOTHING) {
		running->doing = DOING_CLOSE;
		job_close(ctx, &files->job, &running->piece, ctx->user_data, running->fd);
	}
}

static __always_inline void close(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader)
{
	reader->doing = DOING_CLOSE;
	job_close(ctx, &files->job, &reader->piece, ctx->user_data, reader->fd);
}

static __always_inline void read_rest(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, struct entry *entry)
{
	__u64 left = entry->room - entry->length;
	struct io_uring_sqe sqe;

	reader->doing = DOING_READ;
	io_uring_prep_read(&sqe, reader->fd, at(entry->data + entry->length), left < MOST ? (__u32)left : MOST, ~0ull);
	job_submit(ctx, &files->job, &reader->piece, ctx->user_data, &sqe);
}

/* The status is there: room for the bytes, and one more to see the end with. */
static __always_inline void take_room(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, struct entry *entry)
{
	__u64 size = 0, need;
	__u16 mode = 0;

	bpf_ring_read(ctx, reader->statx + STATX_MODE_OFFSET, &mode, sizeof(mode));
	bpf_ring_read(ctx, reader->statx + STATX_SIZE_OFFSET, &size, sizeof(size));
	if ((mode & S_IFMT) == S_IFDIR) {
		entry->error = -EISDIR;
		close(ctx, files, reader);
		return;
	}
	/* What has no size, in /proc or a pipe, is met with some. */
	need = size == 0 || (mode & S_IFMT) != S_IFREG ? LEAST : size + 1;
	if (need < entry->room)
		need = entry->room;
	need = (need + 7) & ~7ull;
	if (size > files->most || files->room_end - files->room < need) {
		entry->error = size > files->most ? -EFBIG : -ENOBUFS;
		entry->length = need;
		close(ctx, files, reader);
		return;
	}
	entry->data = files->room;
	entry->room = need;
	files->room += need;
	read_rest(ctx, files, reader, entry);
}

static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, struct entry *entry)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;
	__u64 path;

	switch (reader->doing) {
	case DOING_OPEN:
		if (res == -EINTR || res == -EAGAIN) {
			io_uring_prep_openat(&sqe, entry->directory, at(entry->path), entry->flags, 0);
			if (!job_ends(&files->job))
				job_submit(ctx, &files->job, &reader->piece, ctx->user_data, &sqe);
			return;
		}
		if (res < 0) {
			entry->error = res;
			reader->doing = DOING_NOTHING;
			return;
		}
		reader->fd = res;
		if (job_ends(&files->job)) {
			close(ctx, files, reader);
			return;
		}
		path = reader->piece.job + __builtin_offsetof(struct job, reserved);
		reader->doing = DOING_STATX;
		io_uring_prep_statx(&sqe, reader->fd, at(path), AT_EMPTY_PATH, STATX_BASIC, at(reader->statx));
		if (!job_submit(ctx, &files->job, &reader->piece, ctx->user_data, &sqe))
			close(ctx, files, reader);
		return;
	case DOING_STATX:
		if (res < 0)
			entry->error = res;
		if (res < 0 || job_ends(&files->job))
			close(ctx, files, reader);
		else
			take_room(ctx, files, reader, entry);
		return;
	case DOING_READ:
		if (job_ends(&files->job)) {
			close(ctx, files, reader);
			return;
		}
		if (ctx->opcode == IORING_OP_POLL_ADD) {
			if (res >= 0) {
				read_rest(ctx, files, reader, entry);
				return;
			}
		} else if (res == -EINTR) {
			read_rest(ctx, files, reader, entry);
			return;
		} else if (res == -EAGAIN) {
			io_uring_prep_poll_add(&sqe, reader->fd, POLLIN);
			job_submit(ctx, &files->job, &reader->piece, ctx->user_data, &sqe);
			return;
		} else if (res > 0) {
			entry->length += (__u32)res;
			if (entry->length < entry->room) {
				read_rest(ctx, files, reader, entry);
				return;
			}
			/* Longer than it was: user space gives it twice the room. */
			entry->error = -ENOBUFS;
			entry->length = entry->room * 2;
		}
		if (res < 0)
			entry->error = res;
		close(ctx, files, reader);
		return;
	case DOING_CLOSE:
		reader->fd = -1;
		reader->doing = DOING_NOTHING;
		return;
	}
}

SEC("iouring")
int sluice_files(struct io_uring_bpf_ctx *ctx)
{
	struct reader reader;
	struct entry entry;
	struct files files;

	if (job_read(ctx, ctx->user_data, &reader) != 0 || job_read(ctx, reader.piece.job, &files) != 0)
		return RING_DONE;
	job_ended(ctx, &files.job, &reader.piece);
	if (ctx->opcode != IORING_OP_BPF) {
		if (job_read(ctx, reader.entry, &entry) != 0)
			job_fail(&files.job, -EFAULT);
		else {
			ended(ctx, &files, &reader, &entry);
			job_write(ctx, reader.entry, &entry);
		}
		if (reader.doing == DOING_NOTHING)
			begin(ctx, &files, &reader, ctx->user_data);
	} else if (files.job.stop) {
		stop(ctx, &files, &reader);
	} else if (!files.started) {
		files.started = 1;
		start(ctx, &files, &reader);
	}
	job_answer(ctx, &files.job, 0);
	job_write(ctx, ctx->user_data, &reader);
	job_write(ctx, reader.piece.job, &files);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
