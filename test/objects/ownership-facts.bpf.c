/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Programs whose objects come from here and go there: test/ownership-facts.test.ts says what the verifier must know of them. */
#include <sluice/bpf.h>
#include <sluice/mem.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct item {
	__u64 x;
	struct bpf_list_node link;
};
struct counted {
	__u64 x;
	struct bpf_refcount count;
	struct bpf_list_node link;
};
struct small {
	__u64 x;
};
struct owner {
	__u64 x;
	struct small __kptr *small;
	__u64 more[6];
};
struct slot {
	struct small __kptr *small;
	struct owner __kptr *owner;
	struct small __kptr *kept;
};
struct slots {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct slot);
};
struct slots slots SEC(".maps"), inner SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct slots);
} outer SEC(".maps") = { .values = { [0] = (void *)&inner } };

struct line {
	struct bpf_spin_lock lock;
	struct bpf_list_head items __contains(item, link);
	struct bpf_list_head others __contains(item, link);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");
struct counted_line {
	struct bpf_spin_lock lock;
	struct bpf_list_head counted __contains(counted, link);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counted_line);
} counted_lines SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
	__type(value, struct small);
} ma SEC(".maps"), mb SEC(".maps");

struct item *item_type;
struct small *small_type;
struct owner *owner_type;
struct counted *counted_type;

#define container_of(ptr, type, member) ((type *)((void *)(ptr) - __builtin_offsetof(type, member)))
#define FIRST(map) ({ __u32 ___key = 0; bpf_map_lookup_elem(&map, &___key); })

/* Two allocators, one field. */
SEC("tc")
int either(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct small *p;

	if (!slot)
		return 0;
	if (skb->len & 1)
		p = bpf_mem_alloc(&ma, struct small);
	else
		p = bpf_mem_alloc(&mb, struct small);
	if (!p)
		return 0;
	p = bpf_kptr_xchg(&slot->small, p);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

/* From one list into the other. */
SEC("tc")
int move(struct __sk_buff *skb)
{
	struct line *line = FIRST(lines);
	struct bpf_list_node *n;

	if (!line)
		return 0;
	bpf_spin_lock(&line->lock);
	n = bpf_list_pop_front(&line->items);
	if (n)
		bpf_list_push_back(&line->others, &container_of(n, struct item, link)->link);
	bpf_spin_unlock(&line->lock);
	return 0;
}

/* Into an object, and that into the values of an inner map. */
SEC("tc")
int nested(struct __sk_buff *skb)
{
	__u32 key = 0;
	void *map = bpf_map_lookup_elem(&outer, &key);
	struct slot *slot = map ? bpf_map_lookup_elem(map, &key) : NULL;
	struct owner *owner;
	struct small *small;

	if (!slot)
		return 0;
	owner = bpf_obj_new(struct owner);
	if (!owner)
		return 0;
	small = bpf_obj_new(struct small);
	if (small)
		small = bpf_kptr_xchg(&owner->small, small);
	if (small)
		bpf_obj_drop(small);
	owner = bpf_kptr_xchg(&slot->owner, owner);
	if (owner)
		bpf_obj_drop(owner);
	return 0;
}

/* Looked at without being taken. */
SEC("tc")
int look(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct small *small = slot ? slot->kept : NULL;

	return small ? small->x : 0;
}

/* An allocator is no map to work with. */
SEC("tc")
int allocator_as_map(struct __sk_buff *skb)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&ma, &key) != NULL;
}

SEC("tc")
int map_as_allocator(struct __sk_buff *skb)
{
	struct small *p = bpf_mem_alloc(&slots, struct small);

	if (p)
		bpf_mem_free(p);
	return 0;
}

/* Names of Linux 7.1 and 7.2. */
#undef bpf_obj_new
#undef bpf_obj_drop
#undef bpf_list_push_front
extern void *bpf_obj_new(__u64 local_type_id__k) __ksym;
extern void bpf_obj_drop(void *p__alloc) __ksym;
extern int bpf_list_push_front(struct bpf_list_head *head, struct bpf_list_node *node) __ksym;
extern int bpf_list_add(struct bpf_list_head *head, struct bpf_list_node *added,
			struct bpf_list_node *prev__nonown_allowed) __ksym;
extern struct bpf_list_node *bpf_list_del(struct bpf_list_head *head, struct bpf_list_node *node__nonown_allowed) __ksym;
extern _Bool bpf_list_is_first(struct bpf_list_head *head, struct bpf_list_node *node__nonown_allowed) __ksym;
extern _Bool bpf_list_is_last(struct bpf_list_head *head, struct bpf_list_node *node__nonown_allowed) __ksym;
extern _Bool bpf_list_empty(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_front(struct bpf_list_head *head) __ksym;

SEC("tc")
int later(struct __sk_buff *skb)
{
	struct counted_line *line = FIRST(counted_lines);
	struct counted *p, *q;
	struct bpf_list_node *n = NULL;
	int found = 0;

	if (!line)
		return 0;
	p = bpf_obj_new(__type_id(struct counted));
	if (!p)
		return 0;
	q = bpf_obj_new(__type_id(struct counted));
	if (!q) {
		bpf_obj_drop(p);
		return 0;
	}
	bpf_spin_lock(&line->lock);
	bpf_list_push_front(&line->counted, &p->link);
	bpf_list_add(&line->counted, &q->link, &p->link);
	found = bpf_list_is_first(&line->counted, &p->link) + bpf_list_is_last(&line->counted, &q->link);
	n = bpf_list_front(&line->counted);
	if (n)
		n = bpf_list_del(&line->counted, n);
	found += bpf_list_empty(&line->counted);
	bpf_spin_unlock(&line->lock);
	if (n)
		bpf_obj_drop(container_of(n, struct counted, link));
	return found;
}

/* An element is not the program's to add. */
SEC("tc")
int later_adds_element(struct __sk_buff *skb)
{
	struct counted_line *line = FIRST(counted_lines);
	struct bpf_list_node *n;

	if (!line)
		return 0;
	bpf_spin_lock(&line->lock);
	n = bpf_list_front(&line->counted);
	if (n)
		bpf_list_add(&line->counted, n, n);
	bpf_spin_unlock(&line->lock);
	return 0;
}

SEC("tc")
int later_unlocked(struct __sk_buff *skb)
{
	struct counted_line *line = FIRST(counted_lines);

	return line ? bpf_list_empty(&line->counted) : 0;
}
