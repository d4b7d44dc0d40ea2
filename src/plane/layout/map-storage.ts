/**
 * Storage that hangs on objects (sk_storage, task_storage, inode_storage, cgrp_storage; cgroup_storage and its per-CPU kind): a hash map (map-hash.ts) with keys
 * of 8 bytes, the owner's address, and elements that are drawn from an allocator as they are needed: there is no capacity.
 */

/** Number of buckets. */
export const STORAGE_BUCKETS = 256;

/** Flag of bpf_sk_storage_get and its like (include/uapi/linux/bpf.h). */
export const BPF_LOCAL_STORAGE_GET_F_CREATE = 1;
/** BPF_LOCAL_STORAGE_MAX_VALUE_SIZE. */
export const STORAGE_VALUE_MAX = 65407;
