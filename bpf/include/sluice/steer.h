/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Steering: which queue of a device a packet goes to, and the hash that the device reports with it (virtio-net's hash_value and hash_report).
 *
 *  - SEC("socket"): what TUNSETSTEERINGEBPF takes. The return value is the queue: 16 bits of it, modulo the number of queues. With Sluice, such a program may ask the device
 *    for its own computation, and report a hash, by the kfuncs below; they are weak, so that one object serves the kernel too.
 *  - SEC("vnet_hash"): the context has hash, report and queue (struct vnet_hash_md); the return value means nothing.
 *
 * Kfuncs: 0, a hash, or a negated errno: -EOPNOTSUPP outside of a device, -EINVAL.
 */
#ifndef SLUICE_STEER_H
#define SLUICE_STEER_H

#include "bpf.h"

/* hash_types of a configuration; hash_report is 1 + the number of the bit. */
enum vnet_hash_type {
	VNET_HASH_TYPE_IPV4 = 1 << 0,
	VNET_HASH_TYPE_TCPV4 = 1 << 1,
	VNET_HASH_TYPE_UDPV4 = 1 << 2,
	VNET_HASH_TYPE_IPV6 = 1 << 3,
	VNET_HASH_TYPE_TCPV6 = 1 << 4,
	VNET_HASH_TYPE_UDPV6 = 1 << 5,
	/* Packets with extension headers: addresses are those of a home address option and of a routing header of type 2, where there are any. */
	VNET_HASH_TYPE_IPV6_EX = 1 << 6,
	VNET_HASH_TYPE_TCPV6_EX = 1 << 7,
	VNET_HASH_TYPE_UDPV6_EX = 1 << 8,
};

enum vnet_hash_report {
	VNET_HASH_REPORT_NONE = 0,
	VNET_HASH_REPORT_IPV4 = 1,
	VNET_HASH_REPORT_TCPV4 = 2,
	VNET_HASH_REPORT_UDPV4 = 3,
	VNET_HASH_REPORT_IPV6 = 4,
	VNET_HASH_REPORT_TCPV6 = 5,
	VNET_HASH_REPORT_UDPV6 = 6,
	VNET_HASH_REPORT_IPV6_EX = 7,
	VNET_HASH_REPORT_TCPV6_EX = 8,
	VNET_HASH_REPORT_UDPV6_EX = 9,
};

/* Asks for the device's own computation, where the device was told to understand it (Linux does not: it is queue 65535 modulo the queues there). */
#define STEER_FALLBACK (-1)

/* The device's own computation. A hash may be 0: `report` says whether there is one. */
struct bpf_vnet_rss {
	__u32 hash;
	__u16 report;
	/* By the indirection table, before it is taken modulo the number of queues. */
	__u16 queue;
};

/* Context of SEC("vnet_hash"): struct __sk_buff and three fields behind it, zeros at first. Loads and stores of whole fields. */
struct vnet_hash_md {
	union {
		struct __sk_buff skb;
		__u64 whole[24];
	};
	__u32 vnet_hash_value;
	__u16 vnet_hash_report;
	__u16 vnet_rss_queue;
};

/* The result is a struct bpf_vnet_rss. */
extern int bpf_vnet_rss(struct __sk_buff *skb, void *result, __u32 result__sz) __weak __ksym;
/* Hash of any input under the device's key; -EINVAL where the key is shorter than the input and 4 bytes. */
extern __s64 bpf_vnet_toeplitz(struct __sk_buff *skb, const void *input, __u32 input__sz) __weak __ksym;
/* What the device reports. VNET_HASH_REPORT_NONE takes it back; -EINVAL for a report that has no number. */
extern int bpf_vnet_set_hash(struct __sk_buff *skb, __u32 hash, __u32 report) __weak __ksym;

enum bpf_hdr_start_off { BPF_HDR_START_MAC = 0, BPF_HDR_START_NET = 1 };
static long (*const bpf_skb_load_bytes_relative)(const struct __sk_buff *skb, __u32 offset, void *to, __u32 length,
						 __u32 start) = (void *)68;

#endif
