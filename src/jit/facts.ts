/**
 * What is known of each web, whatever the path: constants, frame addresses, pointers, how many low bits may be set; and which
 * webs' upper halves matter to anyone. Both together decide which webs are i32 locals.
 */

import type { ProgramTypeName } from '../abi/program-types.ts';
import type { MapFacts } from '../object/resolved.ts';
import { FRAME_SIZE } from '../plane/layout/memory.ts';
import { type BinaryOp, definition, NO_REGISTER, type Op, visitUses } from './ir.ts';
import type { Ranges } from './ranges.ts';
import { endUses, type Web, type WebCursor, type Webs } from './webs.ts';

export type Fact =
  /** Not reached yet. */
  | { readonly kind: 'none'; readonly bits: 0 }
  | {
      readonly kind: 'const';
      readonly value: bigint;
      readonly map: MapFacts | undefined;
      /** Of an object: arithmetic on it gives addresses. */
      readonly address: boolean;
      readonly bits: number;
    }
  /** r10 + offset, exactly. */
  | { readonly kind: 'frame'; readonly offset: number; readonly bits: 32 }
  | { readonly kind: 'function'; readonly target: number; readonly bits: 32 }
  /** The context that the program was entered with. */
  | { readonly kind: 'context'; readonly bits: 32 }
  /** Some pointer of a verified program: an address below 2^32 whatever the verifier let be added to it. */
  | { readonly kind: 'pointer'; readonly bits: 32; readonly nonNull: boolean }
  /** Below 2^bits. */
  | { readonly kind: 'number'; readonly bits: number };

const none: Fact = { kind: 'none', bits: 0 };
const pointer: Fact = { kind: 'pointer', bits: 32, nonNull: false };
const object: Fact = { kind: 'pointer', bits: 32, nonNull: true };
const number = (bits: number): Fact => ({ kind: 'number', bits: Math.min(bits, 64) });
const anything = number(64);

export function constant(value: bigint, address = false, map?: MapFacts): Fact {
  const unsigned = BigInt.asUintN(64, value);
  return { kind: 'const', value: unsigned, map, address, bits: unsigned === 0n ? 0 : unsigned.toString(2).length };
}

/** What may be assumed of the program. */
export interface Assumptions {
  /** The verifier accepted it: pointers stay pointers. */
  readonly verified: boolean;
  readonly type: ProgramTypeName | undefined;
  /** Fact of each register at the function's entry; missing ones are never initialised. */
  readonly entry: readonly Fact[];
}

/** Facts about the parameters r1 to r5 and the frame pointer. */
export function entryFacts(isContext: boolean): Fact[] {
  const facts: Fact[] = [constant(0n), anything, anything, anything, anything, anything];
  if (isContext) facts[1] = { kind: 'context', bits: 32 };
  facts[10] = { kind: 'frame', offset: 0, bits: 32 };
  return facts;
}

export class Facts {
  readonly #webs: Webs;
  readonly #assumptions: Assumptions;
  readonly #facts: Fact[];
  readonly #needs64: Uint8Array;
  readonly #uses: Int32Array;
  readonly #ranges: Ranges | undefined;

  constructor(webs: Webs, assumptions: Assumptions, ranges?: Ranges) {
    this.#webs = webs;
    this.#ranges = ranges;
    this.#assumptions = assumptions;
    this.#facts = new Array<Fact>(webs.count).fill(none);
    this.#needs64 = new Uint8Array(webs.count);
    this.#uses = new Int32Array(webs.count);
    this.#propagate();
    this.#countUses();
    this.#demand();
  }

  of(web: Web): Fact {
    return this.#facts[web]!;
  }

  isUsed(web: Web): boolean {
    return this.#uses[web]! > 0;
  }

  /** The value is known to be below 2^32. */
  is32(web: Web): boolean {
    return this.#facts[web]!.bits <= 32;
  }

  /** The web can be held in an i32: nobody looks at its upper half, or it is zero. */
  isNarrow(web: Web): boolean {
    return this.is32(web) || this.#needs64[web] === 0;
  }

  /** The constant, frame address or function that the web always is: needs no local. */
  isRematerialised(web: Web): boolean {
    const { kind } = this.#facts[web]!;
    return kind === 'const' || kind === 'frame' || kind === 'function';
  }

