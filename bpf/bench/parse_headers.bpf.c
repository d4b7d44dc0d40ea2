/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ethernet, VLAN, IPv4 and TCP or UDP down to a 5-tuple, and a hash of it: what most packet programs begin with. */
#include "bench.h"

struct tuple {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u32 protocol;
};

SEC("xdp")
int parse_headers(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx), *at;
	struct ethhdr *eth = data;
	struct tuple tuple;
	struct vlanhdr *tag;
	struct udphdr *ports;
	struct iphdr *ip;
	__be16 proto;
	__u64 hash;

	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	proto = eth->h_proto;
	at = eth + 1;
	if (proto == bpf_htons(ETH_P_8021Q)) {
		tag = at;
		if ((void *)(tag + 1) > end)
			return XDP_DROP;
		proto = tag->proto;
		at = tag + 1;
	}
	if (proto != bpf_htons(ETH_P_IP))
		return XDP_DROP;
	ip = at;
	if ((void *)(ip + 1) > end || ip->ihl < 5)
		return XDP_DROP;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return XDP_DROP;
	ports = at + ip->ihl * 4;
	if ((void *)(ports + 1) > end)
		return XDP_DROP;
	tuple.saddr = ip->saddr;
	tuple.daddr = ip->daddr;
	tuple.sport = ports->source;
	tuple.dport = ports->dest;
	tuple.protocol = ip->protocol;
	hash = ((__u64)tuple.saddr << 32 | tuple.daddr) * 0x9e3779b97f4a7c15ull;
	hash ^= ((__u64)tuple.sport << 48 | (__u64)tuple.dport << 32 | tuple.protocol) * 0xc2b2ae3d27d4eb4full;
	hash ^= hash >> 32;
	*(__u32 *)eth->h_source = hash;
	return XDP_TX;
}

BENCH_LICENSE;
