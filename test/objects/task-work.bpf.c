// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Work of tasks (Linux 6.18): what scheduling returns, and what callbacks leave in `log`.
#include <sluice/bpf.h>
#include <sluice/timer.h>

char _license[] SEC("license") = "GPL";

struct job {
	__u64 before;
	struct bpf_task_work work;
	__u64 after;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct job);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct job);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct job);
} lru SEC(".maps");

__u64 calls;
__u64 lines[16];

#define mix(sum, value) ((sum) = (sum) * 31 + (__u32)(value))

static void note(__u64 what)
{
	__u64 at = calls++;
	if (at < 16)
		lines[at] = what;
}

static struct job *fresh(void *map, __u32 key, __u64 after)
{
	struct job init = { .before = key + 1, .after = after };
	bpf_map_update_elem(map, &key, &init, 0);
	return bpf_map_lookup_elem(map, &key);
}

static int done(void *map, __u32 *key, struct job *value)
{
	note((__u64)*key << 32 | value->before << 16 | value->after);
	return 0;
}

static int done_and_again(void *map, __u32 *key, struct job *value)
{
	__u32 own = *key;
	/* It has not ended. */
	note((__u32)bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &value->work, &hash, done));
	note((__u32)bpf_map_delete_elem(&hash, &own));
	return 7;
}

static int chained(void *map, __u32 *key, struct job *value)
{
	__u32 next = *key + 1;
	struct job *other = bpf_map_lookup_elem(&array, &next);

	note(*key);
	if (other)
		bpf_task_work_schedule_resume(bpf_get_current_task_btf(), &other->work, &array, chained);
	return 0;
}

SEC("syscall")
int once(void *ctx)
{
	__u32 sum = 1;
	struct job *value = fresh(&hash, 1, 50), *other = fresh(&lru, 2, 51), *third = fresh(&array, 3, 52);

	if (!value || !other || !third)
		return 0;
	mix(sum, bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &value->work, &hash, done));
	mix(sum, bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &value->work, &hash, done));
	mix(sum, bpf_task_work_schedule_resume(bpf_get_current_task_btf(), &value->work, &hash, done));
	mix(sum, bpf_task_work_schedule_resume(bpf_get_current_task_btf(), &other->work, &lru, done));
	mix(sum, bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &third->work, &array, done));
	mix(sum, calls);
	return sum;
}

SEC("syscall")
int from_itself(void *ctx)
{
	struct job *value = fresh(&hash, 2, 60);

	if (!value)
		return 0;
	return bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &value->work, &hash, done_and_again) + 1;
}

SEC("syscall")
int in_a_row(void *ctx)
{
	struct job *value = fresh(&array, 0, 0);

	if (!value)
		return 0;
	return bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &value->work, &array, chained) + 1;
}

SEC("syscall")
int lost(void *ctx)
{
	__u32 sum = 1, key = 3;
	struct job *value = fresh(&hash, key, 70), *other = fresh(&array, 1, 71);

	if (!value || !other)
		return 0;
	mix(sum, bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &value->work, &hash, done));
	mix(sum, bpf_map_delete_elem(&hash, &key));
	mix(sum, bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &other->work, &array, done));
	/* Written over: its field begins anew. */
	other = fresh(&array, 1, 72);
	if (other)
		mix(sum, bpf_task_work_schedule_signal(bpf_get_current_task_btf(), &other->work, &array, done));
	return sum;
}
