/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Way 2 without kfuncs: steers as any kernel has it since 5.3. The hash that says the queue stays here: a socket filter of Linux cannot report it. */
#include "rss.h"

SEC("socket")
int tun_rss_steering_prog(struct __sk_buff *skb)
{
	struct bpf_vnet_rss result;

	rss(skb, &result);
	return result.queue;
}

char _license[] SEC("license") = "Dual MIT/GPL";
