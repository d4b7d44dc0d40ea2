// Frames: entering and leaving functions, the callbacks of bpf_loop, tail calls.
import {
  FAULT_CALL_DEPTH,
  FAULT_STACK_OVERFLOW,
  FAULT_UNRELEASED_REFERENCE,
  FRAME_CALL,
  FRAME_ENTRY,
  FRAME_CALLBACK,
  FRAME_IDENTITY,
  FRAME_INITIALISED,
  FRAME_KIND,
  FRAME_LOOP,
  FRAME_LOOP_CONTEXT,
  FRAME_LOOP_COUNT,
  FRAME_LOOP_FUNCTION,
  FRAME_LOOP_INDEX,
  FRAME_MAY_GOTO,
  FRAME_RETURN_IMAGE,
  FRAME_RETURN_LENGTH,
  FRAME_RETURN_SLOT,
  FRAME_RETURN_START,
  FRAME_SAVED,
  FRAME_SPILLED,
  FRAME_TOP,
  IMAGE_CODE,
  IMAGE_EXCEPTION_CALLBACK,
  IMAGE_FUNCTIONS,
  KIND_SCALAR,
  KIND_STACK,
  KIND_UNINITIALISED,
  MAX_FRAMES,
  MAX_LOOPS,
  NO_FIELD,
  REGISTER_SIZE,
  RESERVATIONS,
  STATE_BASE_DEPTH,
  STATE_CODE,
  STATE_COOKIE,
  STATE_DEPTH,
  STATE_FUNCTION_LENGTH,
  STATE_FUNCTION_START,
  STATE_IMAGE,
  STATE_RESERVATIONS,
  STATE_RESERVED,
  STATE_SERIAL,
  STATE_SLOT,
  STATE_STACK_LIMIT,
  STATE_STACK_TOP,
  STATE_STATUS,
  STATE_TAIL_CALLS,
  STATE_TAIL_COUNT,
  STATE_TAIL_TABLE,
  STATUS_EXIT,
  STATUS_RUNNING,
  STATUS_THROWN,
} from '../layout';
import { FRAME_SIZE } from '../../plane/layout/memory';
import { MAP_MAX_ENTRIES, MAP_STRIDE, MAP_VALUES } from '../../plane/layout/map';
import { MAX_CALL_FRAMES, MAX_TAIL_CALLS } from '../../plane/layout/worker';
import { stop } from './fault';
import { copyRegister, frameAt, readable, setObject, setTag } from './provenance';

@inline export function register(s: usize, number: u32): usize {
  return s + <usize>number * REGISTER_SIZE;
}

/** r1 to r5 hold nothing after a call. */
export function clobber(s: usize): void {
  for (let i: u32 = 1; i <= 5; i++) setTag(register(s, i), KIND_UNINITIALISED);
}

@inline function clobberSaved(s: usize): void {
  for (let i: u32 = 6; i <= 9; i++) setTag(register(s, i), KIND_UNINITIALISED);
}

/** Goes to the first slot of a function of the image that runs. */
function jumpToFunction(s: usize, index: u32): void {
  const image = <usize>load<u32>(s, STATE_IMAGE);
  const record = <usize>load<u32>(image, IMAGE_FUNCTIONS) + (<usize>index << 3);
  const start = load<u32>(record);
  store<u32>(s, start, STATE_FUNCTION_START);
  store<u32>(s, load<u32>(record, 4), STATE_FUNCTION_LENGTH);
  store<u32>(s, start, STATE_SLOT);
}

/** An empty stack frame for the function that begins, and r10. */
export function freshFrame(s: usize, frame: usize, index: u32): void {
  let serial = load<u32>(s, STATE_SERIAL) + 1;
  if (serial >> 24 != 0) serial = 1;
  store<u32>(s, serial, STATE_SERIAL);
  const identity = (serial << 8) | index;
  store<u32>(frame, identity, FRAME_IDENTITY);
  store<u32>(frame, MAX_LOOPS, FRAME_MAY_GOTO);
  store<u64>(frame, 0, FRAME_SPILLED);
  const zero = i64x2.splat(0);
  v128.store(frame, zero, FRAME_INITIALISED);
  v128.store(frame, zero, FRAME_INITIALISED + 16);
  v128.store(frame, zero, FRAME_INITIALISED + 32);
  v128.store(frame, zero, FRAME_INITIALISED + 48);
  const top = load<u32>(frame, FRAME_TOP);
  const r10 = register(s, 10);
  store<u64>(r10, <u64>top);
  setObject(r10, KIND_STACK, top - FRAME_SIZE, FRAME_SIZE, identity);
}

