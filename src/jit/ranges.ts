/**
 * Unsigned ranges of registers, path by path through the blocks: what a comparison has let through bounds the number from
 * there on. Tells which divisors are never 0, which indices lie within their array, and how many bits a result may have.
 * Loops are widened, to the constants that the function compares with first, and narrowed again afterwards.
 */
import type { JumpOp } from '../isa/operation.ts';
import { type Block, definition, NO_REGISTER, type Op, type Terminator } from './ir.ts';
import { bitLength, EXACT, operand, type Range, Registers, U32 } from './range.ts';
import type { Webs } from './webs.ts';

/** Rounds before loops are widened to the next constant, before they are widened for good, and before it is given up. */
const ROUNDS_EXACT = 2;
const ROUNDS_TO_CONSTANTS = 9;
const ROUNDS_AT_MOST = 60;
const ROUNDS_NARROWING = 2;

export class Ranges {
  readonly #webs: Webs;
  readonly #results = new Map<Op, number>();
  readonly #safe = new Set<Op>();

  constructor(webs: Webs) {
    this.#webs = webs;
    const starts = fixpoint(webs);
    if (starts !== undefined) this.#read(starts);
  }

  /** How many low bits the operation's result may have set; 64 if nothing is known. */
  resultBits(op: Op): number {
    return this.#results.get(op) ?? 64;
  }

  /** The divisor of a division is not 0; the key of an array lookup is below the array's size. */
  isSafe(op: Op): boolean {
    return this.#safe.has(op);
  }

  #read(starts: readonly (Registers | undefined)[]): void {
    this.#webs.blocks.forEach((block, number) => {
      const start = starts[number];
      if (start === undefined) return;
      const state = start.copy();
      for (const op of block.ops) {
        if (op.kind === 'alu' && operand(op, op.width, state).low > 0) this.#safe.add(op);
        if (op.kind === 'array-lookup' && op.key !== NO_REGISTER && state.get(op.key).high < op.map.maxEntries)
          this.#safe.add(op);
        state.step(op);
        const register = definition(op);
        if (register !== NO_REGISTER) {
          const { high } = state.get(register);
          if (high <= EXACT) this.#results.set(op, bitLength(high));
        }
      }
    });
  }
}
/** Ranges at the start of each block, undefined where it is never reached; undefined for all if it takes too long. */
function fixpoint(webs: Webs): (Registers | undefined)[] | undefined {
  const { blocks, graph, registers } = webs;
  const starts = new Array<Registers | undefined>(blocks.length).fill(undefined);
  const ends = new Array<Registers | undefined>(blocks.length).fill(undefined);
  const constants = thresholds(blocks);
  const pass = (round: number, narrowing: boolean): boolean => {
    let changed = false;
    for (const number of graph.order) {
      const incoming = join(webs, number, ends, number === 0 ? Registers.of(registers) : undefined);
      if (incoming === undefined) {
        // Narrowing may find that no path leads here.
        if (narrowing) starts[number] = ends[number] = undefined;
        continue;
      }
      const before = starts[number];
      const isHeader = graph.predecessors[number]!.some((from) => graph.position[from]! >= graph.position[number]!);
      if (before !== undefined && !narrowing && isHeader && round >= ROUNDS_EXACT)
        widen(webs, number, before, incoming, round >= ROUNDS_TO_CONSTANTS ? [] : constants);
      if (before !== undefined && sameRanges(webs, number, before, incoming)) continue;
      changed = true;
      starts[number] = incoming;
      const state = incoming.copy();
      for (const op of blocks[number]!.ops) state.step(op);
      ends[number] = state;
    }
    return changed;
  };
  let round = 0;
  while (pass(round, false)) if (++round > ROUNDS_AT_MOST) return undefined;
  for (let again = 0; again < ROUNDS_NARROWING; again++) pass(round, true);
  return starts;
}

/** Constants that branches compare with, and their neighbours, ascending. */
function thresholds(blocks: readonly Block[]): number[] {
  const found = new Set<number>([0xff, 0xffff, 0x7fff_ffff, U32]);
  for (const { end } of blocks) {
    if (end.kind !== 'branch' || end.b !== NO_REGISTER || end.imm < 0) continue;
    for (const value of [end.imm - 1, end.imm, end.imm + 1]) found.add(value);
  }
  return [...found].sort((a, b) => a - b);
}

