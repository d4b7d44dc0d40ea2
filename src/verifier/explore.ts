/** The walk over all paths: instruction by instruction, depth first, cut short where a state was seen before. */
import { CALL_SOURCE, CLASS, MODE, OPCODE } from '../isa/opcodes.ts';
import { runAlu } from './alu.ts';
import { ZERO_OR_ONE } from './calls/callback.ts';
import { findBefore, newFrame, runLocalCall, runReturn, widen } from './calls/function-call.ts';
import { enterGlobal } from './calls/global-function.ts';
import { runHelper } from './calls/helper-call.ts';
import { runKfunc } from './calls/kfunc-call.ts';
import { backUp, putBack, runConditional } from './jump.ts';
import * as k from './kinds.ts';
import { accessMemory, checkReadable } from './memory/memory.ts';
import { CALLBACK_KFUNCS, helperCallsBack } from './program/program.ts';
import { refuseLeak } from './resources/critical-section.ts';
import { isIteratorActive, iteratorsMoved } from './resources/iterator.ts';
import { checkResult } from './result.ts';
import { runAtomic, runLddw, runPacketLoad } from './special-loads.ts';
import { statesEqual } from './states/equal.ts';
import { isIncomplete, Loops } from './states/loops.ts';
import { inheritPrecision } from './states/precision.ts';
import { flagsOf, kindOf, makePointer, registerAt } from './states/records.ts';
import { discard, markSlotRead, type SavedState } from './states/state.ts';
import type { Verification } from './verification.ts';

export const MAX_INSTRUCTIONS = 1_000_000;
/** Entries of the kernel's history without a saved state: then one is saved even without need. */
const LONG = 40;

const sizes = [4, 2, 1, 8];

/** Explores function `fn` as the first frame: the program, or a global function by itself. */
export function explore(v: Verification, fn: number): void {
  const saved: (SavedState[] | undefined)[] = [];
  const pointerKinds = new Int32Array(v.code.length);
  const { state, code } = v;
  v.root = fn;
  state.frames = [];
  state.references = [];
  state.locks = [];
  state.preempt = 0;
  state.interrupts = 0;
  state.rcu = 0;
  state.sleepable = v.program.sleepable;
  state.mayGoto = 0;
  state.parent = undefined;
  state.history.length = state.history.entries = 0;
  v.pending.length = 0;
  state.enter(newFrame(-1, fn, false, ZERO_OR_ONE));
  v.settle();
  makePointer(registerAt(0, 10), k.STACK, 0, 0);
  // What replaces a global function is entered as one.
  if (fn === 0 && v.program.type !== 'ext') makePointer(registerAt(0, 1), k.CTX, 0, 0);
  else enterGlobal(v, fn);
  v.slot = code.functions[fn]!.start;
  // The entry is kept, so that precision ends somewhere, but nothing is compared with it.
  keep(v);
  const loops = new Loops(code, (at) => callsBack(v, at));
  for (;;) {
    const { slot } = v;
    if (++v.instructions > MAX_INSTRUCTIONS)
      v.refuse(
        'too-many-instructions',
        'Verifier Limit',
        `BPF program is too large. Processed ${v.instructions} insn`,
        `More than ${MAX_INSTRUCTIONS} instructions were followed, over all paths.`,
      );
    v.reached[slot] = 1;
    v.observer?.arrive(v);
    const how = code.compare[slot]!;
    if (how !== 0) {
      // States of different calls are kept apart, as in the kernel's table: they never cover each other.
      const key = ((slot ^ state.frames[state.depth]!.callsite) >>> 0) % code.length;
      const list = saved[key];
      const sinceJumps = v.jumps - v.jumpsBefore;
      const since = v.instructions - v.instructionsBefore;
      const force = how === 2 || v.keepAll || state.history.entries > LONG;
      const wanted = force || (sinceJumps >= 2 && since >= 8);
      const visit =
        list !== undefined
          ? visitSaved(v, loops, list, how, force, wanted, sinceJumps, since)
          : wanted
            ? VISIT_NEW
            : VISIT_NOT_NOW;
      if (visit === VISIT_COVERED) {
        if (!next(v, loops)) return;
        continue;
      }
      if (visit === VISIT_NEW) {
        const copy = keep(v);
        if (list === undefined) saved[key] = [copy];
        else list.push(copy);
        loops.enter(copy);
        v.countSaved();
        v.jumpsBefore = v.jumps;
        v.instructionsBefore = v.instructions;
      }
    }
    v.touched = state.depth;
    state.history.push(slot, v.touched);
    if (code.jumpTarget[slot] !== 0) state.history.entries++;
    const following = step(v, pointerKinds);
    if (v.touched !== state.depth) {
      if (code.jumpTarget[slot] === 0) state.history.entries++;
      // What the instruction touched is known only now; frames may have changed under it.
      const { history } = state;
      for (let at = history.length - 2; at >= 0; at -= 2)
        if (history.data[at] === slot) {
          history.data[at + 1] = v.touched;
          break;
        }
    }
    if (following < 0) {
      if (!next(v, loops)) return;
    } else v.slot = following;
  }
}

