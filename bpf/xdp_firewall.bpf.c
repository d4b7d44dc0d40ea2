/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A firewall on XDP: drops sources on blocklists, counts by rule, reports what it drops, keeps account of flows, reflects
 * datagrams to one UDP port, and takes VLAN tags off where asked.
 *
 * No clock and no random number decides anything, so every machine gives the same verdicts, packets and maps.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>
#include <sluice/swap.h>

/* Rules that the program itself counts by; blocklists use numbers from 16 up to RULES - 1. */
enum rule {
	RULE_PASS = 0,
	RULE_MALFORMED = 1,
	RULE_TTL = 2,
	RULE_REFLECT = 3,
	RULE_NOT_IP = 4,
	RULE_FIRST_LISTED = 16,
};
#define RULES 256

#define FAMILY_IPV4 4
#define FAMILY_IPV6 6

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 8

/* Fixed when the object is loaded. */
/* UDP port (host order) whose datagrams go back to where they came from; 0 for none. */
const volatile __u16 reflector_port = 7;
const volatile bool report_drops = true;
const volatile bool count_flows = true;
/* Look the destination up too, where the source is not listed. */
const volatile bool check_destination = false;

/* May change while the program runs. */
volatile struct {
	bool blocking;
	bool pop_vlan;
} switches = { .blocking = true };

/* Packets of each verdict, by enum xdp_action. */
__u64 verdicts[5];

struct lpm_v4_key {
	__u32 prefix_length;
	__u8 address[4];
};

struct lpm_v6_key {
	__u32 prefix_length;
	__u8 address[16];
};

struct listed {
	__u32 rule;
	/* XDP_DROP, or XDP_PASS to count only. */
	__u32 action;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* IPv4 addresses in the first 4 bytes, zeros behind. Ports in network byte order, 0 where there are none. */
struct flow_key {
	__u8 saddr[16];
	__u8 daddr[16];
	__be16 sport;
	__be16 dport;
	__u8 protocol;
	__u8 family;
	__u16 zero;
};

struct drop_event {
	__u8 saddr[16];
	__u32 rule;
	__u32 length;
	__be16 sport;
	__be16 dport;
	__u8 family;
	__u8 protocol;
	__u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_v4_key);
	__type(value, struct listed);
} blocklist_v4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_v6_key);
	__type(value, struct listed);
} blocklist_v6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RULES);
	__type(key, __u32);
	__type(value, struct counter);
} rule_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct counter);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* What parsing found. */
struct parsed {
	struct flow_key key;
	/* Offsets from the first byte of the packet. */
	__u32 network;
	__u32 transport;
	__u32 tags;
	/* Ports were there to read: not behind the first fragment, not behind an unknown header. */
	bool ports;
};

enum parse_result { PARSED, NOT_IP, MALFORMED };

/* Reads ports at `at`, the first byte behind all network headers. */
static __always_inline enum parse_result parse_transport(struct parsed *p, void *data, void *at, void *end)
{
	struct tcphdr *tcp = at;
	struct udphdr *udp = at;
	struct icmphdr *icmp = at;

	p->transport = at - data;
	switch (p->key.protocol) {
	case IPPROTO_TCP:
		if ((void *)(tcp + 1) > end || tcp->doff >> 4 < 5)
			return MALFORMED;
		p->key.sport = tcp->source;
		p->key.dport = tcp->dest;
		p->ports = true;
		return PARSED;
	case IPPROTO_UDP:
		if ((void *)(udp + 1) > end || bpf_ntohs(udp->len) < sizeof(*udp))
			return MALFORMED;
		p->key.sport = udp->source;
		p->key.dport = udp->dest;
		p->ports = true;
		return PARSED;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return (void *)(icmp + 1) > end ? MALFORMED : PARSED;
	default:
		return PARSED;
	}
}

static __always_inline enum parse_result parse_ipv4(struct parsed *p, void *data, void *at, void *end)
{
	struct iphdr *ip = at;
	__u32 header, total;

	if ((void *)(ip + 1) > end)
		return MALFORMED;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || total < header)
		return MALFORMED;
	if (at + total > end)
		return MALFORMED;
	p->key.family = FAMILY_IPV4;
	p->key.protocol = ip->protocol;
	*(__be32 *)p->key.saddr = ip->saddr;
	*(__be32 *)p->key.daddr = ip->daddr;
	if (ip->frag_off & bpf_htons(IP_OFFSET))
		return PARSED;
	return parse_transport(p, data, at + header, end);
}

