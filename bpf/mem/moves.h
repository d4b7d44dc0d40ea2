/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Programs of moves.bpf.c and its variants. SHARED: both maps name `ma` as their kptr_allocator. FRESH: each load has an allocator of its own. */
#include <sluice/bpf.h>
#include <sluice/mem.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct foo {
	__u64 number;
	__u64 rest[5];
};

struct slot {
	struct foo __kptr *object;
};

struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
	__type(value, struct foo);
#ifndef FRESH
	__uint(pinning, 1);
#endif
} ma SEC(".maps");

struct slots {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct slot);
	__uint(pinning, 1);
#ifdef SHARED
	__allocator(kptr_allocator);
#endif
};
#ifdef SHARED
struct slots m1 SEC(".maps") = { .kptr_allocator = { (void *)&ma } };
struct slots m2 SEC(".maps") = { .kptr_allocator = { (void *)&ma } };
#else
struct slots m1 SEC(".maps");
struct slots m2 SEC(".maps");
#endif

/* The key is the packet's first byte; -1 in its place means that there was nothing to do. */
static __always_inline struct slot *slot_of(struct __sk_buff *skb, void *map)
{
	__u8 *data = xdp_data(skb);
	__u32 key;

	if ((void *)(data + 1) > xdp_data_end(skb))
		return NULL;
	key = data[0] & 63;
	return bpf_map_lookup_elem(map, &key);
}

/* A new object into m1; what was there is freed. 1: done, 2: no memory. */
SEC("tc")
int put(struct __sk_buff *skb)
{
	struct slot *slot = slot_of(skb, &m1);
	struct foo *object, *old;

	if (!slot)
		return 0;
	object = bpf_mem_alloc(&ma, struct foo);
	if (!object)
		return 2;
	object->number = skb->len;
	old = bpf_kptr_xchg(&slot->object, object);
	if (old)
		bpf_mem_free(old);
	return 1;
}

/* From m1 to m2. */
SEC("tc")
int move(struct __sk_buff *skb)
{
	struct slot *from = slot_of(skb, &m1), *to = slot_of(skb, &m2);
	struct foo *object;

	if (!from || !to)
		return 0;
	object = bpf_kptr_xchg(&from->object, NULL);
	if (!object)
		return 0;
	object = bpf_kptr_xchg(&to->object, object);
	if (object)
		bpf_mem_free(object);
	return 1;
}

/* Out of m2 and freed. */
SEC("tc")
int take(struct __sk_buff *skb)
{
	struct slot *slot = slot_of(skb, &m2);
	struct foo *object;

	if (!slot)
		return 0;
	object = bpf_kptr_xchg(&slot->object, NULL);
	if (!object)
		return 0;
	bpf_mem_free(object);
	return 1;
}
