/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a reservation is worth: the packet is { u32 operation; u32 slot; }. Operations: 0 sets `slot` objects apart, 1 allocates into a slot, 2 frees it. */
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
} pool SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct slot);
	__allocator(kptr_allocator);
} slots SEC(".maps") = {
	.kptr_allocator = { (void *)&pool },
};

/* 1: done, 2: no memory. */
SEC("tc")
int operate(struct __sk_buff *skb)
{
	__u32 *data = xdp_data(skb);
	struct foo *object = NULL;
	struct slot *slot;
	__u32 key;

	if ((void *)(data + 2) > xdp_data_end(skb))
		return 0;
	if (data[0] == 0)
		return bpf_mem_prefill(&pool, struct foo, data[1]) ? 2 : 1;
	key = data[1];
	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot)
		return 0;
	if (data[0] == 1) {
		object = bpf_mem_alloc(&pool, struct foo);
		if (!object)
			return 2;
	}
	object = bpf_kptr_xchg(&slot->object, object);
	if (object)
		bpf_mem_free(object);
	return 1;
}

/* Another program: what operate has set apart is not for it. */
SEC("tc")
int steal(struct __sk_buff *skb)
{
	struct foo *object = bpf_mem_alloc(&pool, struct foo);

	if (!object)
		return 2;
	bpf_mem_free(object);
	return 1;
}
