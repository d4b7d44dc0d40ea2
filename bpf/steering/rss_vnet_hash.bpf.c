/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Way 3: the same computation, in a program whose context takes hash, report and queue. */
#include "rss.h"

SEC("vnet_hash")
int steer(struct vnet_hash_md *ctx)
{
	struct bpf_vnet_rss result;

	rss(&ctx->skb, &result);
	ctx->vnet_hash_value = result.hash;
	ctx->vnet_hash_report = result.report;
	ctx->vnet_rss_queue = result.queue;
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
