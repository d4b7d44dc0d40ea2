/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One program for each rule of ownership, which breaks that rule and no other: refused, unless the rule is switched off (test/ownership-mutants.test.ts);
 * then it leaks, frees twice, or touches what is not its own. Each runs as often as it takes to do the harm: `skb->len` says which run it is.
 */
#include <sluice/bpf.h>
#include <sluice/mem.h>


char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct plain {
	__u64 x;
	__u64 y;
};
/* More than there ever is for one object. */
struct large {
	__u64 x;
	__u64 more[600];
};
struct node {
	__u64 x;
	struct bpf_list_node link;
};
/* Begins as `node` does, and owns something. */
struct other {
	__u64 x;
	struct bpf_list_node link;
	struct plain __kptr *held;
};
struct leaf {
	__u64 x;
	struct bpf_rb_node link;
};
struct counted {
	__u64 x;
	struct bpf_refcount count;
	struct bpf_list_node link;
};
struct holder {
	__u64 x;
	struct plain __kptr *held;
};
/* As large as `holder`, and it owns nothing. */
struct pair {
	__u64 x;
	__u64 y;
};
struct pointing {
	__u64 x;
	struct plain *to;
};
struct copies {
	__u64 hits;
};

struct slot {
	struct plain __kptr *plain;
	struct holder __kptr *holder;
	struct counted __kptr *counted;
	struct copies __percpu_kptr *copies;
	__u64 number;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct line {
	struct bpf_spin_lock lock;
	struct bpf_list_head nodes __contains(node, link);
};
struct counted_line {
	struct bpf_spin_lock lock;
	struct bpf_list_head counted __contains(counted, link);
};
struct tree {
	struct bpf_spin_lock lock;
	struct bpf_rb_root leaves __contains(leaf, link);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counted_line);
} counted_lines SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tree);
} trees SEC(".maps");
/* Keeps the types of fields in BTF. */
struct plain *plain_type;
struct node *node_type;
struct other *other_type;
struct leaf *leaf_type;
struct counted *counted_type;
struct holder *holder_type;
struct copies *copies_type;

#define container_of(ptr, type, member) ((type *)((void *)(ptr) - __builtin_offsetof(type, member)))
#define FIRST(map) ({ __u32 ___key = 0; bpf_map_lookup_elem(&map, &___key); })
/* The compiler does not see what becomes of it. */
#define HIDE(p) asm volatile("" : "+r"(p))

SEC("tc")
int leak(struct __sk_buff *skb)
{
	struct plain *p = bpf_obj_new(struct plain);

	if (p)
		p->x = 1;
	return 0;
}

SEC("tc")
int leak_of_exchange(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct plain *p = bpf_obj_new(struct plain);

	if (!p)
		return 0;
	if (!slot) {
		bpf_obj_drop(p);
		return 0;
	}
	bpf_kptr_xchg(&slot->plain, p);
	return 0;
}

SEC("tc")
int unchecked(struct __sk_buff *skb)
{
	struct large *p = bpf_obj_new(struct large);

	p->x = 1;
	bpf_obj_drop(p);
	return 0;
}

SEC("tc")
int drop_inside(struct __sk_buff *skb)
{
	struct plain *p = bpf_obj_new(struct plain);

	if (p)
		bpf_obj_drop(&p->y);
	return 0;
}