function join(
  webs: Webs,
  number: number,
  ends: readonly (Registers | undefined)[],
  entry: Registers | undefined,
): Registers | undefined {
  let joined = entry;
  for (const from of webs.graph.predecessors[number]!) {
    const end = ends[from];
    if (end === undefined) continue;
    const state = throughEdge(webs.blocks[from]!.end, number, end);
    if (state === undefined) continue;
    if (joined === undefined) {
      joined = state === end ? end.copy() : state;
      continue;
    }
    for (let register = 0; register < webs.registers; register++) {
      if (!webs.isLive(number, register)) continue;
      const a = joined.get(register);
      const b = state.get(register);
      joined.set(register, { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) });
    }
  }
  return joined;
}

function widen(webs: Webs, number: number, before: Registers, state: Registers, constants: readonly number[]): void {
  for (let register = 0; register < webs.registers; register++) {
    if (!webs.isLive(number, register)) continue;
    const old = before.get(register);
    const now = state.get(register);
    const high =
      now.high <= old.high ? old.high : (constants.find((value) => value >= now.high) ?? Number.POSITIVE_INFINITY);
    state.set(register, { low: now.low < old.low ? 0 : old.low, high });
  }
}

function sameRanges(webs: Webs, number: number, a: Registers, b: Registers): boolean {
  for (let register = 0; register < webs.registers; register++) {
    if (!webs.isLive(number, register)) continue;
    const left = a.get(register);
    const right = b.get(register);
    if (left.low !== right.low || left.high !== right.high) return false;
  }
  return true;
}

const opposites: Readonly<Record<Exclude<JumpOp, 'set'>, Exclude<JumpOp, 'set'>>> = {
  eq: 'ne',
  ne: 'eq',
  gt: 'le',
  le: 'gt',
  ge: 'lt',
  lt: 'ge',
  sgt: 'sle',
  sle: 'sgt',
  sge: 'slt',
  slt: 'sge',
};

/** The state after the jump to block `to`: `end` itself where the jump tells nothing, undefined where it is never taken. */
function throughEdge(terminator: Terminator, to: number, end: Registers): Registers | undefined {
  if (terminator.kind !== 'branch' || terminator.taken === terminator.otherwise) return end;
  const taken = terminator.taken === to;
  const { op, width } = terminator;
  const a = end.get(terminator.a);
  if (op === 'set') {
    if (!taken || (width === 32 && a.high > U32)) return end;
    return narrowedTo(end, terminator, { low: Math.max(1, a.low), high: a.high }, undefined);
  }
  const b = operand(terminator, width, end);
  // A comparison of lower halves tells nothing of registers that have more.
  if (width === 32 && (a.high > U32 || (terminator.b !== NO_REGISTER && end.get(terminator.b).high > U32))) return end;
  const relation = taken ? op : opposites[op];
  const limit = width === 32 ? 0x7fff_ffff : EXACT;
  const isSigned = relation.startsWith('s');
  // Numbers without a sign bit compare alike either way.
  if (isSigned && (a.high > limit || b.high > limit)) return end;
  const plain = isSigned ? relation.slice(1) : relation;
  switch (plain) {
    case 'eq': {
      const both = { low: Math.max(a.low, b.low), high: Math.min(a.high, b.high) };
      return narrowedTo(end, terminator, both, both);
    }
    case 'ne':
      return narrowedTo(end, terminator, without(a, b), without(b, a));
    case 'lt':
      return narrowedTo(end, terminator, atMost(a, b.high - 1), atLeast(b, a.low + 1));
    case 'le':
      return narrowedTo(end, terminator, atMost(a, b.high), atLeast(b, a.low));
    case 'gt':
      return narrowedTo(end, terminator, atLeast(a, b.low + 1), atMost(b, a.high - 1));
    default:
      return narrowedTo(end, terminator, atLeast(a, b.low), atMost(b, a.high));
  }
}

function atMost({ low, high }: Range, limit: number): Range {
  return { low, high: Math.min(high, limit) };
}

function atLeast({ low, high }: Range, limit: number): Range {
  return { low: Math.max(low, Math.min(limit, EXACT)), high };
}

function without(from: Range, one: Range): Range {
  if (one.low !== one.high) return from;
  if (from.low === one.low) return { low: from.low + 1, high: from.high };
  if (from.high === one.high) return { low: from.low, high: from.high - 1 };
  return from;
}

function narrowedTo(
  end: Registers,
  branch: Extract<Terminator, { kind: 'branch' }>,
  a: Range,
  b: Range | undefined,
): Registers | undefined {
  if (a.low > a.high || (b !== undefined && b.low > b.high)) return undefined;
  const state = end.copy();
  // Both halves of `r1 op r1` would have to hold: the first is enough.
  if (b !== undefined && branch.b !== NO_REGISTER) state.set(branch.b, b);
  state.set(branch.a, a);
  return state;
}
