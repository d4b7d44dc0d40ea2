/**
 * LPM trie: a binary, path-compressed trie of nodes that are drawn from an allocator. Lookup takes no lock: writers publish whole nodes by one store, and
 * before they write into a node that was in the trie earlier they count LPM_GENERATION up, which sends readers back to the root.
 *
 * A key is u32 prefix length in bits, then the data, its first byte the most significant.
 */

/** u32: lock word of the writers. */
export const LPM_LOCK = 64;
/** u32: number of times that a node was reused. */
export const LPM_GENERATION = 68;
/** u32: address of the root node, 0 if the trie is empty. */
export const LPM_ROOT = 72;
/** u32: bytes of data, and the longest prefix in bits. */
export const LPM_DATA_SIZE = 76;
export const LPM_MAX_PREFIX = 80;
/** u32: bytes of a node; where the value lies in it. */
export const LPM_NODE_SIZE = 84;
export const LPM_VALUE_OFFSET = 88;
/** u32: first free node (linked through LPM_NODE_LINK); nodes that the trie has, in it or free, and how many it may have. */
export const LPM_FREE = 92;
export const LPM_USED = 96;
export const LPM_CAPACITY = 100;

/**
 * u32: address of the table over the first byte of the data, LPM_TABLE_SIZE bytes: for each value a u64 with the node at which the
 * walk goes on, the first on the path with 8 bits or more (upper half, 0: none), and the last entry passed before it (lower
 * half, 0: none). It spares a lookup the top of the trie; keys with less than 8 bits walk from the root.
 */
export const LPM_TABLE = 104;
export const LPM_TABLE_BITS = 8;
export const LPM_TABLE_SIZE = 2048;
/** Two u32: nodes that who holds the lock has in hand, 0: none. */
export const LPM_HAND = 112;

/** Node: u32 children by the next bit, 0 if there is none. */
export const LPM_NODE_CHILDREN = 0;
/** u32: prefix length in bits; LPM_INTERMEDIATE is set in nodes that only part two others and have no value. */
export const LPM_NODE_PREFIX = 8;
export const LPM_INTERMEDIATE = 0x8000_0000;
/** u32: next free node. */
export const LPM_NODE_LINK = 12;
/** Data: as many u64 as hold it, each with its first byte most significant; then the value. */
export const LPM_NODE_WORDS = 16;

/** Bytes of data that a key may have. */
export const LPM_DATA_SIZE_MAX = 256;