SEC("tc")
int use_after_drop(struct __sk_buff *skb)
{
	struct plain *p = bpf_obj_new(struct plain), *copy;

	if (!p)
		return 0;
	copy = p;
	HIDE(copy);
	bpf_obj_drop(p);
	copy->x = 1;
	copy->y = 2;
	p = bpf_obj_new(struct plain);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

SEC("tc")
int drop_twice(struct __sk_buff *skb)
{
	struct plain *p = bpf_obj_new(struct plain), *copy;

	if (!p)
		return 0;
	copy = p;
	HIDE(copy);
	bpf_obj_drop(p);
	bpf_obj_drop(copy);
	return 0;
}

/* What RCU lets one look at is not one's own. */
SEC("tc")
int drop_of_loaded(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct plain *p, *seen;

	if (!slot)
		return 0;
	p = bpf_obj_new(struct plain);
	if (!p)
		return 0;
	p = bpf_kptr_xchg(&slot->plain, p);
	if (p)
		bpf_obj_drop(p);
	seen = slot->plain;
	if (seen)
		bpf_obj_drop(seen);
	return 0;
}

SEC("tc")
int write_count(struct __sk_buff *skb)
{
	struct counted *p = bpf_obj_new(struct counted), *q;

	if (!p)
		return 0;
	q = bpf_refcount_acquire(p);
	*(__u32 *)&p->count = 1;
	bpf_obj_drop(p);
	bpf_obj_drop(q);
	return 0;
}

SEC("tc")
int write_link(struct __sk_buff *skb)
{
	struct line *line = FIRST(lines);
	struct node *p = bpf_obj_new(struct node);
	struct bpf_list_node *n;

	if (!p)
		return 0;
	if (!line) {
		bpf_obj_drop(p);
		return 0;
	}
	bpf_spin_lock(&line->lock);
	bpf_list_push_front(&line->nodes, &p->link);
	((__u64 *)&p->link)[0] = 0x123450;
	n = bpf_list_pop_front(&line->nodes);
	bpf_spin_unlock(&line->lock);
	if (n)
		bpf_obj_drop(container_of(n, struct node, link));
	bpf_spin_lock(&line->lock);
	n = bpf_list_pop_front(&line->nodes);
	bpf_spin_unlock(&line->lock);
	if (n)
		bpf_obj_drop(container_of(n, struct node, link));
	return 0;
}

SEC("tc")
int write_head(struct __sk_buff *skb)
{
	struct line *line = FIRST(lines);
	struct bpf_list_node *n;

	if (!line)
		return 0;
	((__u64 *)&line->nodes)[0] = 0x123450;
	bpf_spin_lock(&line->lock);
	n = bpf_list_pop_front(&line->nodes);
	bpf_spin_unlock(&line->lock);
	if (n)
		bpf_obj_drop(container_of(n, struct node, link));
	return 0;
}

/* What lies in an object is a number, whatever its type says. */
SEC("tc")
int follow_pointer(struct __sk_buff *skb)
{
	struct pointing *p = bpf_obj_new(struct pointing);
	__u64 x;

	if (!p)
		return 0;
	*(__u64 *)&p->to = 0x12345678;
	asm volatile("" ::: "memory");
	x = p->to->x;
	bpf_obj_drop(p);
	return x;
}

SEC("tc")
int overwrite_kptr(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct plain *p;

	if (!slot)
		return 0;
	p = bpf_obj_new(struct plain);
	if (!p)
		return 0;
	p = bpf_kptr_xchg(&slot->plain, p);
	if (p)
		bpf_obj_drop(p);
	asm volatile("*(u64 *)(%0 + 0) = %1" ::"r"(slot), "r"((__u64)0) : "memory");
	return 0;
}

SEC("tc")
int exchange_wrong_type(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct pair *p;
	void *old;

	if (!slot)
		return 0;
	p = bpf_obj_new(struct pair);
	if (!p)
		return 0;
	p->y = 0x12345678;
	old = bpf_kptr_xchg(&slot->holder, p);
	if (old)
		bpf_obj_drop(old);
	return 0;
}

SEC("tc")
int keep_after_push(struct __sk_buff *skb)
{
	struct line *line = FIRST(lines);
	struct node *p = bpf_obj_new(struct node);

	if (!p)
		return 0;
	if (!line) {
		bpf_obj_drop(p);
		return 0;
	}
	bpf_spin_lock(&line->lock);
	bpf_list_push_front(&line->nodes, &p->link);
	bpf_spin_unlock(&line->lock);
	bpf_obj_drop(p);
	return 0;
}

SEC("tc")
int use_after_unlock(struct __sk_buff *skb)
{
	struct line *line = FIRST(lines);
	struct node *p = bpf_obj_new(struct node);
	struct bpf_list_node *n;

	if (!p)
		return 0;
	if (!line) {
		bpf_obj_drop(p);
		return 0;
	}
	bpf_spin_lock(&line->lock);
	bpf_list_push_front(&line->nodes, &p->link);
	bpf_spin_unlock(&line->lock);
	bpf_spin_lock(&line->lock);
	n = bpf_list_pop_front(&line->nodes);
	bpf_spin_unlock(&line->lock);
	if (n)
		bpf_obj_drop(container_of(n, struct node, link));
	p->x = 1;
	p = bpf_obj_new(struct node);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

/* The list takes elements by their link, and gives them as what it contains. */
SEC("tc")
int push_wrong_type(struct __sk_buff *skb)
{
	struct line *line = FIRST(lines);
	struct other *p = bpf_obj_new(struct other);
	struct bpf_list_node *n;
	struct plain *q;

	if (!p)
		return 0;
	if (!line) {
		bpf_obj_drop(p);
		return 0;
	}
	q = bpf_obj_new(struct plain);
	if (q)
		q = bpf_kptr_xchg(&p->held, q);
	if (q)
		bpf_obj_drop(q);
	bpf_spin_lock(&line->lock);
	bpf_list_push_front(&line->nodes, &p->link);
	n = bpf_list_pop_front(&line->nodes);
	bpf_spin_unlock(&line->lock);
	if (n)
		bpf_obj_drop(container_of(n, struct node, link));
	return 0;
}

SEC("tc")
int lock_twice(struct __sk_buff *skb)
{
	struct line *line = FIRST(lines);

	if (!line)
		return 0;
	bpf_spin_lock(&line->lock);
	bpf_spin_lock(&line->lock);
	bpf_spin_unlock(&line->lock);
	return 0;
}

/* Two types end in one call: only one of them has something to give back. */
SEC("tc")
int drop_of_either(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct holder *h;
	struct plain *p;
	void *either;

	if (!slot)
		return 0;
	if (skb->len & 1) {
		h = bpf_obj_new(struct holder);
		if (!h)
			return 0;
		p = bpf_obj_new(struct plain);
		if (p)
			p = bpf_kptr_xchg(&h->held, p);
		if (p)
			bpf_obj_drop(p);
		either = h;
	} else {
		either = bpf_obj_new(struct pair);
		if (!either)
			return 0;
		((struct pair *)either)->y = 0x12345678;
	}
	HIDE(either);
	bpf_obj_drop(either);
	return 0;
}

/* Paths may only be taken for one where they own the same. */
SEC("tc")
int leak_on_one_path(struct __sk_buff *skb)
{
	struct plain *p = NULL;
	__u64 length = skb->len;

	/* The path without an object is followed first. */
	asm goto("if %0 & 1 goto %l[make]" ::"r"(length)::make);
	goto out;
make:
	p = bpf_obj_new(struct plain);
	if (p)
		p->x = 1;
out:
	p = NULL;
	HIDE(p);
	if (skb->mark == 7)
		return 1;
	return 0;
}

static long each(__u32 index, void *ctx)
{
	struct plain *p = bpf_obj_new(struct plain);

	if (p)
		p->x = index;
	return 0;
}

SEC("tc")
int leak_in_callback(struct __sk_buff *skb)
{
	bpf_loop(2, each, NULL, 0);
	return 0;
}

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, link)->x < container_of(b, struct leaf, link)->x;
}

