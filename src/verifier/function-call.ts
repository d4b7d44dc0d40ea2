/** Calls inside the program: functions explored in place, global functions by their signature, callbacks of helpers, and returning. */
import type { HelperPrototype } from '../abi/prototype.ts';
import { MAX_CALL_FRAMES } from '../plane/layout/worker.ts';
import type { CallFacts } from './arguments.ts';
import { checkGlobalArguments } from './global-function.ts';
import { forgetPacket } from './helper-call.ts';
import { backUp, putBack } from './jump.ts';
import * as k from './kinds.ts';
import { AUX2, KIND, PRECISE, RECORD } from './layout.ts';
import { checkReadable } from './memory.ts';
import { markPrecise } from './precision.ts';
import {
  auxOf,
  clearRecord,
  copyRecord,
  frameAt,
  kindOf,
  makePointer,
  makeUnknown,
  REGISTERS,
  registerAt,
  set,
  slotAt,
  smaxOf,
  sminOf,
  umaxOf,
  words,
} from './records.ts';
import { refuseUnderLock } from './spin-lock.ts';
import type { Frame, SavedState } from './state.ts';
import type { Verification } from './verification.ts';

export function newFrame(callsite: number, fn: number, callback: boolean, most: number): Frame {
  return {
    callsite,
    fn,
    slots: 0,
    callback,
    asynchronous: false,
    most,
    depth: 0,
    writtenLow: 0,
    writtenHigh: 0,
  };
}

function enterFrame(v: Verification, frame: Frame): void {
  if (v.state.frames.length >= MAX_CALL_FRAMES)
    v.refuse(
      'call-stack-too-deep',
      'Verifier Limit',
      `the call stack of ${v.state.frames.length + 1} frames is too deep`,
      `A program may have at most ${MAX_CALL_FRAMES} frames on its stack.`,
    );
  v.state.enter(frame);
  makePointer(registerAt(v.state.depth, 10), k.STACK, 0, v.state.depth);
}

/** Returns the slot to go on at. */
export function runLocalCall(v: Verification): number {
  const target = v.slot + 1 + v.code.imm[v.slot]!;
  const fn = v.code.functionByStart.get(target);
  if (fn === undefined) v.unfollowed('call into the middle of a function');
  if (isGlobal(v, fn)) {
    checkGlobalArguments(v, fn);
    refuseUnderLock(v, 'global function calls are not allowed while holding a lock,\nuse static function instead');
    if (!v.globalsToVerify.includes(fn)) v.globalsToVerify.push(fn);
    if (v.changesPacket[fn] === 1) forgetPacket(v);
    for (let i = 0; i <= 5; i++) clearRecord(v.register(i));
    makeUnknown(v.register(0));
    return v.slot + 1;
  }
  const caller = v.base;
  enterFrame(v, newFrame(v.slot, fn, false, 0));
  const callee = registerAt(v.state.depth, 0);
  for (let i = 1; i <= 5; i++) copyRecord(callee + i * RECORD, caller + i * RECORD);
  for (let i = 0; i <= 5; i++) clearRecord(caller + i * RECORD);
  v.settle();
  return target;
}

export function isGlobal(v: Verification, fn: number): boolean {
  const spec = v.code.functions[fn]!;
  return v.btf !== undefined && spec.btfId !== undefined && spec.linkage === 'global' && fn !== 0;
}

/** Leaves the callback's path for later; the path at hand goes on behind the call. */
export function enterCallback(v: Verification, prototype: HelperPrototype, facts: CallFacts): void {
  const fn = facts.callback;
  const name = prototype.name;
  if (name !== 'bpf_loop' && name !== 'bpf_for_each_map_elem') v.unfollowed(`callback of ${name}`);
  const caller = v.state.frames[v.state.depth]!;
  if (name === 'bpf_loop') {
    const limit = umaxOf(v.register(1));
    if (caller.depth >= limit) {
      caller.depth = 0;
      return;
    }
  }
  if (isGlobal(v, fn)) v.unfollowed('global function as callback');
  backUp(v);
  const { frames, references } = v.state;
  v.state.frames = frames.map((frame) => ({ ...frame }));
  const base = v.base;
  v.state.frames[v.state.depth]!.depth++;
  enterFrame(v, newFrame(v.slot, fn, true, 1));
  const callee = registerAt(v.state.depth, 0);
  if (name === 'bpf_loop') {
    makeUnknown(callee + RECORD);
    copyRecord(callee + 2 * RECORD, base + 3 * RECORD);
  } else {
    const map = base + RECORD;
    copyRecord(callee + RECORD, map);
    makePointer(callee + 2 * RECORD, k.MAP_KEY, 0, facts.mapIndex);
    makePointer(callee + 3 * RECORD, k.MAP_VALUE, 0, facts.mapIndex);
    set(callee + 3 * RECORD, AUX2, facts.mapUid);
    copyRecord(callee + 4 * RECORD, base + 3 * RECORD);
    if (v.hasLock(facts.mapIndex)) v.unfollowed('for_each_map_elem over values with locks');
  }
  // The caller keeps its arguments: when the callback returns, the call is looked at once more.
  v.push(v.code.functions[fn]!.start);
  v.state.frames = frames;
  v.state.references = references;
  frames[frames.length - 1]!.depth = 0;
  putBack(v);
  v.settle();
}

