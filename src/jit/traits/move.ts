/** Insertion and deletion of traits, expanded. */
import { FRAME_DATA, FRAME_DATA_META, FRAME_HARD_START, XDP_FRAME_RESERVED } from '../../plane/layout/frame.ts';
import { TRAITS_META } from '../../plane/layout/trait.ts';
import type { Emitter } from '../emitter.ts';
import { I32, wasm } from '../wasm/opcodes.ts';
import {
  ALL,
  accesses,
  bitOf,
  codeBit,
  copy,
  headerSize,
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
 * Values in words (of 4 bytes) are moved in steps of 8 bytes: what goes beyond what is to be moved lands in the new value's place, which is written after. Others are moved to the
 * byte, and only where the area grows up: its length is a multiple of 4 where it grows down, with a gap at its end.
 */
export function isMoved({ grain }: Layout, placement: number): boolean {
  return grain === 4 || placement !== TRAITS_META;
}

export function isInserted({ layout, placement }: Place, { length }: Value): boolean {
  return isMoved(layout, placement) && (length !== 0 || placement !== TRAITS_META);
}

/** Makes room for the value and writes it, with its code; branches to label 1 where there is no room. The label at 0 is left behind. */
export function emitInsertion(e: Emitter, place: Place, value: Value): void {
  const { code } = e;
  const at = e.scratch('trait-value', I32);
  const end = e.scratch('trait-end', I32);
  const down = place.placement === TRAITS_META;
  // First byte behind the last value.
  pushValues(e, place);
  pushSize(e, place, ALL);
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
  pushValues(e, place);
  pushSize(e, place, (1n << BigInt(value.key)) - 1n);
  code.op(wasm.i32Add);
  code.set(at);
  const by = (): void => code.i32(value.length);
  const { grain } = place.layout;
  const exact = grain < 4;
  if (down) moveDown(e, { grain, exact, from: () => pushValues(e, place), to: () => code.get(at), by });
  else if (value.length !== 0) moveUp(e, { grain, exact, from: () => code.get(at), to: () => code.get(end), by });
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
  writeHeader(e, place, (bit) => ((value.code & bit) !== 0 ? { op: wasm.i64Or, with: bitOf(value.key) } : undefined));
}

/** Takes out a value that is there, of whatever length; branches to label 0 where the header says more than there is. */
export function emitDeletion(e: Emitter, place: Place, key: number): void {
  const { code } = e;
  const at = e.scratch('trait-value', I32);
  const end = e.scratch('trait-end', I32);
  const length = e.scratch('trait-length', I32);
  const down = place.placement === TRAITS_META;
  pushValues(e, place);
  pushSize(e, place, ALL);
  code.op(wasm.i32Add);
  code.tee(end);
  pushEnd(e, place.placement);
  // In metadata there may be a gap, which the plane closes.
  code.op(down ? wasm.i32Ne : wasm.i32GtU);
  code.branch(wasm.brIf, 0);
  pushSize(e, place, bitOf(key));
  code.set(length);
  pushValues(e, place);
  pushSize(e, place, (1n << BigInt(key)) - 1n);
  code.op(wasm.i32Add);
  code.set(at);
  code.get(length);
  code.open(wasm.if);
  const by = (): void => code.get(length);
  const behind = (): void => {
    code.get(at);
    code.get(length);
    code.op(wasm.i32Add);
  };
  const { grain } = place.layout;
  // Behind the last value may be its area's end.
  if (down) moveUp(e, { grain, exact: grain < 4, from: () => pushValues(e, place), to: () => code.get(at), by });
  else moveDown(e, { grain, exact: true, from: behind, to: () => code.get(end), by });
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
  writeHeader(e, place, () => ({ op: wasm.i64And, with: ~bitOf(key) }));
}

/** Stores the words of the header (bits of codes, the highest first) as they are to be; without a change only where the header itself has moved. */
function writeHeader(
  { code }: Emitter,
  place: Place,
  change: (bit: number) => { readonly op: number; readonly with: bigint } | undefined,
): void {
  for (const [i, word] of place.words.entries()) {
    const changed = change(codeBit(place, i));
    if (changed === undefined && place.placement !== TRAITS_META) continue;
    code.get(place.area);
    code.get(word);
    if (changed !== undefined) {
      code.i64(changed.with);
      code.op(changed.op);
    }
    code.memory(wasm.i64Store, i * 8);
  }
}

/** Leaves the address of the first value. */
function pushValues({ code }: Emitter, { area, layout }: Place): void {
  code.get(area);
  code.i32(headerSize(layout));
  code.op(wasm.i32Add);
}

interface Move {
  /** What the number of bytes is a multiple of. */
  readonly grain: Layout['grain'];
  /** No byte but those is read or written. Else, of values in words, 4 bytes more, behind the last or before the first. */
  readonly exact: boolean;
  /** Leave i32s: the bytes [from, to) that move, and by how much. */
  from(): void;
  to(): void;
  by(): void;
}

/** Down, the first first. If it need not be exact, the last step goes up to 4 bytes beyond `to`: to where something is written after. */
function moveDown(e: Emitter, move: Move): void {
  const { code } = e;
  const moved = e.scratch('trait-moved', I32);
  const step = (size: 8 | 4 | 2 | 1): void => {
    const [load, store] = accesses[size];
    code.get(moved);
    move.by();
    code.op(wasm.i32Sub);
    code.get(moved);
    code.memory(load, 0);
    code.memory(store, 0);
    code.get(moved);
    code.i32(size);
    code.op(wasm.i32Add);
    code.set(moved);
  };
  move.from();
  code.set(moved);
  code.open(wasm.block);
  code.open(wasm.loop);
  code.get(moved);
  if (move.exact) {
    code.i32(8);
    code.op(wasm.i32Add);
  }
  move.to();
  code.op(move.exact ? wasm.i32GtU : wasm.i32GeU);
  code.branch(wasm.brIf, 1);
  step(8);
  code.branch(wasm.br, 0);
  code.end();
  code.end();
  rest(e, move, step, () => {
    move.to();
    code.get(moved);
    code.op(wasm.i32Sub);
  });
}

/** Up, the last first. If it need not be exact, the last step begins up to 4 bytes before `from`: its bytes go to where something is written after. */
function moveUp(e: Emitter, move: Move): void {
  const { code } = e;
  const moved = e.scratch('trait-moved', I32);
  const step = (size: 8 | 4 | 2 | 1): void => {
    const [load, store] = accesses[size];
    code.get(moved);
    code.i32(size);
    code.op(wasm.i32Sub);
    code.tee(moved);
    move.by();
    code.op(wasm.i32Add);
    code.get(moved);
    code.memory(load, 0);
    code.memory(store, 0);
  };
  move.to();
  code.set(moved);
  code.open(wasm.block);
  code.open(wasm.loop);
  code.get(moved);
  move.from();
  if (move.exact) {
    code.i32(8);
    code.op(wasm.i32Add);
  }
  code.op(move.exact ? wasm.i32LtU : wasm.i32LeU);
  code.branch(wasm.brIf, 1);
  step(8);
  code.branch(wasm.br, 0);
  code.end();
  code.end();
  rest(e, move, step, () => {
    code.get(moved);
    move.from();
    code.op(wasm.i32Sub);
  });
}

/** What is left of less than 8 bytes, in halves, as far as the grain goes. `left` leaves how many those are. */
function rest(e: Emitter, { grain, exact }: Move, step: (size: 4 | 2 | 1) => void, left: () => void): void {
  if (!exact) return;
  const { code } = e;
  for (const size of [4, 2, 1] as const) {
    if (size < grain) break;
    left();
    code.i32(size);
    code.op(wasm.i32And);
    code.open(wasm.if);
    step(size);
    code.end();
  }
}
