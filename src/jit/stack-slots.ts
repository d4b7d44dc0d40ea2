/**
 * Stack slots that only direct loads and stores of one size touch become registers of their own (FIRST_SLOT_REGISTER and on).
 * A pointer that leaves for a helper reaches as far as the helper's prototype says; one that goes anywhere else reaches
 * the whole frame, and then every slot stays in memory.
 */
import type { AccessSize } from '../isa/operation.ts';
import { FRAME_SIZE } from '../plane/layout/memory.ts';
import type { Fact } from './fact.ts';
import type { Facts } from './facts.ts';
import {
  type Block,
  definition,
  FIRST_SLOT_REGISTER,
  NO_REGISTER,
  type Op,
  type Register,
  visitEndUses,
  visitUses,
} from './ir.ts';
import type { WebCursor, Webs } from './webs.ts';

export interface PromotedSlots {
  readonly blocks: readonly Block[];
  readonly registers: number;
}

/** More would make liveness of long programs slow; the slots beyond stay in memory. */
const MOST_SLOTS = 96;
const MAP_KEY_OF_ARRAY = 4;

/** undefined where no slot can be promoted. */
export function promoteSlots(webs: Webs, facts: Facts): PromotedSlots | undefined {
  const accesses = new Accesses();
  for (const number of webs.graph.order) {
    const cursor = webs.cursor(number);
    const block = webs.blocks[number]!;
    for (const op of block.ops) {
      survey(op, cursor, facts, accesses);
      cursor.step(op);
    }
    // A comparison or a result does not reach into the frame; any other use at a block's end does.
    visitEndUses(block.end, (register) => {
      if (block.end.kind === 'switch' && facts.of(cursor.web(register)).kind === 'frame') accesses.escapeAll();
    });
  }
  const slots = accesses.promotable();
  if (slots.size === 0) return undefined;
  const blocks = webs.blocks.map((block, number): Block => {
    const cursor = webs.cursor(number);
    const ops = block.ops.map((op) => {
      const rewritten = rewrite(op, cursor, facts, slots);
      cursor.step(op);
      return rewritten;
    });
    return { ...block, ops };
  });
  return { blocks, registers: FIRST_SLOT_REGISTER + slots.size };
}

const NOT_PROMOTABLE = 0;

class Accesses {
  /** Size of the accesses that begin at an offset from r10; NOT_PROMOTABLE where they differ. */
  readonly #sizes = new Map<number, number>();
  /** Bytes of the frame, from its lowest, that a pointer outside of direct accesses reaches. */
  readonly #escaped = new Uint8Array(FRAME_SIZE);

  direct(offset: number, size: number): void {
    const known = this.#sizes.get(offset);
    this.#sizes.set(offset, known === undefined || known === size ? size : NOT_PROMOTABLE);
    if (known !== undefined && known !== size) this.escape(offset, Math.max(known, size));
  }

  escape(offset: number, size: number): void {
    this.#escaped.fill(1, Math.max(0, FRAME_SIZE + offset), Math.max(0, FRAME_SIZE + offset + size));
  }

  escapeAll(): void {
    this.#escaped.fill(1);
  }

