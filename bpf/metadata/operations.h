/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Operations on traits, in a map: programs do `count` of them and leave the results there. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include <sluice/trait.h>

enum operation_kind { SET, GET, DEL, IS_SET };

struct operation {
	__u32 kind;
	__u32 size;
	__u64 key;
	__u8 value[16];
	__s32 result;
	__u32 padding;
};

enum { OPERATIONS = 64 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OPERATIONS);
	__type(key, __u32);
	__type(value, struct operation);
} operations SEC(".maps");

__u32 count;

/* A program that does `run` for each operation. */
#define OPERATIONS_PROGRAM(name, run) \
	SEC("xdp") \
	int name(struct xdp_md *ctx) \
	{ \
		__u32 i; \
		__no_unroll for (i = 0; i < OPERATIONS; i++) \
		{ \
			__u32 key = i; \
			struct operation *op; \
			if (i >= count) \
				break; \
			op = bpf_map_lookup_elem(&operations, &key); \
			if (!op) \
				break; \
			run(ctx, op); \
		} \
		return XDP_PASS; \
	}

#endif