/** Pushes a frame for function `index`; the caller goes on at `returnSlot`. Returns the frame, 0 after a fault. */
export function enter(s: usize, index: u32, kind: u32, returnSlot: u32): usize {
  const depth = load<u32>(s, STATE_DEPTH);
  const entry = load<u32>(frameAt(s, depth - 1), FRAME_ENTRY);
  if (depth - entry >= <u32>MAX_CALL_FRAMES || depth >= <u32>MAX_FRAMES) {
    stop(s, FAULT_CALL_DEPTH, <u64>(depth - entry + 1));
    return 0;
  }
  const top = load<u32>(s, STATE_STACK_TOP) - depth * FRAME_SIZE;
  if (top - FRAME_SIZE < load<u32>(s, STATE_STACK_LIMIT)) {
    stop(s, FAULT_STACK_OVERFLOW, <u64>(depth + 1));
    return 0;
  }
  const frame = frameAt(s, depth);
  store<u32>(frame, kind, FRAME_KIND);
  store<u32>(frame, entry, FRAME_ENTRY);
  store<u32>(frame, top, FRAME_TOP);
  for (let i: u32 = 6; i <= 10; i++) copyRegister(frame + FRAME_SAVED + <usize>(i - 6) * REGISTER_SIZE, register(s, i));
  store<u32>(frame, returnSlot, FRAME_RETURN_SLOT);
  store<u32>(frame, load<u32>(s, STATE_IMAGE), FRAME_RETURN_IMAGE);
  store<u32>(frame, load<u32>(s, STATE_FUNCTION_START), FRAME_RETURN_START);
  store<u32>(frame, load<u32>(s, STATE_FUNCTION_LENGTH), FRAME_RETURN_LENGTH);
  store<u32>(s, depth + 1, STATE_DEPTH);
  clobberSaved(s);
  setTag(s, KIND_UNINITIALISED);
  freshFrame(s, frame, depth);
  jumpToFunction(s, index);
  return frame;
}

/** The callback of bpf_loop begins an iteration. */
function iterate(s: usize, frame: usize): void {
  const r1 = register(s, 1);
  store<u64>(r1, <u64>load<u32>(frame, FRAME_LOOP_INDEX));
  setTag(r1, KIND_SCALAR);
  copyRegister(register(s, 2), frame + FRAME_LOOP_CONTEXT);
  for (let i: u32 = 3; i <= 5; i++) setTag(register(s, i), KIND_UNINITIALISED);
}

/** bpf_loop(nr_loops, callback, ctx, flags), its arguments checked; `next` is the slot after the call. */
export function beginLoop(s: usize, next: u32, index: u32): bool {
  const count = load<u32>(register(s, 1));
  const flags = load<u64>(register(s, 4));
  if (flags != 0 || count > <u32>MAX_LOOPS || count == 0) {
    store<u64>(s, flags != 0 ? <u64>-22 : count == 0 ? 0 : <u64>-7);
    setTag(s, KIND_SCALAR);
    clobber(s);
    store<u32>(s, next, STATE_SLOT);
    return true;
  }
  const frame = enter(s, index, FRAME_LOOP, next);
  if (frame == 0) return false;
  store<u32>(frame, 0, FRAME_LOOP_INDEX);
  store<u32>(frame, count, FRAME_LOOP_COUNT);
  store<u32>(frame, index, FRAME_LOOP_FUNCTION);
  copyRegister(frame + FRAME_LOOP_CONTEXT, register(s, 3));
  iterate(s, frame);
  return true;
}

/**
 * EXIT of the function that runs. Returns false where the loop must end: a fault, or STATUS_EXIT when the outermost frame of this
 * loop has returned (a callback's frame is popped, the program's own is left for the reader of the registers).
 */
export function leave(s: usize): bool {
  const depth = load<u32>(s, STATE_DEPTH);
  if (depth == 1) {
    if (!readable(s, s)) return false;
    if (load<u32>(s, STATE_RESERVED) != 0) {
      for (let i: usize = 0; i < <usize>RESERVATIONS; i++) {
        const record = s + STATE_RESERVATIONS + (i << 4);
        if (load<u32>(record) != 0) return stop(s, FAULT_UNRELEASED_REFERENCE, <u64>load<u32>(record, 12));
      }
    }
    store<u32>(s, STATUS_EXIT, STATE_STATUS);
    return false;
  }
  const frame = frameAt(s, depth - 1);
  const kind = load<u32>(frame, FRAME_KIND);
  if (kind == FRAME_LOOP) {
    if (!readable(s, s)) return false;
    const index = load<u32>(frame, FRAME_LOOP_INDEX) + 1;
    if (load<u64>(s) == 0 && index < load<u32>(frame, FRAME_LOOP_COUNT)) {
      store<u32>(frame, index, FRAME_LOOP_INDEX);
      clobberSaved(s);
      setTag(s, KIND_UNINITIALISED);
      freshFrame(s, frame, depth - 1);
      jumpToFunction(s, load<u32>(frame, FRAME_LOOP_FUNCTION));
      iterate(s, frame);
      return true;
    }
    store<u64>(s, <u64>index);
    setTag(s, KIND_SCALAR);
  } else if (kind == FRAME_CALLBACK && !readable(s, s)) {
    return false;
  }
  pop(s, frame, depth);
  if (kind == FRAME_CALLBACK && depth == load<u32>(s, STATE_BASE_DEPTH)) {
    store<u32>(s, STATUS_EXIT, STATE_STATUS);
    return false;
  }
  return true;
}

