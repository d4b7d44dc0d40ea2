/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Objects in maps of a map of maps, and objects with a copy for each CPU. */
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

struct counter {
	__u64 packets;
};

struct counted {
	struct counter __percpu_kptr *counter;
};

struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
} a SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
} b SEC(".maps");

struct slots {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct slot);
	__allocator(kptr_allocator);
};
struct slots of_a SEC(".maps") = { .kptr_allocator = { (void *)&a } };
struct slots of_b SEC(".maps") = { .kptr_allocator = { (void *)&b } };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct slots);
} outer SEC(".maps") = {
	.values = { (void *)&of_a },
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct counted);
} counters SEC(".maps");

/* An object of `a` into the map that the packet's first byte names. */
SEC("tc")
int put_inner(struct __sk_buff *skb)
{
	__u8 *data = xdp_data(skb);
	struct foo *object;
	struct slot *slot;
	__u32 key, zero = 0;
	void *map;

	if ((void *)(data + 1) > xdp_data_end(skb))
		return 0;
	key = data[0];
	map = bpf_map_lookup_elem(&outer, &key);
	if (!map)
		return 0;
	slot = bpf_map_lookup_elem(map, &zero);
	if (!slot)
		return 0;
	object = bpf_mem_alloc(&a, struct foo);
	if (!object)
		return 2;
	object = bpf_kptr_xchg(&slot->object, object);
	if (object)
		bpf_mem_free(object);
	return 1;
}

SEC("tc")
int put_counter(struct __sk_buff *skb)
{
	struct counter __percpu_kptr *counter;
	struct counted *counted;
	__u32 zero = 0;

	counted = bpf_map_lookup_elem(&counters, &zero);
	if (!counted)
		return 0;
	counter = bpf_percpu_obj_new(struct counter);
	if (!counter)
		return 2;
	counter = bpf_kptr_xchg(&counted->counter, counter);
	if (counter)
		bpf_percpu_obj_drop(counter);
	return 1;
}
