/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Reads whole files: open, read to the end, close; so many of them at once. Nobody asks how large a file is before it has filled what was kept for it: a
 * status is work for a worker of the kernel, and costs more than all the rest of a small file. Each reader has a window of the room, in which its files lie one
 * behind the other. A file that fills the window is moved to a larger one; if there is none, it is left to user space, which knows then what it needs and comes
 * again.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { DOING_NOTHING, DOING_OPEN, DOING_STATX, DOING_READ, DOING_CLOSE };
enum { STATX_BASIC = 0x201, STATX_MODE_OFFSET = 28, STATX_SIZE_OFFSET = 40, S_IFMT = 0170000, S_IFREG = 0100000 };
enum { EFBIG = 27, ESPIPE = 29, POLLIN = 1, MOST = 0x40000000, PART = 128, MOST_PARTS = 8192 };

/* src/hooks/ring/patterns/read-files.ts writes and reads these. */
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
	/* Bytes of a window, and how few of them a file begins in. */
	__u64 window;
	__u64 least;
};

struct entry {
	__u64 path;
	__s32 directory;
	__u32 flags;
	/* Result: where the bytes lie, how many there are; with error -ENOBUFS how much room there is to be. */
	__u64 data;
	__u64 length;
	/* -ENOBUFS from the beginning on. */
	__s32 error;
	__u32 reserved;
	/* At least so much room. Result: where the window begins that the file lies in. */
	__u64 room;
};

struct reader {
	struct piece piece;
	__u64 entry;
	__u64 statx;
	/* What is left of the window, from `window` on: there the file begins that is read. */
	__u64 window_start;
	__u64 window;
	__u64 window_end;
	__s32 fd;
	__u32 doing;
};

/* A window of so many bytes, more if there are. */
static __always_inline bool take_window(struct files *files, struct reader *reader, __u64 need)
{
	__u64 left = files->room_end - files->room, size = need > files->window ? need : files->window;

	if (left < need)
		return false;
	if (size > left)
		size = left;
	reader->window_start = files->room;
	reader->window = files->room;
	files->room += size;
	reader->window_end = files->room;
	return true;
}

static __always_inline void begin(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, __u64 address)
{
	struct io_uring_sqe sqe;
	struct entry entry;
	__u64 need;

	if (job_ends(&files->job) || files->next >= files->count)
		return;
	reader->entry = files->entries + (__u64)files->next * sizeof(entry);
	if (job_read(ctx, reader->entry, &entry) != 0) {
		job_fail(&files->job, -EFAULT);
		return;
	}
	/* Others may have enough left. */
	need = entry.room > files->least ? entry.room : files->least;
	if (reader->window_end - reader->window < need && !take_window(files, reader, need))
		return;
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

/* To the end of the window, from where the file stands. */
static __always_inline void read_rest(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, struct entry *entry)
{
	__u64 from = reader->window + entry->length, left = reader->window_end - from;
	struct io_uring_sqe sqe;

	reader->doing = DOING_READ;
	io_uring_prep_read(&sqe, reader->fd, at(from), left < MOST ? (__u32)left : MOST, ~0ull);
	job_submit(ctx, &files->job, &reader->piece, ctx->user_data, &sqe);
}

static __always_inline void ask_size(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader)
{
	__u64 path = reader->piece.job + __builtin_offsetof(struct job, reserved);
	struct io_uring_sqe sqe;

	reader->doing = DOING_STATX;
	io_uring_prep_statx(&sqe, reader->fd, at(path), AT_EMPTY_PATH, STATX_BASIC, at(reader->statx));
	if (!job_submit(ctx, &files->job, &reader->piece, ctx->user_data, &sqe))
		close(ctx, files, reader);
}

/* The file has filled its window. What has been read is moved, so that pipes are read once. */
static __always_inline void grow(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, struct entry *entry)
{
	__u64 size = 0, need, from = reader->window, to = files->room;
	__u32 i, parts = (__u32)((entry->length + PART - 1) / PART);
	char part[PART];
	__u16 mode = 0;

	bpf_ring_read(ctx, reader->statx + STATX_MODE_OFFSET, &mode, sizeof(mode));
	bpf_ring_read(ctx, reader->statx + STATX_SIZE_OFFSET, &size, sizeof(size));
	/* One byte more, to see the end with. What grows, or has no size, gets twice what it had. */
	need = size >= entry->length ? size + 1 : entry->length * 2;
	need = (need + PART - 1) & ~(__u64)(PART - 1);
	if (size > files->most || entry->length > files->most) {
		entry->error = -EFBIG;
		close(ctx, files, reader);
		return;
	}
	if (parts > MOST_PARTS || !take_window(files, reader, need)) {
		/* What is no file cannot be read again. */
		entry->error = (mode & S_IFMT) == S_IFREG ? -ENOBUFS : -ESPIPE;
		entry->length = need;
		close(ctx, files, reader);
		return;
	}
	bpf_for(i, 0, MOST_PARTS) {
		if (i >= parts)
			break;
		bpf_ring_read(ctx, from + i * PART, part, sizeof(part));
		bpf_ring_write(ctx, to + i * PART, part, sizeof(part));
	}
	read_rest(ctx, files, reader, entry);
}

/* The end of the file: the next one begins behind it. */
static __always_inline void whole(struct files *files, struct reader *reader, struct entry *entry)
{
	entry->error = entry->length > files->most ? -EFBIG : 0;
	entry->data = reader->window;
	entry->room = reader->window_start;
	reader->window = (reader->window + entry->length + 7) & ~7ull;
	if (reader->window > reader->window_end)
		reader->window = reader->window_end;
}

static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct files *files, struct reader *reader, struct entry *entry)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

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
		if (job_ends(&files->job))
			close(ctx, files, reader);
		else
			read_rest(ctx, files, reader, entry);
		return;
	case DOING_STATX:
		if (res < 0)
			entry->error = res;
		if (res < 0 || job_ends(&files->job))
			close(ctx, files, reader);
		else
			grow(ctx, files, reader, entry);
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
			if (reader->window + entry->length < reader->window_end)
				read_rest(ctx, files, reader, entry);
			else
				ask_size(ctx, files, reader);
			return;
		}
		if (res < 0)
			entry->error = res;
		else
			whole(files, reader, entry);
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
