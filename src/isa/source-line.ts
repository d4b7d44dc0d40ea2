/** One line of assembler text being read from left to right; knows its place for messages. */
import { InputError } from '../errors.ts';

const NUMBER = /0[xX][0-9a-fA-F]+|[0-9]+/y;
const SPACE = /[ \t\r]*/y;

/** Which numbers may exceed the signed range of a field. */
export type Unsigned = 'none' | 'hex' | 'any';

export class SourceLine {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  readonly input: string | undefined;
  /** Index of the next character. */
  position: number;

  constructor(text: string, number: number, input: string | undefined, position = 0) {
    this.text = text;
    this.number = number;
    this.input = input;
    this.position = position;
    this.skipSpace();
  }

  get atEnd(): boolean {
    return this.position >= this.text.length;
  }

  /** @throws InputError SLUICE_ASM_SYNTAX with line and column (both from 1). */
  fail(message: string, position = this.position): never {
    throw asmError(message, this.input, this.number, position + 1);
  }

  /** The part of the line between two positions: without a comment, or one of several statements. */
  cut(end: number, start = 0): SourceLine {
    return new SourceLine(this.text.slice(0, end), this.number, this.input, start);
  }

  /** Matches a sticky expression here and steps over it and the space behind. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.position;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.position = pattern.lastIndex;
    this.skipSpace();
    return match;
  }

  /** Steps over a literal if it is here. */
  accept(literal: string): boolean {
    if (!this.text.startsWith(literal, this.position)) return false;
    this.position += literal.length;
    this.skipSpace();
    return true;
  }

  expect(literal: string): void {
    if (!this.accept(literal)) this.fail(`expected '${literal}'${this.found()}`);
  }

  expectEnd(): void {
    if (!this.atEnd) this.fail(`unexpected '${this.text.slice(this.position).trimEnd()}'`);
  }

  /** For messages: what is here instead. */
  found(): string {
    return this.atEnd ? ' at the end of the line' : `, found '${this.text.slice(this.position).trimEnd()}'`;
  }

  /** True if a number, with or without a sign, is next. */
  get atNumber(): boolean {
    return /^[+-]?[ \t]*[0-9]/.test(this.text.slice(this.position));
  }

  /**
   * A decimal or hexadecimal number with an optional sign, as the field of `bits` holds it: the result is signed.
   * `unsigned` says which numbers may use the unsigned range too (0xffffffff is -1).
   */
  integer(what: string, bits: 16 | 32 | 64, unsigned: Unsigned): bigint {
    const start = this.position;
    const negative = this.accept('-');
    if (!negative) this.accept('+');
    const match = this.take(NUMBER);
    if (match === undefined) this.fail(`expected ${what}${this.found()}`, start);
    const digits = match[0];
    const value = negative ? -BigInt(digits) : BigInt(digits);
    const wide = unsigned === 'any' || (unsigned === 'hex' && /^0x/i.test(digits));
    const limit = 1n << BigInt(wide && !negative ? bits : bits - 1);
    if (value >= limit || value < -(1n << BigInt(bits - 1)))
      this.fail(`${what} ${negative ? '-' : ''}${digits} does not fit in ${bits} bits`, start);
    return BigInt.asIntN(bits, value);
  }

  int16(what: string, unsigned: Unsigned = 'hex'): number {
    return Number(this.integer(what, 16, unsigned));
  }

  int32(what: string, unsigned: Unsigned = 'hex'): number {
    return Number(this.integer(what, 32, unsigned));
  }

  private skipSpace(): void {
    SPACE.lastIndex = this.position;
    SPACE.exec(this.text);
    this.position = SPACE.lastIndex;
  }
}

export function asmError(message: string, input: string | undefined, line: number, column: number): InputError {
  const section = `line ${line}, column ${column}`;
  return new InputError('SLUICE_ASM_SYNTAX', message, input === undefined ? { section } : { input, section });
}
