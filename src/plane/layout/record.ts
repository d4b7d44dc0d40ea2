/**
 * Records: types of a program's own structs and of map values at run time, as far as memory is concerned: size and special fields. Objects carry no
 * type; calls are given the record (struct btf_record of the kernel). Made by runtime/records.ts, one set a load.
 */

/** u32: bytes of the struct, or of the map's value. */
export const RECORD_SIZE = 0;
/** u32: RECORD_* bits below. */
export const RECORD_FLAGS = 4;
/** u32: where its bpf_refcount and its lock (bpf_spin_lock, bpf_res_spin_lock) lie, plus 1; 0 without. */
export const RECORD_REFCOUNT = 8;
export const RECORD_LOCK = 12;
/** u32: number of fields. */
export const RECORD_COUNT = 16;
/** u32: address of the set that the record belongs to: its first word counts who holds the set. */
export const RECORD_SET = 20;
/** u32: id of the struct in the BTF of the load, for reports. */
export const RECORD_TYPE = 24;
/** u32: of those that own something, where in an object the 8 bytes lie that link it to others while it is destroyed: in a node, or behind its end. */
export const RECORD_LINK = 28;
/** u32: bytes that an object takes: its size, with room for the link. */
export const RECORD_BYTES = 32;
/** Fields, by offset, FIELD_BYTES each. */
export const RECORD_FIELDS = 40;

/** A set: blocks of SET_BLOCK bytes. u32: who holds it (in the first block), address of the next block; records follow. */
export const SET_REFERENCES = 0;
export const SET_NEXT = 4;
export const SET_RECORDS = 8;
export const SET_BLOCK = 4096;

/** Freed objects may still be read (RCU): their memory waits for the epoch. */
export const RECORD_DEFERRED = 1;
/** Something in it has to be freed before the memory is: kptrs, lists, trees. */
export const RECORD_OWNS = 2;

/** No type, but several that a call may come with (the fields' targets, by size, the largest first): objects tell by the class of their memory which. */
export const RECORD_CHOICE = 4;

/** In front of a per-CPU object: u32 bytes from one copy to the next, bytes of a copy. */
export const PERCPU_HEADER = 8;
export const PERCPU_STRIDE = 0;
export const PERCPU_OBJECT_SIZE = 4;

/** u32 each: FIELD_KIND is one of the FIELD_ constants below; offset in the struct; bytes. */
export const FIELD_KIND = 0;
export const FIELD_OFFSET = 4;
export const FIELD_SIZE = 8;
/** u32: record of what a pointer points to or a root holds; 0: an object of the kernel (FIELD_DESTRUCTOR). */
export const FIELD_TARGET = 12;
/** u32, of roots: offset of the node in the elements. */
export const FIELD_NODE = 16;
/** u32, of pointers to modelled kernel objects: which function gives one back, DESTRUCTOR_*. */
export const FIELD_DESTRUCTOR = 20;
export const FIELD_BYTES = 24;

/** Most fields of a record (BTF_FIELDS_MAX of the kernel). */
export const FIELDS_MAX = 11;

export const FIELD_SPIN_LOCK = 1;
export const FIELD_RES_SPIN_LOCK = 2;
export const FIELD_TIMER = 3;
export const FIELD_WORK = 4;
export const FIELD_TASK_WORK = 5;
/** Pointers: not owned (`__kptr_untrusted`), owned (`__kptr`), owned per-CPU object (`__percpu_kptr`), memory of a task (`__uptr`). */
export const FIELD_KPTR_UNTRUSTED = 6;
export const FIELD_KPTR = 7;
export const FIELD_PERCPU_KPTR = 8;
export const FIELD_UPTR = 9;
export const FIELD_LIST_HEAD = 10;
export const FIELD_LIST_NODE = 11;
export const FIELD_RB_ROOT = 12;
export const FIELD_RB_NODE = 13;
export const FIELD_REFCOUNT = 14;

export const DESTRUCTOR_NONE = 0;
/** object_release (objects.ts): tasks, control groups. */
export const DESTRUCTOR_OBJECT = 1;
export const DESTRUCTOR_CPUMASK = 2;

/** struct bpf_list_head: first and last node, u64 each; a head of zeros is an empty list. */
export const LIST_HEAD_FIRST = 0;
export const LIST_HEAD_LAST = 8;
/** struct bpf_list_node: neighbours, and the head that owns it (0: none), u64 each. */
export const LIST_NODE_NEXT = 0;
export const LIST_NODE_PREVIOUS = 8;
export const LIST_NODE_OWNER = 16;
/** struct bpf_rb_root: root and leftmost node, u64 each. */
export const RB_ROOT_NODE = 0;
export const RB_ROOT_LEFTMOST = 8;
/** struct bpf_rb_node: parent with the colour in bit 0, children, and the root that owns it (0: none), u64 each. */
export const RB_NODE_PARENT = 0;
export const RB_NODE_RIGHT = 8;
export const RB_NODE_LEFT = 16;
export const RB_NODE_OWNER = 24;
