/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * SYN cookies on XDP: answers SYNs to protected ports in the place of the kernel's stack, without keeping anything, and lets through what
 * belongs to a client that has proven by its ACK that it gets our packets. The cookies are those of the kernel, so its listening socket
 * takes the ACK and makes the connection from it (sysctls: docs/programs.md).
 *
 * The kernel's socket believes in cookies only as long as it has had reason to send one itself in the last two minutes: so one SYN each
 * `refresh` passes.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>
#include <sluice/swap.h>

#define MAX_OPTIONS 40
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define OPTION_WSCALE 3
#define OPTION_SACK 4
#define OPTION_TIMESTAMP 8
#define MAX_WSCALE 14

/* What the lowest bits of our timestamp say about the client, for the kernel to read in its echo: net/ipv4/syncookies.c. */
#define TS_BITS 6
#define TS_NO_WSCALE 0xf
#define TS_SACK (1 << 4)

/* Header lengths of our answers: with an MSS alone, and with timestamp, SACK and window scale behind it. */
#define SHORT_HEADER 24
#define LONG_HEADER 40

enum outcome {
	/* No TCP to a protected port: passes. */
	OTHER,
	MALFORMED,
	/* IP options or fragments, which no connection begins with: dropped. */
	ODD,
	/* SYN, answered with a cookie. */
	ANSWERED,
	/* SYN that goes to the stack. */
	REFRESHED,
	/* ACK of a cookie: the connection is known from now on. */
	PROVEN,
	/* Of a connection that is known. */
	KNOWN,
	/* Neither a SYN nor known nor a cookie: dropped where `strict` says so. */
	UNPROVEN,
	/* A helper refused. */
	FAILED,
	OUTCOMES,
};

/* May change while the program runs. */
volatile struct {
	/* Nanoseconds between SYNs that pass to the stack, by port; 0: none does. */
	__u64 refresh;
	/* What we tell clients. The scale has to be the one that the stack would choose (7 where net.ipv4.tcp_rmem is as it was). */
	__u16 mss_ipv4;
	__u16 mss_ipv6;
	__u8 wscale;
	/* Drop what belongs to no known connection; switch on when those from before the program are gone. */
	bool strict;
} config = { .refresh = 1000000000, .mss_ipv4 = 1460, .mss_ipv6 = 1440, .wscale = 7, .strict = true };

struct service {
	/* Time of the last SYN that went to the stack. */
	__u64 refreshed;
};

/* IPv4 addresses in the first 4 bytes. Ports in network byte order. */
struct flow {
	__be32 client[4];
	__be32 server[4];
	__be16 client_port;
	__be16 server_port;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* What a client offers in its SYN. */
struct wishes {
	bool sack;
	bool timestamp;
	/* TS_NO_WSCALE: none. */
	__u8 wscale;
	__u8 stamp[4];
	/* For the parser: octets of all options, and those of the current one that are to come. */
	__u8 length;
	__u8 skip;
};

/* Header of a SYN with all of its options. */
struct syn {
	struct tcphdr tcp;
	__u8 options[MAX_OPTIONS];
	/* An option is within the header, but the verifier does not follow why: its reads may lie behind. */
	__u8 zero[12];
	/* In memory and not in registers, so that the verifier sees the same state in each step. */
	struct wishes wishes;
};

struct answer {
	__be16 ports[2];
	__be32 seq;
	__be32 ack_seq;
	__u8 doff;
	__u8 flags;
	__be16 window;
	__sum16 check;
	__be16 urg_ptr;
	__u8 mss[4];
	/* SACK permitted or two NOPs, the timestamp, the window scale or four NOPs. */
	__u8 rest[16];
};

/* Protected ports, in host order. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct service);
} services SEC(".maps");

/* Connections whose client has proven itself. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct flow);
	__type(value, __u64);
} flows SEC(".maps");

/* By enum outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct syn);
} scratch SEC(".maps");

struct parsed {
	/* Offsets from the first byte of the packet, in 64 bits as pointers are; bytes of the TCP header. */
	__u64 network;
	__u64 transport;
	__u32 header;
	bool ipv6;
	struct flow flow;
	struct service *service;
	__u8 flags;
};

