/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What metadata costs a packet: programs that set so many values of 8 bytes and read them, and some that set or insert alone, each on a packet that has none. Where the way to the
 * traits can take all away (TRAIT_RESET), they begin with that, so that one packet serves again and again.
 */
#include "bench.h"

#ifndef TRAIT_RESET
#define TRAIT_RESET(ctx) 0
#endif

#define PACKET_BENCH(name, body) \
	SEC("xdp") \
	int name(struct xdp_md *ctx) \
	{ \
		struct bench_packet *packet = xdp_data(ctx); \
		__u64 value; \
		__s64 sum = 0; \
		if (bench_short(packet, ctx, 0)) \
			return XDP_ABORTED; \
		value = packet->seed; \
		if (TRAIT_RESET(ctx) != 0) \
			return XDP_ABORTED; \
		body \
		packet = xdp_data(ctx); \
		if (bench_short(packet, ctx, 0)) \
			return XDP_ABORTED; \
		packet->result = sum ^ value; \
		return XDP_PASS; \
	}

#define SET(key) sum += TRAIT_SET(ctx, key, &value, 8);
#define GET(key) \
	sum += TRAIT_GET(ctx, key, &value, 8); \
	sum += value;
#define DEL(key) sum += TRAIT_DEL(ctx, key);
#define FOUR(each) each(0) each(1) each(2) each(3)
#define SIXTEEN(each) \
	FOUR(each) each(4) each(5) each(6) each(7) each(8) each(9) each(10) each(11) each(12) each(13) each(14) each(15)
#define TWELVE(each) FOUR(each) each(4) each(5) each(6) each(7) each(8) each(9) each(10) each(11)
#define BACK(each) \
	each(11) each(10) each(9) each(8) each(7) each(6) each(5) each(4) each(3) each(2) each(1) each(0)
#define LAST(each) each(60) each(61) each(62)

PACKET_BENCH(keys_0, )
PACKET_BENCH(keys_1, SET(0) GET(0))
PACKET_BENCH(keys_4, FOUR(SET) FOUR(GET))
PACKET_BENCH(keys_16, SIXTEEN(SET) SIXTEEN(GET))
/* Three, and twelve that are each inserted before those three. */
PACKET_BENCH(three, LAST(SET))
PACKET_BENCH(insert, LAST(SET) TWELVE(SET))
/* And each taken out from before those three. */
PACKET_BENCH(insert_delete, LAST(SET) TWELVE(SET) BACK(DEL))

BENCH_LICENSE;
