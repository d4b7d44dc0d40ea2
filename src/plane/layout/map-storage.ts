/**
 * Storage that hangs on objects (sk_storage, task_storage, inode_storage, cgrp_storage; cgroup_storage and its per-CPU kind): a hash map (map-hash.ts) with keys
 * of 8 bytes, the owner's address, and elements that are taken from chunks of pages as they are needed: there is no capacity.
 */

/** u32: newest chunk (u32 address of the next one, u32 pages, then elements), and the lock word of the list. */
export const STORAGE_CHUNKS = 128;
export const STORAGE_LOCK = 132;
export const STORAGE_CHUNK_NEXT = 0;
export const STORAGE_CHUNK_PAGES = 4;
export const STORAGE_CHUNK_ELEMENTS = 8;
/** Number of buckets. */
export const STORAGE_BUCKETS = 256;

/** Flag of bpf_sk_storage_get and its like (include/uapi/linux/bpf.h). */
export const BPF_LOCAL_STORAGE_GET_F_CREATE = 1;
/** BPF_LOCAL_STORAGE_MAX_VALUE_SIZE. */
export const STORAGE_VALUE_MAX = 65407;
