/**
 * Redirect targets. Arrays (devmap, cpumap, xskmap): elements of TARGET_SIZE bytes from MAP_VALUES on. devmap: u32 ifindex (0: empty), u32
 * program; cpumap: u32 queue size (0: empty), u32 program; xskmap: u32 queue of the socket, u32 1 if there is one. devmap_hash: a hash map
 * with devmap's elements as values.
 */
export const TARGET_SIZE = 8;
export const XSKMAP_PRESENT = 4;
/** xskmap: u32 lock word of the writers. In the map's own fields. */
export const XSKMAP_LOCK = 64;

/** cpumap: u32 address of the queues of its elements (CPUMAP_QUEUE_*), a u32 each; 0 as long as nothing was sent there. In the map's own fields. */
export const CPUMAP_QUEUES = 64;
/** Queue of an element: u32 length, which is the element's queue size; mask of its cells; program (function-table index, 0: none); CPU; pages that it takes. Never change. */
export const CPUMAP_QUEUE_LIMIT = 0;
export const CPUMAP_QUEUE_MASK = 4;
export const CPUMAP_QUEUE_PROGRAM = 8;
export const CPUMAP_QUEUE_CPU = 12;
export const CPUMAP_QUEUE_PAGES = 16;
/** Producers: u32 next cell to be written; CPUMAP_QUEUE_SCHEDULED, CPUMAP_QUEUE_CLOSED; next in the CPU's stack. u64 frames that were put in; that found it full. */
export const CPUMAP_QUEUE_TAIL = 64;
export const CPUMAP_QUEUE_STATE = 68;
export const CPUMAP_QUEUE_NEXT = 72;
export const CPUMAP_QUEUE_ENQUEUED = 80;
export const CPUMAP_QUEUE_DROPS = 88;
/** It stands in the CPU's stack, or is about to. */
export const CPUMAP_QUEUE_SCHEDULED = 1;
/** The element has another one, or none: what is in it is still run. */
export const CPUMAP_QUEUE_CLOSED = 2;
/** The CPU: u32 next cell to be read; u64 frames by verdict of the element's program (no program: all pass): passed, redirected, dropped (all else); stopped. */
export const CPUMAP_QUEUE_HEAD = 128;
export const CPUMAP_QUEUE_PASSED = 136;
export const CPUMAP_QUEUE_REDIRECTED = 144;
export const CPUMAP_QUEUE_DROPPED = 152;
export const CPUMAP_QUEUE_STOPPED = 160;
/** Cells: u32 number of the frame plus 1, u32 record. */
export const CPUMAP_QUEUE_CELLS = 256;
export const CPUMAP_QUEUE_CELL = 8;

/** Longest queue of a cpumap's element, and CONFIG_NR_CPUS of Debian's x86-64 kernels, which bounds its size. */
export const CPUMAP_QUEUE_MAX = 16384;
export const CPUMAP_ENTRIES_MAX = 8192;

/** Flags of bpf_redirect_map: the lower two bits are what is returned where the map has no such element. */
export const REDIRECT_ACTION_MASK = 3;
export const BPF_F_BROADCAST = 8;
export const BPF_F_EXCLUDE_INGRESS = 16;
