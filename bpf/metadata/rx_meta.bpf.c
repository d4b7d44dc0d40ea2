/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Hash, tag and receive time as the packet says (16 bytes at 14: hash, type, protocol, tag, time's lower half), stored; and what is known of it, into the packet. */
#include <sluice/packet.h>
#include <sluice/rx_meta.h>

struct known {
	__u8 ethernet[14];
	__u16 store;
	__u32 hash;
	__u32 type;
	__be16 protocol;
	__u16 tci;
	__u64 time;
	__s32 hash_result;
	__s32 vlan_result;
	__s32 time_result;
} __attribute__((packed));

enum { HASH = 1, VLAN = 2, TIME = 4 };

SEC("xdp")
int store_known(struct xdp_md *ctx)
{
	struct known *known = xdp_data(ctx);

	if ((void *)(known + 1) > xdp_data_end(ctx))
		return XDP_ABORTED;
	if (known->store & HASH)
		known->hash_result = bpf_xdp_store_rx_hash(ctx, known->hash, known->type);
	if (known->store & VLAN)
		known->vlan_result = bpf_xdp_store_rx_vlan(ctx, known->protocol, known->tci);
	if (known->store & TIME)
		known->time_result = bpf_xdp_store_rx_ts(ctx, known->time);
	return XDP_PASS;
}

SEC("xdp")
int read_known(struct xdp_md *ctx)
{
	struct known *known = xdp_data(ctx);
	enum xdp_rss_hash_type type = 0;
	__be16 protocol = 0;
	__u64 time = 0;
	__u32 hash = 0;
	__u16 tci = 0;

	if ((void *)(known + 1) > xdp_data_end(ctx))
		return XDP_ABORTED;
	known->hash_result = bpf_xdp_metadata_rx_hash(ctx, &hash, &type);
	known->vlan_result = bpf_xdp_metadata_rx_vlan_tag(ctx, &protocol, &tci);
	known->time_result = bpf_xdp_metadata_rx_timestamp(ctx, &time);
	known->hash = hash;
	known->type = type;
	known->protocol = protocol;
	known->tci = tci;
	known->time = time;
	return XDP_PASS;
}

/* Both in one run: what a program stores it reads itself. */
SEC("xdp")
int store_and_read(struct xdp_md *ctx)
{
	int verdict = store_known(ctx);

	return verdict == XDP_PASS ? read_known(ctx) : verdict;
}

char _license[] SEC("license") = "Dual MIT/GPL";
