// Calls of helpers and kfuncs: their arguments against the prototype, the call through the shared table, what comes back.
import {
  ACCESS_READ,
  ACCESS_WRITE,
  ARGUMENT_ALLOC_SIZE,
  ARGUMENT_ANYTHING,
  ARGUMENT_CONTEXT,
  ARGUMENT_CONTEXT_OR_NULL,
  ARGUMENT_DONTCARE,
  ARGUMENT_FIXED_MEM,
  ARGUMENT_FIXED_MEM_UNINIT,
  ARGUMENT_FUNCTION,
  ARGUMENT_IN_MAP_VALUE,
  ARGUMENT_MAP,
  ARGUMENT_MAP_KEY,
  ARGUMENT_MAP_VALUE,
  ARGUMENT_MAP_VALUE_OR_NULL,
  ARGUMENT_MAP_VALUE_UNINIT,
  ARGUMENT_MEM,
  ARGUMENT_MEM_OR_NULL,
  ARGUMENT_MEM_UNINIT,
  ARGUMENT_MEM_WRITE,
  ARGUMENT_MEM_WRITE_OR_NULL,
  ARGUMENT_FIXED_MEM_WRITE,
  ARGUMENT_BUFFER_OR_NULL,
  ARGUMENT_DYNPTR,
  ARGUMENT_DYNPTR_UNINIT,
  ARGUMENT_ITERATOR,
  ARGUMENT_ITERATOR_UNINIT,
  ARGUMENT_RINGBUF_MEM,
  ARGUMENT_SIZE,
  ARGUMENT_SIZE_OR_ZERO,
  ARGUMENT_STACK_OR_NULL,
  ARGUMENT_STRING,
  FAULT_ARGUMENT_SIZE,
  FAULT_ARGUMENT_TYPE,
  FAULT_MODIFIED_POINTER,
  FAULT_NOT_A_POINTER,
  FAULT_RELEASED_MEMORY,
  FAULT_TOO_MANY_REFERENCES,
  FRAME_CALLBACK,
  FRAME_SAVED,
  FRAME_SPILLED,
  FRAME_SPILLS,
  HELPER_ARGUMENTS,
  HELPER_ARGUMENT_COUNT,
  HELPER_CHANGES_PACKET,
  HELPER_DESTROYS_ITERATOR,
  HELPER_DYNPTR_OF_RECORD,
  HELPER_RELEASES_DYNPTR,
  HELPER_RETURNS_SIZE,
  HELPER_FIXED_SIZES,
  HELPER_FLAGS,
  HELPER_ID,
  HELPER_KEEPS_CALLBACK,
  HELPER_INDEX,
  HELPER_RELEASES,
  HELPER_RETURNS,
  HELPER_SIZE,
  IMAGE_HELPERS,
  IMAGE_HELPER_COUNT,
  KIND_CONTEXT,
  KIND_DYNPTR,
  KIND_ITERATOR,
  KIND_FUNCTION,
  KIND_GLOBAL,
  KIND_MAP,
  KIND_MAP_KEY,
  KIND_MAP_VALUE,
  KIND_METADATA,
  KIND_NULL_MAP_VALUE,
  KIND_NULL_MEMORY,
  KIND_MEMORY,
  KIND_OPAQUE,
  KIND_PACKET,
  KIND_RINGBUF,
  KIND_SCALAR,
  KIND_STACK,
  KIND_STALE_PACKET,
  KIND_UNINITIALISED,
  REGISTER_AUX,
  REGISTER_BASE,
  REGISTER_SIZE,
  REGISTER_TAG,
  RESERVATIONS,
  REGISTER_SCRATCH,
  RETURN_DYNPTR_MEM,
  RETURN_FIXED_MEM,
  RETURN_SLICE,
  RETURN_SLICE_WRITABLE,
  RETURN_INTEGER,
  RETURN_MAP_VALUE,
  RETURN_OPAQUE,
  RETURN_RINGBUF_MEM,
  RETURN_SOCKET,
  RETURN_VOID,
  STATE_BASE_DEPTH,
  BPF_LOOP,
  TAIL_CALL,
  STATE_IMAGE,
  STATE_CALLBACK_ARGUMENT,
  STATE_CALLBACK_ENTRY,
  STATE_CALLBACK_FUNCTION,
  STATE_CALLBACK_HELPER,
  STATE_CALLBACK_MAP,
  STATE_DEPTH,
  STATE_GENERATION,
  STATE_RESERVATIONS,
  STATE_RESERVED,
  STATE_SLOT,
  STATE_STATUS,
  STATUS_FAULT,
  STATUS_THROWN,
  STATUS_RUNNING,
  TAG_IN_PACKET,
  TAG_READ_ONLY,
  TAG_WRITE_ONLY,
} from '../layout';
import { DYNPTR_BYTES, DYNPTR_DATA } from '../../plane/layout/dynptr';
import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, MAP_FLAGS, MAP_HEADER_SIZE, MAP_KEY_SIZE, MAP_TYPE, MAP_VALUE_SIZE } from '../../plane/layout/map';
import { SOCK_SIZE } from '../../plane/layout/skb';
import { remember, reservation, resolveRange } from './access';
import { fault } from './fault';
import { clobber, enter, register } from './frames';
import { giveSlice, isLentDynptr, isMarked, isReleased, mark, markDynptr, mayBeMarked, overOf, recordOf, unmark } from './stack-objects';
import { copyProvenance, copyRegister, frameAt, readable, setObject, setTag, tagOf } from './provenance';