/* Finds a segment to a protected port; PROVEN if there is one. */
static __always_inline enum outcome parse(struct xdp_md *ctx, struct parsed *p)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct ethhdr *eth = data;
	struct vlanhdr *tag = (void *)(eth + 1);
	void *at = eth + 1;
	struct tcphdr *tcp;
	__be16 proto;
	__u32 port;

	if (at > end)
		return OTHER;
	proto = eth->h_proto;
	if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD)) {
		if ((void *)(tag + 1) > end)
			return OTHER;
		proto = tag->proto;
		at = tag + 1;
	}
	p->network = at - data;
	if (proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end)
			return OTHER;
		if (ip->protocol != IPPROTO_TCP)
			return OTHER;
		if (ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
			return ODD;
		p->flow.client[0] = ip->saddr;
		p->flow.server[0] = ip->daddr;
		at = ip + 1;
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end)
			return OTHER;
		if (ip->nexthdr != IPPROTO_TCP)
			return OTHER;
		__builtin_memcpy(p->flow.client, ip->saddr, 16);
		__builtin_memcpy(p->flow.server, ip->daddr, 16);
		p->ipv6 = true;
		at = ip + 1;
	} else {
		return OTHER;
	}
	p->transport = at - data;
	tcp = at;
	if ((void *)(tcp + 1) > end)
		return MALFORMED;
	port = bpf_ntohs(tcp->dest);
	p->service = bpf_map_lookup_elem(&services, &port);
	if (!p->service)
		return OTHER;
	p->header = (tcp->doff >> 4) * 4;
	if (p->header < sizeof(*tcp) || at + p->header > end)
		return MALFORMED;
	p->flags = tcp->flags;
	p->flow.client_port = tcp->source;
	p->flow.server_port = tcp->dest;
	return PROVEN;
}

/*
 * What the client offers; stops at what cannot be read, as the kernel does. One step an octet, most of which are skipped: so all offsets are
 * constants, and the verifier has no ranges to tell apart.
 */
static __always_inline void read_options(struct syn *syn, __u8 length)
{
	volatile struct wishes *wishes = &syn->wishes;

	__builtin_memset(&syn->wishes, 0, sizeof(syn->wishes));
	wishes->wscale = TS_NO_WSCALE;
	wishes->length = length;
	__no_unroll
	for (__u32 at = 0; at < MAX_OPTIONS; at++) {
		__u8 kind = syn->options[at], size = syn->options[at + 1];

		if (wishes->skip) {
			wishes->skip--;
			continue;
		}
		if (kind == OPTION_END || at >= wishes->length)
			return;
		if (kind == OPTION_NOP)
			continue;
		if (size < 2 || at + size > wishes->length)
			return;
		if (kind == OPTION_SACK && size == 2)
			wishes->sack = true;
		if (kind == OPTION_WSCALE && size == 3)
			wishes->wscale = syn->options[at + 2] > MAX_WSCALE ? MAX_WSCALE : syn->options[at + 2];
		if (kind == OPTION_TIMESTAMP && size == 10) {
			wishes->timestamp = true;
			__builtin_memcpy(syn->wishes.stamp, &syn->options[at + 2], 4);
		}
		wishes->skip = size - 1;
	}
}

/* Our timestamp in milliseconds, not later than now, with the wishes in its lowest bits. */
static __always_inline __u32 encode_wishes(const struct wishes *wishes)
{
	__u32 now = bpf_ktime_get_ns() / 1000000;
	__u32 stamp = (now >> TS_BITS) << TS_BITS | wishes->wscale | (wishes->sack ? TS_SACK : 0);

	/* In arithmetic modulo 2^32. */
	return (__s32)(stamp - now) > 0 ? stamp - (1 << TS_BITS) : stamp;
}

