// SPDX-License-Identifier: MIT
// A completion starts work, which starts itself again, twenty times in all.
#include <sluice/bpf.h>
#include <sluice/ring.h>
#include <sluice/timer.h>

struct value {
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} works SEC(".maps");

__u64 done;

static int again(void *map, int *key, void *value)
{
	if (++done < 20)
		bpf_wq_start(&((struct value *)value)->work, 0);
	return 0;
}

SEC("iouring")
int begin(struct io_uring_bpf_ctx *ctx)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&works, &key);

	if (!value)
		return RING_DONE;
	bpf_wq_init(&value->work, &works, 0);
	bpf_wq_set_callback(&value->work, again, 0);
	bpf_wq_start(&value->work, 0);
	return RING_POST;
}

char _license[] SEC("license") = "Dual MIT/GPL";
