/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * An L4 load balancer on XDP for TCP and UDP over IPv4 and IPv6. A connection to a service is given to a backend by a consistent-hash ring
 * that user space fills (Maglev or another way) and stays there (LRU table) as long as that backend is not down. Its packets go there in IPIP
 * (RFC 2003, 2473, 4213) or GUE (UDP port 6080, variant 1: the packet right behind the UDP header), and ICMP errors about them too; the
 * backend answers the client directly. What belongs to no service passes.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>

#define IPPROTO_IPIP 4
#define IPPROTO_IPV6 41
#define GUE_PORT 6080

#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
/* ICMPv6: 1 to this are errors. */
#define ICMPV6_LAST_ERROR 4

#define SERVICES 512
/* Slots of a service's ring: a prime, as Maglev's permutations need. */
#define RING_SIZE 1021
#define BACKENDS 256
/* Slots behind the first that are tried where a backend is down: with half of them down, all fail once in 2^32. */
#define MAX_DETOURS 31

enum outcome {
	/* To the backend that the table holds for the connection. */
	KNOWN,
	/* A first packet, to the backend of the ring. */
	CHOSEN,
	/* To another backend than before: that one is down. */
	MOVED,
	NO_SERVICE,
	NO_BACKEND,
	/* With the new headers the packet would be over the limit. */
	TOO_LONG,
	MALFORMED,
	FAILED,
	OUTCOMES,
};

enum encapsulation { IPIP, GUE };

/* User space checks backends and writes this. */
enum health {
	/* Gets nothing: its connections move. */
	DOWN,
	UP,
	/* Keeps its connections, gets no new ones. */
	DRAINING,
};

/* May change while the program runs. */
volatile struct {
	/* Source of what goes to backends with an address of either family. */
	__u8 source_ipv4[4];
	__u8 source_ipv6[16];
	/* Longest IP packet towards the backends, outer headers included. */
	__u32 mtu;
} config = { .source_ipv4 = { 10, 255, 0, 1 }, .source_ipv6 = { 0xfd, 0xff, [15] = 1 }, .mtu = 1500 };

/* IPv4 addresses in the first 4 bytes, here and below; family 4 or 6. Port in host order. */
struct service_key {
	__u8 address[16];
	__u16 port;
	__u8 protocol;
	__u8 family;
};

struct service {
	/* Of its ring; several services may share one. */
	__u32 ring;
};

/* Number of the backend for each slot. */
struct ring {
	__u8 slots[RING_SIZE];
};

struct backend {
	__u8 address[16];
	/* Next hop. */
	__u8 mac[6];
	__u8 family;
	/* enum encapsulation */
	__u8 encapsulation;
};

/* Ports in network byte order. */
struct connection {
	__be32 client[4];
	__be32 service[4];
	__be16 client_port;
	__be16 service_port;
	__u8 protocol;
	__u8 family;
	__u16 zero;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct backend_counter {
	__u64 packets;
	__u64 bytes;
	/* Connections that came, by the ring or from a backend that was down. */
	__u64 connections;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVICES);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SERVICES);
	__type(key, __u32);
	__type(value, struct ring);
} rings SEC(".maps");

/* Slots that nobody has filled say 0: backend 0 stays down and catches them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

/* enum health by backend, apart from the backends: who checks them writes here alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, __u32);
} health SEC(".maps");

/* Backend that a connection is at. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct connection);
	__type(value, __u32);
} connections SEC(".maps");

/* By enum outcome; bytes as they came. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, struct backend_counter);
} backend_counters SEC(".maps");

/* What is to be forwarded. */
struct parsed {
	struct connection connection;
	/* Bytes of the IP packet. */
	__u32 length;
	/* Type of service or traffic class: the outer header has the same, so that congestion marks get through. */
	__u8 tos;
	__u8 family;
};

static __always_inline __u32 mix(__u32 hash, __u32 word)
{
	hash ^= word;
	/* The finalizer of MurmurHash3 (public domain). */
	hash ^= hash >> 16;
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	return hash ^ hash >> 16;
}

static __always_inline __u32 hash_connection(const struct connection *connection)
{
	__u32 hash = 0x9e3779b9;

#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++)
		hash = mix(hash, connection->client[i]);
#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++)
		hash = mix(hash, connection->service[i]);
	hash = mix(hash, connection->client_port | (__u32)connection->service_port << 16);
	return mix(hash, connection->protocol);
}

/* Ports at `at`; an error's packet went from the service to the client. */
static __always_inline bool read_ports(struct connection *connection, const __be16 *at, void *end, bool error)
{
	/* The compiler may have this check by the lengths, which the verifier does not follow. */
	barrier_var(at);
	if ((void *)(at + 2) > end)
		return false;
	connection->client_port = at[error ? 1 : 0];
	connection->service_port = at[error ? 0 : 1];
	return true;
}

