/** Insertion and deletion of traits, expanded: of values in words, which are moved in steps of 8 bytes. */
import { FRAME_DATA, FRAME_DATA_META, FRAME_HARD_START, XDP_FRAME_RESERVED } from '../../plane/layout/frame.ts';
import { TRAITS_META } from '../../plane/layout/trait.ts';
import type { Emitter } from '../emitter.ts';
import { I32, wasm } from '../wasm/opcodes.ts';
import {
  ALL,
  bitOf,
  copy,
  HEADER,
  type Layout,
  type Place,
  pushEnd,
  pushFrameField,
  pushSize,
  type Value,
} from './area.ts';

/** Longest metadata of an sk_buff, in bytes. */
const META_MAX = 252;

/**
 * Insertions are expanded where values come in words: then what is moved in steps of 8 bytes and goes beyond what is to be moved lands in the new value's place,
 * which is written after.
 */
export function isInserted(place: Place, { length }: Value): boolean {
  return inWords(place.layout) && length >= 4;
}

export function inWords({ lengths }: Layout): boolean {
  return lengths.every((each) => each % 4 === 0);
}

/** Makes room for the value and writes it, with its code; branches to label 1 where there is no room. The label at 0 is left behind. */
export function emitInsertion(e: Emitter, place: Place, value: Value): void {
  const { code } = e;
  const at = e.scratch('trait-value', I32);
  const moved = e.scratch('trait-moved', I32);
  const end = e.scratch('trait-end', I32);
  const down = place.placement === TRAITS_META;
  // First byte behind the last value.
  code.get(place.area);
  pushSize(e, place, ALL);
  code.op(wasm.i32Add);
  code.i32(HEADER);
  code.op(wasm.i32Add);
  code.set(end);
  // Room: behind the values, or in front of the header.
  code.get(end);
  if (!down) {
    code.i32(value.length);
    code.op(wasm.i32Add);
  }
  pushEnd(e, place.placement);
  code.op(wasm.i32GtU);
  code.branch(wasm.brIf, 1);
  if (down) {
    // The headroom's first usable byte, and the longest metadata.
    code.get(place.area);
    code.i32(value.length);
    code.op(wasm.i32Sub);
    pushFrameField(e, FRAME_HARD_START);
    code.i32(XDP_FRAME_RESERVED);
    code.op(wasm.i32Add);
    code.op(wasm.i32LtU);
    code.branch(wasm.brIf, 1);
    pushFrameField(e, FRAME_DATA);
    code.get(place.area);
    code.op(wasm.i32Sub);
    code.i32(META_MAX - value.length);
    code.op(wasm.i32GtU);
    code.branch(wasm.brIf, 1);
    // A header that says less than there is: the plane closes the gap.
    code.get(end);
    pushFrameField(e, FRAME_DATA);
    code.op(wasm.i32Ne);
    code.branch(wasm.brIf, 1);
  }
  code.get(place.area);
  pushSize(e, place, (1n << BigInt(value.key)) - 1n);
  code.op(wasm.i32Add);
  code.i32(HEADER);
  code.op(wasm.i32Add);
  code.set(at);
  if (down) moveDown(e, place.area, at, moved, value.length);
  else moveUp(e, at, end, moved, value.length);
  if (down) {
    code.get(at);
    code.i32(value.length);
    code.op(wasm.i32Sub);
    code.set(at);
    code.get(place.area);
    code.i32(value.length);
    code.op(wasm.i32Sub);
    code.set(place.area);
    e.push(1, I32);
    code.get(place.area);
    code.memory(wasm.i32Store, FRAME_DATA_META);
  }
  copy(e, 'set', at, 0, value.length);
  const words = [
    [place.high, 2, 0],
    [place.low, 1, 8],
  ] as const;
  for (const [local, bit, offset] of words) {
    const sets = (value.code & bit) !== 0;
    if (!sets && !down) continue;
    code.get(place.area);
    code.get(local);
    if (sets) {
      code.i64(bitOf(value.key));
      code.op(wasm.i64Or);
    }
    code.memory(wasm.i64Store, offset);
  }
}

/** The bytes from `at` to `end`, up by `length`, the last first. */
function moveUp({ code }: Emitter, at: number, end: number, moved: number, length: number): void {
  code.get(end);
  code.set(moved);
  code.open(wasm.block);
  code.open(wasm.loop);
  code.get(moved);
  code.get(at);
  code.op(wasm.i32LeU);
  code.branch(wasm.brIf, 1);
  code.get(moved);
  code.i32(8);
  code.op(wasm.i32Sub);
  code.tee(moved);
  code.get(moved);
  code.memory(wasm.i64Load, 0);
  code.memory(wasm.i64Store, length);
  code.branch(wasm.br, 0);
  code.end();
  code.end();
}

