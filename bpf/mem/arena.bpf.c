/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A stack of records of any size in an arena, from the allocator in it (bpf_arena_alloc, bpf_arena_free): no types, no owners, and user space sees all of it. Needs
 * clang 19 or later. test/arena-allocator.test.ts.
 */
#include <sluice/bpf.h>
#include <sluice/kfuncs.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define BPF_MAP_TYPE_ARENA 33
#define BPF_F_MMAPABLE 0x400

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
} arena SEC(".maps");

struct record {
	struct record __arena *below;
	__u32 bytes;
	__u32 number;
};

struct record __arena *__arena top;
__u64 __arena records;

/* The packet: a record of `bytes` with a number. */
struct arguments {
	__u32 bytes;
	__u32 number;
};

/* 1: done, 2: the arena is full. */
SEC("tc")
int push(struct __sk_buff *skb)
{
	struct arguments *given = xdp_data(skb);
	struct record __arena *record;

	if ((void *)(given + 1) > xdp_data_end(skb))
		return 0;
	if (given->bytes <= sizeof(struct record))
		return 0;
	record = bpf_arena_alloc(&arena, given->bytes);
	if (!record)
		return 2;
	/* What was freed before is zeros again. */
	if (record->below || record->bytes || record->number)
		return 3;
	record->bytes = given->bytes;
	record->number = given->number;
	record->below = top;
	top = record;
	records++;
	/* To its last byte. */
	((__u8 __arena *)record)[given->bytes - 1] |= 0x80;
	return 1;
}

/* Number of the last record, which goes; 0: there is none. */
SEC("tc")
int pop(struct __sk_buff *skb)
{
	struct record __arena *record = top;
	int number;

	if (!record)
		return 0;
	top = record->below;
	number = record->number;
	records--;
	bpf_arena_free(&arena, record);
	return number;
}

/* The sum of the bytes of all records, as the chain has them. */
SEC("tc")
int bytes(struct __sk_buff *skb)
{
	struct record __arena *record = top;
	int sum = 0, i;

	for (i = 0; i < 256 && record; i++) {
		sum += record->bytes;
		record = record->below;
	}
	return sum;
}

/* Frees the last record twice, and a part of it: neither takes anything from another. */
SEC("tc")
int mistakes(struct __sk_buff *skb)
{
	struct record __arena *record = top;

	if (!record)
		return 0;
	bpf_arena_free(&arena, (__u8 __arena *)record + 8);
	top = record->below;
	records--;
	bpf_arena_free(&arena, record);
	bpf_arena_free(&arena, record);
	return 1;
}
