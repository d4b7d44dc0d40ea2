// Every access to memory: where the register points, whether the bytes are there, and may be read or written.
import {
  ACCESS_ATOMIC,
  ACCESS_READ,
  ACCESS_WRITE,
  FAULT_ATOMIC_OBJECT,
  FAULT_CONTEXT_ACCESS,
  FAULT_DEAD_FRAME,
  FAULT_NOT_A_POINTER,
  FAULT_NULL_POINTER,
  FAULT_OPAQUE_OBJECT,
  FAULT_OUT_OF_BOUNDS,
  FAULT_READ_ONLY,
  FAULT_REGISTER,
  FAULT_SPECIAL_FIELD,
  FAULT_RELEASED_MEMORY,
  FAULT_STALE_PACKET,
  FAULT_UNINITIALISED_REGISTER,
  FAULT_UNINITIALISED_STACK,
  FAULT_WRITE_ONLY,
  FIELD_FIRST,
  FIELD_FLOW_KEYS,
  FIELD_KIND,
  FIELD_METADATA,
  FIELD_OPAQUE,
  FIELD_PACKET,
  FIELD_SCALAR,
  FIELD_SOCKET,
  FIELD_WRITABLE,
  FRAME_IDENTITY,
  FRAME_INDEX_MASK,
  FRAME_INITIALISED,
  FRAME_SPILLED,
  FRAME_TOP,
  IMAGE_CONTEXT_SIZE,
  IMAGE_FIELDS,
  IMAGE_PACKET_FLAGS,
  IMAGE_REGION_COUNT,
  IMAGE_REGIONS,
  KIND_ARENA,
  KIND_CONTEXT,
  KIND_LAST_PLAIN,
  KIND_MEMORY,
  KIND_MAP,
  KIND_METADATA,
  KIND_NULL_MAP_VALUE,
  KIND_NULL_MEMORY,
  KIND_OBJECT,
  KIND_OPAQUE,
  KIND_PACKET,
  KIND_RINGBUF,
  KIND_SCALAR,
  KIND_STACK,
  KIND_STALE_PACKET,
  KIND_UNINITIALISED,
  OPTION_UNINITIALISED_STACK,
  RECENT,
  REGION_AUX,
  REGION_BASE,
  REGION_ELEMENT,
  REGION_EXTENT,
  REGION_SIZE,
  REGION_STRIDE,
  REGION_TAG,
  REGISTER_AUX,
  REGISTER_BASE,
  REGISTER_OBJECT_SIZE,
  REGISTER_SCRATCH,
  REGISTER_TAG,
  RESERVATIONS,
  STATE_ARENA_SINK,
  STATE_ARENA_ZERO,
  STATE_BY_ADDRESS,
  STATE_CONTEXT,
  STATE_DATA_END_FIELD,
  STATE_DATA_FIELD,
  STATE_DATA_META_FIELD,
  STATE_DEPTH,
  STATE_IMAGE,
  STATE_OPTIONS,
  STATE_RECENT,
  STATE_RECENT_NEXT,
  STATE_RESERVATIONS,
  TAG_FIELDS,
  TAG_READ_ONLY,
  TAG_WRITE_ONLY,
} from '../layout';
import { MAP_EXTRA, MAP_ID, MAP_MAX_ENTRIES, MAP_VALUES } from '../../plane/layout/map';
import { ARENA_BITMAP, ARENA_DELTA, ARENA_PAGE } from '../../plane/layout/map-arena';
import { FRAME_SIZE } from '../../plane/layout/memory';
import { RECORD_SIZE } from '../../plane/layout/record';
import { FLOW_KEYS_SIZE, SOCK_SIZE } from '../../plane/layout/skb';
import { fault, registerNumber } from './fault';
import { forbiddenField, isGone, recordAt } from './objects';
import { frameAt, setObject, tagOf } from './provenance';

