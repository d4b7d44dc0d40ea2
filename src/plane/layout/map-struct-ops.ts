/**
 * struct_ops: one element, struct bpf_struct_ops_NAME of the kernel: u32 references, u32 state, and from STRUCT_OPS_DATA on the struct itself, as
 * the object lays it out; where it has a function pointer to a program, its table index is kept.
 */

export const STRUCT_OPS_REFERENCES = 0;
export const STRUCT_OPS_STATE = 4;
/** ____cacheline_aligned_in_smp. */
export const STRUCT_OPS_DATA = 64;

/** enum bpf_struct_ops_state, kernel/bpf/bpf_struct_ops.c. */
export const STRUCT_OPS_INIT = 0;
export const STRUCT_OPS_INUSE = 1;
export const STRUCT_OPS_TOBEFREE = 2;
export const STRUCT_OPS_READY = 3;
