/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A parser of tail-called stages: each program reads one header and jumps to the next one's. What the stages share lies
 * in a per-CPU array. Packets are counted by protocol, malformed ones dropped and counted by reason, and the last stage
 * decides by the rule for the packet's protocol and destination port.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>

/* Slots of jump_table. */
enum stage {
	STAGE_IPV4,
	STAGE_IPV6,
	STAGE_EXTENSION,
	STAGE_TCP,
	STAGE_UDP,
	STAGE_ICMP,
	STAGE_VERDICT,
	STAGES,
};

/* Keys of protocol_counters. */
enum protocol {
	COUNT_ETHERNET,
	COUNT_VLAN,
	COUNT_ARP,
	COUNT_IPV4,
	COUNT_IPV4_FRAGMENT,
	COUNT_IPV6,
	COUNT_IPV6_EXTENSION,
	COUNT_IPV6_FRAGMENT,
	COUNT_TCP,
	COUNT_UDP,
	COUNT_ICMP,
	COUNT_ICMPV6,
	COUNT_OTHER_TRANSPORT,
	COUNT_OTHER_ETHERTYPE,
	COUNTS,
};

/* Keys of drop_reasons. */
enum reason {
	DROP_ETHERNET_CUT,
	DROP_VLAN_CUT,
	DROP_VLAN_TOO_MANY,
	DROP_IPV4_CUT,
	DROP_IPV4_HEADER,
	DROP_IPV4_LENGTH,
	DROP_IPV6_CUT,
	DROP_IPV6_HEADER,
	DROP_IPV6_LENGTH,
	DROP_EXTENSION_CUT,
	DROP_EXTENSION_TOO_MANY,
	DROP_TCP_CUT,
	DROP_TCP_HEADER,
	DROP_TCP_FLAGS,
	DROP_UDP_CUT,
	DROP_UDP_LENGTH,
	DROP_ICMP_CUT,
	DROP_RULE,
	REASONS,
};

#define MAX_VLAN_TAGS 4
#define MAX_EXTENSIONS 8
/* Headers beyond this offset are not read. */
#define MAX_OFFSET 4096

/* What a packet without a rule gets; fixed when the object is loaded. */
const volatile __u32 default_action = XDP_PASS;

struct state {
	/* Of the header that the next stage reads, from the first byte of the packet; and where the IP packet ends. */
	__u32 offset;
	__u32 end;
	__u8 family;
	__u8 protocol;
	__u8 tags;
	__u8 extensions;
	__u16 sport;
	__u16 dport;
	/* Not the first fragment: no transport header here. */
	__u8 later_fragment;
	__u8 zero[3];
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* Host byte order; port 0 holds for all ports of the protocol that have no rule of their own. */
struct rule_key {
	__u16 port;
	__u8 protocol;
	__u8 zero;
};

struct rule {
	__u32 action;
	__u32 zero;
	__u64 hits;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, struct counter);
} protocol_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, __u64);
} drop_reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct rule_key);
	__type(value, struct rule);
} rules SEC(".maps");

int parse_ipv4(struct xdp_md *ctx);
int parse_ipv6(struct xdp_md *ctx);
int parse_extension(struct xdp_md *ctx);
int parse_tcp(struct xdp_md *ctx);
int parse_udp(struct xdp_md *ctx);
int parse_icmp(struct xdp_md *ctx);
int decide(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGES);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jump_table SEC(".maps") = {
	.values = {
		[STAGE_IPV4] = (void *)&parse_ipv4,
		[STAGE_IPV6] = (void *)&parse_ipv6,
		[STAGE_EXTENSION] = (void *)&parse_extension,
		[STAGE_TCP] = (void *)&parse_tcp,
		[STAGE_UDP] = (void *)&parse_udp,
		[STAGE_ICMP] = (void *)&parse_icmp,
		[STAGE_VERDICT] = (void *)&decide,
	},
};

static __always_inline struct state *state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline void count(struct xdp_md *ctx, __u32 protocol)
{
	struct counter *counter = bpf_map_lookup_elem(&protocol_counters, &protocol);

	if (counter) {
		counter->packets++;
		counter->bytes += ctx->data_end - ctx->data;
	}
}

static __always_inline int drop(__u32 reason)
{
	__u64 *packets = bpf_map_lookup_elem(&drop_reasons, &reason);

	if (packets)
		++*packets;
	return XDP_DROP;
}