function pop(s: usize, frame: usize, depth: u32): void {
  for (let i: u32 = 6; i <= 10; i++) copyRegister(register(s, i), frame + FRAME_SAVED + <usize>(i - 6) * REGISTER_SIZE);
  clobber(s);
  store<u32>(frame, 0, FRAME_IDENTITY);
  const image = load<u32>(frame, FRAME_RETURN_IMAGE);
  store<u32>(s, image, STATE_IMAGE);
  store<u32>(s, load<u32>(<usize>image, IMAGE_CODE), STATE_CODE);
  store<u32>(s, load<u32>(frame, FRAME_RETURN_START), STATE_FUNCTION_START);
  store<u32>(s, load<u32>(frame, FRAME_RETURN_LENGTH), STATE_FUNCTION_LENGTH);
  store<u32>(s, load<u32>(frame, FRAME_RETURN_SLOT), STATE_SLOT);
  store<u32>(s, depth - 1, STATE_DEPTH);
}

/**
 * bpf_tail_call(ctx, map, index), its arguments checked: the frame that runs goes on in the program of the element. An index out of
 * range, an empty element or the 34th call goes on after the call instead, as in Linux (bpf_tail_call in the x86-64 JIT).
 */
export function tailCall(s: usize, next: u32): void {
  const map = <usize>load<u64>(register(s, 2));
  const index = load<u32>(register(s, 3));
  let image: u32 = 0;
  if (index < load<u32>(map, MAP_MAX_ENTRIES) && load<u32>(s, STATE_TAIL_CALLS) < <u32>MAX_TAIL_CALLS) {
    const entry = load<u32>(<usize>load<u32>(map, MAP_VALUES) + <usize>index * load<u32>(map, MAP_STRIDE));
    if (entry < load<u32>(s, STATE_TAIL_COUNT)) image = load<u32>(<usize>load<u32>(s, STATE_TAIL_TABLE) + (<usize>entry << 2));
  }
  setTag(s, KIND_UNINITIALISED);
  if (image == 0) {
    clobber(s);
    store<u32>(s, next, STATE_SLOT);
    return;
  }
  store<u32>(s, load<u32>(s, STATE_TAIL_CALLS) + 1, STATE_TAIL_CALLS);
  store<u32>(s, image, STATE_IMAGE);
  store<u32>(s, load<u32>(<usize>image, IMAGE_CODE), STATE_CODE);
  for (let i: u32 = 2; i <= 9; i++) setTag(register(s, i), KIND_UNINITIALISED);
  const depth = load<u32>(s, STATE_DEPTH);
  store<u32>(frameAt(s, depth - 1), depth - 1, FRAME_ENTRY);
  freshFrame(s, frameAt(s, depth - 1), depth - 1);
  jumpToFunction(s, 0);
}

/**
 * The exception whose cookie is in the state: back to the program's entry, which goes on in its exception callback or returns the cookie.
 * False where the loop must end, as in leave, or with STATUS_THROWN where a helper's callback stands in between.
 */
export function unwind(s: usize): bool {
  let depth = load<u32>(s, STATE_DEPTH);
  while (depth > load<u32>(s, STATE_BASE_DEPTH) && load<u32>(frameAt(s, depth - 1), FRAME_ENTRY) != depth - 1) {
    pop(s, frameAt(s, depth - 1), depth);
    depth--;
  }
  const frame = frameAt(s, depth - 1);
  if (load<u32>(frame, FRAME_ENTRY) != depth - 1) {
    pop(s, frame, depth);
    store<u32>(s, STATUS_THROWN, STATE_STATUS);
    return false;
  }
  store<u32>(s, STATUS_RUNNING, STATE_STATUS);
  const callback = load<u32>(<usize>load<u32>(s, STATE_IMAGE), IMAGE_EXCEPTION_CALLBACK);
  if (callback == <u32>NO_FIELD) {
    store<u64>(s, load<u64>(s, STATE_COOKIE));
    setTag(s, KIND_SCALAR);
    return leave(s);
  }
  clobber(s);
  clobberSaved(s);
  setTag(s, KIND_UNINITIALISED);
  freshFrame(s, frame, depth - 1);
  jumpToFunction(s, callback);
  const r1 = register(s, 1);
  store<u64>(r1, load<u64>(s, STATE_COOKIE));
  setTag(r1, KIND_SCALAR);
  return true;
}
