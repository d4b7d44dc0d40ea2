/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What programs do with objects, as a machine: each byte of the packet is an operation (upper three bits) with a number (lower five). State stays in the
 * maps from one packet to the next; what is read goes into a sum that the program returns. No address and no clock is in it, so that any two engines, and
 * the kernel, return the same for the same packets. test/object-operations.test.ts.
 */
#include <sluice/bpf.h>
#include <sluice/mem.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define MOST 64

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

struct state {
	__u64 sum;
	struct bpf_spin_lock lock;
	struct bpf_list_head list __contains(node, in_list);
	struct bpf_rb_root tree __contains(node, in_tree);
	struct plain __kptr *stash;
	struct plain __kptr *other;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} states SEC(".maps");

struct counter {
	__u64 count;
	__u32 last;
};

struct counters {
	struct counter __percpu_kptr *each;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} percpu SEC(".maps");

static void *(*const bpf_per_cpu_ptr)(const void *object, __u32 cpu) = (void *)153;

#define node_of(pointer, member) ((struct node *)((void *)(pointer) - __builtin_offsetof(struct node, member)))

static __always_inline struct state *the_state(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&states, &key);
}

static __always_inline void add(struct state *state, __u64 number)
{
	state->sum = state->sum * 31 + number + 1;
}

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return node_of(a, in_tree)->key < node_of(b, in_tree)->key;
}

/* A node, at the front or the end of the list. */
__attribute__((noinline)) int push(__u32 number, __u32 front)
{
	struct state *state = the_state();
	struct node *node;

	if (!state)
		return 0;
	node = bpf_obj_new(struct node);
	if (!node)
		return 0;
	node->key = number;
	bpf_spin_lock(&state->lock);
	if (front)
		bpf_list_push_front(&state->list, &node->in_list);
	else
		bpf_list_push_back(&state->list, &node->in_list);
	bpf_spin_unlock(&state->lock);
	return 1;
}

/* One node in the list and in the tree, owning an object of its own. */
__attribute__((noinline)) int insert(__u32 number)
{
	struct state *state = the_state();
	struct plain *plain, *before;
	struct node *node, *again;

	if (!state)
		return 0;
	node = bpf_obj_new(struct node);
	if (!node)
		return 0;
	node->key = number;
	plain = bpf_obj_new(struct plain);
	if (plain) {
		plain->number = number * 3;
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
	bpf_spin_unlock(&state->lock);
	return 1;
}

__attribute__((noinline)) int pop(__u32 back)
{
	struct state *state = the_state();
	struct bpf_list_node *first;
	struct node *node;

	if (!state)
		return 0;
	bpf_spin_lock(&state->lock);
	first = back ? bpf_list_pop_back(&state->list) : bpf_list_pop_front(&state->list);
	bpf_spin_unlock(&state->lock);
	if (!first)
		return 0;
	node = node_of(first, in_list);
	add(state, node->key);
	bpf_obj_drop(node);
	return 1;
}

__attribute__((noinline)) int take(__u32 number)
{
	struct state *state = the_state();
	struct bpf_rb_node *first;
	struct plain *plain;
	struct node *node;

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
	node = node_of(first, in_tree);
	add(state, node->key);
	plain = bpf_kptr_xchg(&node->owned, NULL);
	if (plain) {
		add(state, plain->number);
		bpf_obj_drop(plain);
	}
	bpf_obj_drop(node);
	return 1;
}

/* A new object into one of two fields; what was there goes. */
__attribute__((noinline)) int stash(__u32 number)
{
	struct state *state = the_state();
	struct plain *plain, *before;

	if (!state)
		return 0;
	plain = bpf_obj_new(struct plain);
	if (!plain)
		return 0;
	plain->number = number;
	before = number & 1 ? bpf_kptr_xchg(&state->other, plain) : bpf_kptr_xchg(&state->stash, plain);
	if (before) {
		add(state, before->number);
		bpf_obj_drop(before);
	}
	return 1;
}

/* From one field to the other; what was there goes. */
__attribute__((noinline)) int move(__u32 number)
{
	struct state *state = the_state();
	struct plain *plain;

	if (!state)
		return 0;
	plain = bpf_kptr_xchg(&state->stash, NULL);
	if (number & 1)
		plain = plain ? bpf_kptr_xchg(&state->other, plain) : NULL;
	if (!plain)
		return 0;
	add(state, plain->number);
	bpf_obj_drop(plain);
	return 1;
}

/* An object with a copy for each CPU, of which the first counts. */
__attribute__((noinline)) int count(__u32 number)
{
	struct state *state = the_state();
	struct counters *counters;
	struct counter *object, *copy;
	__u32 key = 0;

	counters = bpf_map_lookup_elem(&percpu, &key);
	if (!state || !counters)
		return 0;
	object = counters->each;
	if (number == 31) {
		object = bpf_kptr_xchg(&counters->each, NULL);
		if (!object)
			return 0;
		bpf_percpu_obj_drop(object);
		return 1;
	}
	if (!object) {
		object = bpf_percpu_obj_new(struct counter);
		if (!object)
			return 0;
		object = bpf_kptr_xchg(&counters->each, object);
		if (object)
			bpf_percpu_obj_drop(object);
		object = counters->each;
		if (!object)
			return 0;
		copy = bpf_per_cpu_ptr(object, 0);
		if (!copy)
			return 0;
		copy->count = number;
		copy->last = number;
		return 1;
	}
	copy = bpf_per_cpu_ptr(object, 0);
	if (!copy)
		return 0;
	copy->count += number;
	add(state, copy->count + copy->last);
	copy->last = number;
	return 1;
}

__attribute__((noinline)) int step(__u32 operation)
{
	__u32 number = operation & 31;

	switch ((operation >> 5) & 7) {
	case 0:
		return push(number, 0);
	case 1:
		return push(number, 1);
	case 2:
		return insert(number);
	case 3:
		return pop(number & 1);
	case 4:
		return take(number);
	case 5:
		return stash(number);
	case 6:
		return move(number);
	default:
		return count(number);
	}
}

SEC("tc")
int run_operations(struct __sk_buff *skb)
{
	struct state *state = the_state();
	__u8 *at = xdp_data(skb);
	__u32 done = 0;

	if (!state)
		return -1;
	for (int i = 0; i < MOST; i++) {
		__u8 *byte = at + i;

		if ((void *)(byte + 1) > xdp_data_end(skb))
			break;
		done += step(*byte);
	}
	return (int)((state->sum ^ (state->sum >> 32)) + done) & 0x7fffffff;
}
