/**
 * Redirect targets. Arrays (devmap, cpumap, xskmap): elements of TARGET_SIZE bytes from MAP_VALUES on. devmap: u32 ifindex (0: empty), u32
 * program; cpumap: u32 queue size (0: empty), u32 program; xskmap: u32 queue of the socket, u32 1 if there is one. devmap_hash: a hash map
 * with devmap's elements as values.
 */
export const TARGET_SIZE = 8;
export const XSKMAP_PRESENT = 4;

/** Longest queue of a cpumap's element, and CONFIG_NR_CPUS of Debian's x86-64 kernels, which bounds its size. */
export const CPUMAP_QUEUE_MAX = 16384;
export const CPUMAP_ENTRIES_MAX = 8192;

/** Flags of bpf_redirect_map: the lower two bits are what is returned where the map has no such element. */
export const REDIRECT_ACTION_MASK = 3;
export const BPF_F_BROADCAST = 8;
export const BPF_F_EXCLUDE_INGRESS = 16;
