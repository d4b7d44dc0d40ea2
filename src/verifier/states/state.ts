/**
 * verifier/states/: what is known at one point of a path, and when one such state makes another one superfluous.
 *
 * This file: the state on a path: frames with their registers and stack slots (in records.ts's memory), references held, and saved copies of it.
 */
import type { ResultRange } from '../calls/callback.ts';
import { ITERATOR_BYTE, NOT_INIT } from '../kinds.ts';
import { ID, KIND, RECORD, REFERENCE } from '../layout.ts';
import type { LoopVisit } from './loops.ts';
import { bytes, frameAt, REGISTERS, slotAt, words } from './records.ts';

const RECORD_WORDS = RECORD / 4;

/** One function call. Its registers and slots are at frameAt(its depth). */
export interface Frame {
  /** Slot of the call; of frame 0, -1. */
  readonly callsite: number;
  readonly fn: number;
  /** Stack slots in use, from the top. */
  slots: number;
  /** Entered by a helper. */
  readonly callback: boolean;
  /** Timer callbacks and the like run after the program. */
  readonly asynchronous: boolean;
  /** Bounds of a callback's result. */
  readonly range: ResultRange;
  /** Asynchronous callbacks entered so far, one out of the other. */
  readonly entries: number;
  /** How often the callback was entered again from the same call. */
  depth: number;
  /** Slots overwritten since the last saved state, as bits. */
  writtenLow: number;
  writtenHigh: number;
}

export interface Reference {
  readonly id: number;
  readonly slot: number;
  /** Absent for objects; `irq`: saved interrupt flags on the stack. */
  readonly kind?: 'irq';
}

/** A spin lock that is taken: of a map value or of an object. */
export interface HeldLock {
  readonly kind: 'spin' | 'resilient' | 'resilient-irq';
  /** Of the pointer that it was taken through; 0 where there is but one value. */
  readonly id: number;
  /** Map, or -1 for objects. */
  readonly owner: number;
}

/** Instructions run since the last saved state, two words each: slot (or -1 - index of linked registers), and what it touched. */
export class History {
  data = new Int32Array(64);
  length = 0;
  /** As the kernel counts: instructions that were jumped to, or touched the stack. */
  entries = 0;

  push(slot: number, touched: number): void {
    if (this.length + 2 > this.data.length) {
      const larger = new Int32Array(this.data.length * 2);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[this.length] = slot;
    this.data[this.length + 1] = touched;
    this.length += 2;
  }
  take(from: Int32Array, entries: number): void {
    this.entries = entries;
    if (from.length > this.data.length) this.data = new Int32Array(from.length * 2);
    this.data.set(from);
    this.length = from.length;
  }
}

export interface SavedFrame extends Frame {
  readonly data: Int32Array;
  /** Slots that were read after this state, as bits. */
  readLow: number;
  readHigh: number;
}

/** A copy of the state, taken where states are compared, or where a branch is left for later. */
export interface SavedState {
  readonly slot: number;
  readonly frames: SavedFrame[];
  /** Of the call sites of all frames: states with other ones are told apart without looking at their frames. */
  readonly calls: number;
  readonly references: readonly Reference[];
  readonly locks: readonly HeldLock[];
  readonly preempt: number;
  readonly interrupts: number;
  readonly rcu: number;
  readonly sleepable: boolean;
  /** may_goto taken so often on this path. */
  readonly mayGoto: number;
  /** Instructions from `parent` to here. */
  history: Int32Array;
  readonly historyEntries: number;
  parent: SavedState | undefined;
  /** Paths from here that are not yet explored to their end. */
  branches: number;
  hits: number;
  misses: number;
  /** Of the loop that the state is in. */
  visit: LoopVisit | undefined;
}

/** Arrays of states that were gone on from, by length: allocating them anew is what costs most. */
const spare: Int32Array[][] = [];
const MAX_SPARE = 256;

/** The records of frames by depth and slots in use: making a view anew for each copy costs as much as the copy. */
const views: Int32Array[][] = [];

function recordsOf(depth: number, slots: number): Int32Array {
  views[depth] ??= [];
  const at = frameAt(depth) >> 2;
  views[depth]![slots] ??= words.subarray(at, at + (REGISTERS + slots) * RECORD_WORDS);
  return views[depth]![slots]!;
}

function copyOf(source: Int32Array): Int32Array {
  const copy = spare[source.length]?.pop() ?? new Int32Array(source.length);
  copy.set(source);
  return copy;
}

function copyOfHistory({ data, length }: History): Int32Array {
  const copy = spare[length]?.pop() ?? new Int32Array(length);
  for (let i = 0; i < length; i++) copy[i] = data[i]!;
  return copy;
}

function giveBack(array: Int32Array): void {
  spare[array.length] ??= [];
  const list = spare[array.length]!;
  if (list.length < MAX_SPARE) list.push(array);
}

/** The state is needed no more, and nothing refers to it. */
export function discard(state: SavedState): void {
  giveBack(state.history);
  for (const { data } of state.frames) giveBack(data);
}

/** The state that is worked on. */
export class CurrentState {
  frames: Frame[] = [];
  references: Reference[] = [];
  /** Locks held, the last taken last. Replaced, never changed. */
  locks: readonly HeldLock[] = [];
  /** bpf_preempt_disable called so often. */
  preempt = 0;
  /** Reference of the interrupt flags saved last, 0 while interrupts are enabled. */
  interrupts = 0;
  /** bpf_rcu_read_lock is held. */
  rcu = 0;
  /** What runs here may sleep; callbacks that run later may differ from the program. */
  sleepable = false;
  mayGoto = 0;
  parent: SavedState | undefined;
  readonly history = new History();

