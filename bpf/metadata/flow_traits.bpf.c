/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Traits from one stage to the next, on a real interface. In the kernel `stamp` (XDP) gives each packet a number and its source, in the C form, and `collect` (tc,
 * ingress of the same interface) finds them. `reply` (XDP, here) reads by kfunc what `stamp` left before the packets of AF_XDP.
 */
#include <sluice/trait.h>

enum { PACKET_ID = 1, SOURCE = 5, ANSWER = 40 };

struct source {
	__u32 address;
	__u32 length;
};

struct seen {
	struct source source;
	/* Of skb->mark, or of the trait ANSWER. */
	__u32 answer;
	__u32 times;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct seen);
} packets SEC(".maps");

__u32 next = 1;
/* Packets without traits, and traits that could not be set. */
__u32 bare, failed;

static __always_inline int source_of(void *data, void *end, struct source *source)
{
	__u16 *type = data + 12;
	__u32 *address = data + 26;

	if (data + 34 > end || *type != 0x0008)
		return -1;
	source->address = *address;
	source->length = end - data;
	return 0;
}

SEC("xdp")
int stamp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 id = __sync_fetch_and_add(&next, 1);
	struct source source;

	if (source_of(data, end, &source) != 0)
		return XDP_PASS;
	if (trait_meta_set(ctx, SOURCE, &source, sizeof(source)) != 0 || trait_meta_set(ctx, PACKET_ID, &id, sizeof(id)) != 0)
		__sync_fetch_and_add(&failed, 1);
	return XDP_PASS;
}

static __always_inline void remember(__u32 id, const struct source *source, __u32 answer)
{
	struct seen *there = bpf_map_lookup_elem(&packets, &id);
	struct seen seen = { .source = *source, .answer = answer, .times = 1 };

	if (there)
		__sync_fetch_and_add(&there->times, 1);
	else
		bpf_map_update_elem(&packets, &id, &seen, 0);
}

SEC("tc")
int collect(struct __sk_buff *skb)
{
	void *meta = (void *)(long)skb->data_meta, *data = (void *)(long)skb->data;
	struct source source;
	__u32 id;

	if (trait_meta_get(meta, data, PACKET_ID, &id, sizeof(id)) != sizeof(id) ||
	    trait_meta_get(meta, data, SOURCE, &source, sizeof(source)) != sizeof(source)) {
		__sync_fetch_and_add(&bare, 1);
		return 0;
	}
	skb->mark = id;
	remember(id, &source, skb->mark);
	return 0;
}

SEC("xdp")
int reply(struct xdp_md *ctx)
{
	struct source source;
	__u32 id, answer;

	if (bpf_xdp_trait_get(ctx, PACKET_ID, &id, sizeof(id)) != sizeof(id) ||
	    bpf_xdp_trait_get(ctx, SOURCE, &source, sizeof(source)) != sizeof(source)) {
		__sync_fetch_and_add(&bare, 1);
		return XDP_DROP;
	}
	answer = id * 2;
	if (bpf_xdp_trait_set(ctx, ANSWER, &answer, sizeof(answer), 0) != 0)
		__sync_fetch_and_add(&failed, 1);
	remember(id, &source, answer);
	return XDP_TX;
}

char _license[] SEC("license") = "Dual MIT/GPL";
