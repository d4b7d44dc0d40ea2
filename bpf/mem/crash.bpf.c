/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What test/crash/threads.test.ts runs on threads that are ended in the middle of it: random operations on maps of several kinds and on objects. What is written says
 * whether it is whole, so that nothing has to be known of who wrote it. bench.h says what the packet is.
 */
#include "../bench/bench.h"
#include <sluice/mem.h>

#define MAX_ROUNDS 512
#define KEYS 64
#define SLOTS 32
#define MOST_DRAINED 32

static __u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;

/* Both are the same, and belong to the key: the upper half of them is it. */
struct pair {
	__u64 one;
	__u64 other;
};

#define TABLE(name, kind, entries, flags) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__uint(map_flags, flags); \
		__type(key, __u32); \
		__type(value, struct pair); \
	} name SEC(".maps")

TABLE(hash, BPF_MAP_TYPE_HASH, 2 * KEYS, 0);
TABLE(drawn, BPF_MAP_TYPE_HASH, 2 * KEYS, BPF_F_NO_PREALLOC);
TABLE(lru, BPF_MAP_TYPE_LRU_HASH, KEYS, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16384);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 64);
	__type(value, __u64);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 64);
	__type(value, __u64);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
} ma SEC(".maps");

struct plain {
	__u64 number;
	__u64 rest[5];
};

struct node {
	__u64 key;
	struct bpf_list_node in_list;
	struct bpf_rb_node in_tree;
	struct bpf_refcount uses;
	struct plain __kptr *owned;
};

struct slot {
	struct plain __kptr *object;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

/* Sums stay equal under the lock; as many nodes as it says. */
struct state {
	struct bpf_spin_lock lock;
	__u32 nodes;
	__u64 one;
	__u64 other;
	struct bpf_list_head list __contains(node, in_list);
	struct bpf_rb_root tree __contains(node, in_tree);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} states SEC(".maps");

/* By CPU: rounds; records that were submitted; values that went into the queue and the stack. */
struct progress {
	__u64 rounds;
	__u64 records;
	__u64 numbers;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct progress);
} progress SEC(".maps");

#define node_of(pointer, member) ((struct node *)((void *)(pointer) - __builtin_offsetof(struct node, member)))

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return node_of(a, in_tree)->key < node_of(b, in_tree)->key;
}

#define ON_TABLE(map) \
	{ \
		struct pair *found; \
\
		if (x & 0x100) \
			return bpf_map_delete_elem(&map, &key); \
		if (x & 0x200) \
			return bpf_map_update_elem(&map, &key, &pair, BPF_ANY); \
		found = bpf_map_lookup_elem(&map, &key); \
		return found ? (int)found->one : 0; \
	}

static __always_inline struct state *the_state(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&states, &key);
}

/* A node with an object of its own into the list and the tree. */
__attribute__((noinline)) int insert(__u32 number)
{
	struct state *state = the_state();
	struct plain *plain, *before;
	struct node *node, *again;

	if (!state || state->nodes > 40)
		return 0;
	node = bpf_mem_alloc(&ma, struct node);
	if (!node)
		return 0;
	node->key = number;
	plain = bpf_mem_alloc(&ma, struct plain);
	if (plain) {
		plain->number = number;
		before = bpf_kptr_xchg(&node->owned, plain);
		if (before)
			bpf_obj_drop(before);
	}
	again = bpf_refcount_acquire(node);
	if (!again) {
		bpf_obj_drop(node);
		return 0;
	}
	bpf_spin_lock(&state->lock);
	bpf_rbtree_add(&state->tree, &node->in_tree, less);
	bpf_list_push_back(&state->list, &again->in_list);
	state->nodes++;
	bpf_spin_unlock(&state->lock);
	return 1;
}

/* The least of the tree out. */
__attribute__((noinline)) int take(void)
{
	struct state *state = the_state();
	struct bpf_rb_node *first;

	if (!state)
		return 0;
	bpf_spin_lock(&state->lock);
	first = bpf_rbtree_first(&state->tree);
	if (!first) {
		bpf_spin_unlock(&state->lock);
		return 0;
	}
	first = bpf_rbtree_remove(&state->tree, first);
	bpf_spin_unlock(&state->lock);
	if (!first)
		return 0;
	bpf_obj_drop(node_of(first, in_tree));
	return 1;
}

/* The first of the list out. */
__attribute__((noinline)) int pop(void)
{
	struct state *state = the_state();
	struct bpf_list_node *first;

	if (!state)
		return 0;
	bpf_spin_lock(&state->lock);
	first = bpf_list_pop_front(&state->list);
	if (first && state->nodes)
		state->nodes--;
	bpf_spin_unlock(&state->lock);
	if (!first)
		return 0;
	bpf_obj_drop(node_of(first, in_list));
	return 1;
}

