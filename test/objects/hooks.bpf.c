// SPDX-License-Identifier: MIT OR GPL-2.0-only
// One program for every type that is run over sk_buffs or a context, as people write them; prelude: test/clang.ts.

struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex, tc_index;
	u32 cb[5];
	u32 hash, tc_classid, data, data_end, napi_id, family, remote_ip4, local_ip4;
	u32 remote_ip6[4], local_ip6[4];
	u32 remote_port, local_port, data_meta;
	struct bpf_flow_keys *flow_keys;
	u64 tstamp;
	u32 wire_len, gso_segs;
	void *sk;
	u32 gso_size;
	u8 tstamp_type;
	u64 hwtstamp;
};
struct bpf_flow_keys {
	u16 nhoff, thoff, addr_proto;
	u8 is_frag, is_first_frag, is_encap, ip_proto;
	u16 n_proto, sport, dport;
	u32 ipv4_src, ipv4_dst, rest[6];
	u32 flags, flow_label;
};
struct bpf_sk_lookup {
	u64 cookie;
	u32 family, protocol, remote_ip4, remote_ip6[4];
	u16 remote_port, padding;
	u32 local_ip4, local_ip6[4], local_port, ingress_ifindex;
};
struct ethhdr { u8 dst[6], src[6]; u16 proto; } __attribute__((packed));
struct iphdr { u8 vihl, tos; u16 len, id, frag; u8 ttl, protocol; u16 check; u32 saddr, daddr; };

static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*bpf_skb_store_bytes)(void *skb, u32 offset, const void *from, u32 len, u64 flags) = (void *)9;
static long (*bpf_l3_csum_replace)(void *skb, u32 offset, u64 from, u64 to, u64 size) = (void *)10;
static long (*bpf_l4_csum_replace)(void *skb, u32 offset, u64 from, u64 to, u64 flags) = (void *)11;
static long (*bpf_skb_vlan_push)(void *skb, u16 proto, u16 tci) = (void *)18;
static long (*bpf_skb_vlan_pop)(void *skb) = (void *)19;
static long (*bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*bpf_skb_load_bytes)(const void *skb, u32 offset, void *to, u32 len) = (void *)26;
static long (*bpf_skb_change_tail)(void *skb, u32 len, u64 flags) = (void *)38;
static long (*bpf_skb_change_head)(void *skb, u32 len, u64 flags) = (void *)43;
static long (*bpf_skb_adjust_room)(void *skb, s32 diff, u32 mode, u64 flags) = (void *)50;

char _license[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, 1);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u64);
} sources SEC(".maps");

#define htons(x) __builtin_bswap16(x)

/* Source NAT, with checksums, and an account of the sources that it changed. */
SEC("tc")
int nat(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > end || eth->proto != htons(0x0800)) return 0;
	u32 old = ip->saddr, new = __builtin_bswap32(0x0a000001), header = (ip->vihl & 15) * 4;
	u8 protocol = ip->protocol;
	u64 one = 1, *count = bpf_map_lookup_elem(&sources, &old);
	if (count) __sync_fetch_and_add(count, 1);
	else bpf_map_update_elem(&sources, &old, &one, 0);
	bpf_l3_csum_replace(skb, 14 + 10, old, new, 4);
	if (protocol == 17) bpf_l4_csum_replace(skb, 14 + header + 6, old, new, 0x34);
	if (protocol == 6) bpf_l4_csum_replace(skb, 14 + header + 16, old, new, 0x14);
	bpf_skb_store_bytes(skb, 14 + 12, &new, 4, 2);
	skb->mark ^= 7;
	skb->cb[2] = skb->len;
	if (protocol == 1) return bpf_redirect(1, 1);
	return protocol == 6 ? 3 : 2;
}

/* IP in IP: room, then the outer header. */
SEC("tc")
int encapsulate(struct __sk_buff *skb)
{
	struct iphdr outer = {.vihl = 0x45, .ttl = 64, .protocol = 4, .saddr = 0x0100000a, .daddr = 0x0200000a};
	if (skb->protocol != htons(0x0800)) return 0;
	outer.len = htons(skb->len - 14 + sizeof(outer));
	if (bpf_skb_adjust_room(skb, sizeof(outer), 1, 2)) return 2;
	if (bpf_skb_store_bytes(skb, 14, &outer, sizeof(outer), 0)) return 2;
	return 0;
}

SEC("tcx/ingress")
int tag(struct __sk_buff *skb)
{
	if (skb->protocol == htons(0x8100)) {
		if (bpf_skb_vlan_pop(skb)) return 2;
		return skb->vlan_present ? 0 : -1;
	}
	bpf_skb_vlan_push(skb, htons(0x8100), 100);
	bpf_skb_vlan_push(skb, htons(0x88a8), skb->len & 0xfff);
	return 0;
}

SEC("socket")
int filter(struct __sk_buff *skb)
{
	u8 protocol;
	if (bpf_skb_load_bytes(skb, 9, &protocol, 1)) return 0;
	skb->cb[0] = protocol;
	return protocol == 6 ? 40 : skb->len;
}

SEC("cgroup_skb/egress")
int account(struct __sk_buff *skb)
{
	skb->priority = skb->remote_ip4;
	return skb->len > 100 ? 1 : 3;
}

SEC("lwt_xmit")
int link_header(struct __sk_buff *skb)
{
	struct ethhdr eth = {.dst = {2, 2, 2, 2, 2, 2}, .src = {4, 4, 4, 4, 4, 4}, .proto = htons(0x0800)};
	if (bpf_skb_change_head(skb, sizeof(eth), 0)) return 2;
	if (bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0)) return 2;
	return bpf_skb_change_tail(skb, skb->len + 2, 0) ? 2 : 0;
}

SEC("raw_tp/sys_enter")
int arguments(u64 *ctx)
{
	return ctx[0] + ctx[1];
}

SEC("sk_lookup")
int lookup(struct bpf_sk_lookup *ctx)
{
	return !(ctx->local_port < 1024 || ctx->remote_port == htons(99) || ctx->remote_ip6[1] == 5);
}

SEC("syscall")
int call(u64 *ctx)
{
	ctx[1] = ctx[0] * 3;
	return ctx[2];
}

SEC("flow_dissector")
int dissect(struct __sk_buff *skb)
{
	struct bpf_flow_keys *keys = skb->flow_keys;
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	u32 at = keys->nhoff;
	struct iphdr *ip = data + (at & 0xff);
	if ((void *)(ip + 1) > end) return 2;
	if (keys->n_proto != htons(0x0800)) return 129;
	keys->ip_proto = ip->protocol;
	keys->addr_proto = 0x0800;
	keys->ipv4_src = ip->saddr;
	keys->ipv4_dst = ip->daddr;
	keys->thoff = at + (ip->vihl & 15) * 4;
	return 0;
}
