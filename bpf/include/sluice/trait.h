/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Traits: values by key (0 to 63) that travel with a packet. Two ways to the same bytes:
 *
 *  - bpf_xdp_trait_*: kfuncs of Sluice, for any layout and any place (the runtime says which);
 *  - trait_meta_*: C over data_meta, which the kernel verifies and runs as it is. The area begins at data_meta and ends where the packet begins; a packet
 *    without metadata has none. What it writes is what a runtime with placement `meta` and the same layout reads.
 *
 * TRAIT_LAYOUT says which lengths there are: TRAIT_0_4_8 (default) or TRAIT_4_8_16; data_meta's length is a multiple of 4, so there is no form with 2 bytes.
 */
#ifndef SLUICE_TRAIT_H
#define SLUICE_TRAIT_H

#include "bpf.h"

enum {
	TRAIT_0_4_8 = 1,
	TRAIT_4_8_16 = 2,
};

#ifndef TRAIT_LAYOUT
#define TRAIT_LAYOUT TRAIT_0_4_8
#endif

/*
 * Names in place of numbers: TRAIT(flow_id, 4, MERGE_KEEP_FIRST) declares a trait of 4 bytes, and bpf_trait_key(flow_id) is its key, a constant that the loader writes into the
 * program: that of the runtime's registry, or a free one. Names have at most 16 bytes. An object that names traits names all that it uses: calls with other keys, and with
 * lengths that are not the trait's, are refused. TRAIT_NAMED declares one whose name is no word of C.
 *
 * The policy says what becomes of values where two packets become one (GRO). TRAIT_PERSISTENT: the name keeps its key when the last object that uses it is closed.
 */
enum {
	MERGE_KEEP_FIRST = 0,
	MERGE_KEEP_LAST = 1,
	MERGE_SUM = 2,
	MERGE_MIN = 3,
	MERGE_MAX = 4,
	MERGE_OR = 5,
	MERGE_EQUAL = 6,
	TRAIT_PERSISTENT = 0x100,
};

struct trait_declaration {
	char name[16];
	__u32 size;
	/* One of the above, with flags. */
	__u32 policy;
};

#define TRAIT_NAMED(variable, text, bytes, merge)                                                                      \
	static const struct trait_declaration trait_##variable SEC(".traits") = {                                      \
		.name = text,                                                                                          \
		.size = bytes,                                                                                         \
		.policy = merge,                                                                                       \
	}
#define TRAIT(variable, bytes, merge) TRAIT_NAMED(variable, #variable, bytes, merge)

