/**
 * Dynptrs: two slots of the stack (the first is the higher one), or a pointer to a const one in a callback; made by helpers and kfuncs,
 * void when any byte of them is overwritten, and with them the slices that were taken (process_dynptr_func). In the record of each slot:
 * AUX the type, AUX2 1 in the first, ID the identity that slices carry in their AUX2, REFERENCE for those over ring buffer records.
 */
import type { KfuncParameter } from '../../abi/kfunc-signature.ts';
import type { KfuncFacts } from '../calls/kfunc-arguments.ts';
import * as k from '../kinds.ts';
import { AUX, AUX2, BYTES, ID, KIND, REFERENCE } from '../layout.ts';
import { checkPlain } from '../memory/memory.ts';
import { writeStack } from '../memory/stack.ts';
import { type Place, placeOf } from '../memory/stack-object.ts';
import {
  aux2Of,
  auxOf,
  bytes,
  clearRecord,
  flagsOf,
  idOf,
  kindOf,
  makePointer,
  makeUnknown,
  offsetOf,
  referenceOf,
  set,
  slotAt,
} from '../states/records.ts';
import { markSlotRead, markSlotWritten } from '../states/state.ts';
import type { Verification } from '../verification.ts';

export const LOCAL = 1;
export const RINGBUF = 2;
export const SKB = 3;
export const XDP = 4;
export const SKB_META = 5;
const names = ['', 'local', 'ringbuf', 'skb', 'xdp', 'skb_meta'];

export interface DynptrFacts {
  readonly type: number;
  readonly id: number;
  readonly reference: number;
}

function refuse(v: Verification, problem: string): never {
  v.refuse('dynptr', 'Call Type Safety', problem, 'A dynptr is 16 aligned bytes of the stack, made and used by calls.');
}

function place(v: Verification, r: number): Place {
  return placeOf(v, auxOf(r), r, 2, 'dynptr');
}

/** A pointer to a const dynptr, for callbacks and global functions. */
export function makeConstDynptr(v: Verification, r: number, type: number): void {
  makePointer(r, k.DYNPTR, 0, type);
  set(r, AUX2, 1);
  set(r, ID, v.newId());
}

/** An initialised dynptr is expected; `type` 0 for any. Returns what it is. `changes`: the call moves or ends it. */
export function useDynptr(v: Verification, number: number, type: number, changes: boolean): DynptrFacts {
  const r = v.register(number);
  const kind = kindOf(r);
  if (kind !== k.STACK && kind !== k.DYNPTR)
    refuse(v, `arg#${number - 1} expected pointer to stack or const struct bpf_dynptr`);
  if (kind === k.DYNPTR) {
    if (changes) refuse(v, 'cannot pass pointer to const bpf_dynptr, the helper mutates it');
    checkPlain(v, number, r, false);
    if (type !== 0 && auxOf(r) !== type) refuse(v, `Expected a dynptr of type ${names[type]} as arg #${number - 1}`);
    return { type: auxOf(r), id: idOf(r), reference: 0 };
  }
  const at = place(v, r);
  const depth = auxOf(r);
  const first = slotAt(depth, at.slot);
  const second = slotAt(depth, at.slot - 1);
  if (!at.there || !isDynptr(first) || aux2Of(first) !== 1 || !isDynptr(second))
    refuse(v, `${at.problem}Expected an initialized dynptr as arg #${number - 1}`);
  if (type !== 0 && auxOf(first) !== type) refuse(v, `Expected a dynptr of type ${names[type]} as arg #${number - 1}`);
  markSlotRead(v.state, depth, at.slot);
  markSlotRead(v.state, depth, at.slot - 1);
  return { type: auxOf(first), id: idOf(first), reference: referenceOf(first) };
}

function isDynptr(slot: number): boolean {
  return bytes[slot + BYTES] === k.DYNPTR_BYTE;
}

