// interpreter/assembly: the stepping core, compiled by AssemblyScript to interpreter.wasm. No mutable static data: a run's state lies in
// the block that its caller allocated (see ../layout); the one global is per instance, and an instance belongs to one worker.
import {
  KIND_UNINITIALISED,
  RESERVATIONS,
  STATE_BY_ADDRESS,
  STATE_CONTEXT,
  STATE_DATA_END_FIELD,
  STATE_DATA_FIELD,
  STATE_DATA_META_FIELD,
  STATE_RECENT_NEXT,
  STATE_RESERVATIONS,
  STATE_RESERVED,
  STATE_STEPS,
  STATE_TAIL_CALLS,
  STATE_BASE_DEPTH,
  STATE_DEPTH,
  STATE_STATUS,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_RUNNING,
  STATUS_THROWN,
  STATE_SLOT,
  IMAGE_CODE,
  IMAGE_FUNCTIONS,
  STATE_CODE,
  STATE_IMAGE,
  STATE_FUNCTION_START,
  STATE_FUNCTION_LENGTH,
  FRAME_ENTRY,
  FRAME_KIND,
  FRAME_TOP,
  FRAME_CALL,
  STATE_STACK_TOP,
  STATE_STACK_LIMIT,
  FAULT_STACK_OVERFLOW,
} from '../layout';
import { FRAME_SIZE } from '../../plane/layout/memory';
import { stop } from './fault';
import { freshFrame, register } from './frames';
import { beginCallback } from './callbacks';
import { frameAt, setTag } from './provenance';
import { loop } from './step';

/** State block of the run in progress, for callbacks, which come without it. */
let current: usize = 0;

/** Makes ready to run function `index` of `image`; the caller sets r1 to r5 afterwards. */
export function begin(s: usize, image: usize, index: u32): void {
  store<u32>(s, STATUS_RUNNING, STATE_STATUS);
  store<u64>(s, 0, STATE_STEPS);
  store<u32>(s, 0, STATE_BY_ADDRESS);
  store<u32>(s, 0, STATE_TAIL_CALLS);
  store<u32>(s, 0, STATE_RECENT_NEXT);
  if (load<u32>(s, STATE_RESERVED) != 0) {
    memory.fill(s + STATE_RESERVATIONS, 0, RESERVATIONS * 16);
    store<u32>(s, 0, STATE_RESERVED);
  }
  store<u32>(s, 0, STATE_CONTEXT);
  store<u32>(s, 0, STATE_DATA_FIELD);
  store<u32>(s, 0, STATE_DATA_END_FIELD);
  store<u32>(s, 0, STATE_DATA_META_FIELD);
  store<u32>(s, <u32>image, STATE_IMAGE);
  store<u32>(s, load<u32>(image, IMAGE_CODE), STATE_CODE);
  const record = <usize>load<u32>(image, IMAGE_FUNCTIONS) + (<usize>index << 3);
  store<u32>(s, load<u32>(record), STATE_FUNCTION_START);
  store<u32>(s, load<u32>(record, 4), STATE_FUNCTION_LENGTH);
  store<u32>(s, load<u32>(record), STATE_SLOT);
  store<u32>(s, 1, STATE_DEPTH);
  store<u32>(s, 1, STATE_BASE_DEPTH);
  for (let i: u32 = 0; i < 10; i++) setTag(register(s, i), KIND_UNINITIALISED);
  const frame = frameAt(s, 0);
  const top = load<u32>(s, STATE_STACK_TOP);
  store<u32>(frame, FRAME_CALL, FRAME_KIND);
  store<u32>(frame, 0, FRAME_ENTRY);
  store<u32>(frame, top, FRAME_TOP);
  freshFrame(s, frame, 0);
  if (top - FRAME_SIZE < load<u32>(s, STATE_STACK_LIMIT)) stop(s, FAULT_STACK_OVERFLOW, 1);
}

/** Goes on until the run exits, faults, meets a breakpoint or has made the steps of STATE_PAUSE. Returns the status. */
export function resume(s: usize): u32 {
  if (load<u32>(s, STATE_STATUS) == STATUS_FAULT) return STATUS_FAULT;
  const outer = current;
  current = s;
  store<u32>(s, STATUS_RUNNING, STATE_STATUS);
  loop(s);
  current = outer;
  return load<u32>(s, STATE_STATUS);
}

/** What helpers that take a function are given: runs the callback in the state of the run in progress. Non-zero ends an iteration. */
export function callback(a: u64, b: u64, c: u64, d: u64, e: u64): u64 {
  const s = current;
  if (load<u32>(s, STATE_STATUS) == STATUS_FAULT || load<u32>(s, STATE_STATUS) == STATUS_THROWN) return 1;
  const slot = load<u32>(s, STATE_SLOT);
  const base = load<u32>(s, STATE_BASE_DEPTH);
  if (!beginCallback(s, a, b, c, d)) return 1;
  store<u32>(s, load<u32>(s, STATE_DEPTH), STATE_BASE_DEPTH);
  loop(s);
  if (load<u32>(s, STATE_STATUS) == STATUS_THROWN) {
    // The helper ends its loop; the call of it goes on unwinding.
    store<u32>(s, base, STATE_BASE_DEPTH);
    store<u32>(s, slot, STATE_SLOT);
    return 1;
  }
  if (load<u32>(s, STATE_STATUS) != STATUS_EXIT) return 1;
  store<u32>(s, STATUS_RUNNING, STATE_STATUS);
  store<u32>(s, base, STATE_BASE_DEPTH);
  store<u32>(s, slot, STATE_SLOT);
  return load<u64>(s);
}
