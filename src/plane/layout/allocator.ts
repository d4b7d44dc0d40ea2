/** Allocators: where objects of programs and elements of maps come from (plane/assembly/slab/). */

/** Bytes of a slab; the side table has one entry of SLAB_ENTRY bytes for each piece of the address space of that size. */
export const SLAB_SHIFT = 14;
export const SLAB_ENTRY = 32;
/** u32: address of the allocator, 0: no slab. */
export const SLAB_ALLOCATOR = 0;
/** u32: bytes of each of its objects. */
export const SLAB_OBJECT_SIZE = 4;

/** Most bytes of an object of a program: what Linux gives, whose largest class is 4096 with a word of its own in front. */
export const OBJECT_MAX = 4088;

/** u32 each: number of the allocator, references (maps, programs, handles), flags. */
export const ALLOCATOR_ID = 0;
export const ALLOCATOR_REFERENCES = 4;
export const ALLOCATOR_FLAGS = 8;
/** u64: bytes that it may give out at most, 0: no quota. */
export const ALLOCATOR_QUOTA = 16;
/** u64: objects, and bytes, that are out. */
export const ALLOCATOR_LIVE = 24;
export const ALLOCATOR_LIVE_BYTES = 32;
/** u32 a class: first free object. */
export const ALLOCATOR_FREE = 64;
export const ALLOCATOR_SIZE = 256;
