/**
 * Arena: pages of 4 KiB that programs and user space share. They lie in a row from MAP_VALUES on, at a multiple of 64 KiB, in the linear
 * memory itself: a pointer into an arena is an address like any other, and addr_space_cast changes nothing. What no page was
 * taken for reads as zeros. Linux's arenas answer so too, but forget what is written there.
 */

/** u32: lock word; number of pages taken; address of the bitmap, a bit a page (1: taken), in u32 words. */
export const ARENA_LOCK = 64;
export const ARENA_TAKEN = 68;
export const ARENA_BITMAP = 72;
/**
 * u32: added to a program's pointer (to its lower 32 bits) it gives the address of the byte. 0, but in an arena that is shared with the kernel
 * (linux/shared-maps.ts), whose pointers are addresses of the process.
 */
export const ARENA_DELTA = 76;
/**
 * u32: first page + 1 of the range of free pages that changed last, 0 if none is free; and where the nodes of ranges are, one for the page that a range
 * begins with: u32 pages, and as above the range that changed before and after this one. A page is neither free nor taken while it is reserved.
 */
export const ARENA_NEWEST = 80;
export const ARENA_NODES = 84;
export const ARENA_NODE_SIZE = 12;
export const ARENA_NODE_OLDER = 4;
export const ARENA_NODE_NEWER = 8;
/**
 * u32: pages of objects that bpf_arena_alloc gives (assembly/kfuncs/arena-objects.ts), ARENA_SLAB_SIZE bytes for each page of the arena; lock word; first
 * page + 1 with room for objects of 16 bytes, 32, and so on to a page. A page: u32 next and previous page + 1 of its class, objects that are out (of larger
 * objects: pages), u8 binary logarithm of the size of its objects, 0: it holds none; a bit an object: it is out.
 */
export const ARENA_SLABS = 88;
export const ARENA_SLABS_LOCK = 92;
export const ARENA_CLASSES = 96;
export const ARENA_SLAB_SIZE = 48;
/** u32: first page and number of those that who holds the lock has in hand (arena-ranges.ts), 0: none. */
export const ARENA_HAND = 136;
export const ARENA_HAND_COUNT = 140;
export const ARENA_SLAB_NEXT = 0;
export const ARENA_SLAB_PREVIOUS = 4;
export const ARENA_SLAB_COUNT = 8;
export const ARENA_SLAB_ORDER = 12;
export const ARENA_SLAB_BITS = 16;
/** Bytes of a page, and what MAP_VALUES is aligned to: the largest page of the machines that can map an arena of their kernel there. */
export const ARENA_PAGE = 4096;
export const ARENA_ALIGNMENT = 0x1_0000;
