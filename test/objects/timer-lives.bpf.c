// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Timers and work whose program user space has closed: one object arms them, another has the map as well.
#include <sluice/bpf.h>
#include <sluice/timer.h>

char _license[] SEC("license") = "GPL";

#define MS 1000000ULL

struct kept {
	__u64 fired;
	struct bpf_timer timer;
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct kept);
} keep SEC(".maps");

#define mix(sum, value) ((sum) = (sum) * 31 + (__u32)(value))

static int first(void *map, __u32 *key, struct kept *value)
{
	__sync_fetch_and_add(&value->fired, 1);
	return 0;
}

static int second(void *map, __u32 *key, struct kept *value)
{
	__sync_fetch_and_add(&value->fired, 100);
	return 0;
}

static int worked(void *map, __u32 *key, struct kept *value)
{
	__sync_fetch_and_add(&value->fired, 1000);
	return 0;
}

static struct kept *fresh(void)
{
	struct kept init = {};
	__u32 key = 1;

	bpf_map_update_elem(&keep, &key, &init, 0);
	return bpf_map_lookup_elem(&keep, &key);
}

static __always_inline int arm_for(__u64 ns)
{
	struct kept *value = fresh();
	__u32 sum = 1;

	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &keep, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, first));
	mix(sum, bpf_timer_start(&value->timer, ns, 0));
	return sum;
}

SEC("syscall")
int arm(void *ctx)
{
	return arm_for(20 * MS);
}

/* So late that nobody waits for it. */
SEC("syscall")
int arm_far(void *ctx)
{
	return arm_for(1ULL << 50);
}

SEC("syscall")
int queue_work(void *ctx)
{
	struct kept *value = fresh();
	__u32 sum = 1;

	if (!value)
		return 0;
	mix(sum, bpf_wq_init(&value->work, &keep, 0));
	mix(sum, bpf_wq_set_callback(&value->work, worked, 0));
	mix(sum, bpf_wq_start(&value->work, 0));
	return sum;
}

/* Both have callbacks, and neither waits. */
SEC("syscall")
int prepare(void *ctx)
{
	struct kept *value = fresh();
	__u32 sum = 1;

	if (!value)
		return 0;
	mix(sum, bpf_timer_init(&value->timer, &keep, CLOCK_MONOTONIC));
	mix(sum, bpf_timer_set_callback(&value->timer, first));
	mix(sum, bpf_wq_init(&value->work, &keep, 0));
	mix(sum, bpf_wq_set_callback(&value->work, worked, 0));
	return sum;
}

/* What is there already: of a timer that another program armed. */
SEC("syscall")
int cancel(void *ctx)
{
	__u32 key = 1;
	struct kept *value = bpf_map_lookup_elem(&keep, &key);

	return value ? bpf_timer_cancel(&value->timer) + 7 : 0;
}

SEC("syscall")
int take_over(void *ctx)
{
	__u32 key = 1;
	struct kept *value = bpf_map_lookup_elem(&keep, &key);
	__u32 sum = 1;

	if (!value)
		return 0;
	mix(sum, bpf_timer_set_callback(&value->timer, second));
	mix(sum, bpf_timer_start(&value->timer, MS, 0));
	return sum;
}

/* With the callbacks that another program has set. */
SEC("syscall")
int start_again(void *ctx)
{
	__u32 key = 1;
	struct kept *value = bpf_map_lookup_elem(&keep, &key);
	__u32 sum = 1;

	if (!value)
		return 0;
	mix(sum, bpf_timer_start(&value->timer, MS, 0));
	mix(sum, bpf_wq_start(&value->work, 0));
	return sum;
}

SEC("syscall")
int remove(void *ctx)
{
	__u32 key = 1;

	return bpf_map_delete_elem(&keep, &key) + 7;
}
