/**
 * Hash maps: chained buckets over a slab of elements. Lookup takes no lock.
 *
 * Buckets are u64 words, a power of two of them, at least as many as max_entries. Lower half: address of the first element of the chain (0:
 * empty), plus HASH_LOCKED while a writer holds the bucket. Upper half: a version that every change of the chain counts up, in the
 * same store that publishes the first element or before anything is taken out. Freed elements keep their next word until they
 * are reused, maybe in another bucket, so a reader may be led astray or miss an element that is being replaced. Therefore not
 * finding a key counts only if the bucket's version is still the one that the walk began with; otherwise the reader starts again.
 *
 * The hash of a key, with words of 64 bits, little-endian, the last one zero-extended from the bytes that remain (absent if none do):
 *   h = seed;  for each word: h = (h ^ word) * HASH_MIX_1, h ^= h >>> 32;  hash = (h * HASH_MIX_2) >>> 32
 * in 64-bit arithmetic; the bucket is hash & HASH_MASK. Seed 0 with BPF_F_ZERO_SEED, otherwise what map_create was given.
 */

/** u32: address of the buckets; u32: number of buckets - 1. */
export const HASH_BUCKETS = 64;
export const HASH_MASK = 68;
/** u64: seed of the hash. */
export const HASH_SEED = 72;
/** u32: bytes from one element to the next; u32: where the value lies in an element. */
export const HASH_ELEMENT_SIZE = 80;
export const HASH_VALUE_OFFSET = 84;
/**
 * u32: address of the free lists, one a CPU, HASH_EXTRA_STRIDE bytes apart: u64, address of the first element in the lower half (0: empty), a counter against ABA in the upper.
 * A CPU gives to its own, and takes from its own while there is something in it.
 */
export const HASH_FREE = 88;
/** u32: how many elements there may be, and how many of the slab were used so far (drawn ones: that the map has now). What is written lies apart from what lookups read. */
export const HASH_CAPACITY = 100;
export const HASH_UNUSED = 132;
/** u32: address of one slot a CPU, HASH_EXTRA_STRIDE bytes apart: the spare element that a replacing update takes. */
export const HASH_EXTRAS = 104;
export const HASH_EXTRA_STRIDE = 64;
/** u32: elements that were given back since the map was last looked at, where they are drawn from an allocator (MAP_ELEM_ALLOCATOR); about. */
export const HASH_GIVEN = 136;
/** u32: lock word of who has the free lists in its hands to give elements back to the allocator. */
export const HASH_TRIMS = 140;
/** u32: first of the elements in the hands of who holds HASH_TRIMS, linked as free ones. */
export const HASH_TRIMMED = 128;

/** Bit of a bucket. */
export const HASH_LOCKED = 1;

/** Element: u32 next element (0: the last), u32 hash (in the free list: the next free element), then for LRU maps the node of map-lru.ts, then key and value. */
export const HASH_ELEMENT_NEXT = 0;
export const HASH_ELEMENT_HASH = 4;
/** Key of a plain hash map; the value follows at the next multiple of 8. */
export const HASH_ELEMENT_KEY = 8;

/** The two multipliers: the golden ratio, and an odd constant of good avalanche. Upper halves first, as u32, for readers without 64-bit literals. */
export const HASH_MIX_1_HIGH = 0x9e3779b9;
export const HASH_MIX_1_LOW = 0x7f4a7c15;
export const HASH_MIX_2_HIGH = 0xd6e8feb8;
export const HASH_MIX_2_LOW = 0x6659fd93;
