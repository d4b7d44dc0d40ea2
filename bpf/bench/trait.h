/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * One program an operation on traits: n rounds of eight each, with the keys 2, 4 and 6 set before them. `loop` is what the others do besides. TRAIT_SET and its like are
 * the way to the traits: kfuncs, or C over data_meta.
 */
#include "bench.h"
#include <sluice/trait.h>

/* Three values by single calls: how many were there, without branches, whose ways the verifier would all go. */
#ifndef TRAIT_SET_THREE
#define TRAIT_SET_THREE(ctx, value) \
	(TRAIT_SET(ctx, 2, &(value), 8) + TRAIT_SET(ctx, 4, &(value), 8) + TRAIT_SET(ctx, 6, &(value), 8))
#define TRAIT_GET_THREE(ctx, value) \
	((TRAIT_GET(ctx, 2, value, 8) >> 3) + (TRAIT_GET(ctx, 4, value, 8) >> 3) + (TRAIT_GET(ctx, 6, value, 8) >> 3))
#endif

static __always_inline int begin(struct xdp_md *ctx, __u32 *n, __u32 *seed)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 value = 0x0706050403020100;

	if (bench_short(packet, ctx, 0))
		return -1;
	*n = packet->n < 4096 ? packet->n : 4096;
	*seed = packet->seed;
	/* Of a run before: what it left counts for all of them. */
	if (TRAIT_IS_SET(ctx, 6) == 1)
		return 0;
	if (TRAIT_SET(ctx, 2, &value, 8) != 0 || TRAIT_SET(ctx, 4, &value, 8) != 0 || TRAIT_SET(ctx, 6, &value, 8) != 0)
		return -1;
	return 0;
}

static __always_inline int end(struct xdp_md *ctx, __u64 result)
{
	struct bench_packet *packet = xdp_data(ctx);

	if (bench_short(packet, ctx, 0))
		return XDP_ABORTED;
	packet->result = result;
	return XDP_PASS;
}

struct work {
	struct xdp_md *ctx;
	__u64 value;
	__u64 sum;
	__u32 seed;
	__u32 padding;
};

/* Rounds are a callback: the verifier walks one, and not thousands. */
#define BENCH(name, body) \
	static long name##_round(__u32 round, struct work *work) \
	{ \
		struct xdp_md *ctx __attribute__((unused)) = work->ctx; \
		__u64 value = work->value; \
		__u32 seed = work->seed; \
		__s64 sum = 0; \
		body; \
		work->value = value; \
		work->seed = seed; \
		work->sum += sum; \
		return 0; \
	} \
	SEC("xdp") \
	int name(struct xdp_md *ctx) \
	{ \
		struct work work = { .ctx = ctx }; \
		__u32 n; \
		if (begin(ctx, &n, &work.seed) != 0) \
			return XDP_ABORTED; \
		work.value = work.seed; \
		bpf_loop(n, name##_round, &work, 0); \
		return end(ctx, work.sum ^ work.value); \
	}

#define EIGHT(operation) \
	operation(2) \
	operation(4) \
	operation(6) \
	operation(4) \
	operation(2) \
	operation(6) \
	operation(4) \
	operation(2)

#define NOTHING(key) sum += seed;
BENCH(loop, EIGHT(NOTHING))

#define GET(key) \
	sum += TRAIT_GET(ctx, key, &value, 8); \
	sum += value;
BENCH(get, EIGHT(GET))

#define SET(key) sum += TRAIT_SET(ctx, key, &value, 8);
BENCH(set, value += 3; EIGHT(SET))

#define IS_SET(key) sum += TRAIT_IS_SET(ctx, key);
BENCH(is_set, EIGHT(IS_SET))

/* A value before the others, and away again. */
#define MOVE(key) \
	sum += TRAIT_SET(ctx, 1, &value, 8); \
	sum += TRAIT_DEL(ctx, 1);
BENCH(move, EIGHT(MOVE))

/* A value behind the others, which moves nothing, and away again. */
#define APPEND(key) \
	sum += TRAIT_SET(ctx, 9, &value, 8); \
	sum += TRAIT_DEL(ctx, 9);
BENCH(append, EIGHT(APPEND))

/* All three at once: eight batches a round. */
#define FOUR_TIMES(operation) operation operation operation operation
BENCH(batch, value += 3; FOUR_TIMES(sum += TRAIT_SET_THREE(ctx, value); sum += TRAIT_GET_THREE(ctx, &value);))

/* A key that no compiler knows. */
#define GET_ANY(key) \
	seed = xorshift(seed); \
	sum += TRAIT_GET(ctx, (seed & 1) * 2 + 4, &value, 8); \
	sum += value;
BENCH(get_any, EIGHT(GET_ANY))

BENCH_LICENSE;