const FOR_EACH_MAP_ELEM: u32 = 164;
const USER_RINGBUF_DRAIN: u32 = 209;
const ARRAY_OF_MAPS: u32 = 12;
const HASH_OF_MAPS: u32 = 13;
/** Largest size that the kernel's verifier takes (BPF_MAX_VAR_SIZ). */
const MAX_SIZE: u64 = 1 << 29;

@inline function typeOf(record: usize, index: u32): u32 {
  return <u32>load<u8>(record + index, HELPER_ARGUMENTS);
}

function wrongType(s: usize, number: u32, expected: u32): bool {
  const r = register(s, number);
  fault(s, FAULT_ARGUMENT_TYPE, number, 0, load<u64>(r), 0, r, <u64>expected);
  return false;
}

@inline function isNull(r: usize): bool {
  const kind = tagOf(r) & 0xff;
  return load<u64>(r) == 0 && (kind == KIND_SCALAR || kind == KIND_NULL_MAP_VALUE || kind == KIND_NULL_MEMORY);
}

/** Memory of `size` bytes at a helper's argument. */
function checkMemory(s: usize, number: u32, type: u32, size: u32, access: u32, uninitialised: bool): bool {
  const r = register(s, number);
  const kind = tagOf(r) & 0xff;
  // A number, a map or a function is no memory at all: the kernel says so by type.
  if (kind == KIND_MAP || kind == KIND_FUNCTION || kind == KIND_OPAQUE || kind == KIND_CONTEXT) return wrongType(s, number, type);
  if (kind == KIND_SCALAR && load<u64>(r) == 0) return wrongType(s, number, type);
  if (size == 0) return true;
  return resolveRange(s, r, load<u64>(r), size, access, uninitialised) != 0;
}

/** Memory that the helper may read and writes. */
function checkBoth(s: usize, number: u32, type: u32, size: u32): bool {
  return checkMemory(s, number, type, size, ACCESS_READ, false) && checkMemory(s, number, type, size, ACCESS_WRITE, false);
}

