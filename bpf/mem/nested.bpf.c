/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Lists of objects that have lists of objects, as deep as types may own each other (in Linux from 7.0 on; before, two levels): who empties the map, or lets
 * go of it, has all of them to destroy.
 * test/object-operations.test.ts.
 */
#include <sluice/bpf.h>
#include <sluice/mem.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct leaf {
	__u64 number;
	struct bpf_list_node node;
};

#define LEVEL(name, below)                                                     \
	struct name {                                                          \
		struct bpf_list_node node;                                     \
		struct bpf_spin_lock lock;                                     \
		struct bpf_list_head list __contains(below, node);             \
	}

LEVEL(level7, leaf);
LEVEL(level6, level7);
LEVEL(level5, level6);
LEVEL(level4, level5);
LEVEL(level3, level4);
LEVEL(level2, level3);

struct top {
	struct bpf_spin_lock lock;
	struct bpf_list_head list __contains(level2, node);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct top);
} tops SEC(".maps");

/* A new object of `struct outer` with what `inner` points to in its list; NULL: there is no memory, and all that was made is dropped. */
#define WRAP(outer, inner)                                                     \
	({                                                                     \
		typeof(inner) __inner = inner;                                 \
		struct outer *__outer = NULL;                                  \
		if (__inner) {                                                 \
			__outer = bpf_obj_new(struct outer);                   \
			if (!__outer) {                                        \
				bpf_obj_drop(__inner);                         \
				/* One call for all types is not for the compiler to make. */ \
				asm volatile("/* " #outer " */");              \
			}                                                      \
		}                                                              \
		if (__outer) {                                                 \
			bpf_spin_lock(&__outer->lock);                         \
			bpf_list_push_back(&__outer->list, &__inner->node);    \
			bpf_spin_unlock(&__outer->lock);                       \
		}                                                              \
		__outer;                                                       \
	})

/* One more chain of seven objects into the list of the key in the packet's first byte; returns how many objects there are more. */
SEC("tc")
int grow(struct __sk_buff *skb)
{
	__u8 *data = xdp_data(skb);
	struct level7 *level7;
	struct level6 *level6;
	struct level5 *level5;
	struct level4 *level4;
	struct level3 *level3;
	struct level2 *level2;
	struct leaf *leaf;
	struct top *top;
	__u32 key;

	if ((void *)(data + 1) > xdp_data_end(skb))
		return 0;
	key = data[0] & 3;
	top = bpf_map_lookup_elem(&tops, &key);
	if (!top)
		return 0;
	leaf = bpf_obj_new(struct leaf);
	if (leaf)
		leaf->number = skb->len;
	level7 = WRAP(level7, leaf);
	level6 = WRAP(level6, level7);
	level5 = WRAP(level5, level6);
	level4 = WRAP(level4, level5);
	level3 = WRAP(level3, level4);
	level2 = WRAP(level2, level3);
	if (!level2)
		return 0;
	bpf_spin_lock(&top->lock);
	bpf_list_push_front(&top->list, &level2->node);
	bpf_spin_unlock(&top->lock);
	return 7;
}

/* Takes one chain out and drops it; returns the objects that went. */
SEC("tc")
int shrink(struct __sk_buff *skb)
{
	__u8 *data = xdp_data(skb);
	struct bpf_list_node *node;
	struct top *top;
	__u32 key;

	if ((void *)(data + 1) > xdp_data_end(skb))
		return 0;
	key = data[0] & 3;
	top = bpf_map_lookup_elem(&tops, &key);
	if (!top)
		return 0;
	bpf_spin_lock(&top->lock);
	node = bpf_list_pop_back(&top->list);
	bpf_spin_unlock(&top->lock);
	if (!node)
		return 0;
	bpf_obj_drop((struct level2 *)((void *)node - __builtin_offsetof(struct level2, node)));
	return 7;
}