/** Address of `size` bytes (1 to 8) at register `r` + `offset`, 0 after a fault. */
export function resolve(s: usize, r: usize, offset: i64, size: u32, access: u32): usize {
  const tag = tagOf(r);
  const kind = tag & 0xff;
  const address = load<u64>(r) + <u64>offset;
  if (kind - 1 < <u32>KIND_LAST_PLAIN) {
    const relative = address - <u64>load<u32>(r, REGISTER_BASE);
    const extent = <u64>load<u32>(r, REGISTER_OBJECT_SIZE);
    if (relative < extent && relative + size <= extent && (tag & (TAG_READ_ONLY | TAG_WRITE_ONLY | TAG_FIELDS)) == 0) {
      return <usize>address;
    }
  } else if (kind == KIND_STACK) {
    const relative = address - <u64>load<u32>(r, REGISTER_BASE);
    const frame = frameAt(s, load<u32>(r, REGISTER_AUX) & FRAME_INDEX_MASK);
    if (relative < <u64>FRAME_SIZE && relative + size <= <u64>FRAME_SIZE && load<u32>(frame, FRAME_IDENTITY) == load<u32>(r, REGISTER_AUX)) {
      // Bytes of one access lie in at most two neighbouring slots: 16 bits of the map.
      const slot = <usize>relative >> 3;
      const bits = ((1 << size) - 1) << (<u32>relative & 7);
      const have = <u32>load<u16>(frame + slot, FRAME_INITIALISED);
      if ((access & ACCESS_READ) == 0 || (have & bits) == bits) {
        if ((access & ACCESS_WRITE) != 0) {
          store<u16>(frame + slot, <u16>(have | bits), FRAME_INITIALISED);
          const spilled = load<u64>(frame, FRAME_SPILLED);
          if (spilled != 0) store<u64>(frame, spilled & ~((<u64>(bits > 0xff ? 3 : 1)) << slot), FRAME_SPILLED);
        }
        return <usize>address;
      }
    }
  } else if (tag == KIND_PACKET && access != ACCESS_ATOMIC) {
    const base = <u64>load<u32>(<usize>load<u32>(s, STATE_DATA_FIELD));
    const extent = <u64>load<u32>(<usize>load<u32>(s, STATE_DATA_END_FIELD)) - base;
    const relative = address - base;
    if (relative < extent && relative + size <= extent) return <usize>address;
  }
  return resolveRange(s, r, address, size, access, false);
}

/**
 * As resolve, for any size and any kind, by absolute address: the slow path, and what helpers' arguments go through. With
 * `uninitialised`, bytes of the stack need not have been written before.
 */
export function resolveRange(s: usize, r: usize, address: u64, size: u32, access: u32, uninitialised: bool): usize {
  const tag = tagOf(r);
  const kind = tag & 0xff;
  let base = <u64>load<u32>(r, REGISTER_BASE);
  let extent = <u64>load<u32>(r, REGISTER_OBJECT_SIZE);
  if (kind == KIND_SCALAR) return resolveByAddress(s, r, address, size, access);
  if (kind - 1 < <u32>KIND_LAST_PLAIN) {
    // Below: bounds and flags.
  } else if (kind == KIND_STACK) {
    if (load<u32>(frameAt(s, load<u32>(r, REGISTER_AUX) & FRAME_INDEX_MASK), FRAME_IDENTITY) != load<u32>(r, REGISTER_AUX)) {
      return bad(s, FAULT_DEAD_FRAME, r, access, address, size);
    }
  } else if (kind == KIND_PACKET || kind == KIND_METADATA) {
    if (access == ACCESS_ATOMIC) return bad(s, FAULT_ATOMIC_OBJECT, r, access, address, size);
    base = packetStart(s, kind);
    extent = packetEnd(s, kind) - base;
  } else if (kind == KIND_CONTEXT) {
    if (access == ACCESS_ATOMIC) return bad(s, FAULT_ATOMIC_OBJECT, r, access, address, size);
    return resolveContext(s, r, address - base, address, size, access);
  } else if (kind == KIND_ARENA) {
    return resolveArena(s, load<u32>(r, REGISTER_AUX), address, access);
  } else if (kind == KIND_MAP) {
    // Of the header what struct bpf_map has too; the rest are addresses of our own.
    const offset = address - base;
    const known = (size == 4 && (offset & 3) == 0 && offset <= <u64>MAP_ID) || (size == 8 && offset == <u64>MAP_EXTRA);
    if (access != ACCESS_READ || !known) return bad(s, FAULT_OPAQUE_OBJECT, r, access, address, size);
  } else if (kind == KIND_OBJECT) {
    if (isGone(s, r)) return bad(s, FAULT_RELEASED_MEMORY, r, access, address, size);
    extent = <u64>load<u32>(<usize>extent, RECORD_SIZE);
  } else if (kind == KIND_RINGBUF) {
    if (reservation(s, load<u32>(r, REGISTER_AUX)) == 0) return bad(s, FAULT_RELEASED_MEMORY, r, access, address, size);
  } else {
    let code: u32 = FAULT_OPAQUE_OBJECT;
    if (kind == KIND_UNINITIALISED) code = FAULT_UNINITIALISED_REGISTER;
    else if (kind == KIND_STALE_PACKET) code = FAULT_STALE_PACKET;
    else if (kind == KIND_NULL_MAP_VALUE || kind == KIND_NULL_MEMORY) code = FAULT_NULL_POINTER;
    return bad(s, code, r, access, address, size);
  }
  const relative = address - base;
  if (relative > extent || relative + <u64>size > extent) {
    let object = r;
    if (kind == KIND_PACKET || kind == KIND_METADATA) {
      // The fault tells the bounds of now.
      object = s + REGISTER_SCRATCH;
      setObject(object, tag, <u32>base, <u32>extent, 0);
    }
    return fault(s, FAULT_OUT_OF_BOUNDS, registerNumber(s, r), access, address, size, object, 0);
  }
  if ((access & ACCESS_WRITE) != 0 && (tag & TAG_READ_ONLY) != 0) return bad(s, FAULT_READ_ONLY, r, access, address, size);
  if ((access & ACCESS_READ) != 0 && (tag & TAG_WRITE_ONLY) != 0) return bad(s, FAULT_WRITE_ONLY, r, access, address, size);
  const record = recordAt(r);
  if (record != 0) {
    const field = forbiddenField(record, relative, size, access);
    if (field != 0) return fault(s, FAULT_SPECIAL_FIELD, registerNumber(s, r), access, address, size, r, field);
  }
  if (kind == KIND_STACK) return resolveStack(s, r, <u32>relative, address, size, access, uninitialised);
  return <usize>address;
}

