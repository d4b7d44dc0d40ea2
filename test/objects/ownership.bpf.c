/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One step each of random sequences of what programs do with objects of their own types (test/ownership.ts): made, stashed, moved, shared, listed,
 * put into trees and into each other, stored into elements of maps, deleted ones too. A packet has the step's arguments, and takes its result.
 */
#include <sluice/bpf.h>
#include <sluice/mem.h>

#define container_of(p, type, member) ((type *)((void *)(p) - __builtin_offsetof(type, member)))

#define SLOTS 4
#define ROOTS 2
#define NOTHING (~0ULL)

/* Owns nothing. (Names are such as no type of the kernel has.) */
struct own_plain {
	__u64 id;
	__u64 more[5];
};

/* May be held in several places, and owns a plain one. */
struct own_node {
	__u64 id;
	struct bpf_refcount references;
	struct bpf_list_node in_list;
	struct bpf_rb_node in_tree;
	struct own_plain __kptr *inside;
};

/* Owns a list of nodes under a lock of its own. */
struct own_box {
	__u64 id;
	struct bpf_spin_lock lock;
	struct bpf_list_head nodes __contains(own_node, in_list);
	struct own_plain __kptr *inside;
};

struct slot {
	struct own_plain __kptr *plain;
	struct own_node __kptr *node;
	struct own_box __kptr *box;
};

struct root {
	struct bpf_spin_lock lock;
	struct bpf_list_head list __contains(own_node, in_list);
	struct bpf_rb_root tree __contains(own_node, in_tree);
};

/* A root among other owners. */
struct entry {
	__u64 tag;
	struct own_plain __kptr *plain;
	struct own_node __kptr *node;
	struct root root;
};

struct own_node *type_node;
struct own_box *type_box;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROOTS);
	__type(key, __u32);
	__type(value, struct root);
} roots SEC(".maps");
#define TABLE(name, flags) \
	struct { \
		__uint(type, BPF_MAP_TYPE_HASH); \
		__uint(max_entries, SLOTS); \
		__uint(map_flags, flags); \
		__type(key, __u32); \
		__type(value, struct entry); \
	} name SEC(".maps")
TABLE(table, 0);
TABLE(table_dynamic, BPF_F_NO_PREALLOC);

struct arguments {
	__u64 result;
	__u64 pad;
	__u32 a;
	__u32 b;
	__u32 c;
	__u32 id;
};

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct own_node, in_tree)->id < container_of(b, struct own_node, in_tree)->id;
}

#define STEP(name, ...) \
	SEC("xdp") \
	int name(struct xdp_md *ctx) \
	{ \
		struct arguments *given = xdp_data(ctx); \
		__u64 result = NOTHING; \
		__u32 a, b, c, id; \
\
		if ((void *)(given + 1) > xdp_data_end(ctx)) \
			return XDP_ABORTED; \
		a = given->a; \
		b = given->b; \
		c = given->c; \
		id = given->id; \
		(void)a, (void)b, (void)c, (void)id; \
		given->result = NOTHING; \
		{ __VA_ARGS__ } \
		given = xdp_data(ctx); \
		if ((void *)(given + 1) > xdp_data_end(ctx)) \
			return XDP_ABORTED; \
		given->result = result; \
		return XDP_PASS; \
	}

#define LOOKUP(variable, map, key) \
	typeof(*(map).value) *variable = bpf_map_lookup_elem(&(map), &(key)); \
	if (!variable) \
		return XDP_DROP;

/* Exchanges, and drops what was in the field; result: its id. */
#define PUT(field, object) { \
		typeof(object) was = bpf_kptr_xchg(&(field), object); \
		if (was) { \
			result = was->id; \
			bpf_obj_drop(was); \
		} \
	}
/* As PUT, where the field is known to be empty, or what is in it does not matter. */
#define RETURN(field, object) { \
		typeof(object) was = bpf_kptr_xchg(&(field), object); \
		if (was) \
			bpf_obj_drop(was); \
	}

/* What is in one field, if anything, into another. */
#define MOVE(to, from) { \
		typeof(from) moved = bpf_kptr_xchg(&(from), NULL); \
		if (moved) \
			PUT(to, moved) \
	}