SEC("tc")
int add_twice(struct __sk_buff *skb)
{
	struct tree *tree = FIRST(trees);
	struct leaf *p = bpf_obj_new(struct leaf);

	if (!p)
		return 0;
	if (!tree) {
		bpf_obj_drop(p);
		return 0;
	}
	p->x = 1;
	bpf_spin_lock(&tree->lock);
	bpf_rbtree_add(&tree->leaves, &p->link, less);
	bpf_rbtree_add(&tree->leaves, &p->link, less);
	bpf_spin_unlock(&tree->lock);
	return 0;
}

SEC("tc")
int leak_by_remove(struct __sk_buff *skb)
{
	struct tree *tree = FIRST(trees);
	struct leaf *p = bpf_obj_new(struct leaf);
	struct bpf_rb_node *n;

	if (!p)
		return 0;
	if (!tree) {
		bpf_obj_drop(p);
		return 0;
	}
	p->x = 1;
	bpf_spin_lock(&tree->lock);
	bpf_rbtree_add(&tree->leaves, &p->link, less);
	n = bpf_rbtree_first(&tree->leaves);
	if (n)
		bpf_rbtree_remove(&tree->leaves, n);
	bpf_spin_unlock(&tree->lock);
	return 0;
}

/* A helper writes a number where an owned pointer stands. */
SEC("tc")
int write_indirectly(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);

	if (slot)
		bpf_skb_load_bytes(skb, 0, &slot->plain, 8);
	return 0;
}

SEC("tc")
int exchange_inside(struct __sk_buff *skb)
{
	struct slot *slot = FIRST(slots);
	struct plain *p;

	if (!slot)
		return 0;
	p = bpf_obj_new(struct plain);
	if (!p)
		return 0;
	p = bpf_kptr_xchg((void *)&slot->plain + 4, p);
	if (p)
		bpf_obj_drop(p);
	return 0;
}
