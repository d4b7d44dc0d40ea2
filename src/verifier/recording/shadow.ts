/**
 * A run beside the recorded exploration: each instruction that the checked engine comes to must be at a state that the verifier had
 * there, on the path that leads there, and what the registers and the stack hold must lie inside it.
 *
 * Where a path was cut because an explored state covers it, only what mattered in that state is known of what follows; numbers computed
 * from the rest are not compared either, and may not be used as addresses.
 */

import type { Insn } from '../../isa/insn.ts';
import { CALL_SOURCE, CLASS, MODE, OPCODE } from '../../isa/opcodes.ts';
import type { ProgramSpec } from '../../object/spec.ts';
import { INVALID, MISC, SCALAR } from '../kinds.ts';
import { BYTES, ID, KIND, RECORD } from '../layout.ts';
import { REGISTERS } from '../states/records.ts';
import { type ConcreteRegister, outsideNumber, outsideRecord, outsideSlot } from './containment.ts';
import type { Certain, Node, Recorder } from './recorder.ts';

/** The engine before an instruction. */
export interface ConcreteState {
  readonly slot: number;
  /** r0 to r10. */
  readonly registers: readonly (ConcreteRegister | undefined)[];
  /** The eight bytes below `address - 8 * index`. */
  readonly stackSlot: (top: bigint, index: number) => bigint;
}

/** Bits that say: not known. By frame; of the stack a bit a byte, from the top down. */
interface Unknowns {
  readonly registers: number[];
  readonly bytes: bigint[];
}

interface Context {
  readonly node: number;
  readonly unknown: Unknowns;
}

/** Where the run may be: innermost context last (global functions are explored by themselves). */
type Place = readonly Context[];

export type ShadowResult =
  | { readonly kind: 'inside'; readonly node: Node }
  /** The exploration ended before this: the program was refused, or the record was cut. */
  | { readonly kind: 'unexplored' }
  /** The run does what the verifier took for impossible. */
  | { readonly kind: 'outside'; readonly slot: number; readonly problem: string };

const WORDS = RECORD / 4;
const FRAME = 512n;
const FOR_EACH_MAP_ELEM = 164;
const BPF_LOOP = 181;
const TAIL_CALL = 12;

export class Shadow {
  readonly #recorder: Recorder;
  readonly #program: ProgramSpec;
  readonly #mapName: (index: number) => string | undefined;
  #places: readonly Place[] | undefined;
  #before: ConcreteState | undefined;
  #ended: ShadowResult | undefined;

  /** @param mapName name by the index of a map in the verification (order of first reference). */
  constructor(recorder: Recorder, program: ProgramSpec, mapName: (index: number) => string | undefined) {
    this.#recorder = recorder;
    this.#program = program;
    this.#mapName = mapName;
  }

  /** Call before every instruction of a run. After anything but `inside` it keeps giving the same. */
  visit(state: ConcreteState): ShadowResult {
    if (this.#ended !== undefined) return this.#ended;
    const result = this.#visit(state);
    if (result.kind !== 'inside') this.#ended = result;
    this.#before = state;
    return result;
  }

  #visit(state: ConcreteState): ShadowResult {
    const { nodes, roots } = this.#recorder;
    let places: readonly Place[] | 'unexplored' | string;
    if (this.#places === undefined) {
      const root = roots.get(0);
      if (root === undefined) return { kind: 'unexplored' };
      places = [[{ node: root, unknown: { registers: [0], bytes: [0n] } }]];
    } else places = this.#follow(this.#places, state);
    if (places === 'unexplored') return { kind: 'unexplored' };
    if (typeof places === 'string') return { kind: 'outside', slot: state.slot, problem: places };
    let problem = 'no explored state leads here';
    const inside: Place[] = [];
    for (const place of places) {
      const found = this.#check(place, state);
      if (typeof found === 'string') problem = found;
      else inside.push(found);
    }
    if (inside.length === 0) return { kind: 'outside', slot: state.slot, problem };
    this.#places = inside;
    return { kind: 'inside', node: nodes[inside[0]!.at(-1)!.node]! };
  }