static __always_inline bool read_ipv4(struct connection *connection, struct iphdr *ip, void *end, bool error)
{
	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return false;
	connection->family = 4;
	connection->protocol = ip->protocol;
	connection->client[0] = error ? ip->daddr : ip->saddr;
	connection->service[0] = error ? ip->saddr : ip->daddr;
	return read_ports(connection, (void *)ip + ip->ihl * 4, end, error);
}

static __always_inline bool read_ipv6(struct connection *connection, struct ipv6hdr *ip, void *end, bool error)
{
	if ((void *)(ip + 1) > end || (ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return false;
	connection->family = 6;
	connection->protocol = ip->nexthdr;
	__builtin_memcpy(connection->client, error ? ip->daddr : ip->saddr, 16);
	__builtin_memcpy(connection->service, error ? ip->saddr : ip->daddr, 16);
	return read_ports(connection, (void *)(ip + 1), end, error);
}

static __always_inline enum outcome parse_ipv4(struct parsed *p, struct iphdr *ip, void *end)
{
	struct icmphdr *icmp;
	__u32 header;

	if ((void *)(ip + 1) > end)
		return MALFORMED;
	header = ip->ihl * 4;
	p->length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || p->length < header || (void *)ip + p->length > end)
		return MALFORMED;
	p->family = 4;
	p->tos = ip->tos;
	/* Fragments behind the first have no ports: this machine's stack must put them together, so it gets them all. */
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return NO_SERVICE;
	if (ip->protocol == IPPROTO_ICMP) {
		icmp = (void *)ip + header;
		if ((void *)(icmp + 1) > end)
			return MALFORMED;
		if (icmp->type != ICMP_DEST_UNREACH && icmp->type != ICMP_TIME_EXCEEDED &&
		    icmp->type != ICMP_PARAMETERPROB)
			return NO_SERVICE;
		return read_ipv4(&p->connection, (void *)(icmp + 1), end, true) ? CHOSEN : MALFORMED;
	}
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return NO_SERVICE;
	if (p->length < header + sizeof(struct udphdr))
		return MALFORMED;
	return read_ipv4(&p->connection, ip, end, false) ? CHOSEN : MALFORMED;
}

/* What begins with an extension header passes. */
static __always_inline enum outcome parse_ipv6(struct parsed *p, struct ipv6hdr *ip, void *end)
{
	struct icmphdr *icmp = (void *)(ip + 1);

	if ((void *)icmp > end || (ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return MALFORMED;
	p->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if ((void *)ip + p->length > end)
		return MALFORMED;
	p->family = 6;
	p->tos = bpf_ntohl(ip->version_class_flow) >> 20;
	if (ip->nexthdr == IPPROTO_ICMPV6) {
		if ((void *)(icmp + 1) > end)
			return MALFORMED;
		if (icmp->type < 1 || icmp->type > ICMPV6_LAST_ERROR)
			return NO_SERVICE;
		return read_ipv6(&p->connection, (void *)(icmp + 1), end, true) ? CHOSEN : MALFORMED;
	}
	if (ip->nexthdr != IPPROTO_TCP && ip->nexthdr != IPPROTO_UDP)
		return NO_SERVICE;
	if (p->length < sizeof(*ip) + sizeof(struct udphdr))
		return MALFORMED;
	return read_ipv6(&p->connection, ip, end, false) ? CHOSEN : MALFORMED;
}

/* Finds the connection of a packet; CHOSEN if it may belong to a service. */
static __always_inline enum outcome parse(struct parsed *p, void *data, void *end)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return MALFORMED;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, (void *)(eth + 1), end);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, (void *)(eth + 1), end);
	return NO_SERVICE;
}

static __always_inline enum health health_of(__u32 index)
{
	__u32 *state = bpf_map_lookup_elem(&health, &index);

	return state ? *state : DOWN;
}

/*
 * The first healthy backend from the connection's slot on; false if none of the slots that are tried has one. Every balancer with the same ring
 * and health comes to the same, and as neighbours in the ring are as if drawn by lot, what one backend had is shared by all others.
 */
static __always_inline bool choose(const struct ring *ring, __u32 hash, __u32 *index)
{
	__u32 slot = hash % RING_SIZE;

	__no_unroll
	for (int i = 0; i <= MAX_DETOURS; i++) {
		/* The verifier does not follow the remainder. */
		barrier_var(slot);
		if (slot >= RING_SIZE)
			slot = 0;
		*index = ring->slots[slot];
		if (health_of(*index) == UP)
			return true;
		slot++;
	}
	return false;
}

static __always_inline void write_ipv4(struct iphdr *ip, const struct backend *backend, __u8 tos, __u8 protocol, __u32 length)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = bpf_htons(length);
	ip->id = 0;
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->check = 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++)
		((__u8 *)&ip->saddr)[i] = config.source_ipv4[i];
	__builtin_memcpy(&ip->daddr, backend->address, 4);
	ip->check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void write_ipv6(struct ipv6hdr *ip, const struct backend *backend, __u8 tos, __u8 next, __u32 length)
{
	ip->version_class_flow = bpf_htonl(6u << 28 | (__u32)tos << 20);
	ip->payload_len = bpf_htons(length - sizeof(*ip));
	ip->nexthdr = next;
	ip->hop_limit = 64;
#pragma clang loop unroll(full)
	for (int i = 0; i < 16; i++)
		((__u8 *)ip->saddr)[i] = config.source_ipv6[i];
	__builtin_memcpy(ip->daddr, backend->address, 16);
}

