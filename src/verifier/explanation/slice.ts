/**
 * The causal path of a refusal: backwards from the operand that failed over the explored path, only the instructions that its value came
 * from (through registers and stack slots) and the branches that told something of it, or were there to and did not.
 */
import { CALL_SOURCE, CLASS, LDDW_SOURCE, MODE, OPCODE } from '../../isa/opcodes.ts';
import type { ProgramSpec } from '../../object/spec.ts';
import type { CausalStep } from '../diagnostic.ts';
import * as k from '../kinds.ts';
import { ID, KIND, PRECISE, RECORD } from '../layout.ts';
import type { Node } from '../recording/recorder.ts';
import { REGISTERS } from '../states/records.ts';
import { fieldsOf } from './value-text.ts';

export type StepRole = CausalStep['role'];

/** A step on the path; `node` before the instruction and `after` behind it show what was known. */
export interface SliceStep {
  readonly role: StepRole;
  readonly slot: number;
  readonly node: Node;
  readonly after: Node | undefined;
  /** Registers of the frame that matter here. */
  readonly registers: readonly number[];
  /** Of a branch. */
  readonly taken: boolean | undefined;
}

const WORDS = RECORD / 4;

interface Wanted {
  /** By frame, as bits. */
  readonly registers: number[];
  readonly slots: bigint[];
}

/** @param path nodes from the start, or from where registers are recorded, to the refused instruction. */
export function slice(
  program: ProgramSpec,
  path: readonly Node[],
  operands: readonly number[],
  acquiredAt: number | undefined,
): SliceStep[] {
  const last = path.at(-1)!;
  const steps: SliceStep[] = [
    { role: 'refused', slot: last.slot, node: last, after: undefined, registers: operands, taken: undefined },
  ];
  const wanted: Wanted = { registers: new Array<number>(16).fill(0), slots: new Array<bigint>(16).fill(0n) };
  for (const operand of operands) want(wanted, last.frames.length - 1, operand);
  let acquired = acquiredAt;
  for (let i = path.length - 2; i >= 0; i--) {
    const node = path[i]!;
    const after = path[i + 1]!;
    if (node.frames.length === 0) break;
    if (acquired !== undefined && node.slot === acquired) {
      const registers = kindAt(after, 0) === k.NOT_INIT ? [] : [0];
      steps.push({ role: 'acquired', slot: node.slot, node, after, registers, taken: undefined });
      acquired = undefined;
    }
    const step = back(program, node, after, wanted) ?? (acquired === undefined ? undefined : way(program, node, after));
    if (step !== undefined) steps.push(step);
    if (acquired === undefined && nothing(wanted)) break;
  }
  return steps.reverse();
}

/** A branch on the way from where something was acquired to where it is still held: that way nothing gave it back. */
function way({ insns }: ProgramSpec, node: Node, after: Node): SliceStep | undefined {
  const { slot } = node;
  const { opcode, dst, src, off } = insns[slot]!;
  const operation = opcode & 0xf0;
  if ((opcode & 7) !== CLASS.JMP && (opcode & 7) !== CLASS.JMP32) return undefined;
  if (operation === 0 || operation >= 0xe0 || operation === 0x80 || operation === 0x90) return undefined;
  const registers = (opcode & 8) !== 0 ? [dst, src] : [dst];
  return { role: 'branch', slot, node, after, registers, taken: after.slot === slot + 1 + off && off !== 0 };
}

function nothing({ registers, slots }: Wanted): boolean {
  return registers.every((bits) => bits === 0) && slots.every((bits) => bits === 0n);
}
function want({ registers }: Wanted, depth: number, register: number): void {
  if (register !== 10) registers[depth]! |= 1 << register;
}

