// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Timers and work: what the helpers return, and what the callbacks leave in `log`, one line a callback.
#include <sluice/bpf.h>
#include <sluice/timer.h>

char _license[] SEC("license") = "GPL";

#define MS 1000000ULL

struct timed {
	__u32 before;
	struct bpf_timer timer;
	struct bpf_wq work;
	__u64 after;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct timed);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct timed);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8);
	__type(key, __u64[2]);
	__type(value, struct timed);
} bucket SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct timed);
} lru SEC(".maps");

/* Where callbacks write: how many there were, and what each saw. */
__u64 calls;
__u64 lines[16];

#define mix(sum, value) ((sum) = (sum) * 31 + (__u32)(value))

static void note(__u64 what)
{
	__u64 at = calls++;
	if (at < 16)
		lines[at] = what;
}

static int fired(void *map, __u32 *key, struct timed *value)
{
	note((__u64)*key << 32 | value->before << 16 | value->after);
	return 0;
}

static int fired_again(void *map, __u32 *key, struct timed *value)
{
	note(*key);
	if (++value->after < 4)
		bpf_timer_start(&value->timer, MS, 0);
	return 0;
}

static int fired_itself(void *map, __u32 *key, struct timed *value)
{
	note((__u32)bpf_timer_cancel(&value->timer));
	note((__u32)bpf_timer_start(&value->timer, 1ULL << 50, 0));
	return 0;
}

static int fired_and_deletes(void *map, __u32 *key, struct timed *value)
{
	__u32 own = *key;
	note((__u32)bpf_map_delete_elem(map, &own));
	note((__u32)bpf_timer_start(&value->timer, 0, 0));
	return 0;
}

static int worked(void *map, __u32 *key, struct timed *value)
{
	note((__u64)*key << 32 | value->after);
	return 0;
}

static int fired_of_bucket(void *map, __u64 *key, struct timed *value)
{
	note(key[0] << 32 | key[1] << 16 | value->after);
	return 0;
}

static __always_inline struct timed *fresh(void *map, __u32 key, __u64 after)
{
	struct timed init = { .before = key + 1, .after = after };
	bpf_map_update_elem(map, &key, &init, 0);
	return bpf_map_lookup_elem(map, &key);
}

SEC("syscall")
int errors(void *ctx)
{
	__u32 sum = 1;
	struct timed *value = fresh(&hash, 1, 0);
	if (!value)
		return 0;
	mix(sum, bpf_timer_start(&value->timer, 0, 0));
	mix(sum, bpf_timer_set_callback(&value->timer, fired));
	mix(sum, bpf_timer_cancel(&value->timer));
	mix(sum, bpf_timer_init(&value->timer, &hash, 2));
	mix(sum, bpf_timer_init(&value->timer, &hash, 1 << 8));
	mix(sum, bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_start(&value->timer, 0, 0));
	mix(sum, bpf_timer_set_callback(&value->timer, fired));
	mix(sum, bpf_timer_start(&value->timer, 0, 1 << 5));
	mix(sum, bpf_timer_start(&value->timer, 1ULL << 50, 0));
	mix(sum, bpf_timer_cancel(&value->timer));
	mix(sum, bpf_timer_cancel(&value->timer));
	mix(sum, bpf_timer_start(&value->timer, 0, 0));
	mix(sum, bpf_wq_start(&value->work, 0));
	mix(sum, bpf_wq_init(&value->work, &hash, 1));
	mix(sum, bpf_wq_init(&value->work, &hash, 0));
	mix(sum, bpf_wq_init(&value->work, &hash, 0));
	mix(sum, bpf_wq_start(&value->work, 0));
	mix(sum, bpf_wq_set_callback(&value->work, worked, 1));
	mix(sum, bpf_wq_set_callback(&value->work, worked, 0));
	mix(sum, bpf_wq_start(&value->work, 1));
	return sum;
}

