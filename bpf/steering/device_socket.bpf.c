/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Way 2 with kfuncs: the device computes by its own configuration, the program takes what it says. */
#include <sluice/steer.h>

SEC("socket")
int steer(struct __sk_buff *skb)
{
	struct bpf_vnet_rss result;

	if (bpf_vnet_rss(skb, &result, sizeof(result)))
		return 0;
	bpf_vnet_set_hash(skb, result.hash, result.report);
	return result.queue;
}

char _license[] SEC("license") = "Dual MIT/GPL";
