/** Objects that the kernel keeps on a program's stack, whole slots of it: dynptrs, iterators, interrupt flags. */
import * as k from '../kinds.ts';
import { BYTES } from '../layout.ts';
import { bytes, constantOf, isConstant, offsetOf, slotAt } from '../states/records.ts';
import type { Verification } from '../verification.ts';

export interface Place {
  /** First (highest) slot; -1 where the pointer cannot be to such an object. */
  readonly slot: number;
  /** The kernel's words for why not. */
  readonly problem: string;
  /** Inside of the stack that the frame has used so far. */
  readonly there: boolean;
}

/** stack_slot_obj_get_spi. @param what `dynptr`, `iter`. */
export function placeOf(v: Verification, depth: number, r: number, slots: number, what: string): Place {
  if (!isConstant(r)) return { slot: -1, problem: `${what} has to be at a constant offset\n`, there: false };
  const off = offsetOf(r) + constantOf(r);
  const slot = (-off - 1) >> 3;
  if (off % 8 !== 0 || slot + 1 < slots)
    return { slot: -1, problem: `cannot pass in ${what} at an offset=${off}\n`, there: false };
  return { slot, problem: '', there: slot < v.state.frames[depth]!.slots };
}

/** The byte belongs to a dynptr, an iterator or interrupt flags. */
export function isObjectByte(type: number): boolean {
  return type > k.ZERO;
}

/** First offset from `from` to `to` (frame offsets) that belongs to such an object; undefined for none. */
export function findObject(v: Verification, depth: number, from: number, to: number): number | undefined {
  const { slots } = v.state.frames[depth]!;
  for (let slot = Math.min((-from - 1) >> 3, slots - 1), last = -to >> 3; slot >= last && slot >= 0; slot--)
    if (isObjectByte(bytes[slotAt(depth, slot) + BYTES]!)) return Math.max(from, -(slot + 1) * 8);
  return undefined;
}
