/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Programs with one mistake each, for what verify says of them (mistakes.txt beside this). */
#include <sluice/bpf.h>
struct bpf_spin_lock { __u32 val; };
static long (*bpf_spin_lock)(struct bpf_spin_lock *) = (void *)93;
static long (*bpf_spin_unlock)(struct bpf_spin_lock *) = (void *)94;

struct entry { struct bpf_spin_lock lock; __u32 count; __u32 pad; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64[6]); } table SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, struct entry); } locked SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");

SEC("xdp") int no_null_test(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index;
	__u64 *value = bpf_map_lookup_elem(&table, &key);
	*value += 1;
	return XDP_PASS;
}

SEC("xdp") int no_packet_bound(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data;
	return data[12] == 8 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int packet_off_by_one(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (data + 33 > end)
		return XDP_PASS;
	return data[33] == 8 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int index_off_by_one(struct xdp_md *ctx)
{
	__u32 key = 0;
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *value = bpf_map_lookup_elem(&table, &key);
	if (!value || data + 14 > end)
		return XDP_PASS;
	__u32 i = data[13];
	if (i > 6)
		return XDP_PASS;
	value[i]++;
	return XDP_PASS;
}

SEC("xdp") int signed_index(struct xdp_md *ctx)
{
	__u32 key = 0;
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *value = bpf_map_lookup_elem(&table, &key);
	if (!value || data + 18 > end)
		return XDP_PASS;
	int i = *(int *)(data + 14);
	if (i >= 6)
		return XDP_PASS;
	value[i] = 1;
	return XDP_PASS;
}

SEC("xdp") int stack_past_end(struct xdp_md *ctx)
{
	volatile char buffer[16];
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (data + 1 > end)
		return XDP_PASS;
	__u32 i = data[0] & 31;
	for (int j = 0; j < 16; j++) buffer[j] = 0;
	buffer[i] = 1;
	return buffer[3] ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int leaked_record(struct xdp_md *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&events, 8, 0);
	if (!record)
		return XDP_PASS;
	*record = ctx->rx_queue_index;
	if (*record == 3)
		return XDP_DROP;
	bpf_ringbuf_submit(record, 0);
	return XDP_PASS;
}

SEC("tc") int lock_held(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct entry *entry = bpf_map_lookup_elem(&locked, &key);
	if (!entry)
		return 0;
	bpf_spin_lock(&entry->lock);
	if (entry->count > 10)
		return 2;
	entry->count++;
	bpf_spin_unlock(&entry->lock);
	return 0;
}

SEC("xdp") int endless_loop(struct xdp_md *ctx)
{
	__u32 x = ctx->rx_queue_index;
	while (x != 7) {
		asm volatile("" : "+r"(x));
		if (x & 1) x = 2; else x = 4;
	}
	return XDP_PASS;
}

SEC("xdp") int context_out_of_bounds(struct xdp_md *ctx)
{
	return *(volatile __u32 *)((char *)ctx + 24);
}

SEC("xdp") int context_written(struct xdp_md *ctx)
{
	*(volatile __u32 *)&ctx->rx_queue_index = 1;
	return XDP_PASS;
}

SEC("xdp") int wrong_helper(struct xdp_md *ctx)
{
	char bytes[4];
	return bpf_skb_load_bytes((void *)ctx, 0, bytes, 4) ? XDP_PASS : XDP_DROP;
}

SEC("socket") int packet_helper_len(struct __sk_buff *skb)
{
	char buffer[32];
	__u32 len = skb->len;
	if (len > 40)
		return 0;
	bpf_skb_load_bytes(skb, 0, buffer, len);
	return buffer[0];
}

SEC("xdp") int stale_packet(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (data + 14 > end)
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, -8))
		return XDP_PASS;
	data[0] = 1;
	return XDP_TX;
}

SEC("xdp") int too_complex(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 sum = 0;
	for (__u64 i = 0; i < 4000000; i++) {
		if (data + (i & 0xff) + 1 > end)
			break;
		sum = sum * 31 + data[i & 0xff];
		asm volatile("" : "+r"(sum));
	}
	return sum & 1;
}

SEC("xdp") int pointer_math(struct xdp_md *ctx)
{
	unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 r = (__u64)(long)data;
	asm volatile("%0 *= 3" : "+r"(r));
	return r & 1;
}

SEC("cgroup/skb") int cgroup_return(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("xdp") int double_submit(struct xdp_md *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&events, 8, 0);
	if (!record)
		return XDP_PASS;
	*record = 1;
	bpf_ringbuf_submit(record, 0);
	*record = 2;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