/** Saves the state; the path at hand goes on from there. */
function keep(v: Verification): SavedState {
  const { state } = v;
  const copy = state.save(v.slot);
  copy.branches = 1;
  v.observer?.saved(copy);
  state.parent = copy;
  state.history.length = state.history.entries = 0;
  for (const frame of state.frames) frame.writtenLow = frame.writtenHigh = 0;
  return copy;
}

const VISIT_NEW = 0;
const VISIT_COVERED = 1;
const VISIT_NOT_NOW = 2;

function visitSaved(
  v: Verification,
  loops: Loops,
  list: SavedState[],
  how: number,
  force: boolean,
  wanted: boolean,
  sinceJumps: number,
  since: number,
): number {
  const { state, code, slot } = v;
  let add = wanted;
  const mayGoto = code.op[slot] === OPCODE.MAY_GOTO;
  const callback = callsBack(v, slot);
  const iteration =
    code.op[slot] === OPCODE.CALL &&
    code.src[slot] === CALL_SOURCE.KFUNC &&
    code.kfuncs.get(slot)?.signature?.kfunc.flags.includes('iter_next') === true;
  const { calls } = state;
  const before = list.length;
  for (let i = list.length - 1; i >= 0; i--) {
    const old = list[i]!;
    if (old.slot !== slot) continue;
    if (old.branches > 0) {
      if (old.calls !== calls || !sameCalls(v, old)) continue;
      if (mayGoto && old.mayGoto !== state.mayGoto && statesEqual(v, old, 'range')) return hit(v, loops, old, true);
      if (iteration) {
        if (statesEqual(v, old, 'range') && isIteratorActive(v)) return hit(v, loops, old, true);
      } else if (callback) {
        if (statesEqual(v, old, 'range')) return hit(v, loops, old, true);
      } else if (
        old.frames[old.frames.length - 1]!.entries === state.frames[state.depth]!.entries &&
        old.mayGoto === state.mayGoto &&
        sameDepths(v, old) &&
        statesEqual(v, old, 'exact') &&
        !iteratorsMoved(v, old)
      )
        v.refuse(
          'infinite-loop',
          'Program Structure',
          `infinite loop detected at insn ${slot}`,
          'The loop came back to this instruction with nothing changed, so it may run for ever.',
        );
      if (!force && sinceJumps < 20 && since < 100) add = false;
      miss(v, list, i, how === 2 ? 64 : 3, add);
      continue;
    }
    const incomplete = isIncomplete(old);
    if (statesEqual(v, old, incomplete ? 'range' : 'covered')) return hit(v, loops, old, incomplete);
    miss(v, list, i, 3, add);
  }
  v.maxStatesPerInsn = Math.max(v.maxStatesPerInsn, before);
  return add ? VISIT_NEW : VISIT_NOT_NOW;
}

