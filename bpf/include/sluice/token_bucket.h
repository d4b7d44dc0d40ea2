/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Token buckets in a map, one a client. They count in parts of 1e-9 tokens, so that no refill is too small to be counted, and are changed by
 * atomic operations only: however many CPUs a client's packets arrive on, no token is spent twice.
 */
#ifndef SLUICE_TOKEN_BUCKET_H
#define SLUICE_TOKEN_BUCKET_H

#include "bpf.h"

#define NSEC_PER_SEC 1000000000ULL
/* Keeps burst * 1e9 below 2^62. */
#define MAX_BURST 0xffffffffULL

struct bucket {
	/* In 1e-9 tokens. Below zero for the moment that a packet without luck takes. */
	__s64 tokens;
	/* Time of the last refill; 0 as long as there was none. */
	__u64 refilled;
	__u64 allowed;
	__u64 limited;
};

/* Puts in what `rate` gave since the last refill, up to `full`. Of several CPUs at once the one that moves the time on refills. */
static __always_inline void bucket_refill(struct bucket *bucket, __u64 rate, __s64 full)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 before = bucket->refilled;
	__s64 room = full - bucket->tokens, gain;

	if (now <= before)
		return;
	/* So long that the product would not fit is longer than filling takes. */
	gain = now - before > (__u64)full / rate ? full : (__s64)((now - before) * rate);
	if (__sync_val_compare_and_swap(&bucket->refilled, before, now) != before)
		return;
	if (gain > room)
		gain = room;
	if (gain > 0)
		__sync_fetch_and_add(&bucket->tokens, gain);
}

/*
 * Takes `cost` tokens from the bucket of `key` in `map`, a hash map whose values are struct bucket; a new key has `burst` tokens. `rate` is
 * in tokens a second; with 0 nothing is refilled, and the clock is not read. False where too few tokens are left.
 */
static __always_inline bool bucket_take(void *map, const void *key, __u64 cost, __u64 rate, __u64 burst)
{
	struct bucket *bucket = bpf_map_lookup_elem(map, key);
	__s64 price = cost * NSEC_PER_SEC, full;

	if (burst > MAX_BURST)
		burst = MAX_BURST;
	full = burst * NSEC_PER_SEC;
	if (!bucket) {
		struct bucket first = { .tokens = full };

		if (rate)
			first.refilled = bpf_ktime_get_ns();
		/* Another CPU may have been faster: its bucket stays. */
		bpf_map_update_elem(map, key, &first, BPF_NOEXIST);
		bucket = bpf_map_lookup_elem(map, key);
		/* Gone again, or no memory: better to let it through than to lock everyone out. */
		if (!bucket)
			return true;
	} else if (rate) {
		bucket_refill(bucket, rate, full);
	}
	if (__sync_fetch_and_add(&bucket->tokens, -price) < price) {
		__sync_fetch_and_add(&bucket->tokens, price);
		__sync_fetch_and_add(&bucket->limited, 1);
		return false;
	}
	__sync_fetch_and_add(&bucket->allowed, 1);
	return true;
}

#endif