/** Argument `number` (from 1) of the helper. `map` is the header of the map that arguments before named. */
function checkArgument(s: usize, record: usize, number: u32, map: usize): bool {
  const type = typeOf(record, number - 1);
  const r = register(s, number);
  if (type == ARGUMENT_DONTCARE) return true;
  if (!readable(s, r)) return false;
  const tag = tagOf(r);
  const kind = tag & 0xff;
  switch (type) {
    case ARGUMENT_ANYTHING:
    case ARGUMENT_ALLOC_SIZE:
      return true;
    case ARGUMENT_MAP:
      if (kind != KIND_MAP) return wrongType(s, number, type);
      return unmoved(s, number);
    case ARGUMENT_MAP_KEY:
      return checkMemory(s, number, type, load<u32>(map, MAP_KEY_SIZE), ACCESS_READ, false);
    case ARGUMENT_MAP_VALUE_OR_NULL:
      if (isNull(r)) return true;
      return checkMemory(s, number, type, load<u32>(map, MAP_VALUE_SIZE), ACCESS_READ, false);
    case ARGUMENT_MAP_VALUE:
      return checkMemory(s, number, type, load<u32>(map, MAP_VALUE_SIZE), ACCESS_READ, false);
    case ARGUMENT_MAP_VALUE_UNINIT:
      return checkMemory(s, number, type, load<u32>(map, MAP_VALUE_SIZE), ACCESS_WRITE, true);
    case ARGUMENT_MEM:
    case ARGUMENT_MEM_OR_NULL:
    case ARGUMENT_MEM_UNINIT:
    case ARGUMENT_MEM_WRITE:
    case ARGUMENT_MEM_WRITE_OR_NULL:
      return checkSized(s, record, number, type);
    case ARGUMENT_SIZE:
    case ARGUMENT_SIZE_OR_ZERO:
      return true; // judged with the memory before it
    case ARGUMENT_FIXED_MEM:
      return checkMemory(s, number, type, fixedSize(record, number), ACCESS_READ, false);
    case ARGUMENT_FIXED_MEM_UNINIT:
      return checkMemory(s, number, type, fixedSize(record, number), ACCESS_WRITE, true);
    case ARGUMENT_FIXED_MEM_WRITE:
      return checkBoth(s, number, type, fixedSize(record, number));
    case ARGUMENT_CONTEXT_OR_NULL:
      if (isNull(r)) return true;
      if (kind != KIND_CONTEXT) return wrongType(s, number, type);
      return unmoved(s, number);
    case ARGUMENT_CONTEXT:
      if (kind != KIND_CONTEXT) return wrongType(s, number, type);
      return unmoved(s, number);
    case ARGUMENT_RINGBUF_MEM: {
      if (kind != KIND_RINGBUF) return wrongType(s, number, type);
      const live = reservation(s, load<u32>(r, REGISTER_AUX));
      if (live == 0) {
        fault(s, FAULT_RELEASED_MEMORY, number, 0, load<u64>(r), 0, r, 0);
        return false;
      }
      return unmoved(s, number);
    }
    case ARGUMENT_FUNCTION:
      if (kind != KIND_FUNCTION) return wrongType(s, number, type);
      return unmoved(s, number); // the base of a function is its value, its first slot
    case ARGUMENT_STACK_OR_NULL:
      return true; // passed on as it is; the callback's accesses are checked
    case ARGUMENT_STRING: {
      const limit: u32 = 1 << 20;
      for (let i: u32 = 0; i < limit; i++) {
        const at = resolveRange(s, r, load<u64>(r) + i, 1, ACCESS_READ, false);
        if (at == 0) return false;
        if (load<u8>(at) == 0) return true;
      }
      return wrongType(s, number, type);
    }
    case ARGUMENT_IN_MAP_VALUE:
      if (kind != KIND_MAP_VALUE && kind != KIND_GLOBAL) return wrongType(s, number, type);
      return checkMemory(s, number, type, fixedSize(record, number), ACCESS_WRITE, false);
    case ARGUMENT_DYNPTR:
      if (isLentDynptr(r)) return true;
      if (!isMarked(s, r, KIND_DYNPTR, fixedSize(record, number))) return wrongType(s, number, type);
      if (!isReleased(s, r)) return true;
      fault(s, FAULT_RELEASED_MEMORY, number, 0, load<u64>(r), 0, r, 0);
      return false;
    case ARGUMENT_ITERATOR:
      return isMarked(s, r, KIND_ITERATOR, fixedSize(record, number)) || wrongType(s, number, type);
    case ARGUMENT_DYNPTR_UNINIT:
    case ARGUMENT_ITERATOR_UNINIT:
      if (!mayBeMarked(s, r)) return wrongType(s, number, type);
      return checkMemory(s, number, type, fixedSize(record, number), ACCESS_WRITE, true);
    case ARGUMENT_BUFFER_OR_NULL:
      return isNull(r) || checkSized(s, record, number, ARGUMENT_MEM_UNINIT);
    default:
      return wrongType(s, number, type);
  }
}