/**
 * States that are compared in vain too often are dropped from the list. Only visits that add a state count: otherwise a few rounds of a
 * loop would drive out what the rounds after them need.
 */
function miss(v: Verification, list: SavedState[], index: number, patience: number, adds: boolean): void {
  const state = list[index]!;
  if (adds) state.misses++;
  if (state.misses <= state.hits * patience + patience) return;
  list.splice(index, 1);
  v.keptStates--;
}

function sameCalls(v: Verification, old: SavedState): boolean {
  const { frames } = v.state;
  if (old.frames.length !== frames.length) return false;
  for (let i = 0; i < frames.length; i++) if (old.frames[i]!.callsite !== frames[i]!.callsite) return false;
  return true;
}

function sameDepths(v: Verification, old: SavedState): boolean {
  return v.state.frames.every((frame, i) => frame.depth === old.frames[i]!.depth);
}

/** The helper or kfunc may run a function of the program any number of times, so that its call is a loop. */
function callsBack({ code }: Verification, slot: number): boolean {
  if (code.op[slot] !== OPCODE.CALL) return false;
  if (code.src[slot] === CALL_SOURCE.HELPER) return helperCallsBack(code, code.imm[slot]!);
  return code.src[slot] === CALL_SOURCE.KFUNC && CALLBACK_KFUNCS.has(code.kfuncs.get(slot)?.name ?? '');
}

function hit(v: Verification, loops: Loops, old: SavedState, incomplete: boolean): number {
  old.hits++;
  inherit(v, old);
  if (incomplete) loops.end(v, old);
  v.observer?.covered(v, old, incomplete);
  return VISIT_COVERED;
}

/** What was read and precise after `old` is so after the path at hand. */
function inherit(v: Verification, old: SavedState): void {
  for (let depth = 0; depth < old.frames.length; depth++) {
    const { readLow, readHigh } = old.frames[depth]!;
    if ((readLow | readHigh) === 0) continue;
    for (let slot = 0; slot < 64; slot++)
      if (((slot < 32 ? readLow : readHigh) & (1 << (slot & 31))) !== 0) markSlotRead(v.state, depth, slot);
  }
  inheritPrecision(v, old);
}

/** The path has ended. Goes on with the one left last; false if there is none. */
function next(v: Verification, loops: Loops): boolean {
  for (let saved = v.state.parent; saved !== undefined; saved = saved.parent) {
    if (--saved.branches > 0) break;
    loops.leave(v, saved, inherit);
  }
  const pending = v.pending.pop();
  if (pending === undefined) return false;
  v.observer?.resumed(pending);
  v.state.restore(pending);
  v.slot = pending.slot;
  discard(pending);
  v.settle();
  return true;
}

/** Runs the instruction at hand. Returns the slot to go on at, -1 at the end of the path. */
function step(v: Verification, pointerKinds: Int32Array): number {
  const { code, slot } = v;
  const opcode = code.op[slot]!;
  if (v.hasProblem[slot] !== 0)
    v.refuse(
      'bad-insn',
      'Program Structure',
      v.problems.get(slot)!,
      'The combination of opcode, registers, offset and immediate is not an instruction.',
    );
  switch (opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
      runAlu(v);
      return slot + 1;
    case CLASS.LDX: {
      const src = code.src[slot]!;
      checkReadable(v, src);
      samePointer(v, src, pointerKinds);
      const signed = (opcode & 0xe0) === MODE.MEMSX;
      accessMemory(v, src, code.off[slot]!, sizes[(opcode >> 3) & 3]!, false, code.dst[slot]!, signed, false);
      return slot + 1;
    }
    case CLASS.STX: {
      if ((opcode & 0xe0) === MODE.ATOMIC) {
        runAtomic(v, opcode);
        return slot + 1;
      }
      const dst = code.dst[slot]!;
      checkReadable(v, code.src[slot]!);
      checkReadable(v, dst);
      samePointer(v, dst, pointerKinds);
      accessMemory(v, dst, code.off[slot]!, sizes[(opcode >> 3) & 3]!, true, code.src[slot]!, false, false);
      return slot + 1;
    }
    case CLASS.ST: {
      const dst = code.dst[slot]!;
      checkReadable(v, dst);
      samePointer(v, dst, pointerKinds);
      accessMemory(v, dst, code.off[slot]!, sizes[(opcode >> 3) & 3]!, true, -1, false, false);
      return slot + 1;
    }
    case CLASS.LD:
      if (opcode === OPCODE.LDDW) {
        runLddw(v);
        return slot + 2;
      }
      runPacketLoad(v);
      return slot + 1;
    default:
      return runJump(v, opcode);
  }
}

