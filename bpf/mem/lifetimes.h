/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One step each of random lives of allocators (test/lifetimes.ts): programs that allocate from one of two allocators or from none in particular, set objects apart,
 * and move objects between fields, lists and each other. Each is loaded and unloaded by itself. MAPPED: the maps name `first` as their kptr_allocator.
 */
#include <sluice/bpf.h>
#include <sluice/mem.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* As many bytes as a node, so that both are of one size class. */
struct life_plain {
	__u64 id;
	__u64 rest[5];
};

struct life_node {
	__u64 id;
	struct bpf_refcount references;
	struct bpf_list_node in_list;
	struct life_plain __kptr *inside;
};

struct slot {
	struct life_plain __kptr *a;
	struct life_plain __kptr *b;
	struct life_node __kptr *node;
};

struct entry {
	struct bpf_spin_lock lock;
	struct bpf_list_head nodes __contains(life_node, in_list);
	struct life_plain __kptr *kept;
};

struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
} first SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
} second SEC(".maps");

#ifdef MAPPED
#define FROM_FIRST = { .kptr_allocator = { (void *)&first } }
#else
#define FROM_FIRST
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct slot);
#ifdef MAPPED
	__allocator(kptr_allocator);
#endif
} slots SEC(".maps") FROM_FIRST;
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct entry);
#ifdef MAPPED
	__allocator(kptr_allocator);
#endif
} table SEC(".maps") FROM_FIRST;

/* The packet. `count`: with it, so many objects are set apart in place of the step. */
struct arguments {
	__u32 a;
	__u32 b;
	__u32 id;
	__u32 count;
};

#define NOTHING 0
#define DONE 1
#define NO_MEMORY 2
#define REFUSED 3

#define STEP(name, ...)                                                        \
	SEC("tc")                                                              \
	int name(struct __sk_buff *skb)                                        \
	{                                                                      \
		struct arguments *given = xdp_data(skb);                       \
		__u32 a, b, id, count;                                         \
                                                                               \
		if ((void *)(given + 1) > xdp_data_end(skb))                   \
			return NOTHING;                                        \
		a = given->a;                                                  \
		b = given->b;                                                  \
		id = given->id;                                                \
		count = given->count;                                          \
		(void)a, (void)b, (void)id, (void)count;                       \
		__VA_ARGS__                                                    \
	}

#define LOOKUP(variable, map, key)                                             \
	typeof(*(map).value) *variable = bpf_map_lookup_elem(&(map), &(key));  \
	if (!variable)                                                         \
		return NOTHING;

/* What was in the field goes. */
#define PUT(field, object)                                                     \
	{                                                                      \
		typeof(object) was = bpf_kptr_xchg(&(field), object);          \
		if (was)                                                       \
			bpf_obj_drop(was);                                     \
	}

/* An object of slot a's field. */
#define MAKE(allocate, type, field)                                            \
	{                                                                      \
		struct type *made;                                             \
		LOOKUP(slot, slots, a)                                         \
		made = allocate;                                               \
		if (!made)                                                     \
			return NO_MEMORY;                                      \
		made->id = id;                                                 \
		PUT(slot->field, made)                                         \
		return DONE;                                                   \
	}
#define FROM(allocator, type, field)                                           \
	if (count)                                                             \
		return bpf_mem_prefill(&allocator, struct type, count) ? NO_MEMORY : DONE; \
	MAKE(bpf_mem_alloc(&allocator, struct type), type, field)

STEP(first_in_a, FROM(first, life_plain, a))
STEP(second_in_a, FROM(second, life_plain, a))
STEP(second_in_b, FROM(second, life_plain, b))
STEP(first_node, FROM(first, life_node, node))
STEP(new_in_b, MAKE(bpf_obj_new(struct life_plain), life_plain, b))

/* Slot a's object into another field of slot b. */
STEP(move, {
	struct life_plain *object;
	LOOKUP(from, slots, a)
	LOOKUP(to, slots, b)
	object = bpf_kptr_xchg(&from->a, NULL);
	if (!object)
		return NOTHING;
	PUT(to->b, object)
	return DONE;
})

/* Out of slot a, and given back. */
STEP(empty, {
	LOOKUP(slot, slots, a)
	PUT(slot->a, (struct life_plain *)NULL)
	PUT(slot->b, (struct life_plain *)NULL)
	PUT(slot->node, (struct life_node *)NULL)
	return DONE;
})

/* Slot a's second object into element b. */
STEP(keep, {
	struct life_plain *object;
	LOOKUP(slot, slots, a)
	LOOKUP(entry, table, b)
	object = bpf_kptr_xchg(&slot->b, NULL);
	if (!object)
		return NOTHING;
	PUT(entry->kept, object)
	return DONE;
})

/* The same, into an element that is deleted meanwhile. */
STEP(stale, {
	struct life_plain *object;
	LOOKUP(slot, slots, a)
	LOOKUP(entry, table, b)
	object = bpf_kptr_xchg(&slot->b, NULL);
	if (!object)
		return NOTHING;
	bpf_map_delete_elem(&table, &b);
	PUT(entry->kept, object)
	return DONE;
})

/* One more reference to slot a's node, for slot b. */
STEP(share, {
	struct life_node *node;
	struct life_node *second_one;
	LOOKUP(from, slots, a)
	LOOKUP(to, slots, b)
	node = bpf_kptr_xchg(&from->node, NULL);
	if (!node)
		return NOTHING;
	second_one = bpf_refcount_acquire(node);
	PUT(from->node, node)
	if (second_one)
		PUT(to->node, second_one)
	return DONE;
})

/* Slot a's node into element b's list, once: who is in a list already is given up. */
STEP(push, {
	struct life_node *node;
	int refused;
	LOOKUP(slot, slots, a)
	LOOKUP(entry, table, b)
	node = bpf_kptr_xchg(&slot->node, NULL);
	if (!node)
		return NOTHING;
	bpf_spin_lock(&entry->lock);
	refused = bpf_list_push_back(&entry->nodes, &node->in_list);
	bpf_spin_unlock(&entry->lock);
	return refused ? REFUSED : DONE;
})

/* The first of element b's list into slot a. */
STEP(pop, {
	struct bpf_list_node *taken;
	struct life_node *node;
	LOOKUP(slot, slots, a)
	LOOKUP(entry, table, b)
	bpf_spin_lock(&entry->lock);
	taken = bpf_list_pop_front(&entry->nodes);
	bpf_spin_unlock(&entry->lock);
	if (!taken)
		return NOTHING;
	node = (struct life_node *)((void *)taken - __builtin_offsetof(struct life_node, in_list));
	PUT(slot->node, node)
	return DONE;
})

/* Slot a's object into slot b's node. */
STEP(fill, {
	struct life_plain *object;
	struct life_node *node;
	LOOKUP(from, slots, a)
	LOOKUP(to, slots, b)
	node = bpf_kptr_xchg(&to->node, NULL);
	if (!node)
		return NOTHING;
	object = bpf_kptr_xchg(&from->a, NULL);
	if (object)
		PUT(node->inside, object)
	PUT(to->node, node)
	return DONE;
})