/* The compiler is not to know that it is an address, which would be a multiple of four and not 0. */
#define bpf_trait_key(variable)                                                                                        \
	({                                                                                                             \
		__u64 __key;                                                                                           \
		asm("" : "=r"(__key) : "0"(&trait_##variable));                                                        \
		__key;                                                                                                 \
	})

/* Values that the system has of every packet, under keys of its own; they are there without being declared. Read or set them as traits of this many bytes. */
#define TRAIT_SYSTEM (1ULL << 63)
#define TRAIT_RX_HASH (TRAIT_SYSTEM + 0) /* 4 */
#define TRAIT_RX_HASH_TYPE (TRAIT_SYSTEM + 1) /* 4: enum xdp_rss_hash_type */
#define TRAIT_RX_TIMESTAMP (TRAIT_SYSTEM + 2) /* 8: ns */
#define TRAIT_VLAN (TRAIT_SYSTEM + 3) /* 4: __be16 protocol, __u16 tag */
#define TRAIT_CSUM (TRAIT_SYSTEM + 4) /* 4: 1 if it was checked; sk_buffs only */
#define TRAIT_MARK (TRAIT_SYSTEM + 5) /* 4; sk_buffs only */
#define TRAIT_IFINDEX (TRAIT_SYSTEM + 6) /* 4 */
#define TRAIT_PACKET_ID (TRAIT_SYSTEM + 7) /* 8 */

/* 0 or a count, or -EINVAL (key, length, flags), -ENOENT, -ENOSPC (no room; a buffer that is too small), -EBUSY (set with another length), -EOPNOTSUPP. */
extern int bpf_xdp_trait_set(struct xdp_md *xdp, __u64 key, const void *val, __u64 val__sz, __u64 flags) __weak __ksym;
extern int bpf_xdp_trait_get(struct xdp_md *xdp, __u64 key, void *val, __u64 val__sz) __weak __ksym;
extern int bpf_xdp_trait_is_set(struct xdp_md *xdp, __u64 key) __weak __ksym;
extern int bpf_xdp_trait_del(struct xdp_md *xdp, __u64 key) __weak __ksym;

extern int bpf_skb_trait_set(struct __sk_buff *skb, __u64 key, const void *val, __u64 val__sz, __u64 flags) __weak __ksym;
extern int bpf_skb_trait_get(struct __sk_buff *skb, __u64 key, void *val, __u64 val__sz) __weak __ksym;
extern int bpf_skb_trait_is_set(struct __sk_buff *skb, __u64 key) __weak __ksym;
extern int bpf_skb_trait_del(struct __sk_buff *skb, __u64 key) __weak __ksym;

/* One of several: where its value lies in the buffer, and what bpf_*_trait_get says of it. */
struct trait_entry {
	__u64 key;
	__u32 size;
	__u32 offset;
	__s32 result;
	__u32 padding;
};

/* All are set, or none: 0 or what the first that is refused returns; a key that comes twice is -EINVAL. */
extern int bpf_xdp_trait_set_batch(struct xdp_md *xdp, const void *entries, __u64 entries__sz, const void *values,
				   __u64 values__sz) __weak __ksym;
extern int bpf_skb_trait_set_batch(struct __sk_buff *skb, const void *entries, __u64 entries__sz, const void *values,
				   __u64 values__sz) __weak __ksym;
/* How many were there. */
extern int bpf_xdp_trait_get_batch(struct xdp_md *xdp, void *entries, __u64 entries__sz, void *values,
				   __u64 values__sz) __weak __ksym;
extern int bpf_skb_trait_get_batch(struct __sk_buff *skb, void *entries, __u64 entries__sz, void *values,
				   __u64 values__sz) __weak __ksym;

enum {
	TRAIT_KEYS = 64,
	TRAIT_HEADER = 16,
	/* Longest metadata of an sk_buff. */
	TRAIT_META_MAX = 252,
	TRAIT_ENOENT = -2,
	TRAIT_EBUSY = -16,
	TRAIT_EINVAL = -22,
	TRAIT_ENOSPC = -28,
};

struct trait_header {
	__u64 high;
	__u64 low;
};

static __always_inline __u32 trait_bits(__u64 word)
{
	return __builtin_popcountll(word);
}

/* Bytes of the values whose keys are in `mask`; at most 1024, whatever the header says. */
static __always_inline __u32 trait_values_size(const struct trait_header *header, __u64 mask)
{
	__u64 high = header->high & mask;
	__u64 low = header->low & mask;

	if (TRAIT_LAYOUT == TRAIT_0_4_8)
		return (trait_bits(high) + trait_bits(high & low)) << 2;
	return (trait_bits(low) + (trait_bits(high) << 1) + trait_bits(high & low)) << 2;
}

static __always_inline __u32 trait_code_at(const struct trait_header *header, __u32 key)
{
	return ((header->high >> key & 1) << 1) | (header->low >> key & 1);
}

static __always_inline __u32 trait_code_of(__u32 size)
{
	if (TRAIT_LAYOUT == TRAIT_0_4_8)
		return size == 8 ? 3 : size == 4 ? 2 : size == 0 ? 1 : 0;
	return size == 16 ? 3 : size == 8 ? 2 : size == 4 ? 1 : 0;
}

static __always_inline __u32 trait_size_of(__u32 code)
{
	if (TRAIT_LAYOUT == TRAIT_0_4_8)
		return code < 2 ? 0 : (code - 1) << 2;
	return code == 0 ? 0 : 2 << code;
}

/* The verifier follows no pointer to a packet with an offset that it cannot bound. */
#define TRAIT_BOUND(offset)                                                                                            \
	do {                                                                                                           \
		barrier_var(offset);                                                                                   \
		(offset) &= 0xff;                                                                                      \
	} while (0)

/* Copies `size` (a constant: 4, 8 or 16) bytes between packet and program; neither side is aligned to more than 4. */
static __always_inline void trait_copy(void *to, const void *from, __u32 size)
{
	__u32 *t = to;
	const __u32 *f = from;

	if (size >= 4)
		t[0] = f[0];
	if (size >= 8)
		t[1] = f[1];
	if (size >= 16) {
		t[2] = f[2];
		t[3] = f[3];
	}
}

/*
 * `data_meta` and `data` of an xdp_md or a __sk_buff as pointers. Length of the value, which goes to `value`, whose `size` is a constant; -EINVAL, -ENOENT, -ENOSPC
 * (longer than `size`).
 */
static __always_inline int trait_meta_get(void *meta, void *data, __u64 key, void *value, __u32 size)
{
	struct trait_header *header = meta;
	__u32 code, length, offset;
	void *at;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	if ((void *)(header + 1) > data)
		return TRAIT_ENOENT;
	code = trait_code_at(header, key);
	if (code == 0)
		return TRAIT_ENOENT;
	length = trait_size_of(code);
	offset = TRAIT_HEADER + trait_values_size(header, ((__u64)1 << key) - 1);
	if (offset > TRAIT_META_MAX)
		return TRAIT_ENOENT;
	TRAIT_BOUND(offset);
	at = meta + offset;
	if (length == 4) {
		if (at + 4 > data)
			return TRAIT_ENOENT;
		if (size < 4)
			return TRAIT_ENOSPC;
		trait_copy(value, at, 4);
	} else if (length == 8) {
		if (at + 8 > data)
			return TRAIT_ENOENT;
		if (size < 8)
			return TRAIT_ENOSPC;
		trait_copy(value, at, size < 8 ? 0 : 8);
	} else if (length == 16) {
		if (at + 16 > data)
			return TRAIT_ENOENT;
		if (size < 16)
			return TRAIT_ENOSPC;
		trait_copy(value, at, size < 16 ? 0 : 16);
	} else if (at > data) {
		return TRAIT_ENOENT;
	}
	return length;
}

/* 1 or 0; -EINVAL. */
static __always_inline int trait_meta_is_set(void *meta, void *data, __u64 key)
{
	struct trait_header *header = meta;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	if ((void *)(header + 1) > data)
		return 0;
	return trait_code_at(header, key) != 0;
}

/* Moves the 4-byte words [0, bytes) of the metadata by `by` bytes, down if it is negative: `meta` has room for that. */
static __always_inline void trait_move_down(void *meta, void *data, __u32 bytes, __u32 by)
{
	__u32 i;

	__no_unroll for (i = 0; i < TRAIT_META_MAX / 4; i++) {
		__u32 *at = meta + i * 4;

		if (i * 4 >= bytes)
			break;
		if ((void *)at + by + 4 > data)
			break;
		*at = *(__u32 *)((void *)at + by);
	}
}

static __always_inline void trait_move_up(void *meta, void *data, __u32 bytes, __u32 by)
{
	__u32 i;

	__no_unroll for (i = 0; i < TRAIT_META_MAX / 4; i++) {
		__u32 offset = bytes - 4 - i * 4;
		__u32 *at;

		if (i * 4 >= bytes)
			break;
		TRAIT_BOUND(offset);
		at = meta + offset;
		if ((void *)at + by + 4 > data)
			break;
		*(__u32 *)((void *)at + by) = *at;
	}
}

#define TRAIT_META(ctx) ((void *)(long)(ctx)->data_meta)
#define TRAIT_DATA(ctx) ((void *)(long)(ctx)->data)
/* data_meta of a struct __sk_buff, as a pointer. */
#define TRAIT_SKB_META(skb) ((void *)(long)*(const volatile __u32 *)((const char *)(skb) + 140))

/* `size` is a constant: 0, 4, 8 or 16 as the layout has them. Pointers into the packet are void after it. */
static __always_inline int trait_meta_set(struct xdp_md *ctx, __u64 key, const void *value, __u32 size)
{
	void *meta = TRAIT_META(ctx), *data = TRAIT_DATA(ctx);
	__u32 code = trait_code_of(size), there, offset;
	struct trait_header *header = meta;
	__u64 bit;

	if (key >= TRAIT_KEYS || code == 0)
		return TRAIT_EINVAL;
	bit = (__u64)1 << key;
	if (meta == data) {
		if (bpf_xdp_adjust_meta(ctx, -TRAIT_HEADER) != 0)
			return TRAIT_ENOSPC;
		meta = TRAIT_META(ctx);
		data = TRAIT_DATA(ctx);
		header = meta;
		if ((void *)(header + 1) > data)
			return TRAIT_ENOSPC;
		header->high = 0;
		header->low = 0;
	}
	if ((void *)(header + 1) > data)
		return TRAIT_ENOSPC;
	there = trait_code_at(header, key);
	if (there != 0 && there != code)
		return TRAIT_EBUSY;
	offset = TRAIT_HEADER + trait_values_size(header, bit - 1);
	if (offset > TRAIT_META_MAX)
		return TRAIT_ENOSPC;
	if (there == 0) {
		/* A header that says more than there is has no room for more. */
		if (meta + TRAIT_HEADER + (trait_values_size(header, ~(__u64)0) & 0x7fc) > data)
			return TRAIT_ENOSPC;
		if (size != 0) {
			if (bpf_xdp_adjust_meta(ctx, -(int)size) != 0)
				return TRAIT_ENOSPC;
			meta = TRAIT_META(ctx);
			data = TRAIT_DATA(ctx);
			trait_move_down(meta, data, offset, size);
		}
		header = meta;
		if ((void *)(header + 1) > data)
			return TRAIT_ENOSPC;
		if (code & 2)
			header->high |= bit;
		if (code & 1)
			header->low |= bit;
	}
	if (size == 0)
		return 0;
	TRAIT_BOUND(offset);
	if (meta + offset + size > data)
		return TRAIT_ENOSPC;
	trait_copy(meta + offset, value, size);
	return 0;
}

static __always_inline int trait_meta_del(struct xdp_md *ctx, __u64 key)
{
	void *meta = TRAIT_META(ctx), *data = TRAIT_DATA(ctx);
	struct trait_header *header = meta;
	__u32 code, offset, size;
	__u64 bit;

	if (key >= TRAIT_KEYS)
		return TRAIT_EINVAL;
	if ((void *)(header + 1) > data)
		return TRAIT_ENOENT;
	code = trait_code_at(header, key);
	if (code == 0)
		return TRAIT_ENOENT;
	bit = (__u64)1 << key;
	offset = TRAIT_HEADER + trait_values_size(header, bit - 1);
	size = trait_size_of(code);
	/* What does not lie in front of the packet has nothing to move: the key is gone all the same. */
	if (offset + size > TRAIT_META_MAX || meta + TRAIT_HEADER + (trait_values_size(header, ~(__u64)0) & 0x7fc) > data)
		size = 0;
	header->high &= ~bit;
	header->low &= ~bit;
	if (size == 4)
		trait_move_up(meta, data, offset, 4);
	else if (size == 8)
		trait_move_up(meta, data, offset, 8);
	else if (size == 16)
		trait_move_up(meta, data, offset, 16);
	if (size != 0)
		bpf_xdp_adjust_meta(ctx, size);
	return 0;
}

#endif
