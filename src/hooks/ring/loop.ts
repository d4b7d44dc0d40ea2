/**
 * loop_step of Linux 7.1 on this ring: a program reads completions and submits requests in the memory of the ring, in place of io_uring_enter
 * (io_uring/loop.c). While it runs, the ring is its own: requests of JavaScript have no place in it.
 */
import { errnoName } from '../../abi/errno.ts';
import { InputError, InternalError } from '../../errors.ts';
import {
  RING_LOOP_ENTER,
  RING_LOOP_ENTRIES,
  RING_LOOP_PARAMS,
  RING_LOOP_REGION,
  RING_LOOP_REGION_SIZE,
  RING_LOOP_RINGS,
  RING_LOOP_RINGS_SIZE,
  RING_LOOP_SQES,
} from '../../plane/layout/ring.ts';
import { CQE_SIZE, SQE_SIZE } from '../../plane/layout/sqe.ts';
import type { UserObject } from '../../runtime/load.ts';
import type { RingCore } from './core.ts';
import { addFunction } from './functions.ts';
import { loopStepOf } from './hook.ts';
import type { RingBuffer } from './memory.ts';
import { ringPlane } from './plane.ts';

export interface LoopOptions {
  /** Which struct_ops map of the object, where it has several. */
  readonly name?: string;
  /** Memory that the program gets as IOU_REGION_MEM. */
  readonly region?: RingBuffer;
  /** Block this thread until the loop stops, as the system call does (default: the event loop goes on in between). */
  readonly block?: boolean;
  readonly signal?: AbortSignal;
}

/** What programs for 7.1 are told of a ring, as user space reads it from struct io_uring_params. */
export interface LoopLayout {
  readonly sqEntries: number;
  readonly cqEntries: number;
  /** Bytes from the start of IOU_REGION_CQ. */
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqes: number;
}

const CONTINUE = 0;
const STOP = 1;
const EINTR = -4;
const ETIME = -62;
/** Steps in a row before the event loop gets its turn. */
const STEPS = 256;
const PARAMS_SIZE = 64;

/** The kernel's struct io_rings begins with the SQ's head. */
export function loopLayout(ring: RingCore): LoopLayout {
  const { sqHead, sqMask, cqHead, cqTail, cqes, cqMask } = ring.backend.addresses;
  return {
    sqEntries: sqMask + 1,
    cqEntries: cqMask + 1,
    cqHead: cqHead - sqHead,
    cqTail: cqTail - sqHead,
    cqes: cqes - sqHead,
  };
}

/**
 * Runs the loop of an object until it returns IOU_LOOP_STOP; steps that it took. The object lives in the ring's runtime.
 *
 * Throws InputError `SLUICE_RING_BUSY` where requests are under way, `SLUICE_RING_LOOP` for an object without a loop, or where a step returns
 * something else (EINVAL in Linux); what a program is stopped for, as ProgramFault. An abort rejects with the signal's reason, between steps.
 */
export async function runLoop(ring: RingCore, object: UserObject, options: LoopOptions = {}): Promise<number> {
  const { ops, step } = loopStepOf(object, options.name);
  if (object.runtime !== ring.runtime)
    throw new InputError('SLUICE_RING_RUNTIME', 'the object was loaded for another runtime than the ring');
  if (ring.backend.thread !== undefined)
    throw new InputError(
      'SLUICE_RING_DRIVER',
      "a loop is driven by JavaScript's thread: create the ring with driver 'inline'",
    );
  if (ring.live > 0) throw new InputError('SLUICE_RING_BUSY', `${ring.live} requests of the ring are under way`);
  const { executable } = step;
  if (executable.entry === 0)
    throw new InputError('SLUICE_RING_LOOP', 'a loop runs in the JIT: load the object with engine jit');
  const { runtime, backend } = ring;
  const plane = ringPlane(runtime);
  const layout = loopLayout(ring);
  const sqes = ring.memory.allocate(layout.sqEntries * SQE_SIZE);
  const params = ring.memory.allocate(PARAMS_SIZE);
  const view = new DataView(params.bytes.buffer);
  const word = (offset: number, value: number) => view.setUint32(ring.address + offset, value, true);
  word(RING_LOOP_PARAMS, params.address);
  word(RING_LOOP_SQES, sqes.address);
  word(RING_LOOP_ENTRIES, layout.sqEntries);
  word(RING_LOOP_RINGS, backend.addresses.sqHead);
  word(RING_LOOP_RINGS_SIZE, layout.cqes + layout.cqEntries * CQE_SIZE);
  word(RING_LOOP_REGION, options.region?.address ?? 0);
  word(RING_LOOP_REGION_SIZE, options.region?.length ?? 0);
  const enter = (count: number) => (backend.enter(count, 0) < 0 ? 0 : 1);
  const number = addFunction(runtime, enter);
  word(RING_LOOP_ENTER, number);
  const words = new Int32Array(view.buffer);
  const { sqHead, sqTail, cqTail } = backend.addresses;
  if (ops.state === 'init') ops.register();
  try {
    for (let steps = 1; ; steps++) {
      options.signal?.throwIfAborted();
      const verdict = executable.enter(() => plane.ring_loop_step(ring.address, executable.entry) >>> 0);
      const submit = (words[sqTail / 4]! - Atomics.load(words, sqHead / 4)) | 0;
      if (verdict === STOP) {
        if (submit > 0) backend.enter(submit, 0);
        return steps;
      }
      if (verdict !== CONTINUE)
        throw new InputError('SLUICE_RING_LOOP', `loop_step returned ${verdict | 0}: 0 (continue) or 1 (stop), EINVAL`);
      const until = view.getInt32(params.address, true);
      const missing = (until - Atomics.load(words, cqTail / 4)) | 0;
      const result = backend.enter(submit, options.block === true ? Math.max(missing, 0) : 0);
      if (result < 0 && result !== EINTR && result !== ETIME)
        throw new InternalError(`io_uring_enter: ${errnoName(-result)}`);
      if (options.block === true) continue;
      if (((until - Atomics.load(words, cqTail / 4)) | 0) > 0) await backend.wait();
      else if (steps % STEPS === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  } finally {
    runtime.plane.ringFunctions.delete(number);
    params.free();
    sqes.free();
  }
}