/* Puts the outer headers and the MACs for the backend in front of the packet. */
static __always_inline enum outcome encapsulate(struct xdp_md *ctx, const struct backend *backend, const struct parsed *p,
						__u32 hash)
{
	bool gue = backend->encapsulation == GUE, ipv6 = backend->family == 6;
	__u64 network = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	__u32 size = network + (gue ? sizeof(struct udphdr) : 0), length = p->length + size;
	__u8 protocol = gue ? IPPROTO_UDP : p->family == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct ethhdr macs, *eth = data;
	struct udphdr *udp;

	if (length > config.mtu)
		return TOO_LONG;
	if ((void *)(eth + 1) > end)
		return FAILED;
	macs = *eth;
	if (bpf_xdp_adjust_head(ctx, -(int)size))
		return FAILED;
	data = xdp_data(ctx);
	end = xdp_data_end(ctx);
	eth = data;
	/* Room for the shorter of both headers, and below for the longer. */
	if ((void *)(eth + 1) + sizeof(struct iphdr) > end)
		return FAILED;
	__builtin_memcpy(eth->h_dest, backend->mac, 6);
	/* What the packet was sent to is the MAC of this machine. */
	__builtin_memcpy(eth->h_source, macs.h_dest, 6);
	if (ipv6) {
		if ((void *)(eth + 1) + sizeof(struct ipv6hdr) > end)
			return FAILED;
		eth->h_proto = bpf_htons(ETH_P_IPV6);
		write_ipv6((void *)(eth + 1), backend, p->tos, protocol, length);
	} else {
		eth->h_proto = bpf_htons(ETH_P_IP);
		write_ipv4((void *)(eth + 1), backend, p->tos, protocol, length);
	}
	if (gue) {
		udp = (void *)(eth + 1) + network;
		if ((void *)(udp + 1) > end)
			return FAILED;
		/* One source port a connection, so that networks and cards spread connections and keep each in order. */
		udp->source = bpf_htons(0xc000 | (hash & 0x3fff));
		udp->dest = bpf_htons(GUE_PORT);
		udp->len = bpf_htons(length - network);
		/* None: the packet inside has its own (over IPv6: RFC 6935). */
		udp->check = 0;
	}
	return CHOSEN;
}

static __always_inline void count_backend(__u32 index, __u64 length, bool new)
{
	struct backend_counter *counter = bpf_map_lookup_elem(&backend_counters, &index);

	if (counter) {
		counter->packets++;
		counter->bytes += length;
		counter->connections += new;
	}
}

static __always_inline enum outcome balance(struct xdp_md *ctx, __u64 length)
{
	struct parsed p = {};
	struct service_key key = {};
	struct service *service;
	struct backend *backend;
	__u32 hash, index = 0, *known;
	enum outcome outcome = parse(&p, xdp_data(ctx), xdp_data_end(ctx)), done;

	if (outcome != CHOSEN)
		return outcome;
	__builtin_memcpy(key.address, p.connection.service, 16);
	key.port = bpf_ntohs(p.connection.service_port);
	key.protocol = p.connection.protocol;
	key.family = p.connection.family;
	service = bpf_map_lookup_elem(&services, &key);
	if (!service)
		return NO_SERVICE;

	hash = hash_connection(&p.connection);
	known = bpf_map_lookup_elem(&connections, &p.connection);
	if (known) {
		index = *known;
		outcome = health_of(index) == DOWN ? MOVED : KNOWN;
	}
	if (outcome != KNOWN) {
		struct ring *ring = bpf_map_lookup_elem(&rings, &service->ring);

		if (!ring || !choose(ring, hash, &index))
			return NO_BACKEND;
		bpf_map_update_elem(&connections, &p.connection, &index, BPF_ANY);
	}
	backend = bpf_map_lookup_elem(&backends, &index);
	if (!backend)
		return NO_BACKEND;
	done = encapsulate(ctx, backend, &p, hash);
	if (done != CHOSEN)
		return done;
	count_backend(index, length, outcome != KNOWN);
	return outcome;
}

SEC("xdp")
int xdp_load_balancer(struct xdp_md *ctx)
{
	__u64 length = xdp_data_end(ctx) - xdp_data(ctx);
	__u32 outcome = balance(ctx, length);
	struct counter *counter = bpf_map_lookup_elem(&counters, &outcome);

	if (counter) {
		counter->packets++;
		counter->bytes += length;
	}
	switch (outcome) {
	case KNOWN:
	case CHOSEN:
	case MOVED:
		return XDP_TX;
	case NO_SERVICE:
		return XDP_PASS;
	case FAILED:
		return XDP_ABORTED;
	default:
		return XDP_DROP;
	}
}

char _license[] SEC("license") = "Dual MIT/GPL";
