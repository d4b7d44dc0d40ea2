/** What a CPU leaves behind whose thread has ended: plane/assembly/cpus/recovery.ts puts it in order. */
import { STACK_AREA_SIZE, STACKS } from '../../plane/layout/memory.ts';
import * as layout from '../../plane/layout/recovery.ts';
import {
  WORKER_FRAME,
  WORKER_INBOX,
  WORKER_SCRATCH,
  WORKER_SCRATCH_SIZE,
  WORKER_STACK_TOP,
  WORKER_TAIL_CALLS,
} from '../../plane/layout/worker.ts';
import { workerAddress } from '../memory.ts';
import { instantiatePlane, type PlaneExports, type PlaneInstance, type ThreadWatch } from '../plane.ts';

export interface Recovered {
  /** Locks that it held; what they guard is whole. */
  readonly locks: number;
  /** Those of them that its program had taken (bpf_spin_lock, bpf_res_spin_lock): the values that they guard are as the program left them, maybe half written. */
  readonly values: number;
  /** Elements of maps that were on their way between a map and its free ones. */
  readonly elements: number;
  /** Records of ring buffers that were reserved and not submitted: they are discarded. */
  readonly records: number;
  /** Objects that lay in its caches, or were being freed. */
  readonly objects: number;
  /** Items of its inbox that were under way: they count as stopped. */
  readonly items: number;
}

/** A runtime, as its inboxes are concerned. */
export interface Inboxes {
  readonly plane: PlaneInstance;
  inboxOf(cpu: number): number;
}

/** Between two looks of a thread that waits for a lock at whether another lives. */
const LOOK_MS = 10;

/** One thread, as its owner watches over it: once it has ended, what its CPU was in the middle of is put in order. `plane` is the owner's instance. */
export class CpuWatch implements ThreadWatch {
  readonly #plane: PlaneInstance;
  readonly #cpu: number;
  readonly #isAlive: () => boolean;
  readonly #report: number;
  #looked = 0;
  #calls: PlaneExports | undefined;
  #recovered: Recovered | undefined;
  /** The owner waits for a lock, and may hold others. */
  readonly #look = () => {
    const now = performance.now();
    if (now - this.#looked < LOOK_MS) return;
    this.#looked = now;
    if (this.#recovered === undefined && !this.#isAlive()) this.#free().cpu_recover_timer();
  };

  constructor(plane: PlaneInstance, cpu: number, isAlive: () => boolean) {
    this.#plane = plane;
    this.#cpu = cpu;
    this.#isAlive = isAlive;
    // The owner's scratch may be in use: it may be waiting for a lock of that CPU's, in the middle of an operation.
    this.#report = workerAddress(cpu) + WORKER_SCRATCH + WORKER_SCRATCH_SIZE - layout.RECOVERED_BYTES;
    plane.lockWaits.add(this.#look);
    plane.watches.set(cpu, this);
  }

  hasEnded(): boolean {
    if (this.#recovered === undefined && this.#isAlive()) return false;
    this.ended();
    return true;
  }

  /** The thread has ended. What waits for an epoch on its CPU waits on the owner's from now on; nothing more is sent to the CPU. The caller holds no lock. */
  ended(): Recovered {
    this.#recovered ??= this.#recover();
    return this.#recovered;
  }

  /** Its locks, at once: nothing is waited for. */
  #free(): PlaneExports {
    if (this.#calls !== undefined) return this.#calls;
    const worker = workerAddress(this.#cpu);
    const { memory, lockWaits, module } = this.#plane;
    const lock_waits = () => {
      for (const each of lockWaits) each();
    };
    // In the name of the CPU. Without scratch pages: the lock of the pages may be one of those that it held.
    this.#calls = instantiatePlane(memory, worker, { lock_waits }, module);
    const view = this.#plane.view();
    view.setUint32(worker + WORKER_STACK_TOP, STACKS + (this.#cpu + 1) * STACK_AREA_SIZE, true);
    view.setUint32(worker + WORKER_TAIL_CALLS, 0, true);
    view.setUint32(worker + WORKER_FRAME, 0, true);
    this.#calls.cpu_recover(this.#report);
    return this.#calls;
  }

  #recover(): Recovered {
    const calls = this.#free();
    const report = this.#report;
    this.#plane.lockWaits.delete(this.#look);
    calls.cpu_recover_rest(report);
    try {
      calls.cpu_recover_item(report);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      calls.cpu_drop_item();
    }
    calls.cpu_recover_end();
    this.#plane.exports.cpu_adopt(this.#cpu);
    const words = new Int32Array(this.#plane.memory.buffer);
    Atomics.store(words, (workerAddress(this.#cpu) + WORKER_INBOX) / 4, 0);
    if (this.#plane.watches.get(this.#cpu) === this) this.#plane.watches.delete(this.#cpu);
    const view = this.#plane.view();
    const count = (offset: number) => view.getUint32(report + offset, true);
    return {
      locks: count(layout.RECOVERED_LOCKS),
      values: count(layout.RECOVERED_VALUES),
      elements: count(layout.RECOVERED_ELEMENTS),
      records: count(layout.RECOVERED_RECORDS),
      objects: count(layout.RECOVERED_OBJECTS),
      items: count(layout.RECOVERED_ITEMS),
    };
  }
}

/** Ends what lies in the inbox of a CPU, and in its queues of cpumaps, if no thread runs it: it goes back to who sent it. By the thread that starts CPUs. */
export function abandonItems(runtime: Inboxes, cpu: number): void {
  const { item_abandon, frames_recover } = runtime.plane.exports;
  const inbox = runtime.inboxOf(cpu);
  for (;;)
    try {
      if (item_abandon(cpu, inbox) === 0) break;
    } catch (error) {
      // It led to nothing that is there, and is out of the inbox.
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    }
  frames_recover(cpu);
}
