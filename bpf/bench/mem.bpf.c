/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What objects and map elements cost, one program a pattern: `n` rounds each. fill() is run once before them. bench/peers/mem.c does the
 * same with malloc. `result` is what went wrong so far: an allocation that gave NULL, an update that was refused.
 */
#include "bench.h"
#include <sluice/mem.h>

#define container_of(p, type, member) ((type *)((void *)(p) - __builtin_offsetof(type, member)))

#define MAX_ROUNDS 512
#define SLOTS 1024
#define BATCH 128
#define CROSS 4096
#define KEYS 8192

/* A type for each size, a map of owned pointers to each. */
#define OBJECT(size) \
	struct object_##size { \
		__u64 words[size / 8]; \
	}; \
	struct slot_##size { \
		struct object_##size __kptr *p; \
	}; \
	struct object_##size *type_##size; \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(max_entries, SLOTS); \
		__type(key, __u32); \
		__type(value, struct slot_##size); \
	} slots_##size SEC(".maps");
#define SIZES(DO) \
	DO(64) DO(16) DO(256) DO(32) DO(1024) DO(128) DO(24) DO(512) DO(48) DO(768) DO(80) DO(40) DO(192) DO(96) DO(384) DO(160)
SIZES(OBJECT)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BATCH);
	__type(key, __u32);
	__type(value, struct slot_64);
} batch_slots SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CROSS);
	__type(key, __u32);
	__type(value, struct slot_64);
} cross_slots SEC(".maps");

#define TABLE(name, flags) \
	struct { \
		__uint(type, BPF_MAP_TYPE_HASH); \
		__uint(max_entries, KEYS); \
		__uint(map_flags, flags); \
		__type(key, __u32); \
		__type(value, __u64); \
	} name SEC(".maps")
TABLE(full, 0);
TABLE(full_dynamic, BPF_F_NO_PREALLOC);
TABLE(empty, 0);
TABLE(empty_dynamic, BPF_F_NO_PREALLOC);

struct linked {
	__u64 key;
	struct bpf_list_node node;
};
struct ordered {
	__u64 key;
	struct bpf_rb_node node;
};
struct counted {
	__u64 key;
	struct bpf_refcount references;
};
struct counted *type_counted;

#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))
private(list) struct bpf_spin_lock queue_lock;
private(list) struct bpf_list_head queue __contains(linked, node);
private(tree) struct bpf_spin_lock tree_lock;
private(tree) struct bpf_rb_root tree __contains(ordered, node);

/* What went wrong so far. In memory, as a count in a register would be one more thing that the verifier tells paths apart by. */
static __u64 failures;

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct ordered, node)->key < container_of(b, struct ordered, node)->key;
}

static __always_inline void put_linked(__u64 key)
{
	struct linked *made = bpf_obj_new(struct linked);

	if (!made) {
		failures++;
		return;
	}
	made->key = key;
	bpf_spin_lock(&queue_lock);
	bpf_list_push_back(&queue, &made->node);
	bpf_spin_unlock(&queue_lock);
}

static __always_inline void put_ordered(__u64 key)
{
	struct ordered *made = bpf_obj_new(struct ordered);

	if (!made) {
		failures++;
		return;
	}
	made->key = key;
	bpf_spin_lock(&tree_lock);
	bpf_rbtree_add(&tree, &made->node, less);
	bpf_spin_unlock(&tree_lock);
}

/* A new object in the place of the one that is there. */
#define REPLACE(map, size, at, value) { \
		struct object_##size *made; \
		struct slot_##size *slot = bpf_map_lookup_elem(&map, at); \
\
		if (!slot) \
			return XDP_ABORTED; \
		made = bpf_obj_new(struct object_##size); \
		if (made) { \
			made->words[0] = value; \
			made = bpf_kptr_xchg(&slot->p, made); \
			if (made) \
				bpf_obj_drop(made); \
		} else { \
			failures++; \
		} \
	}

/* What is there, given back. */
#define TAKE(map, at) { \
		struct object_64 *taken; \
		struct slot_64 *slot = bpf_map_lookup_elem(&map, at); \
\
		if (!slot) \
			return XDP_ABORTED; \
		taken = bpf_kptr_xchg(&slot->p, NULL); \
		if (taken) \
			bpf_obj_drop(taken); \
		else \
			failures++; \
	}

/* Run for seed = 0 .. 15: an object in each of the next 64 slots of each map, keys into the tables, 32 nodes. */
SEC("xdp")
int fill(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u32 i, first;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	first = packet->seed & 15;
	__no_unroll
	for (i = 0; i < SLOTS / 16; i++) {
		__u32 at = first * (SLOTS / 16) + i;

#define FILL(size) REPLACE(slots_##size, size, &at, i)
		SIZES(FILL)
	}
	__no_unroll
	for (i = 0; i < KEYS / 16; i++) {
		__u32 key = first * (KEYS / 16) + i;
		__u64 value = i;

		if (bpf_map_update_elem(&full, &key, &value, BPF_ANY))
		failures++;
		if (bpf_map_update_elem(&full_dynamic, &key, &value, BPF_ANY))
		failures++;
	}
	__no_unroll
	for (i = 0; i < 32; i++)
		put_ordered((__u64)i * 0x9e3779b9 & 0xffff);
	__no_unroll
	for (i = 0; i < 32; i++)
		put_linked(i);
	packet->result = failures;
	return XDP_PASS;
}

