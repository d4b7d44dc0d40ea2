// Objects of the program's own types: where their special fields are, whether a pointer's object is still the one that it was given for.
import {
  ACCESS_READ,
  ACCESS_WRITE,
  KIND_GLOBAL,
  KIND_MAP_VALUE,
  KIND_NULL_MEMORY,
  KIND_OBJECT,
  KIND_OPAQUE,
  KIND_PERCPU_OBJECT,
  KIND_SCALAR,
  OBJECTS,
  REGISTER_AUX,
  REGISTER_BASE,
  REGISTER_OBJECT_SIZE,
  STATE_OBJECTS,
  STATE_OBJECT_SERIAL,
  TAG_FIELDS,
} from '../layout';
import { OBJECT_KEY } from '../../plane/layout/allocator';
import { MAP_RECORD } from '../../plane/layout/map';
import { ROOT, ROOT_FREE_KEY } from '../../plane/layout/memory';
import {
  FIELD_BYTES,
  FIELD_KIND,
  FIELD_KPTR,
  FIELD_KPTR_UNTRUSTED,
  FIELD_NODE,
  FIELD_OFFSET,
  FIELD_PERCPU_KPTR,
  FIELD_SIZE,
  FIELD_TARGET,
  FIELD_UPTR,
  RECORD_COUNT,
  RECORD_DEFERRED,
  RECORD_FIELDS,
  RECORD_FLAGS,
  RECORD_REFCOUNT,
} from '../../plane/layout/record';
import { setObject, setTag, tagOf } from './provenance';

/** Record of what the register points into, 0 where there is none. */
export function recordAt(r: usize): usize {
  const tag = tagOf(r);
  const kind = tag & 0xff;
  if (kind == KIND_OBJECT) return <usize>load<u32>(r, REGISTER_OBJECT_SIZE);
  if ((tag & TAG_FIELDS) == 0) return 0;
  const aux = <usize>load<u32>(r, REGISTER_AUX);
  return kind == KIND_MAP_VALUE ? <usize>load<u32>(aux, MAP_RECORD) : kind == KIND_GLOBAL ? aux : 0;
}

@inline function isPointer(kind: u32): bool {
  return kind - FIELD_KPTR_UNTRUSTED <= <u32>(FIELD_UPTR - FIELD_KPTR_UNTRUSTED);
}

/** The special field at exactly this offset, 0 if there is none. */
function fieldAt(record: usize, offset: u64): usize {
  let field = record + RECORD_FIELDS;
  for (let i: u32 = load<u32>(record, RECORD_COUNT); i > 0; i--, field += FIELD_BYTES) {
    if (<u64>load<u32>(field, FIELD_OFFSET) == offset) return field;
  }
  return 0;
}

/** The special field that the register points to, 0 if it is none. */
export function fieldOf(r: usize): usize {
  const record = recordAt(r);
  return record == 0 ? 0 : fieldAt(record, load<u64>(r) - <u64>load<u32>(r, REGISTER_BASE));
}

/** Kind of the special field that the bytes touch and may not be accessed so, 0 if they may. */
export function forbiddenField(record: usize, offset: u64, size: u32, access: u32): u32 {
  let field = record + RECORD_FIELDS;
  for (let i: u32 = load<u32>(record, RECORD_COUNT); i > 0; i--, field += FIELD_BYTES) {
    const start = <u64>load<u32>(field, FIELD_OFFSET);
    if (offset >= start + load<u32>(field, FIELD_SIZE) || start >= offset + size) continue;
    const kind = load<u32>(field, FIELD_KIND);
    if (offset == start && size == 8) {
      if (access == ACCESS_READ && isPointer(kind)) continue;
      if (access == ACCESS_WRITE && kind == FIELD_KPTR_UNTRUSTED) continue;
    }
    return kind;
  }
  return 0;
}

@inline function entryOf(s: usize, object: u32): usize {
  return s + STATE_OBJECTS + ((<usize>(object >> 4) & (OBJECTS - 1)) << 3);
}

/** Pointers to this address that were given before are to something else. */
function note(s: usize, object: u32): void {
  const serial = load<u32>(s, STATE_OBJECT_SERIAL) + 1;
  store<u32>(s, serial, STATE_OBJECT_SERIAL);
  const entry = entryOf(s, object);
  store<u32>(entry, object);
  store<u32>(entry, serial, 4);
}

/** The object of the register (KIND_OBJECT) was given up since, or its memory is another object's. */
export function isGone(s: usize, r: usize): bool {
  const base = load<u32>(r, REGISTER_BASE);
  // Whoever gave the memory back, the plane included: free objects hold the key.
  if (load<u32>(base, OBJECT_KEY) == load<u32>(ROOT, ROOT_FREE_KEY)) return true;
  const entry = entryOf(s, base);
  return load<u32>(entry) == base && load<u32>(entry, 4) > load<u32>(r, REGISTER_AUX);
}

/** Before the call: true if it will give up the last reference to an object that nobody may read afterwards. */
export function isLast(r: usize): bool {
  const record = recordAt(r);
  if (record == 0 || (load<u32>(record, RECORD_FLAGS) & RECORD_DEFERRED) != 0) return false;
  const refcount = load<u32>(record, RECORD_REFCOUNT);
  return refcount == 0 || load<u32>(<usize>load<u32>(r, REGISTER_BASE) + refcount - 1) == 1;
}

export function noteDropped(s: usize, object: u32): void {
  note(s, object);
}

/** Gives a register an object of the program, or NULL. */
export function giveObject(s: usize, d: usize, object: u32, record: u32): void {
  if (object == 0) setObject(d, KIND_NULL_MEMORY, 0, 0, 0);
  else setObject(d, KIND_OBJECT, object, record, load<u32>(s, STATE_OBJECT_SERIAL));
}

export function giveNewObject(s: usize, d: usize, object: u32, record: u32): void {
  if (object != 0) note(s, object);
  giveObject(s, d, object, record);
}

/** Gives a register what a pointer field holds, or held. */
export function givePointer(s: usize, d: usize, field: usize, pointer: u32): void {
  const kind = field == 0 ? 0 : load<u32>(field, FIELD_KIND);
  const target = field == 0 ? 0 : load<u32>(field, FIELD_TARGET);
  if (pointer == 0) setObject(d, KIND_NULL_MEMORY, 0, 0, 0);
  else if (kind == FIELD_PERCPU_KPTR) setObject(d, KIND_PERCPU_OBJECT, pointer, 0, 0);
  else if (kind == FIELD_KPTR && target != 0) giveObject(s, d, pointer, target);
  else setObject(d, KIND_OPAQUE, pointer, 0, 0);
}

/** A load of 8 bytes at `address` of what `r` points into: a pointer where that is a field that holds one. */
export function loadedPointer(s: usize, r: usize, address: usize, d: usize): void {
  const record = recordAt(r);
  const field = record == 0 ? <usize>0 : fieldAt(record, <u64>address - <u64>load<u32>(r, REGISTER_BASE));
  const kind = field == 0 ? 0 : load<u32>(field, FIELD_KIND);
  if (isPointer(kind)) givePointer(s, d, field, load<u32>(address));
  else setTag(d, KIND_SCALAR);
}

/** Gives r0 the element that `node` (0: none) is of, of the list or tree with this root field. */
export function giveElement(s: usize, field: usize, node: u64): void {
  if (node == 0) setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
  else if (field == 0) setObject(s, KIND_OPAQUE, <u32>node, 0, 0);
  else giveObject(s, s, <u32>node - load<u32>(field, FIELD_NODE), load<u32>(field, FIELD_TARGET));
}
