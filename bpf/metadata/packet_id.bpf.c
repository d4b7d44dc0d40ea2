/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A number for every packet, given on XDP and read on tc: where it is known, the packet's mark becomes it. */
#include <sluice/trait.h>

enum { PACKET_ID = 1 };

__u32 next = 1;

SEC("xdp")
int give_id(struct xdp_md *ctx)
{
	__u32 id = __sync_fetch_and_add(&next, 1);

	return bpf_xdp_trait_set(ctx, PACKET_ID, &id, sizeof(id), 0) == 0 ? XDP_PASS : XDP_ABORTED;
}

SEC("tc")
int mark_id(struct __sk_buff *skb)
{
	__u32 id;

	if (bpf_skb_trait_get(skb, PACKET_ID, &id, sizeof(id)) == sizeof(id))
		skb->mark = id;
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
