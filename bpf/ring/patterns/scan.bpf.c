/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Reads a descriptor to its end and looks at every byte, in order: CRC-32, or lines. So many blocks are read ahead; what has no positions is read one block
 * after the other. Where line ends are wanted, they go into memory of the job; when it is full, the job stops for user space to take them.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { SCAN_CRC32 = 1, SCAN_LINES = 2, SCAN_ENDS = 4 };
enum { CHUNK = 4096, STATX_TYPE = 1, STATX_MODE_OFFSET = 28, S_IFMT = 0170000, S_IFREG = 0100000, S_IFBLK = 0060000, POLLIN = 1 };
enum { STAGE_NEW, STAGE_TYPE, STAGE_READ };

/* src/hooks/ring/patterns/scan.ts writes and reads it. Positions count from the first byte that is read. */
struct scan {
	struct job job;
	__s32 fd;
	__u32 what;
	__u32 block;
	__u32 depth;
	__u32 stage;
	__u32 stream;
	__u64 offset;
	/* Of the next block to read; of the next to look at; where the source ends. */
	__u64 next;
	__u64 looked;
	__u64 end;
	__u64 pieces;
	__u64 statx;
	/* Results. */
	__u32 crc;
	__u32 separator;
	__u64 lines;
	/* Addresses: of the next line end, behind the last. */
	__u64 ends;
	__u64 ends_end;
	/* The last byte was no separator: 1. */
	__u32 open_line;
	/* Blocks wait for room for line ends. */
	__u32 full;
};

struct block {
	struct piece piece;
	__u64 position;
	__u64 buffer;
	__u32 got;
	__u32 wanted;
	/* Read, but not looked at; how far it has been. */
	__u32 ready;
	__u32 seen;
};

/* CRC-32 of the polynomial 0xedb88320 for each byte, and for bytes before up to seven others. */
__u32 table[8][256];

__u8 bytes[CHUNK];
__u64 found[2 * CHUNK];
__u32 count;

/* Functions of their own for the verifier, too. */
__noinline int make_table(void)
{
	__u32 i, bit;

	bpf_for(i, 0, 256) {
		__u32 value = i;

		bpf_for(bit, 0, 8) value = value & 1 ? 0xedb88320 ^ (value >> 1) : value >> 1;
		table[0][i] = value;
	}
	bpf_for(i, 0, 7 * 256) {
		__u32 before = table[(i >> 8) & 7][i & 255];

		table[((i >> 8) + 1) & 7][i & 255] = table[0][before & 255] ^ (before >> 8);
	}
	return 0;
}

__noinline __u32 crc32(__u32 crc, __u32 length)
{
	__u32 words = length / 8, i;

	if (words > CHUNK / 8)
		return crc;
	bpf_for(i, 0, CHUNK / 8) {
		__u32 low, high;

		if (i >= words)
			break;
		low = *(__u32 *)(bytes + i * 8) ^ crc;
		high = *(__u32 *)(bytes + i * 8 + 4);
		crc = table[7][low & 255] ^ table[6][(low >> 8) & 255] ^ table[5][(low >> 16) & 255] ^ table[4][low >> 24] ^
		      table[3][high & 255] ^ table[2][(high >> 8) & 255] ^ table[1][(high >> 16) & 255] ^ table[0][high >> 24];
	}
	words *= 8;
	bpf_for(i, 0, 8) {
		__u32 place = words + i;

		if (place >= length || place >= CHUNK)
			break;
		crc = table[0][(crc ^ bytes[place]) & 255] ^ (crc >> 8);
	}
	return crc;
}

/* Separators in the first bytes: their number goes to `count`, in memory, so that the verifier need not follow it; their positions to `found`, if they are kept. */
__noinline int count_lines(__u32 length, __u32 separator, __u64 position, __u32 keep)
{
	__u32 i;

	count = 0;
	bpf_for(i, 0, CHUNK) {
		if (i >= length)
			break;
		if (bytes[i] != separator)
			continue;
		if (keep)
			found[count & (CHUNK - 1)] = position + i;
		count++;
	}
	return 0;
}

