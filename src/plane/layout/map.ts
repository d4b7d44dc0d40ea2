/**
 * The header of every map. Its address, zero-extended, is the BPF map pointer. Types add fields of their own from MAP_PRIVATE on.
 */

/** u32: number of the map type (enum bpf_map_type). */
export const MAP_TYPE = 0;
/** u32: bytes of a key, bytes of a value. */
export const MAP_KEY_SIZE = 4;
export const MAP_VALUE_SIZE = 8;
export const MAP_MAX_ENTRIES = 12;
/** u32: BPF_F_* flags given at creation. */
export const MAP_FLAGS = 16;
export const MAP_ID = 20;
/** u32: 1 after BPF_MAP_FREEZE: user space may no longer write. */
export const MAP_FROZEN = 24;
/** u32: number of references (handles, programs); the memory goes back when it reaches 0. */
export const MAP_REFERENCES = 28;
/** u64: map_extra. */
export const MAP_EXTRA = 32;
/** u32: bytes from one value to the next: the value size rounded up to 8. */
export const MAP_STRIDE = 40;
/**
 * u32: address of the values. Arrays: value i at MAP_VALUES + i * MAP_STRIDE. Per-CPU arrays: value i of CPU c at
 * MAP_VALUES + (c * max_entries + i) * MAP_STRIDE. Others: their element storage, 0 if none.
 */
export const MAP_VALUES = 44;
/** u32: entries in use, where the type counts them. */
export const MAP_COUNT = 48;
/** u32: first page and number of pages that the page allocator gave for this map. */
export const MAP_PAGES = 52;
export const MAP_PAGE_COUNT = 56;
/** First byte of a type's own fields. */
export const MAP_PRIVATE = 64;
/** Bytes reserved for a map header, private fields included. */
export const MAP_HEADER_SIZE = 256;
