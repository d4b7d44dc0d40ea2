/**
 * Instructions to LLVM's syntax, which `assemble(…, {syntax: 'llvm'})` reads back to the same slots: for every instruction that
 * is one, and for any other slots too (they stand as `.8byte`).
 */
import { jumpDistance } from './check.ts';
import { encodeInsns } from './encode.ts';
import type { Insn } from './insn.ts';
import { CALL_SOURCE, LDDW_SOURCE, OPCODE, REGISTER_COUNT } from './opcodes.ts';
import {
  type AccessSize,
  type AluOp,
  type AtomicOp,
  type JumpOp,
  lddwValue,
  type Operation,
  type Width,
} from './operation.ts';
import { describeInsn, registerWidth } from './operation-decode.ts';
import { insnsOf } from './operation-slots.ts';

/** A source line that the instruction at `slot` begins. */
export interface SourceNote {
  readonly slot: number;
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface DisassembleOptions {
  /**
   * `plain` (default): distances, as `llvm-objdump -d` prints them, with the name of the target behind where it has one.
   * `labels`: a label before every target, and names in place of distances; clang assembles that too.
   */
  readonly targets?: 'plain' | 'labels';
  /** Names of slots, such as functions; printed as labels. */
  readonly names?: ReadonlyMap<number, string>;
  /** What the constant or call at a slot refers to: takes the place of the number if `targets` is `labels`, else a comment. */
  readonly references?: ReadonlyMap<number, string>;
  /** Slot numbers before each instruction. */
  readonly slots?: boolean;
  /** Bytes before each instruction, as objdump has them; such text cannot be assembled again. */
  readonly bytes?: boolean;
  /** Source lines to put between, in slot order; as comments. */
  readonly sources?: readonly SourceNote[];
}

const aluSigns: Readonly<Record<AluOp, string>> = {
  add: '+=',
  sub: '-=',
  mul: '*=',
  div: '/=',
  sdiv: 's/=',
  or: '|=',
  and: '&=',
  lsh: '<<=',
  rsh: '>>=',
  mod: '%=',
  smod: 's%=',
  xor: '^=',
  mov: '=',
  arsh: 's>>=',
};
const jumpSigns: Readonly<Record<JumpOp, string>> = {
  eq: '==',
  gt: '>',
  ge: '>=',
  set: '&',
  ne: '!=',
  sgt: 's>',
  sge: 's>=',
  lt: '<',
  le: '<=',
  slt: 's<',
  sle: 's<=',
};
const atomicSigns: Readonly<Record<AtomicOp, string>> = {
  add: '+=',
  or: '|=',
  and: '&=',
  xor: '^=',
  xchg: '',
  cmpxchg: '',
};

/** A whole program, one instruction a line, each line with its end. */
export function disassemble(insns: readonly Insn[], options: DisassembleOptions = {}): string {
  const withLabels = options.targets === 'labels';
  const names = withLabels ? nameTargets(insns, options.names) : (options.names ?? new Map<number, string>());
  const lines: string[] = [];
  const sources = options.sources ?? [];
  let note = 0;
  for (let slot = 0; slot < insns.length; slot++) {
    const name = names.get(slot);
    if (name !== undefined) lines.push(`${name}:`);
    for (; note < sources.length && sources[note]!.slot <= slot; note++)
      if (sources[note]!.slot === slot) lines.push(`; ${sourceText(sources[note]!)}`);
    const insn = insns[slot]!;
    const operation = printable(insns, slot);
    const wide = operation?.kind === 'lddw';
    const reference = options.references?.get(slot);
    const text =
      operation === undefined
        ? `.8byte 0x${encodedWord(insn)}`
        : withLabels
          ? formatNamed(operation, names, slot, reference)
          : formatPlain(operation, names, slot, reference);
    lines.push(`${prefix(insns, slot, wide, options)}${text}`);
    if (wide) slot++;
  }
  return lines.map((line) => `${line}\n`).join('');
}

/**
 * One instruction without names.
 *
 * @param next the slot after it, needed for LDDW.
 */
export function disassembleInsn(insn: Insn, next?: Insn): string {
  const operation = printable(next === undefined ? [insn] : [insn, next], 0);
  return operation === undefined ? `.8byte 0x${encodedWord(insn)}` : formatOperation(operation);
}

/** The operation at a slot if LLVM's syntax can say all of it. */
function printable(insns: readonly Insn[], slot: number): Operation | undefined {
  const insn = insns[slot]!;
  const operation = describeInsn(insn, insns[slot + 1]);
  if (operation === undefined || insn.dst >= REGISTER_COUNT || insn.src >= REGISTER_COUNT) return undefined;
  const again = insnsOf(operation);
  return again.every((slotAgain, index) => sameInsn(slotAgain, insns[slot + index]!)) ? operation : undefined;
}

function sameInsn(a: Insn, b: Insn): boolean {
  return a.opcode === b.opcode && a.dst === b.dst && a.src === b.src && a.off === b.off && a.imm === b.imm;
}

function encodedWord(insn: Insn): string {
  return new DataView(encodeInsns([insn]).buffer).getBigUint64(0, true).toString(16).padStart(16, '0');
}

function prefix(insns: readonly Insn[], slot: number, wide: boolean, options: DisassembleOptions): string {
  const number = options.slots === true ? `${slot}:`.padStart(9) : '';
  const bytes = options.bytes === true ? encodeInsns(insns.slice(slot, slot + (wide ? 2 : 1))) : undefined;
  if (bytes === undefined) return `${number}\t`;
  return `${number}\t${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')}\t`;
}

function sourceText(note: SourceNote): string {
  const place = `${note.file}:${note.line}`;
  return note.text.trim() === '' ? place : `${note.text.trim()} @ ${place}`;
}

/** Given names, and LBB_slot for every other instruction that something in the program leads to. */
function nameTargets(insns: readonly Insn[], given: ReadonlyMap<number, string> | undefined): Map<number, string> {
  const names = new Map(given);
  const targets = new Map<number, string>();
  const inner = new Set<number>(); // second slots of LDDWs: no line of their own, so no label
  for (let slot = 0; slot < insns.length; slot++) {
    const operation = printable(insns, slot);
    const target = operation === undefined ? undefined : operationTarget(operation, slot);
    if (target !== undefined && operation !== undefined)
      targets.set(target, operation.kind === 'call' || operation.kind === 'lddw' ? 'func' : 'LBB');
    if (operation?.kind === 'lddw') inner.add(++slot);
  }
  for (const slot of inner) names.delete(slot);
  for (const [target, word] of targets) {
    if (target < 0 || target >= insns.length || inner.has(target) || names.has(target)) continue;
    names.set(target, `${word}_${target}`);
  }
  return names;
}

function isFunctionAddress(insn: Insn): boolean {
  return insn.opcode === OPCODE.LDDW && insn.src === LDDW_SOURCE.FUNCTION;
}

/** Slot that a jump, local call or function address leads to. */
function targetOf(insn: Insn, slot: number): number | undefined {
  const isCall = insn.opcode === OPCODE.CALL && insn.src === CALL_SOURCE.LOCAL;
  const distance = isCall || isFunctionAddress(insn) ? insn.imm : jumpDistance(insn);
  return distance === undefined ? undefined : slot + 1 + distance;
}

function formatPlain(
  operation: Operation,
  names: ReadonlyMap<number, string>,
  slot: number,
  reference: string | undefined,
): string {
  const text = formatOperation(operation);
  const target = operationTarget(operation, slot);
  const name = target === undefined ? undefined : names.get(target);
  const comment = reference === undefined ? '' : ` // ${reference}`;
  // Only behind jumps and calls: behind a function's address it would not be read back.
  return name !== undefined && operation.kind !== 'lddw' ? `${text} <${name}>${comment}` : text + comment;
}

function formatNamed(
  operation: Operation,
  names: ReadonlyMap<number, string>,
  slot: number,
  reference: string | undefined,
): string {
  if (reference !== undefined && operation.kind === 'lddw') return `r${operation.dst} = ${reference} ll`;
  if (reference !== undefined && operation.kind === 'call') return `call ${reference}`;
  const target = operationTarget(operation, slot);
  const name = target === undefined ? undefined : names.get(target);
  return formatOperation(operation, name);
}

function operationTarget(operation: Operation, slot: number): number | undefined {
  return targetOf(insnsOf(operation)[0]!, slot);
}

/** @param target name that takes the place of the distance. */
export function formatOperation(o: Operation, target?: string): string {
  switch (o.kind) {
    case 'alu':
      return `${register(o.dst, o.width)} ${aluSigns[o.op]} ${operand(o, o.width)}`;
    case 'neg':
      return `${register(o.dst, o.width)} = -${register(o.dst, o.width)}`;
    case 'movsx':
      return `${register(o.dst, o.width)} = (s${o.from})${register(o.src, o.width)}`;
    case 'endian':
      return `r${o.dst} = ${o.op === 'to-be' ? 'be' : o.op === 'to-le' ? 'le' : 'bswap'}${o.bits} r${o.dst}`;
    case 'addr-space-cast':
      return `r${o.dst} = addr_space_cast(r${o.src}, ${hex(o.to)}, ${hex(o.from)})`;
    case 'load': {
      const width = o.signed ? 64 : registerWidth(o.size);
      return `${register(o.dst, width)} = *(${o.signed ? 's' : 'u'}${o.size * 8} *)(${address(o.src, o.off)})`;
    }
    case 'store': {
      const value = o.source === 'imm' ? hex(o.imm) : register(o.src, registerWidth(o.size));
      return `${memory(o.size, o.dst, o.off)} = ${value}`;
    }
    case 'atomic':
      return formatAtomic(o);
    case 'load-acquire':
      return `${register(o.dst, registerWidth(o.size))} = load_acquire(${pointer(o.size, o.src, o.off)})`;
    case 'store-release':
      return `store_release(${pointer(o.size, o.dst, o.off)}, ${register(o.src, registerWidth(o.size))})`;
    case 'jump':
      return `${o.long ? 'gotol' : 'goto'} ${target ?? distance(o.off)}`;
    case 'branch':
      return `if ${register(o.dst, o.width)} ${jumpSigns[o.op]} ${operand(o, o.width)} goto ${target ?? distance(o.off)}`;
    case 'may-goto':
      return `may_goto ${target ?? distance(o.off)}`;
    case 'jump-indirect':
      return `gotox r${o.dst}`;
    case 'call':
      if (o.target === 'helper') return `call ${hex(o.imm)}`;
      if (o.target === 'local') return `call ${target ?? `pc${distance(o.imm)}`}`;
      return `call kfunc ${hex(o.imm)}${o.off === 0 ? '' : `, ${hex(o.off)}`}`;
    case 'call-register':
      return `callx r${o.dst}`;
    case 'exit':
      return 'exit';
    case 'lddw':
      if (o.source === LDDW_SOURCE.CONSTANT)
        return `r${o.dst} = ${hex(BigInt.asIntN(64, lddwValue(o.low, o.high)))} ll`;
      if (target !== undefined && o.high === 0) return `r${o.dst} = ${target} ll`;
      return `ld_pseudo r${o.dst}, ${hex(o.source)}, ${hex(o.low >>> 0)}${o.high === 0 ? '' : `, ${hex(o.high >>> 0)}`}`;
    case 'load-packet': {
      const where = o.mode === 'absolute' ? hex(o.imm) : o.imm === 0 ? `r${o.src}` : address(o.src, o.imm);
      return `r0 = *(u${o.size * 8} *)skb[${where}]`;
    }
  }
}

function formatAtomic(o: Extract<Operation, { kind: 'atomic' }>): string {
  const width = registerWidth(o.size);
  const src = register(o.src, width);
  if (o.op === 'xchg') return `${src} = ${o.size === 8 ? 'xchg_64' : 'xchg32_32'}(${address(o.dst, o.off)}, ${src})`;
  if (o.op === 'cmpxchg') {
    const name = o.size === 8 ? 'cmpxchg_64' : 'cmpxchg32_32';
    const result = register(0, width);
    return `${result} = ${name}(${address(o.dst, o.off)}, ${result}, ${src})`;
  }
  if (o.fetch) return `${src} = atomic_fetch_${o.op}(${pointer(o.size, o.dst, o.off)}, ${src})`;
  return `lock ${memory(o.size, o.dst, o.off)} ${atomicSigns[o.op]} ${src}`;
}

function register(number: number, width: Width): string {
  return `${width === 64 ? 'r' : 'w'}${number}`;
}

function operand(
  o: { readonly source: 'imm' | 'reg'; readonly src: number; readonly imm: number },
  width: Width,
): string {
  return o.source === 'imm' ? hex(o.imm) : register(o.src, width);
}

function hex(value: number | bigint): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

function distance(slots: number): string {
  return slots < 0 ? hex(slots) : `+${hex(slots)}`;
}

function address(base: number, off: number): string {
  return `r${base} ${off < 0 ? '-' : '+'} ${hex(Math.abs(off))}`;
}

function pointer(size: AccessSize, base: number, off: number): string {
  return `(u${size * 8} *)(${address(base, off)})`;
}

function memory(size: AccessSize, base: number, off: number): string {
  return `*${pointer(size, base, off)}`;
}
