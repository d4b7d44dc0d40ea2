/**
 * Loops in the control flow, and what is learnt around them. A path that comes back to a state that is still being explored ends there, before
 * all is known that later instructions read and rely on. Such ends are kept, by loop and by the calls that lead to it, until everything from the
 * state that entered the loop is explored; then what was learnt goes round them until nothing changes. Up to that time states of the loop cover
 * only what lies wholly inside them. As the kernel's bpf_scc_visit.
 */
import { CALL_SOURCE, CLASS, OPCODE } from '../../isa/opcodes.ts';
import type { Code } from '../program/program.ts';
import type { Verification } from '../verification.ts';
import { markEverything } from './precision.ts';
import { discard, marks, type SavedState } from './state.ts';

/** Rounds after which every scalar is taken to count. */
const MAX_ROUNDS = 64;

export interface LoopVisit {
  /** The state that came into the loop and is not yet explored to its end. */
  entry: SavedState | undefined;
  /** Where paths were ended, and the states that covered them. */
  ends: { readonly state: SavedState; readonly equal: SavedState }[];
}

export class Loops {
  /** By slot, the component of the control flow that it is in; 0 where none leads back to it. Undefined if there are no loops at all. */
  readonly #components: Int32Array | undefined;
  readonly #visits = new Map<string, LoopVisit>();

  /** @param again Instructions that run again although no jump leads back to them: calls of callbacks. */
  constructor(code: Code, again: (slot: number) => boolean) {
    this.#components = componentsOf(code, again);
  }

  /** The visit that a state of these frames, at this slot, belongs to. */
  #visitOf(state: SavedState): LoopVisit | undefined {
    const components = this.#components;
    if (components === undefined) return undefined;
    const { frames } = state;
    let key = '';
    for (let depth = 0; depth < frames.length; depth++) {
      const slot = depth === frames.length - 1 ? state.slot : frames[depth + 1]!.callsite;
      const component = components[slot]!;
      if (component === 0) {
        key += `${slot} `;
        continue;
      }
      key += `: ${component}`;
      let visit = this.#visits.get(key);
      if (visit === undefined) {
        visit = { entry: undefined, ends: [] };
        this.#visits.set(key, visit);
      }
      return visit;
    }
    return undefined;
  }

  /** A state was saved, to be compared with. */
  enter(saved: SavedState): void {
    const visit = this.#visitOf(saved);
    if (visit === undefined) return;
    saved.visit = visit;
    visit.entry ??= saved;
  }

  /** The path at hand ends, being covered by a state whose loop is not yet explored. */
  end(v: Verification, equal: SavedState): void {
    equal.visit?.ends.push({ state: v.state.save(v.slot), equal });
  }

  /** All paths from a saved state are explored. Overwrites the state at hand. */
  leave(v: Verification, saved: SavedState, inherit: (v: Verification, from: SavedState) => void): void {
    const { visit } = saved;
    if (visit === undefined || visit.entry !== saved) return;
    visit.entry = undefined;
    const { ends } = visit;
    if (ends.length === 0) return;
    visit.ends = [];
    for (let round = 0; ; round++) {
      const before = marks.made;
      for (const { state, equal } of ends) {
        v.state.restore(state);
        v.slot = state.slot;
        v.settle();
        if (round < MAX_ROUNDS) inherit(v, equal);
        else markEverything(v);
      }
      if (marks.made === before || round === MAX_ROUNDS) break;
    }
    for (const { state } of ends) discard(state);
  }
}

/** What of the state is read and precise is not known in full. */
export function isIncomplete({ visit }: SavedState): boolean {
  return visit !== undefined && visit.ends.length > 0;
}

/** Strongly connected components of the control flow inside functions (Tarjan, without recursion). */
function componentsOf(code: Code, again: (slot: number) => boolean): Int32Array | undefined {
  const { length, op, off, imm } = code;
  const next = new Int32Array(length).fill(-1);
  const jump = new Int32Array(length).fill(-1);
  let loops = false;
  for (let slot = 0; slot < length; slot++) {
    const opcode = op[slot]!;
    const kind = opcode & 7;
    const after = opcode === OPCODE.LDDW ? slot + 2 : slot + 1;
    if ((kind !== CLASS.JMP && kind !== CLASS.JMP32) || opcode === OPCODE.CALL) {
      next[slot] = after;
      if (opcode === OPCODE.CALL && code.src[slot] !== CALL_SOURCE.LOCAL && again(slot)) loops = true;
    } else if (opcode === OPCODE.JA) next[slot] = after + off[slot]!;
    else if (opcode === OPCODE.JA32) next[slot] = after + imm[slot]!;
    else if (opcode !== OPCODE.EXIT && opcode !== OPCODE.GOTOX) {
      next[slot] = after;
      jump[slot] = after + off[slot]!;
    }
    if ((next[slot]! >= 0 && next[slot]! <= slot) || (jump[slot]! >= 0 && jump[slot]! <= slot)) loops = true;
    if (opcode === OPCODE.LDDW) slot++;
  }
  if (!loops) return undefined;
  const components = new Int32Array(length);
  const order = new Int32Array(length);
  const low = new Int32Array(length);
  const open = new Uint8Array(length);
  const stack: number[] = [];
  const path: number[] = [];
  const stage = new Uint8Array(length);
  let visited = 0;
  let component = 0;
  for (const { start } of code.functions) {
    if (order[start] !== 0) continue;
    path.push(start);
    while (path.length > 0) {
      const slot = path[path.length - 1]!;
      if (order[slot] === 0) {
        order[slot] = low[slot] = ++visited;
        open[slot] = 1;
        stack.push(slot);
      }
      let deeper = false;
      while (stage[slot]! < 2) {
        const to = stage[slot]!++ === 0 ? next[slot]! : jump[slot]!;
        if (to < 0 || to >= length) continue;
        if (order[to] === 0) {
          path.push(to);
          deeper = true;
          break;
        }
        if (open[to] === 1) low[slot] = Math.min(low[slot]!, order[to]!);
      }
      if (deeper) continue;
      path.pop();
      const parent = path[path.length - 1];
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[slot]!);
      if (low[slot] !== order[slot]) continue;
      const alone = stack[stack.length - 1] === slot && next[slot] !== slot && jump[slot] !== slot;
      const callsAgain = op[slot] === OPCODE.CALL && code.src[slot] !== CALL_SOURCE.LOCAL && again(slot);
      const number = alone && !callsAgain ? 0 : ++component;
      for (;;) {
        const member = stack.pop()!;
        open[member] = 0;
        components[member] = number;
        if (member === slot) break;
      }
    }
  }
  return components;
}
