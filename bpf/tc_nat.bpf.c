/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Stateless NAT for IPv4 on tc: addresses and ports of TCP and UDP by a table, the same table for both directions. An entry with a port
 * translates that port alone (port forwarding); one with port 0 a whole address (1:1), ports unchanged, and ICMP echo with it. ICMP errors are
 * translated with the packet that they quote (RFC 5508), so that path MTU discovery and traceroute work through it.
 *
 * All changes go through the helpers, which keep the socket buffer's own checksum state right too.
 */
#include <sluice/bpf.h>
#include <sluice/packet.h>

#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

enum direction { SOURCE, DESTINATION };

enum outcome {
	TRANSLATED,
	/* No entry: the packet goes on as it is. */
	NO_ENTRY,
	NOT_IPV4,
	MALFORMED,
	/* A helper refused; the packet may be half translated and is dropped. */
	FAILED,
	OUTCOMES,
};

/* What an endpoint is now. Ports in host order; 0 with every port that has no entry of its own. */
struct endpoint {
	__u8 address[4];
	__u16 port;
	__u8 protocol;
	/* enum direction */
	__u8 direction;
};

struct translation {
	__u8 address[4];
	/* 0: as before. */
	__u16 port;
	__u16 zero;
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct endpoint);
	__type(value, struct translation);
} translations SEC(".maps");

/* By enum direction * OUTCOMES + enum outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * OUTCOMES);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Places in the packet and what stands there. */
struct found {
	__u32 network;
	__u32 transport;
	__u8 protocol;
	/* Ports can be read and changed here: the first fragment or no fragment, TCP or UDP. */
	bool ports;
	__be32 address;
	__be16 port;
	/* Of an ICMP error: offset of the IP header that it quotes, which all but `network` is about then; 0 for everything else. */
	__u32 quoted;
	/* Place of the ICMP checksum, and the address of the error itself. */
	__u32 icmp_check;
	__be32 outer;
};

/*
 * What an error quotes went the other way: an error that leaves is about a packet to here, one that comes in about a packet from here. Without
 * enough of that packet there is no telling whose it is.
 */
