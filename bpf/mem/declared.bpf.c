/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Every way to say where a map's memory comes from, and to allocate from there. */
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

/* At most eight objects of this type, or as many bytes in smaller ones. */
struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
	__type(value, struct foo);
	__uint(max_entries, 8);
} ma SEC(".maps");

/* Elements from an allocator of its own, objects from `ma`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 123);
	__type(key, __u32);
	__type(value, struct slot);
	__allocator(elem_allocator);
	__allocator(kptr_allocator);
} hash SEC(".maps") = {
	.kptr_allocator = { (void *)&ma },
};

/* Both from one that is shared with nobody. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 123);
	__type(key, __u32);
	__type(value, struct slot);
	__allocator(kptr_allocator);
} own SEC(".maps");

/* The packet's length: 1 keeps an object of `ma` in `hash`, 2 one of the map's own allocator; 0: no memory. */
SEC("tc")
int keep_in_hash(struct __sk_buff *skb)
{
	__u32 key = skb->len;
	struct slot empty = {}, *slot;
	struct foo *object;

	bpf_map_update_elem(&hash, &key, &empty, BPF_NOEXIST);
	slot = bpf_map_lookup_elem(&hash, &key);
	if (!slot)
		return 0;
	object = bpf_mem_alloc(&ma, struct foo);
	if (!object)
		return 0;
	object = bpf_kptr_xchg(&slot->object, object);
	if (object)
		bpf_mem_free(object);
	return 1;
}

SEC("tc")
int keep_in_own(struct __sk_buff *skb)
{
	__u32 key = skb->len;
	struct slot empty = {}, *slot;
	struct foo *object;

	bpf_map_update_elem(&own, &key, &empty, BPF_NOEXIST);
	slot = bpf_map_lookup_elem(&own, &key);
	if (!slot)
		return 0;
	object = bpf_mem_alloc(&own.kptr_allocator, struct foo);
	if (!object)
		return 0;
	object = bpf_kptr_xchg(&slot->object, object);
	if (object)
		bpf_mem_free(object);
	return 1;
}

/* An object from where the elements of `hash` come from. */
SEC("tc")
int from_elements(struct __sk_buff *skb)
{
	struct foo *object = bpf_mem_alloc(&hash.elem_allocator, struct foo);

	if (!object)
		return 0;
	object->number = skb->len;
	bpf_mem_free(object);
	return 1;
}