  /** Contained in the place's node, and in the one that covers it. */
  #check(place: Place, state: ConcreteState): Place | string {
    const { nodes } = this.#recorder;
    const { node: index, unknown } = place.at(-1)!;
    const node = nodes[index]!;
    const problem = this.#outside(node, state, unknown);
    if (problem !== undefined) return problem;
    if (node.coveredBy === undefined) return place;
    const covering = nodes[node.coveredBy.node]!;
    // What is not known of the run is not known to be covered; where only what matters was compared, it should have been known.
    const certain = node.coveredBy.certain.whole
      ? union(complement(node.coveredBy.certain), unknown)
      : complement(node.coveredBy.certain);
    const uncovered = this.#outside(covering, state, certain);
    if (uncovered !== undefined) return `covered by a state that does not hold it: ${uncovered}`;
    return [...place.slice(0, -1), { node: covering.index, unknown: certain }];
  }

  #outside(node: Node, state: ConcreteState, unknown: Unknowns): string | undefined {
    const top = node.frames.length - 1;
    const frame = node.frames[top];
    if (frame === undefined) return undefined;
    const r10 = state.registers[10]?.value ?? 0n;
    const stackTop = (depth: number) => r10 + BigInt(top - depth) * FRAME;
    const surroundings = { mapName: this.#mapName, stackTop };
    for (let i = 0; i < REGISTERS; i++) {
      if (((unknown.registers[top] ?? 0) & (1 << i)) !== 0) continue;
      const problem = outsideRecord(frame.data, i * WORDS, state.registers[i], surroundings);
      if (problem !== undefined) return `R${i} ${problem}`;
    }
    for (let depth = 0; depth <= top; depth++) {
      const { data, slots } = node.frames[depth]!;
      for (let i = 0; i < slots; i++) {
        if (((unknown.bytes[depth] ?? 0n) >> BigInt(8 * i)) & 0xffn) continue;
        const value = state.stackSlot(stackTop(depth), i);
        const problem = outsideSlot(data, (REGISTERS + i) * WORDS, value);
        if (problem !== undefined) return `stack slot ${-8 * (i + 1)} of frame ${depth}: ${problem}`;
      }
    }
    return undefined;
  }

  #follow(places: readonly Place[], state: ConcreteState): readonly Place[] | string {
    const { nodes } = this.#recorder;
    const before = this.#before!;
    const found: Place[] = [];
    let unexplored = false;
    let problem = `the verifier does not go from insn ${before.slot} to ${state.slot}`;
    for (const place of places) {
      const { node: index, unknown } = place.at(-1)!;
      const node = nodes[index]!;
      const insn = this.#program.insns[node.slot]!;
      const address = addressOf(insn);
      const top = node.frames.length - 1;
      if (address >= 0 && ((unknown.registers[top] ?? 0) & (1 << address)) !== 0) {
        problem = `R${address} is an address, and nothing was known of it in the state that stood for this one`;
        continue;
      }
      // Another program, or this one from its start.
      if (
        insn.opcode === OPCODE.CALL &&
        insn.imm === TAIL_CALL &&
        insn.src === CALL_SOURCE.HELPER &&
        state.slot !== node.slot + 1
      )
        return 'unexplored';
      if (insn.opcode === OPCODE.CALL && insn.imm === FOR_EACH_MAP_ELEM && insn.src === CALL_SOURCE.HELPER)
        return 'unexplored';
      const after = transfer(node, insn, before, unknown);
      const go = (next: number) => found.push([...place.slice(0, -1), { node: next, unknown: after(nodes[next]!) }]);
      if (insn.opcode === OPCODE.EXIT && top === 0 && place.length > 1) {
        // Back from a global function.
        const { node: call, unknown: outer } = place.at(-2)!;
        for (const next of nodes[call]!.next)
          if (nodes[next]!.slot === state.slot)
            found.push([...place.slice(0, -2), { node: next, unknown: cleared(outer, nodes[call]!) }]);
        continue;
      }
      if (insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.LOCAL && node.slot + 1 + insn.imm === state.slot) {
        const fn = this.#program.functions.findIndex(({ start }) => start === state.slot);
        const global = this.#recorder.roots.get(fn);
        if (global !== undefined) {
          found.push([...place, { node: global, unknown: { registers: [0], bytes: [0n] } }]);
          continue;
        }
      }
      if (node.next.length === 0) unexplored = true;
      for (const next of node.next) {
        const there = nodes[next]!;
        if (there.slot === state.slot) go(next);
        else if (insn.opcode === OPCODE.EXIT && this.#isLoop(there.slot)) {
          // The end of a callback: the verifier looks at the call once more, the engine goes on at once.
          const call = there.coveredBy === undefined ? there : nodes[there.coveredBy.node]!;
          const base = there.coveredBy === undefined ? after(there) : complement(there.coveredBy.certain);
          const from = this.#program.insns[call.slot]!;
          for (const behind of call.next)
            if (nodes[behind]!.slot === state.slot) {
              const moved = transfer(call, from, before, base)(nodes[behind]!);
              found.push([...place.slice(0, -1), { node: behind, unknown: moved }]);
            }
        }
      }
    }
    if (found.length > 0) return found;
    return unexplored || this.#recorder.truncated ? 'unexplored' : problem;
  }

  #isLoop(slot: number): boolean {
    const { opcode, src, imm } = this.#program.insns[slot]!;
    return opcode === OPCODE.CALL && src === CALL_SOURCE.HELPER && imm === BPF_LOOP;
  }
}