@inline function fixedSize(record: usize, number: u32): u32 {
  return load<u32>(record + (<usize>(number - 1) << 2), HELPER_FIXED_SIZES);
}

/** A pointer that must be to the start of its object. */
function unmoved(s: usize, number: u32): bool {
  const r = register(s, number);
  if (load<u64>(r) == <u64>load<u32>(r, REGISTER_BASE)) return true;
  fault(s, FAULT_MODIFIED_POINTER, number, 0, load<u64>(r), 0, r, load<u64>(r) - <u64>load<u32>(r, REGISTER_BASE));
  return false;
}

function checkSized(s: usize, record: usize, number: u32, type: u32): bool {
  const r = register(s, number);
  const count = load<u32>(record, HELPER_ARGUMENT_COUNT);
  const sizeType = number < count ? typeOf(record, number) : ARGUMENT_DONTCARE;
  if (sizeType != ARGUMENT_SIZE && sizeType != ARGUMENT_SIZE_OR_ZERO) {
    if ((type == ARGUMENT_MEM_OR_NULL || type == ARGUMENT_MEM_WRITE_OR_NULL) && isNull(r)) return true;
    const kind = tagOf(r) & 0xff;
    // Memory whose size no argument tells (a reservation, bpf_dynptr_data's): its first byte must be there.
    if (kind == KIND_SCALAR) {
      fault(s, FAULT_NOT_A_POINTER, number, ACCESS_READ, load<u64>(r), 1, r, 0);
      return false;
    }
    return checkMemory(s, number, type, 1, type == ARGUMENT_MEM_UNINIT ? ACCESS_WRITE : ACCESS_READ, type == ARGUMENT_MEM_UNINIT);
  }
  const sizeRegister = register(s, number + 1);
  if (!readable(s, sizeRegister)) return false;
  const size = load<u64>(sizeRegister);
  if (size > MAX_SIZE || (size == 0 && sizeType == ARGUMENT_SIZE)) {
    fault(s, FAULT_ARGUMENT_SIZE, number + 1, 0, load<u64>(r), 0, r, size);
    return false;
  }
  if (size == 0 && (isNull(r) || sizeType == ARGUMENT_SIZE_OR_ZERO)) return true;
  if (isNull(r)) return wrongType(s, number, type);
  if (type == ARGUMENT_MEM_WRITE || type == ARGUMENT_MEM_WRITE_OR_NULL) return checkBoth(s, number, type, <u32>size);
  const write = type == ARGUMENT_MEM_UNINIT;
  return checkMemory(s, number, type, <u32>size, write ? ACCESS_WRITE : ACCESS_READ, write);
}

/** All arguments of the call; false after a fault. */
export function checkArguments(s: usize, record: usize): bool {
  const count = load<u32>(record, HELPER_ARGUMENT_COUNT);
  let map: usize = 0;
  for (let number: u32 = 1; number <= count; number++) {
    if (!checkArgument(s, record, number, map)) return false;
    if (typeOf(record, number - 1) == ARGUMENT_MAP) map = <usize>load<u64>(register(s, number));
  }
  return true;
}

/** Calls the helper with r1 to r5 and gives r0 what it returns. False after a fault, its callbacks' included. */
/** Record of the helper that CALLX may call by this number: none that the interpreter does itself, or that calls back. 0: there is none. */
export function helperByNumber(s: usize, id: u64): usize {
  const image = <usize>load<u32>(s, STATE_IMAGE);
  const count = load<u32>(image, IMAGE_HELPER_COUNT);
  let record = <usize>load<u32>(image, IMAGE_HELPERS);
  for (let at: u32 = 0; at < count; at++, record += HELPER_SIZE) {
    if (<u64>load<u32>(record, HELPER_ID) != id) continue;
    const own = id == TAIL_CALL || id == BPF_LOOP || functionArgument(record, load<u32>(record, HELPER_ARGUMENT_COUNT)) != 0;
    return own ? 0 : record;
  }
  return 0;
}

