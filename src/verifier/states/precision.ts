/**
 * Precision tracking: a scalar's value matters to safety only where something was decided by it. From there this walks back over the
 * instructions of the path and marks, in the saved states before, the registers and slots that the value came from; when states are
 * compared, unmarked scalars need not agree. As the kernel's mark_chain_precision, with every instruction in the history.
 */
import { CALL_SOURCE, CLASS, MODE, OPCODE } from '../../isa/opcodes.ts';
import { SCALAR } from '../kinds.ts';
import { KIND, PRECISE, RECORD } from '../layout.ts';
import { TOUCHED_STACK, type Verification } from '../verification.ts';
import { REGISTERS } from './records.ts';
import { marks, type SavedState } from './state.ts';

const registers = new Int32Array(8);
const slotsLow = new Int32Array(8);
const slotsHigh = new Int32Array(8);
const RECORD_WORDS = RECORD / 4;

/** What is looked for in a frame: registers and stack slots, as bits. */
export interface Needed {
  readonly registers: number;
  readonly low: number;
  readonly high: number;
}

/** What the walk tells as it goes, in the kernel's order. */
export interface PrecisionObserver {
  /** It goes through the instructions from `last` back to `first`, with `next` behind them (-1: the one at hand). */
  begun(frame: number, last: number, first: number, next: number): void;
  /** It comes to an instruction. */
  stepped(v: Verification, frame: number, slot: number, needed: Needed): void;
  /** What is left was marked in a saved state. */
  reached(v: Verification, saved: SavedState, frame: number, needed: Needed): void;
  /** A state that is equal needs what this one needs. */
  inherited(from: SavedState): void;
  /** It lost track, in that frame; then what it marks instead. Places are registers, then stack slots. */
  lost(frame: number): void;
  forced(frame: number, place: number): void;
}

export function isScalarRecord(data: Int32Array, place: number): boolean {
  return data[place * RECORD_WORDS + KIND / 4] === SCALAR;
}
export function isPrecise(data: Int32Array, place: number): boolean {
  return data[place * RECORD_WORDS + PRECISE / 4] !== 0;
}

const neededIn = (depth: number): Needed => ({
  registers: registers[depth]!,
  low: slotsLow[depth]!,
  high: slotsHigh[depth]!,
});

function nothingLeft(): boolean {
  let any = 0;
  for (let depth = 0; depth < 8; depth++) any |= registers[depth]! | slotsLow[depth]! | slotsHigh[depth]!;
  return any === 0;
}

function clear(): void {
  registers.fill(0);
  slotsLow.fill(0);
  slotsHigh.fill(0);
}

function setSlot(depth: number, slot: number): void {
  if (slot < 32) slotsLow[depth]! |= 1 << slot;
  else slotsHigh[depth]! |= 1 << (slot - 32);
}

/** A register of the current frame, as it is before the instruction at hand, decides something. */
export function markPrecise(v: Verification, register: number): void {
  clear();
  registers[v.state.depth] = 1 << register;
  walk(v, true);
}

export function markSlotPrecise(v: Verification, depth: number, slot: number): void {
  clear();
  setSlot(depth, slot);
  walk(v, true);
}

/** What was precise in a saved state is so on the path that was found equal to it. */
export function inheritPrecision(v: Verification, from: SavedState): void {
  clear();
  for (let depth = 0; depth < from.frames.length; depth++) {
    const { data, slots } = from.frames[depth]!;
    for (let i = 0; i < REGISTERS + slots; i++) {
      if (data[i * RECORD_WORDS + PRECISE / 4] === 0 || data[i * RECORD_WORDS] !== SCALAR) continue;
      if (i < REGISTERS) registers[depth]! |= 1 << i;
      else setSlot(depth, i - REGISTERS);
    }
  }
  if (nothingLeft()) return;
  v.observer?.precision?.inherited(from);
  walk(v, false);
}

