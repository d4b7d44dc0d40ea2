/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Way 3 with the device's own computation. */
#include <sluice/steer.h>

SEC("vnet_hash")
int steer(struct vnet_hash_md *ctx)
{
	struct bpf_vnet_rss result;

	if (bpf_vnet_rss(&ctx->skb, &result, sizeof(result)))
		return 0;
	ctx->vnet_hash_value = result.hash;
	ctx->vnet_hash_report = result.report;
	ctx->vnet_rss_queue = result.queue;
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