export function callHelper(s: usize, record: usize, slot: u32): bool {
  if (!checkArguments(s, record)) return false;
  const count = load<u32>(record, HELPER_ARGUMENT_COUNT);
  const flags = load<u32>(record, HELPER_FLAGS);
  const a = load<u64>(register(s, 1));
  let b = load<u64>(register(s, 2));
  let c = load<u64>(register(s, 3));
  const d = load<u64>(register(s, 4));
  const e = load<u64>(register(s, 5));
  const map = count > 0 && typeOf(record, 0) == ARGUMENT_MAP ? <usize>a : 0;

  let reserved: usize = 0;
  if (load<u32>(record, HELPER_RETURNS) == RETURN_RINGBUF_MEM || (flags & HELPER_DYNPTR_OF_RECORD) != 0) {
    reserved = freeReservation(s);
    if (reserved == 0) {
      fault(s, FAULT_TOO_MANY_REFERENCES, 0, 0, 0, 0, 0, RESERVATIONS);
      return false;
    }
  }
  if ((flags & HELPER_RELEASES) != 0) release(s, load<u32>(register(s, 1), REGISTER_AUX));
  const returns = load<u32>(record, HELPER_RETURNS);
  const slices = returns == RETURN_SLICE || returns == RETURN_SLICE_WRITABLE || returns == RETURN_DYNPTR_MEM;
  if (slices) overOf(s, register(s, 1), s + REGISTER_SCRATCH);
  if ((flags & HELPER_RELEASES_DYNPTR) != 0) {
    const aux = recordOf(s, register(s, 1));
    if (aux != 0) release(s, aux);
  }

  let r0: u64 = 0;
  const callee = load<u32>(record, HELPER_INDEX);
  const callbackAt = functionArgument(record, count);
  if ((flags & HELPER_KEEPS_CALLBACK) != 0) {
    b = (<u64>load<u32>(s, STATE_IMAGE) << 32) | <u64>load<u32>(register(s, 2), REGISTER_AUX);
    r0 = invoke(callee, count, a, b, c, d, e);
  } else if (callbackAt != 0) {
    // The helper is given the trampoline; what it stands for is kept here, as helpers may nest.
    const outerFunction = load<u32>(s, STATE_CALLBACK_FUNCTION);
    const outerHelper = load<u32>(s, STATE_CALLBACK_HELPER);
    const outerMap = load<u32>(s, STATE_CALLBACK_MAP);
    store<u32>(s, load<u32>(register(s, callbackAt), REGISTER_AUX), STATE_CALLBACK_FUNCTION);
    store<u32>(s, load<u32>(record, HELPER_ID), STATE_CALLBACK_HELPER);
    store<u32>(s, <u32>map, STATE_CALLBACK_MAP);
    // The argument that the helper hands on follows the function, in every helper that takes one.
    copyRegister(s + STATE_CALLBACK_ARGUMENT, register(s, callbackAt + 1));
    const entry = <u64>load<u32>(s, STATE_CALLBACK_ENTRY);
    if (callbackAt == 2) b = entry;
    else c = entry;
    store<u32>(s, slot, STATE_SLOT);
    r0 = invoke(callee, count, a, b, c, d, e);
    store<u32>(s, outerFunction, STATE_CALLBACK_FUNCTION);
    store<u32>(s, outerHelper, STATE_CALLBACK_HELPER);
    store<u32>(s, outerMap, STATE_CALLBACK_MAP);
    if (load<u32>(s, STATE_STATUS) == STATUS_FAULT || load<u32>(s, STATE_STATUS) == STATUS_THROWN) return false;
  } else {
    r0 = invoke(callee, count, a, b, c, d, e);
  }

  if ((flags & HELPER_CHANGES_PACKET) != 0) dropPacketPointers(s);
  const size2 = load<u32>(register(s, 2));
  const size3 = returns == RETURN_DYNPTR_MEM ? load<u32>(register(s, 3)) : load<u32>(register(s, 4));
  keepStackObjects(s, record, flags, count, reserved, size2, slot);
  clobber(s);
  store<u64>(s, r0);
  giveResult(s, record, r0, map, reserved, size2, size3, slot);
  return true;
}

