/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A filter on XDP in front of a DNS server: takes queries apart, refuses malformed ones, limits what a client may ask, and decides by the
 * longest suffix of the name and by the type. A query is dropped, or turned into its own answer (REFUSED, NXDOMAIN, or empty with TC, so that
 * the client asks again over TCP); the server sees what is left. An answer is as long as its query: nothing is amplified.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>
#include <sluice/swap.h>
#include <sluice/token_bucket.h>

/* RFC 1035: octets of a name on the wire, with the empty label at its end, and of a label. */
#define MAX_NAME 255
#define MAX_LABEL 63
/* So many labels a name of 255 octets can have (127), as a power of two. */
#define LABELS 128
/* Rules have at most this many labels. */
#define MAX_RULE_LABELS 16

#define DNS_RESPONSE 0x8000
#define DNS_OPCODE 0x7800
#define DNS_TRUNCATED 0x0200
/* These stay as the client sent them: opcode, recursion desired, checking disabled. */
#define DNS_KEPT 0x7910
#define RCODE_NXDOMAIN 3
#define RCODE_REFUSED 5

enum action {
	PASS,
	DROP,
	/* Answers, without records. */
	TRUNCATE,
	NXDOMAIN,
	REFUSE,
	ACTIONS,
};

/* What decided. Those from CUT to TOO_MANY_LABELS are malformed. */
enum reason {
	/* No query to the port, or an opcode other than QUERY: passes. */
	OTHER,
	/* Fragments, or IPv6 extension headers: pass. */
	OPAQUE,
	/* Nothing was against it. */
	CLEAN,
	CUT,
	/* Not one question and nothing else but additional records. */
	COUNTS,
	/* Pointer (RFC 1035, 4.1.4) in the name of the first question: there is nothing to point to. */
	COMPRESSED,
	/* Label types 01 and 10 (RFC 6891, 5). */
	LABEL_TYPE,
	NAME_TOO_LONG,
	TOO_MANY_LABELS,
	/* The client asked too much. */
	LIMITED,
	TYPE,
	NAME,
	REASONS,
};

/* Fixed when the object is loaded; host order. */
const volatile __u16 port = 53;

/* May change while the program runs. */
volatile struct {
	/* Queries a second and client; 0: what `burst` holds is never refilled. */
	__u64 rate;
	/* Queries that a client may ask at once; 0: no limit. */
	__u64 burst;
	/* Of those over the limit: 0 all are dropped, 1 all are answered with TC, N each Nth. */
	__u32 slip;
	/* Names with more labels are malformed. */
	__u32 max_labels;
	/* Report queries that were not let through because of their name or type. */
	bool report;
} config = { .rate = 100, .burst = 0, .slip = 2, .max_labels = 127, .report = true };

struct client {
	/* IPv4 in the first 4 bytes, IPv6 in the first 8: a host may have all of a /64. */
	__u8 address[8];
	/* 4 or 6. */
	__u32 family;
};

/* End of a name: bpf/control/dns-rules.mjs computes it. */
struct suffix {
	__u64 hash;
	__u32 labels;
	__u32 zero;
};

struct rule {
	/* enum action */
	__u32 action;
	__u32 zero;
	__u64 hits;
};

/* The record is as long as the name: 28 bytes and name_length. */
struct event {
	/* IPv4 in the first 4 bytes. */
	__u8 client[16];
	__u16 family;
	__u16 type;
	/* enum reason, enum action */
	__u16 reason;
	__u16 action;
	/* Labels of the rule's name; 0 for a rule by type. */
	__u16 labels;
	__u16 name_length;
	/* In lower case, as on the wire; type and class of the question behind it. */
	__u8 name[MAX_NAME + 5];
};

struct scratch {
	struct event event;
	__u64 labels[LABELS];
	/* How many of them the name has: in memory, so that the verifier forgets. */
	__u32 count;
	__u32 zero;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct suffix);
	__type(value, struct rule);
} names SEC(".maps");

/* Rules for types, in host order: they count where no name has a rule. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct rule);
} types SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct client);
	__type(value, struct bucket);
} clients SEC(".maps");

/* By enum reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

/* By enum action; what was let through stands under PASS. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ACTIONS);
	__type(key, __u32);
	__type(value, struct counter);
} actions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

struct dnshdr {
	__be16 id;
	__be16 flags;
	__be16 questions;
	__be16 answers;
	__be16 authorities;
	__be16 additionals;
};

struct query {
	/* Offsets from the first byte of the packet, and bytes of the message. */
	__u32 network;
	__u32 transport;
	__u32 length;
	struct client client;
	bool ipv6;
};

/* FNV-1a of a label, from its length octet on, in lower case. */
#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

static __always_inline void count(void *map, __u32 index, __u32 length)
{
	struct counter *counter = bpf_map_lookup_elem(map, &index);

	if (counter) {
		counter->packets++;
		counter->bytes += length;
	}
}