static __always_inline enum parse_result parse_ipv6(struct parsed *p, void *data, void *at, void *end)
{
	struct ipv6hdr *ip = at;
	__u8 next;
	int i;

	if ((void *)(ip + 1) > end)
		return MALFORMED;
	if ((ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return MALFORMED;
	if (at + sizeof(*ip) + bpf_ntohs(ip->payload_len) > end)
		return MALFORMED;
	p->key.family = FAMILY_IPV6;
	__builtin_memcpy(p->key.saddr, ip->saddr, 16);
	__builtin_memcpy(p->key.daddr, ip->daddr, 16);
	next = ip->nexthdr;
	at = ip + 1;
	__no_unroll
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		struct ipv6exthdr *ext = at;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_AH && next != IPPROTO_DSTOPTS) {
			p->key.protocol = next;
			return parse_transport(p, data, at, end);
		}
		if ((void *)(ext + 1) > end)
			return MALFORMED;
		if (next == IPPROTO_FRAGMENT) {
			if (ext->frag_off & bpf_htons(0xfff8)) {
				p->key.protocol = ext->nexthdr;
				return PARSED;
			}
			at += sizeof(*ext);
		} else if (next == IPPROTO_AH) {
			at += (ext->length + 2) * 4;
		} else {
			at += (ext->length + 1) * 8;
		}
		next = ext->nexthdr;
	}
	return MALFORMED;
}

static __always_inline enum parse_result parse(struct parsed *p, void *data, void *end)
{
	struct ethhdr *eth = data;
	void *at = eth + 1;
	__be16 proto;

	if (at > end)
		return MALFORMED;
	proto = eth->h_proto;
#pragma clang loop unroll(full)
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlanhdr *tag = at;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return MALFORMED;
		proto = tag->proto;
		at = tag + 1;
		p->tags++;
	}
	p->network = at - data;
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, data, at, end);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, data, at, end);
	return NOT_IP;
}

static __always_inline struct listed *lookup(const struct parsed *p, const __u8 *address)
{
	if (p->key.family == FAMILY_IPV4) {
		struct lpm_v4_key key = { .prefix_length = 32 };

		*(__u32 *)key.address = *(__u32 *)address;
		return bpf_map_lookup_elem(&blocklist_v4, &key);
	} else {
		struct lpm_v6_key key = { .prefix_length = 128 };

		__builtin_memcpy(key.address, address, 16);
		return bpf_map_lookup_elem(&blocklist_v6, &key);
	}
}

static __always_inline void count_rule(__u32 rule, __u32 length)
{
	struct counter *counter = bpf_map_lookup_elem(&rule_counters, &rule);

	if (counter) {
		counter->packets++;
		counter->bytes += length;
	}
}

static __always_inline void count_flow(const struct flow_key *key, __u32 length)
{
	struct counter *counter = bpf_map_lookup_elem(&flows, key);

	if (counter) {
		__sync_fetch_and_add(&counter->packets, 1);
		__sync_fetch_and_add(&counter->bytes, length);
	} else {
		struct counter first = { .packets = 1, .bytes = length };

		bpf_map_update_elem(&flows, key, &first, BPF_ANY);
	}
}

static __always_inline void report(const struct parsed *p, __u32 rule, __u32 length)
{
	struct drop_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return;
	__builtin_memcpy(event->saddr, p->key.saddr, 16);
	event->rule = rule;
	event->length = length;
	event->sport = p->key.sport;
	event->dport = p->key.dport;
	event->family = p->key.family;
	event->protocol = p->key.protocol;
	event->zero = 0;
	bpf_ringbuf_submit(event, 0);
}

/*
 * Sends the datagram back: MACs, addresses and ports change places (which leaves the sums alone), one hop less. The
 * offsets were found by parse(); the checks repeat what the verifier has forgotten.
 */