function giveResult(s: usize, record: usize, r0: u64, map: usize, reserved: usize, size2: u32, size3: u32, slot: u32): void {
  switch (load<u32>(record, HELPER_RETURNS)) {
    case RETURN_VOID:
      setTag(s, KIND_UNINITIALISED);
      return;
    case RETURN_MAP_VALUE: {
      if (r0 == 0) {
        setObject(s, KIND_NULL_MAP_VALUE, 0, 0, 0);
        return;
      }
      const type = load<u32>(map, MAP_TYPE);
      if (type == ARRAY_OF_MAPS || type == HASH_OF_MAPS) {
        setObject(s, KIND_MAP, <u32>r0, MAP_HEADER_SIZE, 0);
        return;
      }
      const tag = mapValueTag(map);
      setObject(s, tag, <u32>r0, load<u32>(map, MAP_VALUE_SIZE), <u32>map);
      remember(s, tag, <u32>r0, load<u32>(map, MAP_VALUE_SIZE), <u32>map);
      return;
    }
    case RETURN_RINGBUF_MEM: {
      if (r0 == 0) {
        setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
        return;
      }
      setObject(s, KIND_RINGBUF, <u32>r0, size2, reserve(s, reserved, <u32>r0, size2, slot));
      return;
    }
    case RETURN_DYNPTR_MEM:
    case RETURN_SLICE_WRITABLE:
      giveSlice(s, s + REGISTER_SCRATCH, r0, size3, false);
      return;
    case RETURN_SLICE:
      giveSlice(s, s + REGISTER_SCRATCH, r0, size3, true);
      return;
    case RETURN_FIXED_MEM:
      if (r0 == 0) setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
      else setObject(s, KIND_MEMORY | TAG_READ_ONLY, <u32>r0, load<u32>(record, HELPER_RETURNS_SIZE), 0);
      return;
    case RETURN_SOCKET:
      if (r0 == 0) setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
      else setObject(s, KIND_MEMORY | TAG_READ_ONLY, <u32>r0, SOCK_SIZE, 0);
      return;
    case RETURN_OPAQUE:
      if (r0 == 0) setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
      else setObject(s, KIND_OPAQUE, <u32>r0, 0, 0);
      return;
    default:
      setTag(s, KIND_SCALAR);
  }
}

/** Writes the reservation down; returns what pointers into it carry. */
function reserve(s: usize, reserved: usize, address: u32, size: u32, slot: u32): u32 {
  const generation = load<u32>(s, STATE_GENERATION) + 1;
  store<u32>(s, generation, STATE_GENERATION);
  const aux = (generation << 8) | <u32>((reserved - s - STATE_RESERVATIONS) >> 4);
  store<u32>(reserved, aux);
  store<u32>(reserved, address, 4);
  store<u32>(reserved, size, 8);
  store<u32>(reserved, slot, 12);
  store<u32>(s, load<u32>(s, STATE_RESERVED) + 1, STATE_RESERVED);
  return aux;
}

function release(s: usize, aux: u32): void {
  const record = reservation(s, aux);
  if (record == 0) return;
  store<u32>(record, 0);
  store<u32>(s, load<u32>(s, STATE_RESERVED) - 1, STATE_RESERVED);
}

/** Marks the dynptr or iterator that the call made, takes the marks of the one that it ended. */
function keepStackObjects(s: usize, record: usize, flags: u32, count: u32, reserved: usize, size: u32, slot: u32): void {
  if ((flags & HELPER_RELEASES_DYNPTR) != 0) unmark(s, register(s, 1), DYNPTR_BYTES);
  if ((flags & HELPER_DESTROYS_ITERATOR) != 0) unmark(s, register(s, 1), fixedSize(record, 1));
  for (let number: u32 = 1; number <= count; number++) {
    const type = typeOf(record, number - 1);
    const r = register(s, number);
    if (type == ARGUMENT_ITERATOR_UNINIT) mark(s, r, KIND_ITERATOR, fixedSize(record, number));
    if (type != ARGUMENT_DYNPTR_UNINIT) continue;
    const data = load<u32>(<usize>load<u64>(r), DYNPTR_DATA);
    const aux = reserved != 0 && data != 0 ? reserve(s, reserved, data, size, slot) : 0;
    markDynptr(s, r, flags, aux, data, size);
  }
}

/** Tag of the values of a map. */
function mapValueTag(map: usize): u32 {
  const flags = load<u32>(map, MAP_FLAGS);
  let tag: u32 = KIND_MAP_VALUE;
  if ((flags & BPF_F_RDONLY_PROG) != 0) tag |= TAG_READ_ONLY;
  if ((flags & BPF_F_WRONLY_PROG) != 0) tag |= TAG_WRITE_ONLY;
  return tag;
}

