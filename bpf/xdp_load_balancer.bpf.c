/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * An L4 load balancer on XDP for IPv4 TCP and UDP. A connection to a service is given to a backend by a consistent-hash ring that user
 * space fills (Maglev or another way), stays there (LRU table) as long as that backend is healthy, and its packets go there in IPIP
 * (RFC 2003); the backend answers the client directly. What belongs to no service passes.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>

#define IPPROTO_IPIP 4

#define SERVICES 16
/* Slots of a service's ring: a prime, as Maglev's permutations need. */
#define RING_SIZE 1021
#define BACKENDS 256
/* Slots behind the first that are tried where a backend is down. */
#define MAX_DETOURS 32

enum outcome {
	/* To the backend that the table holds for the connection. */
	KNOWN,
	/* A first packet, to the backend of the ring. */
	CHOSEN,
	/* To another backend than before: that one is down. */
	MOVED,
	NO_SERVICE,
	NO_BACKEND,
	/* With 20 bytes more the packet would be over the limit. */
	TOO_LONG,
	MALFORMED,
	FAILED,
	OUTCOMES,
};

/* May change while the program runs. */
volatile struct {
	/* Source of what goes to backends. */
	__u8 source[4];
	/* Longest IP packet towards the backends, outer header included. */
	__u32 mtu;
} config = { .source = { 10, 255, 0, 1 }, .mtu = 1500 };

/* Port in host order. */
struct service_key {
	__u8 address[4];
	__u16 port;
	__u8 protocol;
	__u8 zero;
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
	__u8 address[4];
	/* Next hop. */
	__u8 mac[6];
	/* Zero: packets go elsewhere. User space checks and sets it. */
	__u16 healthy;
};

/* Ports in network byte order. */
struct connection {
	__be32 client;
	__be32 service;
	__be16 client_port;
	__be16 service_port;
	__u32 protocol;
};

struct counter {
	__u64 packets;
	__u64 bytes;
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

/* Slots that nobody has filled say 0: a backend 0 that is never healthy catches them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

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
	__type(value, struct counter);
} backend_counters SEC(".maps");

static __always_inline void count(void *map, __u32 index, __u64 length)
{
	struct counter *counter = bpf_map_lookup_elem(map, &index);

	if (counter) {
		counter->packets++;
		counter->bytes += length;
	}
}

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
	__u32 hash = mix(0x9e3779b9, connection->client);

	hash = mix(hash, connection->service);
	hash = mix(hash, connection->client_port | (__u32)connection->service_port << 16);
	return mix(hash, connection->protocol);
}

/* The first healthy backend from the connection's slot on; NULL if none of the slots that are tried has one. */
static __always_inline struct backend *choose(const struct ring *ring, __u32 hash, __u32 *index)
{
	__u32 slot = hash % RING_SIZE;

	__no_unroll
	for (int i = 0; i <= MAX_DETOURS; i++) {
		struct backend *backend;

		/* The verifier does not follow the remainder. */
		barrier_var(slot);
		if (slot >= RING_SIZE)
			slot = 0;
		*index = ring->slots[slot];
		backend = bpf_map_lookup_elem(&backends, index);
		if (backend && backend->healthy)
			return backend;
		slot++;
	}
	return NULL;
}

/* Puts an IPv4 header and the MACs for the backend in front of the packet. */
static __always_inline bool encapsulate(struct xdp_md *ctx, const struct backend *backend, __u16 inner)
{
	struct ethhdr macs, *eth;
	struct iphdr *ip;
	void *data, *end;
	__u32 sum = 0;

	data = xdp_data(ctx);
	end = xdp_data_end(ctx);
	eth = data;
	if ((void *)(eth + 1) > end)
		return false;
	macs = *eth;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return false;
	data = xdp_data(ctx);
	end = xdp_data_end(ctx);
	eth = data;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > end)
		return false;
	__builtin_memcpy(eth->h_dest, backend->mac, 6);
	/* What the packet was sent to is the MAC of this machine. */
	__builtin_memcpy(eth->h_source, macs.h_dest, 6);
	eth->h_proto = bpf_htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = 0;
	ip->tot_len = bpf_htons(inner + sizeof(*ip));
	ip->id = 0;
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = 64;
	ip->protocol = IPPROTO_IPIP;
	ip->check = 0;
	for (int i = 0; i < 4; i++)
		((__u8 *)&ip->saddr)[i] = config.source[i];
	__builtin_memcpy(&ip->daddr, backend->address, 4);
#pragma clang loop unroll(full)
	for (int i = 0; i < 10; i++)
		sum += ((__u16 *)ip)[i];
	ip->check = csum_fold(sum);
	return true;
}

static __always_inline enum outcome balance(struct xdp_md *ctx, __u64 length)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct connection connection = {};
	struct service_key key = {};
	struct service *service;
	struct backend *backend = NULL;
	__u32 header, inner, index, *known;
	__be16 *ports;
	enum outcome outcome;

	if ((void *)ip > end)
		return MALFORMED;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return NO_SERVICE;
	if ((void *)(ip + 1) > end)
		return MALFORMED;
	header = ip->ihl * 4;
	inner = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || inner < header || (void *)ip + inner > end)
		return MALFORMED;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return NO_SERVICE;
	/* Fragments behind the first have no ports: this machine's stack must put them together, so it gets them all. */
	if (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET))
		return NO_SERVICE;
	ports = (void *)ip + header;
	if (inner < header + 8 || (void *)(ports + 2) > end)
		return MALFORMED;

	__builtin_memcpy(key.address, &ip->daddr, 4);
	key.port = bpf_ntohs(ports[1]);
	key.protocol = ip->protocol;
	service = bpf_map_lookup_elem(&services, &key);
	if (!service)
		return NO_SERVICE;
	if (inner + sizeof(*ip) > config.mtu)
		return TOO_LONG;

	connection.client = ip->saddr;
	connection.service = ip->daddr;
	connection.client_port = ports[0];
	connection.service_port = ports[1];
	connection.protocol = ip->protocol;
	outcome = CHOSEN;
	known = bpf_map_lookup_elem(&connections, &connection);
	if (known) {
		index = *known;
		backend = bpf_map_lookup_elem(&backends, &index);
		outcome = KNOWN;
		if (backend && !backend->healthy)
			backend = NULL;
	}
	if (!backend) {
		struct ring *ring = bpf_map_lookup_elem(&rings, &service->ring);

		if (!ring)
			return NO_BACKEND;
		if (known)
			outcome = MOVED;
		backend = choose(ring, hash_connection(&connection), &index);
		if (!backend)
			return NO_BACKEND;
		bpf_map_update_elem(&connections, &connection, &index, BPF_ANY);
	}
	if (!encapsulate(ctx, backend, inner))
		return FAILED;
	count(&backend_counters, index, length);
	return outcome;
}

SEC("xdp")
int xdp_load_balancer(struct xdp_md *ctx)
{
	__u64 length = xdp_data_end(ctx) - xdp_data(ctx);
	enum outcome outcome = balance(ctx, length);

	count(&counters, outcome, length);
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