static __always_inline void read_on(struct io_uring_bpf_ctx *ctx, struct scan *scan, struct block *block, __u64 address)
{
	struct io_uring_sqe sqe;

	io_uring_prep_read(&sqe, scan->fd, at(block->buffer + block->got), block->wanted - block->got,
			   scan->stream ? ~0ull : scan->offset + block->position + block->got);
	job_submit(ctx, &scan->job, &block->piece, address, &sqe);
}

static __always_inline void next_block(struct io_uring_bpf_ctx *ctx, struct scan *scan, struct block *block, __u64 address)
{
	if (job_ends(&scan->job) || scan->next >= scan->end)
		return;
	block->position = scan->next;
	block->wanted = scan->block;
	if (scan->end - scan->next < block->wanted)
		block->wanted = (__u32)(scan->end - scan->next);
	block->got = 0;
	block->ready = 0;
	block->seen = 0;
	scan->next += block->wanted;
	read_on(ctx, scan, block, address);
}

/* Looks at what is left of a block. False: line ends found no room. */
static __always_inline bool look(struct io_uring_bpf_ctx *ctx, struct scan *scan, struct block *block)
{
	__u32 i;

	bpf_for(i, 0, 262144) {
		__u32 length = block->got - block->seen;

		if (block->seen >= block->got)
			break;
		if (length > CHUNK)
			length = CHUNK;
		if (bpf_ring_read(ctx, block->buffer + block->seen, bytes, length) != 0) {
			job_fail(&scan->job, -EFAULT);
			return true;
		}
		if (scan->what & SCAN_LINES) {
			bool keep = (scan->what & SCAN_ENDS) != 0;

			/* Room for a line end at each byte, to be sure. */
			if (keep && scan->ends_end - scan->ends < (__u64)length * 8)
				return false;
			count_lines(length, scan->separator & 255, block->position + block->seen, keep);
			if (keep) {
				/* The mask bounds it for the verifier, which has lost sight of `count`. */
				__u32 size = (count * 8) & (sizeof(found) - 1);

				if (bpf_ring_write(ctx, scan->ends, found, size) != 0)
					job_fail(&scan->job, -EFAULT);
				scan->ends += size;
			}
			scan->lines += count;
			scan->open_line = bytes[(length - 1) & (CHUNK - 1)] != (__u8)scan->separator;
		}
		if (scan->what & SCAN_CRC32)
			scan->crc = crc32(scan->crc, length);
		block->seen += length;
	}
	return true;
}

/* Looks at blocks as they come, and has the next ones read in their place. The caller holds the running one. */
static __always_inline void advance(struct io_uring_bpf_ctx *ctx, struct scan *scan, struct block *running)
{
	__u32 depth = scan->depth, i, size = scan->block;
	struct block block;

	if (size == 0 || depth == 0)
		return;
	bpf_for(i, 0, 256) {
		__u64 address;
		bool own;

		if (i >= depth || job_ends(&scan->job) || scan->looked >= scan->end)
			break;
		address = scan->pieces + (scan->looked / size) % depth * sizeof(block);
		own = address == ctx->user_data;
		if (own)
			block = *running;
		else if (job_read(ctx, address, &block) != 0)
			break;
		if (!block.ready || block.position != scan->looked)
			break;
		if (!look(ctx, scan, &block)) {
			scan->full = 1;
			if (own)
				*running = block;
			else
				job_write(ctx, address, &block);
			break;
		}
		scan->looked += block.wanted;
		if (block.got < block.wanted && scan->end > block.position + block.got)
			scan->end = block.position + block.got;
		block.ready = 0;
		next_block(ctx, scan, &block, address);
		if (own)
			*running = block;
		else
			job_write(ctx, address, &block);
	}
}

