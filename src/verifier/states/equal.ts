/** Whether a state is covered by one that was explored before: then whatever follows was proven already. */

import { MAX_CALL_FRAMES } from '../../plane/layout/worker.ts';
import * as k from '../kinds.ts';
import { AUX, AUX2, BYTES, FLAGS, ID, KIND, OFFSET, PRECISE, RECORD, REFERENCE } from '../layout.ts';
import type { Verification } from '../verification.ts';
import { arithmetic, bytes, COMPARED, FRAME_BYTES, frameAt, REGISTERS, slotAt, UNKNOWN, words } from './records.ts';
import type { SavedFrame, SavedState } from './state.ts';

/**
 * `covered`: precision and liveness count. `range`: every scalar must lie inside, all registers and slots count. `exact`: nothing has
 * changed at all.
 */
export type Comparison = 'covered' | 'range' | 'exact';

const RECORD_WORDS = RECORD / 4;
const ALL_REGISTERS = (1 << REGISTERS) - 1;
/** Each record has up to three ids. */
const MAX_RECORDS = 4 * MAX_CALL_FRAMES * (FRAME_BYTES / RECORD);
const W = { kind: KIND / 4, flags: FLAGS / 4, id: ID / 4, reference: REFERENCE / 4, offset: OFFSET / 4 };

/** Pairs of ids, old and new, that stand for each other; as many as there are records in all frames. */
const oldIds = new Int32Array(MAX_RECORDS);
const newIds = new Int32Array(MAX_RECORDS);
let pairs = 0;

function idsMatch(old: number, now: number): boolean {
  if (old === 0 || now === 0) return old === now;
  for (let i = 0; i < pairs; i++) {
    if (oldIds[i] === old) return newIds[i] === now;
    if (newIds[i] === now) return false;
  }
  oldIds[pairs] = old;
  newIds[pairs++] = now;
  return true;
}

let fresh = 0x4000_0000;
/** Scalars: an unlinked one fits in the place of any that is linked to nothing else. */
function scalarIdsMatch(old: number, now: number): boolean {
  if (old === 0 && now === 0) return true;
  return idsMatch(old !== 0 ? old : ++fresh, now !== 0 ? now : ++fresh);
}

export function statesEqual(v: Verification, old: SavedState, comparison: Comparison): boolean {
  const { state } = v;
  if (old.frames.length !== state.frames.length) return false;
  if (old.locks.length !== state.locks.length) return false;
  if (old.preempt !== state.preempt || (old.interrupts === 0) !== (state.interrupts === 0)) return false;
  if (old.rcu !== state.rcu || old.sleepable !== state.sleepable) return false;
  if (old.references.length !== state.references.length) return false;
  pairs = 0;
  fresh = 0x4000_0000;
  for (let i = 0; i < old.references.length; i++)
    if (
      old.references[i]!.kind !== state.references[i]!.kind ||
      !idsMatch(old.references[i]!.id, state.references[i]!.id)
    )
      return false;
  if (!idsMatch(old.interrupts, state.interrupts)) return false;
  for (let i = 0; i < old.locks.length; i++) {
    const a = old.locks[i]!;
    const b = state.locks[i]!;
    if (a.kind !== b.kind || a.owner !== b.owner || !idsMatch(a.id, b.id)) return false;
  }
  const top = old.frames.length - 1;
  for (let depth = 0; depth <= top; depth++) {
    const a = old.frames[depth]!;
    const b = state.frames[depth]!;
    if (a.callsite !== b.callsite || a.fn !== b.fn || a.callback !== b.callback) return false;
    // Fewer rounds are left of a bounded bpf_loop than there were then.
    if (a.depth > b.depth) return false;
  }
  for (let depth = 0; depth <= top; depth++) {
    const slot = depth === top ? old.slot : old.frames[depth + 1]!.callsite;
    const live = v.code.live[slot]!;
    if (!framesEqual(v, old.frames[depth]!, depth, live, comparison)) return false;
  }
  return true;
}

function framesEqual(v: Verification, old: SavedFrame, depth: number, live: number, comparison: Comparison): boolean {
  const base = frameAt(depth);
  for (let left = live & ALL_REGISTERS; left !== 0; left &= left - 1) {
    const i = 31 - Math.clz32(left & -left);
    if (!recordsEqual(old.data, i * RECORD_WORDS, base + i * RECORD, comparison)) return false;
  }
  return stacksEqual(v, old, depth, comparison);
}

function same(data: Int32Array, at: number, r: number, from: number, to: number): boolean {
  const there = r >> 2;
  for (let i = from; i < to; i++) if (data[at + i] !== words[there + i]) return false;
  return true;
}

/** Bounds of the old record hold those of the new one. */
function holds(data: Int32Array, at: number, r: number): boolean {
  if (same(data, at, r, 8, 24)) return true;
  const to = COMPARED >> 2;
  for (let i = 8; i < 24; i++) words[to + i] = data[at + i]!;
  return arithmetic.within(COMPARED, r) !== 0;
}

