// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Exceptions, from every depth: out of subprograms, and (what Linux refuses) out of callbacks of loops that the engines expand and of
// callbacks that the plane calls.
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>

char _license[] SEC("license") = "GPL";

static long (*const bpf_for_each_map_elem)(void *map, void *callback, void *ctx, __u64 flags) = (void *)164;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

static void count(__u32 at, __u64 by)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &at);
	if (value)
		*value += by;
}

SEC("tc")
int throw_always(struct __sk_buff *skb)
{
	bpf_throw(64);
	return 1;
}

SEC("tc")
int throw_of_long(struct __sk_buff *skb)
{
	if (skb->len == 64)
		bpf_throw(64);
	return skb->len;
}

__noinline int deepest(struct __sk_buff *skb)
{
	volatile int there[8] = {};
	there[skb->len & 7] = 3;
	if (skb->len > 70)
		bpf_throw(skb->len + there[skb->len & 7]);
	return there[0];
}

static __noinline int deeper(struct __sk_buff *skb)
{
	volatile int there[16] = {};
	there[3] = deepest(skb);
	count(0, 1);
	return there[3] + 1;
}

SEC("tc")
int throw_from_subprogram(struct __sk_buff *skb)
{
	int got = deeper(skb) + 1;
	count(1, 10);
	return got + 1000;
}

static int round_of_loop(__u32 at, void *ctx)
{
	int *stop = ctx;
	count(2, 1);
	if ((int)at == *stop)
		bpf_throw(5000 + at);
	return 0;
}

SEC("tc")
int throw_from_loop(struct __sk_buff *skb)
{
	int stop = skb->len - 60;
	long rounds = bpf_loop(20, round_of_loop, &stop, 0);
	count(3, rounds);
	return rounds;
}

static long each(void *map, const void *key, void *value, void *ctx)
{
	int *stop = ctx;
	*(__u64 *)value += 1;
	if (*(__u32 *)key == *stop)
		bpf_throw(7000 + *(__u32 *)key);
	return 0;
}

SEC("tc")
int throw_from_map(struct __sk_buff *skb)
{
	int stop = skb->len - 60;
	long calls = bpf_for_each_map_elem(&counts, each, &stop, 0);
	return calls;
}

static long each_with_loop(void *map, const void *key, void *value, void *ctx)
{
	bpf_loop(10, round_of_loop, ctx, 0);
	return 0;
}

SEC("tc")
int throw_through_both(struct __sk_buff *skb)
{
	int stop = skb->len - 60;
	return bpf_for_each_map_elem(&counts, each_with_loop, &stop, 0);
}

static int round_with_each(__u32 at, void *ctx)
{
	bpf_for_each_map_elem(&counts, each, ctx, 0);
	return 0;
}

SEC("tc")
int throw_through_both_ways(struct __sk_buff *skb)
{
	int stop = skb->len - 60;
	return bpf_loop(3, round_with_each, &stop, 0);
}

__noinline int handle(__u64 cookie)
{
	volatile __u64 kept[4] = {};
	kept[1] = cookie;
	count(4, cookie);
	return kept[1] * 2 + 1;
}

SEC("tc")
__exception_cb(handle)
int throw_with_callback(struct __sk_buff *skb)
{
	return deeper(skb) + 100;
}

SEC("tc")
__exception_cb(handle)
int throw_not(struct __sk_buff *skb)
{
	if (skb->len == 3)
		bpf_throw(1);
	return 77;
}