static __always_inline int reflect(const struct parsed *p, void *data, void *end, __u32 *rule)
{
	struct ethhdr *eth = data;
	__u32 network = p->network, transport = p->transport;
	struct udphdr *udp;
	__be16 port;

	if (network > 64 || transport > 20000 || (void *)(eth + 1) > end)
		return XDP_ABORTED;
	udp = data + transport;
	if ((void *)(udp + 1) > end)
		return XDP_ABORTED;
	if (p->key.family == FAMILY_IPV4) {
		struct iphdr *ip = data + network;
		__be32 before, after;

		if ((void *)(ip + 1) > end)
			return XDP_ABORTED;
		if (ip->ttl <= 1)
			goto expired;
		/* ttl, protocol and check are one word: sum it up without the check, before and after. */
		before = ip->ttl | ip->protocol << 8;
		after = (ip->ttl - 1) | ip->protocol << 8;
		ip->check = csum_fold(bpf_csum_diff(&before, 4, &after, 4, (__u16)~ip->check));
		ip->ttl--;
		swap_words(&ip->saddr, &ip->daddr, 1);
	} else {
		struct ipv6hdr *ip = data + network;

		if ((void *)(ip + 1) > end)
			return XDP_ABORTED;
		if (ip->hop_limit <= 1)
			goto expired;
		ip->hop_limit--;
		swap_words(ip->saddr, ip->daddr, 4);
	}
	swap_bytes(eth->h_dest, eth->h_source, 6);
	port = udp->source;
	udp->source = udp->dest;
	udp->dest = port;
	*rule = RULE_REFLECT;
	return XDP_TX;
expired:
	*rule = RULE_TTL;
	return XDP_DROP;
}

/* Takes all VLAN tags off: moves the MAC addresses up against the last type, and the start of the packet behind them. */
static __always_inline int pop_tags(struct xdp_md *ctx, const struct parsed *p)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct ethhdr macs, *eth = data;
	__u32 bytes = p->tags * sizeof(struct vlanhdr);

	if ((void *)(eth + 1) > end)
		return XDP_ABORTED;
	macs = *eth;
	if (bytes > MAX_VLAN_TAGS * sizeof(struct vlanhdr))
		return XDP_ABORTED;
	eth = data + bytes;
	if ((void *)(eth + 1) > end)
		return XDP_ABORTED;
	__builtin_memcpy(eth->h_dest, macs.h_dest, 6);
	__builtin_memcpy(eth->h_source, macs.h_source, 6);
	return bpf_xdp_adjust_head(ctx, bytes) ? XDP_ABORTED : XDP_PASS;
}

static __always_inline int decide(struct xdp_md *ctx, struct parsed *p, __u32 length, __u32 *rule)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct listed *listed;

	switch (parse(p, data, end)) {
	case MALFORMED:
		*rule = RULE_MALFORMED;
		return XDP_DROP;
	case NOT_IP:
		*rule = RULE_NOT_IP;
		return XDP_PASS;
	case PARSED:
		break;
	}
	if (count_flows)
		count_flow(&p->key, length);
	if (switches.blocking) {
		listed = lookup(p, p->key.saddr);
		if (!listed && check_destination)
			listed = lookup(p, p->key.daddr);
		if (listed) {
			*rule = listed->rule;
			if (listed->action == XDP_DROP)
				return XDP_DROP;
		}
	}
	if (reflector_port && p->ports && p->key.protocol == IPPROTO_UDP &&
	    p->key.dport == bpf_htons(reflector_port))
		return reflect(p, data, end, rule);
	return XDP_PASS;
}

SEC("xdp")
int xdp_firewall(struct xdp_md *ctx)
{
	struct parsed p = {};
	__u32 length = ctx->data_end - ctx->data;
	__u32 rule = RULE_PASS;
	__u32 verdict = decide(ctx, &p, length, &rule);

	count_rule(rule, length);
	if (verdict == XDP_DROP && report_drops)
		report(&p, rule, length);
	if (verdict == XDP_PASS && switches.pop_vlan && p.tags)
		verdict = pop_tags(ctx, &p);
	if (verdict < __ARRAY_SIZE(verdicts))
		__sync_fetch_and_add(&verdicts[verdict], 1);
	return verdict;
}

char _license[] SEC("license") = "Dual MIT/GPL";
