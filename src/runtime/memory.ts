/** The one linear memory: created once per runtime, shared by all its workers, laid out as plane/layout/memory.ts says. */
import { InputError } from '../errors.ts';
import {
  HEAP,
  MAX_CPUS,
  ROOT,
  ROOT_CPU_COUNT,
  ROOT_FREE_KEY,
  ROOT_HEAP_TOP,
  ROOT_NEXT_MAP_ID,
  ROOT_NEXT_PROGRAM_ID,
  ROOT_READY,
  ROOT_STATE,
  ROOT_SYNCOOKIE_SECRETS,
  STACK_AREA_SIZE,
  STACKS,
  WASM_PAGE,
  WORKER_SIZE,
  WORKERS,
} from '../plane/layout/memory.ts';
import { WORKER_CPU, WORKER_RANDOM, WORKER_STACK_TOP } from '../plane/layout/worker.ts';

/** Most pages a WebAssembly memory can have: 4 GiB of address space, reserved, not used. */
const MAXIMUM_PAGES = 65536;

/**
 * A fresh memory for `cpus` CPUs. `seed` starts the pseudo-random numbers that programs see: the same seed gives the same run.
 * Throws InputError for a number of CPUs outside 1 to 64.
 */
export function createMemory(cpus: number, seed: bigint): WebAssembly.Memory {
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAX_CPUS) {
    throw new InputError('SLUICE_CPU_COUNT', `number of CPUs must be 1 to ${MAX_CPUS}, not ${cpus}`);
  }
  const memory = new WebAssembly.Memory({ initial: HEAP / WASM_PAGE + 16, maximum: MAXIMUM_PAGES, shared: true });
  const view = new DataView(memory.buffer);
  view.setUint32(ROOT + ROOT_HEAP_TOP, HEAP, true);
  view.setUint32(ROOT + ROOT_CPU_COUNT, cpus, true);
  view.setUint32(ROOT + ROOT_NEXT_MAP_ID, 1, true);
  view.setUint32(ROOT + ROOT_NEXT_PROGRAM_ID, 1, true);
  for (let cpu = 0; cpu < cpus; cpu++) {
    const worker = workerAddress(cpu);
    view.setUint32(worker + WORKER_CPU, cpu, true);
    view.setUint32(worker + WORKER_STACK_TOP, STACKS + (cpu + 1) * STACK_AREA_SIZE, true);
    view.setBigUint64(worker + WORKER_RANDOM, BigInt.asUintN(64, seed + BigInt(cpu)), true);
  }
  for (let word = 0; word < 8; word++) {
    view.setBigUint64(ROOT + ROOT_SYNCOOKIE_SECRETS + word * 8, mixed(seed, word), true);
  }
  view.setUint32(ROOT + ROOT_FREE_KEY, Number(mixed(seed, 8) & 0xffff_ffffn) | 1, true);
  Atomics.store(new Int32Array(memory.buffer), (ROOT + ROOT_STATE) / 4, ROOT_READY);
  return memory;
}

/** The n-th number of splitmix64 from `seed`. */
function mixed(seed: bigint, n: number): bigint {
  const u64 = (value: bigint) => BigInt.asUintN(64, value);
  let z = u64(seed + 0x9e3779b97f4a7c15n * BigInt(n + 1));
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** Address of a CPU's worker block. */
export function workerAddress(cpu: number): number {
  return WORKERS + cpu * WORKER_SIZE;
}