function recordsEqual(data: Int32Array, at: number, r: number, comparison: Comparison): boolean {
  const kind = data[at + W.kind]!;
  const there = r >> 2;
  if (comparison === 'exact') {
    if (kind !== words[there + W.kind] || !same(data, at, r, 8, 24)) return false;
    if (kind === k.NOT_INIT) return true;
    return (
      data[at + W.flags] === words[there + W.flags] &&
      data[at + W.offset] === words[there + W.offset] &&
      data[at + AUX / 4] === words[there + AUX / 4] &&
      (kind !== k.BTF_ID || data[at + AUX2 / 4] === words[there + AUX2 / 4]) &&
      (kind === k.SCALAR
        ? scalarIdsMatch(data[at + W.id]!, words[there + W.id]!)
        : idsMatch(data[at + W.id]!, words[there + W.id]!)) &&
      idsMatch(data[at + W.reference]!, words[there + W.reference]!)
    );
  }
  if (kind === k.NOT_INIT) return true;
  if (kind !== words[there + W.kind]) return false;
  const flags = data[at + W.flags]!;
  const nowFlags = words[there + W.flags]!;
  if (kind === k.SCALAR) {
    if (comparison === 'covered' && data[at + PRECISE / 4] === 0) return true;
    if ((flags & k.ADD_CONST) !== (nowFlags & k.ADD_CONST)) return false;
    if ((flags & k.ADD_CONST) !== 0 && data[at + W.offset] !== words[there + W.offset]) return false;
    return holds(data, at, r) && scalarIdsMatch(data[at + W.id]!, words[there + W.id]!);
  }
  if (flags !== nowFlags) return false;
  if (data[at + W.offset] !== words[there + W.offset]) return false;
  if (!idsMatch(data[at + W.reference]!, words[there + W.reference]!)) return false;
  const aux = data[at + AUX / 4]!;
  const nowAux = words[there + AUX / 4]!;
  switch (kind) {
    case k.MAP_VALUE:
    case k.MAP_KEY:
    case k.MEM:
      if (aux !== nowAux || !idsMatch(data[at + AUX2 / 4]!, words[there + AUX2 / 4]!)) return false;
      return holds(data, at, r) && idsMatch(data[at + W.id]!, words[there + W.id]!);
    case k.PACKET:
    case k.PACKET_META:
      if (aux > nowAux || (aux < 0 && aux !== nowAux)) return false;
      if (data[at + W.id] !== 0 && !idsMatch(data[at + W.id]!, words[there + W.id]!)) return false;
      return holds(data, at, r);
    case k.BTF_ID:
      if (data[at + AUX2 / 4] !== words[there + AUX2 / 4]) return false;
      return aux === nowAux && same(data, at, r, 8, 24) && idsMatch(data[at + W.id]!, words[there + W.id]!);
    default:
      return aux === nowAux && same(data, at, r, 8, 24) && idsMatch(data[at + W.id]!, words[there + W.id]!);
  }
}

const oldBytes = new Uint8Array(8);
const oldWords = new Int32Array(oldBytes.buffer);

/** Eight bytes of unknown content are an unknown scalar. */
function allLoose(slotBytes: Uint8Array, from: number): boolean {
  for (let i = 0; i < 8; i++) {
    const type = slotBytes[from + i]!;
    if (type !== k.MISC && type !== k.INVALID) return false;
  }
  return true;
}

function stacksEqual(v: Verification, old: SavedFrame, depth: number, comparison: Comparison): boolean {
  const frame = v.state.frames[depth]!;
  const exact = comparison === 'exact';
  for (let slot = 0; slot < old.slots; slot++) {
    const at = (REGISTERS + slot) * RECORD_WORDS;
    oldWords[0] = old.data[at + BYTES / 4]!;
    oldWords[1] = old.data[at + BYTES / 4 + 1]!;
    if (comparison === 'covered') {
      const read = slot < 32 ? old.readLow & (1 << slot) : old.readHigh & (1 << (slot - 32));
      if (read === 0) continue;
    }
    if (exact) {
      if (slot >= frame.slots) return false;
    } else if (allLoose(oldBytes, 0)) {
      // Whatever is there now is one of the values that the bytes may have, the number that a pointer is included.
      continue;
    }
    if (slot >= frame.slots) return false;
    const r = slotAt(depth, slot);
    const oldSpill = oldBytes[7] === k.SPILL;
    const nowSpill = bytes[r + BYTES + 7] === k.SPILL;
    if (!exact && oldSpill && old.data[at] === k.SCALAR && wholeSpill(oldBytes, 0)) {
      if (nowSpill && wholeSpill(bytes, r + BYTES)) {
        if (!recordsEqual(old.data, at, r, comparison)) return false;
        continue;
      }
      if (allMisc(bytes, r + BYTES)) {
        if (!recordsEqual(old.data, at, UNKNOWN, comparison)) return false;
        continue;
      }
    }
    for (let i = 0; i < 8; i++) {
      const was = oldBytes[i]!;
      const now = bytes[r + BYTES + i]!;
      if (was === now) continue;
      if (exact) return false;
      if (was === k.INVALID || was === k.MISC) continue;
      return false;
    }
    if (oldSpill && !recordsEqual(old.data, at, r, comparison)) return false;
    if (oldBytes[7]! > k.ZERO && !objectsEqual(old.data, at, r)) return false;
  }
  if (exact) return frame.slots === old.slots;
  return true;
}

/** Slots of dynptrs, iterators and interrupt flags: of the same type and phase, however many elements were taken. */
function objectsEqual(data: Int32Array, at: number, r: number): boolean {
  const there = r >> 2;
  return (
    data[at + AUX / 4] === words[there + AUX / 4] &&
    data[at + AUX2 / 4] === words[there + AUX2 / 4] &&
    data[at + W.flags] === words[there + W.flags] &&
    idsMatch(data[at + W.id]!, words[there + W.id]!) &&
    idsMatch(data[at + W.reference]!, words[there + W.reference]!)
  );
}

function wholeSpill(of: Uint8Array, from: number): boolean {
  return of[from] === k.SPILL && of[from + 7] === k.SPILL;
}
function allMisc(of: Uint8Array, from: number): boolean {
  for (let i = 0; i < 8; i++) if (of[from + i] !== k.MISC) return false;
  return true;
}
