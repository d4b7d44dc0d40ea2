/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Receive-side scaling in C, for any kernel since 5.3: maps with the layouts and names of the ones that QEMU fills (tools/ebpf), so that what fills those fills
 * these; hash types as the specification says, EX types included; fragments by their addresses alone.
 */
#ifndef RSS_H
#define RSS_H

#include <sluice/packet.h>
#include <sluice/steer.h>

#ifndef BPF_F_MMAPABLE
#define BPF_F_MMAPABLE (1U << 10)
#endif

#define RSS_TABLE_SIZE 128
#define RSS_INPUT 36
#define RSS_VLAN_TAGS 2
#define RSS_EXTENSIONS 11
#define RSS_OPTIONS 30

#define IPPROTO_MH 135
#define IPPROTO_HIP 139
#define IPPROTO_SHIM6 140
#define OPTION_PAD1 0
#define OPTION_HOME_ADDRESS 0xc9
#define ROUTING_TYPE_2 2

struct rss_config {
	/* 0: all packets go to default_queue. */
	__u8 redirect;
	/* Who reports the hash; the program computes it for the queue anyway. */
	__u8 populate_hash;
	__u32 hash_types;
	/* A power of two. */
	__u16 indirections_len;
	/* Of packets without a hash. */
	__u16 default_queue;
} __attribute__((packed));

/* The key: its first 32 bits as a number, then the bytes behind. */
struct rss_key {
	__u32 leftmost_32_bits;
	__u8 next_byte[RSS_INPUT];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct rss_config);
} tap_rss_map_configurations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct rss_key);
} tap_rss_map_toeplitz_key SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RSS_TABLE_SIZE);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u16);
} tap_rss_map_indirection_table SEC(".maps");

/* What is hashed, zeros behind it: they add nothing. */
struct rss_input {
	union {
		__u8 bytes[RSS_INPUT];
		struct {
			__be32 addresses[2];
			__be32 ports;
		} v4;
		struct {
			__be32 source[4];
			__be32 destination[4];
			__be32 ports;
		} v6;
	};
};

static __always_inline long rss_load(struct __sk_buff *skb, __u32 offset, void *to, __u32 length)
{
	return bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_MAC);
}

static __always_inline __u32 rss_toeplitz(const struct rss_key *key, const struct rss_input *input)
{
	__u32 window = key->leftmost_32_bits, hash = 0;
	int i, bit;

	__no_unroll
	for (i = 0; i < RSS_INPUT; i++) {
		__u32 byte = input->bytes[i], next = key->next_byte[i];

#pragma unroll
		for (bit = 7; bit >= 0; bit--) {
			hash ^= window & -(byte >> bit & 1);
			window = window << 1 | (next >> bit & 1);
		}
	}
	return hash;
}

/*
 * Offset of the address in a home address option of [offset, end), 0: there is none. A global function: the verifier walks it once, whatever the packet was before.
 */
__noinline __u32 rss_home_address(struct __sk_buff *skb, __u32 offset, __u32 end)
{
	int i;

	__no_unroll
	for (i = 0; i < RSS_OPTIONS; i++) {
		__u8 option[2] = {};

		/* The last byte of a header may be Pad1, with nothing behind. */
		if (offset >= end || rss_load(skb, offset, option, 1))
			return 0;
		if (option[0] == OPTION_PAD1) {
			offset++;
			continue;
		}
		if (offset + 2 > end || rss_load(skb, offset, option, 2) || offset + 2 + option[1] > end)
			return 0;
		if (option[0] == OPTION_HOME_ADDRESS && option[1] == 16)
			return offset + 2;
		offset += 2 + option[1];
	}
	return 0;
}

