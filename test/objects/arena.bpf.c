// SPDX-License-Identifier: MIT OR GPL-2.0-only
// An arena: pages, variables, a list across pages, atomics, and what accesses beside its pages do.
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, 33);
	__uint(map_flags, 1 << 10);
	__uint(max_entries, 8);
} arena SEC(".maps");

struct node {
	struct node __arena *next;
	__u64 value;
};

__u64 __arena total = 40;
struct node __arena *__arena head;
__u32 __arena marks[5] = { 1, 2, 3 };

#define mix(sum, value) ((sum) = (sum) * 31 + (__u32)(value))

/* Pages in the order in which they come, none twice, until there are none. */
SEC("syscall")
int pages(void *ctx)
{
	__u32 sum = 1;
	__u8 __arena *a = bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	__u8 __arena *b = bpf_arena_alloc_pages(&arena, NULL, 2, NUMA_NO_NODE, 0);
	__u8 __arena *c = bpf_arena_alloc_pages(&arena, NULL, 8, NUMA_NO_NODE, 0);
	if (!a || !b)
		return 0;
	a[0] = 5;
	b[8191] = 6;
	mix(sum, a[0] + b[8191] + a[1]);
	mix(sum, c != NULL);
	mix(sum, bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 1) != NULL);
	mix(sum, bpf_arena_alloc_pages(&arena, NULL, 0, NUMA_NO_NODE, 0) != NULL);
	mix(sum, bpf_arena_alloc_pages(&arena, a + 1, 1, NUMA_NO_NODE, 0) != NULL);
	bpf_arena_free_pages(&arena, a, 1);
	/* Gone: what is written there is forgotten. */
	a[0] = 7;
	mix(sum, a[0]);
	__u8 __arena *again = bpf_arena_alloc_pages(&arena, a, 1, NUMA_NO_NODE, 0);
	if (!again)
		return 1;
	mix(sum, again == a);
	mix(sum, again[0]);
	bpf_arena_free_pages(&arena, again, 1);
	bpf_arena_free_pages(&arena, b, 2);
	mix(sum, b[8191]);
	mix(sum, bpf_arena_reserve_pages(&arena, b, 1));
	mix(sum, bpf_arena_alloc_pages(&arena, b, 1, NUMA_NO_NODE, 0) != NULL);
	return sum;
}

SEC("syscall")
int variables(void *ctx)
{
	__u32 sum = 1, i;
	for (i = 0; i < 5; i++)
		mix(sum, marks[i]);
	marks[4] = 9;
	__sync_fetch_and_add(&total, 2);
	mix(sum, total);
	mix(sum, __sync_val_compare_and_swap(&total, 42, 50));
	mix(sum, __sync_lock_test_and_set(&marks[0], 11));
	mix(sum, total + marks[0] + marks[4]);
	return sum;
}

SEC("syscall")
int list(void *ctx)
{
	struct node __arena *node;
	__u8 __arena *page = bpf_arena_alloc_pages(&arena, NULL, 2, NUMA_NO_NODE, 0);
	__u32 sum = 1, i;
	if (!page)
		return 0;
	for (i = 0; i < 8; i++) {
		node = (struct node __arena *)(page + i * 1000);
		node->value = i * 3;
		node->next = head;
		head = node;
	}
	for (i = 0, node = head; node && i < 100; node = node->next, i++)
		mix(sum, node->value);
	return sum;
}

SEC("syscall")
int nowhere(void *ctx)
{
	__u64 __arena *null = NULL;
	__u32 sum = 1;
	__u64 __arena *far = (__u64 __arena *)bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	if (!far)
		return 0;
	asm volatile("" : "+r"(null));
	mix(sum, *null);
	*null = 3;
	mix(sum, *null);
	mix(sum, far[512 * 7]);
	far[512 * 7] = 8;
	mix(sum, far[512 * 7]);
	mix(sum, __sync_fetch_and_add(&far[3], 4) + far[3]);
	return sum;
}
