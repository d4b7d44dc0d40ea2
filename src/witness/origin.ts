/** Where a number of a run came from: one place of the input, and the chain of operations that were done to it, each of which can be undone. */

/** A place of the input that can be set. */
export type Source =
  | { readonly kind: 'data'; readonly offset: number; readonly size: number }
  | { readonly kind: 'context'; readonly offset: number; readonly size: number }
  | { readonly kind: 'map'; readonly map: string; readonly key: string; readonly offset: number; readonly size: number }
  /** Length of the packet. */
  | { readonly kind: 'length' }
  /** Whether the map has the key: the address of the value, or 0. `by`: where the key came from. */
  | { readonly kind: 'presence'; readonly map: string; readonly key: string; readonly by: Origin | undefined };

export type OperationName =
  | 'add'
  | 'sub'
  /** c - x. */
  | 'from'
  | 'mul'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr'
  | 'sar'
  | 'div'
  | 'mod'
  /** Sign extension of the lowest c bits. */
  | 'sext'
  /** Byte order of the lowest c bits. */
  | 'swap';

export interface Operation {
  readonly name: OperationName;
  readonly constant: bigint;
}

export interface Origin {
  readonly source: Source;
  readonly operations: readonly Operation[];
  /** What was in the source. */
  readonly value: bigint;
}

const MAX_OPERATIONS = 24;
const ALL = (1n << 64n) - 1n;
export const u64 = (value: bigint) => BigInt.asUintN(64, value);

export function after(symbol: Origin | undefined, name: OperationName, constant: bigint): Origin | undefined {
  if (symbol === undefined || symbol.operations.length >= MAX_OPERATIONS) return undefined;
  return { ...symbol, operations: [...symbol.operations, { name, constant: u64(constant) }] };
}

function swapBytes(value: bigint, bits: bigint): bigint {
  let swapped = 0n;
  for (let at = 0n; at < bits; at += 8n) swapped = (swapped << 8n) | ((value >> at) & 0xffn);
  return swapped;
}

function apply({ name, constant: c }: Operation, x: bigint): bigint {
  switch (name) {
    case 'add':
      return u64(x + c);
    case 'sub':
      return u64(x - c);
    case 'from':
      return u64(c - x);
    case 'mul':
      return u64(x * c);
    case 'and':
      return x & c;
    case 'or':
      return x | c;
    case 'xor':
      return x ^ c;
    case 'shl':
      return u64(x << c);
    case 'shr':
      return x >> c;
    case 'sar':
      return u64(BigInt.asIntN(64, x) >> c);
    case 'div':
      return c === 0n ? 0n : x / c;
    case 'mod':
      return c === 0n ? x : x % c;
    case 'sext':
      return u64(BigInt.asIntN(Number(c), x));
    case 'swap':
      return swapBytes(x, c);
  }
}

/** An operand that gives `target`, near `was` where there is a choice; undefined if there is none. */
function undo({ name, constant: c }: Operation, target: bigint, was: bigint): bigint | undefined {
  switch (name) {
    case 'add':
      return u64(target - c);
    case 'sub':
      return u64(target + c);
    case 'from':
      return u64(c - target);
    case 'mul':
      return c === 0n || target % c !== 0n ? undefined : target / c;
    case 'and':
      return target | (was & ~c & ALL);
    case 'or':
      return (target & ~c) | (was & c);
    case 'xor':
      return target ^ c;
    case 'shl':
      return (target >> c) | (c === 0n ? 0n : was & (ALL << (64n - c)) & ALL);
    case 'shr':
    case 'sar':
      return u64(target << c) | (was & ((1n << c) - 1n));
    case 'div':
      return u64(target * c);
    case 'mod':
      return target;
    case 'sext':
      return target & ((1n << c) - 1n);
    case 'swap':
      return swapBytes(target, c);
  }
}

export function evaluate(symbol: Origin, value: bigint): bigint {
  return symbol.operations.reduce((x, operation) => apply(operation, x), value);
}

/** What must be in the source for the result to be `target`; undefined where that is not found. */
export function solve(symbol: Origin, target: bigint): bigint | undefined {
  const before: bigint[] = [];
  let x = symbol.value;
  for (const operation of symbol.operations) {
    before.push(x);
    x = apply(operation, x);
  }
  let wanted = u64(target);
  for (let i = symbol.operations.length - 1; i >= 0; i--) {
    const operand = undo(symbol.operations[i]!, wanted, before[i]!);
    if (operand === undefined) return undefined;
    wanted = operand;
  }
  const { source } = symbol;
  if ('size' in source && wanted >= 1n << BigInt(source.size * 8)) return undefined;
  return evaluate(symbol, wanted) === u64(target) ? wanted : undefined;
}
