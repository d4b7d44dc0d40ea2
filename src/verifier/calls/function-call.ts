/** Calls inside the program: functions explored in place, global functions by their signature, callbacks of helpers, and returning. */
import { MAX_CALL_FRAMES } from '../../plane/layout/worker.ts';
import * as k from '../kinds.ts';
import { KIND, PRECISE, RECORD } from '../layout.ts';
import { checkReadable } from '../memory/memory.ts';
import { refuseUnderLock } from '../resources/spin-lock.ts';
import { markPrecise } from '../states/precision.ts';
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
  slotAt,
  smaxOf,
  sminOf,
  words,
} from '../states/records.ts';
import type { Frame, SavedState } from '../states/state.ts';
import type { Verification } from '../verification.ts';
import { type ResultRange, ZERO_OR_ONE } from './callback.ts';
import { checkGlobalArguments } from './global-function.ts';
import { forgetPacket } from './helper-call.ts';

export function newFrame(callsite: number, fn: number, callback: boolean, range: ResultRange): Frame {
  return {
    callsite,
    fn,
    slots: 0,
    callback,
    asynchronous: false,
    range,
    entries: 0,
    depth: 0,
    writtenLow: 0,
    writtenHigh: 0,
  };
}

export function enterFrame(v: Verification, frame: Frame): void {
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
  enterFrame(v, newFrame(v.slot, fn, false, ZERO_OR_ONE));
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

/** EXIT of a function that is not the first. Returns the slot to go on at. */
export function runReturn(v: Verification): number {
  const { state } = v;
  const frame = state.frames[state.depth]!;
  const result = v.register(0);
  if (frame.callback) {
    checkReadable(v, 0);
    if (kindOf(result) !== k.SCALAR)
      v.refuse('callback-result', 'Execution Context Safety', 'R0 not a scalar value', 'A callback returns 0 or 1.');
    checkResultRange(v, 'At callback return the register R0 has', 0, frame.range);
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

/** The register's value is decided by, and must lie in the range. @param what begins the kernel's message. */
export function checkResultRange(v: Verification, what: string, number: number, range: ResultRange): void {
  const r = v.register(number);
  markPrecise(v, number);
  if (sminOf(r) >= range.min && smaxOf(r) <= range.max) return;
  v.refuse(
    'result',
    'Execution Context Safety',
    `${rangeText(what, r)} should have been in [${range.min}, ${range.max}]`,
    'What the function returns means something only in that range.',
  );
}

export function rangeText(what: string, r: number): string {
  const least = sminOf(r);
  const most = smaxOf(r);
  const from = least <= -(2 ** 63) ? '' : ` smin=${least}`;
  const to = most >= 2 ** 63 - 1024 ? '' : ` smax=${most}`;
  return `${what}${from}${to}${from === '' && to === '' ? ' unknown scalar value' : ''}`;
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