static __always_inline bool rss_is_extension(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case IPPROTO_HIP:
	case IPPROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

/* What is behind extension headers, and what they held. */
#define RSS_CHAIN_OFFSET(chain) ((__u32)(chain) & 0xfffff)
#define RSS_CHAIN_PROTOCOL(chain) ((__u8)((chain) >> 20))
/* The packet is a fragment, or its headers are cut: no protocol is known. */
#define RSS_CHAIN_CUT (1ULL << 28)
/* Offsets of a home address, and of that in a routing header of type 2; 0: none. */
#define RSS_CHAIN_HOME(chain) ((__u32)((chain) >> 32) & 0xffff)
#define RSS_CHAIN_ROUTED(chain) ((__u32)((chain) >> 48))

/* Walks extension headers from `offset` on; `protocol` says which the first is. Another global function. */
__noinline __u64 rss_extensions(struct __sk_buff *skb, __u32 offset, __u32 protocol)
{
	__u64 found = 0;
	int i;

	protocol &= 0xff;
	__no_unroll
	for (i = 0; i < RSS_EXTENSIONS; i++) {
		__u8 header[8] = {}, last;
		__u32 size, home;

		if (!rss_is_extension(protocol))
			return found | protocol << 20 | offset;
		/* What is behind a fragment header is there in the first fragment alone. */
		if (protocol == IPPROTO_FRAGMENT || rss_load(skb, offset, header, sizeof(header)))
			return found | RSS_CHAIN_CUT;
		size = protocol == IPPROTO_AH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		/* A header counts whole, or not at all. */
		if (rss_load(skb, offset + size - 1, &last, 1))
			return found | RSS_CHAIN_CUT;
		if (protocol == IPPROTO_DSTOPTS && !RSS_CHAIN_HOME(found)) {
			home = rss_home_address(skb, offset + 2, offset + size);
			found |= (__u64)(home & 0xffff) << 32;
		} else if (protocol == IPPROTO_ROUTING && header[2] == ROUTING_TYPE_2 && header[1] == 2 && !RSS_CHAIN_ROUTED(found)) {
			found |= (__u64)(offset + 8) << 48;
		}
		protocol = header[0];
		offset += size;
	}
	return rss_is_extension(protocol) ? found | RSS_CHAIN_CUT : found | protocol << 20 | offset;
}

static __always_inline __u32 rss_ipv4(struct __sk_buff *skb, __u32 offset, __u32 types, struct rss_input *input)
{
	struct iphdr ip;

	if (rss_load(skb, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return VNET_HASH_REPORT_NONE;
	input->v4.addresses[0] = ip.saddr;
	input->v4.addresses[1] = ip.daddr;
	if (!(ip.frag_off & bpf_htons(IP_MF | IP_OFFSET))) {
		__u32 type = ip.protocol == IPPROTO_TCP ? VNET_HASH_TYPE_TCPV4 :
			     ip.protocol == IPPROTO_UDP ? VNET_HASH_TYPE_UDPV4 : 0;

		if ((types & type) && !rss_load(skb, offset + ip.ihl * 4, &input->v4.ports, 4))
			return type == VNET_HASH_TYPE_TCPV4 ? VNET_HASH_REPORT_TCPV4 : VNET_HASH_REPORT_UDPV4;
		input->v4.ports = 0;
	}
	return types & VNET_HASH_TYPE_IPV4 ? VNET_HASH_REPORT_IPV4 : VNET_HASH_REPORT_NONE;
}

static __always_inline __u32 rss_ipv6(struct __sk_buff *skb, __u32 offset, __u32 types, struct rss_input *input)
{
	struct ipv6hdr ip;
	__u32 home = 0, routed = 0;
	__be32 ports = 0;
	bool extended, transport;
	__u8 protocol;

	if (rss_load(skb, offset, &ip, sizeof(ip)) || (bpf_ntohl(ip.version_class_flow) >> 28) != 6)
		return VNET_HASH_REPORT_NONE;
	protocol = ip.nexthdr;
	offset += sizeof(ip);
	extended = rss_is_extension(protocol);
	if (extended) {
		__u64 chain = rss_extensions(skb, offset, protocol);

		home = RSS_CHAIN_HOME(chain);
		routed = RSS_CHAIN_ROUTED(chain);
		protocol = chain & RSS_CHAIN_CUT ? IPPROTO_NONE : RSS_CHAIN_PROTOCOL(chain);
		offset = RSS_CHAIN_OFFSET(chain);
	}
	transport = (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) && !rss_load(skb, offset, &ports, 4);
	__builtin_memcpy(input->v6.source, &ip.saddr, 16);
	__builtin_memcpy(input->v6.destination, &ip.daddr, 16);
	if (extended) {
		__u32 type = transport ? protocol == IPPROTO_TCP ? VNET_HASH_TYPE_TCPV6_EX : VNET_HASH_TYPE_UDPV6_EX : 0;

		if (types & (type | VNET_HASH_TYPE_IPV6_EX)) {
			/* Both are there: the headers that they are in are whole. */
			if (home)
				rss_load(skb, home, input->v6.source, 16);
			if (routed)
				rss_load(skb, routed, input->v6.destination, 16);
			if (!(types & type))
				return VNET_HASH_REPORT_IPV6_EX;
			input->v6.ports = ports;
			return protocol == IPPROTO_TCP ? VNET_HASH_REPORT_TCPV6_EX : VNET_HASH_REPORT_UDPV6_EX;
		}
	}
	if (transport && (types & (protocol == IPPROTO_TCP ? VNET_HASH_TYPE_TCPV6 : VNET_HASH_TYPE_UDPV6))) {
		input->v6.ports = ports;
		return protocol == IPPROTO_TCP ? VNET_HASH_REPORT_TCPV6 : VNET_HASH_REPORT_UDPV6;
	}
	return types & VNET_HASH_TYPE_IPV6 ? VNET_HASH_REPORT_IPV6 : VNET_HASH_REPORT_NONE;
}

/* Collects what is hashed; hash_report of the packet. */
static __always_inline __u32 rss_fields(struct __sk_buff *skb, __u32 types, struct rss_input *input)
{
	struct ethhdr eth;
	__u32 offset = sizeof(eth);
	__be16 proto;
	int i;

	if (rss_load(skb, 0, &eth, sizeof(eth)))
		return VNET_HASH_REPORT_NONE;
	proto = eth.h_proto;
#pragma unroll
	for (i = 0; i < RSS_VLAN_TAGS; i++) {
		struct vlanhdr tag;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if (rss_load(skb, offset, &tag, sizeof(tag)))
			return VNET_HASH_REPORT_NONE;
		proto = tag.proto;
		offset += sizeof(tag);
	}
	if (proto == bpf_htons(ETH_P_IP))
		return rss_ipv4(skb, offset, types, input);
	return proto == bpf_htons(ETH_P_IPV6) ? rss_ipv6(skb, offset, types, input) : VNET_HASH_REPORT_NONE;
}

/* Hash, report and queue by the maps; zeros without them. */
static __always_inline void rss(struct __sk_buff *skb, struct bpf_vnet_rss *result)
{
	struct rss_input input = {};
	__u32 zero = 0, index, report;
	struct rss_config *config = bpf_map_lookup_elem(&tap_rss_map_configurations, &zero);
	struct rss_key *key = bpf_map_lookup_elem(&tap_rss_map_toeplitz_key, &zero);
	__u16 *queue;

	__builtin_memset(result, 0, sizeof(*result));
	if (!config || !key)
		return;
	result->queue = config->default_queue;
	if (!config->redirect)
		return;
	report = rss_fields(skb, config->hash_types, &input);
	if (report == VNET_HASH_REPORT_NONE)
		return;
	result->report = report;
	result->hash = rss_toeplitz(key, &input);
	index = result->hash & (config->indirections_len - 1);
	queue = bpf_map_lookup_elem(&tap_rss_map_indirection_table, &index);
	if (queue)
		result->queue = *queue;
}

#endif
