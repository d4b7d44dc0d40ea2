/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Gives each packet a number (the well-known trait packet_id) unless it has one: the first program of `sluice xdp trace`. */
#include <sluice/trait.h>

__u64 next = 1;

SEC("xdp")
int stamp_packet_id(struct xdp_md *ctx)
{
	__u64 id;

	if (bpf_xdp_trait_is_set(ctx, TRAIT_PACKET_ID) == 1)
		return XDP_PASS;
	id = __sync_fetch_and_add(&next, 1);
	return bpf_xdp_trait_set(ctx, TRAIT_PACKET_ID, &id, sizeof(id), 0) == 0 ? XDP_PASS : XDP_ABORTED;
}

char _license[] SEC("license") = "Dual MIT/GPL";
