/**
 * Open-coded iterators: slots of the stack between bpf_iter_TYPE_new and _destroy. _next gives an element or NULL: both ways are followed,
 * and loops over it end because states repeat (process_iter_arg, process_iter_next_call). In the record of each slot: AUX the type, AUX2
 * the phase, OFFSET how many elements were taken on this path; REFERENCE in the first.
 */
import { findBefore, widen } from '../calls/function-call.ts';
import { hasFlag, type KfuncFacts, refuseArgument } from '../calls/kfunc-arguments.ts';
import { backUp, putBack } from '../jump.ts';
import * as k from '../kinds.ts';
import { AUX, AUX2, BYTES, FLAGS, KIND, OFFSET, REFERENCE } from '../layout.ts';
import { writeStack } from '../memory/stack.ts';
import { placeOf } from '../memory/stack-object.ts';
import {
  aux2Of,
  auxOf,
  bytes,
  clearRecord,
  constantOf,
  flagsOf,
  kindOf,
  makeConstant,
  makeUnknown,
  offsetOf,
  REGISTERS,
  referenceOf,
  set,
  slotAt,
} from '../states/records.ts';
import { markSlotRead, markSlotWritten, type SavedState } from '../states/state.ts';
import type { Verification } from '../verification.ts';

const ACTIVE = 1;
const DRAINED = 2;

const types: string[] = [];
function typeNumber(struct: string): number {
  const known = types.indexOf(struct);
  return known >= 0 ? known : types.push(struct) - 1;
}

export function checkIteratorArgument(
  v: Verification,
  facts: KfuncFacts,
  struct: string,
  size: number,
  index: number,
): void {
  const number = index + 1;
  const r = v.register(number);
  if (kindOf(r) !== k.STACK) refuseArgument(v, facts, index, `arg#${index} expected pointer to an iterator on stack`);
  const slots = size / 8;
  const shown = `iter_${struct.replace('bpf_iter_', '')}`;
  const depth = auxOf(r);
  const at = placeOf(v, depth, r, slots, 'iter');
  const type = typeNumber(struct);
  if (hasFlag(facts, 'iter_new')) {
    let free = at.slot >= 0;
    for (let i = 0; free && i < slots; i++)
      if (at.slot - i < v.state.frames[depth]!.slots) {
        const slot = slotAt(depth, at.slot - i);
        for (let byte = 0; byte < 8; byte++) free &&= bytes[slot + BYTES + byte] !== k.ITERATOR_BYTE;
      }
    if (!free) refuseArgument(v, facts, index, `${at.problem}expected uninitialized ${shown} as arg #${index}`);
    for (let i = 0; i < size; i += 8) writeStack(v, number, r, offsetOf(r) + i, 8, -1);
    const id = v.newId();
    v.state.references = [...v.state.references, { id, slot: v.slot }];
    for (let i = 0; i < slots; i++) {
      const slot = slotAt(depth, at.slot - i);
      clearRecord(slot);
      set(slot, KIND, k.STACK);
      if (hasFlag(facts, 'rcu_protected')) set(slot, FLAGS, v.inRcu() ? k.ITERATOR_RCU : k.ITERATOR_UNTRUSTED);
      set(slot, AUX, type);
      set(slot, AUX2, ACTIVE);
      if (i === 0) set(slot, REFERENCE, id);
      for (let byte = 0; byte < 8; byte++) bytes[slot + BYTES + byte] = k.ITERATOR_BYTE;
      markSlotWritten(v.state, depth, at.slot - i);
    }
    return;
  }
  checkInitialised(v, facts, index, shown, depth, at.there ? at.slot : -1, slots, type, at.problem);
  const first = slotAt(depth, at.slot);
  facts.iterator = first;
  facts.reference = referenceOf(first);
  if (!hasFlag(facts, 'iter_destroy')) return;
  v.state.forgetReference(referenceOf(first), makeUnknown);
  for (let i = 0; i < slots; i++) {
    const slot = slotAt(depth, at.slot - i);
    clearRecord(slot);
    for (let byte = 0; byte < 8; byte++) bytes[slot + BYTES + byte] = k.INVALID;
    markSlotWritten(v.state, depth, at.slot - i);
  }
}

function checkInitialised(
  v: Verification,
  facts: KfuncFacts,
  index: number,
  shown: string,
  depth: number,
  top: number,
  slots: number,
  type: number,
  problem: string,
): void {
  let fine = top >= 0;
  for (let i = 0; fine && i < slots; i++) {
    const slot = slotAt(depth, top - i);
    const iterator = bytes[slot + BYTES] === k.ITERATOR_BYTE && bytes[slot + BYTES + 7] === k.ITERATOR_BYTE;
    if (iterator && (flagsOf(slot) & k.ITERATOR_UNTRUSTED) !== 0)
      refuseArgument(v, facts, index, `expected an RCU CS when using ${facts.name}`);
    fine = iterator && auxOf(slot) === type && (referenceOf(slot) !== 0) === (i === 0);
    if (fine) markSlotRead(v.state, depth, top - i);
  }
  if (!fine) refuseArgument(v, facts, index, `${problem}expected an initialized ${shown} as arg #${index}`);
}

/** After a call of _next, with r0 a pointer that may be NULL. Leaves the path with an element for later; goes on with the one without. */
export function forkIterator(v: Verification, facts: KfuncFacts): void {
  const first = facts.iterator;
  const r0 = v.register(0);
  if (aux2Of(first) === ACTIVE) {
    const before = findLoopBefore(v);
    backUp(v);
    set(first, OFFSET, offsetOf(first) + 1);
    if (before !== undefined) widen(v, before);
    set(r0, FLAGS, flagsOf(r0) & ~k.MAYBE_NULL);
    v.push(v.slot + 1);
    putBack(v);
  }
  set(first, AUX2, DRAINED);
  makeConstant(r0, 0, 0);
}

/** The state in which the path was at this instruction in the round before; the last one saved is that of this visit. */
function findLoopBefore(v: Verification): SavedState | undefined {
  const latest = findBefore(v, v.slot);
  if (latest === undefined) return undefined;
  const { parent } = v.state;
  v.state.parent = latest.parent;
  const before = findBefore(v, v.slot);
  v.state.parent = parent;
  return before;
}

/** The iterator that r1 points to has elements left, at a state that was found equal: then the loop goes on as it did. */
export function isIteratorActive(v: Verification): boolean {
  const r = v.register(1);
  const first = slotAt(auxOf(r), (-(offsetOf(r) + constantOf(r)) - 1) >> 3);
  return aux2Of(first) === ACTIVE;
}

/** A loop that has taken an element since is not one without end. */
export function iteratorsMoved(v: Verification, old: SavedState): boolean {
  const words = 32;
  for (let depth = 0; depth < old.frames.length; depth++) {
    const { data, slots } = old.frames[depth]!;
    for (let slot = 0; slot < slots && slot < v.state.frames[depth]!.slots; slot++) {
      const at = (REGISTERS + slot) * words;
      if ((data[at + BYTES / 4]! & 0xff) !== k.ITERATOR_BYTE || data[at + AUX2 / 4] !== ACTIVE) continue;
      const now = slotAt(depth, slot);
      if (aux2Of(now) === ACTIVE && offsetOf(now) !== data[at + OFFSET / 4]) return true;
    }
  }
  return false;
}
