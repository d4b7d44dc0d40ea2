/** Where the traits of a frame are and what their header says, as WebAssembly (plane/layout/trait.ts). */
import {
  FRAME_DATA,
  FRAME_DATA_META,
  FRAME_HARD_START,
  FRAME_TRAITS_SIDE,
  XDP_FRAME_RESERVED,
} from '../../plane/layout/frame.ts';
import {
  TRAITS_0_4_8,
  TRAITS_2_4_8,
  TRAITS_4_8_16,
  TRAITS_FRONT,
  TRAITS_META,
  TRAITS_SIDE_SIZE,
  TRAITS_WIDE,
} from '../../plane/layout/trait.ts';
import type { Emitter } from '../emitter.ts';
import { I32, wasm } from '../wasm/opcodes.ts';

/** Length by code, the first of code 1. */
export const layouts: ReadonlyMap<number, Layout> = new Map([
  [TRAITS_2_4_8, { lengths: [2, 4, 8], words: 2, grain: 2 }],
  [TRAITS_0_4_8, { lengths: [0, 4, 8], words: 2, grain: 4 }],
  [TRAITS_4_8_16, { lengths: [4, 8, 16], words: 2, grain: 4 }],
  [TRAITS_WIDE, { lengths: [0, 1, 2, 4, 8, 16], words: 3, grain: 1 }],
]);

export interface Layout {
  readonly lengths: readonly number[];
  /** Of the header. */
  readonly words: 2 | 3;
  /** What all lengths are multiples of. */
  readonly grain: 1 | 2 | 4;
}

export function headerSize({ words }: Layout): number {
  return words * 8;
}

/** Locals of the area's address and of its header, and what is known of it. */
export interface Place {
  readonly layout: Layout;
  /** Of the layout (TRAITS_*). */
  readonly number: number;
  readonly placement: number;
  readonly area: number;
  /** The header's words, that of the highest bit of codes first. */
  readonly words: readonly number[];
}

export interface Value {
  readonly kind: 'get' | 'set';
  readonly key: number;
  readonly length: number;
  readonly code: number;
}
export type Access = Value | { readonly kind: 'is-set' | 'del'; readonly key: number };

export function pushFrameField(e: Emitter, field: number): void {
  e.push(1, I32);
  e.code.memory(wasm.i32Load, field);
}

export function pushArea(e: Emitter, placement: number): void {
  if (placement === TRAITS_FRONT) {
    pushFrameField(e, FRAME_HARD_START);
    e.code.i32(XDP_FRAME_RESERVED);
    e.code.op(wasm.i32Add);
  } else pushFrameField(e, placement === TRAITS_META ? FRAME_DATA_META : FRAME_TRAITS_SIDE);
}

export function pushEnd(e: Emitter, placement: number): void {
  if (placement === TRAITS_FRONT) pushFrameField(e, FRAME_DATA_META);
  else if (placement === TRAITS_META) pushFrameField(e, FRAME_DATA);
  else {
    pushFrameField(e, FRAME_TRAITS_SIDE);
    e.code.i32(TRAITS_SIDE_SIZE);
    e.code.op(wasm.i32Add);
  }
}

/** Leaves 1 or 0, i64. */
export function pushIsSet({ code }: Emitter, { words }: Place, key: number): void {
  for (const [i, word] of words.entries()) {
    code.get(word);
    if (i > 0) code.op(wasm.i64Or);
  }
  code.i64(BigInt(key));
  code.op(wasm.i64ShrU);
  code.i64(1n);
  code.op(wasm.i64And);
}

/** Bit of codes that the word at this index has. */
export function codeBit({ words }: Place, index: number): number {
  return 1 << (words.length - 1 - index);
}

/** Leaves an i64 that is 0 unless the key has the code. */
export function pushIsOfCode({ code }: Emitter, place: Place, value: Value): void {
  for (const [i, word] of place.words.entries()) {
    code.get(word);
    if ((value.code & codeBit(place, i)) === 0) {
      code.i64(-1n);
      code.op(wasm.i64Xor);
    }
    if (i > 0) code.op(wasm.i64And);
  }
  code.i64(bitOf(value.key));
  code.op(wasm.i64And);
}

export function bitOf(key: number): bigint {
  return BigInt.asIntN(64, 1n << BigInt(key));
}

/** Bits that are counted: those of one word, or of two at once; and what each counts for. */
type Count = readonly [words: readonly number[], weight: number];
const counts: ReadonlyMap<number, readonly Count[]> = new Map<number, readonly Count[]>([
  [
    TRAITS_2_4_8,
    [
      [[0], 4],
      [[1], 2],
      [[0, 1], 2],
    ],
  ],
  [
    TRAITS_0_4_8,
    [
      [[0], 4],
      [[0, 1], 4],
    ],
  ],
  [
    TRAITS_4_8_16,
    [
      [[0], 8],
      [[1], 4],
      [[0, 1], 4],
    ],
  ],
  [
    TRAITS_WIDE,
    [
      [[0], 4],
      [[0, 2], 4],
      [[1], 1],
      [[1, 2], 1],
      [[0, 1], 11],
    ],
  ],
]);

/** Leaves the bytes of the values whose keys are in `mask`, i32. Counts of the same weight are added before they are weighed. */
export function pushSize({ code }: Emitter, { number, words }: Place, mask: bigint): void {
  if (mask === 0n) {
    code.i32(0);
    return;
  }
  const weights = new Map<number, (readonly number[])[]>();
  for (const [of, weight] of counts.get(number)!) weights.set(weight, [...(weights.get(weight) ?? []), of]);
  for (const [term, [weight, alike]] of [...weights].entries()) {
    for (const [i, of] of alike.entries()) {
      for (const [j, word] of of.entries()) {
        code.get(words[word]!);
        if (j > 0) code.op(wasm.i64And);
      }
      if (mask !== ALL) {
        code.i64(BigInt.asIntN(64, mask));
        code.op(wasm.i64And);
      }
      code.op(wasm.i64Popcnt);
      if (i > 0) code.op(wasm.i64Add);
    }
    if (weight !== 1) {
      const shift = Math.log2(weight);
      code.i64(BigInt(Number.isInteger(shift) ? shift : weight));
      code.op(Number.isInteger(shift) ? wasm.i64Shl : wasm.i64Mul);
    }
    if (term > 0) code.op(wasm.i64Add);
  }
  code.op(wasm.i32WrapI64);
}

export const ALL = (1n << 64n) - 1n;

/** Opcodes by length in bytes. */
export const accesses = {
  8: [wasm.i64Load, wasm.i64Store],
  4: [wasm.i32Load, wasm.i32Store],
  2: [wasm.i32Load16U, wasm.i32Store16],
  1: [wasm.i32Load8U, wasm.i32Store8],
} as const;

/** Between the program's memory (r3) and `behind` bytes behind `at`. */
export function copy(e: Emitter, kind: 'get' | 'set', at: number, behind: number, length: number): void {
  const { code } = e;
  for (let done = 0; done < length; done += 8) {
    const [load, store] = accesses[Math.min(length - done, 8) as keyof typeof accesses];
    if (kind === 'get') {
      const offset = e.pushAddress(3, done);
      code.get(at);
      code.memory(load, behind + done);
      code.memory(store, offset);
    } else {
      code.get(at);
      const offset = e.pushAddress(3, done);
      code.memory(load, offset);
      code.memory(store, behind + done);
    }
  }
}
