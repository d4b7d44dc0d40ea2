/**
 * Functions that a call takes to call them back. Those that run during the call are explored as often as they may run, in a frame above
 * the caller's; those that run some time later (timers, work) begin with an empty state of their own (push_callback_call).
 */
import type { HelperPrototype } from '../../abi/prototype.ts';
import { backUp, putBack } from '../jump.ts';
import * as k from '../kinds.ts';
import { AUX2, ID, RECORD } from '../layout.ts';
import { kernelStruct, makeBtfPointer } from '../memory/btf-pointer.ts';
import { LOCAL, makeConstDynptr } from '../resources/dynptr.ts';
import { copyRecord, makePointer, makeUnknown, registerAt, set, umaxOf } from '../states/records.ts';
import type { Verification } from '../verification.ts';
import type { CallFacts } from './arguments.ts';
import { enterFrame, isGlobal, newFrame } from './function-call.ts';

/** What a callback may return. */
export interface ResultRange {
  readonly min: number;
  readonly max: number;
}
export const ZERO_OR_ONE: ResultRange = { min: 0, max: 1 };
export const ONLY_ZERO: ResultRange = { min: 0, max: 0 };
export const ANY_INT: ResultRange = { min: -(2 ** 31), max: 2 ** 31 - 1 };

/**
 * Leaves the callback's path for later; the path at hand goes on behind the call. `setUp` fills the callee's registers: it gets the
 * records of the callee's r0 and the caller's.
 */
export function pushCallback(
  v: Verification,
  fn: number,
  range: ResultRange,
  setUp: (callee: number, caller: number) => void,
): void {
  if (isGlobal(v, fn)) v.unfollowed('global function as callback');
  v.callbacks.add(fn);
  backUp(v);
  const { frames, references } = v.state;
  v.state.frames = frames.map((frame) => ({ ...frame }));
  const base = v.base;
  v.state.frames[v.state.depth]!.depth++;
  enterFrame(v, newFrame(v.slot, fn, true, range));
  setUp(registerAt(v.state.depth, 0), base);
  // The caller keeps its arguments: when the callback returns, the call is looked at once more.
  v.push(v.code.functions[fn]!.start);
  v.state.frames = frames;
  v.state.references = references;
  frames[frames.length - 1]!.depth = 0;
  putBack(v);
  v.settle();
}

/** Callback of a helper. */
export function enterCallback(v: Verification, prototype: HelperPrototype, facts: CallFacts): void {
  const { name } = prototype;
  const { callback } = facts;
  switch (name) {
    case 'bpf_loop': {
      const caller = v.state.frames[v.state.depth]!;
      if (caller.depth >= umaxOf(v.register(1))) {
        caller.depth = 0;
        return;
      }
      pushCallback(v, callback, ZERO_OR_ONE, (callee, base) => {
        makeUnknown(callee + RECORD);
        copyRecord(callee + 2 * RECORD, base + 3 * RECORD);
      });
      return;
    }
    case 'bpf_for_each_map_elem':
      pushCallback(v, callback, ZERO_OR_ONE, (callee, base) => {
        copyRecord(callee + RECORD, base + RECORD);
        giveElement(callee, facts.mapIndex, facts.mapUid);
        if (v.hasLock(facts.mapIndex)) set(callee + 3 * RECORD, ID, v.newId());
        copyRecord(callee + 4 * RECORD, base + 3 * RECORD);
      });
      return;
    case 'bpf_user_ringbuf_drain':
      pushCallback(v, callback, ZERO_OR_ONE, (callee, base) => {
        makeConstDynptr(v, callee + RECORD, LOCAL);
        copyRecord(callee + 2 * RECORD, base + 3 * RECORD);
      });
      return;
    case 'bpf_find_vma':
      pushCallback(v, callback, ZERO_OR_ONE, (callee, base) => {
        copyRecord(callee + RECORD, base + RECORD);
        makeBtfPointer(v, callee + 2 * RECORD, kernelStruct(v, 'vm_area_struct'), 0);
        copyRecord(callee + 3 * RECORD, base + 4 * RECORD);
      });
      return;
    case 'bpf_timer_set_callback':
      pushAsynchronous(v, callback, facts.mapIndex, facts.mapUid, ONLY_ZERO, false);
      return;
    default:
      v.unfollowed(`callback of ${name}`);
  }
}

/** r2 and r3 of the callee: key and value of an element of the map. */
function giveElement(callee: number, map: number, uid: number): void {
  makePointer(callee + 2 * RECORD, k.MAP_KEY, 0, map);
  makePointer(callee + 3 * RECORD, k.MAP_VALUE, 0, map);
  set(callee + 3 * RECORD, AUX2, uid);
}

/** Leaves the callback of a timer or of work in the map's value for later, as an entry of its own: callback(map, key, value). */
export function pushAsynchronous(
  v: Verification,
  fn: number,
  map: number,
  uid: number,
  range: ResultRange,
  sleeps: boolean,
): void {
  if (isGlobal(v, fn)) v.unfollowed('global function as callback');
  v.callbacks.add(fn);
  v.asynchronousCallbacks.add(fn);
  backUp(v);
  const { state } = v;
  const { frames, references, locks, preempt, interrupts, rcu, sleepable, mayGoto, parent } = state;
  const entries = frames[frames.length - 1]!.entries + 1;
  const { length, entries: counted } = state.history;
  state.frames = [];
  state.references = [];
  state.locks = [];
  state.preempt = state.interrupts = state.rcu = state.mayGoto = 0;
  state.sleepable = sleeps;
  state.parent = undefined;
  state.history.length = state.history.entries = 0;
  state.enter({ ...newFrame(-1, fn, false, range), asynchronous: true, entries });
  const callee = registerAt(0, 0);
  makePointer(registerAt(0, 10), k.STACK, 0, 0);
  makePointer(callee + RECORD, k.MAP_PTR, 0, map);
  set(callee + RECORD, AUX2, uid);
  giveElement(callee, map, uid);
  v.push(v.code.functions[fn]!.start);
  Object.assign(state, { frames, references, locks, preempt, interrupts, rcu, sleepable, mayGoto, parent });
  state.history.length = length;
  state.history.entries = counted;
  putBack(v);
  v.settle();
}