SEC("syscall")
int fire_in_order(void *ctx)
{
	__u32 sum = 1;
	/* 5 after 2 ms, 0 after 10 ms, 3 after 20 ms. */
	struct timed *first = fresh(&array, 5, 50), *second = fresh(&array, 0, 51), *third = fresh(&array, 3, 52);
	if (!first || !second || !third)
		return 0;
	mix(sum, bpf_timer_init(&first->timer, &array, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_init(&second->timer, &array, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_init(&third->timer, &array, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&first->timer, fired));
	mix(sum, bpf_timer_set_callback(&second->timer, fired));
	mix(sum, bpf_timer_set_callback(&third->timer, fired));
	mix(sum, bpf_timer_start(&third->timer, 20 * MS, 0));
	mix(sum, bpf_timer_start(&first->timer, 2 * MS, 0));
	mix(sum, bpf_timer_start(&second->timer, bpf_ktime_get_ns() + 10 * MS, BPF_F_TIMER_ABS));
	return sum;
}

SEC("syscall")
int fire_again(void *ctx)
{
	__u32 sum = 1;
	struct timed *value = fresh(&lru, 9, 0);
	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &lru, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, fired_again));
	mix(sum, bpf_timer_start(&value->timer, 0, 0));
	return sum;
}

SEC("syscall")
int moved_on(void *ctx)
{
	__u32 sum = 1;
	struct timed *value = fresh(&hash, 2, 7);
	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, fired));
	/* A second start takes the place of the first. */
	mix(sum, bpf_timer_start(&value->timer, 1ULL << 50, 0));
	mix(sum, bpf_timer_start(&value->timer, MS, 0));
	return sum;
}

SEC("syscall")
int cancel_itself(void *ctx)
{
	__u32 sum = 1;
	struct timed *value = fresh(&hash, 3, 0);
	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, fired_itself));
	mix(sum, bpf_timer_start(&value->timer, 0, 0));
	return sum;
}

SEC("syscall")
int delete_itself(void *ctx)
{
	__u32 sum = 1;
	struct timed *value = fresh(&hash, 4, 0);
	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, fired_and_deletes));
	mix(sum, bpf_timer_start(&value->timer, 0, 0));
	return sum;
}

SEC("syscall")
int replaced(void *ctx)
{
	__u32 sum = 1, key = 6;
	struct timed *value = fresh(&array, key, 1);
	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &array, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, fired));
	mix(sum, bpf_timer_start(&value->timer, 2 * MS, 0));
	value = fresh(&array, key, 2);
	if (!value)
		return 0;
	mix(sum, value->after);
	mix(sum, bpf_timer_cancel(&value->timer));
	mix(sum, bpf_timer_init(&value->timer, &array, CLOCK_MONOTONIC));
	return sum;
}

SEC("syscall")
int deleted(void *ctx)
{
	__u32 sum = 1, key = 5;
	struct timed *value = fresh(&hash, key, 1);
	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, fired));
	mix(sum, bpf_timer_start(&value->timer, 2 * MS, 0));
	mix(sum, bpf_map_delete_elem(&hash, &key));
	value = fresh(&hash, key, 2);
	if (!value)
		return 0;
	mix(sum, bpf_timer_cancel(&value->timer));
	return sum;
}

SEC("syscall")
int wide_key(void *ctx)
{
	__u64 key[2] = { 21, 22 };
	struct timed init = { .after = 23 }, *value;
	__u32 sum = 1;
	bpf_map_update_elem(&bucket, key, &init, 0);
	value = bpf_map_lookup_elem(&bucket, key);
	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &bucket, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, fired_of_bucket));
	mix(sum, bpf_timer_start(&value->timer, 0, 0));
	return sum;
}

SEC("syscall")
int work(void *ctx)
{
	__u32 sum = 1;
	struct timed *value = fresh(&array, 7, 70), *other = fresh(&lru, 1, 71);
	if (!value || !other)
		return 0;
	mix(sum, bpf_wq_init(&value->work, &array, 0));
	mix(sum, bpf_wq_set_callback(&value->work, worked, 0));
	mix(sum, bpf_wq_start(&value->work, 0));
	mix(sum, bpf_wq_init(&other->work, &lru, 0));
	mix(sum, bpf_wq_set_callback(&other->work, worked, 0));
	return sum;
}