/* Does not come back unless the slot is empty: then the caller aborts. */
static __always_inline int go(struct xdp_md *ctx, __u32 stage)
{
	bpf_tail_call(ctx, &jump_table, stage);
	return XDP_ABORTED;
}

static __always_inline int go_transport(struct xdp_md *ctx, struct state *s)
{
	if (s->later_fragment)
		return go(ctx, STAGE_VERDICT);
	switch (s->protocol) {
	case IPPROTO_TCP:
		return go(ctx, STAGE_TCP);
	case IPPROTO_UDP:
		return go(ctx, STAGE_UDP);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return go(ctx, STAGE_ICMP);
	default:
		count(ctx, COUNT_OTHER_TRANSPORT);
		return go(ctx, STAGE_VERDICT);
	}
}

SEC("xdp")
int xdp_parser(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx), *at;
	struct ethhdr *eth = data;
	struct state *s = state();
	__be16 proto;
	int i;

	if (!s)
		return XDP_ABORTED;
	__builtin_memset(s, 0, sizeof(*s));
	if ((void *)(eth + 1) > end)
		return drop(DROP_ETHERNET_CUT);
	count(ctx, COUNT_ETHERNET);
	proto = eth->h_proto;
	at = eth + 1;
	__no_unroll
	for (i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlanhdr *tag = at;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return drop(DROP_VLAN_CUT);
		proto = tag->proto;
		at = tag + 1;
		s->tags++;
	}
	if (s->tags)
		count(ctx, COUNT_VLAN);
	s->offset = at - data;
	if (proto == bpf_htons(ETH_P_IP))
		return go(ctx, STAGE_IPV4);
	if (proto == bpf_htons(ETH_P_IPV6))
		return go(ctx, STAGE_IPV6);
	if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD))
		return drop(DROP_VLAN_TOO_MANY);
	count(ctx, proto == bpf_htons(ETH_P_ARP) ? COUNT_ARP : COUNT_OTHER_ETHERTYPE);
	return XDP_PASS;
}

SEC("xdp")
int parse_ipv4(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct state *s = state();
	__u32 offset, header, total;
	struct iphdr *ip;

	if (!s)
		return XDP_ABORTED;
	offset = s->offset;
	if (offset > MAX_OFFSET)
		return drop(DROP_IPV4_CUT);
	ip = data + offset;
	if ((void *)(ip + 1) > end)
		return drop(DROP_IPV4_CUT);
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip))
		return drop(DROP_IPV4_HEADER);
	if (total < header || offset + total > ctx->data_end - ctx->data)
		return drop(DROP_IPV4_LENGTH);
	count(ctx, COUNT_IPV4);
	s->family = 4;
	s->protocol = ip->protocol;
	s->offset = offset + header;
	s->end = offset + total;
	if (ip->frag_off & bpf_htons(IP_OFFSET | IP_MF))
		count(ctx, COUNT_IPV4_FRAGMENT);
	if (ip->frag_off & bpf_htons(IP_OFFSET))
		s->later_fragment = 1;
	return go_transport(ctx, s);
}