/** Takes `wanted` back over one instruction. */
function back(program: ProgramSpec, node: Node, after: Node, wanted: Wanted): SliceStep | undefined {
  const insn = program.insns[node.slot]!;
  const { opcode, dst, src, off, imm } = insn;
  const depth = node.frames.length - 1;
  const mask = wanted.registers[depth]!;
  const has = (register: number) => (mask & (1 << register)) !== 0;
  const drop = (register: number) => {
    wanted.registers[depth]! &= ~(1 << register);
  };
  const step = (role: StepRole, registers: readonly number[], taken?: boolean): SliceStep => ({
    role,
    slot: node.slot,
    node,
    after,
    registers,
    taken,
  });
  const fromRegister = (opcode & 8) !== 0;
  switch (opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64: {
      if (!has(dst)) return undefined;
      const operation = opcode & 0xf0;
      if (operation === 0xb0) {
        drop(dst);
        if (fromRegister) want(wanted, depth, src);
      } else if (operation !== 0xd0 && operation !== 0x80 && fromRegister) want(wanted, depth, src);
      return step('value', [dst]);
    }
    case CLASS.LD: {
      if (opcode === OPCODE.LDDW) {
        if (!has(dst)) return undefined;
        drop(dst);
        return step('value', [dst]);
      }
      return clobber(node, after, wanted, step);
    }
    case CLASS.LDX: {
      if (!has(dst)) return undefined;
      drop(dst);
      const place = stackPlace(node, src, off);
      if (place !== undefined) wanted.slots[place.depth]! |= 1n << BigInt(place.slot);
      return step('value', [dst]);
    }
    case CLASS.ST:
    case CLASS.STX: {
      const atomic = (opcode & 7) === CLASS.STX && (opcode & 0xe0) === MODE.ATOMIC;
      if (atomic && (imm & 1) !== 0) {
        const result = imm === 0xf1 ? 0 : src;
        if (has(result)) {
          drop(result);
          return step('value', [result]);
        }
      }
      const place = stackPlace(node, dst, off);
      if (place === undefined) return undefined;
      const bit = 1n << BigInt(place.slot);
      if ((wanted.slots[place.depth]! & bit) === 0n) return undefined;
      wanted.slots[place.depth]! &= ~bit;
      if ((opcode & 7) === CLASS.STX) want(wanted, depth, src);
      return step('value', (opcode & 7) === CLASS.STX ? [src] : []);
    }
    default:
      break;
  }
  if (opcode === OPCODE.EXIT) {
    if (after.frames.length - 1 >= depth) return undefined;
    const outer = wanted.registers[depth - 1]!;
    wanted.registers[depth] = 0;
    wanted.slots[depth] = 0n;
    if ((outer & 1) === 0) return undefined;
    wanted.registers[depth - 1] = outer & ~1;
    want(wanted, depth, 0);
    return step('call', [0]);
  }
  if (opcode === OPCODE.CALL) {
    if (after.frames.length - 1 > depth) {
      const inner = wanted.registers[depth + 1]! & 0x3e;
      wanted.registers[depth + 1] = 0;
      wanted.slots[depth + 1] = 0n;
      if (inner === 0) return undefined;
      wanted.registers[depth]! |= src === CALL_SOURCE.LOCAL ? inner : 1 << 3;
      return step('call', bitsOf(inner));
    }
    return clobber(node, after, wanted, step);
  }
  const operation = opcode & 0xf0;
  if (operation === 0 || operation === 0xe0) return undefined;
  return branch(node, after, wanted, insn, step);
}

type MakeStep = (role: StepRole, registers: readonly number[], taken?: boolean) => SliceStep;

/** A call: r0 is new, r1 to r5 are gone, and it may have taken from what is kept elsewhere. */
function clobber(node: Node, after: Node, wanted: Wanted, step: MakeStep): SliceStep | undefined {
  const depth = node.frames.length - 1;
  const mask = wanted.registers[depth]!;
  const touched = mask & 0x3f;
  wanted.registers[depth] = mask & ~0x3f;
  if (touched !== 0) return step((touched & 1) !== 0 ? 'value' : 'loss', bitsOf(touched));
  const lost = bitsOf(mask).filter((register) => kindAt(node, register) !== kindAt(after, register));
  if (lost.length > 0) {
    // What it was before does not explain that it is nothing now.
    for (const register of lost) wanted.registers[depth]! &= ~(1 << register);
    return step('loss', lost);
  }
  return undefined;
}