function bad(s: usize, code: u32, r: usize, access: u32, address: u64, size: u32): usize {
  return fault(s, code, registerNumber(s, r), access, address, size, r, 0);
}

@inline function packetStart(s: usize, kind: u32): u64 {
  const field = kind == KIND_PACKET ? load<u32>(s, STATE_DATA_FIELD) : load<u32>(s, STATE_DATA_META_FIELD);
  return field == 0 ? 0 : <u64>load<u32>(field);
}

@inline function packetEnd(s: usize, kind: u32): u64 {
  const field = kind == KIND_PACKET ? load<u32>(s, STATE_DATA_END_FIELD) : load<u32>(s, STATE_DATA_FIELD);
  return field == 0 ? 0 : <u64>load<u32>(field);
}

/** As in Linux any address may be accessed; what is on no page of the arena reads as 0 and forgets what is written. */
function resolveArena(s: usize, map: usize, pointer: u64, access: u32): usize {
  const delta = load<u32>(map, ARENA_DELTA);
  // A shared arena's pointers are addresses of the process, of which only the lower half counts.
  const address = delta == 0 ? pointer : <u64>(<u32>pointer + delta);
  const page = <u32>(address - <u64>load<u32>(map, MAP_VALUES)) / ARENA_PAGE;
  if (address >= <u64>load<u32>(map, MAP_VALUES) && page < load<u32>(map, MAP_MAX_ENTRIES)) {
    const word = load<u32>(<usize>load<u32>(map, ARENA_BITMAP) + (<usize>(page >> 5) << 2));
    if (((word >> (page & 31)) & 1) != 0) return <usize>address;
  }
  return access == ACCESS_READ ? s + STATE_ARENA_ZERO : s + STATE_ARENA_SINK;
}

