/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Two allocators and the fields that their objects may meet in. The result is 1, or 2 without memory. */
#include <sluice/bpf.h>
#include <sluice/mem.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct foo {
	__u64 number;
	__u64 rest[5];
};

struct pair {
	struct foo __kptr *a;
	struct foo __kptr *b;
};

struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
	__uint(pinning, 1);
} first SEC(".maps");

/* As many bytes as eight objects take. */
struct {
	__uint(type, BPF_MAP_TYPE_ALLOCATOR);
	__type(value, struct foo);
	__uint(max_entries, 8);
	__uint(pinning, 1);
} second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct pair);
	__uint(pinning, 1);
} pairs SEC(".maps");

static __always_inline struct pair *pair_of(struct __sk_buff *skb)
{
	__u8 *data = xdp_data(skb);
	__u32 key;

	if ((void *)(data + 1) > xdp_data_end(skb))
		return NULL;
	key = data[0] & 63;
	return bpf_map_lookup_elem(&pairs, &key);
}

static __always_inline int keep(struct foo *object, struct foo __kptr **field)
{
	if (!object)
		return 2;
	object = bpf_kptr_xchg(field, object);
	if (object)
		bpf_mem_free(object);
	return 1;
}

SEC("tc")
int first_in_a(struct __sk_buff *skb)
{
	struct pair *pair = pair_of(skb);

	return pair ? keep(bpf_mem_alloc(&first, struct foo), &pair->a) : 0;
}

SEC("tc")
int second_in_a(struct __sk_buff *skb)
{
	struct pair *pair = pair_of(skb);

	return pair ? keep(bpf_mem_alloc(&second, struct foo), &pair->a) : 0;
}

SEC("tc")
int second_in_b(struct __sk_buff *skb)
{
	struct pair *pair = pair_of(skb);

	return pair ? keep(bpf_mem_alloc(&second, struct foo), &pair->b) : 0;
}

/* bpf_obj_new names no allocator. */
SEC("tc")
int new_in_a(struct __sk_buff *skb)
{
	struct pair *pair = pair_of(skb);

	return pair ? keep(bpf_obj_new(struct foo), &pair->a) : 0;
}

SEC("tc")
int new_in_b(struct __sk_buff *skb)
{
	struct pair *pair = pair_of(skb);

	return pair ? keep(bpf_obj_new(struct foo), &pair->b) : 0;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	struct pair *pair = pair_of(skb);
	struct foo *object;

	if (!pair)
		return 0;
	object = bpf_kptr_xchg(&pair->a, NULL);
	if (object)
		bpf_mem_free(object);
	object = bpf_kptr_xchg(&pair->b, NULL);
	if (object)
		bpf_mem_free(object);
	return 1;
}

/* Sets so many objects apart for this program (the packet's first four bytes); 1, or 2: no memory. */
SEC("tc")
int prefill(struct __sk_buff *skb)
{
	__u32 *data = xdp_data(skb);

	if ((void *)(data + 1) > xdp_data_end(skb))
		return 0;
	return bpf_mem_prefill(&second, struct foo, *data) ? 2 : 1;
}