/** `running`: the instruction at hand is in the history already; what it does comes after. */
function walk(v: Verification, running: boolean): void {
  const { history } = v.state;
  const told = v.observer?.precision;
  let data: Int32Array = history.data;
  let length = history.length;
  if (running && length > 0 && data[length - 2] === v.slot) length -= 2;
  let nextSlot = v.slot;
  let nextDepth = v.state.depth;
  let behind = -1;
  let toldAlready = false;
  for (let saved = v.state.parent; ; saved = saved.parent) {
    if (told !== undefined && saved !== undefined) {
      const last = behind < 0 ? v.slot : lastOf(data, length);
      told.begun(nextDepth, last, saved.slot, behind);
      behind = saved.slot;
    }
    for (let at = length - 2; at >= 0; at -= 2) {
      const slot = data[at]!;
      const touched = data[at + 1]!;
      if (slot < 0) {
        // It stands on both sides of its jump, which is told without what the one behind it adds.
        if (told !== undefined && data[at - 4] === slot) {
          told.stepped(v, nextDepth, data[at - 2]!, neededIn(nextDepth));
          toldAlready = true;
        }
        markLinked(v.linked[-1 - slot]!);
        continue;
      }
      if (told !== undefined && !toldAlready) told.stepped(v, nextDepth, slot, neededIn(nextDepth));
      toldAlready = false;
      const depth = touched & 7;
      if (!stepBack(v, slot, depth, touched, nextSlot, nextDepth)) {
        markEverything(v);
        return;
      }
      nextSlot = slot;
      nextDepth = depth;
      if (nothingLeft()) return;
    }
    if (saved === undefined) return;
    markSaved(saved);
    if (told !== undefined && saved.parent !== undefined)
      for (let depth = nextDepth; depth >= 0; depth--) told.reached(v, saved, depth, neededIn(depth));
    if (nothingLeft()) return;
    data = saved.history;
    length = saved.history.length;
    nextSlot = saved.slot;
    nextDepth = saved.frames.length - 1;
  }
}

/** The last instruction of a history. */
function lastOf(data: Int32Array, length: number): number {
  for (let at = length - 2; at >= 0; at -= 2) if (data[at]! >= 0) return data[at]!;
  return -1;
}

/** Registers that were narrowed together: what one needs, all need. Layout: frame << 8 | register, or slot + 16. */
function markLinked(linked: Int32Array): void {
  let any = false;
  for (const entry of linked) {
    const depth = entry >> 8;
    const place = entry & 0xff;
    if (place < 16) any ||= (registers[depth]! & (1 << place)) !== 0;
    else if (place < 48) any ||= (slotsLow[depth]! & (1 << (place - 16))) !== 0;
    else any ||= (slotsHigh[depth]! & (1 << (place - 48))) !== 0;
  }
  if (!any) return;
  for (const entry of linked) {
    const place = entry & 0xff;
    if (place < 16) registers[entry >> 8]! |= 1 << place;
    else setSlot(entry >> 8, place - 16);
  }
}

function markSaved(saved: SavedState): void {
  const { frames } = saved;
  for (let depth = 0; depth < 8; depth++) {
    if ((registers[depth]! | slotsLow[depth]! | slotsHigh[depth]!) === 0) continue;
    const frame = frames[depth];
    if (frame === undefined) {
      registers[depth] = slotsLow[depth] = slotsHigh[depth] = 0;
      continue;
    }
    const { data } = frame;
    for (let i = 0; i < REGISTERS; i++) {
      if ((registers[depth]! & (1 << i)) === 0) continue;
      if (!markRecord(data, i * RECORD_WORDS)) registers[depth]! &= ~(1 << i);
    }
    for (let slot = 0; slot < 64; slot++) {
      const word = slot < 32 ? slotsLow : slotsHigh;
      const bit = 1 << (slot & 31);
      if ((word[depth]! & bit) === 0) continue;
      if (slot >= frame.slots || !markRecord(data, (REGISTERS + slot) * RECORD_WORDS)) word[depth]! &= ~bit;
    }
  }
}

/** False if there is nothing to follow further: no scalar, or known to be precise. */
function markRecord(data: Int32Array, at: number): boolean {
  if (data[at + KIND / 4] !== SCALAR || data[at + PRECISE / 4] !== 0) return false;
  data[at + PRECISE / 4] = 1;
  marks.made++;
  return true;
}

/** When the walk loses track, every scalar of every state before counts. */
export function markEverything(v: Verification): void {
  const told = v.observer?.precision;
  told?.lost(v.state.depth);
  for (let saved = v.state.parent; saved !== undefined; saved = saved.parent)
    for (const [depth, { data }] of saved.frames.entries())
      for (let place = 0; place < data.length / RECORD_WORDS; place++) {
        if (!isScalarRecord(data, place) || isPrecise(data, place)) continue;
        data[place * RECORD_WORDS + PRECISE / 4] = 1;
        if (saved.parent !== undefined) told?.forced(depth, place);
      }
}

