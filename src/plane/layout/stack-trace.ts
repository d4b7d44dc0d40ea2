/**
 * Call stacks that a run gives to programs (WORKER_STACK_TRACE points to them), and stack_trace maps.
 *
 * Given: u32 number of addresses of the kernel's stack, u32 of user space's, then u64 each: the kernel's, user space's; innermost first.
 */
export const GIVEN_KERNEL = 0;
export const GIVEN_USER = 4;
export const GIVEN_ADDRESSES = 8;
/** kernel.perf_event_max_stack. */
export const MAX_STACK = 127;

/** Map: buckets MAP_STRIDE bytes apart, a power of two of them, at least max_entries: u32 number of addresses (0: empty), u32 hash, then the value. */
export const TRACE_COUNT = 0;
export const TRACE_HASH = 4;
export const TRACE_VALUE = 8;
/** u32: number of buckets - 1; u32: bytes of an entry of a value, 8 or with BPF_F_STACK_BUILD_ID 32; u32: lock word. */
export const TRACE_MASK = 64;
export const TRACE_ENTRY = 68;
export const TRACE_LOCK = 72;

export const BPF_F_STACK_BUILD_ID = 0x20;
/** struct bpf_stack_build_id: s32 status, 20 bytes, u64 address. Without files to look into, the status says so. */
export const BUILD_ID_SIZE = 32;
export const BUILD_ID_ADDRESS = 24;
export const BPF_STACK_BUILD_ID_IP = 2;
