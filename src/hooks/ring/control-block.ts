/** A ring's control block in the plane's memory, as plane/layout/ring.ts has it: made, told of its backend and its limits. */
import { InputError, InternalError } from '../../errors.ts';
import {
  RING_BASE,
  RING_BUDGET_DEPTH,
  RING_BUDGET_FUEL,
  RING_BUDGET_REQUESTS,
  RING_BUDGET_RUNS,
  RING_CQ_HEAD,
  RING_CQ_MASK,
  RING_CQ_TAIL,
  RING_CQES,
  RING_FLAGS,
  RING_OPEN_MEMORY,
  RING_SHARED,
  RING_SQ_ARRAY,
  RING_SQ_FLAGS,
  RING_SQ_HEAD,
  RING_SQ_MASK,
  RING_SQ_TAIL,
  RING_SQES,
} from '../../plane/layout/ring.ts';
import type { RingAddresses, RingBackend } from '../../runtime/ring-backend.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { RingCoreOptions } from './options.ts';
import { ringPlane } from './plane.ts';

/** Its address; `ring_free` gives it back. Throws InputError for options that cannot be. */
export function createControlBlock(runtime: Runtime, backend: RingBackend, options: RingCoreOptions): number {
  if (backend.addresses.sqMask === 0)
    throw new InputError('SLUICE_RING_ENTRIES', 'a request and its link_timeout go to the kernel together: 2 entries');
  const staged = options.staged ?? 1024;
  if (!(Number.isInteger(staged) && staged > 0 && (staged & (staged - 1)) === 0))
    throw new InputError('SLUICE_RING_STAGED', `${staged} staged requests: a power of two is needed`);
  const requests = options.requests ?? 4096;
  if (!(Number.isInteger(requests) && requests >= 2 && requests <= 2 ** 20))
    throw new InputError('SLUICE_RING_REQUESTS', `${requests} requests under way: from 2 to 1048576`);
  const address =
    ringPlane(runtime).ring_create(
      requests,
      staged,
      options.programs ?? 256,
      options.groups ?? 256,
      options.regions ?? 256,
    ) >>> 0;
  if (address === 0) throw new InternalError('the linear memory has no room for a ring');
  const view = new DataView(runtime.plane.memory.buffer);
  connect(view, address, backend);
  const { budget = {} } = options;
  const flags = (options.openMemory === true ? RING_OPEN_MEMORY : 0) | (backend.thread === undefined ? 0 : RING_SHARED);
  view.setUint32(address + RING_FLAGS, flags, true);
  if (budget.runs !== undefined) view.setUint32(address + RING_BUDGET_RUNS, budget.runs, true);
  if (budget.requests !== undefined) view.setUint32(address + RING_BUDGET_REQUESTS, budget.requests, true);
  if (budget.depth !== undefined) view.setUint32(address + RING_BUDGET_DEPTH, budget.depth, true);
  if (budget.instructions !== undefined) view.setUint32(address + RING_BUDGET_FUEL, budget.instructions, true);
  return address;
}

function connect(view: DataView, ring: number, backend: RingBackend): void {
  const words: readonly (readonly [number, keyof RingAddresses])[] = [
    [RING_SQ_HEAD, 'sqHead'],
    [RING_SQ_TAIL, 'sqTail'],
    [RING_SQ_FLAGS, 'sqFlags'],
    [RING_SQ_ARRAY, 'sqArray'],
    [RING_SQES, 'sqes'],
    [RING_SQ_MASK, 'sqMask'],
    [RING_CQ_HEAD, 'cqHead'],
    [RING_CQ_TAIL, 'cqTail'],
    [RING_CQES, 'cqes'],
    [RING_CQ_MASK, 'cqMask'],
  ];
  for (const [offset, name] of words) view.setUint32(ring + offset, backend.addresses[name], true);
  view.setBigUint64(ring + RING_BASE, backend.base, true);
}