/** What was needed after the instruction becomes what is needed before it. False: not known. */
function stepBack(
  v: Verification,
  slot: number,
  depth: number,
  touched: number,
  nextSlot: number,
  nextDepth: number,
): boolean {
  const { op, dst, src, imm } = v.code;
  const opcode = op[slot]!;
  const d = 1 << dst[slot]!;
  const s = 1 << src[slot]!;
  const mask = registers[depth]!;
  switch (opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64: {
      if ((mask & d) === 0) return true;
      const operation = opcode & 0xf0;
      if (operation === 0xb0) registers[depth] = (mask & ~d) | ((opcode & 8) !== 0 ? s : 0);
      else if (operation !== 0xd0 && operation !== 0x80 && (opcode & 8) !== 0) registers[depth] = mask | s;
      registers[depth]! &= ~(1 << 10);
      return true;
    }
    case CLASS.LD:
      if (opcode === OPCODE.LDDW) {
        registers[depth] = mask & ~d;
        return true;
      }
      // A load that missed the packet has returned 0 from the function.
      if (nextDepth < depth) registers[nextDepth]! &= ~1;
      return (mask & 1) === 0;
    case CLASS.LDX:
      if ((mask & d) === 0) return true;
      registers[depth] = mask & ~d;
      if ((touched & TOUCHED_STACK) !== 0) setSlot((touched >> 4) & 7, (touched >> 7) & 63);
      return true;
    case CLASS.ST:
    case CLASS.STX: {
      const atomic = (opcode & 7) === CLASS.STX && (opcode & 0xe0) === MODE.ATOMIC;
      if (atomic) {
        const what = imm[slot]!;
        if (what === 0x100) return (mask & d) === 0;
        const result = what === 0xf1 ? 1 : what !== 0x110 && (what & 1) !== 0 ? s : 0;
        if ((mask & result) !== 0) return false;
      }
      if ((mask & d) !== 0 && !atomic) return false;
      if ((touched & TOUCHED_STACK) === 0) return true;
      const where = (touched >> 4) & 7;
      const which = (touched >> 7) & 63;
      const word = which < 32 ? slotsLow : slotsHigh;
      const bit = 1 << (which & 31);
      if ((word[where]! & bit) === 0) return true;
      if (atomic) return false;
      word[where]! &= ~bit;
      if ((opcode & 7) === CLASS.STX) registers[depth]! |= s;
      return true;
    }
    default:
      return stepBackJump(v, slot, depth, opcode, d, s, nextSlot, nextDepth);
  }
}

function stepBackJump(
  v: Verification,
  slot: number,
  depth: number,
  opcode: number,
  d: number,
  s: number,
  nextSlot: number,
  nextDepth: number,
): boolean {
  const mask = registers[depth]!;
  if (opcode === OPCODE.CALL) {
    if (nextDepth > depth) {
      // Into the function: its arguments come from here.
      const inner = registers[nextDepth]!;
      registers[nextDepth] = 0;
      slotsLow[nextDepth] = 0;
      slotsHigh[nextDepth] = 0;
      if (v.code.src[slot] === CALL_SOURCE.LOCAL) {
        if ((inner & ~0x3e) !== 0) return false;
        registers[depth] = (mask & ~0x3f) | inner;
      } else registers[depth] = mask | (inner !== 0 ? 0x3e : 0);
      return true;
    }
    registers[depth] = mask & ~0x3f;
    return true;
  }
  if (opcode === OPCODE.EXIT) {
    if (nextDepth < depth) {
      const outer = registers[nextDepth]!;
      const returned = v.code.op[nextSlot - 1] === OPCODE.CALL && v.code.src[nextSlot - 1] === CALL_SOURCE.LOCAL;
      const again = v.code.op[nextSlot] === OPCODE.CALL && v.code.src[nextSlot] !== CALL_SOURCE.LOCAL;
      if (again) return true; // a callback: its result went to the helper
      if (!returned) return false;
      if ((outer & 1) !== 0) {
        registers[nextDepth] = outer & ~1;
        registers[depth] = mask | 1;
      }
    }
    return true;
  }
  const operation = opcode & 0xf0;
  if (operation === 0 || operation === 0xe0) return true;
  if ((opcode & 8) !== 0 && (mask & (d | s)) !== 0) registers[depth] = mask | d | s;
  return true;
}
