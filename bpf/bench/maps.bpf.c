/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One program an operation on a type of map: n rounds, each with a pseudo-random key below 512. `loop` is what the others do besides.
 * fill() makes the entries and is run once before them.
 */
#include "bench.h"

#define KEYS 512
#define MAX_ROUNDS 512

#define TABLE(name, kind, entries, flags, key_t, value_t) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__uint(map_flags, flags); \
		__type(key, key_t); \
		__type(value, value_t); \
	} name SEC(".maps")
#define KEYLESS(name, kind, entries) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__uint(key_size, 0); \
		__uint(value_size, 8); \
	} name SEC(".maps")

struct flow {
	__u32 words[5];
};

struct prefix {
	__u32 length;
	__u32 address;
};

TABLE(hash, BPF_MAP_TYPE_HASH, 1024, 0, __u32, __u64);
TABLE(hash_dynamic, BPF_MAP_TYPE_HASH, 1024, BPF_F_NO_PREALLOC, __u32, __u64);
TABLE(flows, BPF_MAP_TYPE_HASH, 1024, 0, struct flow, __u64);
TABLE(lru, BPF_MAP_TYPE_LRU_HASH, 65536, 0, __u32, __u64);
TABLE(lru_full, BPF_MAP_TYPE_LRU_HASH, 4096, 0, __u32, __u64);
TABLE(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, 1024, 0, __u32, __u64);
TABLE(lru_percpu, BPF_MAP_TYPE_LRU_PERCPU_HASH, 65536, 0, __u32, __u64);
TABLE(array, BPF_MAP_TYPE_ARRAY, KEYS, 0, __u32, __u64);
TABLE(percpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, KEYS, 0, __u32, __u64);
TABLE(trie, BPF_MAP_TYPE_LPM_TRIE, 1024, BPF_F_NO_PREALLOC, struct prefix, __u64);
KEYLESS(queue, BPF_MAP_TYPE_QUEUE, 1024);
KEYLESS(stack, BPF_MAP_TYPE_STACK, 1024);
KEYLESS(bloom, BPF_MAP_TYPE_BLOOM_FILTER, 1024);

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} arrays SEC(".maps") = { .values = { &first, &second } };
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} hash_arrays SEC(".maps") = { .values = { &first, &second } };

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} ring SEC(".maps");

static __always_inline void prefix_of(struct prefix *prefix, __u32 key)
{
	/* 16 networks, hosts of 9 bits in each. */
	prefix->length = 32;
	prefix->address = 10 | (key & 15) << 8 | (key & 511) << 16;
}

static __always_inline void flow_of(struct flow *flow, __u32 key)
{
	flow->words[0] = key;
	flow->words[1] = ~key;
	flow->words[2] = 1;
	flow->words[3] = 2;
	flow->words[4] = 3;
}

/* Run once before the others. */
SEC("xdp")
int fill(struct xdp_md *ctx)
{
	__u32 i;

	__no_unroll
	for (i = 0; i < KEYS; i++) {
		__u64 value = i * 3;
		struct prefix prefix;
		struct flow flow;
		__u32 key = i;

		prefix_of(&prefix, key);
		flow_of(&flow, key);
		bpf_map_update_elem(&hash, &key, &value, BPF_ANY);
		bpf_map_update_elem(&hash_dynamic, &key, &value, BPF_ANY);
		bpf_map_update_elem(&flows, &flow, &value, BPF_ANY);
		bpf_map_update_elem(&lru, &key, &value, BPF_ANY);
		bpf_map_update_elem(&percpu_hash, &key, &value, BPF_ANY);
		bpf_map_update_elem(&lru_percpu, &key, &value, BPF_ANY);
		bpf_map_update_elem(&array, &key, &value, BPF_ANY);
		bpf_map_update_elem(&percpu_array, &key, &value, BPF_ANY);
		bpf_map_update_elem(&trie, &prefix, &value, BPF_ANY);
		bpf_map_push_elem(&bloom, &value, 0);
		if (i < KEYS / 2) {
			bpf_map_push_elem(&queue, &value, 0);
			bpf_map_push_elem(&stack, &value, 0);
		}
	}
	return XDP_PASS;
}

/* A program of n rounds of statements, which have a key and a value and add to the sum. */
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
			__u64 value __attribute__((unused)) = i; \
			__u32 key; \
\
			if (i >= n) \
				break; \
			x = xorshift(x); \
			key = x & (KEYS - 1); \
			__VA_ARGS__ \
		} \
		packet->result = sum; \
		return XDP_PASS; \
	}

/* Key and value lie on the stack, as the operations want them. */
PROGRAM(loop, {
	asm volatile("" : : "r"(&key), "r"(&value) : "memory");
	sum += key;
})

#define LOOKUP(table, at) { \
		__u64 *found = bpf_map_lookup_elem(&table, at); \
		if (found) \
			sum += *found; \
	}
/* What a CPU's value is depends on where fill() ran, that there is one does not. */
#define LOOKUP_PERCPU(table, at) { \
		__u64 *found = bpf_map_lookup_elem(&table, at); \
		if (found) \
			sum += key + (*found == ~0ULL); \
	}
