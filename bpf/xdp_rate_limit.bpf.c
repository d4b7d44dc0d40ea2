/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A rate limiter on XDP: a token bucket for each source, IPv4 by address and IPv6 by /64. A packet takes one token, or one for each of its
 * bytes; where the bucket holds too few, it is dropped.
 *
 * Buckets count in parts of 1e-9 tokens, so that no refill is too small to be counted, and are changed by atomic operations only: however
 * many CPUs a source's packets arrive on, no token is spent twice.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>

#define NSEC_PER_SEC 1000000000ULL
/* Keeps burst * 1e9 below 2^62. */
#define MAX_BURST 0xffffffffULL

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

struct bucket {
	/* In 1e-9 tokens. Below zero for the moment that a packet without luck takes. */
	__s64 tokens;
	/* Time of the last refill; 0 as long as there was none. */
	__u64 refilled;
	__u64 allowed;
	__u64 limited;
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

/* Puts in what `rate` gave since the last refill, up to `full`. Of several CPUs at once the one that moves the time on refills. */
static __always_inline void refill(struct bucket *bucket, __u64 rate, __s64 full)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 before = bucket->refilled;
	__s64 room = full - bucket->tokens, gain;

	if (now <= before)
		return;
	/* So long that the product would not fit is longer than filling takes. */
	gain = now - before > (__u64)full / rate ? full : (__s64)((now - before) * rate);
	if (__sync_val_compare_and_swap(&bucket->refilled, before, now) != before)
		return;
	if (gain > room)
		gain = room;
	if (gain > 0)
		__sync_fetch_and_add(&bucket->tokens, gain);
}

static __always_inline bool take(const struct source *source, __s64 cost, __u64 rate, __s64 full)
{
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, source);

	if (!bucket) {
		struct bucket first = { .tokens = full };

		if (rate)
			first.refilled = bpf_ktime_get_ns();
		/* Another CPU may have been faster: its bucket stays. */
		bpf_map_update_elem(&buckets, source, &first, BPF_NOEXIST);
		bucket = bpf_map_lookup_elem(&buckets, source);
		/* Gone again, or no memory: better to let it through than to lock everyone out. */
		if (!bucket)
			return true;
	} else if (rate) {
		refill(bucket, rate, full);
	}
	if (__sync_fetch_and_add(&bucket->tokens, -cost) < cost) {
		__sync_fetch_and_add(&bucket->tokens, cost);
		__sync_fetch_and_add(&bucket->limited, 1);
		return false;
	}
	__sync_fetch_and_add(&bucket->allowed, 1);
	return true;
}

SEC("xdp")
int xdp_rate_limit(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	__u64 length = end - data;
	__u64 burst = config.burst;
	struct source source = {};
	struct counter *counter;
	__u32 outcome = read_source(&source, data, end);

	if (burst > MAX_BURST)
		burst = MAX_BURST;
	if (outcome == ALLOWED &&
	    !take(&source, (config.by_bytes ? length : 1) * NSEC_PER_SEC, config.rate, burst * NSEC_PER_SEC))
		outcome = LIMITED;
	counter = bpf_map_lookup_elem(&counters, &outcome);
	if (counter) {
		counter->packets++;
		counter->bytes += length;
	}
	return outcome == LIMITED || outcome == MALFORMED ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
