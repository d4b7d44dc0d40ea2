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
/** u32: number of references (handles, programs, other maps); the memory goes back when it reaches 0. */
export const MAP_REFERENCES = 28;
/** u64: map_extra. */
export const MAP_EXTRA = 32;
/** u32: bytes from one value to the next: the value size rounded up to 8; PROG_ARRAY_STRIDE in a prog array. */
export const MAP_STRIDE = 40;
/**
 * u32: address of the values. Arrays: value i at MAP_VALUES + i * MAP_STRIDE. Per-CPU arrays: value i of CPU c at
 * MAP_VALUES + c * MAP_CPU_STRIDE + i * MAP_STRIDE. Prog arrays: element i at MAP_VALUES + i * PROG_ARRAY_STRIDE, a u32 index into
 * the function table, 0 if empty. Others: their element storage, 0 if none.
 */
export const MAP_VALUES = 44;
/** u32: entries in use, where the type counts them. */
export const MAP_COUNT = 48;
/** u32: first page and number of pages that the page allocator gave for this map. */
export const MAP_PAGES = 52;
export const MAP_PAGE_COUNT = 56;
/** u32: address of the next map in the list of all maps (ROOT_MAPS), 0 at the end. */
export const MAP_NEXT = 60;
/** First byte of a type's own fields. */
export const MAP_PRIVATE = 64;
/**
 * u32, of per-CPU types: bytes from one CPU's value to the next one's; of a per-CPU array from its row of values. With several CPUs a multiple of CACHE_LINE where that costs
 * little, so that CPUs that count do not take the line from each other.
 */
export const MAP_CPU_STRIDE = 192;
export const CACHE_LINE = 64;
/**
 * u32: allocator that elements are drawn from, 0 where they stand in the map's own pages; allocator of what the fields of its values own, which programs reach by
 * the map's name, or 0. Of a map of type `allocator` the latter is the allocator that it is a handle of. The map holds both.
 */
export const MAP_ELEM_ALLOCATOR = 200;
export const MAP_KPTR_ALLOCATOR = 204;
/** Low bits of a program's pointer to one of a map's allocators (`&hash.elem_allocator`): the map's address plus one of these. */
export const MAP_TAG_ELEM = 1;
export const MAP_TAG_KPTR = 2;
export const MAP_TAGS = 3;
/**
 * u32: those of its references that are user space's (handles, pins; usercnt of struct bpf_map). With the last of them timers and work of its values end, and none begin until there
 * is one again, though programs may have the map still.
 */
export const MAP_USERS = 232;
/** u32: where in a value its bpf_spin_lock lies, plus 1; 0 if values have none. Copies leave the lock's 4 bytes alone. */
export const MAP_SPIN_LOCK = 240;
export const SPIN_LOCK_SIZE = 4;
/** u32: where in a value its bpf_timer, its bpf_wq and its bpf_task_work lie, plus 1; 0 if values have none (layout/timer.ts). */
export const MAP_TASK_WORK = 236;
export const MAP_TIMER = 244;
export const MAP_WORK = 248;
/** u32: record of the values (record.ts), 0 if they have no special fields. */
export const MAP_RECORD = 252;
/** Bytes reserved for a map header, private fields included. */
export const MAP_HEADER_SIZE = 256;

/** Bytes of a prog array's element. */
export const PROG_ARRAY_STRIDE = 4;

/** Flags of BPF_MAP_CREATE (include/uapi/linux/bpf.h). */
export const BPF_F_NO_PREALLOC = 0x1;
export const BPF_F_NO_COMMON_LRU = 0x2;
export const BPF_F_NUMA_NODE = 0x4;
export const BPF_F_RDONLY = 0x8;
export const BPF_F_WRONLY = 0x10;
export const BPF_F_ZERO_SEED = 0x40;
export const BPF_F_RDONLY_PROG = 0x80;
export const BPF_F_WRONLY_PROG = 0x100;
export const BPF_F_MMAPABLE = 0x400;
export const BPF_F_PRESERVE_ELEMS = 0x800;
export const BPF_F_INNER_MAP = 0x1000;
export const BPF_F_CLONE = 0x200;
export const BPF_F_LINK = 0x2000;
export const BPF_F_VTYPE_BTF_OBJ_FD = 0x8000;
export const BPF_F_SEGV_ON_FAULT = 0x2_0000;
export const BPF_F_NO_USER_CONV = 0x4_0000;

/** Flags of BPF_MAP_UPDATE_ELEM. */
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;
export const BPF_F_LOCK = 4;

/** KMALLOC_MAX_SIZE and PCPU_MIN_UNIT_SIZE of Linux on x86-64: bounds of its element and per-CPU value sizes. */
export const KMALLOC_MAX_SIZE = 0x40_0000;
export const PCPU_MIN_UNIT_SIZE = 0x8000;
