/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the driver says of each packet (rx metadata kfuncs), in a map by the packet's UDP source port. */
#include <sluice/bpf.h>

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash, __u32 *type) __ksym;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __u16 *protocol, __u16 *tci) __ksym;

struct hints {
	__s32 timestamp_result;
	__s32 hash_result;
	__s32 vlan_result;
	__u32 hash;
	__u32 hash_type;
	__u32 vlan;
	__u64 timestamp;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct hints);
} hints SEC(".maps");

SEC("xdp")
int note_hints(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct hints found = {};
	__u16 protocol = 0, tci = 0;
	__u32 port;

	if (data + 36 > end)
		return XDP_PASS;
	port = data[34] << 8 | data[35];
	found.timestamp_result = bpf_xdp_metadata_rx_timestamp(ctx, &found.timestamp);
	found.hash_result = bpf_xdp_metadata_rx_hash(ctx, &found.hash, &found.hash_type);
	found.vlan_result = bpf_xdp_metadata_rx_vlan_tag(ctx, &protocol, &tci);
	found.vlan = (__u32)protocol << 16 | tci;
	bpf_map_update_elem(&hints, &port, &found, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
