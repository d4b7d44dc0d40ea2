/** Numbers of rings in their memory: programs and requests send to a ring by number, and need no descriptors (plane/assembly/ring/messages.ts). */
import { InputError } from '../../errors.ts';
import { MAX_RINGS, RING_TABLE } from '../../plane/layout/memory.ts';

/** The lowest number that is free, for a ring of this descriptor. Throws InputError `SLUICE_RING_NUMBER` where none is. */
export function takeNumber(words: Int32Array, fd: number): number {
  for (let number = 0; number < MAX_RINGS; number++)
    if (Atomics.compareExchange(words, RING_TABLE / 4 + number, 0, fd + 1) === 0) return number;
  throw new InputError('SLUICE_RING_NUMBER', `a runtime has at most ${MAX_RINGS} rings: close some, or use another`);
}

/** Messages to it end with EBADF from now on. */
export function giveNumber(words: Int32Array, number: number): void {
  Atomics.store(words, RING_TABLE / 4 + number, 0);
}
