/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Operations by the kfuncs of Sluice, in whatever layout and place the runtime has. */
#include "operations.h"

static __always_inline void run_kfunc(struct xdp_md *ctx, struct operation *op)
{
	__u32 size = op->size;

	switch (op->kind) {
	case SET:
		op->result = size > 16 ? TRAIT_EINVAL : bpf_xdp_trait_set(ctx, op->key, op->value, size, 0);
		break;
	case GET:
		op->result = size > 16 ? TRAIT_EINVAL : bpf_xdp_trait_get(ctx, op->key, op->value, size);
		break;
	case DEL:
		op->result = bpf_xdp_trait_del(ctx, op->key);
		break;
	case IS_SET:
		op->result = bpf_xdp_trait_is_set(ctx, op->key);
		break;
	}
}

OPERATIONS_PROGRAM(trait_kfuncs, run_kfunc)

char _license[] SEC("license") = "Dual MIT/GPL";