/** The values before `at`, down by `length`, the first first; the header is written anew. */
function moveDown({ code }: Emitter, area: number, at: number, moved: number, length: number): void {
  code.get(area);
  code.i32(HEADER);
  code.op(wasm.i32Add);
  code.set(moved);
  code.open(wasm.block);
  code.open(wasm.loop);
  code.get(moved);
  code.get(at);
  code.op(wasm.i32GeU);
  code.branch(wasm.brIf, 1);
  code.get(moved);
  code.i32(length);
  code.op(wasm.i32Sub);
  code.get(moved);
  code.memory(wasm.i64Load, 0);
  code.memory(wasm.i64Store, 0);
  code.get(moved);
  code.i32(8);
  code.op(wasm.i32Add);
  code.set(moved);
  code.branch(wasm.br, 0);
  code.end();
  code.end();
}

/** Takes out a value that is there, of whatever length; branches to label 0 where the header says more than there is. */
export function emitDeletion(e: Emitter, place: Place, key: number): void {
  const { code } = e;
  const at = e.scratch('trait-value', I32);
  const moved = e.scratch('trait-moved', I32);
  const end = e.scratch('trait-end', I32);
  const length = e.scratch('trait-length', I32);
  const down = place.placement === TRAITS_META;
  code.get(place.area);
  pushSize(e, place, ALL);
  code.op(wasm.i32Add);
  code.i32(HEADER);
  code.op(wasm.i32Add);
  code.tee(end);
  pushEnd(e, place.placement);
  // In metadata there may be a gap, which the plane closes.
  code.op(down ? wasm.i32Ne : wasm.i32GtU);
  code.branch(wasm.brIf, 0);
  pushSize(e, place, bitOf(key));
  code.set(length);
  code.get(place.area);
  pushSize(e, place, (1n << BigInt(key)) - 1n);
  code.op(wasm.i32Add);
  code.i32(HEADER);
  code.op(wasm.i32Add);
  code.set(at);
  code.get(length);
  code.open(wasm.if);
  if (down) closeFromBelow(e, place, at, moved, length);
  else closeFromAbove(e, at, end, moved, length);
  code.end();
  if (down) {
    code.get(place.area);
    code.get(length);
    code.op(wasm.i32Add);
    code.set(place.area);
    e.push(1, I32);
    code.get(place.area);
    code.memory(wasm.i32Store, FRAME_DATA_META);
  }
  for (const [local, offset] of [
    [place.high, 0],
    [place.low, 8],
  ] as const) {
    code.get(place.area);
    code.get(local);
    code.i64(~bitOf(key));
    code.op(wasm.i64And);
    code.memory(wasm.i64Store, offset);
  }
}

/** The values behind the one at `at`, down over it, the first first. The last step may reach 4 bytes behind the last value's new place, where it was before. */
function closeFromAbove({ code }: Emitter, at: number, end: number, moved: number, length: number): void {
  code.get(at);
  code.set(moved);
  code.open(wasm.block);
  code.open(wasm.loop);
  code.get(moved);
  code.get(length);
  code.op(wasm.i32Add);
  code.get(end);
  code.op(wasm.i32GeU);
  code.branch(wasm.brIf, 1);
  code.get(moved);
  code.get(moved);
  code.get(length);
  code.op(wasm.i32Add);
  code.memory(wasm.i64Load, 0);
  code.memory(wasm.i64Store, 0);
  code.get(moved);
  code.i32(8);
  code.op(wasm.i32Add);
  code.set(moved);
  code.branch(wasm.br, 0);
  code.end();
  code.end();
}

/** The values before `at`, up over the one there, the last first. The last step may reach 4 bytes into the header's new place, which is written after. */
function closeFromBelow({ code }: Emitter, { area }: Place, at: number, moved: number, length: number): void {
  code.get(at);
  code.set(moved);
  code.open(wasm.block);
  code.open(wasm.loop);
  code.get(moved);
  code.get(area);
  code.i32(HEADER);
  code.op(wasm.i32Add);
  code.op(wasm.i32LeU);
  code.branch(wasm.brIf, 1);
  code.get(moved);
  code.i32(8);
  code.op(wasm.i32Sub);
  code.tee(moved);
  code.get(length);
  code.op(wasm.i32Add);
  code.get(moved);
  code.memory(wasm.i64Load, 0);
  code.memory(wasm.i64Store, 0);
  code.branch(wasm.br, 0);
  code.end();
  code.end();
}
