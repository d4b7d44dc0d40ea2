/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Operations by the kfuncs of Sluice with keys and lengths that the compiler knows, which engines may expand. Keys besides KNOWN and lengths besides SIZES are left out. */
#include "operations.h"

#define KNOWN(each) each(0) each(1) each(5) each(31) each(32) each(62) each(63)

static __always_inline bool is_known(__u64 key)
{
#define EQUALS(known) key == known ||
	return KNOWN(EQUALS) false;
}

#define SET_OF(known, length) \
	if (op->key == known && op->size == length) \
		op->result = bpf_xdp_trait_set(ctx, known, op->value, length, 0);
#define GET_OF(known, length) \
	if (op->key == known && op->size == length) \
		op->result = bpf_xdp_trait_get(ctx, known, op->value, length);
#define SET_EACH(known) SET_OF(known, 0) SET_OF(known, 1) SET_OF(known, 2) SET_OF(known, 4) SET_OF(known, 8) SET_OF(known, 16)
#define GET_EACH(known) GET_OF(known, 0) GET_OF(known, 1) GET_OF(known, 2) GET_OF(known, 4) GET_OF(known, 8) GET_OF(known, 16)
#define DEL_EACH(known) \
	if (op->key == known) \
		op->result = bpf_xdp_trait_del(ctx, known);
#define IS_SET_EACH(known) \
	if (op->key == known) \
		op->result = bpf_xdp_trait_is_set(ctx, known);

static long run_one(__u32 index, struct xdp_md **where)
{
	struct operation *op = bpf_map_lookup_elem(&operations, &index);
	struct xdp_md *ctx = *where;

	if (!op)
		return 1;
	if (!is_known(op->key))
		return 0;
	switch (op->kind) {
	case SET:
		KNOWN(SET_EACH)
		break;
	case GET:
		KNOWN(GET_EACH)
		break;
	case DEL:
		KNOWN(DEL_EACH)
		break;
	case IS_SET:
		KNOWN(IS_SET_EACH)
		break;
	}
	return 0;
}

SEC("xdp")
int trait_known(struct xdp_md *ctx)
{
	struct xdp_md *where = ctx;

	bpf_loop(count < OPERATIONS ? count : OPERATIONS, run_one, &where, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
