/** Faults of memory that the plane finds (plane/assembly/slab/fault.ts), as the program's; and the way out of the epochs of a run that was stopped. */
import { InputError, InternalError } from '../errors.ts';
import {
  ALLOCATOR_ID,
  MEMORY_FAULT_DOUBLE_FREE,
  MEMORY_FAULT_NO_MEMORY,
  MEMORY_FAULT_NO_OBJECT,
  MEMORY_FAULT_WRITTEN,
  SLAB_ENTRY_SHIFT,
  SLAB_OBJECT_SIZE,
  SLAB_SHIFT,
} from '../plane/layout/allocator.ts';
import { SLAB_TABLE } from '../plane/layout/memory.ts';
import { WORKER_MEMORY_FAULT, WORKER_MEMORY_FAULT_ADDRESS, WORKER_OPERATION } from '../plane/layout/worker.ts';
import { ProgramFault } from './fault.ts';
import type { PlaneInstance } from './plane.ts';

const faults: Readonly<Record<number, readonly [code: string, text: string]>> = {
  [MEMORY_FAULT_DOUBLE_FREE]: ['SLUICE_FAULT_DOUBLE_FREE', 'was freed twice'],
  [MEMORY_FAULT_NO_OBJECT]: ['SLUICE_FAULT_NO_OBJECT', 'was freed, and is no object of an allocator'],
  [MEMORY_FAULT_WRITTEN]: ['SLUICE_FAULT_FREED_WRITTEN', 'was written after it was freed'],
  [MEMORY_FAULT_NO_MEMORY]: ['SLUICE_FAULT_NO_MEMORY', 'cannot wait for the epoch: the memory is full'],
};

/** What the plane found when it stopped the run with `error`, which it then forgets; undefined: the run was stopped for another reason. */
export function takeMemoryFault(plane: PlaneInstance, program: string, error: unknown): ProgramFault | undefined {
  const found = isTrap(error) ? takeFault(plane) : undefined;
  return found && new ProgramFault(found.code, program, found.text, { cause: error });
}

/** The sandbox stopped what ran; the interpreter wraps what stopped a helper. */
export function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || (error instanceof InternalError && isTrap(error.cause));
}

/**
 * What an operation of user space on a map that trapped is told as: InputError `SLUICE_MAP_DAMAGED`. `error` itself if it was no trap. The CPU is out of the operation
 * afterwards; what hung behind the damage stays where it is.
 */
export function damageError(plane: PlaneInstance, map: string, operation: string, error: unknown): unknown {
  if (!isTrap(error)) return error;
  const found = takeFault(plane);
  const view = plane.view();
  const depth = view.getUint32(plane.worker + WORKER_OPERATION, true);
  if (depth !== 0) {
    view.setUint32(plane.worker + WORKER_OPERATION, 0, true);
    leaveEpochs(plane, depth - 1);
  }
  const what = found?.text ?? `a pointer led nowhere (${(error as Error).message})`; // isTrap: an Error
  return new InputError(
    'SLUICE_MAP_DAMAGED',
    `map ${map}: ${operation}: something wrote over what its values own (a list, a tree, a pointer, or the object behind it): ${what}. Only programs that were loaded with unverified: true, and code that writes to the memory itself, can do that; make the map anew`,
    {},
    { cause: error },
  );
}

function takeFault(plane: PlaneInstance): { readonly code: string; readonly text: string } | undefined {
  const view = plane.view();
  const found = faults[view.getUint32(plane.worker + WORKER_MEMORY_FAULT, true)];
  if (found === undefined) return undefined;
  view.setUint32(plane.worker + WORKER_MEMORY_FAULT, 0, true);
  const address = view.getUint32(plane.worker + WORKER_MEMORY_FAULT_ADDRESS, true);
  const size = view.getUint32(SLAB_TABLE + (address >>> SLAB_SHIFT) * 2 ** SLAB_ENTRY_SHIFT + SLAB_OBJECT_SIZE, true);
  const allocator = plane.exports.allocator_of(address) >>> 0;
  const of = allocator === 0 ? '' : ` (${size} bytes, of allocator ${view.getUint32(allocator + ALLOCATOR_ID, true)})`;
  const [code, text] = found;
  if (allocator !== 0 && code === 'SLUICE_FAULT_NO_OBJECT')
    return { code, text: `the address 0x${address.toString(16)} was freed, and lies inside an object${of}` };
  return { code, text: `the object at 0x${address.toString(16)}${of} ${text}` };
}

/** Back to `depth` epochs after a run that was stopped. */
export function leaveEpochs(plane: PlaneInstance, depth: number): void {
  try {
    plane.exports.epoch_leave(depth);
  } catch (error) {
    // What waits may have a fault of its own, which is noted, and stops no other run: the CPU is out, and goes on from there when it next leaves.
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    plane.exports.epoch_leave(depth);
  }
}
