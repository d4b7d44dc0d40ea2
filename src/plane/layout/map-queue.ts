/**
 * Queues and stacks: a ring of MAP_MAX_ENTRIES + 1 values, MAP_STRIDE bytes apart from MAP_VALUES on; one is always empty. Bloom filters: a
 * bit field.
 */

/** u32: lock word; place that the next value is pushed to; place of the oldest value; number of places. */
export const QUEUE_LOCK = 64;
export const QUEUE_HEAD = 68;
export const QUEUE_TAIL = 72;
export const QUEUE_PLACES = 76;

/**
 * Bloom filter. u64: seed; u32: bits - 1 (their number is a power of two); u32: bits that a value sets. The bits are u32 words from
 * MAP_VALUES on.
 */
export const BLOOM_SEED = 64;
export const BLOOM_MASK = 72;
export const BLOOM_HASHES = 76;
/** Bits a value by default; map_extra gives another number. */
export const BLOOM_DEFAULT_HASHES = 5;