/* Finds the message of a query to the port; CLEAN if there is one. */
static __always_inline enum reason parse(struct xdp_md *ctx, struct query *query, struct event *event)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct ethhdr *eth = data;
	struct vlanhdr *tag = (void *)(eth + 1);
	void *at = eth + 1;
	struct udphdr *udp;
	struct dnshdr *dns;
	__u32 length;
	__be16 proto;

	if (at > end)
		return OTHER;
	proto = eth->h_proto;
	if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD)) {
		if ((void *)(tag + 1) > end)
			return OTHER;
		proto = tag->proto;
		at = tag + 1;
	}
	query->network = at - data;
	if (proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5 || ip->protocol != IPPROTO_UDP)
			return OTHER;
		if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
			return OPAQUE;
		__builtin_memcpy(query->client.address, &ip->saddr, 4);
		query->client.family = 4;
		__builtin_memcpy(event->client, &ip->saddr, 4);
		__builtin_memset(event->client + 4, 0, 12);
		at += ip->ihl * 4;
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end ||
		    (ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
			return OTHER;
		if (ip->nexthdr != IPPROTO_UDP)
			return ip->nexthdr == IPPROTO_TCP ? OTHER : OPAQUE;
		__builtin_memcpy(query->client.address, ip->saddr, 8);
		query->client.family = 6;
		query->ipv6 = true;
		__builtin_memcpy(event->client, ip->saddr, 16);
		at = ip + 1;
	} else {
		return OTHER;
	}
	query->transport = at - data;
	udp = at;
	dns = (void *)(udp + 1);
	if ((void *)dns > end || udp->dest != bpf_htons(port))
		return OTHER;
	length = bpf_ntohs(udp->len);
	if ((void *)(dns + 1) > end || length < sizeof(*udp) + sizeof(*dns) || at + length > end)
		return CUT;
	query->length = length - sizeof(*udp);
	if (dns->flags & bpf_htons(DNS_RESPONSE | DNS_OPCODE))
		return OTHER;
	if (dns->questions != bpf_htons(1) || dns->answers || dns->authorities)
		return COUNTS;
	return CLEAN;
}

/*
 * Reads the question: leaves the name in lower case, its length and the type in the event, and a hash for each label. One step an octet;
 * what a step needs from the one before it comes from memory, so that the verifier sees the same state in each.
 */
static __always_inline enum reason read_question(struct xdp_md *ctx, const struct query *query, struct scratch *scratch)
{
	struct event *event = &scratch->event;
	__u32 size = query->length - sizeof(struct dnshdr);
	__u32 from = query->transport + sizeof(struct udphdr) + sizeof(struct dnshdr);
	__u64 hash = FNV_START;
	__u32 left = 0;
	int i;

	if (size > MAX_NAME + 4)
		size = MAX_NAME + 4;
	if (size == 0 || bpf_xdp_load_bytes(ctx, from, event->name, size))
		return CUT;
	scratch->count = 0;
	__no_unroll
	for (i = 0; i < MAX_NAME; i++) {
		__u8 octet = event->name[i];
		__u32 label;

		if ((__u32)i + 5 > size)
			return CUT;
		if (left == 0) {
			if (octet == 0)
				break;
			if (octet > MAX_LABEL)
				return octet >= 0xc0 ? COMPRESSED : LABEL_TYPE;
			if (scratch->count >= config.max_labels)
				return TOO_MANY_LABELS;
			left = octet;
			hash = (FNV_START ^ octet) * FNV_PRIME;
			continue;
		}
		if (octet >= 'A' && octet <= 'Z') {
			octet |= 0x20;
			event->name[i] = octet;
		}
		hash = (hash ^ octet) * FNV_PRIME;
		if (--left)
			continue;
		label = scratch->count;
		if (label >= LABELS)
			return TOO_MANY_LABELS;
		scratch->labels[label] = hash;
		scratch->count = label + 1;
	}
	if (i == MAX_NAME)
		return NAME_TOO_LONG;
	/* The loop leaves the class within what was read. */
	event->name_length = i;
	event->type = event->name[i + 1] << 8 | event->name[i + 2];
	return CLEAN;
}

/* Rule of the longest suffix: a longer one is found later. */
static __always_inline struct rule *lookup_name(struct scratch *scratch)
{
	struct suffix suffix = {};
	struct rule *found = NULL;

	__no_unroll
	for (__u32 i = 0; i < MAX_RULE_LABELS; i++) {
		__u32 label = scratch->count - 1 - i;
		struct rule *rule;

		if (label >= LABELS)
			break;
		/* Order counts: the hash so far, then the label to its left. */
		suffix.hash = (suffix.hash ^ scratch->labels[label]) * FNV_PRIME;
		suffix.hash ^= suffix.hash >> 32;
		suffix.labels = i + 1;
		rule = bpf_map_lookup_elem(&names, &suffix);
		if (rule) {
			found = rule;
			scratch->event.labels = i + 1;
		}
	}
	return found;
}

