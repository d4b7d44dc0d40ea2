/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A rate limiter on XDP: a token bucket for each source, IPv4 by address and IPv6 by /64. A packet takes one token, or one for each of its
 * bytes; where the bucket holds too few, it is dropped.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>
#include <sluice/token_bucket.h>

enum outcome {
	ALLOWED,
	LIMITED,
	NOT_IP,
	MALFORMED,
	OUTCOMES,
};

/* May change while the program runs. */
volatile struct {
	/* Tokens a second; 0: buckets are never refilled. */
	__u64 rate;
	/* Tokens that a bucket holds at most, and at first; below 2^32. */
	__u64 burst;
	/* A packet costs its length in bytes, not 1. */
	bool by_bytes;
} config = { .rate = 10000, .burst = 2000 };

struct source {
	/* IPv4 in the first 4 bytes, IPv6 in the first 8: a host may have all of a /64. */
	__u8 address[8];
	/* 4 or 6. */
	__u32 family;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct source);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* By enum outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

static __always_inline enum outcome read_source(struct source *source, void *data, void *end)
{
	struct ethhdr *eth = data;
	struct vlanhdr *tag = (void *)(eth + 1);
	void *at = eth + 1;
	__be16 proto;

	if (at > end)
		return MALFORMED;
	proto = eth->h_proto;
	if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD)) {
		if ((void *)(tag + 1) > end)
			return MALFORMED;
		proto = tag->proto;
		at = tag + 1;
	}
	if (proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
			return MALFORMED;
		__builtin_memcpy(source->address, &ip->saddr, 4);
		source->family = 4;
		return ALLOWED;
	}
	if (proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end ||
		    (ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
			return MALFORMED;
		__builtin_memcpy(source->address, ip->saddr, 8);
		source->family = 6;
		return ALLOWED;
	}
	return NOT_IP;
}

SEC("xdp")
int xdp_rate_limit(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	__u64 length = end - data;
	struct source source = {};
	struct counter *counter;
	__u32 outcome = read_source(&source, data, end);

	if (outcome == ALLOWED &&
	    !bucket_take(&buckets, &source, config.by_bytes ? length : 1, config.rate, config.burst))
		outcome = LIMITED;
	counter = bpf_map_lookup_elem(&counters, &outcome);
	if (counter) {
		counter->packets++;
		counter->bytes += length;
	}
	return outcome == LIMITED || outcome == MALFORMED ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