#define MAKE(kind) \
	STEP(make_##kind, { \
		struct own_##kind *made; \
		LOOKUP(slot, slots, a) \
		made = bpf_obj_new(struct own_##kind); \
		if (!made) \
			return XDP_TX; \
		made->id = id; \
		PUT(slot->kind, made) \
	}) \
	STEP(drop_##kind, { \
		LOOKUP(slot, slots, a) \
		PUT(slot->kind, (struct own_##kind *)NULL) \
	}) \
	/* From one slot into another, which may be the same. */ \
	STEP(move_##kind, { \
		LOOKUP(from, slots, a) \
		LOOKUP(to, slots, b) \
		MOVE(to->kind, from->kind) \
	})
MAKE(plain)
MAKE(node)
MAKE(box)

/* Made and given up at once, several times: the memory goes round. */
STEP(churn, {
	__u32 i;

	__no_unroll
	for (i = 0; i < 8; i++) {
		struct own_node *made = bpf_obj_new(struct own_node);

		if (!made)
			return XDP_TX;
		made->id = id;
		bpf_obj_drop(made);
	}
	result = id;
})

/* One more reference to slot a's node, for slot b. */
STEP(share_node, {
	struct own_node *first;
	struct own_node *second;
	LOOKUP(from, slots, a)
	LOOKUP(to, slots, b)
	first = bpf_kptr_xchg(&from->node, NULL);
	if (!first)
		return XDP_PASS;
	second = bpf_refcount_acquire(first);
	RETURN(from->node, first)
	if (second)
		PUT(to->node, second)
})

/* c: bit 0 at the end, bit 1 into a tree. Result: what the insertion returns. */
static __always_inline __u64 insert(struct root *root, struct own_node *node, __u32 c)
{
	__u64 result;

	bpf_spin_lock(&root->lock);
	if (c & 2)
		result = bpf_rbtree_add(&root->tree, &node->in_tree, less);
	else if (c & 1)
		result = bpf_list_push_back(&root->list, &node->in_list);
	else
		result = bpf_list_push_front(&root->list, &node->in_list);
	bpf_spin_unlock(&root->lock);
	return result;
}

/* Slot a's node into root b. */
STEP(insert_node, {
	struct own_node *node;
	LOOKUP(slot, slots, a)
	LOOKUP(root, roots, b)
	node = bpf_kptr_xchg(&slot->node, NULL);
	if (node)
		result = insert(root, node, c) & 0xffffffff;
})

/* A second reference to slot a's node into root b: it stays in the slot. */
STEP(insert_shared, {
	struct own_node *node;
	struct own_node *second;
	LOOKUP(slot, slots, a)
	LOOKUP(root, roots, b)
	node = bpf_kptr_xchg(&slot->node, NULL);
	if (!node)
		return XDP_PASS;
	second = bpf_refcount_acquire(node);
	RETURN(slot->node, node)
	if (second)
		result = insert(root, second, c) & 0xffffffff;
})

/* From root b into slot a. Result: id of what came out. */
STEP(pop_list, {
	struct bpf_list_node *taken;
	LOOKUP(slot, slots, a)
	LOOKUP(root, roots, b)
	bpf_spin_lock(&root->lock);
	if (c & 1)
		taken = bpf_list_pop_back(&root->list);
	else
		taken = bpf_list_pop_front(&root->list);
	bpf_spin_unlock(&root->lock);
	if (!taken)
		return XDP_PASS;
	result = container_of(taken, struct own_node, in_list)->id;
	RETURN(slot->node, container_of(taken, struct own_node, in_list))
})

STEP(pop_tree, {
	struct bpf_rb_node *taken;
	LOOKUP(slot, slots, a)
	LOOKUP(root, roots, b)
	bpf_spin_lock(&root->lock);
	taken = bpf_rbtree_first(&root->tree);
	if (!taken) {
		bpf_spin_unlock(&root->lock);
		return XDP_PASS;
	}
	taken = bpf_rbtree_remove(&root->tree, taken);
	bpf_spin_unlock(&root->lock);
	if (!taken)
		return XDP_TX;
	result = container_of(taken, struct own_node, in_tree)->id;
	RETURN(slot->node, container_of(taken, struct own_node, in_tree))
})

