/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Two scenarios of allocators that take programs of their own (test/allocators.test.ts): objects that are stored into elements which were deleted meanwhile, and
 * objects that one CPU makes and another one gives back.
 */
#include <sluice/bpf.h>
#include <sluice/mem.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define QUEUE 1024

struct foo {
	__u64 number;
	__u64 rest[5];
};

struct slot {
	struct foo __kptr *object;
};

struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
} ma SEC(".maps");

#define TABLE(name, flags)                                                     \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                               \
		__uint(max_entries, 4);                                        \
		__uint(map_flags, flags);                                      \
		__type(key, __u32);                                            \
		__type(value, struct slot);                                    \
		__allocator(kptr_allocator);                                   \
	} name SEC(".maps") = { .kptr_allocator = { (void *)&ma } }
TABLE(table, 0);
TABLE(table_dynamic, BPF_F_NO_PREALLOC);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QUEUE);
	__type(key, __u32);
	__type(value, struct slot);
	__allocator(kptr_allocator);
} queue SEC(".maps") = { .kptr_allocator = { (void *)&ma } };

/* Looks up the element of the packet's first byte, deletes it, and stores an object into it all the same. 1: done. */
#define STALE(name)                                                            \
	SEC("tc")                                                              \
	int stale_##name(struct __sk_buff *skb)                                \
	{                                                                      \
		__u8 *data = xdp_data(skb);                                    \
		struct slot empty = {}, *slot;                                 \
		struct foo *object;                                            \
		__u32 key;                                                     \
                                                                               \
		if ((void *)(data + 1) > xdp_data_end(skb))                    \
			return 0;                                              \
		key = data[0];                                                 \
		bpf_map_update_elem(&name, &key, &empty, BPF_ANY);             \
		slot = bpf_map_lookup_elem(&name, &key);                       \
		if (!slot)                                                     \
			return 0;                                              \
		bpf_map_delete_elem(&name, &key);                              \
		object = bpf_mem_alloc(&ma, struct foo);                       \
		if (!object)                                                   \
			return 2;                                              \
		object = bpf_kptr_xchg(&slot->object, object);                 \
		if (object)                                                    \
			bpf_mem_free(object);                                  \
		return 1;                                                      \
	}
STALE(table)
STALE(table_dynamic)

/* An object into each place of the queue; how many there are. */
SEC("tc")
int make(struct __sk_buff *skb)
{
	int made = 0;
	__u32 i;

	__no_unroll
	for (i = 0; i < QUEUE; i++) {
		__u32 key = i;
		struct slot *slot = bpf_map_lookup_elem(&queue, &key);
		struct foo *object;

		if (!slot)
			break;
		object = bpf_mem_alloc(&ma, struct foo);
		if (!object)
			break;
		made++;
		object = bpf_kptr_xchg(&slot->object, object);
		if (object)
			bpf_mem_free(object);
	}
	return made;
}

/* All of them out, and freed; how many there were. */
SEC("tc")
int give_back(struct __sk_buff *skb)
{
	int freed = 0;
	__u32 i;

	__no_unroll
	for (i = 0; i < QUEUE; i++) {
		__u32 key = i;
		struct slot *slot = bpf_map_lookup_elem(&queue, &key);
		struct foo *object;

		if (!slot)
			break;
		object = bpf_kptr_xchg(&slot->object, NULL);
		if (!object)
			continue;
		freed++;
		bpf_mem_free(object);
	}
	return freed;
}
