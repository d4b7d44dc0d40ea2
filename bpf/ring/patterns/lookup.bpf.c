/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Dependent lookups: from the root of a tree to a leaf, or along a chain of pointers, each node read where the one before says. How nodes lie is in the job.
 * One finder a lookup; so many of them at once.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>
#include "job.h"

enum { NODE_MAX = 4096, MOST_LEVELS = 64, ENODATA = 61, ELOOP = 40, POLLIN = 1 };
enum {
	BIG_ENDIAN_KEYS = 1,
	/* One child more than keys: the first is for what is below the first key. */
	BETWEEN = 2,
	/* What a leaf has in the place of children says where the value lies in the file. */
	INDIRECT = 4,
	/* A field of the node says that it is a leaf; else it is the last of so many levels. */
	LEAF_FIELD = 8,
};

struct field {
	__u32 offset;
	__u32 size;
	__u32 stride;
	__u32 reserved;
};

/* src/hooks/ring/patterns/lookup.ts writes and reads these. */
struct lookup {
	struct job job;
	__u64 entries;
	__u64 finders;
	__u64 values;
	__u32 count;
	__u32 workers;
	__u32 next;
	__u32 started;
	__s32 fd;
	__u32 flags;
	__u32 node_size;
	__u32 levels;
	__u64 root;
	/* Number of keys in a node: a field, or the number itself (size 0). */
	struct field number;
	struct field keys;
	struct field children;
	struct field value;
	struct field leaf;
	__u64 leaf_mask;
	__u64 leaf_value;
	/* A child's offset in the file: (child & mask) * scale + base; one that is `none` is not there. */
	__u64 mask;
	__u64 scale;
	__u64 base;
	__u64 none;
};

struct entry {
	__u64 key;
	/* Result: nodes read; 1: found. */
	__u32 levels;
	__u32 found;
};

struct finder {
	struct piece piece;
	__u64 buffer;
	__u64 offset;
	__u32 index;
	__u32 got;
	__u32 wanted;
	__u32 level;
	__u64 key;
	__u32 at_value;
	__u32 reserved;
};

/* The node that is looked at; fields may be read beyond its end. */
__u8 node[NODE_MAX + 8];

/* An unsigned little-endian number of 0 to 8 bytes. */
static __always_inline __u64 load_number(__u32 offset, __u32 size)
{
	__u64 value;

	if (offset > NODE_MAX)
		return 0;
	value = *(__u64 *)(node + offset);
	return size >= 8 ? value : value & ((1ull << (size * 8)) - 1);
}

static __always_inline __u64 load_key(const struct lookup *lookup, __u32 index)
{
	__u64 key = load_number(lookup->keys.offset + index * lookup->keys.stride, lookup->keys.size);

	if (lookup->flags & BIG_ENDIAN_KEYS)
		key = __builtin_bswap64(key) >> ((64 - lookup->keys.size * 8) & 63);
	return key;
}

