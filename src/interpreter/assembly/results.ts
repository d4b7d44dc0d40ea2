// What a call leaves: r0, and dynptrs and iterators on the stack.
import {
  ARGUMENT_DYNPTR_UNINIT,
  ARGUMENT_ITERATOR_UNINIT,
  HELPER_DESTROYS_ITERATOR,
  HELPER_RELEASES_DYNPTR,
  HELPER_RETURNS,
  HELPER_RETURNS_SIZE,
  KIND_ITERATOR,
  KIND_MAP,
  KIND_MAP_VALUE,
  KIND_MEMORY,
  KIND_NULL_MAP_VALUE,
  KIND_NULL_MEMORY,
  KIND_OPAQUE,
  KIND_RINGBUF,
  KIND_SCALAR,
  KIND_UNINITIALISED,
  REGISTER_SCRATCH,
  RETURN_DYNPTR_MEM,
  RETURN_FIXED_MEM,
  RETURN_MAP_VALUE,
  RETURN_OPAQUE,
  RETURN_RINGBUF_MEM,
  RETURN_SIZED_MEM,
  RETURN_SLICE,
  RETURN_SLICE_WRITABLE,
  RETURN_SOCKET,
  RETURN_VOID,
  TAG_FIELDS,
  TAG_READ_ONLY,
  TAG_WRITE_ONLY,
} from '../layout';
import { DYNPTR_BYTES, DYNPTR_DATA } from '../../plane/layout/dynptr';
import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, MAP_FLAGS, MAP_HEADER_SIZE, MAP_RECORD, MAP_TYPE, MAP_VALUE_SIZE } from '../../plane/layout/map';
import { SOCK_SIZE } from '../../plane/layout/skb';
import { remember } from './access';
import { register } from './frames';
import { fixedSize, typeOf } from './helper-record';
import { setObject, setTag } from './provenance';
import { reserve } from './reservations';
import { giveSlice, mark, markDynptr, unmark } from './stack-objects';

const ARRAY_OF_MAPS: u32 = 12;
const HASH_OF_MAPS: u32 = 13;

export function giveResult(s: usize, record: usize, r0: u64, map: usize, reserved: usize, size2: u32, size3: u32, slot: u32): void {
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
    case RETURN_SIZED_MEM:
      if (r0 == 0) setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
      else setObject(s, KIND_MEMORY, <u32>r0, size3, 0);
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

/** Marks the dynptr or iterator that the call made, takes the marks of the one that it ended. */
export function keepStackObjects(s: usize, record: usize, flags: u32, count: u32, reserved: usize, size: u32, slot: u32): void {
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
export function mapValueTag(map: usize): u32 {
  const flags = load<u32>(map, MAP_FLAGS);
  let tag: u32 = KIND_MAP_VALUE;
  if (load<u32>(map, MAP_RECORD) != 0) tag |= TAG_FIELDS;
  if ((flags & BPF_F_RDONLY_PROG) != 0) tag |= TAG_READ_ONLY;
  if ((flags & BPF_F_WRONLY_PROG) != 0) tag |= TAG_WRITE_ONLY;
  return tag;
}
