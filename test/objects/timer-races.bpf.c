// SPDX-License-Identifier: MIT OR GPL-2.0-only
// What several CPUs do at once with one timer and one work item; timers of inner maps; copies of objects by CPU.
#include <sluice/bpf.h>
#include <sluice/mem.h>
#include <sluice/timer.h>

char _license[] SEC("license") = "GPL";

#define MS 1000000ULL
#define EBUSY 16
#define EINVAL 22

static long (*const this_numa_node)(void) = (void *)42;
static void *(*const per_cpu_ptr)(const void *object, __u32 cpu) = (void *)153;
static void *(*const this_cpu_ptr)(const void *object) = (void *)154;

struct timed {
	__u64 fired;
	struct bpf_timer timer;
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timed);
} one SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct timed);
} inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [0] = &inner } };

struct counter {
	__u64 count;
};

struct counters {
	struct counter __percpu_kptr *each;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} owner SEC(".maps");

__u64 ticks;

static int again(void *map, __u32 *key, struct timed *value)
{
	__sync_fetch_and_add(&value->fired, 1);
	bpf_timer_start(&value->timer, MS, 0);
	return 0;
}

static int worked(void *map, __u32 *key, struct timed *value)
{
	__sync_fetch_and_add(&ticks, 1);
	return 0;
}

static int tick(void *map, __u32 *key, struct timed *value)
{
	__sync_fetch_and_add(&ticks, 1);
	bpf_timer_start(&value->timer, 1000, 0);
	return 0;
}

#define unless(expected, place) if (!(expected)) return place

/* 0, or which call said what it must not. The value that is written over the old one has something in place of its fields. */
SEC("syscall")
int race(void *ctx)
{
	struct timed garbage = {}, *value;
	__u32 key = 0;
	long r;

	*(__u64 *)&garbage.timer = 0xdeadcaf3;
	*(__u64 *)&garbage.work = 0xdeadcaf3;
	r = bpf_map_update_elem(&one, &key, &garbage, 0);
	unless(r == 0, 1);
	value = bpf_map_lookup_elem(&one, &key);
	if (!value)
		return 2;
	r = bpf_timer_init(&value->timer, &one, CLOCK_MONOTONIC);
	unless(r == 0 || r == -EBUSY, 3);
	r = bpf_wq_init(&value->work, &one, 0);
	unless(r == 0 || r == -EBUSY, 4);
	r = bpf_timer_set_callback(&value->timer, again);
	unless(r == 0 || r == -EINVAL, 5);
	r = bpf_wq_set_callback(&value->work, worked, 0);
	unless(r == 0 || r == -EINVAL, 6);
	r = bpf_timer_start(&value->timer, 0, 0);
	unless(r == 0 || r == -EINVAL, 7);
	r = bpf_wq_start(&value->work, 0);
	unless(r == 0 || r == -EINVAL, 8);
	r = bpf_timer_cancel(&value->timer);
	unless(r == 0 || r == 1 || r == -EINVAL, 9);
	return 0;
}

SEC("syscall")
int arm_inner(void *ctx)
{
	struct timed init = {}, *value;
	__u32 key = 0;
	void *map = bpf_map_lookup_elem(&outer, &key);

	if (!map)
		return 1;
	bpf_map_update_elem(map, &key, &init, 0);
	value = bpf_map_lookup_elem(map, &key);
	if (!value)
		return 2;
	if (bpf_timer_init(&value->timer, map, CLOCK_MONOTONIC))
		return 3;
	bpf_timer_set_callback(&value->timer, tick);
	return bpf_timer_start(&value->timer, 0, 0) ? 4 : 5;
}

SEC("tc")
int make_counters(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct counters *value = bpf_map_lookup_elem(&owner, &key);
	struct counter __percpu_kptr *made, *old;

	if (!value)
		return 0;
	made = bpf_percpu_obj_new(struct counter);
	if (!made)
		return 0;
	old = bpf_kptr_xchg(&value->each, made);
	if (old)
		bpf_percpu_obj_drop(old);
	return 1;
}

/* The node, plus 1. */
SEC("tc")
int count_here(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct counters *value = bpf_map_lookup_elem(&owner, &key);
	struct counter __percpu_kptr *each;
	struct counter *own;

	if (!value || !(each = value->each))
		return 0;
	own = this_cpu_ptr(each);
	own->count++;
	return this_numa_node() + 1;
}

/* Counts of the first four CPUs that there are, one byte each. */
SEC("tc")
int counts(struct __sk_buff *skb)
{
	__u32 key = 0, all = 0;
	struct counters *value = bpf_map_lookup_elem(&owner, &key);
	struct counter __percpu_kptr *each;

	if (!value || !(each = value->each))
		return 0;
	for (__u32 cpu = 0; cpu < 4; cpu++) {
		struct counter *of = per_cpu_ptr(each, cpu);
		all = all << 8 | (of ? of->count & 0xff : 0xff);
	}
	return all;
}