/** A dynptr is made at the place that the register points to. @param reference of the dynptr that it is a clone of. */
export function initDynptr(v: Verification, number: number, type: number, reference: number): void {
  const r = v.register(number);
  const kind = kindOf(r);
  if (kind !== k.STACK && kind !== k.DYNPTR)
    refuse(v, `arg#${number - 1} expected pointer to stack or const struct bpf_dynptr`);
  const at = kind === k.STACK ? place(v, r) : undefined;
  if (at === undefined || at.slot < 0) refuse(v, `${at?.problem ?? ''}Dynptr has to be an uninitialized dynptr`);
  for (let i = 0; i < 16; i += 8) writeStack(v, number, r, offsetOf(r) + i, 8, -1);
  const depth = auxOf(r);
  const id = v.newId();
  let held = 0;
  if (type === RINGBUF) {
    held = reference;
    if (held === 0) {
      held = v.newId();
      v.state.references = [...v.state.references, { id: held, slot: v.slot }];
    }
  }
  for (let i = 0; i < 2; i++) {
    const slot = slotAt(depth, at.slot - i);
    clearRecord(slot);
    set(slot, KIND, k.DYNPTR);
    set(slot, AUX, type);
    set(slot, AUX2, i === 0 ? 1 : 0);
    set(slot, ID, id);
    set(slot, REFERENCE, held);
    for (let byte = 0; byte < 8; byte++) bytes[slot + BYTES + byte] = k.DYNPTR_BYTE;
    markSlotWritten(v.state, depth, at.slot - i);
  }
}

function erase(v: Verification, depth: number, first: number): void {
  for (const index of [first, first - 1]) {
    const slot = slotAt(depth, index);
    clearRecord(slot);
    for (let byte = 0; byte < 8; byte++) bytes[slot + BYTES + byte] = k.INVALID;
    markSlotWritten(v.state, depth, index);
  }
}

/** A byte of the slot is overwritten: the dynptr that it is part of is no more, nor are its slices. */
export function destroyDynptrAt(v: Verification, depth: number, index: number): void {
  const slot = slotAt(depth, index);
  if (!isDynptr(slot)) return;
  const first = aux2Of(slot) === 1 ? index : index + 1;
  if (auxOf(slot) === RINGBUF)
    v.refuse(
      'dynptr-overwritten',
      'Resource Lifetime Safety',
      'cannot overwrite referenced dynptr',
      'The record that the dynptr holds must be submitted or discarded first.',
    );
  const id = idOf(slotAt(depth, first));
  erase(v, depth, first);
  v.state.everyRecord((r) => {
    if (kindOf(r) === k.MEM && (flagsOf(r) & ~k.MAYBE_NULL) === 0 && aux2Of(r) === id) makeUnknown(r);
  });
}

/** bpf_ringbuf_submit_dynptr and bpf_ringbuf_discard_dynptr: the record goes, with all clones and slices. */
export function checkReleasable(v: Verification, number: number): void {
  const r = v.register(number);
  if (kindOf(r) !== k.STACK)
    v.refuse(
      'not-a-reference',
      'Resource Lifetime Safety',
      'cannot release unowned const bpf_dynptr',
      'Only a dynptr on the stack can be released.',
    );
  const at = place(v, r);
  if (!at.there || referenceOf(slotAt(auxOf(r), at.slot)) === 0)
    v.refuse(
      'not-a-reference',
      'Resource Lifetime Safety',
      `${at.problem}arg ${number} is an unacquired reference`,
      'There is no dynptr that holds a record.',
    );
}

export function releaseDynptr(v: Verification, number: number): void {
  const r = v.register(number);
  const depth = auxOf(r);
  const reference = referenceOf(slotAt(depth, place(v, r).slot));
  v.state.forgetReference(reference, makeUnknown);
  const { slots } = v.state.frames[depth]!;
  for (let index = 1; index < slots; index++) {
    const slot = slotAt(depth, index);
    if (isDynptr(slot) && aux2Of(slot) === 1 && referenceOf(slot) === reference) erase(v, depth, index);
  }
}

const sources: Readonly<Record<string, number>> = {
  bpf_dynptr_from_skb: SKB,
  bpf_dynptr_from_xdp: XDP,
  bpf_dynptr_from_skb_meta: SKB_META,
};

/** Argument of a kfunc. */
export function checkDynptrArgument(v: Verification, facts: KfuncFacts, param: KfuncParameter, index: number): void {
  if (param.suffix !== 'uninit') {
    facts.dynptr = useDynptr(v, index + 1, 0, false);
    return;
  }
  const { name, dynptr } = facts;
  const type = name === 'bpf_dynptr_clone' ? (dynptr?.type ?? 0) : (sources[name] ?? 0);
  if (type === 0) v.unfollowed(`dynptr of ${name}`);
  initDynptr(v, index + 1, type, dynptr?.reference ?? 0);
}

/** Over the packet: void when its data may have moved. */
export function isPacketDynptr(type: number): boolean {
  return type === SKB || type === XDP || type === SKB_META;
}
