/** What a register or a byte of the stack holds, as numbers in records (layout.ts), and their names in messages. */

export const NOT_INIT = 0;
export const SCALAR = 1;
export const CTX = 2;
/** AUX: frame. */
export const STACK = 3;
/** AUX: map. */
export const MAP_PTR = 4;
/** AUX: map; AUX2: id of the lookup. */
export const MAP_VALUE = 5;
export const MAP_KEY = 6;
/** AUX: bytes known to be there, BEYOND_END or AT_END. */
export const PACKET = 7;
export const PACKET_META = 8;
export const PACKET_END = 9;
/** AUX: size in bytes. */
export const MEM = 10;
/** AUX: function. */
export const FUNC = 11;
export const SOCKET = 12;
export const SOCK_COMMON = 13;
export const TCP_SOCK = 14;
export const XDP_SOCK = 15;
export const FLOW_KEYS = 16;
/** A dynptr that may not be changed (CONST_PTR_TO_DYNPTR); also what the slots of one hold. AUX: type. */
export const DYNPTR = 17;
/** Pointer to a struct with a type. AUX: BTF type id; AUX2: KERNEL_TYPES or PROGRAM_TYPES, and above that bit an origin (resources/provenance.ts). */
export const BTF_ID = 18;
/** Memory of a size that is known at attach: keys and values of map iterators, the writable buffer of a tracepoint. */
export const BUF = 19;
export const TP_BUFFER = 20;
/** Somewhere in the program's arena. */
export const ARENA = 21;
/** Allocator of a map's elements or of the objects in them. AUX: map; AUX2: ELEMENTS or OBJECTS. */
export const ALLOCATOR = 22;
export const ELEMENTS = 1;
export const OBJECTS = 2;

/** Lowest bit of AUX2 of a BTF_ID: whose ids they are. */
export const KERNEL_TYPES = 0;
export const PROGRAM_TYPES = 1;

/** FLAGS. */
export const MAYBE_NULL = 1;
export const READ_ONLY = 2;
/** Memory of a ring buffer record. */
export const RINGBUF = 4;
/** Scalar linked by `x = y + constant`: OFFSET is the constant. */
export const ADD_CONST = 8;
/** Memory that bpf_dynptr_slice gave; of a dynptr over the packet, void with it. AUX2: id of the dynptr. */
export const SLICE = 1 << 16;
export const PACKET_SLICE = 1 << 17;
/** Of an iterator that needs RCU protection: it was begun under it, or not. */
export const ITERATOR_RCU = 1 << 18;
export const ITERATOR_UNTRUSTED = 1 << 19;
/** Of pointers to typed structs: how far their target can be relied on (enum bpf_type_flag, include/linux/bpf.h). */
export const TRUSTED = 16;
export const RCU = 32;
export const UNTRUSTED = 64;
/** The struct is user memory, or a copy for each CPU. */
export const USER = 128;
export const PERCPU = 256;
/** Object of a type of the program itself, from bpf_obj_new. */
export const ALLOC = 512;
/** The object is in a list or tree, which owns it. */
export const NON_OWNING = 1024;

/** Bytes of the stack. */
export const INVALID = 0;
export const SPILL = 1;
export const MISC = 2;
export const ZERO = 3;
/** Whole slots only. */
export const DYNPTR_BYTE = 4;
export const ITERATOR_BYTE = 5;
export const IRQ_FLAG = 6;

export const BEYOND_END = -1;
export const AT_END = -2;

const kindNames = [
  '?',
  'scalar',
  'ctx',
  'fp',
  'map_ptr',
  'map_value',
  'map_key',
  'pkt',
  'pkt_meta',
  'pkt_end',
  'mem',
  'func',
  'sock',
  'sock_common',
  'tcp_sock',
  'xdp_sock',
  'flow_keys',
  'dynptr_ptr',
  'ptr_',
  'buf',
  'tp_buffer',
  'arena',
  'allocator',
];

const prefixes: readonly (readonly [number, string])[] = [
  [READ_ONLY, 'rdonly_'],
  [RINGBUF, 'ringbuf_'],
  [USER, 'user_'],
  [PERCPU, 'percpu_'],
  [RCU, 'rcu_'],
  [UNTRUSTED, 'untrusted_'],
  [TRUSTED, 'trusted_'],
];

/** As the kernel's reg_type_str. */
export function kindName(kind: number, flags: number): string {
  if (kind === SCALAR || kind === NOT_INIT) return kindNames[kind]!;
  let prefix = '';
  for (const [flag, text] of prefixes) if ((flags & flag) !== 0) prefix += text;
  const orNull = (flags & MAYBE_NULL) === 0 ? '' : kind === BTF_ID ? 'or_null_' : '_or_null';
  return prefix + kindNames[kind]! + orNull;
}

/** Pointers that change when the packet does. */
export function isPacket(kind: number): boolean {
  return kind === PACKET || kind === PACKET_META || kind === PACKET_END;
}

export function isSocket(kind: number): boolean {
  return kind === SOCKET || kind === SOCK_COMMON || kind === TCP_SOCK || kind === XDP_SOCK;
}