/* A new object into a slot; what was there goes. */
__attribute__((noinline)) int stash(__u32 number)
{
	__u32 key = number % SLOTS;
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);
	struct plain *plain = NULL;

	if (!slot)
		return 0;
	if (number & 0x1000) {
		plain = bpf_mem_alloc(&ma, struct plain);
		if (!plain)
			return 0;
		plain->number = number;
	}
	plain = bpf_kptr_xchg(&slot->object, plain);
	if (plain)
		bpf_obj_drop(plain);
	return 1;
}

/* Both sums of the state by as much. */
__attribute__((noinline)) int sums(__u32 number)
{
	struct state *state = the_state();

	if (!state)
		return 0;
	bpf_spin_lock(&state->lock);
	state->one += number;
	state->other += number;
	bpf_spin_unlock(&state->lock);
	return 1;
}

__attribute__((noinline)) int on_hash(__u32 x)
{
	__u32 key = (x >> 16) & (KEYS - 1);
	struct pair pair = { (__u64)key << 32 | x, (__u64)key << 32 | x };

	ON_TABLE(hash)
}

__attribute__((noinline)) int on_drawn(__u32 x)
{
	__u32 key = (x >> 16) & (KEYS - 1);
	struct pair pair = { (__u64)key << 32 | x, (__u64)key << 32 | x };

	ON_TABLE(drawn)
}

__attribute__((noinline)) int on_lru(__u32 x)
{
	__u32 key = (x >> 16) & (4 * KEYS - 1);
	struct pair pair = { (__u64)key << 32 | x, (__u64)key << 32 | x };

	ON_TABLE(lru)
}

__attribute__((noinline)) int on_numbers(__u32 x, __u32 cpu)
{
	struct progress *own = bpf_map_lookup_elem(&progress, &cpu);
	__u64 number;

	if (!own)
		return 0;
	number = (__u64)cpu << 48 | ++own->numbers;
	if (x & 0x400)
		return x & 0x100 ? bpf_map_push_elem(&queue, &number, x & 0x200 ? BPF_EXIST : 0) : bpf_map_pop_elem(&queue, &number);
	return x & 0x100 ? bpf_map_push_elem(&stack, &number, x & 0x200 ? BPF_EXIST : 0) : bpf_map_pop_elem(&stack, &number);
}

__attribute__((noinline)) int record(__u32 x, __u32 cpu)
{
	struct progress *own = bpf_map_lookup_elem(&progress, &cpu);
	__u64 *made;

	if (!own)
		return 0;
	made = bpf_ringbuf_reserve(&ring, 16, 0);
	if (!made)
		return 0;
	made[0] = cpu;
	made[1] = own->records;
	if (x & 0x700) {
		own->records++;
		bpf_ringbuf_submit(made, 0);
	} else {
		bpf_ringbuf_discard(made, 0);
	}
	return 1;
}

__attribute__((noinline)) int step(__u32 x, __u32 cpu)
{
	switch (x & 15) {
	case 0:
	case 1:
		return on_hash(x);
	case 2:
	case 3:
		return on_drawn(x);
	case 4:
	case 5:
		return on_lru(x);
	case 6:
		return record(x, cpu);
	case 7:
	case 8:
		return on_numbers(x, cpu);
	case 9:
	case 10:
		return insert(x >> 8);
	case 11:
		return take();
	case 12:
		return pop();
	case 13:
	case 14:
		return stash(x >> 8);
	default:
		return sums(x);
	}
}

SEC("xdp")
int work(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u32 cpu = bpf_get_smp_processor_id();
	struct progress *own;
	__u32 n, x, i;
	__u64 sum = 0;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	own = bpf_map_lookup_elem(&progress, &cpu);
	if (!own)
		return XDP_ABORTED;
	n = packet->n;
	x = packet->seed;
	__no_unroll
	for (i = 0; i < MAX_ROUNDS; i++) {
		if (i >= n)
			break;
		x = xorshift(x);
		sum += step(x, cpu);
		own->rounds++;
	}
	packet->seed = x;
	packet->result = sum;
	return XDP_PASS;
}

/* Empties slots, and some of list and tree; the number of references that were there. */
SEC("xdp")
int drain(struct xdp_md *ctx)
{
	__u32 i, count = 0;

	__no_unroll
	for (i = 0; i < SLOTS; i++) {
		__u32 key = i;
		struct slot *slot = bpf_map_lookup_elem(&slots, &key);
		struct plain *plain;

		if (!slot)
			break;
		plain = bpf_kptr_xchg(&slot->object, NULL);
		if (!plain)
			continue;
		bpf_obj_drop(plain);
		count++;
	}
	__no_unroll
	for (i = 0; i < MOST_DRAINED; i++) {
		if (!take())
			break;
		count++;
	}
	__no_unroll
	for (i = 0; i < MOST_DRAINED; i++) {
		if (!pop())
			break;
		count++;
	}
	return count;
}

BENCH_LICENSE;