  #propagate(): void {
    const changes = new Uint8Array(this.#webs.count);
    const learn = (web: Web, fact: Fact): boolean => {
      const before = this.#facts[web]!;
      const joined = join(before, fact);
      // Counters in loops would climb a bit a round.
      const after = changes[web]! > 4 && joined.kind === 'number' ? number(joined.bits <= 32 ? 32 : 64) : joined;
      if (sameFact(before, after)) return false;
      this.#facts[web] = after;
      changes[web]!++;
      return true;
    };
    for (let register = 0; register < this.#webs.registers; register++)
      if (this.#webs.isLive(0, register))
        learn(this.#webs.atStart(0, register), this.#assumptions.entry[register] ?? constant(0n));
    for (let changed = true; changed; ) {
      changed = false;
      for (const block of this.#webs.graph.order) {
        const cursor = this.#webs.cursor(block);
        for (const op of this.#webs.blocks[block]!.ops) {
          if (definition(op) !== NO_REGISTER && learn(cursor.defined(), this.#bounded(op, cursor))) changed = true;
          cursor.step(op);
        }
      }
    }
  }

  #bounded(op: Op, cursor: WebCursor): Fact {
    const fact = this.#evaluate(op, cursor);
    if (fact.kind !== 'number' || this.#ranges === undefined) return fact;
    const bits = this.#ranges.resultBits(op);
    return bits < fact.bits ? number(bits) : fact;
  }

  #evaluate(op: Op, cursor: WebCursor): Fact {
    const at = (register: number): Fact => this.#facts[cursor.web(register)]!;
    switch (op.kind) {
      case 'const':
        return constant(op.value, op.address, op.map);
      case 'function':
        return { kind: 'function', target: op.target, bits: 32 };
      case 'mov':
        return at(op.src);
      case 'extend':
        return extend(at(op.src), op.bits, op.signed, op.width);
      case 'alu': {
        const a = at(op.dst);
        const b = op.b === NO_REGISTER ? constant(BigInt(op.imm)) : at(op.b);
        if (a.kind === 'none' || b.kind === 'none') return none;
        return op.width === 32 ? narrowed(op.op, a, b) : this.#arithmetic(op.op, a, b);
      }
      case 'neg':
        return op.width === 32 ? number(32) : anything;
      case 'swap':
        return number(op.bits);
      case 'load':
        if (op.signed) return anything;
        if (this.#loadsPointer(op.size, op.off, at(op.base))) return pointer;
        return number(op.size * 8);
      case 'load-acquire':
        return number(op.size * 8);
      case 'atomic':
        return number(op.size * 8);
      case 'array-lookup':
        if (this.#ranges?.isSafe(op) === true) return object;
        if (op.key !== NO_REGISTER && isBelow(at(op.key), op.map.maxEntries)) return object;
        return this.#assumptions.verified ? pointer : number(32);
      case 'helper':
        if (!returnsPointer.has(op.prototype.returns)) return anything;
        return this.#assumptions.verified ? pointer : number(32);
      default:
        return anything;
    }
  }

  #arithmetic(op: BinaryOp, a: Fact, b: Fact): Fact {
    if (a.kind === 'const' && b.kind === 'const') {
      const folded = fold(op, a.value, b.value);
      if (folded !== undefined) return constant(folded, a.address || b.address);
    }
    if (op === 'add') {
      const moved = moveFrame(a, b, 1) ?? moveFrame(b, a, 1);
      if (moved !== undefined) return moved;
      if (this.#assumptions.verified && isPointer(a) !== isPointer(b)) return pointer;
    }
    if (op === 'sub') {
      const moved = moveFrame(a, b, -1);
      if (moved !== undefined) return moved;
      if (this.#assumptions.verified && isPointer(a) && b.kind === 'const') return pointer;
    }
    return number(resultBits(op, a, b));
  }

  /** Packet pointers are u32 fields of the context. */
  #loadsPointer(size: number, off: number, base: Fact): boolean {
    if (!this.#assumptions.verified || base.kind !== 'context' || size !== 4) return false;
    return packetPointerFields[this.#assumptions.type ?? '']?.includes(off) === true;
  }

  #countUses(): void {
    for (const block of this.#webs.graph.order) {
      const cursor = this.#webs.cursor(block);
      for (const op of this.#webs.blocks[block]!.ops) {
        visitUses(op, (register) => {
          this.#uses[cursor.web(register)]!++;
        });
        cursor.step(op);
      }
      endUses(cursor, this.#webs.blocks[block]!, (web) => {
        this.#uses[web]!++;
      });
    }
  }

  /** Which webs must keep all 64 bits: those that something reads whole, and what such webs are made of. */
  #demand(): void {
    const pending: Web[] = [];
    const need = (web: Web): void => {
      if (this.#needs64[web] === 1) return;
      this.#needs64[web] = 1;
      pending.push(web);
    };
    /** What a web is made of by operations whose low half needs only low halves. */
    const sources = new Map<Web, Web[]>();
    const makes = (result: Web, operand: Web): void => {
      // A web that is known to be below 2^32 never needs more.
      if (this.is32(result)) return;
      const known = sources.get(result);
      if (known === undefined) sources.set(result, [operand]);
      else known.push(operand);
    };
    for (const number of this.#webs.graph.order) {
      const block = this.#webs.blocks[number]!;
      const cursor = this.#webs.cursor(number);
      for (const op of block.ops) {
        this.#demandOf(op, cursor, need, makes);
        cursor.step(op);
      }
      if (block.end.kind !== 'branch' || block.end.width === 64) endUses(cursor, block, need);
    }
    for (let web = pending.pop(); web !== undefined; web = pending.pop())
      for (const source of sources.get(web) ?? []) need(source);
  }

  #demandOf(op: Op, cursor: WebCursor, need: (web: Web) => void, makes: (result: Web, operand: Web) => void): void {
    const register = (which: number): void => need(cursor.web(which));
    switch (op.kind) {
      case 'mov':
        makes(cursor.defined(), cursor.web(op.src));
        return;
      case 'alu': {
        if (op.width === 32) return;
        if (lowBitsSuffice(op.op, op.b === NO_REGISTER ? constant(BigInt(op.imm)) : this.of(cursor.web(op.b)))) {
          makes(cursor.defined(), cursor.web(op.dst));
          if (op.b !== NO_REGISTER) makes(cursor.defined(), cursor.web(op.b));
          return;
        }
        register(op.dst);
        if (op.b !== NO_REGISTER && !isShift(op.op)) register(op.b);
        return;
      }
      case 'neg':
        if (op.width === 64) makes(cursor.defined(), cursor.web(op.dst));
        return;
      case 'swap':
        if (op.bits === 64) register(op.dst);
        return;
      case 'store':
        if (op.size === 8 && op.b !== NO_REGISTER) register(op.b);
        return;
      case 'store-release':
        if (op.size === 8) register(op.src);
        return;
      case 'atomic':
        if (op.size !== 8) return;
        register(op.src);
        if (op.op === 'cmpxchg') register(0);
        return;
      case 'helper':
      case 'kfunc':
      case 'call':
        visitUses(op, register);
        return;
      case 'loop':
        register(3);
        register(4);
        return;
    }
  }
}

/** Operations whose low 32 result bits need only the low 32 bits of their operands. */
export function lowBitsSuffice(op: BinaryOp, b: Fact): boolean {
  switch (op) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'and':
    case 'or':
    case 'xor':
      return true;
    case 'lsh':
      return b.kind === 'const' && (b.value & 63n) < 32n;
    default:
      return false;
  }
}

function isShift(op: BinaryOp): boolean {
  return op === 'lsh' || op === 'rsh' || op === 'arsh';
}

const returnsPointer = new Set<string>([
  'map_value_or_null',
  'ringbuf_mem_or_null',
  'dynptr_mem_or_null',
  'socket_or_null',
  'btf_id_or_null',
  'btf_id',
]);

/** Offsets of the u32 context fields data, data_end and data_meta (struct xdp_md, struct __sk_buff). */
const skbPointers = [76, 80, 140];
const packetPointerFields: Readonly<Record<string, readonly number[]>> = {
  xdp: [0, 4, 8],
  sched_cls: skbPointers,
  sched_act: skbPointers,
  sk_skb: skbPointers,
  cgroup_skb: skbPointers,
  lwt_xmit: skbPointers,
};

export function isPointer(fact: Fact): boolean {
  return (
    fact.kind === 'pointer' ||
    fact.kind === 'frame' ||
    fact.kind === 'context' ||
    (fact.kind === 'const' && fact.address)
  );
}

/** The value's lower half is below the limit whatever happens. */
export function isBelow(fact: Fact, limit: number): boolean {
  if (fact.kind === 'const') return BigInt.asUintN(32, fact.value) < BigInt(limit);
  return fact.kind === 'number' && fact.bits <= 31 && 2 ** fact.bits <= limit;
}

function join(a: Fact, b: Fact): Fact {
  if (a.kind === 'none') return b;
  if (b.kind === 'none' || sameFact(a, b)) return a;
  if (isPointer(a) && isPointer(b)) return pointer;
  return number(Math.max(a.bits, b.bits));
}

function sameFact(a: Fact, b: Fact): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.bits !== b.bits) return false;
  if (a.kind === 'const' && b.kind === 'const')
    return a.value === b.value && a.address === b.address && a.map === b.map;
  if (a.kind === 'frame' && b.kind === 'frame') return a.offset === b.offset;
  if (a.kind === 'function' && b.kind === 'function') return a.target === b.target;
  if (a.kind === 'pointer' && b.kind === 'pointer') return a.nonNull === b.nonNull;
  return true;
}

/** The frame address `a` plus or minus the constant `b`, while it stays near the frame. */
function moveFrame(a: Fact, b: Fact, sign: 1 | -1): Fact | undefined {
  if (a.kind !== 'frame' || b.kind !== 'const') return undefined;
  const offset = a.offset + sign * Number(BigInt.asIntN(64, b.value));
  return Math.abs(offset) <= 2 * FRAME_SIZE ? { kind: 'frame', offset, bits: 32 } : undefined;
}

function extend(from: Fact, bits: number, signed: boolean, width: 32 | 64): Fact {
  if (from.kind === 'none') return none;
  if (from.kind === 'const') {
    const low = BigInt.asUintN(bits, from.value);
    const value = signed ? BigInt.asUintN(width, BigInt.asIntN(bits, low)) : low;
    return value === from.value ? from : constant(value);
  }
  if (signed) return number(from.bits < bits ? from.bits : width);
  // Zero-extending 32 bits of a pointer is what addr_space_cast and `w1 = w1` do: the value stays.
  if (bits === 32 && from.bits <= 32) return from;
  return number(Math.min(bits, from.bits));
}

function narrowed(op: BinaryOp, a: Fact, b: Fact): Fact {
  const low = (fact: Fact): Fact =>
    fact.kind === 'const' ? constant(BigInt.asUintN(32, fact.value)) : number(Math.min(32, fact.bits));
  const left = low(a);
  const right = low(b);
  if (left.kind === 'const' && right.kind === 'const' && !isShift(op)) {
    const folded = fold(op, left.value, right.value);
    if (folded !== undefined) return constant(BigInt.asUintN(32, folded));
  }
  if (isShift(op))
    return right.kind === 'const'
      ? number(Math.min(32, resultBits(op, left, constant(right.value & 31n))))
      : number(32);
  return number(Math.min(32, resultBits(op, left, right)));
}

function fold(op: BinaryOp, a: bigint, b: bigint): bigint | undefined {
  switch (op) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'and':
      return a & b;
    case 'or':
      return a | b;
    case 'xor':
      return a ^ b;
    case 'lsh':
      return a << (b & 63n);
    case 'rsh':
      return a >> (b & 63n);
    default:
      return undefined;
  }
}

/** How many low bits of the 64-bit result may be set. */
function resultBits(op: BinaryOp, a: Fact, b: Fact): number {
  switch (op) {
    case 'add':
      return Math.max(a.bits, b.bits) + 1;
    case 'mul':
      return a.bits + b.bits;
    case 'and':
      return Math.min(a.bits, b.bits);
    case 'or':
    case 'xor':
      return Math.max(a.bits, b.bits);
    case 'lsh':
      return b.kind === 'const' ? a.bits + Number(b.value & 63n) : 64;
    case 'rsh':
      return b.kind === 'const' ? Math.max(0, a.bits - Number(b.value & 63n)) : a.bits;
    case 'arsh':
      return a.bits < 32 && b.kind === 'const' ? Math.max(0, a.bits - Number(b.value & 63n)) : 64;
    case 'div':
    case 'mod':
      return a.bits;
    default:
      return 64;
  }
}
