/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The same program, which reports its hash where the kfunc is there. Loads everywhere. */
#include "rss.h"

SEC("socket")
int steer(struct __sk_buff *skb)
{
	struct bpf_vnet_rss result;

	rss(skb, &result);
	if (bpf_vnet_set_hash)
		bpf_vnet_set_hash(skb, result.hash, result.report);
	return result.queue;
}

char _license[] SEC("license") = "Dual MIT/GPL";
