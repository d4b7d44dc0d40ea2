/** A thread of `bench scale`: a CPU of the runtime that runs a program over its frames, or reads a ring buffer, for as long as it is told. */
import { workerData } from 'node:worker_threads';
import { onlineCpus, pinToCpu } from '../linux/cpus.ts';
import { RINGBUF_RECORD_HEADER, RINGBUF_WAITERS, RINGBUF_WAKES } from '../plane/layout/map-ringbuf.ts';
import { WORKER_FUEL } from '../plane/layout/worker.ts';
import { instantiatePrograms } from '../runtime/jit-engine.ts';
import { createPlane } from '../runtime/plane.ts';
import {
  BOARD_ACTIVE,
  BOARD_COUNT,
  BOARD_DONE,
  BOARD_END,
  BOARD_ENTRY,
  BOARD_FRAMES,
  BOARD_READY,
  boardOf,
  type ScaleThreadData,
} from './scale-board.ts';

/** A call into the plane takes about so long: what is counted is looked at between two. */
const CALL_MS = 0.3;
const FUEL = 0xffff_ffff;
/** Longest sleep of a reader whose ring is empty. */
const WAIT_MS = 1;

const { memory, plane: module, modules, cpu, index, board, ring } = workerData as ScaleThreadData; // what scale-threads.ts gives
const words = new Int32Array(board);
const own = boardOf(index);
if (ring === undefined) pinToCpu(index % onlineCpus());
const plane = createPlane(memory, { cpu, module });
for (const each of modules) instantiatePrograms(plane, each);
const { epoch_enter, epoch_exit, xdp_repeat, xdp_run_batch, ringbuf_next, ringbuf_release } =
  plane.exports as typeof plane.exports & {
    xdp_repeat(entry: number, frame: number, count: number): bigint;
    xdp_run_batch(entry: number, frames: number, count: number): void;
  }; // src/plane/assembly/hooks/xdp.ts

/** Runs of one call: over one frame `repeat` times, or over all of them as often. */
function call(entry: number, frames: number, count: number, repeat: number): number {
  plane.view().setUint32(plane.worker + WORKER_FUEL, FUEL, true);
  epoch_enter();
  if (count === 1) xdp_repeat(entry, frames, repeat);
  else for (let i = 0; i < repeat; i++) xdp_run_batch(entry, frames, count);
  epoch_exit();
  return count * repeat;
}

function run(): void {
  const [entry, frames, count] = [BOARD_ENTRY, BOARD_FRAMES, BOARD_COUNT].map((word) => words[own + word]! >>> 0);
  let repeat = 1;
  while (Atomics.load(words, BOARD_ACTIVE) > index) {
    const start = performance.now();
    Atomics.add(words, own + BOARD_DONE, call(entry!, frames!, count!, repeat));
    if (performance.now() - start < CALL_MS / 2) repeat *= 2;
  }
}

function consume(map: number): void {
  const view = new DataView(memory.buffer);
  const shared = new Int32Array(memory.buffer);
  const wakes = (map + RINGBUF_WAKES) / 4;
  const waiters = (map + RINGBUF_WAITERS) / 4;
  let sum = 0;
  while (Atomics.load(words, BOARD_ACTIVE) > 0) {
    const seen = Atomics.load(shared, wakes);
    let read = 0;
    for (let record = ringbuf_next(map) >>> 0; record !== 0; record = ringbuf_next(map) >>> 0) {
      sum = (sum + view.getUint32(record + RINGBUF_RECORD_HEADER, true)) >>> 0;
      ringbuf_release(map, record);
      if ((++read & 255) !== 0) continue;
      Atomics.add(words, own + BOARD_DONE, 256);
      if (Atomics.load(words, BOARD_ACTIVE) <= 0) return;
    }
    Atomics.add(words, own + BOARD_DONE, read & 255);
    Atomics.add(shared, waiters, 1);
    Atomics.wait(shared, wakes, seen, WAIT_MS);
    Atomics.sub(shared, waiters, 1);
  }
}

Atomics.store(words, own + BOARD_READY, 1);
for (;;) {
  const active = Atomics.load(words, BOARD_ACTIVE);
  if (active === BOARD_END) break;
  if (active <= Math.max(0, ring === undefined ? index : 0)) Atomics.wait(words, BOARD_ACTIVE, active);
  else if (ring === undefined) run();
  else consume(ring);
}
