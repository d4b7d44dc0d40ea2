/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SipHash-2-4 of 64 bytes: rotations, additions, exclusive ors on four words of state. */
#include "bench.h"

#define WORDS 8

const volatile __u64 key[2] = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull };

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))

#define SIPROUND                     \
	do {                           \
		v0 += v1;              \
		v1 = ROTATE(v1, 13);   \
		v1 ^= v0;              \
		v0 = ROTATE(v0, 32);   \
		v2 += v3;              \
		v3 = ROTATE(v3, 16);   \
		v3 ^= v2;              \
		v0 += v3;              \
		v3 = ROTATE(v3, 21);   \
		v3 ^= v0;              \
		v2 += v1;              \
		v1 = ROTATE(v1, 17);   \
		v1 ^= v2;              \
		v2 = ROTATE(v2, 32);   \
	} while (0)

SEC("xdp")
int siphash(struct xdp_md *ctx)
{
	struct bench_packet *packet = xdp_data(ctx);
	__u64 v0, v1, v2, v3, k0 = key[0], k1 = key[1], length = (__u64)(WORDS * 8) << 56;
	__u64 *words;
	int i;

	if (bench_short(packet, ctx, WORDS * 8))
		return XDP_ABORTED;
	v0 = k0 ^ 0x736f6d6570736575ull;
	v1 = k1 ^ 0x646f72616e646f6dull;
	v2 = k0 ^ 0x6c7967656e657261ull;
	v3 = k1 ^ 0x7465646279746573ull;
	words = (__u64 *)packet->payload;
	__no_unroll
	for (i = 0; i < WORDS; i++) {
		__u64 word = words[i];

		v3 ^= word;
		SIPROUND;
		SIPROUND;
		v0 ^= word;
	}
	v3 ^= length;
	SIPROUND;
	SIPROUND;
	v0 ^= length;
	v2 ^= 0xff;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	packet->result = v0 ^ v1 ^ v2 ^ v3;
	return XDP_PASS;
}

BENCH_LICENSE;