static __always_inline void write_options(struct answer *answer, const struct wishes *wishes, __u16 mss)
{
	__u32 stamp;
	__u8 *rest = answer->rest;

	answer->mss[0] = OPTION_MSS;
	answer->mss[1] = 4;
	answer->mss[2] = mss >> 8;
	answer->mss[3] = mss & 0xff;
	/* Without a timestamp there is no place to remember the others in. */
	if (!wishes->timestamp)
		return;
	stamp = bpf_htonl(encode_wishes(wishes));
	rest[0] = wishes->sack ? OPTION_SACK : OPTION_NOP;
	rest[1] = wishes->sack ? 2 : OPTION_NOP;
	rest[2] = OPTION_TIMESTAMP;
	rest[3] = 10;
	__builtin_memcpy(rest + 4, &stamp, 4);
	__builtin_memcpy(rest + 8, wishes->stamp, 4);
	rest[12] = OPTION_NOP;
	if (wishes->wscale == TS_NO_WSCALE) {
		rest[13] = rest[14] = rest[15] = OPTION_NOP;
	} else {
		rest[13] = OPTION_WSCALE;
		rest[14] = 3;
		rest[15] = config.wscale;
	}
}

/* Cookie for the SYN; negative: the helper refused. */
static __always_inline __s64 make_cookie(struct xdp_md *ctx, const struct parsed *p, struct syn *syn)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	__u64 network = p->network;
	__u32 header = p->header;

	if (header < sizeof(struct tcphdr))
		return -1;
	/* Two comparisons: the compiler would make one of a difference. */
	barrier_var(header);
	if (header > sizeof(struct tcphdr) + MAX_OPTIONS)
		return -1;
	if (bpf_xdp_load_bytes(ctx, p->transport, syn, header))
		return -1;
	/* Found by parse(); the verifier has forgotten. */
	barrier_var(network);
	if (network > 18)
		return -1;
	if (p->ipv6) {
		struct ipv6hdr *ip = data + network;

		return (void *)(ip + 1) > end ? -1 : bpf_tcp_raw_gen_syncookie_ipv6(ip, &syn->tcp, header);
	} else {
		struct iphdr *ip = data + network;

		return (void *)(ip + 1) > end ? -1 : bpf_tcp_raw_gen_syncookie_ipv4(ip, &syn->tcp, header);
	}
}

static __always_inline __wsum add_words(__wsum sum, const __be32 *words, int count)
{
	__u64 total = sum;

#pragma clang loop unroll(full)
	for (int i = 0; i < count; i++)
		total += words[i];
	total = (total & 0xffffffff) + (total >> 32);
	return (total & 0xffffffff) + (total >> 32);
}

/* Turns the SYN into our SYN-ACK. */
static __always_inline bool reply(struct xdp_md *ctx, const struct parsed *p, struct syn *syn, __u32 cookie)
{
	struct answer answer = {};
	const struct wishes *wishes = &syn->wishes;
	__u64 length, network = p->network, transport = p->transport;
	__u32 header;
	struct ethhdr *eth;
	void *data, *end, *at;
	__wsum sum;

	read_options(syn, p->header - sizeof(struct tcphdr));
	header = wishes->timestamp ? LONG_HEADER : SHORT_HEADER;
	answer.ports[0] = syn->tcp.dest;
	answer.ports[1] = syn->tcp.source;
	answer.seq = bpf_htonl(cookie);
	answer.ack_seq = bpf_htonl(bpf_ntohl(syn->tcp.seq) + 1);
	answer.doff = header / 4 << 4;
	answer.flags = TCP_SYN | TCP_ACK;
	/* Data comes later: the stack tells its window in its first segment. */
	answer.window = bpf_htons(65535);
	write_options(&answer, wishes, p->ipv6 ? config.mss_ipv6 : config.mss_ipv4);
	/* What is not sent is zero, and so adds nothing. */
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&answer, sizeof(answer), bpf_htons(IPPROTO_TCP) + bpf_htons(header));
	sum = add_words(sum, p->flow.client, 4);
	sum = add_words(sum, p->flow.server, 4);
	answer.check = csum_fold(sum);

	/* A SYN may come with padding or data behind it: the answer ends with its header. */
	length = xdp_data_end(ctx) - xdp_data(ctx);
	/* Pointers are subtracted in 64 bits. */
	barrier_var(length);
	if (bpf_xdp_adjust_tail(ctx, (int)(transport + header) - (int)length))
		return false;
	data = xdp_data(ctx);
	end = xdp_data_end(ctx);
	eth = data;
	/* Found by parse(); the checks repeat what the verifier has forgotten. */
	if (network > 18 || transport > 58 || (void *)(eth + 1) > end)
		return false;
	swap_bytes(eth->h_dest, eth->h_source, 6);
	at = data + network;
	if (p->ipv6) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end)
			return false;
		ip->version_class_flow = bpf_htonl(0x60000000);
		ip->payload_len = bpf_htons(header);
		ip->hop_limit = 64;
		swap_words(ip->saddr, ip->daddr, 4);
	} else {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end)
			return false;
		ip->tos = 0;
		ip->tot_len = bpf_htons(sizeof(*ip) + header);
		ip->id = 0;
		ip->frag_off = bpf_htons(IP_DF);
		ip->ttl = 64;
		ip->check = 0;
		swap_words(&ip->saddr, &ip->daddr, 1);
		ip->check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
	}
	at = data + transport;
	if (at + SHORT_HEADER > end)
		return false;
	__builtin_memcpy(at, &answer, SHORT_HEADER);
	if (header == LONG_HEADER) {
		if (at + LONG_HEADER > end)
			return false;
		__builtin_memcpy(at + SHORT_HEADER, answer.rest, sizeof(answer.rest));
	}
	return true;
}

