/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Steers connections to sockets at the kernel's socket lookup, by prefix of the local address and range of the local port: one server can
 * listen once and serve any number of addresses and ports, without a bind for each and without NAT. What no rule is for goes on as ever.
 */
#include <sluice/bpf.h>

#define AF_INET 2

#define SOCKETS 256
#define RANGES 4096
/* Ranges of a prefix that are looked at. */
#define MAX_RANGES 64

enum outcome {
	/* No prefix, or none of its ranges: the ordinary lookup goes on. */
	NO_RULE,
	STEERED,
	/* A range says so: as if nothing listened there. */
	REFUSED,
	/* The rule's socket is not there; the ordinary lookup goes on. */
	NO_SOCKET,
	/* The socket does not fit the connection: another family, or no listener. */
	UNFIT,
	OUTCOMES,
};

/* Prefix lengths are 32 and more: protocol and family have to be equal. */
struct prefix {
	__u32 prefix_length;
	/* 6 or 17. */
	__u16 protocol;
	/* 4 or 6. */
	__u16 family;
	/* IPv4 in the first. */
	__be32 address[4];
};

/* A prefix's place in `ranges`; the first range that holds the port counts. */
struct rule {
	__u32 first;
	__u32 count;
};

struct range {
	/* Both included, host order. */
	__u16 first_port;
	__u16 last_port;
	/* Place in `sockets`, and how many from there on share the connections, by the client's address and port; 0: connections are refused. */
	__u16 socket;
	__u16 sockets;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, struct rule);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RANGES);
	__type(key, __u32);
	__type(value, struct range);
} ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, SOCKETS);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

/* By enum outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline struct rule *find_rule(struct bpf_sk_lookup *ctx)
{
	struct prefix key = { .protocol = ctx->protocol };

	if (ctx->family == AF_INET) {
		key.prefix_length = 32 + 32;
		key.family = 4;
		key.address[0] = ctx->local_ip4;
	} else {
		key.prefix_length = 32 + 128;
		key.family = 6;
		key.address[0] = ctx->local_ip6[0];
		key.address[1] = ctx->local_ip6[1];
		key.address[2] = ctx->local_ip6[2];
		key.address[3] = ctx->local_ip6[3];
	}
	return bpf_map_lookup_elem(&prefixes, &key);
}

static __always_inline struct range *find_range(const struct rule *rule, __u32 port)
{
	__no_unroll
	for (__u32 i = 0; i < MAX_RANGES; i++) {
		__u32 index = rule->first + i;
		struct range *range;

		if (i >= rule->count)
			break;
		range = bpf_map_lookup_elem(&ranges, &index);
		if (!range)
			break;
		if (port >= range->first_port && port <= range->last_port)
			return range;
	}
	return NULL;
}

/* The same for all connections of an address and port: Fibonacci hashing. */
static __always_inline __u32 hash_client(struct bpf_sk_lookup *ctx)
{
	__u32 word = ctx->family == AF_INET ? ctx->remote_ip4
					    : ctx->remote_ip6[0] ^ ctx->remote_ip6[1] ^ ctx->remote_ip6[2] ^
						      ctx->remote_ip6[3];

	return (word ^ (__u32)ctx->remote_port << 16 ^ ctx->remote_port) * 0x9e3779b1 >> 16;
}

static __always_inline enum outcome steer(struct bpf_sk_lookup *ctx)
{
	struct rule *rule = find_rule(ctx);
	struct range *range;
	struct bpf_sock *socket;
	__u32 index;
	long refused;

	if (!rule)
		return NO_RULE;
	range = find_range(rule, ctx->local_port);
	if (!range)
		return NO_RULE;
	if (!range->sockets)
		return REFUSED;
	index = range->socket + hash_client(ctx) % range->sockets;
	socket = bpf_map_lookup_elem(&sockets, &index);
	if (!socket)
		return NO_SOCKET;
	refused = bpf_sk_assign(ctx, socket, 0);
	bpf_sk_release(socket);
	return refused ? UNFIT : STEERED;
}

SEC("sk_lookup")
int sk_lookup_steer(struct bpf_sk_lookup *ctx)
{
	__u32 outcome = steer(ctx);
	__u64 *counter = bpf_map_lookup_elem(&counters, &outcome);

	if (counter)
		*counter += 1;
	return outcome == REFUSED ? SK_DROP : SK_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
