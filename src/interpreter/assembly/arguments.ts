// Arguments of helpers and kfuncs against their prototype.
import {
  ACCESS_READ,
  ACCESS_WRITE,
  ARGUMENT_ALLOC_SIZE,
  ARGUMENT_ANYTHING,
  ARGUMENT_BUFFER_OR_NULL,
  ARGUMENT_CONTEXT,
  ARGUMENT_CONTEXT_OR_NULL,
  ARGUMENT_DONTCARE,
  ARGUMENT_DYNPTR,
  ARGUMENT_DYNPTR_UNINIT,
  ARGUMENT_FIXED_MEM,
  ARGUMENT_FIXED_MEM_UNINIT,
  ARGUMENT_FIELD,
  ARGUMENT_FIXED_MEM_WRITE,
  ARGUMENT_FUNCTION,
  ARGUMENT_IN_MAP_VALUE,
  ARGUMENT_ITERATOR,
  ARGUMENT_ITERATOR_UNINIT,
  ARGUMENT_KPTR,
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
  ARGUMENT_NODE,
  ARGUMENT_OBJECT,
  ARGUMENT_PERCPU_OBJECT,
  ARGUMENT_RINGBUF_MEM,
  ARGUMENT_SIZE,
  ARGUMENT_SIZE_OR_ZERO,
  ARGUMENT_STACK_OR_NULL,
  ARGUMENT_STRING,
  FAULT_ARGUMENT_SIZE,
  FAULT_ARGUMENT_TYPE,
  FAULT_MODIFIED_POINTER,
  FAULT_NOT_A_POINTER,
  FAULT_OUT_OF_BOUNDS,
  FAULT_RELEASED_MEMORY,
  HELPER_ARGUMENT_COUNT,
  KIND_CONTEXT,
  KIND_DYNPTR,
  KIND_FUNCTION,
  KIND_GLOBAL,
  KIND_ITERATOR,
  KIND_MAP,
  KIND_MAP_VALUE,
  KIND_NULL_MAP_VALUE,
  KIND_NULL_MEMORY,
  KIND_OBJECT,
  KIND_OPAQUE,
  KIND_PERCPU_OBJECT,
  KIND_RINGBUF,
  KIND_SCALAR,
  REGISTER_AUX,
  REGISTER_BASE,
  REGISTER_OBJECT_SIZE,
} from '../layout';
import { MAP_KEY_SIZE, MAP_VALUE_SIZE } from '../../plane/layout/map';
import { FIELD_KIND, FIELD_KPTR, FIELD_KPTR_UNTRUSTED, FIELD_PERCPU_KPTR, RECORD_SIZE } from '../../plane/layout/record';
import { reservation, resolveRange } from './access';
import { fault } from './fault';
import { register } from './frames';
import { fixedSize, typeOf } from './helper-record';
import { fieldOf, isGone, recordAt } from './objects';
import { readable, tagOf } from './provenance';
import { isLentDynptr, isMarked, isReleased, mayBeMarked } from './stack-objects';

/** Largest size that the kernel's verifier takes (BPF_MAX_VAR_SIZ). */
const MAX_SIZE: u64 = 1 << 29;

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
      return checkField(s, number, type, fixedSize(record, number));
    case ARGUMENT_KPTR: {
      if (!checkField(s, number, type, 8)) return false;
      const field = fieldOf(r);
      const held = field == 0 ? 0 : load<u32>(field, FIELD_KIND);
      if (field == 0 || (held != FIELD_KPTR && held != FIELD_PERCPU_KPTR && held != FIELD_KPTR_UNTRUSTED)) return wrongType(s, number, type);
      return true;
    }
    case ARGUMENT_FIELD: {
      if (!checkField(s, number, type, 1)) return false;
      const field = fieldOf(r);
      return (field != 0 && load<u32>(field, FIELD_KIND) == fixedSize(record, number)) || wrongType(s, number, type);
    }
    case ARGUMENT_NODE: {
      if (kind != KIND_OBJECT) return wrongType(s, number, type);
      if (!checkField(s, number, type, 1)) return false;
      const field = fieldOf(r);
      return (field != 0 && load<u32>(field, FIELD_KIND) == fixedSize(record, number)) || wrongType(s, number, type);
    }
    case ARGUMENT_OBJECT:
      if (kind != KIND_OBJECT) return wrongType(s, number, type);
      return checkField(s, number, type, 0) && unmoved(s, number);
    case ARGUMENT_PERCPU_OBJECT:
      if (kind != KIND_PERCPU_OBJECT) return wrongType(s, number, type);
      return unmoved(s, number);
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

/** So many bytes in a map value, global data or an object that is still there: what the callee takes is a special field, which nobody else may access. */
function checkField(s: usize, number: u32, type: u32, size: u32): bool {
  const r = register(s, number);
  const kind = tagOf(r) & 0xff;
  if (kind != KIND_MAP_VALUE && kind != KIND_GLOBAL && kind != KIND_OBJECT) return wrongType(s, number, type);
  const address = load<u64>(r);
  if (kind == KIND_OBJECT && isGone(s, r)) {
    fault(s, FAULT_RELEASED_MEMORY, number, ACCESS_WRITE, address, size, r, 0);
    return false;
  }
  const extent = kind == KIND_OBJECT ? load<u32>(recordAt(r), RECORD_SIZE) : load<u32>(r, REGISTER_OBJECT_SIZE);
  const relative = address - <u64>load<u32>(r, REGISTER_BASE);
  if (relative <= <u64>extent && relative + size <= <u64>extent) return true;
  fault(s, FAULT_OUT_OF_BOUNDS, number, ACCESS_WRITE, address, size, r, 0);
  return false;
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
