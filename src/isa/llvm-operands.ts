/** Registers, memory operands and the right-hand sides of LLVM's BPF assembler. */
import type { Statement } from './asm-output.ts';
import { LDDW_SOURCE, REGISTER_COUNT } from './opcodes.ts';
import type { AccessSize, AluOp, AtomicOp, Operation, Width } from './operation.ts';
import { registerWidth } from './operation-decode.ts';
import type { SourceLine } from './source-line.ts';

const REGISTER = /([rRwW])([0-9]+)\b/y;
const SYMBOL = /[A-Za-z_.$][\w.$@]*/y;
const ASSIGNMENT = /(s>>=|>>=|<<=|s\/=|s%=|\+=|-=|\*=|\/=|%=|\|=|&=|\^=|=(?!=))/y;
const SIGN_EXTENSION = /\([ \t]*s(8|16|32)[ \t]*\)/y;
const BYTE_ORDER = /(be|le|bswap)(16|32|64)\b/y;
const FUNCTION =
  /(atomic_fetch_(?:add|and|or|xor)|xchg_64|xchg32_32|cmpxchg_64|cmpxchg32_32|load_acquire|addr_space_cast)[ \t]*\(/y;
const SIZE = /([us])(8|16|32|64)\b/y;
const WIDE_CONSTANT = /[+-]?[ \t]*(0[xX][0-9a-fA-F]+|[0-9]+)[ \t]+ll\b/y;
const LL = /ll\b/y;

const assignments: Readonly<Record<string, AluOp>> = {
  '=': 'mov',
  '+=': 'add',
  '-=': 'sub',
  '*=': 'mul',
  '/=': 'div',
  's/=': 'sdiv',
  '%=': 'mod',
  's%=': 'smod',
  '|=': 'or',
  '&=': 'and',
  '^=': 'xor',
  '<<=': 'lsh',
  '>>=': 'rsh',
  's>>=': 'arsh',
};
const fetches: Readonly<Record<string, AtomicOp>> = {
  atomic_fetch_add: 'add',
  atomic_fetch_and: 'and',
  atomic_fetch_or: 'or',
  atomic_fetch_xor: 'xor',
};

/** `r3` (64 bits) or `w3` (its low 32). */
export function register(line: SourceLine): { readonly number: number; readonly width: Width } {
  const start = line.position;
  const match = line.take(REGISTER);
  if (match === undefined) line.fail(`expected a register${line.found()}`);
  const number = Number(match[2]);
  if (number >= REGISTER_COUNT) line.fail(`there is no register ${match[0]}`, start);
  return { number, width: match[1]!.toLowerCase() === 'r' ? 64 : 32 };
}

export function registerOf(line: SourceLine, width: Width): number {
  const start = line.position;
  const found = register(line);
  if (found.width !== width) line.fail(`expected ${width === 64 ? 'an r' : 'a w'} register`, start);
  return found.number;
}

/** The register on the left, said again. */
function sameRegister(line: SourceLine, number: number, width: Width): void {
  const start = line.position;
  const again = register(line);
  if (again.number !== number || again.width !== width) line.fail('this register must be the one on the left', start);
}

export interface SourceOperand {
  readonly source: 'imm' | 'reg';
  readonly src: number;
  readonly imm: number;
}

export function sourceOperand(line: SourceLine, width: Width): SourceOperand {
  if (!line.atNumber) return { source: 'reg', src: registerOf(line, width), imm: 0 };
  refuseOctal(line);
  return { source: 'imm', src: 0, imm: line.int32('constant', 'any') };
}

/** clang reads 010 as 8, everybody else as 10. */
function refuseOctal(line: SourceLine): void {
  if (/^[+-]?[ \t]*0[0-9]/.test(line.text.slice(line.position)))
    line.fail('a decimal number begins with another digit');
}

interface MemoryOperand {
  readonly size: AccessSize;
  readonly signed: boolean;
  readonly base: number;
  readonly off: number;
}

/** `*(u32 *)(r1 + 0x8)`, or without the leading star inside of a call: `(u32 *)(r1 + 0x8)`. Signs are the caller's to judge. */
export function memoryOperand(line: SourceLine, opening: '*(' | '('): MemoryOperand {
  if (opening === '*(') line.expect('*');
  const size = pointerType(line);
  return { ...size, ...address(line) };
}

function pointerType(line: SourceLine): { readonly size: AccessSize; readonly signed: boolean } {
  line.expect('(');
  const start = line.position;
  const match = line.take(SIZE) ?? line.fail(`expected u8, u16, u32, u64, s8, s16 or s32${line.found()}`);
  const signed = match[1] === 's';
  if (signed && match[2] === '64') line.fail('there is no s64', start);
  line.expect('*');
  line.expect(')');
  const size = match[2] === '8' ? 1 : match[2] === '16' ? 2 : match[2] === '32' ? 4 : 8;
  return { size, signed };
}

function address(line: SourceLine): { readonly base: number; readonly off: number } {
  line.expect('(');
  const found = baseAndOffset(line);
  line.expect(')');
  return found;
}

function baseAndOffset(line: SourceLine): { readonly base: number; readonly off: number } {
  const base = registerOf(line, 64);
  if (!/[+-]/.test(line.text[line.position] ?? '')) return { base, off: 0 };
  return { base, off: line.int16('offset', 'none') };
}

/** Everything that begins with the register it writes. */
export function assignment(line: SourceLine): Statement {
  const start = line.position;
  if (line.take(REGISTER) === undefined) line.fail(`expected an instruction${line.found()}`);
  line.position = start;
  const { number: dst, width } = register(line);
  const operator = line.take(ASSIGNMENT)?.[1] ?? line.fail(`expected an assignment${line.found()}`);
  if (operator !== '=')
    return { operation: { kind: 'alu', op: assignments[operator]!, width, dst, ...sourceOperand(line, width) } };
  const special = value(line, dst, width, start);
  if (special !== undefined) return { operation: special };
  return (
    constant(line, dst, width) ?? { operation: { kind: 'alu', op: 'mov', width, dst, ...sourceOperand(line, width) } }
  );
}

/** Right-hand sides other than a register, a number or a symbol. `start`: of the register on the left. */
function value(line: SourceLine, dst: number, width: Width, start: number): Operation | undefined {
  const next = line.text[line.position];
  if (next === '*') return load(line, dst, width, start);
  if (next === '-' && !line.atNumber) {
    line.expect('-');
    sameRegister(line, dst, width);
    return { kind: 'neg', width, dst };
  }
  const extension = line.take(SIGN_EXTENSION)?.[1];
  if (extension !== undefined) {
    if (extension === '32' && width === 32) line.fail('a w register has 32 bits already', start);
    const from = extension === '8' ? 8 : extension === '16' ? 16 : 32;
    return { kind: 'movsx', width, from, dst, src: registerOf(line, width) };
  }
  const order = line.take(BYTE_ORDER);
  if (order !== undefined) {
    if (width === 32) line.fail('byte order is changed in r registers', start);
    sameRegister(line, dst, 64);
    const bits = order[2] === '16' ? 16 : order[2] === '32' ? 32 : 64;
    return { kind: 'endian', op: order[1] === 'be' ? 'to-be' : order[1] === 'le' ? 'to-le' : 'bswap', bits, dst };
  }
  const name = line.take(FUNCTION)?.[1];
  if (name === undefined) return undefined;
  const result = functionCall(line, name, dst, width, start);
  line.expect(')');
  return result;
}

function load(line: SourceLine, dst: number, width: Width, start: number): Operation {
  line.expect('*');
  const { size, signed } = pointerType(line);
  if (line.accept('skb')) return packetLoad(line, size, signed, dst, width, start);
  const { base, off } = address(line);
  // A narrow load zero-extends, so its destination may be called w or r; objdump calls it w.
  if (width === 32 && (signed || size === 8)) line.fail('this load fills an r register', start);
  return { kind: 'load', size, signed, dst, src: base, off };
}

function packetLoad(
  line: SourceLine,
  size: AccessSize,
  signed: boolean,
  dst: number,
  width: Width,
  start: number,
): Operation {
  if (dst !== 0 || width !== 64) line.fail('packet loads write r0', start);
  if (size === 8 || signed) line.fail('packet loads have 8, 16 or 32 bits, unsigned', start);
  line.expect('[');
  const indirect = !line.atNumber;
  const src = indirect ? registerOf(line, 64) : 0;
  const imm = indirect && line.text[line.position] === ']' ? 0 : line.int32('offset', 'any');
  line.expect(']');
  return { kind: 'load-packet', size, mode: indirect ? 'indirect' : 'absolute', src, imm };
}

/** Arguments of the instructions that are written as calls, without the closing parenthesis. */
function functionCall(line: SourceLine, name: string, dst: number, width: Width, start: number): Operation {
  if (name === 'addr_space_cast') {
    if (width === 32) line.fail('a pointer fills an r register', start);
    const src = registerOf(line, 64);
    line.expect(',');
    const to = line.int16('address space', 'any') & 0xffff;
    line.expect(',');
    const from = line.int16('address space', 'any') & 0xffff;
    return { kind: 'addr-space-cast', dst, src, to, from };
  }
  if (name === 'load_acquire') {
    const { size, base, off } = memoryOperand(line, '(');
    if (width !== registerWidth(size)) line.fail(`expected ${width === 32 ? 'an r' : 'a w'} register`, start);
    return { kind: 'load-acquire', size, dst, src: base, off };
  }
  const fetch = Object.hasOwn(fetches, name) ? fetches[name] : undefined;
  if (fetch !== undefined) {
    const { size, base, off } = memoryOperand(line, '(');
    if (size !== 4 && size !== 8) line.fail('atomic operations have 32 or 64 bits');
    if (width !== registerWidth(size)) line.fail(`expected ${width === 32 ? 'an r' : 'a w'} register`, start);
    line.expect(',');
    sameRegister(line, dst, width);
    return { kind: 'atomic', op: fetch, fetch: true, size, dst: base, src: dst, off };
  }
  const size = name.endsWith('_64') ? 8 : 4;
  if (width !== registerWidth(size)) line.fail(`expected ${width === 32 ? 'an r' : 'a w'} register`, start);
  const { base, off } = baseAndOffset(line);
  line.expect(',');
  if (name.startsWith('xchg')) {
    sameRegister(line, dst, width);
    return { kind: 'atomic', op: 'xchg', fetch: true, size, dst: base, src: dst, off };
  }
  if (dst !== 0) line.fail('cmpxchg writes r0', start);
  sameRegister(line, 0, width);
  line.expect(',');
  return { kind: 'atomic', op: 'cmpxchg', fetch: true, size, dst: base, src: registerOf(line, width), off };
}

/** `0x5 ll` and `symbol ll`. */
function constant(line: SourceLine, dst: number, width: Width): Statement | undefined {
  const start = line.position;
  if (line.take(WIDE_CONSTANT) !== undefined) {
    line.position = start;
    if (width === 32) line.fail('a 64-bit constant fills an r register', start);
    refuseOctal(line);
    const all = line.integer('constant', 64, 'any');
    line.take(LL);
    const low = Number(BigInt.asIntN(32, all));
    const high = Number(BigInt.asIntN(32, all >> 32n));
    return { operation: { kind: 'lddw', dst, source: LDDW_SOURCE.CONSTANT, low, high } };
  }
  if (line.atNumber || line.take(REGISTER) !== undefined) {
    line.position = start;
    return undefined;
  }
  const label = line.take(SYMBOL)?.[0] ?? line.fail(`expected a value${line.found()}`);
  if (line.take(LL) === undefined) line.fail(`expected 'll' behind the symbol${line.found()}`);
  if (width === 32) line.fail('an address fills an r register', start);
  const target = { label, position: start, field: 'imm' } as const;
  return { operation: { kind: 'lddw', dst, source: LDDW_SOURCE.FUNCTION, low: 0, high: 0 }, target };
}