static __always_inline void start(struct io_uring_bpf_ctx *ctx, struct scan *scan, struct block *running)
{
	__u32 depth = scan->depth, i;
	struct block block;

	next_block(ctx, scan, running, ctx->user_data);
	bpf_for(i, 1, 256) {
		__u64 address = scan->pieces + i * sizeof(block);

		if (i >= depth || job_ends(&scan->job) || scan->next >= scan->end)
			break;
		if (job_read(ctx, address, &block) != 0)
			break;
		next_block(ctx, scan, &block, address);
		job_write(ctx, address, &block);
	}
}

static __always_inline void stop(struct io_uring_bpf_ctx *ctx, struct scan *scan, struct block *running)
{
	__u32 depth = scan->depth, i;
	struct block block;

	bpf_for(i, 0, 256) {
		__u64 address = scan->pieces + i * sizeof(block);

		if (i >= depth)
			break;
		if (address == ctx->user_data || job_read(ctx, address, &block) != 0)
			continue;
		job_cancel(ctx, &scan->job, &block.piece);
		job_write(ctx, address, &block);
	}
	job_cancel(ctx, &scan->job, &running->piece);
}

static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct scan *scan, struct block *block)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;
	__u16 mode = 0;

	if (job_ends(&scan->job))
		return;
	if (scan->stage == STAGE_TYPE) {
		if (res < 0) {
			job_fail(&scan->job, res);
			return;
		}
		bpf_ring_read(ctx, scan->statx + STATX_MODE_OFFSET, &mode, sizeof(mode));
		if ((mode & S_IFMT) != S_IFREG && (mode & S_IFMT) != S_IFBLK) {
			scan->stream = 1;
			scan->depth = 1;
		}
		scan->stage = STAGE_READ;
		start(ctx, scan, block);
		return;
	}
	if (res == -EINTR || (ctx->opcode == IORING_OP_POLL_ADD && res >= 0)) {
		read_on(ctx, scan, block, ctx->user_data);
		return;
	}
	if (res == -EAGAIN) {
		io_uring_prep_poll_add(&sqe, scan->fd, POLLIN);
		job_submit(ctx, &scan->job, &block->piece, ctx->user_data, &sqe);
		return;
	}
	if (res < 0) {
		job_fail(&scan->job, res);
		return;
	}
	block->got += (__u32)res;
	if (res > 0 && block->got < block->wanted) {
		read_on(ctx, scan, block, ctx->user_data);
		return;
	}
	block->ready = 1;
	if (!scan->full)
		advance(ctx, scan, block);
}

SEC("iouring")
int sluice_scan(struct io_uring_bpf_ctx *ctx)
{
	struct io_uring_sqe sqe;
	struct block block;
	struct scan scan;
	__s32 result = 0;

	if (job_read(ctx, ctx->user_data, &block) != 0 || job_read(ctx, block.piece.job, &scan) != 0)
		return RING_DONE;
	job_ended(ctx, &scan.job, &block.piece);
	if (ctx->opcode != IORING_OP_BPF)
		ended(ctx, &scan, &block);
	else if (scan.job.stop)
		stop(ctx, &scan, &block);
	else if (scan.stage == STAGE_NEW) {
		__u64 path = block.piece.job + __builtin_offsetof(struct job, reserved);

		scan.stage = STAGE_TYPE;
		if ((scan.what & SCAN_CRC32) && table[0][1] == 0)
			make_table();
		io_uring_prep_statx(&sqe, scan.fd, at(path), AT_EMPTY_PATH, STATX_TYPE, at(scan.statx));
		job_submit(ctx, &scan.job, &block.piece, ctx->user_data, &sqe);
	} else if (scan.full) {
		/* There is room again. */
		scan.full = 0;
		advance(ctx, &scan, &block);
	}
	if (scan.full)
		result = 1;
	job_answer(ctx, &scan.job, result);
	job_write(ctx, ctx->user_data, &block);
	job_write(ctx, block.piece.job, &scan);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