function freeReservation(s: usize): usize {
  for (let i: usize = 0; i < <usize>RESERVATIONS; i++) {
    const record = s + STATE_RESERVATIONS + (i << 4);
    if (load<u32>(record) == 0) return record;
  }
  return 0;
}

/** Number of the argument that is a function, 0 if none is. */
function functionArgument(record: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) if (typeOf(record, i) == ARGUMENT_FUNCTION) return i + 1;
  return 0;
}

function invoke(callee: u32, count: u32, a: u64, b: u64, c: u64, d: u64, e: u64): u64 {
  switch (count) {
    case 0:
      return call_indirect<u64>(callee);
    case 1:
      return call_indirect<u64>(callee, a);
    case 2:
      return call_indirect<u64>(callee, a, b);
    case 3:
      return call_indirect<u64>(callee, a, b, c);
    case 4:
      return call_indirect<u64>(callee, a, b, c, d);
    default:
      return call_indirect<u64>(callee, a, b, c, d, e);
  }
}

@inline function stale(tagAddress: usize): void {
  const tag = load<u32>(tagAddress);
  const kind = tag & 0xff;
  if (kind == KIND_PACKET || kind == KIND_METADATA || (tag & TAG_IN_PACKET) != 0) store<u32>(tagAddress, KIND_STALE_PACKET);
}

/** The packet may have moved: pointers into it, in registers, saved registers and spills, are worth nothing any more. */
function dropPacketPointers(s: usize): void {
  for (let i: u32 = 0; i <= 9; i++) stale(register(s, i) + REGISTER_TAG);
  for (let i: u32 = load<u32>(s, STATE_DEPTH); i > 0; i--) {
    const frame = frameAt(s, i - 1);
    if (i > 1) for (let j: usize = 0; j < 4; j++) stale(frame + FRAME_SAVED + j * REGISTER_SIZE + REGISTER_TAG);
    const spilled = load<u64>(frame, FRAME_SPILLED);
    if (spilled == 0) continue;
    for (let slot: usize = 0; slot < 64; slot++) {
      if (((spilled >> slot) & 1) != 0) stale(frame + FRAME_SPILLS + (slot << 4));
    }
  }
}

/**
 * Sets up a callback of the helper in progress: pushes its frame and its argument registers. False after a fault.
 * for_each_map_elem: (map, key, value, ctx); user_ringbuf_drain: (dynptr that is lent, ctx).
 */
export function beginCallback(s: usize, a: u64, b: u64, c: u64, d: u64): bool {
  if (enter(s, load<u32>(s, STATE_CALLBACK_FUNCTION), FRAME_CALLBACK, load<u32>(s, STATE_SLOT)) == 0) return false;
  clobber(s);
  const map = <usize>load<u32>(s, STATE_CALLBACK_MAP);
  if (load<u32>(s, STATE_CALLBACK_HELPER) == FOR_EACH_MAP_ELEM) {
    store<u64>(register(s, 1), a);
    setObject(register(s, 1), KIND_MAP, <u32>a, MAP_HEADER_SIZE, 0);
    store<u64>(register(s, 2), b);
    setObject(register(s, 2), KIND_MAP_KEY | TAG_READ_ONLY, <u32>b, load<u32>(map, MAP_KEY_SIZE), 0);
    store<u64>(register(s, 3), c);
    setObject(register(s, 3), mapValueTag(map), <u32>c, load<u32>(map, MAP_VALUE_SIZE), <u32>map);
    store<u64>(register(s, 4), d);
    copyProvenance(register(s, 4), s + STATE_CALLBACK_ARGUMENT);
  } else if (load<u32>(s, STATE_CALLBACK_HELPER) == USER_RINGBUF_DRAIN) {
    store<u64>(register(s, 1), a);
    setObject(register(s, 1), KIND_OPAQUE, <u32>a, DYNPTR_BYTES, 0);
    store<u64>(register(s, 2), b);
    copyProvenance(register(s, 2), s + STATE_CALLBACK_ARGUMENT);
  }
  return true;
}