#define UPDATE(table, at) sum += bpf_map_update_elem(&table, at, &value, BPF_ANY) + key;
/* The key is there before and after. */
#define REPLACE(table, at) { \
		sum += bpf_map_delete_elem(&table, at); \
		sum += bpf_map_update_elem(&table, at, &value, BPF_NOEXIST) + key; \
	}

PROGRAM(hash_lookup, LOOKUP(hash, &key))
PROGRAM(hash_update, UPDATE(hash, &key))
PROGRAM(hash_delete_insert, REPLACE(hash, &key))
PROGRAM(hash_dynamic_update, UPDATE(hash_dynamic, &key))
PROGRAM(hash_dynamic_delete_insert, REPLACE(hash_dynamic, &key))
PROGRAM(hash_lookup_20, {
	struct flow flow;

	flow_of(&flow, key);
	LOOKUP(flows, &flow)
})
PROGRAM(hash_update_20, {
	struct flow flow;

	flow_of(&flow, key);
	UPDATE(flows, &flow)
})
PROGRAM(lru_lookup, LOOKUP(lru, &key))
PROGRAM(lru_update, UPDATE(lru, &key))
PROGRAM(lru_delete_insert, REPLACE(lru, &key))
/* Keys of all 32 bits, other ones in each run: every insert pushes an element out. */
PROGRAM(lru_evict, {
	packet->seed = x;
	sum += bpf_map_update_elem(&lru_full, &x, &value, BPF_ANY) + key;
})
PROGRAM(percpu_hash_lookup, LOOKUP_PERCPU(percpu_hash, &key))
PROGRAM(percpu_hash_update, UPDATE(percpu_hash, &key))
PROGRAM(percpu_hash_delete_insert, REPLACE(percpu_hash, &key))
PROGRAM(lru_percpu_lookup, LOOKUP_PERCPU(lru_percpu, &key))
PROGRAM(lru_percpu_update, UPDATE(lru_percpu, &key))
PROGRAM(array_lookup, LOOKUP(array, &key))
PROGRAM(array_update, UPDATE(array, &key))
PROGRAM(percpu_array_lookup, LOOKUP_PERCPU(percpu_array, &key))
PROGRAM(percpu_array_update, UPDATE(percpu_array, &key))
PROGRAM(lpm_lookup, {
	struct prefix prefix;

	prefix_of(&prefix, key);
	LOOKUP(trie, &prefix)
})
PROGRAM(lpm_update, {
	struct prefix prefix;

	prefix_of(&prefix, key);
	UPDATE(trie, &prefix)
})
PROGRAM(lpm_delete_insert, {
	struct prefix prefix;

	prefix_of(&prefix, key);
	REPLACE(trie, &prefix)
})
PROGRAM(queue_push_pop, {
	sum += bpf_map_push_elem(&queue, &value, 0);
	sum += bpf_map_pop_elem(&queue, &value);
	sum += value + key;
})
PROGRAM(queue_peek, {
	sum += bpf_map_peek_elem(&queue, &value);
	sum += value + key;
})
PROGRAM(stack_push_pop, {
	sum += bpf_map_push_elem(&stack, &value, 0);
	sum += bpf_map_pop_elem(&stack, &value);
	sum += value + key;
})
PROGRAM(bloom_push, {
	value = key * 3;
	sum += bpf_map_push_elem(&bloom, &value, 0) + key;
})
PROGRAM(bloom_peek, {
	value = key * 3;
	sum += bpf_map_peek_elem(&bloom, &value) + key;
})
PROGRAM(array_of_maps_lookup, {
	__u32 zero = 0;
	void *map;

	key &= 1;
	map = bpf_map_lookup_elem(&arrays, &key);
	if (map) {
		__u64 *found = bpf_map_lookup_elem(map, &zero);
		if (found)
			sum += *found + key;
	}
})
PROGRAM(hash_of_maps_lookup, {
	__u32 zero = 0;
	void *map;

	key &= 1;
	map = bpf_map_lookup_elem(&hash_arrays, &key);
	if (map) {
		__u64 *found = bpf_map_lookup_elem(map, &zero);
		if (found)
			sum += *found + key;
	}
})
/* What is discarded or written takes room until a reader has passed it: the reader must be at work between the runs. */
PROGRAM(ringbuf_reserve_discard, {
	__u64 *record = bpf_ringbuf_reserve(&ring, 32, 0);

	if (!record)
		break;
	record[0] = value;
	bpf_ringbuf_discard(record, 0);
	sum += key;
})
PROGRAM(ringbuf_reserve_submit, {
	__u64 *record = bpf_ringbuf_reserve(&ring, 32, 0);

	if (!record)
		break;
	record[0] = value;
	record[1] = record[2] = record[3] = 0;
	bpf_ringbuf_submit(record, 0);
	sum += key;
})
PROGRAM(ringbuf_output, {
	sum += bpf_ringbuf_output(&ring, &value, sizeof(value), 0) + key;
})

BENCH_LICENSE;