/* One SYN each `refresh`; of several CPUs at once one lets it through. */
static __always_inline bool to_stack(struct service *service)
{
	__u64 refresh = config.refresh, before = service->refreshed, now;

	if (!refresh)
		return false;
	now = bpf_ktime_get_ns();
	if (before && now - before < refresh)
		return false;
	return __sync_val_compare_and_swap(&service->refreshed, before, now) == before;
}

static __always_inline bool proves(struct xdp_md *ctx, const struct parsed *p)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	__u64 network = p->network, transport = p->transport;
	struct tcphdr *tcp;

	if (network > 18 || transport > 58)
		return false;
	tcp = data + transport;
	if ((void *)(tcp + 1) > end)
		return false;
	if (p->ipv6) {
		struct ipv6hdr *ip = data + network;

		return (void *)(ip + 1) <= end && bpf_tcp_raw_check_syncookie_ipv6(ip, tcp) == 0;
	} else {
		struct iphdr *ip = data + network;

		return (void *)(ip + 1) <= end && bpf_tcp_raw_check_syncookie_ipv4(ip, tcp) == 0;
	}
}

static __always_inline enum outcome decide(struct xdp_md *ctx)
{
	struct parsed p = {};
	enum outcome outcome = parse(ctx, &p);
	__u32 zero = 0;
	struct syn *syn;
	__s64 cookie;

	if (outcome != PROVEN)
		return outcome;
	if ((p.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN) {
		syn = bpf_map_lookup_elem(&scratch, &zero);
		if (!syn)
			return FAILED;
		if (to_stack(p.service))
			return REFRESHED;
		cookie = make_cookie(ctx, &p, syn);
		return cookie >= 0 && reply(ctx, &p, syn, (__u32)cookie) ? ANSWERED : FAILED;
	}
	if (bpf_map_lookup_elem(&flows, &p.flow))
		return KNOWN;
	if ((p.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_ACK && proves(ctx, &p)) {
		__u64 one = 1;

		bpf_map_update_elem(&flows, &p.flow, &one, BPF_ANY);
		return PROVEN;
	}
	return UNPROVEN;
}

SEC("xdp")
int xdp_syn_cookies(struct xdp_md *ctx)
{
	__u64 length = xdp_data_end(ctx) - xdp_data(ctx);
	__u32 outcome = decide(ctx);
	struct counter *counter = bpf_map_lookup_elem(&counters, &outcome);

	if (counter) {
		counter->packets++;
		counter->bytes += length;
	}
	switch (outcome) {
	case ANSWERED:
		return XDP_TX;
	case OTHER:
	case REFRESHED:
	case PROVEN:
	case KNOWN:
		return XDP_PASS;
	case UNPROVEN:
		return config.strict ? XDP_DROP : XDP_PASS;
	case FAILED:
		return XDP_ABORTED;
	default:
		return XDP_DROP;
	}
}

/* The cookie helpers are for GPL-compatible programs. */
char _license[] SEC("license") = "Dual MIT/GPL";
