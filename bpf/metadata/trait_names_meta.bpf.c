/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Traits by name in the C form, which Linux verifies and runs: set on XDP in data_meta, found on tc. The keys are the loader's. */
#include <sluice/trait.h>

TRAIT(flow_id, 4, MERGE_EQUAL);
TRAIT(packets, 8, MERGE_SUM);

SEC("xdp")
int name_flow(struct xdp_md *ctx)
{
	__u32 flow = 7;
	__u64 one = 1;

	if (trait_meta_set(ctx, bpf_trait_key(packets), &one, sizeof(one)) != 0 ||
	    trait_meta_set(ctx, bpf_trait_key(flow_id), &flow, sizeof(flow)) != 0)
		return XDP_ABORTED;
	return XDP_PASS;
}

SEC("tc")
int mark_flow(struct __sk_buff *skb)
{
	void *meta = TRAIT_SKB_META(skb), *data = TRAIT_DATA(skb);
	__u64 packets = 0;
	__u32 flow = 0;

	if (trait_meta_get(meta, data, bpf_trait_key(flow_id), &flow, sizeof(flow)) != sizeof(flow))
		return 0;
	trait_meta_get(meta, data, bpf_trait_key(packets), &packets, sizeof(packets));
	skb->mark = flow + (packets << 16);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
