/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a BPF program needs, without a kernel header or libbpf: integer types, section and map macros, byte order, XDP.
 * Names, numbers and layouts are those of include/uapi/linux/bpf.h; macros have the meaning that libbpf gives them.
 * Don't include together with vmlinux.h or linux/bpf.h.
 */
#ifndef SLUICE_BPF_H
#define SLUICE_BPF_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
/* Values in network byte order, and folded or unfolded checksums. */
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u16 __sum16;
typedef __u32 __wsum;

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __hidden __attribute__((visibility("hidden")))
#define __weak __attribute__((weak))
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))

/* Members of a map definition in SEC(".maps"): loaders read numbers and types from BTF. */
#define __uint(name, value) int (*name)[value]
#define __type(name, type) typeof(type) *name
#define __array(name, type) typeof(type) *name[]

#define __ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* All BPF objects here are little-endian (target bpf on a little-endian host, or bpfel). */
#define bpf_htons(x) ((__be16)__builtin_bswap16(x))
#define bpf_ntohs(x) ((__u16)__builtin_bswap16(x))
#define bpf_htonl(x) ((__be32)__builtin_bswap32(x))
#define bpf_ntohl(x) ((__u32)__builtin_bswap32(x))

/* Keeps a loop a loop: the verifier walks it, and there is less code. */
#define __no_unroll _Pragma("clang loop unroll(disable) vectorize(disable)")

/* The compiler may not know more about `variable` than the verifier does. */
#define barrier_var(variable) asm volatile("" : "+r"(variable))

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_HASH_OF_MAPS = 13,
	BPF_MAP_TYPE_SOCKMAP = 15,
	BPF_MAP_TYPE_QUEUE = 22,
	BPF_MAP_TYPE_STACK = 23,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_BLOOM_FILTER = 30,
};

/* Map flags, and flags of bpf_map_update_elem. */
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };

enum xdp_action {
	XDP_ABORTED = 0,
	XDP_DROP = 1,
	XDP_PASS = 2,
	XDP_TX = 3,
	XDP_REDIRECT = 4,
};

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

/* First byte of the packet, and the byte behind the last, as pointers; of a struct __sk_buff too. */
#define xdp_data(ctx) ((void *)(long)(ctx)->data)
#define xdp_data_end(ctx) ((void *)(long)(ctx)->data_end)

/* Verdicts of a classifier that decides itself (direct action). */
enum {
	TC_ACT_UNSPEC = -1,
	TC_ACT_OK = 0,
	TC_ACT_SHOT = 2,
};

/* Context of classifiers and socket filters, as far as programs here need it; the kernel's goes on. */
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__be32 remote_ip4;
	__be32 local_ip4;
	__be32 remote_ip6[4];
	__be32 local_ip6[4];
	__be32 remote_port;
	__u32 local_port;
	__u32 data_meta;
};

/* Verdicts of programs that choose sockets. */
enum sk_action { SK_DROP = 0, SK_PASS = 1 };

struct bpf_sock;

/* Context of socket lookups. */
struct bpf_sk_lookup {
	/* What was chosen so far. */
	struct bpf_sock *sk;
	__u32 family;
	__u32 protocol;
	/* Network byte order; the local port in host order. */
	__be32 remote_ip4;
	__be32 remote_ip6[4];
	__be16 remote_port;
	__u16 zero;
	__be32 local_ip4;
	__be32 local_ip6[4];
	__u32 local_port;
	__u32 ingress_ifindex;
};

/* Flags of bpf_l4_csum_replace; its lower 4 bits are the size of the field, 0 for a difference in `to`. */
enum {
	BPF_F_PSEUDO_HDR = 1 << 4,
	BPF_F_MARK_MANGLED_0 = 1 << 5,
};

/* Helpers, by their numbers in the UAPI; what each does is in bpf-helpers(7). */
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_skb_store_bytes)(struct __sk_buff *skb, __u32 offset, const void *from, __u32 length,
					 __u64 flags) = (void *)9;
static long (*const bpf_l3_csum_replace)(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to,
					 __u64 size) = (void *)10;
static long (*const bpf_l4_csum_replace)(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to,
					 __u64 flags) = (void *)11;
static long (*const bpf_tail_call)(void *ctx, void *prog_array_map, __u32 index) = (void *)12;
static long (*const bpf_skb_load_bytes)(const struct __sk_buff *skb, __u32 offset, void *to, __u32 length) = (void *)26;
static __s64 (*const bpf_csum_diff)(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size,
				    __wsum seed) = (void *)28;
static long (*const bpf_xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static long (*const bpf_xdp_adjust_meta)(struct xdp_md *ctx, int delta) = (void *)54;
static long (*const bpf_loop)(__u32 nr_loops, void *callback, void *ctx, __u64 flags) = (void *)181;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *ctx, int delta) = (void *)65;
static long (*const bpf_sk_release)(struct bpf_sock *sk) = (void *)86;
static long (*const bpf_sk_assign)(void *ctx, struct bpf_sock *sk, __u64 flags) = (void *)124;
static long (*const bpf_ringbuf_output)(void *ringbuf, void *data, __u64 size, __u64 flags) = (void *)130;
static long (*const bpf_map_push_elem)(void *map, const void *value, __u64 flags) = (void *)87;
static long (*const bpf_map_pop_elem)(void *map, void *value) = (void *)88;
static long (*const bpf_map_peek_elem)(void *map, void *value) = (void *)89;
static void *(*const bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *data, __u64 flags) = (void *)133;
static long (*const bpf_xdp_load_bytes)(struct xdp_md *ctx, __u32 offset, void *to, __u32 length) = (void *)189;
static long (*const bpf_xdp_store_bytes)(struct xdp_md *ctx, __u32 offset, void *from, __u32 length) = (void *)190;

struct iphdr;
struct ipv6hdr;
struct tcphdr;
/* The cookie in the lower 32 bits, the MSS that it stands for above; negative: an error. `length` is that of the header with its options. */
static __s64 (*const bpf_tcp_raw_gen_syncookie_ipv4)(struct iphdr *ip, struct tcphdr *tcp, __u32 length) = (void *)204;
static __s64 (*const bpf_tcp_raw_gen_syncookie_ipv6)(struct ipv6hdr *ip, struct tcphdr *tcp, __u32 length) = (void *)205;
/* 0 for an ACK whose number is a cookie of this minute or the one before, plus 1. */
static long (*const bpf_tcp_raw_check_syncookie_ipv4)(struct iphdr *ip, struct tcphdr *tcp) = (void *)206;
static long (*const bpf_tcp_raw_check_syncookie_ipv6)(struct ipv6hdr *ip, struct tcphdr *tcp) = (void *)207;

#endif
