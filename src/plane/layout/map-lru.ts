/**
 * LRU hash: a hash map (map-hash.ts) whose elements are also in lists that tell which one goes when a new one needs room. The design is
 * Linux's (kernel/bpf/bpf_lru_list.c): an active and an inactive list; a bit in each element that lookups of programs set; a
 * second chance for elements with the bit; free elements handed to the CPUs in batches, which keep what they filled in a
 * pending list until the next batch. With BPF_F_NO_COMMON_LRU each CPU has lists and elements of its own.
 *
 * A link is two u32: address of the previous and of the next link. Lists are circular through a link of their own.
 */

/** Node in an element, behind the hash's words: link, u8 list that it is in, u8 "referenced" bit, u16 CPU. */
export const LRU_NODE_LINK = 8;
export const LRU_NODE_LIST = 16;
export const LRU_NODE_REFERENCED = 17;
export const LRU_NODE_CPU = 18;
/** Key of an element; the value follows at the next multiple of 8. */
export const LRU_ELEMENT_KEY = 24;

/** u32 map fields: how many elements a CPU is handed at a time; how many are looked at in one go. */
export const LRU_BATCH = 108;
export const LRU_SCANS = 112;

/**
 * At HASH_EXTRAS, LRU_LISTS_SIZE bytes each: the common lists, then one local list a CPU; with BPF_F_NO_COMMON_LRU one set of lists a CPU.
 * A set of lists: links of active, inactive and free list, number of active and of inactive elements, u32 place where the next
 * rotation of the inactive list begins (a link), u32 lock.
 */
export const LRU_LISTS_SIZE = 64;
export const LRU_LISTS_COUNTS = 24;
export const LRU_LISTS_ROTATION = 32;
export const LRU_LISTS_LOCK = 36;
/** A local list: links of free and pending list, u32 CPU to take from next when nothing is left, u32 lock. */
export const LRU_LOCAL_FREE = 0;
export const LRU_LOCAL_PENDING = 8;
export const LRU_LOCAL_VICTIM = 16;
export const LRU_LOCAL_LOCK = 20;
