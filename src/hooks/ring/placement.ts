/** Where a callback runs: as a program, or as a function of JavaScript with the same context and the same calls. What it does is the same. */
import type { UserObject } from '../../runtime/load.ts';
import type { RingCallback } from './context.ts';
import type { RingBase } from './ring.ts';

export type CallbackSide = 'program' | 'javascript';

export interface Callback {
  /** Name of the program in the object, and of the function on the ring. */
  readonly name: string;
  readonly object: UserObject;
  readonly javascript: RingCallback;
}

/** Number of the callback on the ring, as requests take it, on the side that is asked for. */
export function placeCallback(ring: RingBase, { name, object, javascript }: Callback, side: CallbackSide): number {
  if (side === 'javascript') return ring.programs.add(name, javascript);
  if (!ring.programs.names.includes(name)) ring.programs.attach(object);
  return ring.programs.number(name);
}
