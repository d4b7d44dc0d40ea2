/**
 * Statements of the conformance cases: `mov %r0, 5`, `ldxdw %r1, [%r10-8]`, `jne %r1, 0x10, label`,
 * `lock fetch add [%r10-8], %r1`, `call local func`. What bpf_conformance has no words for is ours: `ldacqb`, `strelw`,
 * `may_goto L`, `gotox %r1`, `addr_space_cast %r1, %r2, TO, FROM`, `ldabsh 12`, `ldindw %r3, 4`,
 * `lddw %r1, jump_table N`, `lddw %r1, func NAME`.
 */
import type { AsmOutput, AsmTarget, Statement } from './asm-output.ts';
import { LDDW_SOURCE, REGISTER_COUNT } from './opcodes.ts';
import type { AccessSize, AluOp, AtomicOp, JumpOp, Operation, Width } from './operation.ts';
import type { SourceLine } from './source-line.ts';

const COMMENT = /(#|\/\/).*$/;
const LABEL = /([A-Za-z_.$][\w.$]*)[ \t]*:/y;
const MNEMONIC = /[A-Za-z_][\w]*/y;
const NAME = /[A-Za-z_.$][\w.$]*/y;
const REGISTER = /%?[rw](\d+)\b/y;
const TABLE = /jump_table\b/y;
const FUNC = /func\b/y;

const aluOps: ReadonlyMap<string, AluOp> = new Map(
  (['add', 'sub', 'mul', 'div', 'sdiv', 'or', 'and', 'lsh', 'rsh', 'mod', 'smod', 'xor', 'mov', 'arsh'] as const).map(
    (op) => [op, op],
  ),
);
const jumpOps: ReadonlyMap<string, JumpOp> = new Map(
  (['eq', 'gt', 'ge', 'set', 'ne', 'sgt', 'sge', 'lt', 'le', 'slt', 'sle'] as const).map((op) => [`j${op}`, op]),
);
const atomicOps: ReadonlyMap<string, AtomicOp> = new Map(
  (['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'] as const).map((op) => [op, op]),
);
const sizes: Readonly<Record<string, AccessSize>> = { b: 1, h: 2, w: 4, dw: 8 };
const movsxForms: Readonly<Record<string, readonly [8 | 16 | 32, Width]>> = {
  movsx832: [8, 32],
  movsx1632: [16, 32],
  movsx864: [8, 64],
  movsx1664: [16, 64],
  movsx3264: [32, 64],
};

/** Reads one line: nothing, labels, a statement, or labels and a statement. */
export function parseConformanceLine(source: SourceLine, output: AsmOutput): void {
  const comment = source.text.search(COMMENT);
  const line = comment < 0 ? source : source.cut(comment);
  for (;;) {
    const start = line.position;
    const label = line.take(LABEL);
    if (label === undefined) break;
    output.define(line, label[1]!, start);
  }
  if (line.atEnd) return;
  const parsed = statement(line);
  line.expectEnd();
  output.emit(line, parsed);
}

function statement(line: SourceLine): Statement {
  const start = line.position;
  const mnemonic = line.take(MNEMONIC)?.[0];
  if (mnemonic === undefined) line.fail(`expected a mnemonic${line.found()}`);
  switch (mnemonic) {
    case 'exit':
      return { operation: { kind: 'exit' } };
    case 'ja':
    case 'ja32': {
      const long = mnemonic === 'ja32';
      const [off, target] = jumpTarget(line, long ? 'imm' : 'off');
      return { operation: { kind: 'jump', long, off }, target };
    }
    case 'may_goto': {
      const [off, target] = jumpTarget(line, 'off');
      return { operation: { kind: 'may-goto', off }, target };
    }
    case 'gotox':
      return { operation: { kind: 'jump-indirect', dst: register(line) } };
    case 'call':
    case 'callx':
      return call(line);
    case 'lddw':
      return lddw(line);
  }
  const operation =
    single(line, mnemonic) ?? byteOrder(line, mnemonic) ?? memory(line, mnemonic) ?? arithmetic(line, mnemonic);
  if (operation !== undefined) return { operation };
  return branch(line, mnemonic) ?? line.fail(`unknown mnemonic '${mnemonic}'`, start);
}

/** Mnemonics with a form of their own. */
function single(line: SourceLine, mnemonic: string): Operation | undefined {
  switch (mnemonic) {
    case 'lock':
      return atomic(line);
    case 'neg':
    case 'neg32':
    case 'neg64':
      return { kind: 'neg', width: mnemonic === 'neg32' ? 32 : 64, dst: register(line) };
    case 'addr_space_cast': {
      const dst = register(line);
      line.expect(',');
      const src = register(line);
      line.expect(',');
      const to = line.int16('address space', 'any') & 0xffff;
      line.expect(',');
      const from = line.int16('address space', 'any') & 0xffff;
      return { kind: 'addr-space-cast', dst, src, to, from };
    }
    default:
      return undefined;
  }
}

function register(line: SourceLine): number {
  const start = line.position;
  const match = line.take(REGISTER);
  if (match === undefined) line.fail(`expected a register${line.found()}`);
  const number = Number(match[1]);
  if (number >= REGISTER_COUNT) line.fail(`there is no register ${match[0]}`, start);
  return number;
}

type SourceOperand = { readonly source: 'imm' | 'reg'; readonly src: number; readonly imm: number };

function sourceOperand(line: SourceLine): SourceOperand {
  return line.atNumber
    ? { source: 'imm', src: 0, imm: line.int32('constant') }
    : { source: 'reg', src: register(line), imm: 0 };
}

/** `[%r1]`, `[%r1+8]`, `[%r10-0x8]`. */
function address(line: SourceLine): { readonly base: number; readonly off: number } {
  line.expect('[');
  const base = register(line);
  const off = line.accept(']') ? undefined : line.int16('offset');
  if (off !== undefined) line.expect(']');
  return { base, off: off ?? 0 };
}

function jumpTarget(line: SourceLine, field: 'off' | 'imm'): [number, AsmTarget | undefined] {
  if (/[+-]/.test(line.text[line.position] ?? ''))
    return [field === 'off' ? line.int16('distance') : line.int32('distance'), undefined];
  return [0, labelTarget(line, field)];
}

function labelTarget(line: SourceLine, field: 'off' | 'imm'): AsmTarget {
  const position = line.position;
  const label = line.take(NAME)?.[0];
  if (label === undefined) line.fail(`expected a label${line.found()}`);
  return { label, position, field };
}

function call(line: SourceLine): Statement {
  const mode = line.take(/(helper|local|runtime|kfunc)\b/y)?.[1] ?? 'helper';
  if (mode === 'local') {
    const [imm, target] = jumpTarget(line, 'imm');
    return { operation: { kind: 'call', target: 'local', imm, off: 0 }, target };
  }
  if (mode !== 'helper') return { operation: { kind: 'call', target: 'kfunc', imm: line.int32('kfunc id'), off: 0 } };
  return line.atNumber
    ? { operation: { kind: 'call', target: 'helper', imm: line.int32('helper id'), off: 0 } }
    : { operation: { kind: 'call-register', dst: register(line) } };
}

function atomic(line: SourceLine): Operation {
  const fetch = line.take(/fetch\b/y) !== undefined;
  const start = line.position;
  const word = line.take(MNEMONIC)?.[0] ?? '';
  const [, name = '', width] = /^(.*?)(32|64)?$/.exec(word) ?? [];
  const op = atomicOps.get(name);
  if (op === undefined) line.fail(`expected an atomic operation, found '${word}'`, start);
  const { base, off } = address(line);
  line.expect(',');
  const src = register(line);
  const always = op === 'xchg' || op === 'cmpxchg';
  return { kind: 'atomic', op, fetch: fetch || always, size: width === '32' ? 4 : 8, dst: base, src, off };
}

function lddw(line: SourceLine): Statement {
  const dst = register(line);
  line.expect(',');
  if (line.take(TABLE) !== undefined) {
    const jumpTable = line.int32('number of a jump table');
    return { operation: { kind: 'lddw', dst, source: LDDW_SOURCE.CONSTANT, low: 0, high: 0 }, jumpTable };
  }
  if (line.take(FUNC) !== undefined) {
    const target = labelTarget(line, 'imm');
    return { operation: { kind: 'lddw', dst, source: LDDW_SOURCE.FUNCTION, low: 0, high: 0 }, target };
  }
  const value = line.integer('constant', 64, 'any');
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return { operation: { kind: 'lddw', dst, source: LDDW_SOURCE.CONSTANT, low, high } };
}

function byteOrder(line: SourceLine, mnemonic: string): Operation | undefined {
  const match = /^(le|be|swap|bswap)(16|32|64)$/.exec(mnemonic);
  if (match === null) return undefined;
  const op = match[1] === 'le' ? 'to-le' : match[1] === 'be' ? 'to-be' : 'bswap';
  const bits = match[2] === '16' ? 16 : match[2] === '32' ? 32 : 64;
  return { kind: 'endian', op, bits, dst: register(line) };
}

function memory(line: SourceLine, mnemonic: string): Operation | undefined {
  const match = /^(ldxs|ldx|stx|st|ldacq|strel|ldabs|ldind)(b|h|w|dw)$/.exec(mnemonic);
  if (match === null) return undefined;
  const size = sizes[match[2]!]!;
  switch (match[1]) {
    case 'ldx':
    case 'ldxs':
    case 'ldacq': {
      const dst = register(line);
      line.expect(',');
      const { base, off } = address(line);
      if (match[1] === 'ldacq') return { kind: 'load-acquire', size, dst, src: base, off };
      const signed = match[1] === 'ldxs';
      return signed && size === 8 ? undefined : { kind: 'load', size, signed, dst, src: base, off };
    }
    case 'ldabs':
    case 'ldind': {
      if (size === 8) return undefined;
      const indirect = match[1] === 'ldind';
      const src = indirect ? register(line) : 0;
      if (indirect) line.expect(',');
      const mode = indirect ? 'indirect' : 'absolute';
      return { kind: 'load-packet', size, mode, src, imm: line.int32('offset') };
    }
    case 'st': {
      const { base, off } = address(line);
      line.expect(',');
      return { kind: 'store', size, source: 'imm', dst: base, src: 0, imm: line.int32('constant'), off };
    }
    default: {
      const { base, off } = address(line);
      line.expect(',');
      const src = register(line);
      return match[1] === 'strel'
        ? { kind: 'store-release', size, dst: base, src, off }
        : { kind: 'store', size, source: 'reg', dst: base, src, imm: 0, off };
    }
  }
}

function arithmetic(line: SourceLine, mnemonic: string): Operation | undefined {
  const extension = Object.hasOwn(movsxForms, mnemonic) ? movsxForms[mnemonic] : undefined;
  if (extension !== undefined) {
    const dst = register(line);
    line.expect(',');
    return { kind: 'movsx', width: extension[1], from: extension[0], dst, src: register(line) };
  }
  const [, name = '', width] = /^(.*?)(32|64)?$/.exec(mnemonic) ?? [];
  const op = aluOps.get(name);
  if (op === undefined) return undefined;
  const dst = register(line);
  line.expect(',');
  return { kind: 'alu', op, width: width === '32' ? 32 : 64, dst, ...sourceOperand(line) };
}

function branch(line: SourceLine, mnemonic: string): Statement | undefined {
  const narrow = mnemonic.endsWith('32');
  const op = jumpOps.get(narrow ? mnemonic.slice(0, -2) : mnemonic);
  if (op === undefined) return undefined;
  const dst = register(line);
  line.expect(',');
  const operand = sourceOperand(line);
  line.expect(',');
  const [off, target] = jumpTarget(line, 'off');
  return { operation: { kind: 'branch', op, width: narrow ? 32 : 64, dst, ...operand, off }, target };
}