function complement({ registers, low, high }: Certain): Unknowns {
  return {
    registers: Array.from(registers, (bits) => ~bits & 0x7ff),
    bytes: Array.from(low, (bits, i) => {
      let unknown = 0n;
      for (let slot = 0; slot < 64; slot++)
        if ((((slot < 32 ? bits : high[i]!) >>> (slot & 31)) & 1) === 0) unknown |= 0xffn << BigInt(8 * slot);
      return unknown;
    }),
  };
}

function union(a: Unknowns, b: Unknowns): Unknowns {
  return {
    registers: a.registers.map((bits, i) => bits | (b.registers[i] ?? 0)),
    bytes: a.bytes.map((bits, i) => bits | (b.bytes[i] ?? 0n)),
  };
}

/** After a call: the caller-saved registers are new. */
function cleared({ registers, bytes }: Unknowns, node: Node): Unknowns {
  const top = node.frames.length - 1;
  return { registers: registers.map((bits, depth) => (depth === top ? bits & ~0x3f : bits)), bytes };
}

/** Register that the instruction reads or writes memory through, -1 for none. */
function addressOf({ opcode, dst, src }: Insn): number {
  const kind = opcode & 7;
  if (kind === CLASS.LDX) return src;
  if (kind === CLASS.ST || kind === CLASS.STX) return dst;
  return -1;
}

const sizes = [4, 2, 1, 8];

/** What is not known after the instruction, given which node comes next. */
function transfer(node: Node, insn: Insn, before: ConcreteState, unknown: Unknowns): (next: Node) => Unknowns {
  const registers = [...unknown.registers];
  const bytes = [...unknown.bytes];
  const top = node.frames.length - 1;
  const { opcode, dst, src, off } = insn;
  const mask = registers[top] ?? 0;
  const has = (register: number) => (mask & (1 << register)) !== 0;
  const put = (register: number, is: boolean) => {
    registers[top] = is ? registers[top]! | (1 << register) : registers[top]! & ~(1 << register);
  };
  const fromRegister = (opcode & 8) !== 0;
  /** Frame and first slot that an access through a register touches; undefined if it is not the stack. */
  const touched = (register: number) => {
    const pointer = before.registers[register];
    if (pointer?.object?.kind !== 'stack') return undefined;
    const frameTop = BigInt(pointer.object.base + pointer.object.size);
    const r10 = before.registers[10]?.value ?? 0n;
    const depth = top - Number((frameTop - r10) / FRAME);
    const from = Number(frameTop - BigInt.asUintN(64, pointer.value + BigInt(off)));
    const size = sizes[(opcode >> 3) & 3]!;
    return { depth, from, size };
  };
  switch (opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64: {
      const operation = opcode & 0xf0;
      if (operation === 0xb0) put(dst, fromRegister && has(src));
      else if (operation !== 0xd0 && operation !== 0x80 && fromRegister) put(dst, has(dst) || has(src));
      break;
    }
    case CLASS.LD:
      if (opcode === OPCODE.LDDW) put(dst, false);
      else registers[top] = mask & ~0x3f;
      break;
    case CLASS.LDX: {
      const place = touched(src);
      let is = false;
      if (place !== undefined)
        for (let byte = place.from - 1; byte >= place.from - place.size; byte--)
          // Bytes of any content give an unknown number, whatever was there before.
          is ||= (((bytes[place.depth] ?? 0n) >> BigInt(byte)) & 1n) !== 0n && typeOf(node, place.depth, byte) !== MISC;
      put(dst, is);
      break;
    }
    case CLASS.ST:
    case CLASS.STX: {
      const place = touched(dst);
      const atomic = (opcode & 7) === CLASS.STX && (opcode & 0xe0) === MODE.ATOMIC;
      if (place !== undefined) {
        const value = (opcode & 7) === CLASS.STX && has(src);
        const written = ((1n << BigInt(place.size)) - 1n) << BigInt(place.from - place.size);
        const was = bytes[place.depth] ?? 0n;
        if (value) bytes[place.depth] = was | written;
        else if (!atomic) bytes[place.depth] = was & ~written;
      }
      if (atomic && (insn.imm & 1) !== 0) put(insn.imm === 0xf1 ? 0 : src, false);
      if (atomic && insn.imm === 0x100) put(dst, false);
      break;
    }
    default: {
      if (opcode === OPCODE.CALL) {
        registers[top] = mask & ~0x3f;
        break;
      }
      if (opcode === OPCODE.EXIT) break;
      const operation = opcode & 0xf0;
      if (operation === 0 || operation === 0xe0) break;
      if (!has(dst) && !(fromRegister && has(src))) break;
      // Two numbers are refined by each other; beside a pointer a number is not.
      const { data } = node.frames[top]!;
      const number = (register: number) => data[register * WORDS + KIND / 4] === SCALAR;
      if (!number(dst) || (fromRegister && !number(src))) break;
      put(dst, true);
      if (fromRegister) put(src, true);
      link(node, registers, bytes, fromRegister ? [dst, src] : [dst]);
    }
  }
  return (next) => {
    const depth = next.frames.length - 1;
    if ((opcode & 7) === CLASS.LDX && depth === top && (registers[top]! & (1 << dst)) !== 0 && anything(next, insn))
      put(dst, false);
    if (depth > top) {
      // Into a function: r1 to r5 are the caller's; into a callback: its argument is.
      const local = opcode === OPCODE.CALL && src === CALL_SOURCE.LOCAL;
      const inner = local ? mask & 0x3e : has(3) ? 1 << 2 : 0;
      return { registers: [...registers.slice(0, top + 1), inner], bytes: [...bytes.slice(0, top + 1), 0n] };
    }
    if (depth < top) {
      const outer = registers.slice(0, depth + 1);
      outer[depth] = (outer[depth]! & ~0x3f) | (mask & 1);
      return { registers: outer, bytes: bytes.slice(0, depth + 1) };
    }
    return { registers: [...registers], bytes: [...bytes] };
  };
}

