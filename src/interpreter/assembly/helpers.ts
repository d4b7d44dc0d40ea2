// Calls of helpers and kfuncs: arguments.ts looks at what they are given, results.ts at what comes back.
import {
  ARGUMENT_MAP,
  BPF_LOOP,
  FAULT_TOO_MANY_REFERENCES,
  HELPER_ARGUMENT_COUNT,
  HELPER_CHANGES_PACKET,
  HELPER_COMPARES,
  HELPER_DROPS_OBJECT,
  HELPER_DYNPTR_OF_RECORD,
  HELPER_FLAGS,
  HELPER_ID,
  HELPER_INDEX,
  HELPER_KEEPS_CALLBACK,
  HELPER_PASSED,
  HELPER_PASSED_VALUES,
  HELPER_RELEASES,
  HELPER_RELEASES_DYNPTR,
  HELPER_RETURNS,
  HELPER_RETURNS_SIZE,
  HELPER_SIZE,
  IMAGE_HELPERS,
  IMAGE_HELPER_COUNT,
  KIND_MEMORY,
  KIND_NULL_MEMORY,
  KIND_PERCPU_OBJECT,
  KIND_SCALAR,
  REGISTER_AUX,
  REGISTER_OBJECT_SIZE,
  REGISTER_SCRATCH,
  RESERVATIONS,
  RETURN_DYNPTR_MEM,
  RETURN_ELEMENT,
  RETURN_EXCHANGED,
  RETURN_OBJECT,
  RETURN_PERCPU_COPY,
  RETURN_PERCPU_OBJECT,
  RETURN_RINGBUF_MEM,
  RETURN_SAME_OBJECT,
  RETURN_SIZED_MEM,
  RETURN_SLICE,
  RETURN_SLICE_WRITABLE,
  STATE_IMAGE,
  STATE_STATUS,
  STATUS_FAULT,
  STATUS_THROWN,
  TAIL_CALL,
} from '../layout';
import { PERCPU_HEADER, PERCPU_OBJECT_SIZE } from '../../plane/layout/record';
import { checkArguments } from './arguments';
import { invokeWithCallback } from './callbacks';
import { fault } from './fault';
import { clobber, register } from './frames';
import { functionArgument, typeOf } from './helper-record';
import { fieldOf, giveElement, giveNewObject, giveObject, givePointer, isLast, noteDropped } from './objects';
import { dropPacketPointers } from './packet-pointers';
import { setObject, setTag } from './provenance';
import { freeReservation, release } from './reservations';
import { giveResult, keepStackObjects } from './results';
import { overOf, recordOf } from './stack-objects';

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

/** Calls the helper with r1 to r5 and gives r0 what it returns. False after a fault, its callbacks' included. */
export function callHelper(s: usize, record: usize, slot: u32): bool {
  if (load<u32>(record, HELPER_PASSED) != 0) pass(s, record);
  if (!checkArguments(s, record)) return false;
  const count = load<u32>(record, HELPER_ARGUMENT_COUNT);
  const flags = load<u32>(record, HELPER_FLAGS);
  const a = load<u64>(register(s, 1));
  let b = load<u64>(register(s, 2));
  const c = load<u64>(register(s, 3));
  let d = load<u64>(register(s, 4));
  const e = load<u64>(register(s, 5));
  const map = count > 0 && typeOf(record, 0) == ARGUMENT_MAP ? <usize>a : 0;

  const drops = (flags & HELPER_DROPS_OBJECT) != 0 && isLast(register(s, 1)) ? <u32>a : 0;
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
    const kept = (<u64>load<u32>(s, STATE_IMAGE) << 32) | <u64>load<u32>(register(s, callbackAt), REGISTER_AUX);
    if (callbackAt == 2) b = kept;
    else d = kept;
    r0 = invoke(callee, count, a, b, c, d, e);
  } else if (callbackAt != 0) {
    // Of comparisons the offset of the node, which is the last argument.
    r0 = invokeWithCallback(s, record, callbackAt, (flags & HELPER_COMPARES) != 0 ? <usize>e : map, slot);
    if (load<u32>(s, STATE_STATUS) == STATUS_FAULT || load<u32>(s, STATE_STATUS) == STATUS_THROWN) return false;
  } else {
    r0 = invoke(callee, count, a, b, c, d, e);
  }

  if (drops != 0) noteDropped(s, drops);
  if ((flags & HELPER_CHANGES_PACKET) != 0) dropPacketPointers(s);
  const root = returns == RETURN_ELEMENT || returns == RETURN_EXCHANGED ? fieldOf(register(s, 1)) : <usize>load<u32>(register(s, 1), REGISTER_OBJECT_SIZE);
  const size2 = load<u32>(register(s, 2));
  const size3 = returns == RETURN_DYNPTR_MEM || returns == RETURN_SIZED_MEM ? load<u32>(register(s, 3)) : load<u32>(register(s, 4));
  keepStackObjects(s, record, flags, count, reserved, size2, slot);
  clobber(s);
  store<u64>(s, r0);
  if (returns >= <u32>RETURN_OBJECT) giveObjectResult(s, returns, r0, returns == RETURN_PERCPU_COPY ? <usize>a : root, record);
  else giveResult(s, record, r0, map, reserved, size2, size3, slot);
  return true;
}

/** What the loader passes stands in the registers as if the program had put it there. */
function pass(s: usize, record: usize): void {
  const passed = load<u32>(record, HELPER_PASSED);
  for (let number: u32 = 1; number <= 5; number++) {
    if (((passed >> number) & 1) == 0) continue;
    const r = register(s, number);
    store<u64>(r, load<u64>(record + (<usize>(number - 1) << 3), HELPER_PASSED_VALUES));
    setTag(r, KIND_SCALAR);
  }
}

/** `about`: record of the object in argument 1, or the field that it points to. */
function giveObjectResult(s: usize, returns: u32, r0: u64, about: usize, call: usize): void {
  switch (returns) {
    case RETURN_OBJECT:
      giveNewObject(s, s, <u32>r0, load<u32>(call + (<usize>(load<u32>(call, HELPER_RETURNS_SIZE) - 1) << 3), HELPER_PASSED_VALUES));
      return;
    case RETURN_SAME_OBJECT:
      giveObject(s, s, <u32>r0, <u32>about);
      return;
    case RETURN_ELEMENT:
      giveElement(s, about, r0);
      return;
    case RETURN_EXCHANGED:
      givePointer(s, s, about, <u32>r0);
      return;
    case RETURN_PERCPU_OBJECT:
      if (r0 == 0) setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
      else setObject(s, KIND_PERCPU_OBJECT, <u32>r0, 0, 0);
      return;
    default:
      if (r0 == 0) setObject(s, KIND_NULL_MEMORY, 0, 0, 0);
      else setObject(s, KIND_MEMORY, <u32>r0, load<u32>(about - PERCPU_HEADER, PERCPU_OBJECT_SIZE), 0);
  }
}

export function invoke(callee: u32, count: u32, a: u64, b: u64, c: u64, d: u64, e: u64): u64 {
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
