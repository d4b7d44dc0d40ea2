/**
 * What is known of each web, whatever the path: constants, frame addresses, pointers, how many low bits may be set; and which
 * webs' upper halves matter to anyone. Both together decide which webs are i32 locals.
 */
import type { ProgramTypeName } from '../abi/program-types.ts';
import {
  anything,
  constant,
  extend,
  type Fact,
  fold,
  isBelow,
  isPointer,
  isShift,
  join,
  lowBitsSuffice,
  moveFrame,
  narrowed,
  none,
  number,
  object,
  pointer,
  resultBits,
  sameFact,
} from './fact.ts';
import { type BinaryOp, definition, NO_REGISTER, type Op, visitUses } from './ir.ts';
import type { Ranges } from './ranges.ts';
import { endUses, type Web, type WebCursor, type Webs } from './webs.ts';

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
      case 'load-packet':
        return number(op.size * 8);
      case 'atomic':
        return number(op.size * 8);
      case 'array-lookup':
        // An element of an array of maps may be empty.
        if (op.map.type === 'array_of_maps') return this.#assumptions.verified ? pointer : number(32);
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
      case 'helper-indirect':
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