  /** Register by offset. */
  promotable(): Map<number, Register> {
    const sorted = [...this.#sizes].sort((a, b) => a[0] - b[0]);
    // A slot that reaches into the next one is in memory, and with it whatever it reaches into.
    sorted.forEach(([offset, size], at) => {
      const next = sorted[at + 1];
      if (next !== undefined && offset + size > next[0]) this.escape(offset, size);
    });
    const slots = new Map<number, Register>();
    for (const [offset, size] of sorted) {
      if (size === NOT_PROMOTABLE || offset < -FRAME_SIZE || offset + size > 0 || slots.size === MOST_SLOTS) continue;
      if (this.#escaped.subarray(FRAME_SIZE + offset, FRAME_SIZE + offset + size).includes(1)) continue;
      slots.set(offset, FIRST_SLOT_REGISTER + slots.size);
    }
    return slots;
  }
}

function survey(op: Op, cursor: WebCursor, facts: Facts, accesses: Accesses): void {
  const fact = (register: Register): Fact => facts.of(cursor.web(register));
  const mustNotBeFrame = (register: Register): void => {
    if (register !== NO_REGISTER && fact(register).kind === 'frame') accesses.escapeAll();
  };
  switch (op.kind) {
    case 'load':
    case 'store': {
      const base = fact(op.base);
      if (base.kind === 'frame') accesses.direct(base.offset + op.off, op.size);
      if (op.kind === 'store') mustNotBeFrame(op.b);
      return;
    }
    case 'load-acquire':
    case 'store-release':
    case 'atomic': {
      const base = fact(op.base);
      if (base.kind === 'frame') accesses.escape(base.offset + op.off, op.size);
      if (op.kind !== 'load-acquire') mustNotBeFrame(op.src);
      return;
    }
    case 'array-lookup': {
      const key = fact(2);
      if (key.kind === 'frame') accesses.direct(key.offset, MAP_KEY_OF_ARRAY);
      return;
    }
    case 'helper':
      surveyHelper(op, fact, accesses);
      return;
    default: {
      const isAddressAgain = definition(op) !== NO_REGISTER && facts.of(cursor.defined()).kind === 'frame';
      if (!isAddressAgain) visitUses(op, mustNotBeFrame);
    }
  }
}

function surveyHelper(
  op: Extract<Op, { kind: 'helper' }>,
  fact: (register: Register) => Fact,
  accesses: Accesses,
): void {
  const { args, fixedSize } = op.prototype;
  const constant = (register: Register): number | undefined => {
    const known = fact(register);
    return known.kind === 'const' && known.value <= BigInt(FRAME_SIZE) ? Number(known.value) : undefined;
  };
  const mapAt = args.indexOf('const_map_ptr');
  const mapFact = mapAt === -1 ? undefined : fact(mapAt + 1);
  const map = mapFact?.kind === 'const' ? mapFact.map : undefined;
  args.forEach((type, at) => {
    const pointer = fact(at + 1);
    if (pointer.kind !== 'frame') return;
    let size: number | undefined;
    switch (type) {
      case 'map_key':
        size = map?.keySize;
        break;
      case 'map_value':
      case 'map_value_uninit':
        size = map?.valueSize;
        break;
      case 'mem':
      case 'mem_or_null':
      case 'mem_uninit':
        size = constant(at + 2);
        break;
      case 'fixed_mem':
      case 'fixed_mem_uninit':
        size = fixedSize?.[at];
        break;
      case 'long_ptr':
        size = 8;
        break;
      case 'int_ptr':
        size = 4;
        break;
    }
    if (size === undefined) accesses.escapeAll();
    else accesses.escape(pointer.offset, size);
  });
}

function rewrite(op: Op, cursor: WebCursor, facts: Facts, slots: ReadonlyMap<number, Register>): Op {
  const registerAt = (base: Register, off: number): Register | undefined => {
    const fact = facts.of(cursor.web(base));
    return fact.kind === 'frame' ? slots.get(fact.offset + off) : undefined;
  };
  const { slot } = op;
  switch (op.kind) {
    case 'load': {
      const src = registerAt(op.base, op.off);
      if (src === undefined) return op;
      const { dst, size } = op;
      if (!op.signed || size === 8) return { slot, kind: 'mov', dst, src };
      return { slot, kind: 'extend', dst, src, bits: bitsOf(size), signed: true, width: 64 };
    }
    case 'store': {
      const dst = registerAt(op.base, op.off);
      if (dst === undefined) return op;
      if (op.b === NO_REGISTER) {
        const value = BigInt.asUintN(op.size * 8, BigInt(op.imm));
        return { slot, kind: 'const', dst, value, map: undefined, address: false };
      }
      if (op.size === 8) return { slot, kind: 'mov', dst, src: op.b };
      return { slot, kind: 'extend', dst, src: op.b, bits: bitsOf(op.size), signed: false, width: 64 };
    }
    case 'array-lookup': {
      const key = registerAt(2, 0);
      return key === undefined ? op : { ...op, key };
    }
    default:
      return op;
  }
}

function bitsOf(size: Exclude<AccessSize, 8>): 8 | 16 | 32 {
  return size === 1 ? 8 : size === 2 ? 16 : 32;
}
