/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A packet's way with metadata: what is set on XDP is read behind a devmap, a cpumap, a socket of AF_XDP, and on tc. `way` says where `steer` sends packets. */
#include <sluice/trait.h>
#include <sluice/rx_meta.h>

enum { WAY_PASS, WAY_TX, WAY_DROP, WAY_ABORT, WAY_DEVMAP, WAY_HASH, WAY_CPU, WAY_SOCKET, WAY_INTERFACE, WAY_ALL, WAY_NOWHERE };
enum { TRAIT_ID = 1, TRAIT_EGRESS = 2, TRAIT_CPU = 3, TRAIT_TC = 4, TRAIT_SUM = 5 };
enum { BPF_F_BROADCAST = 1 << 3, BPF_F_EXCLUDE_INGRESS = 1 << 4, BPF_F_INGRESS = 1 };
enum { BPF_MAP_TYPE_DEVMAP = 14, BPF_MAP_TYPE_CPUMAP = 16, BPF_MAP_TYPE_XSKMAP = 17, BPF_MAP_TYPE_DEVMAP_HASH = 25 };

static long (*const bpf_redirect)(__u32 ifindex, __u64 flags) = (void *)23;
static long (*const bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)51;
static __u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_clone_redirect)(struct __sk_buff *skb, __u32 ifindex, __u64 flags) = (void *)13;
static long (*const bpf_skb_vlan_push)(struct __sk_buff *skb, __be16 protocol, __u16 tci) = (void *)18;
static long (*const bpf_skb_change_head)(struct __sk_buff *skb, __u32 length, __u64 flags) = (void *)43;
static long (*const bpf_skb_adjust_room)(struct __sk_buff *skb, __s32 difference, __u32 mode, __u64 flags) = (void *)50;

struct target {
	__u32 to;
	int program;
};

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct target);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct target);
} devices_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct target);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} landed SEC(".maps");

__u32 next = 1;
__u32 way = WAY_PASS;
__u32 key = 0;
__u32 store_hints = 0;
/* What edit_skb does: 1 VLAN tag, 2 room for a tunnel, 3 longer head. */
__u32 edit = 0;
__u32 copy_to = 0;
__u32 copy_flags = 0;
__s32 tc_verdict = TC_ACT_OK;
__s32 edited = 0;

/* First of a chain. */
SEC("xdp")
int stamp(struct xdp_md *ctx)
{
	__u32 id = __sync_fetch_and_add(&next, 1);
	__u64 one = 1;

	if (store_hints) {
		bpf_xdp_store_rx_hash(ctx, 0x1000 + id, 8);
		bpf_xdp_store_rx_vlan(ctx, __builtin_bswap16(0x8100), id);
		bpf_xdp_store_rx_ts(ctx, 5000 + id);
	}
	if (bpf_xdp_trait_set(ctx, TRAIT_ID, &id, sizeof(id), 0) != 0)
		return XDP_ABORTED;
	return bpf_xdp_trait_set(ctx, TRAIT_SUM, &one, sizeof(one), 0) == 0 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	switch (way) {
	case WAY_TX:
		return XDP_TX;
	case WAY_DROP:
		return XDP_DROP;
	case WAY_ABORT:
		return XDP_ABORTED;
	case WAY_DEVMAP:
		return bpf_redirect_map(&devices, key, XDP_ABORTED);
	case WAY_HASH:
		return bpf_redirect_map(&devices_hash, key, XDP_ABORTED);
	case WAY_CPU:
		return bpf_redirect_map(&cpus, key, XDP_ABORTED);
	case WAY_SOCKET:
		return bpf_redirect_map(&sockets, key, XDP_ABORTED);
	case WAY_INTERFACE:
		return bpf_redirect(key, 0);
	case WAY_ALL:
		return bpf_redirect_map(&devices, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
	case WAY_NOWHERE:
		return XDP_REDIRECT;
	}
	return XDP_PASS;
}

/* Metadata before the data, as Linux carries it to tc. */
SEC("xdp")
int prepend(struct xdp_md *ctx)
{
	__u32 id = __sync_fetch_and_add(&next, 1);
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(id)) != 0)
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > xdp_data(ctx))
		return XDP_ABORTED;
	*meta = id;
	return XDP_PASS;
}

/* A header of 8 bytes before the packet, and off again. */
SEC("xdp")
int encapsulate(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -8) == 0 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int decapsulate(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, 8) == 0 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp/devmap")
int leave(struct xdp_md *ctx)
{
	__u64 egress = ctx->egress_ifindex;

	return bpf_xdp_trait_set(ctx, TRAIT_EGRESS, &egress, sizeof(egress), 0) == 0 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp/cpumap")
int land(struct xdp_md *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&landed, &zero);

	if (count)
		*count += 1;
	return bpf_xdp_trait_set(ctx, TRAIT_CPU, &cpu, sizeof(cpu), 0) == 0 ? XDP_PASS : XDP_ABORTED;
}

/* The packet's number becomes its mark: that of its trait, or of its metadata. */
SEC("tc")
int receive(struct __sk_buff *skb)
{
	struct {
		__u8 before[140];
		__u32 data_meta;
	} *with_meta = (void *)skb;
	__u32 *meta = (void *)(long)with_meta->data_meta;
	__u32 id;

	if (bpf_skb_trait_get(skb, TRAIT_ID, &id, sizeof(id)) == sizeof(id))
		skb->mark = id;
	else if ((void *)(meta + 1) <= xdp_data(skb))
		skb->mark = *meta;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int edit_skb(struct __sk_buff *skb)
{
	switch (edit) {
	case 1:
		edited = bpf_skb_vlan_push(skb, __builtin_bswap16(0x8100), 5) ?: bpf_skb_vlan_push(skb, __builtin_bswap16(0x8100), 6);
		break;
	case 2:
		edited = bpf_skb_adjust_room(skb, 24, 1, 0);
		break;
	case 3:
		edited = bpf_skb_change_head(skb, 14, 0);
		break;
	}
	return TC_ACT_UNSPEC;
}

SEC("tc")
int copy_skb(struct __sk_buff *skb)
{
	__u32 mine = 7;

	if (copy_to)
		edited = bpf_clone_redirect(skb, copy_to, copy_flags);
	/* The copy does not see it. */
	bpf_skb_trait_set(skb, TRAIT_TC, &mine, sizeof(mine), 0);
	return tc_verdict;
}

SEC("tc")
int send_on(struct __sk_buff *skb)
{
	return bpf_redirect(key, copy_flags);
}

char _license[] SEC("license") = "Dual MIT/GPL";
