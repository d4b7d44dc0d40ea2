/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Every kind of XDP_REDIRECT, by the last byte of the IPv4 destination: 1 interface, 2 devmap, 3 all of a devmap_hash but the ingress, 4 xskmap, 5 cpumap, 6 an interface that is not there. */
#include <sluice/bpf.h>

enum { BPF_F_BROADCAST = 1 << 3, BPF_F_EXCLUDE_INGRESS = 1 << 4 };
enum { BPF_MAP_TYPE_DEVMAP = 14, BPF_MAP_TYPE_CPUMAP = 16, BPF_MAP_TYPE_XSKMAP = 17, BPF_MAP_TYPE_DEVMAP_HASH = 25 };

static long (*const bpf_redirect)(__u32 ifindex, __u64 flags) = (void *)23;
static long (*const bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)51;

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} group SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cpus SEC(".maps");

/* Interface of kind 1. */
__u32 out;

SEC("xdp")
int redirects(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 34 > end)
		return XDP_PASS;
	switch (data[33]) {
	case 1:
		return bpf_redirect(out, 0);
	case 2:
		return bpf_redirect_map(&devices, 0, XDP_DROP);
	case 3:
		return bpf_redirect_map(&group, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
	case 4:
		return bpf_redirect_map(&sockets, 0, XDP_DROP);
	case 5:
		return bpf_redirect_map(&cpus, 0, XDP_DROP);
	case 6:
		return bpf_redirect(0x7fffffff, 0);
	}
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