/** Stack bytes that are known to be in their frame: initialised before they are read, and afterwards if they are written. */
function resolveStack(s: usize, r: usize, relative: u32, address: u64, size: u32, access: u32, uninitialised: bool): usize {
  const frame = frameAt(s, load<u32>(r, REGISTER_AUX) & FRAME_INDEX_MASK);
  const lenient = (load<u32>(s, STATE_OPTIONS) & OPTION_UNINITIALISED_STACK) != 0;
  for (let i: u32 = relative, end = relative + size; i < end; i++) {
    const at = frame + (i >> 3);
    const bit = <u32>1 << (i & 7);
    const have = <u32>load<u8>(at, FRAME_INITIALISED);
    if ((access & ACCESS_READ) != 0 && (have & bit) == 0 && !lenient && !uninitialised) {
      return fault(s, FAULT_UNINITIALISED_STACK, registerNumber(s, r), access, address, size, r, i - relative);
    }
    if ((access & ACCESS_WRITE) != 0) {
      store<u8>(at, <u8>(have | bit), FRAME_INITIALISED);
      store<u64>(frame, load<u64>(frame, FRAME_SPILLED) & ~((<u64>1) << (i >> 3)), FRAME_SPILLED);
    }
  }
  return <usize>address;
}

/** The context: a field at a time, as the program type declares them; narrow loads of scalars are allowed. */
function resolveContext(s: usize, r: usize, relative: u64, address: u64, size: u32, access: u32): usize {
  const image = <usize>load<u32>(s, STATE_IMAGE);
  const fields = <usize>load<u32>(image, IMAGE_FIELDS);
  const extent = <u64>load<u32>(image, IMAGE_CONTEXT_SIZE);
  if (relative >= extent || relative + size > extent) return bad(s, FAULT_CONTEXT_ACCESS, r, access, address, size);
  const at = fields + <usize>relative;
  const first = <u32>load<u8>(at);
  const kind = first & FIELD_KIND;
  if (kind == 0) return bad(s, FAULT_CONTEXT_ACCESS, r, access, address, size);
  if ((access & ACCESS_WRITE) != 0 && (first & FIELD_WRITABLE) == 0) return bad(s, FAULT_CONTEXT_ACCESS, r, access, address, size);
  for (let i: u32 = 1; i < size; i++) {
    const next = <u32>load<u8>(at + i);
    if ((next & FIELD_KIND) == 0 || (next & FIELD_FIRST) != 0) return bad(s, FAULT_CONTEXT_ACCESS, r, access, address, size);
  }
  if (kind != FIELD_SCALAR) {
    // A pointer is loaded whole.
    const end = relative + size;
    const next = end == extent ? 0 : <u32>load<u8>(fields + <usize>end);
    if ((first & FIELD_FIRST) == 0 || ((next & FIELD_KIND) != 0 && (next & FIELD_FIRST) == 0)) return bad(s, FAULT_CONTEXT_ACCESS, r, access, address, size);
  }
  return <usize>address;
}

/** What a load of 4 or 8 bytes from a context field points into. The field was checked by resolve. */
export function contextField(s: usize, r: usize, address: usize, d: usize): void {
  const image = <usize>load<u32>(s, STATE_IMAGE);
  const kind = <u32>load<u8>(<usize>load<u32>(image, IMAGE_FIELDS) + address - load<u32>(r, REGISTER_BASE)) & FIELD_KIND;
  const flags = load<u32>(image, IMAGE_PACKET_FLAGS);
  if (kind == FIELD_PACKET) setObject(d, KIND_PACKET | flags, 0, 0, 0);
  else if (kind == FIELD_METADATA) setObject(d, KIND_METADATA | flags, 0, 0, 0);
  else if (kind >= <u32>FIELD_OPAQUE && load<u32>(address) == 0) setObject(d, KIND_NULL_MEMORY, 0, 0, 0);
  else if (kind == FIELD_FLOW_KEYS) setObject(d, KIND_MEMORY, load<u32>(address), FLOW_KEYS_SIZE, 0);
  else if (kind == FIELD_SOCKET) setObject(d, KIND_MEMORY | TAG_READ_ONLY, load<u32>(address), SOCK_SIZE, 0);
  else if (kind == FIELD_OPAQUE) setObject(d, KIND_OPAQUE, load<u32>(address), 0, 0);
  else setObject(d, KIND_SCALAR, 0, 0, 0);
}

/** A live reservation (its record), or 0. */
export function reservation(s: usize, aux: u32): usize {
  const record = s + STATE_RESERVATIONS + ((<usize>aux & 0xff) << 4);
  return load<u32>(record) == aux ? record : 0;
}