static __always_inline enum outcome parse_quoted(struct __sk_buff *skb, struct found *found, enum direction direction)
{
	struct iphdr ip;
	__be16 ports[2];

	found->icmp_check = found->transport + 2;
	found->quoted = found->transport + sizeof(struct icmphdr);
	if (bpf_skb_load_bytes(skb, found->quoted, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return NO_ENTRY;
	found->outer = found->address;
	found->address = direction == SOURCE ? ip.daddr : ip.saddr;
	found->protocol = ip.protocol;
	found->transport = found->quoted + ip.ihl * 4;
	if (ip.frag_off & bpf_htons(IP_OFFSET) || (ip.protocol != IPPROTO_TCP && ip.protocol != IPPROTO_UDP))
		return TRANSLATED;
	if (bpf_skb_load_bytes(skb, found->transport, ports, sizeof(ports)))
		return NO_ENTRY;
	found->ports = true;
	found->port = direction == SOURCE ? ports[1] : ports[0];
	return TRANSLATED;
}

static __always_inline enum outcome parse(struct __sk_buff *skb, struct found *found, enum direction direction)
{
	struct iphdr ip;
	__be16 proto, ports[2];

	if (bpf_skb_load_bytes(skb, 12, &proto, sizeof(proto)))
		return MALFORMED;
	/* VLAN tags in the packet, where the device has not taken them off; the outermost mostly lies in the context. */
	found->network = sizeof(struct ethhdr);
#pragma clang loop unroll(full)
	for (int i = 0; i < 2; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if (bpf_skb_load_bytes(skb, found->network + 2, &proto, sizeof(proto)))
			return MALFORMED;
		found->network += sizeof(struct vlanhdr);
	}
	if (proto != bpf_htons(ETH_P_IP))
		return NOT_IPV4;
	if (bpf_skb_load_bytes(skb, found->network, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return MALFORMED;
	found->transport = found->network + ip.ihl * 4;
	found->protocol = ip.protocol;
	found->address = direction == SOURCE ? ip.saddr : ip.daddr;
	/* The checksum of a whole datagram lies in its first fragment: the others have an address alone to change. */
	if (ip.frag_off & bpf_htons(IP_OFFSET))
		return TRANSLATED;
	if (ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP) {
		/* All up to the checksum must be there, before anything is changed. */
		__u32 header = ip.protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);

		if (found->transport + header > skb->len)
			return MALFORMED;
		if (bpf_skb_load_bytes(skb, found->transport, ports, sizeof(ports)))
			return MALFORMED;
		found->ports = true;
		found->port = direction == SOURCE ? ports[0] : ports[1];
	} else if (ip.protocol == IPPROTO_ICMP) {
		__u8 type;

		if (bpf_skb_load_bytes(skb, found->transport, &type, 1))
			return MALFORMED;
		if (type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB)
			return parse_quoted(skb, found, direction);
		if (type != ICMP_ECHO && type != ICMP_ECHOREPLY)
			return NO_ENTRY;
	} else {
		/* Other protocols may sum addresses up in ways unknown here. */
		return NO_ENTRY;
	}
	return TRANSLATED;
}

static __always_inline struct translation *lookup(const struct found *found, enum direction direction)
{
	struct endpoint key = { .protocol = found->protocol, .direction = direction };
	struct translation *translation;

	__builtin_memcpy(key.address, &found->address, 4);
	if (found->ports) {
		key.port = bpf_ntohs(found->port);
		translation = bpf_map_lookup_elem(&translations, &key);
		if (translation)
			return translation;
	}
	key.port = 0;
	return bpf_map_lookup_elem(&translations, &key);
}

static __always_inline enum outcome rewrite(struct __sk_buff *skb, const struct found *found, __be32 address,
					    __be16 port, enum direction direction)
{
	__u32 address_at = found->network + (direction == SOURCE ? 12 : 16);
	__u32 port_at = found->transport + (direction == SOURCE ? 0 : 2);

	if (found->ports) {
		bool udp = found->protocol == IPPROTO_UDP;
		__u32 check_at = found->transport + (udp ? 6 : 16);
		/* A UDP sum of 0 stands for none: it stays, and no sum becomes it. */
		__u64 mangled = udp ? BPF_F_MARK_MANGLED_0 : 0;

		if (bpf_l4_csum_replace(skb, check_at, found->address, address, mangled | BPF_F_PSEUDO_HDR | 4))
			return FAILED;
		if (port != found->port) {
			if (bpf_l4_csum_replace(skb, check_at, found->port, port, mangled | 2))
				return FAILED;
			if (bpf_skb_store_bytes(skb, port_at, &port, sizeof(port), 0))
				return FAILED;
		}
	}
	if (bpf_l3_csum_replace(skb, found->network + 10, found->address, address, 4))
		return FAILED;
	if (bpf_skb_store_bytes(skb, address_at, &address, sizeof(address), 0))
		return FAILED;
	return TRANSLATED;
}

/* Replaces two bytes at `at` that the ICMP checksum covers. */
static __always_inline long replace_quoted(struct __sk_buff *skb, const struct found *found, __u32 at, __be16 from, __be16 to)
{
	return bpf_l4_csum_replace(skb, found->icmp_check, from, to, 2) ||
	       bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0);
}

/* The transport checksum in a quoted packet, which may end before it. */
static __always_inline long rewrite_quoted_check(struct __sk_buff *skb, const struct found *found, __be32 address, __be16 port)
{
	bool udp = found->protocol == IPPROTO_UDP;
	__u32 at = found->transport + (udp ? 6 : 16);
	__u64 mangled = udp ? BPF_F_MARK_MANGLED_0 : 0;
	__be16 before, after;

	if (bpf_skb_load_bytes(skb, at, &before, sizeof(before)))
		return 0;
	if (bpf_l4_csum_replace(skb, at, found->address, address, mangled | 4) ||
	    bpf_l4_csum_replace(skb, at, found->port, port, mangled | 2) ||
	    bpf_skb_load_bytes(skb, at, &after, sizeof(after)))
		return -1;
	return bpf_l4_csum_replace(skb, found->icmp_check, before, after, 2);
}

static __always_inline enum outcome rewrite_error(struct __sk_buff *skb, const struct found *found, __be32 address,
						  __be16 port, enum direction direction)
{
	__u32 outer_at = found->network + (direction == SOURCE ? 12 : 16);
	__u32 quoted_at = found->quoted + (direction == SOURCE ? 16 : 12);
	__u32 port_at = found->transport + (direction == SOURCE ? 2 : 0);

	if (found->ports && rewrite_quoted_check(skb, found, address, port))
		return FAILED;
	if (found->ports && port != found->port && replace_quoted(skb, found, port_at, found->port, port))
		return FAILED;
	/* Address and header checksum balance each other: the ICMP checksum does not change by them. */
	if (bpf_l3_csum_replace(skb, found->quoted + 10, found->address, address, 4) ||
	    bpf_skb_store_bytes(skb, quoted_at, &address, sizeof(address), 0))
		return FAILED;
	/* A router between the host and here reports in its own name. */
	if (found->outer != found->address)
		return TRANSLATED;
	if (bpf_l3_csum_replace(skb, found->network + 10, found->outer, address, 4) ||
	    bpf_skb_store_bytes(skb, outer_at, &address, sizeof(address), 0))
		return FAILED;
	return TRANSLATED;
}

static __always_inline int translate(struct __sk_buff *skb, enum direction direction)
{
	struct found found = {};
	enum outcome outcome = parse(skb, &found, direction);
	struct translation *translation;
	__u64 *counter;
	__u32 index;

	if (outcome == TRANSLATED) {
		translation = lookup(&found, direction);
		if (translation) {
			__be16 port = translation->port ? bpf_htons(translation->port) : found.port;
			__be32 address;

			__builtin_memcpy(&address, translation->address, 4);
			__sync_fetch_and_add(&translation->packets, 1);
			__sync_fetch_and_add(&translation->bytes, skb->len);
			outcome = found.quoted ? rewrite_error(skb, &found, address, port, direction)
					       : rewrite(skb, &found, address, port, direction);
		} else {
			outcome = NO_ENTRY;
		}
	}
	index = direction * OUTCOMES + outcome;
	counter = bpf_map_lookup_elem(&counters, &index);
	if (counter)
		*counter += 1;
	return outcome == MALFORMED || outcome == FAILED ? TC_ACT_SHOT : TC_ACT_OK;
}

/* For packets that leave: their source becomes what the world sees. */
SEC("tc")
int tc_nat_egress(struct __sk_buff *skb)
{
	return translate(skb, SOURCE);
}

/* For packets that arrive: their destination becomes what it is inside. */
SEC("tc")
int tc_nat_ingress(struct __sk_buff *skb)
{
	return translate(skb, DESTINATION);
}

char _license[] SEC("license") = "Dual MIT/GPL";