/* Two names for the first of a tree: the second removal finds that it is gone. Result: its id, plus 2^32 if both took it out. */
STEP(pop_twice, {
	struct bpf_rb_node *one;
	struct bpf_rb_node *other;
	LOOKUP(root, roots, b)
	bpf_spin_lock(&root->lock);
	one = bpf_rbtree_first(&root->tree);
	other = bpf_rbtree_first(&root->tree);
	if (!one || !other) {
		bpf_spin_unlock(&root->lock);
		return XDP_PASS;
	}
	one = bpf_rbtree_remove(&root->tree, one);
	other = bpf_rbtree_remove(&root->tree, other);
	bpf_spin_unlock(&root->lock);
	if (one) {
		result = container_of(one, struct own_node, in_tree)->id;
		bpf_obj_drop(container_of(one, struct own_node, in_tree));
	}
	if (other) {
		result |= 1ULL << 32;
		bpf_obj_drop(container_of(other, struct own_node, in_tree));
	}
})

/* Slot b's plain object into slot a's node, or out of it. */
STEP(fill_node, {
	struct own_node *node;
	LOOKUP(slot, slots, a)
	LOOKUP(other, slots, b)
	node = bpf_kptr_xchg(&slot->node, NULL);
	if (!node)
		return XDP_PASS;
	MOVE(node->inside, other->plain)
	RETURN(slot->node, node)
})
STEP(empty_node, {
	struct own_node *node;
	LOOKUP(slot, slots, a)
	LOOKUP(other, slots, b)
	node = bpf_kptr_xchg(&slot->node, NULL);
	if (!node)
		return XDP_PASS;
	MOVE(other->plain, node->inside)
	RETURN(slot->node, node)
})
STEP(fill_box, {
	struct own_box *box;
	LOOKUP(slot, slots, a)
	LOOKUP(other, slots, b)
	box = bpf_kptr_xchg(&slot->box, NULL);
	if (!box)
		return XDP_PASS;
	MOVE(box->inside, other->plain)
	RETURN(slot->box, box)
})

/* Slot b's node into the list of slot a's box, or the first of it into the slot. */
STEP(box_push, {
	struct own_box *box;
	struct own_node *node;
	LOOKUP(slot, slots, a)
	LOOKUP(other, slots, b)
	box = bpf_kptr_xchg(&slot->box, NULL);
	if (!box)
		return XDP_PASS;
	node = bpf_kptr_xchg(&other->node, NULL);
	if (node) {
		bpf_spin_lock(&box->lock);
		result = bpf_list_push_back(&box->nodes, &node->in_list) & 0xffffffff;
		bpf_spin_unlock(&box->lock);
	}
	RETURN(slot->box, box)
})
STEP(box_pop, {
	struct own_box *box;
	struct bpf_list_node *taken;
	LOOKUP(slot, slots, a)
	LOOKUP(other, slots, b)
	box = bpf_kptr_xchg(&slot->box, NULL);
	if (!box)
		return XDP_PASS;
	bpf_spin_lock(&box->lock);
	taken = bpf_list_pop_front(&box->nodes);
	bpf_spin_unlock(&box->lock);
	if (taken) {
		result = container_of(taken, struct own_node, in_list)->id;
		RETURN(other->node, container_of(taken, struct own_node, in_list))
	}
	RETURN(slot->box, box)
})

/* What slot a has goes into element b of a table; into its list, or (c bit 0) its tree. */
#define TABLE_STEPS(name) \
	STEP(plain_to_##name, { \
		LOOKUP(slot, slots, a) \
		LOOKUP(entry, name, b) \
		MOVE(entry->plain, slot->plain) \
	}) \
	STEP(node_to_##name, { \
		LOOKUP(slot, slots, a) \
		LOOKUP(entry, name, b) \
		MOVE(entry->node, slot->node) \
	}) \
	STEP(insert_into_##name, { \
		struct own_node *node; \
		LOOKUP(slot, slots, a) \
		LOOKUP(entry, name, b) \
		node = bpf_kptr_xchg(&slot->node, NULL); \
		if (node) \
			result = insert(&entry->root, node, (c & 1) << 1) & 0xffffffff; \
	}) \
	/* Looked up, deleted, and stored into: nobody can get at it any more. */ \
	STEP(stale_##name, { \
		struct own_plain *made; \
		LOOKUP(entry, name, b) \
		bpf_map_delete_elem(&name, &b); \
		made = bpf_obj_new(struct own_plain); \
		if (!made) \
			return XDP_TX; \
		made->id = id; \
		PUT(entry->plain, made) \
	}) \
	STEP(delete_##name, { \
		result = bpf_map_delete_elem(&name, &b) & 0xffffffff; \
	})
TABLE_STEPS(table)
TABLE_STEPS(table_dynamic)

char _license[] SEC("license") = "GPL";
