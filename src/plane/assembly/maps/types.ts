// Map type numbers (abi/map-types.ts has them by name; plane imports only layouts).
export const HASH: u32 = 1;
export const ARRAY: u32 = 2;
export const PROG_ARRAY: u32 = 3;
export const PERCPU_ARRAY: u32 = 6;
export const LRU_HASH: u32 = 9;
export const LPM_TRIE: u32 = 11;
export const RINGBUF: u32 = 27;