/** What was loaded may be any number of its size: whatever it really is lies inside. */
function anything(next: Node, { opcode, dst }: Insn): boolean {
  const { data } = next.frames.at(-1)!;
  const at = dst * WORDS;
  if (data[at + KIND / 4] !== SCALAR) return false;
  const bits = 8 * sizes[(opcode >> 3) & 3]!;
  const extremes =
    (opcode & 0xe0) === MODE.MEMSX
      ? [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n, 0n]
      : [0n, (1n << BigInt(bits)) - 1n];
  return extremes.every((value) => outsideNumber(data, at, value) === undefined);
}

/** What the byte `below` bytes below the top of the frame was known to be; INVALID and MISC are one here. */
function typeOf(node: Node, depth: number, below: number): number {
  const frame = node.frames[depth];
  const slot = below >> 3;
  if (frame === undefined || slot >= frame.slots) return MISC;
  const word = frame.data[(REGISTERS + slot) * WORDS + BYTES / 4 + ((below & 7) >> 2)]!;
  const type = (word >>> ((below & 3) * 8)) & 0xff;
  return type === INVALID ? MISC : type;
}

/** What shares an id with registers that are not known learnt from them. */
function link(node: Node, registers: number[], bytes: bigint[], operands: readonly number[]): void {
  const top = node.frames.length - 1;
  const ids = new Set<number>();
  const { data } = node.frames[top]!;
  for (const register of operands) {
    const at = register * WORDS;
    if (data[at + KIND / 4] === SCALAR && data[at + ID / 4] !== 0) ids.add(data[at + ID / 4]!);
  }
  if (ids.size === 0) return;
  for (const [depth, frame] of node.frames.entries())
    for (let i = 0; i < REGISTERS + frame.slots; i++) {
      const at = i * WORDS;
      if (frame.data[at + KIND / 4] !== SCALAR || !ids.has(frame.data[at + ID / 4]!)) continue;
      if (i < REGISTERS) registers[depth]! |= 1 << i;
      else bytes[depth] = (bytes[depth] ?? 0n) | (0xffn << BigInt(8 * (i - REGISTERS)));
    }
}