/** An instruction is rewritten for the kind of pointer that it goes through, so that must be one on all paths (save_aux_ptr_type). */
function samePointer(v: Verification, number: number, pointerKinds: Int32Array): void {
  const r = v.register(number);
  const type = kindOf(r) | (flagsOf(r) << 8);
  const before = pointerKinds[v.slot]!;
  if (before === 0) {
    pointerKinds[v.slot] = type;
    return;
  }
  if (before === type || !(rewritten(before) || rewritten(type))) return;
  const load = (v.code.op[v.slot]! & 7) === CLASS.LDX;
  if (load && isObject(before) && isObject(type)) {
    const kind = (before & 0xff) === k.MEM || kindOf(r) === k.MEM ? k.MEM : k.BTF_ID;
    pointerKinds[v.slot] = kind | ((((before | type) >> 8) & (k.UNTRUSTED | k.READ_ONLY)) << 8);
    return;
  }
  v.refuse(
    'pointer-differs',
    'Register Type Safety',
    'same insn cannot be used with different pointers',
    `On another path the register is ${k.kindName(before & 0xff, before >> 8)}, here ${k.kindName(kindOf(r), flagsOf(r))}.`,
  );
}

function rewritten(type: number): boolean {
  const kind = type & 0xff;
  return kind === k.CTX || kind === k.BTF_ID || kind === k.ARENA || k.isSocket(kind);
}

function isObject(type: number): boolean {
  const kind = type & 0xff;
  return kind === k.BTF_ID || kind === k.MEM;
}

function runJump(v: Verification, opcode: number): number {
  const { code, slot, state } = v;
  v.jumps++;
  switch (opcode) {
    case OPCODE.CALL:
      if (code.src[slot] === CALL_SOURCE.LOCAL) return runLocalCall(v);
      if (code.src[slot] === CALL_SOURCE.KFUNC) return runKfunc(v);
      runHelper(v);
      return slot + 1;
    case OPCODE.JA:
      return slot + 1 + code.off[slot]!;
    case OPCODE.JA32:
      return slot + 1 + code.imm[slot]!;
    case OPCODE.GOTOX:
      return v.unfollowed('gotox');
    case OPCODE.EXIT:
      return runExit(v);
    case OPCODE.MAY_GOTO: {
      const before = findBefore(v, slot);
      backUp(v);
      state.mayGoto++;
      if (before !== undefined) widen(v, findLoopBefore(v, before));
      v.push(slot + 1);
      state.mayGoto--;
      putBack(v);
      return slot + 1 + code.off[slot]!;
    }
    default:
      return runConditional(v);
  }
}

/** The state saved at this visit is the first that is found; the loop's previous round is the one before it. */
function findLoopBefore(v: Verification, latest: SavedState): SavedState {
  const { parent } = v.state;
  v.state.parent = latest.parent;
  const before = findBefore(v, v.slot);
  v.state.parent = parent;
  return before ?? latest;
}

function runExit(v: Verification): number {
  const { state } = v;
  if (state.depth > 0) return runReturn(v);
  refuseLeak(v, 'BPF_EXIT instruction in main prog', v.root === 0);
  checkResult(v, 0);
  return -1;
}