function branch(
  node: Node,
  after: Node,
  wanted: Wanted,
  { opcode, dst, src, off, imm }: ProgramSpec['insns'][number],
  step: MakeStep,
): SliceStep | undefined {
  const depth = node.frames.length - 1;
  const mask = wanted.registers[depth]!;
  const operands = (opcode & 8) !== 0 ? [dst, src] : [dst];
  const taken = after.slot === node.slot + 1 + off && off !== 0;
  const learnt = bitsOf(mask).filter((register) => changed(node, after, register));
  if (learnt.length > 0)
    return step('proof', [...new Set([...learnt, ...operands.filter((r) => (mask & (1 << r)) !== 0)])], taken);
  // Whether a pointer that cannot be NULL is NULL says nothing.
  if (operands.length === 1 && imm === 0 && kindAt(node, dst) !== k.SCALAR) return undefined;
  if (operands.some((register) => (mask & (1 << register)) !== 0)) return step('no-proof', operands, taken);
  // A check of the packet's end, when the packet is what matters.
  const packets = bitsOf(mask).some((register) => k.isPacket(kindAt(node, register)));
  const compares = operands.length === 2 && operands.every((register) => k.isPacket(kindAt(node, register)));
  return packets && compares ? step('no-proof', operands, taken) : undefined;
}

function changed(node: Node, after: Node, register: number): boolean {
  const a = node.frames.at(-1)!.data;
  const b = after.frames.at(-1)?.data;
  if (b === undefined) return false;
  for (let word = 0; word < 24; word++) {
    if (word === ID / 4 || word === PRECISE / 4) continue;
    if (a[register * WORDS + word] !== b[register * WORDS + word]) return true;
  }
  return false;
}

function kindAt(node: Node, register: number): number {
  return node.frames.at(-1)?.data[register * WORDS + KIND / 4] ?? 0;
}

/** Frame and slot that an access at a constant stack offset touches. */
function stackPlace(node: Node, register: number, off: number): { depth: number; slot: number } | undefined {
  const { data } = node.frames.at(-1)!;
  const { kind, constant, value, offset, aux } = fieldsOf(data, register * WORDS);
  if (kind !== k.STACK || !constant) return undefined;
  const at = Number(value) + offset + off;
  if (at >= 0 || at < -512) return undefined;
  return { depth: aux, slot: (-at - 1) >> 3 };
}

function bitsOf(mask: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < REGISTERS; i++) if ((mask & (1 << i)) !== 0) found.push(i);
  return found;
}

/** Registers that the refused instruction failed for: those that the problem names, else those that it goes through. */
export function failedOperands(program: ProgramSpec, slot: number, problem: string): number[] {
  const insn = program.insns[slot]!;
  const { opcode, dst, src } = insn;
  const named = [...problem.matchAll(/\bR(\d+)\b/g)]
    .map(([, number]) => Number(number))
    .filter((number) => number <= 10);
  if (named.length > 0) return [named[0]!];
  switch (opcode & 7) {
    case CLASS.LDX:
      return [src];
    case CLASS.ST:
    case CLASS.STX:
      return [dst];
    case CLASS.LD:
      return opcode === OPCODE.LDDW || src === LDDW_SOURCE.CONSTANT ? [] : [6];
    case CLASS.ALU:
    case CLASS.ALU64:
      return (opcode & 8) !== 0 ? [dst, src] : [dst];
    default:
      if (opcode === OPCODE.EXIT) return /leak|lock/.test(problem) ? [] : [0];
      return [];
  }
}
