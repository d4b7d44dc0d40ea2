// Calls of helpers and kfuncs: arguments.ts looks at what they are given, results.ts at what comes back.
import {
  ARGUMENT_MAP,
  BPF_LOOP,
  FAULT_TOO_MANY_REFERENCES,
  HELPER_ARGUMENT_COUNT,
  HELPER_CHANGES_PACKET,
  HELPER_DYNPTR_OF_RECORD,
  HELPER_FLAGS,
  HELPER_ID,
  HELPER_INDEX,
  HELPER_KEEPS_CALLBACK,
  HELPER_RELEASES,
  HELPER_RELEASES_DYNPTR,
  HELPER_RETURNS,
  HELPER_SIZE,
  IMAGE_HELPERS,
  IMAGE_HELPER_COUNT,
  REGISTER_AUX,
  REGISTER_SCRATCH,
  RESERVATIONS,
  RETURN_DYNPTR_MEM,
  RETURN_RINGBUF_MEM,
  RETURN_SIZED_MEM,
  RETURN_SLICE,
  RETURN_SLICE_WRITABLE,
  STATE_IMAGE,
  STATE_STATUS,
  STATUS_FAULT,
  STATUS_THROWN,
  TAIL_CALL,
} from '../layout';
import { checkArguments } from './arguments';
import { invokeWithCallback } from './callbacks';
import { fault } from './fault';
import { clobber, register } from './frames';
import { functionArgument, typeOf } from './helper-record';
import { dropPacketPointers } from './packet-pointers';
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
  if (!checkArguments(s, record)) return false;
  const count = load<u32>(record, HELPER_ARGUMENT_COUNT);
  const flags = load<u32>(record, HELPER_FLAGS);
  const a = load<u64>(register(s, 1));
  let b = load<u64>(register(s, 2));
  const c = load<u64>(register(s, 3));
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
    r0 = invokeWithCallback(s, record, callbackAt, map, slot);
    if (load<u32>(s, STATE_STATUS) == STATUS_FAULT || load<u32>(s, STATE_STATUS) == STATUS_THROWN) return false;
  } else {
    r0 = invoke(callee, count, a, b, c, d, e);
  }

  if ((flags & HELPER_CHANGES_PACKET) != 0) dropPacketPointers(s);
  const size2 = load<u32>(register(s, 2));
  const size3 = returns == RETURN_DYNPTR_MEM || returns == RETURN_SIZED_MEM ? load<u32>(register(s, 3)) : load<u32>(register(s, 4));
  keepStackObjects(s, record, flags, count, reserved, size2, slot);
  clobber(s);
  store<u64>(s, r0);
  giveResult(s, record, r0, map, reserved, size2, size3, slot);
  return true;
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