static __always_inline enum action limit(const struct query *query)
{
	struct bucket *bucket;
	__u32 slip = config.slip;

	if (bucket_take(&clients, &query->client, 1, config.rate, config.burst))
		return PASS;
	if (slip == 0)
		return DROP;
	bucket = bpf_map_lookup_elem(&clients, &query->client);
	return bucket && bucket->limited % slip == 0 ? TRUNCATE : DROP;
}

static __always_inline void report(struct event *event, enum reason reason, enum action action)
{
	__u32 length = event->name_length;

	if (length > MAX_NAME)
		return;
	event->reason = reason;
	event->action = action;
	bpf_ringbuf_output(&events, event, __builtin_offsetof(struct event, name) + length, 0);
}

/* Turns the query into an answer with these flags, and sends it back. */
static __always_inline int answer(struct xdp_md *ctx, const struct query *query, __u16 flags)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct ethhdr *eth = data;
	__u32 network = query->network, transport = query->transport;
	struct udphdr *udp;
	struct dnshdr *dns;
	__be32 before, after;
	__be16 port;

	/* Found by parse(); the checks repeat what the verifier has forgotten. */
	if (network > 18 || transport > 78 || (void *)(eth + 1) > end)
		return XDP_ABORTED;
	udp = data + transport;
	dns = (void *)(udp + 1);
	if ((void *)(dns + 1) > end)
		return XDP_ABORTED;
	if (query->ipv6) {
		struct ipv6hdr *ip = data + network;

		if ((void *)(ip + 1) > end)
			return XDP_ABORTED;
		ip->hop_limit = 64;
		swap_words(ip->saddr, ip->daddr, 4);
	} else {
		struct iphdr *ip = data + network;

		if ((void *)(ip + 1) > end)
			return XDP_ABORTED;
		/* ttl, protocol and check are one word: sum it up without the check, before and after. */
		before = ip->ttl | ip->protocol << 8;
		after = 64 | ip->protocol << 8;
		ip->check = csum_fold(bpf_csum_diff(&before, 4, &after, 4, (__u16)~ip->check));
		ip->ttl = 64;
		swap_words(&ip->saddr, &ip->daddr, 1);
	}
	swap_bytes(eth->h_dest, eth->h_source, 6);
	port = udp->source;
	udp->source = udp->dest;
	udp->dest = port;
	before = dns->flags;
	dns->flags = bpf_htons(DNS_RESPONSE | (bpf_ntohs(dns->flags) & DNS_KEPT) | flags);
	after = dns->flags;
	/* A sum of 0 stands for none, over IPv4. */
	if (udp->check) {
		udp->check = csum_fold(bpf_csum_diff(&before, 4, &after, 4, (__u16)~udp->check));
		if (!udp->check)
			udp->check = 0xffff;
	}
	return XDP_TX;
}

static __always_inline enum reason decide(struct xdp_md *ctx, struct query *query, struct scratch *scratch,
					  enum action *action)
{
	struct event *event = &scratch->event;
	enum reason reason = parse(ctx, query, event);
	struct rule *rule;
	__u32 type;

	*action = PASS;
	if (reason == OTHER || reason == OPAQUE)
		return reason;
	*action = DROP;
	if (reason != CLEAN)
		return reason;
	reason = read_question(ctx, query, scratch);
	if (reason != CLEAN)
		return reason;
	*action = config.burst ? limit(query) : PASS;
	if (*action != PASS)
		return LIMITED;
	event->family = query->client.family;
	event->labels = 0;
	reason = NAME;
	rule = lookup_name(scratch);
	if (!rule) {
		reason = TYPE;
		type = event->type;
		rule = bpf_map_lookup_elem(&types, &type);
	}
	if (!rule)
		return CLEAN;
	__sync_fetch_and_add(&rule->hits, 1);
	*action = rule->action;
	if (*action != PASS && config.report)
		report(event, reason, *action);
	return reason;
}

SEC("xdp")
int xdp_dns_filter(struct xdp_md *ctx)
{
	__u32 length = xdp_data_end(ctx) - xdp_data(ctx), zero = 0;
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);
	struct query query = {};
	enum action action;

	if (!scratch)
		return XDP_ABORTED;
	count(&counters, decide(ctx, &query, scratch, &action), length);
	count(&actions, action, length);
	switch (action) {
	case PASS:
		return XDP_PASS;
	case TRUNCATE:
		return answer(ctx, &query, DNS_TRUNCATED);
	case NXDOMAIN:
		return answer(ctx, &query, RCODE_NXDOMAIN);
	case REFUSE:
		return answer(ctx, &query, RCODE_REFUSED);
	default:
		return XDP_DROP;
	}
}

char _license[] SEC("license") = "Dual MIT/GPL";