SEC("xdp")
int parse_ipv6(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct state *s = state();
	__u32 offset, length;
	struct ipv6hdr *ip;

	if (!s)
		return XDP_ABORTED;
	offset = s->offset;
	if (offset > MAX_OFFSET)
		return drop(DROP_IPV6_CUT);
	ip = data + offset;
	if ((void *)(ip + 1) > end)
		return drop(DROP_IPV6_CUT);
	if ((ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return drop(DROP_IPV6_HEADER);
	length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (offset + length > ctx->data_end - ctx->data)
		return drop(DROP_IPV6_LENGTH);
	count(ctx, COUNT_IPV6);
	s->family = 6;
	s->protocol = ip->nexthdr;
	s->offset = offset + sizeof(*ip);
	s->end = offset + length;
	return go(ctx, STAGE_EXTENSION);
}

/* One extension header, then itself again. */
SEC("xdp")
int parse_extension(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct state *s = state();
	struct ipv6exthdr *ext;
	__u32 offset, length;
	__u8 protocol;

	if (!s)
		return XDP_ABORTED;
	protocol = s->protocol;
	if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING && protocol != IPPROTO_FRAGMENT &&
	    protocol != IPPROTO_AH && protocol != IPPROTO_DSTOPTS)
		return go_transport(ctx, s);
	if (s->extensions == MAX_EXTENSIONS)
		return drop(DROP_EXTENSION_TOO_MANY);
	s->extensions++;
	offset = s->offset;
	if (offset > MAX_OFFSET || offset + sizeof(*ext) > s->end)
		return drop(DROP_EXTENSION_CUT);
	ext = data + offset;
	if ((void *)(ext + 1) > end)
		return drop(DROP_EXTENSION_CUT);
	count(ctx, COUNT_IPV6_EXTENSION);
	if (protocol == IPPROTO_FRAGMENT) {
		length = sizeof(*ext);
		count(ctx, COUNT_IPV6_FRAGMENT);
		if (ext->frag_off & bpf_htons(0xfff8))
			s->later_fragment = 1;
	} else if (protocol == IPPROTO_AH) {
		length = (ext->length + 2) * 4;
	} else {
		length = (ext->length + 1) * 8;
	}
	s->protocol = ext->nexthdr;
	s->offset = offset + length;
	/* What follows a later fragment's header is data, whatever it looks like. */
	return s->later_fragment ? go_transport(ctx, s) : go(ctx, STAGE_EXTENSION);
}

SEC("xdp")
int parse_tcp(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct state *s = state();
	struct tcphdr *tcp;
	__u32 offset, header;
	__u8 flags;

	if (!s)
		return XDP_ABORTED;
	offset = s->offset;
	if (offset > MAX_OFFSET || offset + sizeof(*tcp) > s->end)
		return drop(DROP_TCP_CUT);
	tcp = data + offset;
	if ((void *)(tcp + 1) > end)
		return drop(DROP_TCP_CUT);
	header = (tcp->doff >> 4) * 4;
	if (header < sizeof(*tcp) || offset + header > s->end)
		return drop(DROP_TCP_HEADER);
	/* No flag at all, SYN with FIN or RST, and FIN without ACK: scans. */
	flags = tcp->flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK);
	if (!flags || ((flags & TCP_SYN) && (flags & (TCP_FIN | TCP_RST))) ||
	    (flags & (TCP_FIN | TCP_ACK)) == TCP_FIN)
		return drop(DROP_TCP_FLAGS);
	count(ctx, COUNT_TCP);
	s->sport = bpf_ntohs(tcp->source);
	s->dport = bpf_ntohs(tcp->dest);
	return go(ctx, STAGE_VERDICT);
}

SEC("xdp")
int parse_udp(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct state *s = state();
	struct udphdr *udp;
	__u32 offset, length;

	if (!s)
		return XDP_ABORTED;
	offset = s->offset;
	if (offset > MAX_OFFSET || offset + sizeof(*udp) > s->end)
		return drop(DROP_UDP_CUT);
	udp = data + offset;
	if ((void *)(udp + 1) > end)
		return drop(DROP_UDP_CUT);
	/* The datagram may be longer than its first fragment, never shorter than its header. */
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp))
		return drop(DROP_UDP_LENGTH);
	count(ctx, COUNT_UDP);
	s->sport = bpf_ntohs(udp->source);
	s->dport = bpf_ntohs(udp->dest);
	return go(ctx, STAGE_VERDICT);
}

SEC("xdp")
int parse_icmp(struct xdp_md *ctx)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct state *s = state();
	struct icmphdr *icmp;
	__u32 offset;

	if (!s)
		return XDP_ABORTED;
	offset = s->offset;
	if (offset > MAX_OFFSET || offset + sizeof(*icmp) > s->end)
		return drop(DROP_ICMP_CUT);
	icmp = data + offset;
	if ((void *)(icmp + 1) > end)
		return drop(DROP_ICMP_CUT);
	count(ctx, s->protocol == IPPROTO_ICMP ? COUNT_ICMP : COUNT_ICMPV6);
	/* Type and code take the place of the port in rules. */
	s->dport = icmp->type << 8 | icmp->code;
	return go(ctx, STAGE_VERDICT);
}

SEC("xdp")
int decide(struct xdp_md *ctx)
{
	struct state *s = state();
	struct rule_key key = {};
	struct rule *rule;

	if (!s)
		return XDP_ABORTED;
	key.protocol = s->protocol;
	key.port = s->dport;
	rule = bpf_map_lookup_elem(&rules, &key);
	if (!rule) {
		key.port = 0;
		rule = bpf_map_lookup_elem(&rules, &key);
	}
	if (!rule)
		return default_action;
	__sync_fetch_and_add(&rule->hits, 1);
	return rule->action == XDP_DROP ? drop(DROP_RULE) : rule->action;
}

char _license[] SEC("license") = "Dual MIT/GPL";