/** Keeps a map value in mind for accesses by address alone. */
export function remember(s: usize, tag: u32, base: u32, size: u32, aux: u32): void {
  const next = load<u32>(s, STATE_RECENT_NEXT);
  const last = s + STATE_RECENT + (<usize>((next - 1) & (RECENT - 1)) << 4);
  if (next != 0 && load<u32>(last, 4) == base) return;
  const record = s + STATE_RECENT + (<usize>(next & (RECENT - 1)) << 4);
  store<u32>(record, tag);
  store<u32>(record, base, 4);
  store<u32>(record, size, 8);
  store<u32>(record, aux, 12);
  store<u32>(s, next + 1, STATE_RECENT_NEXT);
}

/** A pointer without provenance: the live object that its address lies in says what is allowed. */
function resolveByAddress(s: usize, r: usize, address: u64, size: u32, access: u32): usize {
  const scratch = s + REGISTER_SCRATCH;
  if (address > 0xffff_ffff || !findObject(s, <u32>address, scratch)) return bad(s, FAULT_NOT_A_POINTER, r, access, address, size);
  store<u32>(s, load<u32>(s, STATE_BY_ADDRESS) + 1, STATE_BY_ADDRESS);
  store<u64>(scratch, address);
  const found = resolveRange(s, scratch, address, size, access, false);
  if (found == 0) store<u32>(s, registerNumber(s, r), FAULT_REGISTER);
  return found;
}

/** Sets register `to` to the live object around `address`, or returns false. */
export function findObject(s: usize, address: u32, to: usize): bool {
  for (let i: u32 = load<u32>(s, STATE_DEPTH); i > 0; i--) {
    const frame = frameAt(s, i - 1);
    const base = load<u32>(frame, FRAME_TOP) - FRAME_SIZE;
    if (address - base < <u32>FRAME_SIZE) {
      setObject(to, KIND_STACK, base, FRAME_SIZE, load<u32>(frame, FRAME_IDENTITY));
      return true;
    }
  }
  const image = <usize>load<u32>(s, STATE_IMAGE);
  const flags = load<u32>(image, IMAGE_PACKET_FLAGS);
  for (let kind: u32 = KIND_PACKET; kind <= <u32>KIND_METADATA; kind++) {
    const start = packetStart(s, kind);
    if (start != 0 && <u64>address >= start && <u64>address < packetEnd(s, kind)) {
      setObject(to, kind | flags, 0, 0, 0);
      return true;
    }
  }
  const context = load<u32>(s, STATE_CONTEXT);
  if (context != 0 && address - context < load<u32>(image, IMAGE_CONTEXT_SIZE)) {
    setObject(to, KIND_CONTEXT, context, load<u32>(image, IMAGE_CONTEXT_SIZE), 0);
    return true;
  }
  for (let i: usize = 0; i < <usize>RESERVATIONS; i++) {
    const record = s + STATE_RESERVATIONS + (i << 4);
    if (load<u32>(record) != 0 && address - load<u32>(record, 4) < load<u32>(record, 8)) {
      setObject(to, KIND_RINGBUF, load<u32>(record, 4), load<u32>(record, 8), load<u32>(record));
      return true;
    }
  }
  for (let i: usize = 0, known = <usize>min<u32>(load<u32>(s, STATE_RECENT_NEXT), RECENT); i < known; i++) {
    const record = s + STATE_RECENT + (i << 4);
    if (address - load<u32>(record, 4) < load<u32>(record, 8)) {
      setObject(to, load<u32>(record), load<u32>(record, 4), load<u32>(record, 8), load<u32>(record, 12));
      return true;
    }
  }
  let region = <usize>load<u32>(image, IMAGE_REGIONS);
  for (let i: u32 = load<u32>(image, IMAGE_REGION_COUNT); i > 0; i--, region += REGION_SIZE) {
    const relative = address - load<u32>(region, REGION_BASE);
    if (relative >= load<u32>(region, REGION_EXTENT)) continue;
    const stride = load<u32>(region, REGION_STRIDE);
    const base = stride == 0 ? load<u32>(region, REGION_BASE) : address - (relative % stride);
    setObject(to, load<u32>(region, REGION_TAG), base, load<u32>(region, REGION_ELEMENT), load<u32>(region, REGION_AUX));
    return true;
  }
  return false;
}
