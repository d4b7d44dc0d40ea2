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
} from '../../plane/layout/trait.ts';
import type { Emitter } from '../emitter.ts';
import { I32, wasm } from '../wasm/opcodes.ts';

export const HEADER = 16;
/** Length by code, the first of code 1; bytes are `(low + 2 high + both) << shift`, or without the first two terms `(high + both) << shift`. */
export const layouts: ReadonlyMap<number, Layout> = new Map([
  [TRAITS_2_4_8, { lengths: [2, 4, 8], shift: 1, weighted: true }],
  [TRAITS_0_4_8, { lengths: [0, 4, 8], shift: 2, weighted: false }],
  [TRAITS_4_8_16, { lengths: [4, 8, 16], shift: 2, weighted: true }],
]);

export interface Layout {
  readonly lengths: readonly number[];
  readonly shift: number;
  readonly weighted: boolean;
}

/** Locals of the area's address and of its header, and what is known of it. */
export interface Place {
  readonly layout: Layout;
  readonly placement: number;
  readonly area: number;
  readonly high: number;
  readonly low: number;
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
export function pushIsSet({ code }: Emitter, { high, low }: Place, key: number): void {
  code.get(high);
  code.get(low);
  code.op(wasm.i64Or);
  code.i64(BigInt(key));
  code.op(wasm.i64ShrU);
  code.i64(1n);
  code.op(wasm.i64And);
}

/** Leaves an i64 that is 0 unless the key has the code. */
export function pushIsOfCode({ code }: Emitter, { high, low }: Place, value: Value): void {
  const word = (local: number, wanted: boolean): void => {
    code.get(local);
    if (wanted) return;
    code.i64(-1n);
    code.op(wasm.i64Xor);
  };
  word(high, (value.code & 2) !== 0);
  word(low, (value.code & 1) !== 0);
  code.op(wasm.i64And);
  code.i64(bitOf(value.key));
  code.op(wasm.i64And);
}

export function bitOf(key: number): bigint {
  return BigInt.asIntN(64, 1n << BigInt(key));
}

/** Leaves the bytes of the values whose keys are in `mask`, i32. */
export function pushSize({ code }: Emitter, { layout, high, low }: Place, mask: bigint): void {
  if (mask === 0n) {
    code.i32(0);
    return;
  }
  const masked = (push: () => void): void => {
    push();
    if (mask !== ALL) {
      code.i64(BigInt.asIntN(64, mask));
      code.op(wasm.i64And);
    }
    code.op(wasm.i64Popcnt);
  };
  masked(() => code.get(high));
  if (layout.weighted) {
    code.i64(1n);
    code.op(wasm.i64Shl);
    masked(() => code.get(low));
    code.op(wasm.i64Add);
  }
  masked(() => {
    code.get(high);
    code.get(low);
    code.op(wasm.i64And);
  });
  code.op(wasm.i64Add);
  code.op(wasm.i32WrapI64);
  code.i32(layout.shift);
  code.op(wasm.i32Shl);
}

export const ALL = (1n << 64n) - 1n;

/** Between the program's memory (r3) and `behind` bytes behind `at`. */
export function copy(e: Emitter, kind: 'get' | 'set', at: number, behind: number, length: number): void {
  const { code } = e;
  for (let done = 0; done < length; done += 8) {
    const left = length - done;
    const [load, store] =
      left >= 8
        ? ([wasm.i64Load, wasm.i64Store] as const)
        : left === 4
          ? ([wasm.i32Load, wasm.i32Store] as const)
          : ([wasm.i32Load16U, wasm.i32Store16] as const);
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