  get depth(): number {
    return this.frames.length - 1;
  }

  enter(frame: Frame): void {
    const depth = this.frames.push(frame) - 1;
    const at = frameAt(depth) >> 2;
    words.fill(0, at, at + REGISTERS * RECORD_WORDS);
  }

  /** Makes room for the slot. */
  grow(depth: number, slots: number): void {
    const frame = this.frames[depth]!;
    for (let slot = frame.slots; slot < slots; slot++) {
      const at = slotAt(depth, slot) >> 2;
      words.fill(0, at, at + RECORD_WORDS);
    }
    if (slots > frame.slots) frame.slots = slots;
  }

  /** See SavedState. */
  get calls(): number {
    let key = 0;
    for (const { callsite } of this.frames) key = (Math.imul(key, 31) + callsite) | 0;
    return key;
  }

  save(slot: number): SavedState {
    const frames: SavedFrame[] = [];
    for (let depth = 0; depth < this.frames.length; depth++) {
      const frame = this.frames[depth]!;
      // Written out: a spread costs more than all the rest of this.
      frames.push({
        callsite: frame.callsite,
        fn: frame.fn,
        slots: frame.slots,
        callback: frame.callback,
        asynchronous: frame.asynchronous,
        range: frame.range,
        entries: frame.entries,
        depth: frame.depth,
        writtenLow: frame.writtenLow,
        writtenHigh: frame.writtenHigh,
        data: copyOf(recordsOf(depth, frame.slots)),
        readLow: 0,
        readHigh: 0,
      });
    }
    return {
      slot,
      frames,
      calls: this.calls,
      references: this.references,
      locks: this.locks,
      preempt: this.preempt,
      interrupts: this.interrupts,
      rcu: this.rcu,
      sleepable: this.sleepable,
      mayGoto: this.mayGoto,
      history: copyOfHistory(this.history),
      historyEntries: this.history.entries,
      parent: this.parent,
      branches: 0,
      hits: 0,
      misses: 0,
      visit: undefined,
    };
  }

  restore(state: SavedState): void {
    this.frames = state.frames.map((frame, depth) => {
      words.set(frame.data, frameAt(depth) >> 2);
      const { callsite, fn, slots, callback, asynchronous, range, entries, writtenLow, writtenHigh } = frame;
      return {
        callsite,
        fn,
        slots,
        callback,
        asynchronous,
        range,
        entries,
        depth: frame.depth,
        writtenLow,
        writtenHigh,
      };
    });
    this.references = state.references.slice();
    this.locks = state.locks;
    this.preempt = state.preempt;
    this.interrupts = state.interrupts;
    this.rcu = state.rcu;
    this.sleepable = state.sleepable;
    this.mayGoto = state.mayGoto;
    this.parent = state.parent;
    this.history.take(state.history, state.historyEntries);
  }

  /** Calls `visit` with each record: registers, and slots that hold a spilled register. */
  everyRecord(visit: (r: number) => void): void {
    for (let depth = 0; depth < this.frames.length; depth++) {
      const base = frameAt(depth);
      for (let i = 0; i < REGISTERS; i++) visit(base + i * RECORD);
      const { slots } = this.frames[depth]!;
      for (let slot = 0; slot < slots; slot++) {
        const r = slotAt(depth, slot);
        if (bytes[r + 96 + 7] === 1) visit(r);
      }
    }
  }

  /** Calls `visit` with each slot of an iterator. */
  everyIterator(visit: (r: number) => void): void {
    for (let depth = 0; depth < this.frames.length; depth++) {
      const { slots } = this.frames[depth]!;
      for (let slot = 0; slot < slots; slot++) {
        const r = slotAt(depth, slot);
        if (bytes[r + 96] === ITERATOR_BYTE) visit(r);
      }
    }
  }

  /** Registers with the reference are forgotten. */
  forgetReference(id: number, forget: (r: number) => void): void {
    this.references = this.references.filter((reference) => reference.id !== id);
    this.everyRecord((r) => {
      if (words[(r + REFERENCE) >> 2] === id) forget(r);
    });
  }
}

/** How often something was learnt of a saved state: a slot that is read after it, a scalar that is precise. */
export const marks = { made: 0 };

/** The slot was read: it counts for the states before, up to the one after which it was written. */
export function markSlotRead(state: CurrentState, depth: number, slot: number): void {
  const low = slot < 32 ? 1 << slot : 0;
  const high = slot < 32 ? 0 : 1 << (slot - 32);
  const frame = state.frames[depth]!;
  if ((frame.writtenLow & low) !== 0 || (frame.writtenHigh & high) !== 0) return;
  for (let saved = state.parent; saved !== undefined; saved = saved.parent) {
    const there = saved.frames[depth];
    if (there === undefined) return;
    if ((there.readLow & low) !== 0 || (there.readHigh & high) !== 0) return;
    there.readLow |= low;
    there.readHigh |= high;
    marks.made++;
    if ((there.writtenLow & low) !== 0 || (there.writtenHigh & high) !== 0) return;
  }
}

/** The whole slot was overwritten. */
export function markSlotWritten(state: CurrentState, depth: number, slot: number): void {
  const frame = state.frames[depth]!;
  if (slot < 32) frame.writtenLow |= 1 << slot;
  else frame.writtenHigh |= 1 << (slot - 32);
}

export const isInitialised = (r: number) => words[(r + KIND) >> 2] !== NOT_INIT;
export const withoutId = (r: number) => {
  words[(r + ID) >> 2] = 0;
};