/* A program of n / step rounds of statements, which see i and a pseudo-random x. */
#define PROGRAM(name, step, ...) \
	SEC("xdp") \
	int name(struct xdp_md *ctx) \
	{ \
		struct bench_packet *packet = xdp_data(ctx); \
		__u32 n, x __attribute__((unused)), i; \
\
		if (bench_short(packet, ctx, 0)) \
			return XDP_ABORTED; \
		n = packet->n; \
		x = packet->seed; \
		__no_unroll \
		for (i = 0; i < MAX_ROUNDS / step; i++) { \
			if (i >= n / step) \
				break; \
			__VA_ARGS__ \
		} \
		packet = xdp_data(ctx); \
		if (bench_short(packet, ctx, 0)) \
			return XDP_ABORTED; \
		packet->result = failures; \
		packet->seed = x; \
		return XDP_PASS; \
	}

PROGRAM(lifo, 1, {
	struct object_64 *p = bpf_obj_new(struct object_64);

	if (!p) {
		failures++;
		continue;
	}
	p->words[0] = i;
	bpf_obj_drop(p);
})

/* 128 objects, then none of them. */
PROGRAM(batch, BATCH, {
	__u32 at;

	__no_unroll
	for (at = 0; at < BATCH; at++) {
		__u32 key = at;

		REPLACE(batch_slots, 64, &key, at)
	}
	__no_unroll
	for (at = 0; at < BATCH; at++) {
		__u32 key = at;

		TAKE(batch_slots, &key)
	}
})

/* 16384 objects of 16 sizes: one after the other, somewhere, is replaced. */
#define MIXED(size) { \
		__u32 at; \
\
		x = xorshift(x); \
		at = x & (SLOTS - 1); \
		REPLACE(slots_##size, size, &at, x) \
	}
PROGRAM(mixed, 16, { SIZES(MIXED) })

/* Taken out and put back: two exchanges. */
PROGRAM(stash_unstash, 1, {
	struct object_64 *p;
	struct slot_64 *slot;
	__u32 at;

	x = xorshift(x);
	at = x & (SLOTS - 1);
	slot = bpf_map_lookup_elem(&slots_64, &at);
	if (!slot)
		return XDP_ABORTED;
	p = bpf_kptr_xchg(&slot->p, NULL);
	if (!p) {
		failures++;
		continue;
	}
	p->words[0] = x;
	p = bpf_kptr_xchg(&slot->p, p);
	if (p)
		bpf_obj_drop(p);
})

/* One more reference, and one less. */
PROGRAM(refcount, 1, {
	struct counted *p = bpf_obj_new(struct counted);
	struct counted *second;

	if (!p) {
		failures++;
		continue;
	}
	second = bpf_refcount_acquire(p);
	bpf_obj_drop(p);
	if (second)
		bpf_obj_drop(second);
})

PROGRAM(percpu, 1, {
	struct object_64 __percpu_kptr *p = bpf_percpu_obj_new(struct object_64);

	if (!p) {
		failures++;
		continue;
	}
	bpf_percpu_obj_drop(p);
})

/* A list of 512: one more at the end, one less at the front. */
PROGRAM(list_push_pop, 1, {
	struct bpf_list_node *node;

	put_linked(i);
	bpf_spin_lock(&queue_lock);
	node = bpf_list_pop_front(&queue);
	bpf_spin_unlock(&queue_lock);
	if (node)
		bpf_obj_drop(container_of(node, struct linked, node));
	else
		failures++;
})

/* A tree of 512: one more anywhere, the first less. */
PROGRAM(tree_add_remove, 1, {
	struct bpf_rb_node *node;

	x = xorshift(x);
	put_ordered(x & 0xffff);
	bpf_spin_lock(&tree_lock);
	node = bpf_rbtree_first(&tree);
	if (!node) {
		bpf_spin_unlock(&tree_lock);
		failures++;
		continue;
	}
	node = bpf_rbtree_remove(&tree, node);
	bpf_spin_unlock(&tree_lock);
	if (node)
		bpf_obj_drop(container_of(node, struct ordered, node));
	else
		failures++;
})

/* Made by one CPU, given back by another: `n` objects from place `seed` on, which is moved on by n. */
PROGRAM(cross_alloc, 1, {
	__u32 at = x & (CROSS - 1);

	REPLACE(cross_slots, 64, &at, i)
	x++;
})
PROGRAM(cross_free, 1, {
	__u32 at = x & (CROSS - 1);

	TAKE(cross_slots, &at)
	x++;
})

/* 8192 keys, all there. */
#define OVERWRITE(map) { \
		__u64 value = i; \
		__u32 key; \
\
		x = xorshift(x); \
		key = x & (KEYS - 1); \
		if (bpf_map_update_elem(&map, &key, &value, BPF_ANY)) \
			failures++; \
	}
PROGRAM(overwrite, 1, OVERWRITE(full))
PROGRAM(overwrite_dynamic, 1, OVERWRITE(full_dynamic))

/* 512 keys that are not there, then again are not: 1024 operations a round. */
#define ADD_DEL(map) { \
		__u32 key; \
\
		__no_unroll \
		for (key = 0; key < MAX_ROUNDS; key++) { \
			__u64 value = key; \
			__u32 at = key; \
\
			if (bpf_map_update_elem(&map, &at, &value, BPF_NOEXIST)) \
			failures++; \
		} \
		__no_unroll \
		for (key = 0; key < MAX_ROUNDS; key++) { \
			__u32 at = key; \
\
			if (bpf_map_delete_elem(&map, &at)) \
			failures++; \
		} \
	}
PROGRAM(add_del, MAX_ROUNDS, ADD_DEL(empty))
PROGRAM(add_del_dynamic, MAX_ROUNDS, ADD_DEL(empty_dynamic))

BENCH_LICENSE;
