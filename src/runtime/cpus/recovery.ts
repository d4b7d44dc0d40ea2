/** What a CPU leaves behind whose thread has ended: plane/assembly/cpus/recovery.ts puts it in order. */
import { STACK_AREA_SIZE, STACKS } from '../../plane/layout/memory.ts';
import * as layout from '../../plane/layout/recovery.ts';
import {
  WORKER_FRAME,
  WORKER_SCRATCH,
  WORKER_SCRATCH_SIZE,
  WORKER_STACK_TOP,
  WORKER_TAIL_CALLS,
} from '../../plane/layout/worker.ts';
import { workerAddress } from '../memory.ts';
import { instantiatePlane, type PlaneInstance } from '../plane.ts';

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

/** Puts in order what the CPU was in the middle of. `plane` is the caller's instance: what waits for an epoch on that CPU waits on the caller's from now on. No thread runs the CPU. */
export function recoverCpu(plane: PlaneInstance, cpu: number): Recovered {
  const worker = workerAddress(cpu);
  // The caller's scratch may be in use: it may be waiting for a lock of that CPU's, in the middle of an operation.
  const report = worker + WORKER_SCRATCH + WORKER_SCRATCH_SIZE - layout.RECOVERED_BYTES;
  // In the name of the CPU. Without scratch pages: the lock of the pages may be one of those that it held.
  const lock_waits = () => {
    for (const each of plane.lockWaits) each();
  };
  const { cpu_recover } = instantiatePlane(plane.memory, worker, { lock_waits }, plane.module);
  const before = plane.view();
  before.setUint32(worker + WORKER_STACK_TOP, STACKS + (cpu + 1) * STACK_AREA_SIZE, true);
  before.setUint32(worker + WORKER_TAIL_CALLS, 0, true);
  before.setUint32(worker + WORKER_FRAME, 0, true);
  cpu_recover(report);
  plane.exports.cpu_adopt(cpu);
  const view = plane.view();
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
