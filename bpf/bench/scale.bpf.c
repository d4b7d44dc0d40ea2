/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What `sluice bench scale` runs on several CPUs at once: n rounds of one kind of work on maps that all of them use. Keys are pseudo-random; the seed stays in the
 * packet, so that a run goes on where the one before ended. fill() makes the entries and is run once before them.
 */
#include "bench.h"

/* Of hash and lru: what programs ask for. The LRU has room for half of them. */
#define KEYS 16384
#define LRU_KEYS 32768
#define COUNTERS 16
#define MAX_ROUNDS 512

#define TABLE(name, kind, entries, key_t, value_t) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__type(key, key_t); \
		__type(value, value_t); \
	} name SEC(".maps")

TABLE(hash, BPF_MAP_TYPE_HASH, 2 * KEYS, __u32, __u64);
TABLE(lru, BPF_MAP_TYPE_LRU_HASH, KEYS, __u32, __u64);
TABLE(percpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, COUNTERS, __u32, __u64);
TABLE(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, COUNTERS, __u32, __u64);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

/* As many keys as the packet says, from its seed on. */
SEC("xdp")
int fill(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u32 i, n, first;

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	n = packet->n;
	first = packet->seed;
	__no_unroll
	for (i = 0; i < MAX_ROUNDS; i++) {
		__u32 key = first + i, counter = key & (COUNTERS - 1);
		__u64 value = key * 3, zero = 0;

		if (i >= n)
			break;
		bpf_map_update_elem(&hash, &key, &value, BPF_ANY);
		bpf_map_update_elem(&lru, &key, &value, BPF_ANY);
		bpf_map_update_elem(&percpu_hash, &counter, &zero, BPF_ANY);
	}
	return XDP_PASS;
}

/* A program of n rounds of statements, which have a random number x and add to the sum. */
#define PROGRAM(name, ...) \
	SEC("xdp") \
	int name(struct xdp_md *ctx) \
	{ \
		struct bench_packet *packet = xdp_data(ctx); \
		__u32 n, x, i; \
		__u64 sum = 0; \
\
		if (bench_short(packet, ctx, 0)) \
			return XDP_ABORTED; \
		n = packet->n; \
		x = packet->seed; \
		__no_unroll \
		for (i = 0; i < MAX_ROUNDS; i++) { \
			if (i >= n) \
				break; \
			x = xorshift(x); \
			__VA_ARGS__ \
		} \
		packet->seed = x; \
		packet->result = sum; \
		return XDP_PASS; \
	}

/* Of 256 operations 13 write: 5 %. */
PROGRAM(read_mostly, {
	__u32 key = x & (KEYS - 1);

	if (x >> 24 < 13) {
		__u64 value = x;

		bpf_map_update_elem(&hash, &key, &value, BPF_EXIST);
	} else {
		__u64 *found = bpf_map_lookup_elem(&hash, &key);

		if (found)
			sum += *found;
	}
})

/* The same without the map's part in a write: what the lines that another CPU has written cost alone. */
PROGRAM(read_mostly_by_pointer, {
	__u32 key = x & (KEYS - 1);
	__u64 *found = bpf_map_lookup_elem(&hash, &key);

	if (found) {
		if (x >> 24 < 13)
			*found = x;
		else
			sum += *found;
	}
})

/* Half of the operations put a key in or replace it, half take one out. */
PROGRAM(write_heavy, {
	__u32 key = x & (KEYS - 1);
	__u64 value = x;

	if (x >> 31)
		sum += bpf_map_delete_elem(&hash, &key) == 0;
	else
		sum += bpf_map_update_elem(&hash, &key, &value, BPF_ANY) == 0;
})

PROGRAM(percpu_array_count, {
	__u32 key = x & (COUNTERS - 1);
	__u64 *counter = bpf_map_lookup_elem(&percpu_array, &key);

	if (counter) {
		*counter += 1;
		sum++;
	}
})

PROGRAM(percpu_hash_count, {
	__u32 key = x & (COUNTERS - 1);
	__u64 *counter = bpf_map_lookup_elem(&percpu_hash, &key);

	if (counter) {
		*counter += 1;
		sum++;
	}
})

/* A cache: what is not there is put in, and pushes something else out. */
PROGRAM(lru_cache, {
	__u32 key = x & (LRU_KEYS - 1);
	__u64 *found = bpf_map_lookup_elem(&lru, &key);

	if (found) {
		sum += *found;
	} else {
		__u64 value = x;

		bpf_map_update_elem(&lru, &key, &value, BPF_ANY);
	}
})

/* The sum is the number of records that found room. */
PROGRAM(ringbuf_submit, {
	__u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);

	if (record) {
		record[0] = x;
		record[1] = i;
		bpf_ringbuf_submit(record, 0);
		sum++;
	}
})

BENCH_LICENSE;