/* Keys of the node that are not above the one that is looked for. */
static __always_inline __u32 keys_below(const struct lookup *lookup, __u64 key, __u32 count)
{
	__u32 low = 0, high = count, i;

	bpf_for(i, 0, 13) {
		__u32 middle = (low + high) / 2;

		if (low >= high)
			break;
		if (load_key(lookup, middle) <= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static __always_inline void read_on(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *finder, __u64 address)
{
	struct io_uring_sqe sqe;

	io_uring_prep_read(&sqe, lookup->fd, at(finder->buffer + finder->got), finder->wanted - finder->got, finder->offset + finder->got);
	job_submit(ctx, &lookup->job, &finder->piece, address, &sqe);
}

static __always_inline void go_to(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *finder, __u64 address, __u64 offset,
				  __u32 bytes)
{
	finder->offset = offset;
	finder->got = 0;
	finder->wanted = bytes;
	read_on(ctx, lookup, finder, address);
}

static __always_inline void begin(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *finder, __u64 address)
{
	struct entry entry;

	if (job_ends(&lookup->job) || lookup->next >= lookup->count)
		return;
	finder->index = lookup->next++;
	if (job_read(ctx, lookup->entries + (__u64)finder->index * sizeof(entry), &entry) != 0) {
		job_fail(&lookup->job, -EFAULT);
		return;
	}
	finder->key = entry.key;
	finder->level = 0;
	finder->at_value = 0;
	go_to(ctx, lookup, finder, address, lookup->root, lookup->node_size);
}

static __always_inline void start(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *running)
{
	__u32 workers = lookup->workers;
	struct finder finder;
	__u32 i;

	bpf_for(i, 0, 1024) {
		__u64 address = lookup->finders + i * sizeof(finder);

		if (i >= workers || lookup->next >= lookup->count || job_ends(&lookup->job))
			break;
		if (address == ctx->user_data || job_read(ctx, address, &finder) != 0)
			continue;
		begin(ctx, lookup, &finder, address);
		job_write(ctx, address, &finder);
	}
	begin(ctx, lookup, running, ctx->user_data);
}

static __always_inline void stop(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *running)
{
	__u32 workers = lookup->workers;
	struct finder finder;
	__u32 i;

	bpf_for(i, 0, 1024) {
		__u64 address = lookup->finders + i * sizeof(finder);

		if (i >= workers)
			break;
		if (address == ctx->user_data || job_read(ctx, address, &finder) != 0)
			continue;
		job_cancel(ctx, &lookup->job, &finder.piece);
		job_write(ctx, address, &finder);
	}
	job_cancel(ctx, &lookup->job, &running->piece);
}

/* The lookup is over; the next one begins. */
static __always_inline void finish(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *finder, __u32 found)
{
	struct entry entry = { .key = finder->key, .levels = finder->level, .found = found };

	job_write(ctx, lookup->entries + (__u64)finder->index * sizeof(entry), &entry);
	begin(ctx, lookup, finder, ctx->user_data);
}

/* `size` bytes of the node as the value. */
static __always_inline void take_value(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *finder, __u32 offset)
{
	__u32 size = lookup->value.size;

	if (offset > NODE_MAX || size > NODE_MAX || offset + size > NODE_MAX) {
		job_fail(&lookup->job, -ERANGE);
		return;
	}
	/* From the buffer, as the length need not be known in advance then. */
	barrier_var(offset);
	if (size > 0 && size <= NODE_MAX) {
		static __u8 value[NODE_MAX];

		if (bpf_ring_read(ctx, finder->buffer + offset, value, size) != 0 ||
		    bpf_ring_write(ctx, lookup->values + (__u64)finder->index * size, value, size) != 0)
			job_fail(&lookup->job, -EFAULT);
	}
	finish(ctx, lookup, finder, 1);
}

/* A node is there. */
static __always_inline void look(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *finder)
{
	__u32 size = lookup->node_size, count, index, below;
	__u64 child;
	bool leaf;

	if (size > NODE_MAX || bpf_ring_read(ctx, finder->buffer, node, size) != 0) {
		job_fail(&lookup->job, -EFAULT);
		return;
	}
	if (++finder->level > MOST_LEVELS && lookup->levels == 0) {
		job_fail(&lookup->job, -ELOOP);
		return;
	}
	leaf = (lookup->flags & LEAF_FIELD) ?
		       (load_number(lookup->leaf.offset, lookup->leaf.size) & lookup->leaf_mask) == lookup->leaf_value :
		       finder->level >= lookup->levels;
	if (lookup->keys.size == 0) {
		/* A chain of pointers: nothing to choose. */
		index = 0;
	} else {
		count = lookup->number.size == 0 ? lookup->number.offset :
						   (__u32)load_number(lookup->number.offset, lookup->number.size);
		if (count > NODE_MAX) {
			job_fail(&lookup->job, -ERANGE);
			return;
		}
		below = keys_below(lookup, finder->key, count);
		index = below - 1;
		if (leaf && (below == 0 || load_key(lookup, index) != finder->key)) {
			finish(ctx, lookup, finder, 0);
			return;
		}
		if (!leaf && (lookup->flags & BETWEEN))
			index = below;
		else if (below == 0) {
			finish(ctx, lookup, finder, 0);
			return;
		}
	}
	if (leaf && !(lookup->flags & INDIRECT)) {
		take_value(ctx, lookup, finder, lookup->value.offset + index * lookup->value.stride);
		return;
	}
	child = load_number(lookup->children.offset + index * lookup->children.stride, lookup->children.size);
	if (child == lookup->none) {
		finish(ctx, lookup, finder, 0);
		return;
	}
	finder->at_value = leaf;
	go_to(ctx, lookup, finder, ctx->user_data, (child & lookup->mask) * lookup->scale + lookup->base, leaf ? lookup->value.size : size);
}

static __always_inline void ended(struct io_uring_bpf_ctx *ctx, struct lookup *lookup, struct finder *finder)
{
	struct io_uring_sqe sqe;
	__s32 res = ctx->res;

	if (job_ends(&lookup->job))
		return;
	if (res == -EAGAIN) {
		io_uring_prep_poll_add(&sqe, lookup->fd, POLLIN);
		job_submit(ctx, &lookup->job, &finder->piece, ctx->user_data, &sqe);
		return;
	}
	if (res == -EINTR || (ctx->opcode == IORING_OP_POLL_ADD && res >= 0)) {
		read_on(ctx, lookup, finder, ctx->user_data);
		return;
	}
	if (res <= 0) {
		/* The file ends before the node does. */
		job_fail(&lookup->job, res < 0 ? res : -ENODATA);
		return;
	}
	finder->got += (__u32)res;
	if (finder->got < finder->wanted)
		read_on(ctx, lookup, finder, ctx->user_data);
	else if (finder->at_value)
		take_value(ctx, lookup, finder, 0);
	else
		look(ctx, lookup, finder);
}

SEC("iouring")
int sluice_lookup(struct io_uring_bpf_ctx *ctx)
{
	struct lookup lookup;
	struct finder finder;

	if (job_read(ctx, ctx->user_data, &finder) != 0 || job_read(ctx, finder.piece.job, &lookup) != 0)
		return RING_DONE;
	job_ended(ctx, &lookup.job, &finder.piece);
	if (ctx->opcode != IORING_OP_BPF)
		ended(ctx, &lookup, &finder);
	else if (lookup.job.stop)
		stop(ctx, &lookup, &finder);
	else if (!lookup.started) {
		lookup.started = 1;
		start(ctx, &lookup, &finder);
	}
	job_answer(ctx, &lookup.job, 0);
	job_write(ctx, ctx->user_data, &finder);
	job_write(ctx, finder.piece.job, &lookup);
	return RING_DONE;
}

char _license[] SEC("license") = "Dual MIT/GPL";
