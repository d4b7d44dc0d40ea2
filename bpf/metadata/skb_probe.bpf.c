/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What tc finds of a packet that came through XDP, with metadata before its data, after a helper has changed it: the last byte of the source address says which. */
#include <sluice/bpf.h>

enum { PACKETS = 16 };

static long (*const bpf_clone_redirect)(struct __sk_buff *skb, __u32 ifindex, __u64 flags) = (void *)13;
static long (*const bpf_skb_vlan_push)(struct __sk_buff *skb, __be16 protocol, __u16 tci) = (void *)18;
static long (*const bpf_skb_vlan_pop)(struct __sk_buff *skb) = (void *)19;
static long (*const bpf_skb_change_tail)(struct __sk_buff *skb, __u32 length, __u64 flags) = (void *)38;
static long (*const bpf_skb_pull_data)(struct __sk_buff *skb, __u32 length) = (void *)39;
static long (*const bpf_skb_change_head)(struct __sk_buff *skb, __u32 length, __u64 flags) = (void *)43;
static long (*const bpf_skb_adjust_room)(struct __sk_buff *skb, __s32 difference, __u32 mode, __u64 flags) = (void *)50;

struct skb_view {
	__u8 before[140];
	__u32 data_meta;
	__u8 between[16];
	__u32 wire_len;
};

struct seen {
	__u32 times;
	__s32 result;
	__u32 len;
	__u32 pkt_type;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 wire_len;
	/* Bytes of metadata: 0, 4, 8, or 12 for more; and the first two words. */
	__u32 meta_length;
	__u32 meta[2];
	__u8 first[32];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PACKETS);
	__type(key, __u32);
	__type(value, struct seen);
} probe SEC(".maps");

SEC("xdp")
int prepend(struct xdp_md *ctx)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -8) != 0)
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 2) > xdp_data(ctx))
		return XDP_ABORTED;
	meta[0] = 0x11223344;
	meta[1] = 0x55667788;
	return XDP_PASS;
}

static __always_inline int change(struct __sk_buff *skb, __u32 how)
{
	switch (how) {
	case 1:
		return bpf_skb_vlan_push(skb, __builtin_bswap16(0x8100), 5);
	case 2:
		return bpf_skb_vlan_push(skb, __builtin_bswap16(0x8100), 5) ?: bpf_skb_vlan_push(skb, __builtin_bswap16(0x88a8), 6);
	case 3:
		return bpf_skb_adjust_room(skb, 24, 1, 0);
	case 4:
		return bpf_skb_adjust_room(skb, -8, 1, 0);
	case 5:
		return bpf_skb_change_head(skb, 14, 0);
	case 6:
		return bpf_skb_change_head(skb, 400, 0);
	case 7:
		return bpf_skb_change_tail(skb, skb->len + 20, 0);
	case 8:
		return bpf_clone_redirect(skb, skb->ifindex, 0);
	case 9:
		return bpf_skb_vlan_pop(skb);
	case 10:
		return bpf_skb_pull_data(skb, 0);
	}
	return 0;
}

SEC("tc")
int observe(struct __sk_buff *skb)
{
	struct skb_view *view = (void *)skb;
	struct seen *seen;
	__u32 *meta;
	void *data;
	__u8 how;
	__u32 at;

	if (bpf_skb_load_bytes(skb, 11, &how, 1) != 0)
		return 0;
	at = how & (PACKETS - 1);
	seen = bpf_map_lookup_elem(&probe, &at);
	if (!seen)
		return 0;
	seen->result = change(skb, at);
	seen->times++;
	seen->len = skb->len;
	seen->pkt_type = skb->pkt_type;
	seen->protocol = skb->protocol;
	seen->vlan_present = skb->vlan_present;
	seen->vlan_tci = skb->vlan_tci;
	seen->vlan_proto = skb->vlan_proto;
	seen->wire_len = view->wire_len;
	meta = (void *)(long)view->data_meta;
	data = xdp_data(skb);
	seen->meta_length = 0;
	seen->meta[0] = 0;
	seen->meta[1] = 0;
	if ((void *)(meta + 1) <= data) {
		seen->meta_length = 4;
		seen->meta[0] = meta[0];
	}
	if ((void *)(meta + 2) <= data) {
		seen->meta_length = 8;
		seen->meta[1] = meta[1];
	}
	if ((void *)(meta + 3) <= data)
		seen->meta_length = 12;
	bpf_skb_load_bytes(skb, 0, seen->first, sizeof(seen->first));
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
