/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Traits by name. On XDP each packet gets the number and the kind of its flow, and counts itself; on tc, where several may have become one, the mark becomes the flow, and the map
 * says how many packets it is made of. Names and policies are the object's, keys the loader's.
 */
#include <sluice/trait.h>

TRAIT(flow_id, 4, MERGE_EQUAL);
TRAIT(packets, 8, MERGE_SUM);
TRAIT(from_outside, 0, MERGE_OR);
/* The system's: it has a key of its own, and no place in the packet's store. */
TRAIT(packet_id, 8, MERGE_KEEP_FIRST);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} packets_of_flow SEC(".maps");

__u64 next = 1;

SEC("xdp")
int name_flow(struct xdp_md *ctx)
{
	__u32 flow = ctx->rx_queue_index + 7;
	__u64 one = 1, id = __sync_fetch_and_add(&next, 1);

	if (bpf_xdp_trait_set(ctx, bpf_trait_key(flow_id), &flow, sizeof(flow), 0) != 0 ||
	    bpf_xdp_trait_set(ctx, bpf_trait_key(packets), &one, sizeof(one), 0) != 0 ||
	    bpf_xdp_trait_set(ctx, bpf_trait_key(packet_id), &id, sizeof(id), 0) != 0)
		return XDP_ABORTED;
	/* A flag has no bytes. */
	if (ctx->ingress_ifindex != 1 && bpf_xdp_trait_set(ctx, bpf_trait_key(from_outside), &one, 0, 0) != 0)
		return XDP_ABORTED;
	return XDP_PASS;
}

SEC("tc")
int count_flow(struct __sk_buff *skb)
{
	__u64 packets = 0;
	__u64 *count;
	__u32 flow;

	if (bpf_skb_trait_get(skb, bpf_trait_key(flow_id), &flow, sizeof(flow)) != sizeof(flow))
		return 0;
	bpf_skb_trait_get(skb, bpf_trait_key(packets), &packets, sizeof(packets));
	skb->mark = flow;
	skb->priority = bpf_skb_trait_is_set(skb, bpf_trait_key(from_outside)) == 1;
	flow &= 15;
	count = bpf_map_lookup_elem(&packets_of_flow, &flow);
	if (count)
		__sync_fetch_and_add(count, packets);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
