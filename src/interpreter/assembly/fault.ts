// The fault record of a run: written once, at the exact bad access; the loop stops when a check returns 0.
import {
  FAULT_ACCESS,
  FAULT_ACCESS_SIZE,
  FAULT_ADDRESS,
  FAULT_AUX,
  FAULT_BASE,
  FAULT_CODE,
  FAULT_DETAIL,
  FAULT_OBJECT_SIZE,
  FAULT_REGISTER,
  FAULT_TAG,
  REGISTER_AUX,
  REGISTER_BASE,
  REGISTER_OBJECT_SIZE,
  REGISTER_TAG,
  STATE_STATUS,
  STATUS_FAULT,
  NO_REGISTER,
} from '../layout';

/** Number of the register at address `r` of the state block. */
@inline export function registerNumber(s: usize, r: usize): u32 {
  return <u32>((r - s) >> 5);
}

/** Ends the run: `object` is the register whose provenance names the object, 0 for none. Returns 0, for checks to return. */
export function fault(
  s: usize,
  code: u32,
  register: u32,
  access: u32,
  address: u64,
  size: u32,
  object: usize,
  detail: u64,
): usize {
  store<u32>(s, STATUS_FAULT, STATE_STATUS);
  store<u32>(s, code, FAULT_CODE);
  store<u32>(s, register, FAULT_REGISTER);
  store<u32>(s, access, FAULT_ACCESS);
  store<u32>(s, size, FAULT_ACCESS_SIZE);
  store<u64>(s, address, FAULT_ADDRESS);
  store<u64>(s, detail, FAULT_DETAIL);
  if (object != 0) {
    store<u32>(s, load<u32>(object, REGISTER_TAG), FAULT_TAG);
    store<u32>(s, load<u32>(object, REGISTER_BASE), FAULT_BASE);
    store<u32>(s, load<u32>(object, REGISTER_OBJECT_SIZE), FAULT_OBJECT_SIZE);
    store<u32>(s, load<u32>(object, REGISTER_AUX), FAULT_AUX);
  } else {
    store<u32>(s, 0, FAULT_TAG);
    store<u32>(s, 0, FAULT_BASE);
    store<u32>(s, 0, FAULT_OBJECT_SIZE);
    store<u32>(s, 0, FAULT_AUX);
  }
  return 0;
}

/** A fault that is about no memory. */
export function stop(s: usize, code: u32, detail: u64): bool {
  fault(s, code, NO_REGISTER, 0, 0, 0, 0, detail);
  return false;
}
