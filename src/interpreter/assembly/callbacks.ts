// Helpers that call functions of the program while they run.
import {
  CALLBACK_COMPARES,
  FRAME_CALLBACK,
  HELPER_ARGUMENT_COUNT,
  HELPER_COMPARES,
  HELPER_FLAGS,
  HELPER_ID,
  HELPER_INDEX,
  KIND_MAP,
  KIND_MAP_KEY,
  KIND_OPAQUE,
  REGISTER_AUX,
  STATE_CALLBACK_ARGUMENT,
  STATE_CALLBACK_ENTRY,
  STATE_CALLBACK_FUNCTION,
  STATE_CALLBACK_HELPER,
  STATE_CALLBACK_MAP,
  STATE_SLOT,
  TAG_READ_ONLY,
} from '../layout';
import { DYNPTR_BYTES } from '../../plane/layout/dynptr';
import { MAP_HEADER_SIZE, MAP_KEY_SIZE, MAP_VALUE_SIZE } from '../../plane/layout/map';
import { clobber, enter, register } from './frames';
import { invoke } from './helpers';
import { giveObject } from './objects';
import { copyProvenance, copyRegister, setObject } from './provenance';
import { mapValueTag } from './results';

const FOR_EACH_MAP_ELEM: u32 = 164;
const USER_RINGBUF_DRAIN: u32 = 209;

/**
 * Calls a helper whose argument `at` is a function: it is given the trampoline, and what that stands for is kept here, as helpers may nest.
 */
export function invokeWithCallback(s: usize, record: usize, at: u32, map: usize, slot: u32): u64 {
  const outerFunction = load<u32>(s, STATE_CALLBACK_FUNCTION);
  const outerHelper = load<u32>(s, STATE_CALLBACK_HELPER);
  const outerMap = load<u32>(s, STATE_CALLBACK_MAP);
  store<u32>(s, load<u32>(register(s, at), REGISTER_AUX), STATE_CALLBACK_FUNCTION);
  const compares = (load<u32>(record, HELPER_FLAGS) & HELPER_COMPARES) != 0;
  store<u32>(s, compares ? <u32>CALLBACK_COMPARES : load<u32>(record, HELPER_ID), STATE_CALLBACK_HELPER);
  store<u32>(s, <u32>map, STATE_CALLBACK_MAP);
  // The argument that the helper hands on follows the function, in every helper that takes one.
  copyRegister(s + STATE_CALLBACK_ARGUMENT, register(s, at + 1));
  const entry = <u64>load<u32>(s, STATE_CALLBACK_ENTRY);
  store<u32>(s, slot, STATE_SLOT);
  const r0 = invoke(
    load<u32>(record, HELPER_INDEX),
    load<u32>(record, HELPER_ARGUMENT_COUNT),
    load<u64>(register(s, 1)),
    at == 2 ? entry : load<u64>(register(s, 2)),
    at == 3 ? entry : load<u64>(register(s, 3)),
    load<u64>(register(s, 4)),
    load<u64>(register(s, 5)),
  );
  store<u32>(s, outerFunction, STATE_CALLBACK_FUNCTION);
  store<u32>(s, outerHelper, STATE_CALLBACK_HELPER);
  store<u32>(s, outerMap, STATE_CALLBACK_MAP);
  return r0;
}

/**
 * Sets up a callback of the helper in progress: pushes its frame and its argument registers. False after a fault.
 * for_each_map_elem: (map, key, value, ctx); user_ringbuf_drain: (dynptr that is lent, ctx); comparisons: (node, node).
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
  } else if (load<u32>(s, STATE_CALLBACK_HELPER) == <u32>CALLBACK_COMPARES) {
    // Its record is what follows the function.
    const record = load<u32>(s, STATE_CALLBACK_ARGUMENT);
    store<u64>(register(s, 1), a);
    giveObject(s, register(s, 1), <u32>a - <u32>map, record);
    store<u64>(register(s, 2), b);
    giveObject(s, register(s, 2), <u32>b - <u32>map, record);
  }
  return true;
}