/** EXIT of a function that is not the first. Returns the slot to go on at. */
export function runReturn(v: Verification): number {
  const { state } = v;
  const frame = state.frames[state.depth]!;
  const result = v.register(0);
  if (frame.callback) {
    checkReadable(v, 0);
    if (kindOf(result) !== k.SCALAR)
      v.refuse('callback-result', 'Execution Context Safety', 'R0 not a scalar value', 'A callback returns 0 or 1.');
    markPrecise(v, 0);
    if (sminOf(result) < 0 || smaxOf(result) > frame.most)
      v.refuse(
        'callback-result',
        'Execution Context Safety',
        `${rangeText('At callback return the register R0 has', result)} should have been in [0, ${frame.most}]`,
        'A callback returns 0 to go on and 1 to stop.',
      );
  } else if (kindOf(result) === k.STACK && auxOf(result) === state.depth)
    v.refuse(
      'stack-pointer-returned',
      'Memory Safety',
      'cannot return stack pointer to the caller',
      'The stack of the function is gone after it returns.',
    );
  else if (kindOf(result) === k.STACK)
    v.refuse(
      'stack-pointer-returned',
      'Memory Safety',
      'cannot return stack pointer to the caller',
      'A function may not give back pointers into a stack.',
    );
  const callerBase = frameAt(state.depth - 1);
  if (!frame.callback) copyRecord(callerBase, result);
  state.frames.pop();
  v.settle();
  if (!frame.callback) return frame.callsite + 1;
  const before = findBefore(v, frame.callsite);
  if (before !== undefined) widen(v, before);
  return frame.callsite;
}

export function rangeText(what: string, r: number): string {
  const least = sminOf(r);
  const most = smaxOf(r);
  if (least <= -(2 ** 63) && most >= 2 ** 63 - 1024) return `${what} unknown scalar value`;
  return `${what} smin=${least} smax=${most}`;
}

/** The latest saved state at that slot on the path, in the same calls. */
export function findBefore(v: Verification, slot: number): SavedState | undefined {
  for (let saved = v.state.parent; saved !== undefined; saved = saved.parent) {
    if (saved.slot !== slot || saved.frames.length !== v.state.frames.length) continue;
    if (saved.frames.every((frame, i) => frame.callsite === v.state.frames[i]!.callsite)) return saved;
  }
  return undefined;
}

const RECORD_WORDS = RECORD / 4;

/** Scalars that changed in the loop and that nothing was decided by become unknown, so that the loop comes to an end. */
export function widen(v: Verification, before: SavedState): void {
  for (let depth = 0; depth < v.state.frames.length; depth++) {
    const { data, slots } = before.frames[depth]!;
    for (let i = 0; i < REGISTERS; i++) widenRecord(registerAt(depth, i), data, i * RECORD_WORDS);
    const both = Math.min(slots, v.state.frames[depth]!.slots);
    for (let slot = 0; slot < both; slot++) {
      const r = slotAt(depth, slot);
      if (words[(r + 100) >> 2]! >>> 24 === k.SPILL && data[(REGISTERS + slot) * RECORD_WORDS + 25]! >>> 24 === k.SPILL)
        widenRecord(r, data, (REGISTERS + slot) * RECORD_WORDS);
    }
  }
}

function widenRecord(r: number, data: Int32Array, at: number): void {
  if (kindOf(r) !== k.SCALAR || data[at + KIND / 4] !== k.SCALAR || data[at + PRECISE / 4] !== 0) return;
  for (let word = 8; word < 24; word++) {
    if (words[(r >> 2) + word] === data[at + word]) continue;
    makeUnknown(r);
    return;
  }
}
